package klosettest

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// Object is one object of a bucket, with everything that a backup must bring
// back. The zero value of a property means that the object does not have it.
type Object struct {
	Key  string
	Body []byte

	// ModTime is a wish: most services set the time of writing themselves, so
	// no check compares it.
	ModTime time.Time

	ContentType        string
	CacheControl       string
	ContentDisposition string
	ContentEncoding    string
	ContentLanguage    string
	Expires            string // the raw header value
	WebsiteRedirect    string
	StorageClass       string // empty means the default class

	Metadata map[string]string // lower-case names
	Tags     map[string]string
}

// Property names one comparable property of an [Object].
type Property string

// The properties of an object, by the names under which harnesses declare that
// a service loses them.
const (
	ContentType        Property = "content-type"
	CacheControl       Property = "cache-control"
	ContentDisposition Property = "content-disposition"
	ContentEncoding    Property = "content-encoding"
	ContentLanguage    Property = "content-language"
	Expires            Property = "expires"
	ExpiresText        Property = "expires-text" // a value that is no date
	WebsiteRedirect    Property = "website-redirect"
	StorageClass       Property = "storage-class"
	Metadata           Property = "metadata"
	MetadataUnicode    Property = "metadata-unicode" // values that are not ASCII
	Tags               Property = "tags"
	TagsUnicode        Property = "tags-unicode" // keys and values that are not ASCII
)

// Losses says which properties a service cannot keep, each with the reason. The
// suites log the reason, do not set the property and do not compare it.
type Losses map[Property]string

// headers lists the properties that are one string each, with the field that
// holds them.
var headers = []struct {
	property Property
	field    func(*Object) *string
}{
	{ContentType, func(o *Object) *string { return &o.ContentType }},
	{CacheControl, func(o *Object) *string { return &o.CacheControl }},
	{ContentDisposition, func(o *Object) *string { return &o.ContentDisposition }},
	{ContentEncoding, func(o *Object) *string { return &o.ContentEncoding }},
	{ContentLanguage, func(o *Object) *string { return &o.ContentLanguage }},
	{Expires, func(o *Object) *string { return &o.Expires }},
	{WebsiteRedirect, func(o *Object) *string { return &o.WebsiteRedirect }},
	{StorageClass, func(o *Object) *string { return &o.StorageClass }},
}

// groups lists the properties that are a map each.
var groups = []struct {
	property Property
	field    func(*Object) *map[string]string
}{
	{Metadata, func(o *Object) *map[string]string { return &o.Metadata }},
	{Tags, func(o *Object) *map[string]string { return &o.Tags }},
}

// Diff returns one line for each property in which got differs from want, the
// body included and ModTime excluded, and nothing for what losses names. A
// content type that was not set is not compared: services invent one.
func Diff(want, got Object, losses Losses) []string {
	var lines []string
	if want.Key != got.Key {
		lines = append(lines, fmt.Sprintf("key: got %q, want %q", got.Key, want.Key))
	}
	if line := diffBody(want.Body, got.Body); line != "" {
		lines = append(lines, "body: "+line)
	}
	for _, h := range headers {
		w, g := *h.field(&want), *h.field(&got)
		if _, lost := losses[h.property]; lost || w == g || h.property == ContentType && w == "" {
			continue
		}
		lines = append(lines, fmt.Sprintf("%s: got %q, want %q", h.property, g, w))
	}
	for _, m := range groups {
		if _, lost := losses[m.property]; lost {
			continue
		}
		lines = append(lines, diffMap(m.property, *m.field(&want), *m.field(&got))...)
	}
	return lines
}

// strip returns copies of objects without the properties that losses names, and
// logs each of them once with its reason.
func strip(t testing.TB, objs []Object, losses Losses) []Object {
	t.Helper()
	for _, p := range slices.Sorted(maps.Keys(losses)) {
		t.Logf("not compared: %s: %s", p, losses[p])
	}
	out := slices.Clone(objs)
	for i := range out {
		for _, h := range headers {
			if _, lost := losses[h.property]; lost {
				*h.field(&out[i]) = ""
			}
		}
		for _, g := range groups {
			if _, lost := losses[g.property]; lost {
				*g.field(&out[i]) = nil
			}
		}
		if _, lost := losses[ExpiresText]; lost {
			if _, err := http.ParseTime(out[i].Expires); err != nil {
				out[i].Expires = ""
			}
		}
		if _, lost := losses[MetadataUnicode]; lost {
			out[i].Metadata = maps.Clone(out[i].Metadata)
			maps.DeleteFunc(out[i].Metadata, func(_, v string) bool { return !isASCII(v) })
		}
		if _, lost := losses[TagsUnicode]; lost {
			out[i].Tags = maps.Clone(out[i].Tags)
			maps.DeleteFunc(out[i].Tags, func(k, v string) bool { return !isASCII(k + v) })
		}
	}
	return out
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0
}

func diffMap(p Property, want, got map[string]string) []string {
	var lines []string
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if g, ok := got[k]; !ok {
			lines = append(lines, fmt.Sprintf("%s: %q is missing", p, k))
		} else if g != want[k] {
			lines = append(lines, fmt.Sprintf("%s: %q: got %q, want %q", p, k, g, want[k]))
		}
	}
	for _, k := range slices.Sorted(maps.Keys(got)) {
		if _, ok := want[k]; !ok {
			lines = append(lines, fmt.Sprintf("%s: %q is new", p, k))
		}
	}
	return lines
}

// diffBody describes the first difference of two bodies in a few words, because
// a body of megabytes in a failure message helps nobody.
func diffBody(want, got []byte) string {
	if bytes.Equal(want, got) {
		return ""
	}
	const block = 4 * kib // compared at once, which is much faster
	n, both := 0, min(len(want), len(got))
	for n+block <= both && bytes.Equal(want[n:n+block], got[n:n+block]) {
		n += block
	}
	for n < both && want[n] == got[n] {
		n++
	}
	return fmt.Sprintf("got %d bytes, want %d, equal up to offset %d", len(got), len(want), n)
}

// diffObjects compares two buckets and returns one line for each difference.
func diffObjects(want, got []Object, losses Losses) []string {
	byKey := func(a, b Object) int { return cmp.Compare(a.Key, b.Key) }
	want, got = slices.SortedFunc(slices.Values(want), byKey), slices.SortedFunc(slices.Values(got), byKey)

	var lines []string
	for len(want) > 0 || len(got) > 0 {
		switch {
		case len(got) == 0 || len(want) > 0 && want[0].Key < got[0].Key:
			lines = append(lines, fmt.Sprintf("%q is missing", want[0].Key))
			want = want[1:]
		case len(want) == 0 || got[0].Key < want[0].Key:
			lines = append(lines, fmt.Sprintf("%q is there and should not be", got[0].Key))
			got = got[1:]
		default:
			for _, line := range Diff(want[0], got[0], losses) {
				lines = append(lines, fmt.Sprintf("%q: %s", want[0].Key, line))
			}
			want, got = want[1:], got[1:]
		}
	}
	return lines
}
