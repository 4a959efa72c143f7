package bucket

import (
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestAttributesOf(t *testing.T) {
	h := http.Header{}
	for name, value := range map[string]string{
		"Content-Length": "42", "Etag": `"0123"`, "X-Amz-Version-Id": "v1", "Last-Modified": "Thu, 29 Feb 2024 23:59:59 GMT",
		"Content-Type": "text/x", "Cache-Control": "no-cache", "Content-Disposition": "inline", "Content-Encoding": "gzip, aws-chunked",
		"Content-Language": "eo", "Expires": "0", "X-Amz-Website-Redirect-Location": "/", "X-Amz-Meta-A-B": "Ü", "x-amz-meta-raw": "r",
		"X-Amz-Tagging-Count": "3", "X-Amz-Storage-Class": "GLACIER", "X-Amz-Checksum-Crc32": "AAAAAA==",
		"X-Amz-Mp-Parts-Count": "7", "X-Amz-Server-Side-Encryption": "aws:kms", "X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id": "key",
		"X-Amz-Server-Side-Encryption-Bucket-Key-Enabled": "true", "X-Amz-Object-Lock-Mode": "GOVERNANCE",
		"X-Amz-Object-Lock-Legal-Hold": "ON", "X-Amz-Object-Lock-Retain-Until-Date": "2100-01-02T03:04:05.000Z",
		"X-Amz-Restore": `ongoing-request="false"`, "X-Amz-Archive-Status": "ARCHIVE_ACCESS", "X-Amz-Missing-Meta": "2",
	} {
		h[name] = []string{value}
	}
	want := Attributes{
		Size: 42, ETag: "0123", VersionID: "v1", LastModified: time.Date(2024, 2, 29, 23, 59, 59, 0, time.UTC),
		ContentType: "text/x", CacheControl: "no-cache", ContentDisposition: "inline", ContentEncoding: "gzip", ContentLanguage: "eo",
		Expires: "0", WebsiteRedirect: "/", User: map[string]string{"a-b": "Ü", "raw": "r"}, TagCount: 3, StorageClass: "GLACIER",
		Checksums: []Checksum{{Algorithm: "CRC32", Value: "AAAAAA=="}}, PartCount: 7,
		SSE: "aws:kms", KMSKeyID: "key", BucketKey: true, LockMode: "GOVERNANCE", LegalHold: "ON",
		LockUntil: time.Date(2100, 1, 2, 3, 4, 5, 0, time.UTC), Restore: `ongoing-request="false"`, ArchiveStatus: "ARCHIVE_ACCESS", MissingMeta: 2,
	}
	if got := attributesOf(h); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestAttributesOfNothing: what is not said is not made up.
func TestAttributesOfNothing(t *testing.T) {
	if got := attributesOf(http.Header{}); !reflect.DeepEqual(got, Attributes{Size: -1}) {
		t.Errorf("got %+v", got)
	}
	odd := http.Header{
		"Content-Length": {"many"}, "Last-Modified": {"yesterday"}, "X-Amz-Tagging-Count": {"some"}, "X-Amz-Storage-Class": {"STANDARD"},
		"X-Amz-Server-Side-Encryption-Bucket-Key-Enabled": {"maybe"}, "X-Amz-Object-Lock-Retain-Until-Date": {"never"}, "Etag": {`W/"weak"`},
	}
	if got := attributesOf(odd); !reflect.DeepEqual(got, Attributes{Size: -1, ETag: "weak"}) {
		t.Errorf("got %+v", got)
	}
}

// TestRepeatedHeaders: several lines are one list.
func TestRepeatedHeaders(t *testing.T) {
	got := attributesOf(http.Header{"Content-Encoding": {"gzip", "aws-chunked"}, "Cache-Control": {"a", "b"}, "X-Amz-Meta-M": {"1", "2"}})
	if got.ContentEncoding != "gzip" || got.CacheControl != "a,b" || got.User["m"] != "1,2" {
		t.Errorf("got %+v", got)
	}
}

func TestWithoutChunked(t *testing.T) {
	for encoding, want := range map[string]string{
		"": "", "gzip": "gzip", "aws-chunked": "", "aws-chunked,gzip": "gzip", "gzip, br,aws-chunked": "gzip,br", "gzip, br": "gzip, br",
	} {
		if got := withoutChunked(encoding); got != want {
			t.Errorf("%q becomes %q, want %q", encoding, got, want)
		}
	}
}

// FuzzAttributes: what a PUT sends is what a GET answers, value by value.
func FuzzAttributes(f *testing.F) {
	f.Add("text/plain", "gzip", "tomorrow", "key", "value", "GLACIER", int64(4102542245), true)
	f.Add("", "", "", "", "", "", int64(0), false)
	f.Add("a,b", "aws-chunked", " x ", "K-1", "é\xff", "STANDARD", int64(-1), true)
	f.Fuzz(func(t *testing.T, contentType, encoding, expires, key, value, class string, until int64, flag bool) {
		a := Attributes{
			Size: -1, ContentType: contentType, CacheControl: value, ContentDisposition: contentType, ContentEncoding: encoding,
			ContentLanguage: expires, Expires: expires, WebsiteRedirect: value, StorageClass: class, SSE: class, KMSKeyID: value,
			BucketKey: flag, LegalHold: class,
		}
		if key != "" {
			a.User = map[string]string{strings.ToLower(key): value}
		}
		if until > 0 && until < 253402300800 { // the year 10000 has no RFC 3339
			a.LockMode, a.LockUntil = "GOVERNANCE", time.Unix(until, 0).UTC()
		}
		sent := a.header(nil)
		for name, values := range sent {
			if len(values) != 1 || (values[0] == "" && name != "Content-Type" && !mayBeEmpty(name)) {
				t.Errorf("sends %q: %q", name, values)
			}
		}
		want := a
		want.ContentEncoding = withoutChunked(encoding)
		if class == "STANDARD" {
			want.StorageClass = ""
		}
		if got := attributesOf(sent); !reflect.DeepEqual(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	})
}

// FuzzAttributesOf: whatever a server answers is read without a fuss.
func FuzzAttributesOf(f *testing.F) {
	f.Add("Content-Length", "-5")
	f.Add("X-Amz-Meta-", "v")
	f.Add("X-Amz-Tagging-Count", "-1")
	f.Add("Etag", `"""`)
	f.Add("Etag", `0"/`)
	f.Fuzz(func(t *testing.T, name, value string) {
		got := attributesOf(http.Header{http.CanonicalHeaderKey(name): {value}})
		if got.Size < -1 || got.TagCount < 0 || got.PartCount < 0 || got.MissingMeta < 0 {
			t.Errorf("%q: %q makes %+v", name, value, got)
		}
		inner := strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(value, "W/"), `"`), `"`)
		if strings.Contains(got.ETag, `"`) && !strings.Contains(inner, `"`) {
			t.Errorf("ETag %q keeps its quotes: %q", value, got.ETag)
		}
	})
}

// FuzzEncodeTags: tags survive the header, and it holds what headers can.
func FuzzEncodeTags(f *testing.F) {
	f.Add("a", "b c+d", "é", "=&%")
	f.Add("", "", "\x00", "\n")
	f.Fuzz(func(t *testing.T, key, value, other, more string) {
		tags := map[string]string{key: value, other: more}
		header := encodeTags(tags)
		if checkHeader("X-Amz-Tagging", []string{header}) != nil || strings.Contains(header, "+") {
			t.Errorf("%q is sent as %q", tags, header)
		}
		query, err := url.ParseQuery(header)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]string{}
		for name := range query {
			got[name] = query.Get(name)
		}
		if !maps.Equal(got, tags) {
			t.Errorf("%q becomes %q", tags, got)
		}
	})
}
