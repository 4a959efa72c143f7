package main

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// property is one thing that must come back as it was.
type property struct {
	name string
	of   func(s3test.Object) string
}

// properties are all that a client can see of an object, except for its time,
// version and access control list, which are of the bucket that it lies in, and
// its checksum, which may be of another algorithm over the same bytes.
var properties = []property{
	{"etag", func(o s3test.Object) string { return o.ETag }},
	{"size of parts", func(o s3test.Object) string { return fmt.Sprint(o.PartSizes) }},
	{"content-type", func(o s3test.Object) string { return o.ContentType }},
	{"cache-control", func(o s3test.Object) string { return o.CacheControl }},
	{"content-disposition", func(o s3test.Object) string { return o.ContentDisposition }},
	{"content-encoding", func(o s3test.Object) string { return o.ContentEncoding }},
	{"content-language", func(o s3test.Object) string { return o.ContentLanguage }},
	{"expires", func(o s3test.Object) string { return o.Expires }},
	{"website-redirect", func(o s3test.Object) string { return o.WebsiteRedirect }},
	{"user metadata", func(o s3test.Object) string { return pairs(o.Metadata) }},
	{"tags", func(o s3test.Object) string { return pairs(o.Tags) }},
	{"storage class", func(o s3test.Object) string { return o.StorageClass }},
	{"encryption", func(o s3test.Object) string { return o.Encryption }},
}

func pairs(m map[string]string) string {
	var texts []string
	for _, key := range slices.Sorted(maps.Keys(m)) {
		texts = append(texts, fmt.Sprintf("%q=%q", key, m[key]))
	}
	return strings.Join(texts, " ")
}

// comparison is how two buckets differ.
type comparison struct {
	Objects     int      `json:"objects"`
	Properties  int      `json:"properties"` // the bytes of an object are one
	Differences []string `json:"differences,omitempty"`
}

func compare(want, got *s3test.Bucket) comparison {
	var c comparison
	left := make(map[string]s3test.Object)
	for _, o := range got.Dump() {
		left[o.Key] = o
	}
	for _, o := range want.Dump() {
		c.Objects++
		other, found := left[o.Key]
		delete(left, o.Key)
		if !found {
			c.differ("%q is missing", o.Key)
			continue
		}
		c.object(o, other)
	}
	for _, key := range slices.Sorted(maps.Keys(left)) {
		c.differ("%q is new", key)
	}
	return c
}

func (c *comparison) object(want, got s3test.Object) {
	c.Properties++
	if !bytes.Equal(want.Body, got.Body) {
		c.differ("%q has other bytes", want.Key)
	}
	for _, p := range properties {
		c.Properties++
		if w, g := p.of(want), p.of(got); w != g {
			c.differ("%q has %s %q instead of %q", want.Key, p.name, g, w)
		}
	}
}

func (c *comparison) differ(format string, args ...any) {
	c.Differences = append(c.Differences, fmt.Sprintf(format, args...))
}
