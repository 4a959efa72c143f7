package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// awkwardKeys are legal in S3, and what other tools stumble over.
var awkwardKeys = []string{
	"folder/", "folder/inside", "empty-folder/",
	"report", "report!", "report-2", "report/2026", "report/2026/q1",
	"a//b", "a///b", "/leading", "//leading", "trailing//", "a/b",
	".", "..", "./here", "../../etc/passwd", "up/../down", "...",
	"%", "%2F", "a%2Fb", "100%", "100%.txt", "%25", "%/x", "x/%",
	"with space", " leading space", "trailing space ", "plus+sign", "a+b c&d=e?f#g",
	"quotes'\"`", "back\\slash", "C:\\windows", "tab\tinside", "star*?[a-z]{b}", "dollar$HOME;rm",
	"grüße/übung.txt", "日本語/ファイル", "emoji-🪣", "e\u0301 is not \u00e9", "\u00e9 is not e\u0301", "bidi\u202eoverride",
	strings.Repeat("long/", 180) + strings.Repeat("k", 124), // 1,024 bytes, the most that S3 takes
}

// kind is a sort of objects in the demonstration.
type kind struct {
	folder, extension string
	most              int // bytes
	properties        s3test.Properties
}

var kinds = []kind{
	{"photos/2026", "jpg", 200 << 10, s3test.Properties{
		ContentType: "image/jpeg", CacheControl: "public, max-age=31536000, immutable",
		Metadata: map[string]string{"camera": "Kodak Retina IIIc", "place": "Zürich – 東京"}}},
	{"site/en", "html", 20 << 10, s3test.Properties{
		ContentType: "text/html; charset=utf-8", ContentLanguage: "en-GB", CacheControl: "no-cache",
		Expires: "Thu, 01 Jan 2032 00:00:00 GMT"}},
	{"site/old", "html", 0, s3test.Properties{ContentType: "text/html", WebsiteRedirect: "/en/index.html"}},
	{"logs", "log.gz", 60 << 10, s3test.Properties{
		ContentType: "text/plain", ContentEncoding: "gzip", StorageClass: "STANDARD_IA",
		Tags: map[string]string{"retention": "90 days", "team": "söhne + töchter", "empty": ""}}},
	{"invoices", "pdf", 40 << 10, s3test.Properties{
		ContentType: "application/pdf", ContentDisposition: `attachment; filename="invoice.pdf"`, StorageClass: "INTELLIGENT_TIERING",
		Tags: map[string]string{"customer": "4711", "paid": "yes"}, Metadata: map[string]string{"checked-by": "J. Doe"}}},
	{"archive", "bin", 30 << 10, s3test.Properties{StorageClass: "GLACIER_IR"}},
}

const (
	objectsPerKind = 50
	largeObject    = 3 << 20  // streamed, not fetched ahead
	partedObject   = 20 << 20 // uploaded in parts
	partSize       = 8 << 20
)

// contents makes the same contents at every demonstration.
type contents struct{ *rand.ChaCha8 }

func newContents() contents { return contents{rand.NewChaCha8([32]byte{})} }

func (c contents) bytes(n int) []byte {
	b := make([]byte, n)
	_, _ = c.Read(b) // never fails
	return b
}

// filling says what is in a bucket.
type filling struct {
	Objects int   `json:"objects"`
	Awkward int   `json:"awkward_keys"`
	Bytes   int64 `json:"bytes"`
}

// fill puts a few hundred objects of all sorts into a bucket, written over the
// last days.
func fill(b *s3test.Bucket, c contents) filling {
	written := time.Now().Add(-72 * time.Hour)
	put := func(key string, body []byte, p s3test.Properties, options ...s3test.PutOption) {
		written = written.Add(time.Minute)
		b.Put(key, body, p, append(options, s3test.ModifiedAt(written))...)
	}
	for _, k := range kinds {
		for i := range objectsPerKind {
			put(k.key(i), c.bytes(k.most*i/objectsPerKind), k.properties)
		}
	}
	for i, key := range awkwardKeys {
		put(key, c.bytes(i*97), kinds[i%len(kinds)].properties)
	}
	put("large/streamed.bin", c.bytes(largeObject), s3test.Properties{}, s3test.WithChecksum("SHA256"))
	put("large/parts.bin", c.bytes(partedObject), s3test.Properties{ContentType: "video/mp4"},
		s3test.InParts(partSize, partSize), s3test.WithFullChecksum("CRC64NVME"))
	return measure(b)
}

func (k kind) key(i int) string { return fmt.Sprintf("%s/%04d.%s", k.folder, i, k.extension) }

func measure(b *s3test.Bucket) filling {
	f := filling{Awkward: len(awkwardKeys)}
	for _, o := range b.Dump() {
		f.Objects++
		f.Bytes += int64(len(o.Body))
	}
	return f
}

// changes counts what happened to a bucket between two backups.
type changes struct {
	Added       int `json:"added"`
	Overwritten int `json:"overwritten"`
	Metadata    int `json:"metadata"` // overwritten with the same bytes
	Retagged    int `json:"retagged"`
	Class       int `json:"class"` // moved to another storage class
	Deleted     int `json:"deleted"`
}

// read is how many objects a backup has to read because of the changes.
func (c changes) read() int {
	return c.Added + c.Overwritten + c.Metadata + c.Retagged + c.Class
}

// change does to a bucket what happens to buckets.
func change(b *s3test.Bucket, c contents) changes {
	photos, site, old, logs, invoices, archive := kinds[0], kinds[1], kinds[2], kinds[3], kinds[4], kinds[5]
	for i := range 5 {
		b.Put(photos.key(objectsPerKind+i), c.bytes(50<<10), photos.properties)
	}
	for i := range 4 {
		b.Put(site.key(2*i), c.bytes(15<<10), site.properties)
	}
	for i := range 3 {
		o, _ := b.Get(invoices.key(i))
		o.Metadata = map[string]string{"checked-by": "R. Roe", "again": "true"}
		b.Put(o.Key, o.Body, o.Properties)
	}
	for i := range 3 {
		b.SetTags(logs.key(i), map[string]string{"retention": "1 year"})
	}
	for i := range 2 {
		b.SetClass(archive.key(i), "STANDARD")
	}
	for i := range 4 {
		b.Delete(old.key(i))
	}
	return changes{Added: 5, Overwritten: 4, Metadata: 3, Retagged: 3, Class: 2, Deleted: 4}
}
