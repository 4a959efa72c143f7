package s3test_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

func taggingXML(pairs ...string) string {
	var b strings.Builder
	for i := 0; i < len(pairs); i += 2 {
		fmt.Fprintf(&b, "<Tag><Key>%s</Key><Value>%s</Value></Tag>", pairs[i], pairs[i+1])
	}
	return `<Tagging xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><TagSet>` + b.String() + "</TagSet></Tagging>"
}

func TestObjectTagging(t *testing.T) {
	_, b, c := started(t)
	fill(b, "k")
	c.get(at("k") + "?tagging").ok().contains("<TagSet></TagSet>")
	c.put(at("k")+"?tagging", taggingXML("b", "2", "a", "é +-=._:/@")).ok()
	c.get(at("k") + "?tagging").ok().contains("<Tag><Key>a</Key><Value>é +-=._:/@</Value></Tag><Tag><Key>b</Key><Value>2</Value></Tag>")
	c.head(at("k")).ok().has("X-Amz-Tagging-Count", "2")
	eleven := make([]string, 0, 22)
	for i := range 11 {
		eleven = append(eleven, fmt.Sprint(i), "")
	}
	for name, test := range map[string]struct{ body, code string }{
		"twice":       {taggingXML("a", "1", "a", "2"), "InvalidTag"},
		"eleven":      {taggingXML(eleven...), "BadRequest"},
		"no key":      {taggingXML("", "1"), "InvalidTag"},
		"system":      {taggingXML("AWS:x", "1"), "InvalidTag"},
		"character":   {taggingXML("a", "{}"), "InvalidTag"},
		"no value":    {"<Tagging><TagSet><Tag><Key>a</Key></Tag></TagSet></Tagging>", "MalformedXML"},
		"two values":  {"<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value><Value>2</Value></Tag></TagSet></Tagging>", "MalformedXML"},
		"other field": {"<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value><X/></Tag></TagSet></Tagging>", "MalformedXML"},
		"two roots":   {taggingXML() + taggingXML(), "MalformedXML"},
		"no document": {"", "MalformedXML"},
	} {
		t.Run(name, func(t *testing.T) { c.in(t).put(at("k")+"?tagging", test.body).is(400, test.code) })
	}
	equal(t, "tags", len(tags(b, "k")), 2)
	c.remove(at("k")+"?tagging").is(204, "")
	equal(t, "tags", len(tags(b, "k")), 0)
	c.get(at("none")+"?tagging").is(404, "NoSuchKey")
	c.put(at("none")+"?tagging", taggingXML()).is(404, "NoSuchKey")
}

func tags(b *s3test.Bucket, key string) map[string]string {
	o, _ := b.Get(key)
	return o.Tags
}

func TestTaggingOfVersions(t *testing.T) {
	_, b, c := started(t)
	b.SetVersioning(true)
	first := b.Put("k", nil, s3test.Properties{}).VersionID
	fill(b, "k")
	c.put(at("k")+"?tagging&versionId="+first, taggingXML("a", "1")).ok().has("X-Amz-Version-Id", first)
	equal(t, "tags of the newest", len(tags(b, "k")), 0)
	c.get(at("k") + "?tagging&versionId=" + first).ok().contains("<Key>a</Key>")
	b.SetTags("k", map[string]string{"z": "26"})
	c.get(at("k") + "?tagging").ok().contains("<Key>z</Key>").lacks("<Key>a</Key>")
}

func TestWithoutTagging(t *testing.T) {
	_, b, c := started(t, s3test.WithoutFeature(s3test.Tagging))
	b.Put("k", nil, s3test.Properties{Tags: map[string]string{"a": "1"}})
	c.head(at("k")).ok().has("X-Amz-Tagging-Count", "")
	c.get(at("k")+"?tagging").is(501, "NotImplemented")
	c.put(at("k"), "", with("X-Amz-Tagging", "a=1")).is(501, "NotImplemented")
}
