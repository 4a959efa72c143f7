package s3test_test

import (
	"crypto/md5"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// customerKey gives the headers of SSE-C for a key made of one letter.
func customerKey(letter string) edit {
	return customerHeaders("X-Amz-Server-Side-Encryption-Customer-", letter)
}

func customerHeaders(prefix, letter string) edit {
	key := make([]byte, 32)
	for i := range key {
		key[i] = letter[0]
	}
	sum := md5.Sum(key)
	return edits(with(prefix+"Algorithm", "AES256"), with(prefix+"Key", base64.StdEncoding.EncodeToString(key)),
		with(prefix+"Key-Md5", base64.StdEncoding.EncodeToString(sum[:])))
}

func TestCustomerKeys(t *testing.T) {
	_, b, c := started(t, s3test.WithSSECOverHTTP())
	c.put(at("k"), "body", customerKey("a")).ok().has("X-Amz-Server-Side-Encryption-Customer-Algorithm", "AES256")
	o, _ := b.Get("k")
	if o.ETag == md5Hex("body") {
		t.Error("the entity tag of an encrypted object is the MD5 of its bytes")
	}
	c.get(at("k"), customerKey("a")).ok().holds("body").has("X-Amz-Server-Side-Encryption-Customer-Key-Md5", o.CustomerKeyMD5)
	c.get(at("k")).is(400, "InvalidRequest")
	c.head(at("k")).is(400, "")
	c.get(at("k"), customerKey("b")).is(403, "AccessDenied")
	c.put(at("plain"), "body").ok()
	c.get(at("plain"), customerKey("a")).is(400, "InvalidRequest")
	from := with("X-Amz-Copy-Source", "/bucket/k")
	c.put(at("copy"), "", from).is(400, "InvalidRequest")
	c.put(at("copy"), "", from, customerHeaders("X-Amz-Copy-Source-Server-Side-Encryption-Customer-", "b")).is(403, "AccessDenied")
	c.put(at("copy"), "", from, customerHeaders("X-Amz-Copy-Source-Server-Side-Encryption-Customer-", "a"), customerKey("c")).ok()
	c.get(at("copy"), customerKey("c")).ok().holds("body")
	mismatch := edits(customerKey("a"), func(o *outgoing) {
		o.Header.Set("X-Amz-Server-Side-Encryption-Customer-Key-Md5", md5Base64("other"))
	})
	c.put(at("bad"), "body", mismatch).is(400, "InvalidArgument")
	c.put(at("bad"), "body", customerKey("a"), with("X-Amz-Server-Side-Encryption", "AES256")).is(400, "InvalidArgument")
}

func TestCustomerKeyOfUploads(t *testing.T) {
	_, _, c := started(t, s3test.WithSSECOverHTTP())
	u := c.create(customerKey("a"))
	c.put(u.partTarget(1), "body").is(400, "InvalidRequest")
	u.upload(1, "body", customerKey("a"))
	u.complete().is(400, "InvalidRequest")
	u.complete(customerKey("b")).is(403, "AccessDenied")
	u.complete(customerKey("a")).ok()
	c.get(at("k"), customerKey("a")).ok().holds("body")
}

func TestManagedEncryptionIsEchoed(t *testing.T) {
	_, b, c := started(t)
	c.put(at("k"), "body", with("X-Amz-Server-Side-Encryption", "aws:kms"), with("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", "key"),
		with("X-Amz-Server-Side-Encryption-Bucket-Key-Enabled", "true")).ok()
	c.get(at("k")).ok().has("X-Amz-Server-Side-Encryption", "aws:kms").has("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", "key").
		has("X-Amz-Server-Side-Encryption-Bucket-Key-Enabled", "true")
	if o, _ := b.Get("k"); o.ETag == md5Hex("body") {
		t.Error("the entity tag of an object encrypted with KMS is the MD5 of its bytes")
	}
}

func TestTLS(t *testing.T) {
	s := s3test.StartTLS(t)
	s.CreateBucket("bucket")
	c := newClient(t, s, s)
	if _, err := c.try("GET", "/bucket?list-type=2", nil); err == nil {
		t.Fatal("an unknown authority was believed")
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(s.CAPEM()) {
		t.Fatal("no certificate in CAPEM")
	}
	c.http.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: roots}
	c.put(at("k"), "body", customerKey("a")).ok()
	c.get(at("k"), customerKey("a")).ok().holds("body")
}

func TestCertificateLife(t *testing.T) {
	yesterday := time.Now().Add(-24 * time.Hour)
	s := s3test.StartTLS(t, s3test.WithCertificateLife(yesterday.Add(-time.Hour), yesterday))
	s.CreateBucket("bucket")
	c := newClient(t, s, s)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.CAPEM())
	c.http.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: roots}
	var invalid x509.CertificateInvalidError
	if _, err := c.try("GET", "/bucket?list-type=2", nil); !errors.As(err, &invalid) {
		t.Errorf("a certificate of yesterday: %v", err)
	}
}
