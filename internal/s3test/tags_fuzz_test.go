package s3test

import (
	"maps"
	"net/url"
	"testing"
)

func FuzzTagHeader(f *testing.F) {
	for _, header := range []string{"a=1&b=2", "a", "a=%C3%A9+%2B", "a=1&a=2", "=", "&", "a=%zz", "aws:x=1"} {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		tags, err := parseTagHeader(header)
		if err != nil {
			return
		}
		query := make(url.Values)
		for key, value := range tags {
			query.Set(key, value)
		}
		again, err := parseTagHeader(query.Encode())
		if err != nil || !maps.Equal(tags, again) {
			t.Errorf("%q is %q, which written again is %q, %v", header, tags, again, err)
		}
	})
}

func FuzzTaggingXML(f *testing.F) {
	f.Add([]byte(`<Tagging xmlns="x"><TagSet><Tag><Key>a</Key><Value>é &amp; </Value></Tag></TagSet></Tagging>`))
	f.Add([]byte(`<?xml version="1.0"?><Tagging><TagSet/></Tagging><!-- end -->`))
	f.Add([]byte(`<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		tags, err := parseTagging(body, maxTags)
		if err != nil {
			return
		}
		written := newDocument("Tagging", func(d *document) { tagElements(d, tags) })
		again, err := parseTagging(written.buf.Bytes(), maxTags)
		if err != nil || !maps.Equal(tags, again) {
			t.Errorf("%q is %q, which written again is %q, %v", body, tags, again, err)
		}
	})
}
