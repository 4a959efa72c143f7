package s3test_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset/internal/s3test"
	"github.com/s3kloset/s3kloset/internal/s3test/sigv4"
)

// from names the source of a copy.
func from(key string) edit { return with("X-Amz-Copy-Source", at(key)) }

func TestCopyObject(t *testing.T) {
	_, b, c := started(t)
	b.Put("a b+c%/é", []byte("body"), s3test.Properties{
		ContentType: "text/x", Metadata: map[string]string{"a": "1"}, Tags: map[string]string{"t": "1"}, StorageClass: "STANDARD_IA",
		ACL: "public-read", WebsiteRedirect: "/x",
	}, s3test.WithChecksum("SHA1"))
	c.put(at("copy"), "", from("a b+c%/é")).ok().contains("<ETag>&quot;"+md5Hex("body")+"&quot;</ETag>", "<ChecksumSHA1>")
	o, _ := b.Get("copy")
	equal(t, "content type", o.ContentType, "text/x")
	equal(t, "metadata", o.Metadata["a"], "1")
	equal(t, "tag", o.Tags["t"], "1")
	equal(t, "what is not copied", o.StorageClass+o.ACL+o.WebsiteRedirect, "STANDARD")

	replace := with("X-Amz-Metadata-Directive", "REPLACE")
	c.put(at("copy"), "", from("a b+c%/é"), replace, with("X-Amz-Meta-B", "2")).ok()
	o, _ = b.Get("copy")
	equal(t, "metadata", len(o.Metadata), 1)
	equal(t, "metadata", o.Metadata["b"], "2")
	equal(t, "tag", o.Tags["t"], "1")
	c.put(at("copy"), "", from("a b+c%/é"), with("X-Amz-Tagging-Directive", "REPLACE"), with("X-Amz-Tagging", "u=2")).ok()
	o, _ = b.Get("copy")
	equal(t, "tags", len(o.Tags), 1)
	equal(t, "tag", o.Tags["u"], "2")
}

func TestCopyOfParts(t *testing.T) {
	_, b, c := started(t)
	b.Put("k", []byte("0123456789"), s3test.Properties{}, s3test.InParts(4), s3test.WithChecksum("CRC32"))
	sha := with("X-Amz-Checksum-Algorithm", "sha256")
	c.put(at("copy"), "", from("k"), sha).ok().contains("<ChecksumSHA256>" + sum("SHA256", "0123456789"))
	c.put(at("copy"), "", from("k"), with("X-Amz-Checksum-Algorithm", "MD4")).is(400, "InvalidRequest")
	c.put(at("copy"), "", from("k")).ok()
	c.get(at("copy"), with("X-Amz-Checksum-Mode", "ENABLED")).ok().has("ETag", `"`+md5Hex("0123456789")+`"`).
		has("X-Amz-Checksum-Crc32", crc32Base64("0123456789"))
}

func TestCopyRefusals(t *testing.T) {
	s, b, c := started(t)
	fill(b, "k", "a+b")
	s.CreateBucket("other")
	for name, test := range map[string]struct {
		source string
		status int
		code   string
	}{
		"no key":          {"/bucket/", 400, "InvalidArgument"},
		"no such key":     {at("none"), 404, "NoSuchKey"},
		"no such bucket":  {"/nowhere/k", 404, "NoSuchBucket"},
		"no such version": {at("k") + "?versionId=x", 404, "NoSuchVersion"},
		"a bare plus":     {"/bucket/a+b", 404, "NoSuchKey"},
		"bad escape":      {"/bucket/%zz", 400, "InvalidArgument"},
		"unknown query":   {at("k") + "?version=1", 400, "InvalidArgument"},
	} {
		t.Run(name, func(t *testing.T) {
			c.in(t).put(at("copy"), "", with("X-Amz-Copy-Source", test.source)).is(test.status, test.code)
		})
	}
	c.put(at("k"), "", from("k")).is(400, "InvalidRequest")
	c.put(at("copy"), "", from("k"), with("X-Amz-Metadata-Directive", "MERGE")).is(400, "InvalidArgument")
	c.put("/nowhere/k", "", from("k")).is(404, "NoSuchBucket")
	equal(t, "keys", b.Len(), 2)
	c.put(at("copy"), "", with("X-Amz-Copy-Source", "bucket/k")).ok()
	c.put("/other/copy", "", from("k")).ok()
	c.put(at("k"), "", from("k"), with("X-Amz-Storage-Class", "STANDARD_IA")).ok()
	c.get(at("k")).ok().holds("k").has("X-Amz-Storage-Class", "STANDARD_IA")
}

func TestCopyConditions(t *testing.T) {
	modified := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	_, b, c := started(t)
	tag := b.Put("k", []byte("body"), s3test.Properties{}, s3test.ModifiedAt(modified)).ETag
	later := modified.Add(time.Hour).Format(http.TimeFormat)
	earlier := modified.Add(-time.Hour).Format(http.TimeFormat)
	for _, test := range []struct {
		header, value string
		ok            bool
	}{
		{"If-Match", tag, true}, {"If-Match", "x", false}, {"If-None-Match", "x", true}, {"If-None-Match", tag, false},
		{"If-Modified-Since", earlier, true}, {"If-Modified-Since", later, false},
		{"If-Unmodified-Since", later, true}, {"If-Unmodified-Since", earlier, false},
	} {
		r := c.put(at("copy"), "", from("k"), with("X-Amz-Copy-Source-"+test.header, test.value))
		if test.ok {
			r.ok()
		} else {
			r.is(412, "PreconditionFailed").contains("<Condition>x-amz-copy-source-" + test.header)
		}
	}
	c.put(at("copy"), "", from("k"), with("If-None-Match", "*")).is(412, "PreconditionFailed")
}

func TestCopyOfVersions(t *testing.T) {
	_, b, c := started(t)
	b.SetVersioning(true)
	first := b.Put("k", []byte("1"), s3test.Properties{}).VersionID
	b.Put("k", []byte("2"), s3test.Properties{})
	c.put(at("k"), "", with("X-Amz-Copy-Source", at("k")+"?versionId="+first)).ok().has("X-Amz-Copy-Source-Version-Id", first)
	c.get(at("k")).ok().holds("1")
	equal(t, "versions", len(b.Versions()), 3)
	b.Delete("k")
	c.put(at("copy"), "", from("k")).is(404, "NoSuchKey")
	marker := b.Versions()[0].VersionID
	c.put(at("copy"), "", with("X-Amz-Copy-Source", at("k")+"?versionId="+marker)).is(400, "InvalidRequest")
}

func TestUploadPartCopy(t *testing.T) {
	_, b, c := started(t, s3test.WithMinPartSize(1))
	b.Put("source/ü", []byte("0123456789"), s3test.Properties{})
	u := c.create(with("X-Amz-Checksum-Algorithm", "CRC32"), with("X-Amz-Checksum-Type", "FULL_OBJECT"))
	span := func(value string) edit { return with("X-Amz-Copy-Source-Range", value) }
	source := with("X-Amz-Copy-Source", "bucket/"+sigv4.Escape("source/ü", false))
	for _, value := range []string{"bytes=5-2", "bytes=5-", "bytes=-5", "bytes=0-10", "0-5", "bytes=0-5,7-8"} {
		c.put(u.partTarget(1), "", source, span(value)).is(400, "InvalidArgument")
	}
	var copied struct{ ETag, ChecksumCRC32 string }
	c.put(u.partTarget(1), "", source, span("bytes=2-5")).ok().into(&copied)
	equal(t, "tag", copied.ETag, `"`+md5Hex("2345")+`"`)
	equal(t, "checksum", copied.ChecksumCRC32, crc32Base64("2345"))
	u.parts = append(u.parts, completedPart(1, copied.ETag, ""))
	c.put(u.partTarget(2), "", source).ok().into(&copied)
	u.parts = append(u.parts, completedPart(2, copied.ETag, ""))
	c.put(u.partTarget(3), "", source, with("X-Amz-Copy-Source-If-Match", "x")).is(412, "PreconditionFailed")
	u.complete().ok()
	c.get(at("k")).ok().holds("23450123456789")
	equal(t, "uploads", b.Uploads(), 0)
	if strings.Contains(u.id, "/") {
		t.Error("an upload id that needs escaping")
	}
}
