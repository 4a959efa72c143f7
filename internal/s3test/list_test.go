package s3test_test

import (
	"encoding/xml"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// page is an answer to ListObjects or ListObjectsV2.
type page struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	Name                  string
	Prefix                string
	Delimiter             string
	StartAfter            string
	EncodingType          string
	ContinuationToken     string
	NextContinuationToken string
	NextMarker            string
	KeyCount              int
	MaxKeys               int
	IsTruncated           bool
	Contents              []listedObject
	CommonPrefixes        []struct{ Prefix string }
}

type listedObject struct {
	Key, ETag, StorageClass, LastModified string
	ChecksumAlgorithm, ChecksumType       string
	Size                                  int64
	Owner                                 *struct{ ID string }
	RestoreStatus                         *struct {
		IsRestoreInProgress bool
		RestoreExpiryDate   string
	}
}

func (p page) keys() (keys, prefixes []string) {
	for _, o := range p.Contents {
		keys = append(keys, unescape(o.Key))
	}
	for _, c := range p.CommonPrefixes {
		prefixes = append(prefixes, unescape(c.Prefix))
	}
	return keys, prefixes
}

func unescape(s string) string {
	decoded, err := url.QueryUnescape(s)
	if err != nil {
		panic(err)
	}
	return decoded
}

// query makes the query of a listing from names and values.
func query(pairs ...string) string {
	q := "?list-type=2&encoding-type=url"
	for pair := range slices.Chunk(pairs, 2) {
		q += "&" + pair[0] + "=" + url.QueryEscape(pair[1])
	}
	return q
}

func (c *client) list(pairs ...string) page {
	c.t.Helper()
	var p page
	c.get("/bucket" + query(pairs...)).ok().into(&p)
	return p
}

// listAll follows the continuation tokens.
func (c *client) listAll(pairs ...string) (keys, prefixes []string, pages int) {
	c.t.Helper()
	var token []string
	for pages = 1; ; pages++ {
		p := c.list(append(pairs, token...)...)
		k, q := p.keys()
		keys, prefixes = append(keys, k...), append(prefixes, q...)
		equal(c.t, "KeyCount", p.KeyCount, len(k)+len(q))
		if !p.IsTruncated {
			equal(c.t, "token of the last page", p.NextContinuationToken, "")
			return keys, prefixes, pages
		}
		token = []string{"continuation-token", p.NextContinuationToken}
	}
}

func fill(b *s3test.Bucket, keys ...string) {
	for _, key := range keys {
		b.Put(key, []byte(key), s3test.Properties{})
	}
}

func TestListIsInByteOrder(t *testing.T) {
	_, b, c := started(t)
	fill(b, hostileKeys...)
	want := slices.Sorted(slices.Values(hostileKeys))
	for _, limit := range []int{1, 3, 7, 1000} {
		keys, _, pages := c.listAll("max-keys", fmt.Sprint(limit))
		if !slices.Equal(keys, want) {
			t.Fatalf("max-keys %d: %q\nwant %q", limit, keys, want)
		}
		equal(t, "pages", pages, (len(want)+limit-1)/limit)
	}
}

func TestListSelects(t *testing.T) {
	_, b, c := started(t)
	fill(b, "a", "a!", "a-b", "a/b", "a/b/c", "a/c", "ab", "b", "b/", "b/x", "c/x", "z\xff", "z\xffa")
	for _, test := range []struct {
		name     string
		query    []string
		keys     string
		prefixes string
	}{
		{"prefix", []string{"prefix", "a/"}, "a/b a/b/c a/c", ""},
		{"prefix that is a key", []string{"prefix", "ab"}, "ab", ""},
		{"prefix of nothing", []string{"prefix", "x"}, "", ""},
		{"prefix of 0xff", []string{"prefix", "z\xff"}, "z\xff z\xffa", ""},
		{"delimiter", []string{"delimiter", "/"}, "a a! a-b ab b z\xff z\xffa", "a/ b/ c/"},
		{"prefix and delimiter", []string{"prefix", "a/", "delimiter", "/"}, "a/b a/c", "a/b/"},
		{"marker and delimiter", []string{"prefix", "b/", "delimiter", "/"}, "b/ b/x", ""},
		{"long delimiter", []string{"delimiter", "/b"}, "a a! a-b a/c ab b b/ b/x c/x z\xff z\xffa", "a/b"},
		{"start-after a key", []string{"start-after", "a/c"}, "ab b b/ b/x c/x z\xff z\xffa", ""},
		{"start-after no key", []string{"start-after", "a/bb"}, "a/c ab b b/ b/x c/x z\xff z\xffa", ""},
		{"start-after before the prefix", []string{"start-after", "a", "prefix", "b"}, "b b/ b/x", ""},
		{"start-after behind the prefix", []string{"start-after", "c", "prefix", "b"}, "", ""},
		{"start-after the end", []string{"start-after", "z\xffz"}, "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := c.in(t)
			for _, limit := range []string{"1", "2", "1000"} {
				keys, prefixes, _ := c.listAll(append(test.query, "max-keys", limit)...)
				equal(t, "keys", strings.Join(keys, " "), test.keys)
				equal(t, "prefixes", strings.Join(prefixes, " "), test.prefixes)
			}
		})
	}
}

func TestListEchoesItsQuery(t *testing.T) {
	_, b, c := started(t)
	fill(b, "a b/1", "a b/2")
	p := c.list("prefix", "a b", "delimiter", "/ ", "start-after", "a b", "max-keys", "1")
	equal(t, "Name", p.Name, "bucket")
	equal(t, "Prefix", p.Prefix, "a+b")
	equal(t, "Delimiter", p.Delimiter, "/+")
	equal(t, "StartAfter", p.StartAfter, "a+b")
	equal(t, "EncodingType", p.EncodingType, "url")
	equal(t, "MaxKeys", p.MaxKeys, 1)
	next := c.list("prefix", "a b", "delimiter", "/ ", "continuation-token", p.NextContinuationToken)
	equal(t, "ContinuationToken", next.ContinuationToken, p.NextContinuationToken)
	equal(t, "next", next.Contents[0].Key, "a+b/2")
}

func TestListTellsOfObjects(t *testing.T) {
	_, b, c := started(t)
	o := b.Put("k", []byte("body"), s3test.Properties{StorageClass: "STANDARD_IA"}, s3test.WithChecksum("CRC32C"))
	b.Put("plain", nil, s3test.Properties{})
	p := c.list()
	got := p.Contents[0]
	equal(t, "ETag", got.ETag, `"`+o.ETag+`"`)
	equal(t, "class", got.StorageClass, "STANDARD_IA")
	equal(t, "checksum", got.ChecksumAlgorithm+got.ChecksumType, "CRC32CFULL_OBJECT")
	equal(t, "size", got.Size, 4)
	equal(t, "modified", got.LastModified, o.LastModified.Format("2006-01-02T15:04:05.000Z"))
	equal(t, "owner", got.Owner == nil, true)
	equal(t, "class of plain", p.Contents[1].StorageClass, "STANDARD")
	equal(t, "owner with fetch-owner", c.list("fetch-owner", "true").Contents[0].Owner != nil, true)
}

func TestListRefuses(t *testing.T) {
	_, _, c := started(t)
	for _, q := range []string{
		"max-keys=-1", "max-keys=x", "max-keys=1e3", "encoding-type=base64", "continuation-token=", "continuation-token=a",
		"continuation-token=aw==", "list-type=1",
	} {
		target := "/bucket?list-type=2&" + q
		if strings.HasPrefix(q, "list-type") {
			target = "/bucket?" + q
		}
		c.get(target).is(400, "InvalidArgument")
	}
	p := c.list("max-keys", "5000")
	equal(t, "MaxKeys", p.MaxKeys, 1000)
}

func TestListOfNothing(t *testing.T) {
	_, b, c := started(t)
	p := c.list()
	equal(t, "KeyCount", p.KeyCount, 0)
	fill(b, "k")
	p = c.list("max-keys", "0")
	equal(t, "KeyCount", p.KeyCount, 0)
	equal(t, "IsTruncated", p.IsTruncated, false)
}

func TestListWithoutEncoding(t *testing.T) {
	_, b, c := started(t)
	fill(b, "a b&<>\"", "é")
	var p page
	c.get("/bucket?list-type=2").ok().into(&p)
	equal(t, "first", p.Contents[0].Key, "a b&<>\"")
	equal(t, "second", p.Contents[1].Key, "é")
	fill(b, "c\x01")
	r := c.get("/bucket?list-type=2").ok().contains("&#x1;")
	if xml.Unmarshal(r.body, &p) == nil {
		t.Error("a listing that XML cannot hold was read")
	}
}

func TestListSkipsDeleteMarkers(t *testing.T) {
	_, b, c := started(t)
	b.SetVersioning(true)
	fill(b, "a", "b/1", "b/2", "c")
	b.Delete("a")
	b.Delete("b/1")
	b.Delete("b/2")
	keys, prefixes, pages := c.listAll("delimiter", "/", "max-keys", "1")
	equal(t, "keys", strings.Join(keys, " "), "c")
	equal(t, "prefixes", len(prefixes), 0)
	equal(t, "pages", pages, 1)
}

// TestListSurvivesChanges deletes what was just listed, and what comes next, between two pages.
func TestListSurvivesChanges(t *testing.T) {
	_, b, c := started(t)
	fill(b, "a", "b", "c", "d")
	p := c.list("max-keys", "2")
	b.Delete("b")
	b.Delete("c")
	fill(b, "aa", "cc")
	keys, _ := c.list("continuation-token", p.NextContinuationToken).keys()
	equal(t, "keys", strings.Join(keys, " "), "cc d")
}

func TestListV1(t *testing.T) {
	_, b, c := started(t)
	fill(b, "a/1", "a/2", "b", "c/1", "d")
	list := func(q string) page {
		var p page
		c.get("/bucket?encoding-type=url" + q).ok().into(&p)
		return p
	}
	p := list("&delimiter=/&max-keys=2")
	keys, prefixes := p.keys()
	equal(t, "first page", fmt.Sprint(keys, prefixes, p.IsTruncated), "[b] [a/] true")
	p = list("&delimiter=/&max-keys=2&marker=" + p.NextMarker)
	keys, prefixes = p.keys()
	equal(t, "second page", fmt.Sprint(keys, prefixes, p.IsTruncated), "[d] [c/] false")
	p = list("&max-keys=2&marker=a/2")
	keys, _ = p.keys()
	equal(t, "after a/2", fmt.Sprint(keys, p.NextMarker), "[b c/1]")
	p = list("&marker=a/")
	keys, _ = p.keys()
	equal(t, "after a/", fmt.Sprint(keys), "[a/1 a/2 b c/1 d]")
}

func TestPageSize(t *testing.T) {
	_, b, c := started(t, s3test.WithPageSize(2))
	fill(b, "a", "b", "c", "d", "e")
	p := c.list()
	equal(t, "keys of a page", len(p.Contents), 2)
	equal(t, "MaxKeys", p.MaxKeys, 1000)
	keys, _, pages := c.listAll()
	equal(t, "keys", strings.Join(keys, ""), "abcde")
	equal(t, "pages", pages, 3)
	_, _, pages = c.listAll("max-keys", "1")
	equal(t, "pages of one", pages, 5)
}
