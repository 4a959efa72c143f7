package s3test

import (
	"crypto/md5"
	"encoding/base64"
	"slices"
	"strings"
)

var encryptionModes = []string{"AES256", "aws:kms", "aws:kms:dsse"}

// readEncryption reads the encryption that the client wants. Nothing is encrypted; everything is answered as if.
func (x *exchange) readEncryption(p *Properties) error {
	p.Encryption = x.header("X-Amz-Server-Side-Encryption")
	if p.Encryption != "" && !slices.Contains(encryptionModes, p.Encryption) {
		return failure("InvalidEncryptionAlgorithmError")
	}
	p.KMSKeyID = x.header("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id")
	p.BucketKey = strings.EqualFold(x.header("X-Amz-Server-Side-Encryption-Bucket-Key-Enabled"), "true")
	if p.KMSKeyID != "" && !strings.HasPrefix(p.Encryption, "aws:kms") {
		return failuref("InvalidArgument", "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms")
	}
	sum, err := x.customerKey("X-Amz-Server-Side-Encryption-Customer-")
	if err != nil {
		return err
	}
	if sum != "" && p.Encryption != "" {
		return failuref("InvalidArgument", "Server Side Encryption with Customer provided key is incompatible with the encryption method specified")
	}
	p.CustomerKeyMD5 = sum
	return nil
}

// customerKey checks the three headers of SSE-C and returns the key's MD5, or "" if there are none.
func (x *exchange) customerKey(prefix string) (string, error) {
	algorithm, key, sum := x.header(prefix+"Algorithm"), x.header(prefix+"Key"), x.header(prefix+"Key-Md5")
	if algorithm == "" && key == "" && sum == "" {
		return "", nil
	}
	if x.r.TLS == nil && !x.server.settings.plainSSEC {
		return "", failuref("InvalidRequest", "Requests specifying Server Side Encryption with Customer provided keys must be made over a secure connection.")
	}
	if algorithm != encryptionCustomers {
		return "", failure("InvalidEncryptionAlgorithmError")
	}
	raw, err := base64.StdEncoding.DecodeString(key)
	if err != nil || len(raw) != 32 {
		return "", failuref("InvalidArgument", "The secret key was invalid for the specified algorithm.")
	}
	computed := md5.Sum(raw)
	if base64.StdEncoding.EncodeToString(computed[:]) != sum {
		return "", failuref("InvalidArgument", "The calculated MD5 hash of the key did not match the hash that was provided.")
	}
	return sum, nil
}

// checkCustomerKey makes sure that the client has the key of a stored object, if it has one.
func (x *exchange) checkCustomerKey(p *Properties) error {
	return x.matchCustomerKey(p, "X-Amz-Server-Side-Encryption-Customer-")
}

func (x *exchange) matchCustomerKey(p *Properties, prefix string) error {
	sum, err := x.customerKey(prefix)
	switch {
	case err != nil:
		return err
	case sum == p.CustomerKeyMD5:
		return nil
	case p.CustomerKeyMD5 == "":
		return failuref("InvalidRequest", "The encryption parameters are not applicable to this object.")
	case sum == "":
		return failuref("InvalidRequest", "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.")
	}
	return failure("AccessDenied")
}

func (x *exchange) setEncryption(p *Properties) {
	x.setHeader("x-amz-server-side-encryption", p.Encryption)
	x.setHeader("x-amz-server-side-encryption-aws-kms-key-id", p.KMSKeyID)
	if p.BucketKey {
		x.setHeader("x-amz-server-side-encryption-bucket-key-enabled", "true")
	}
	if p.CustomerKeyMD5 != "" {
		x.setHeader("x-amz-server-side-encryption-customer-algorithm", encryptionCustomers)
		x.setHeader("x-amz-server-side-encryption-customer-key-MD5", p.CustomerKeyMD5)
	}
}

// disguiseETag makes the entity tag of what S3 would encrypt with KMS or a customer's key something else than an MD5,
// and every one where there are no MD5s.
func (v *version) disguiseETag(md5s bool) {
	if md5s && v.CustomerKeyMD5 == "" && !strings.HasPrefix(v.Encryption, "aws:kms") {
		return
	}
	_, parts, multipart := strings.Cut(v.etag, "-")
	v.etag = hexMD5(md5.Sum([]byte(v.Encryption + v.CustomerKeyMD5 + v.etag)))
	if multipart {
		v.etag += "-" + parts
	}
}
