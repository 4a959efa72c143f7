package s3test_test

import (
	"encoding/xml"
	"fmt"
	"strings"
	"testing"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// versionPage is an answer to ListObjectVersions that keeps the order of the document.
type versionPage struct {
	XMLName             xml.Name `xml:"ListVersionsResult"`
	NextKeyMarker       string
	NextVersionIdMarker string
	IsTruncated         bool
	Items               []listedVersion `xml:",any"`
}

type listedVersion struct {
	XMLName                xml.Name
	Key, VersionId, Prefix string
	IsLatest               bool
	Size                   int64
	Text                   string `xml:",chardata"`
}

// entries writes versions as KEY:BODY-SIZE, markers as KEY:x and prefixes as PREFIX, with "*" at the latest.
func (p versionPage) entries() []string {
	var all []string
	for _, item := range p.Items {
		latest := ""
		if item.IsLatest {
			latest = "*"
		}
		switch item.XMLName.Local {
		case "Version":
			all = append(all, fmt.Sprintf("%s:%d%s", item.Key, item.Size, latest))
		case "DeleteMarker":
			all = append(all, item.Key+":x"+latest)
		case "CommonPrefixes":
			all = append(all, item.Prefix)
		}
	}
	return all
}

func (c *client) versions(q string) versionPage {
	c.t.Helper()
	var p versionPage
	c.get("/bucket?versions&encoding-type=url" + q).ok().into(&p)
	return p
}

// allVersions follows the markers.
func (c *client) allVersions(q string) string {
	c.t.Helper()
	var all []string
	markers := ""
	for {
		p := c.versions(q + markers)
		all = append(all, p.entries()...)
		if !p.IsTruncated {
			return strings.Join(all, " ")
		}
		markers = "&key-marker=" + p.NextKeyMarker
		if p.NextVersionIdMarker != "" {
			markers += "&version-id-marker=" + p.NextVersionIdMarker
		}
	}
}

const versioningXML = `<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>%s</Status></VersioningConfiguration>`

func TestVersioningStates(t *testing.T) {
	_, _, c := started(t)
	c.get("/bucket?versioning").ok().lacks("<Status>")
	c.put("/bucket?versioning", fmt.Sprintf(versioningXML, "On")).is(400, "IllegalVersioningConfigurationException")
	c.put("/bucket?versioning", "<Nonsense/>").is(400, "MalformedXML")
	c.put(at("k"), "0").ok().has("X-Amz-Version-Id", "")
	c.put("/bucket?versioning", fmt.Sprintf(versioningXML, "Enabled")).ok()
	c.get("/bucket?versioning").ok().contains("<Status>Enabled</Status>")
	first := c.put(at("k"), "11").ok().header.Get("X-Amz-Version-Id")
	second := c.put(at("k"), "222").ok().header.Get("X-Amz-Version-Id")
	if first == "" || first == second {
		t.Fatalf("versions %q and %q", first, second)
	}
	equal(t, "versions", c.allVersions(""), "k:3* k:2 k:1")
	c.get(at("k")+"?versionId=null").ok().holds("0").has("X-Amz-Version-Id", "null")
	c.get(at("k")+"?versionId="+first).ok().holds("11").has("X-Amz-Version-Id", first)
	c.get(at("k")).ok().holds("222").has("X-Amz-Version-Id", second)

	c.put("/bucket?versioning", fmt.Sprintf(versioningXML, "Suspended")).ok()
	c.put(at("k"), "4444").ok().has("X-Amz-Version-Id", "")
	equal(t, "versions", c.allVersions(""), "k:4* k:3 k:2")
	c.remove(at("k")).is(204, "").has("X-Amz-Delete-Marker", "true").has("X-Amz-Version-Id", "null")
	equal(t, "versions", c.allVersions(""), "k:x* k:3 k:2")
}

func TestDeleteMarkers(t *testing.T) {
	_, b, c := started(t)
	b.SetVersioning(true)
	c.put(at("k"), "1").ok()
	r := c.remove(at("k")).is(204, "").has("X-Amz-Delete-Marker", "true")
	marker := r.header.Get("X-Amz-Version-Id")
	c.get(at("k")).is(404, "NoSuchKey").has("X-Amz-Delete-Marker", "true").has("X-Amz-Version-Id", marker)
	c.head(at("k")).is(404, "").has("X-Amz-Delete-Marker", "true")
	c.get(at("k")+"?versionId="+marker).is(405, "MethodNotAllowed").has("Allow", "DELETE").has("X-Amz-Delete-Marker", "true")
	c.head(at("k")+"?versionId="+marker).is(405, "")
	c.get(at("k")+"?tagging&versionId="+marker).is(405, "MethodNotAllowed")
	c.remove(at("k")+"?versionId="+marker).is(204, "").has("X-Amz-Delete-Marker", "true").has("X-Amz-Version-Id", marker)
	c.get(at("k")).ok().holds("1")
	c.remove(at("k")+"?versionId=unknown").is(204, "")
	c.remove(at("never")).is(204, "").has("X-Amz-Delete-Marker", "true")
	equal(t, "versions", c.allVersions(""), "k:1* never:x*")
	equal(t, "keys", strings.Join(b.Keys(), " "), "k")
}

func TestListVersionsPages(t *testing.T) {
	_, b, c := started(t)
	b.SetVersioning(true)
	for _, key := range []string{"a", "b/1", "b/2", "c"} {
		for n := 1; n <= 3; n++ {
			b.Put(key, make([]byte, n), s3test.Properties{})
		}
	}
	b.Delete("a")
	const all = "a:x* a:3 a:2 a:1 b/1:3* b/1:2 b/1:1 b/2:3* b/2:2 b/2:1 c:3* c:2 c:1"
	for limit := 1; limit <= 14; limit++ {
		equal(t, "versions", c.allVersions(fmt.Sprintf("&max-keys=%d", limit)), all)
	}
	equal(t, "in folders", c.allVersions("&delimiter=/"), "a:x* a:3 a:2 a:1 c:3* c:2 c:1 b/")
	equal(t, "in folders, one by one", c.allVersions("&delimiter=/&max-keys=1"), "a:x* a:3 a:2 a:1 b/ c:3* c:2 c:1")
	equal(t, "of a prefix", c.allVersions("&prefix=b/2&max-keys=2"), "b/2:3* b/2:2 b/2:1")
	equal(t, "after a key", c.allVersions("&key-marker=b/2"), "c:3* c:2 c:1")
	c.get("/bucket?versions&version-id-marker=x").is(400, "InvalidArgument")
	c.get("/bucket?versions&key-marker=a&version-id-marker=x").is(400, "InvalidArgument")
	var direct []string
	for _, v := range b.Versions() {
		direct = append(direct, v.Key)
	}
	equal(t, "direct", len(direct), 13)
}

// TestListVersionsSurvivesChanges deletes the version that the marker names.
func TestListVersionsSurvivesChanges(t *testing.T) {
	_, b, c := started(t)
	b.SetVersioning(true)
	for n := 1; n <= 4; n++ {
		b.Put("a", make([]byte, n), s3test.Properties{})
	}
	fill(b, "b")
	p := c.versions("&max-keys=2")
	b.DeleteVersion("a", p.NextVersionIdMarker)
	next := c.versions("&key-marker=" + p.NextKeyMarker + "&version-id-marker=" + p.NextVersionIdMarker)
	equal(t, "rest", strings.Join(next.entries(), " "), "a:2 a:1 b:1*")
}

const deleteXML = `<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">%s</Delete>`

func (c *client) deleteObjects(entries string) reply {
	c.t.Helper()
	body := fmt.Sprintf(deleteXML, entries)
	return c.post("/bucket?delete", body, with("Content-Md5", md5Base64(body)))
}

func TestDeleteObjects(t *testing.T) {
	_, b, c := started(t)
	fill(b, "a", "b", "c&<>", "d\ne", "keep")
	c.deleteObjects("<Object><Key>a</Key></Object><Object><Key>never</Key></Object><Object><Key>c&amp;&lt;&gt;</Key></Object>"+
		"<Object><Key>d&#xA;e</Key></Object>").ok().
		contains("<Deleted><Key>a</Key></Deleted>", "<Deleted><Key>never</Key></Deleted>", "<Key>c&amp;&lt;&gt;</Key>").lacks("<Error>")
	equal(t, "keys", strings.Join(b.Keys(), " "), "b keep")
	c.deleteObjects("<Quiet>true</Quiet><Object><Key>b</Key></Object>").ok().lacks("<Deleted>")
	equal(t, "keys", strings.Join(b.Keys(), " "), "keep")
	c.deleteObjects("<Object><Key>keep</Key><ETag>\"x\"</ETag></Object>").ok().contains("<Code>PreconditionFailed</Code>")
	c.deleteObjects("<Object><Key>keep</Key><Size>3</Size></Object>").ok().contains("<Code>PreconditionFailed</Code>")
	c.deleteObjects("<Object><Key>keep</Key><LastModifiedTime>2001-01-01T00:00:00Z</LastModifiedTime></Object>").ok().
		contains("<Code>PreconditionFailed</Code>")
	c.deleteObjects("<Object><Key>keep</Key><LastModifiedTime>then</LastModifiedTime></Object>").ok().contains("<Code>InvalidArgument</Code>")
	c.deleteObjects("<Object><Key>" + strings.Repeat("k", 1025) + "</Key></Object>").ok().contains("<Code>KeyTooLongError</Code>")
	c.deleteObjects("<Object><Key></Key></Object>").ok().contains("<Code>UserKeyMustBeSpecified</Code>")
	c.deleteObjects("").is(400, "MalformedXML")
	c.deleteObjects(strings.Repeat("<Object><Key>k</Key></Object>", 1001)).is(400, "MalformedXML")
	body := fmt.Sprintf(deleteXML, "<Object><Key>keep</Key></Object>")
	c.post("/bucket?delete", body).is(400, "InvalidRequest")
	c.post("/bucket?delete", body, with("Content-Md5", md5Base64("x"))).is(400, "BadDigest")
	c.post("/bucket?delete", "<Delete", with("Content-Md5", md5Base64("<Delete"))).is(400, "MalformedXML")
	equal(t, "keys", b.Len(), 1)
	c.post("/bucket?delete", body, with("X-Amz-Checksum-Crc32", crc32Base64(body))).ok()
	equal(t, "keys", b.Len(), 0)
}

func TestDeleteObjectsOfVersions(t *testing.T) {
	_, b, c := started(t)
	b.SetVersioning(true)
	first := b.Put("k", []byte("1"), s3test.Properties{}).VersionID
	fill(b, "other")
	c.deleteObjects("<Object><Key>k</Key><VersionId>"+first+"</VersionId></Object><Object><Key>other</Key></Object>").ok().
		contains("<VersionId>"+first+"</VersionId>", "<DeleteMarker>true</DeleteMarker><DeleteMarkerVersionId>")
	equal(t, "versions", c.allVersions(""), "other:x* other:5")
}
