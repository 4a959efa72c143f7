package bucket

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Attributes are what the headers of an object say, raw. An empty string
// means that the object has no such header.
type Attributes struct {
	Size         int64  // -1: not told
	ETag         string // without quotes
	VersionID    string // "" when the bucket has no versions; "null" is one
	LastModified time.Time

	ContentType, CacheControl, ContentDisposition, ContentEncoding, ContentLanguage string

	Expires         string // raw: need not be a date
	WebsiteRedirect string
	User            map[string]string // x-amz-meta-*, names in lower case
	TagCount        int
	StorageClass    string // "" means STANDARD
	Checksums       []Checksum
	PartCount       int // only told when a part was asked for

	SSE, KMSKeyID string
	BucketKey     bool

	LockMode, LegalHold string
	LockUntil           time.Time

	Restore       string // x-amz-restore, raw
	ArchiveStatus string // of INTELLIGENT_TIERING
	MissingMeta   int    // metadata that HTTP cannot carry; lost in every answer
}

const metaPrefix = "X-Amz-Meta-"

// plainHeaders are those that go in and come out under one name.
func (a *Attributes) plainHeaders() map[string]*string {
	return map[string]*string{
		"Content-Type":                    &a.ContentType,
		"Cache-Control":                   &a.CacheControl,
		"Content-Disposition":             &a.ContentDisposition,
		"Content-Encoding":                &a.ContentEncoding,
		"Content-Language":                &a.ContentLanguage,
		"Expires":                         &a.Expires,
		"X-Amz-Website-Redirect-Location": &a.WebsiteRedirect,
		"X-Amz-Storage-Class":             &a.StorageClass,
		"X-Amz-Server-Side-Encryption":    &a.SSE,
		"X-Amz-Object-Lock-Mode":          &a.LockMode,
		"X-Amz-Object-Lock-Legal-Hold":    &a.LegalHold,

		"X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": &a.KMSKeyID,
	}
}

// attributesOf reads the headers of an answer to GET or HEAD.
func attributesOf(h http.Header) Attributes {
	a := Attributes{
		Size:          -1,
		ETag:          trimETag(h.Get("Etag")),
		VersionID:     h.Get("X-Amz-Version-Id"),
		Restore:       h.Get("X-Amz-Restore"),
		ArchiveStatus: h.Get("X-Amz-Archive-Status"),
		TagCount:      atoi(h.Get("X-Amz-Tagging-Count")),
		PartCount:     atoi(h.Get("X-Amz-Mp-Parts-Count")),
		MissingMeta:   atoi(h.Get("X-Amz-Missing-Meta")),
		Checksums:     checksumsOf(h),
	}
	for name, field := range a.plainHeaders() {
		*field = strings.Join(h.Values(name), ",")
	}
	a.ContentEncoding = withoutChunked(a.ContentEncoding)
	if a.StorageClass == "STANDARD" {
		a.StorageClass = ""
	}
	a.BucketKey, _ = strconv.ParseBool(h.Get("X-Amz-Server-Side-Encryption-Bucket-Key-Enabled"))
	a.LockUntil, _ = time.Parse(time.RFC3339, h.Get("X-Amz-Object-Lock-Retain-Until-Date"))
	a.LastModified, _ = http.ParseTime(h.Get("Last-Modified"))
	if size, ok := digits(h.Get("Content-Length")); ok {
		a.Size = size
	}
	a.User = userMetadata(h)
	return a
}

func userMetadata(h http.Header) map[string]string {
	var user map[string]string
	for name, values := range h {
		if key, ok := cutPrefixFold(name, metaPrefix); ok {
			if user == nil {
				user = make(map[string]string)
			}
			user[strings.ToLower(key)] = strings.Join(values, ",")
		}
	}
	return user
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return "", false
	}
	return s[len(prefix):], true
}

// checksumsOf reads every x-amz-checksum-* header, known or not.
func checksumsOf(h http.Header) []Checksum {
	composite := strings.EqualFold(h.Get("X-Amz-Checksum-Type"), "COMPOSITE")
	var sums []Checksum
	for name := range h {
		algorithm, ok := cutPrefixFold(name, "X-Amz-Checksum-")
		value := h.Get(name)
		if !ok || value == "" || strings.EqualFold(algorithm, "Type") || strings.EqualFold(algorithm, "Mode") {
			continue
		}
		sums = append(sums, Checksum{
			Algorithm: strings.ToUpper(algorithm),
			Value:     value,
			// "-" is not in the alphabet of base64: it announces the number of parts.
			Composite: composite || strings.Contains(value, "-"),
		})
	}
	slices.SortFunc(sums, func(a, b Checksum) int { return strings.Compare(a.Algorithm, b.Algorithm) })
	return sums
}

// withoutChunked drops the transfer framing that some servers keep as if it
// were the encoding of the object.
func withoutChunked(encoding string) string {
	if !strings.Contains(encoding, "aws-chunked") {
		return encoding
	}
	kept := strings.FieldsFunc(encoding, func(r rune) bool { return r == ',' || r == ' ' })
	kept = slices.DeleteFunc(kept, func(s string) bool { return s == "aws-chunked" })
	return strings.Join(kept, ",")
}

// mayBeEmpty tells the headers whose empty value says something.
func mayBeEmpty(name string) bool {
	_, ok := cutPrefixFold(name, metaPrefix)
	return ok
}

// header is what a PUT or a multipart upload carries to give an object these
// attributes. Headers without a value are there, empty, so that the ones that
// the SDK makes up are removed.
func (a Attributes) header(tags map[string]string) http.Header {
	a.ContentEncoding = withoutChunked(a.ContentEncoding)
	h := http.Header{}
	for name, field := range a.plainHeaders() {
		if *field != "" || name == "Content-Type" {
			h[name] = []string{*field}
		}
	}
	for key, value := range a.User {
		h[http.CanonicalHeaderKey(metaPrefix+key)] = []string{value}
	}
	if a.BucketKey {
		h.Set("X-Amz-Server-Side-Encryption-Bucket-Key-Enabled", "true")
	}
	if a.LockMode != "" && !a.LockUntil.IsZero() {
		h.Set("X-Amz-Object-Lock-Retain-Until-Date", a.LockUntil.UTC().Format("2006-01-02T15:04:05.000Z"))
	}
	if len(tags) > 0 {
		h.Set("X-Amz-Tagging", encodeTags(tags))
	}
	return h
}

// encodeTags writes tags as a query. A space becomes %20: not all servers
// take a plus for it.
func encodeTags(tags map[string]string) string {
	query := make(url.Values, len(tags))
	for key, value := range tags {
		query.Set(key, value)
	}
	return strings.ReplaceAll(query.Encode(), "+", "%20")
}

func trimETag(etag string) string {
	return strings.Trim(strings.TrimPrefix(etag, "W/"), `"`)
}

// atoi reads a count; what is none counts as 0.
func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return max(n, 0)
}
