package s3test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Properties is all that a client can say about an object besides its bytes.
type Properties struct {
	ContentType        string // "binary/octet-stream" if it is not said
	CacheControl       string
	ContentDisposition string
	ContentEncoding    string
	ContentLanguage    string
	Expires            string // as it came; S3 does not demand a date
	WebsiteRedirect    string
	Metadata           map[string]string // names in lower case; see [WithMetadataStyle]
	Tags               map[string]string
	StorageClass       string // "STANDARD" if it is not said
	ACL                string // canned, "" is private

	Encryption     string // "", "AES256", "aws:kms" or "aws:kms:dsse"
	KMSKeyID       string
	BucketKey      bool
	CustomerKeyMD5 string // of SSE-C, base64

	LockMode  string // "", "GOVERNANCE" or "COMPLIANCE"
	LockUntil time.Time
	LegalHold bool
}

const (
	defaultContentType  = "binary/octet-stream"
	defaultClass        = "STANDARD"
	maxUserMetadata     = 2 << 10
	metadataPrefix      = "x-amz-meta-"
	missingMetadata     = "x-amz-missing-meta"
	classGlacier        = "GLACIER"
	classDeepArchive    = "DEEP_ARCHIVE"
	classIntelligent    = "INTELLIGENT_TIERING"
	encryptionCustomers = "AES256" // the only algorithm of SSE-C
)

var storageClasses = []string{
	defaultClass, "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", classIntelligent, "GLACIER_IR", classGlacier,
	classDeepArchive,
}

// clone makes a copy that shares nothing and has its defaults filled in.
func (p Properties) clone() *Properties {
	p.Metadata, p.Tags = maps.Clone(p.Metadata), maps.Clone(p.Tags)
	if len(p.Metadata) == 0 {
		p.Metadata = nil
	}
	if len(p.Tags) == 0 {
		p.Tags = nil
	}
	if p.ContentType == "" {
		p.ContentType = defaultContentType
	}
	if p.StorageClass == "" {
		p.StorageClass = defaultClass
	}
	return &p
}

// systemHeaders pairs the headers that are stored as they come with their fields.
func (p *Properties) systemHeaders() map[string]*string {
	return map[string]*string{
		"Content-Type":                    &p.ContentType,
		"Cache-Control":                   &p.CacheControl,
		"Content-Disposition":             &p.ContentDisposition,
		"Content-Encoding":                &p.ContentEncoding,
		"Content-Language":                &p.ContentLanguage,
		"Expires":                         &p.Expires,
		"X-Amz-Website-Redirect-Location": &p.WebsiteRedirect,
	}
}

// properties reads all properties of a new object from the request's headers.
func (x *exchange) properties() (*Properties, error) {
	p := new(Properties)
	if err := x.readMetadata(p); err != nil {
		return nil, err
	}
	if err := x.readTagging(p); err != nil {
		return nil, err
	}
	return p, x.readAttributes(p)
}

// readAttributes reads what a copy never takes over from its source.
func (x *exchange) readAttributes(p *Properties) error {
	p.StorageClass = x.header("X-Amz-Storage-Class")
	if p.StorageClass == "" {
		p.StorageClass = defaultClass
	}
	if err := x.checkClass(p.StorageClass); err != nil {
		return err
	}
	if err := x.readACL(p); err != nil {
		return err
	}
	if err := x.readEncryption(p); err != nil {
		return err
	}
	return x.readLock(p)
}

func (x *exchange) checkClass(class string) error {
	if x.server.settings.anyClass {
		return nil
	}
	if !slices.Contains(storageClasses, class) || class != defaultClass && !x.server.settings.has(StorageClasses) {
		return failure("InvalidStorageClass").with("StorageClassRequested", class)
	}
	return nil
}

// withoutAWSChunked drops the token that names the framing of the request; the rest is kept to the byte.
func withoutAWSChunked(encoding string) string {
	tokens := strings.Split(encoding, ",")
	kept := slices.DeleteFunc(tokens, func(token string) bool {
		return strings.EqualFold(strings.TrimSpace(token), "aws-chunked")
	})
	return strings.TrimSpace(strings.Join(kept, ","))
}

// setProperties puts the properties of a stored object into the answer to GET or HEAD.
func (x *exchange) setProperties(p *Properties) {
	for name, field := range p.systemHeaders() {
		x.setHeader(name, *field)
	}
	if p.StorageClass != defaultClass {
		x.setHeader("x-amz-storage-class", p.StorageClass)
	}
	if len(p.Tags) > 0 && x.server.settings.has(Tagging) {
		x.setHeader("x-amz-tagging-count", itoa(len(p.Tags)))
	}
	x.setMetadata(p.Metadata)
	x.setEncryption(p)
	x.setLock(p)
}

// override replaces headers of an answer by response-* parameters, which only signed requests may have.
func (x *exchange) override() error {
	for name := range x.query {
		header, ok := strings.CutPrefix(name, "response-")
		if !ok {
			continue
		}
		if x.signature == nil {
			return failuref("InvalidRequest", "Request specific response headers cannot be used for anonymous GET requests.")
		}
		x.setHeader(http.CanonicalHeaderKey(header), x.query.Get(name))
	}
	return nil
}
