package s3test_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

func TestBuckets(t *testing.T) {
	_, b, c := started(t)
	c.put("/second", "").ok().has("Location", "/second")
	c.put("/second", "").is(409, "BucketAlreadyOwnedByYou")
	for _, name := range []string{"ab", "Upper", "1.2.3.4", "a..b", "-a-", "xn--abc", strings.Repeat("a", 64), "under_score"} {
		c.put("/"+name, "").is(400, "InvalidBucketName")
	}
	c.head("/second").ok().has("X-Amz-Bucket-Region", "us-east-1")
	c.head("/third").is(404, "")
	c.get("/").ok().contains("<Name>bucket</Name>", "<Name>second</Name>")
	c.get("/?prefix=s").ok().contains("<Name>second</Name>").lacks("<Name>bucket</Name>")
	fill(b, "k")
	c.remove("/bucket").is(409, "BucketNotEmpty")
	c.remove(at("k")).is(204, "")
	c.remove("/bucket").is(204, "")
	c.remove("/bucket").is(404, "NoSuchBucket")
	var page struct {
		ContinuationToken string
		Buckets           []struct{ Name string } `xml:"Buckets>Bucket"`
	}
	c.put("/third", "").ok()
	c.get("/?max-buckets=1").ok().into(&page)
	equal(t, "first", page.Buckets[0].Name, "second")
	c.get("/?max-buckets=1&continuation-token=" + page.ContinuationToken).ok().contains("<Name>third</Name>").lacks("second")
}

func TestBucketLocation(t *testing.T) {
	location := func(region string) string {
		return "<CreateBucketConfiguration><LocationConstraint>" + region + "</LocationConstraint></CreateBucketConfiguration>"
	}
	_, _, c := started(t)
	c.get("/bucket?location").ok().lacks("us-east-1")
	c.put("/other", location("eu-west-3")).is(400, "IllegalLocationConstraintException")
	_, _, c = started(t, s3test.WithRegion("eu-west-3"))
	c.get("/bucket?location").ok().contains(">eu-west-3<")
	c.put("/other", "").is(400, "IllegalLocationConstraintException")
	c.put("/other", location("eu-west-3")).ok()
	c.put("/bad", "<CreateBucket").is(400, "MalformedXML")
}

func TestBucketDocuments(t *testing.T) {
	_, _, c := started(t)
	for _, test := range []struct{ flag, root, unset string }{
		{"lifecycle", "LifecycleConfiguration", "NoSuchLifecycleConfiguration"},
		{"cors", "CORSConfiguration", "NoSuchCORSConfiguration"},
		{"encryption", "ServerSideEncryptionConfiguration", "ServerSideEncryptionConfigurationNotFoundError"},
		{"website", "WebsiteConfiguration", "NoSuchWebsiteConfiguration"},
		{"ownershipControls", "OwnershipControls", "OwnershipControlsNotFoundError"},
		{"publicAccessBlock", "PublicAccessBlockConfiguration", "NoSuchPublicAccessBlockConfiguration"},
		{"replication", "ReplicationConfiguration", "ReplicationConfigurationNotFoundError"},
		{"tagging", "Tagging", "NoSuchTagSet"},
	} {
		target := "/bucket?" + test.flag
		body := "<" + test.root + "><X>1</X></" + test.root + ">"
		if test.flag == "tagging" {
			body = taggingXML("a", "1")
		}
		c.get(target).is(404, test.unset)
		c.put(target, "<Other/>").is(400, "MalformedXML")
		c.put(target, "").is(400, "MissingRequestBodyError")
		if r := c.put(target, body); r.status/100 != 2 {
			t.Errorf("%s: %d %s", target, r.status, r.code())
		}
		c.get(target).ok().holds(body)
		c.remove(target).is(204, "")
		c.get(target).is(404, test.unset)
	}
	for _, flag := range []string{"notification", "logging", "accelerate", "requestPayment"} {
		c.get("/bucket?" + flag).ok()
	}
}

func TestBucketPolicy(t *testing.T) {
	_, b, c := started(t)
	fill(b, "k")
	const policy = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":["*"]},"Action":["s3:GetObject"],"Resource":["arn:aws:s3:::%s/*"]}]}`
	c.get("/bucket?policy").is(404, "NoSuchBucketPolicy")
	c.get("/bucket?policyStatus").is(404, "NoSuchBucketPolicy")
	c.put("/bucket?policy", "{").is(400, "MalformedPolicy")
	c.put("/bucket?policy", fmt.Sprintf(policy, "other")).is(204, "")
	c.get("/bucket?policyStatus").ok().contains("false")
	c.put("/bucket?policy", fmt.Sprintf(policy, "bucket")).is(204, "")
	c.get("/bucket?policyStatus").ok().contains("true")
	c.get(at("k"), anonymous).ok()
	c.remove("/bucket?policy").is(204, "")
	c.get(at("k"), anonymous).is(403, "AccessDenied")
}

func TestNamedDocuments(t *testing.T) {
	_, _, c := started(t)
	body := "<InventoryConfiguration><Id>one</Id></InventoryConfiguration>"
	c.get("/bucket?inventory&id=one").is(404, "NoSuchConfiguration")
	c.put("/bucket?inventory&id=one", `<?xml version="1.0"?>`+body).ok()
	c.get("/bucket?inventory").ok().contains(body)
	c.remove("/bucket?inventory&id=one").is(204, "")
	c.remove("/bucket?inventory&id=one").is(404, "NoSuchConfiguration")
}

func TestACLs(t *testing.T) {
	_, b, c := started(t)
	fill(b, "k")
	grants := func(target string) int { return strings.Count(string(c.get(target).ok().body), "<Grant>") }
	equal(t, "grants", grants(at("k")+"?acl"), 1)
	c.put(at("k")+"?acl", "", with("X-Amz-Acl", "public-read")).ok()
	equal(t, "grants", grants(at("k")+"?acl"), 2)
	read := c.get(at("k") + "?acl").body
	c.put(at("k")+"?acl", "", with("X-Amz-Acl", "private")).ok()
	equal(t, "grants", grants(at("k")+"?acl"), 1)
	c.put(at("k")+"?acl", string(read)).ok()
	equal(t, "grants after a round trip", grants(at("k")+"?acl"), 2)
	c.put(at("k")+"?acl", "", with("X-Amz-Acl", "mine")).is(400, "InvalidArgument")
	c.put("/bucket?acl", "", with("X-Amz-Acl", "public-read-write")).ok()
	equal(t, "grants of the bucket", grants("/bucket?acl"), 3)
}

func TestMissingFeatures(t *testing.T) {
	_, b, c := started(t, s3test.WithoutFeature(s3test.Versioning, s3test.BatchDeletes, s3test.Copies, s3test.Attributes,
		s3test.BucketDocuments, s3test.ObjectLock, s3test.MultipartChecksums, s3test.ConditionalWrites, s3test.URLEncoding))
	fill(b, "a b")
	for _, target := range []string{"/bucket?versioning", "/bucket?versions", "/bucket?policy", "/bucket?object-lock", at("a b") + "?attributes"} {
		c.get(target).is(501, "NotImplemented")
	}
	c.deleteObjects("<Object><Key>a b</Key></Object>").is(501, "NotImplemented")
	c.put(at("copy"), "", from("a b")).is(501, "NotImplemented")
	c.post(at("k")+"?uploads", "", with("X-Amz-Checksum-Algorithm", "CRC32")).is(501, "NotImplemented")
	c.put(at("a b"), "again", with("If-None-Match", "*")).ok()
	p := c.list()
	equal(t, "key", p.Contents[0].Key, "a b")
	equal(t, "encoding", p.EncodingType, "")
}

func TestServersThatAreNotS3(t *testing.T) {
	t.Run("checksums", func(t *testing.T) {
		_, _, c := started(t, s3test.WithoutFeature(s3test.Checksums))
		c.put(at("k"), "x", with("X-Amz-Checksum-CRC32", sum("CRC32", "x"))).is(501, "NotImplemented")
		c.put(at("k"), "x", with("X-Amz-Sdk-Checksum-Algorithm", "CRC32")).is(501, "NotImplemented")
		c.put(at("k"), "x").ok()
		c.get(at("k"), with("X-Amz-Checksum-Mode", "ENABLED")).ok()
	})
	t.Run("ETags", func(t *testing.T) {
		_, b, c := started(t, s3test.WithoutFeature(s3test.MD5ETags))
		for _, etag := range []string{c.put(at("k"), "x").ok().header.Get("ETag"), `"` + b.Put("direct", []byte("x"), s3test.Properties{}).ETag + `"`} {
			if len(etag) != 34 || strings.Contains(etag, "9dd4e461268c8034f5c8564e155c67a6") {
				t.Errorf("ETag is %s", etag)
			}
		}
	})
	t.Run("completions", func(t *testing.T) {
		_, _, c := started(t, s3test.WithoutFeature(s3test.CompletionSums))
		u := c.create(with("X-Amz-Checksum-Algorithm", "CRC32"))
		u.upload(1, "a", with("X-Amz-Checksum-CRC32", sum("CRC32", "a")))
		plain := u.parts[0]
		u.parts[0] = strings.Replace(plain, "</Part>", "<ChecksumCRC32>"+sum("CRC32", "a")+"</ChecksumCRC32></Part>", 1)
		u.complete().is(400, "MalformedXML")
		u.parts[0] = plain
		u.complete().ok()
		c.get(at("k")).ok().holds("a")
	})
	t.Run("redirects", func(t *testing.T) {
		_, _, c := started(t, s3test.WithoutFeature(s3test.WebsiteRedirects))
		c.put(at("k"), "x", with("X-Amz-Website-Redirect-Location", "/y")).is(501, "NotImplemented")
		c.put(at("k"), "x").ok()
	})
	t.Run("ranges", func(t *testing.T) {
		_, b, c := started(t, s3test.WithoutFeature(s3test.PartialContent))
		b.Put("k", []byte("0123"), s3test.Properties{})
		c.get(at("k"), with("Range", "bytes=1-2")).ok().has("Content-Range", "bytes 1-2/4").holds("12")
	})
	t.Run("asides", func(t *testing.T) {
		s, b, c := started(t, s3test.WithoutFeature(s3test.Asides))
		b.Put("k", []byte("object"), s3test.Properties{})
		for _, aside := range []string{"?tagging", "?retention", "?legal-hold"} {
			c.get(at("k") + aside).ok().holds("object")
		}
		c.put(at("k")+"?tagging", "<Tagging/>").ok()
		c.get(at("k")).ok().holds("<Tagging/>")
		equal(t, "questions for tags", s.Count("GetObjectTagging"), 1)
		equal(t, "requests in flight", s.InFlight(), 0)
	})
	t.Run("parts", func(t *testing.T) {
		_, _, c := started(t, s3test.WithMaxParts(3))
		u := c.create()
		u.upload(3, "x")
		c.put(u.partTarget(4), "x").is(400, "InvalidArgument")
	})
	t.Run("name", func(t *testing.T) {
		_, _, c := started(t, s3test.WithServerName("Acme"))
		equal(t, "server", c.get("/bucket").ok().header.Get("Server"), "Acme")
	})
	for encoding, want := range map[s3test.ListEncoding]string{
		s3test.FormEncoding: "a+b%2Bc%25/d", s3test.PathEncoding: "a%20b+c%25/d", s3test.NoEncoding: "a b+c%/d",
	} {
		_, b, c := started(t, s3test.WithListEncoding(encoding))
		fill(b, "a b+c%/d")
		p := c.list()
		equal(t, "encoding", p.EncodingType, "url")
		if !strings.Contains(string(c.get("/bucket"+query()).ok().body), "<Key>"+want+"</Key>") {
			t.Errorf("keys are listed otherwise than %q", want)
		}
	}
}
