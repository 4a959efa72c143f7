package main

import (
	"strings"
	"testing"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// A demonstration that could not fail would show nothing: each property of an
// object is one that compare sees.
func TestCompare(t *testing.T) {
	full := s3test.Properties{
		ContentType: "a", CacheControl: "b", ContentDisposition: "c", ContentEncoding: "d", ContentLanguage: "e", Expires: "f",
		WebsiteRedirect: "/g", Metadata: map[string]string{"h": "i"}, Tags: map[string]string{"j": "k"}, StorageClass: "STANDARD_IA",
		Encryption: "AES256",
	}
	body := []byte("body of the object")
	for _, test := range []struct {
		name   string
		change func(*s3test.Bucket)
		says   []string
	}{
		{"nothing", func(b *s3test.Bucket) {}, nil},
		{"missing", func(b *s3test.Bucket) { b.Delete("key") }, []string{`"key" is missing`}},
		{"new", func(b *s3test.Bucket) { b.Put("other", nil, full) }, []string{`"other" is new`}},
		{"body", func(b *s3test.Bucket) { b.Put("key", []byte("BODY of the object"), full) }, []string{"other bytes", "etag"}},
		{"parts", func(b *s3test.Bucket) { b.Put("key", body, full, s3test.InParts(7)) }, []string{"etag", "parts"}},
		{"content-type", put(body, full, func(p *s3test.Properties) { p.ContentType = "x" }), []string{"content-type"}},
		{"cache-control", put(body, full, func(p *s3test.Properties) { p.CacheControl = "" }), []string{"cache-control"}},
		{"content-disposition", put(body, full, func(p *s3test.Properties) { p.ContentDisposition = "" }), []string{"content-disposition"}},
		{"content-encoding", put(body, full, func(p *s3test.Properties) { p.ContentEncoding = "" }), []string{"content-encoding"}},
		{"content-language", put(body, full, func(p *s3test.Properties) { p.ContentLanguage = "" }), []string{"content-language"}},
		{"expires", put(body, full, func(p *s3test.Properties) { p.Expires = "" }), []string{"expires"}},
		{"website-redirect", put(body, full, func(p *s3test.Properties) { p.WebsiteRedirect = "" }), []string{"website-redirect"}},
		{"metadata", put(body, full, func(p *s3test.Properties) { p.Metadata = map[string]string{"h": "I"} }), []string{"user metadata"}},
		{"tags", put(body, full, func(p *s3test.Properties) { p.Tags = nil }), []string{"tags"}},
		{"class", put(body, full, func(p *s3test.Properties) { p.StorageClass = "" }), []string{"storage class"}},
		{"encryption", put(body, full, func(p *s3test.Properties) { p.Encryption = "" }), []string{"encryption"}},
	} {
		server := s3test.New()
		original, restored := server.CreateBucket("original"), server.CreateBucket("restored")
		original.Put("key", body, full)
		restored.Put("key", body, full)
		test.change(restored)
		got := compare(original, restored).Differences
		if len(got) != len(test.says) {
			t.Errorf("%s: %q, want differences of %q", test.name, got, test.says)
			continue
		}
		for i, text := range test.says {
			if !strings.Contains(got[i], text) {
				t.Errorf("%s: %q, want %q", test.name, got[i], text)
			}
		}
	}
}

func put(body []byte, p s3test.Properties, change func(*s3test.Properties)) func(*s3test.Bucket) {
	change(&p)
	return func(b *s3test.Bucket) { b.Put("key", body, p) }
}

// The demonstration fails when something does not come back.
func TestVerify(t *testing.T) {
	server := s3test.New()
	x := &demo{server: server, original: server.CreateBucket(originalName), report: &demoReport{}}
	server.CreateBucket(restoredName)
	x.original.Put("lost", nil, s3test.Properties{})
	if err := x.verify(); err == nil {
		t.Error("a lost object was not noticed")
	}
	if d := x.report.Compared.Differences; len(d) != 1 || d[0] != `"lost" is missing` {
		t.Errorf("differences %q", d)
	}
}
