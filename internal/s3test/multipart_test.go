package s3test_test

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"strings"
	"testing"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// uploading is a multipart upload of the key "k" from the client's side.
type uploading struct {
	*client
	id    string
	parts []string // elements for CompleteMultipartUpload
}

func (c *client) create(edits ...edit) *uploading {
	c.t.Helper()
	var created struct{ UploadId string }
	c.post(at("k")+"?uploads", "", edits...).ok().into(&created)
	return &uploading{client: c, id: created.UploadId}
}

func (u *uploading) target() string { return at("k") + "?uploadId=" + u.id }

func (u *uploading) partTarget(number int) string {
	return fmt.Sprintf("%s&partNumber=%d", u.target(), number)
}

func (u *uploading) upload(number int, body string, edits ...edit) reply {
	u.t.Helper()
	r := u.put(u.partTarget(number), body, edits...).ok()
	u.parts = append(u.parts, completedPart(number, r.header.Get("ETag"), ""))
	return r
}

func completedPart(number int, etag, more string) string {
	etag = strings.ReplaceAll(etag, `"`, "&#34;")
	return fmt.Sprintf("<Part><PartNumber>%d</PartNumber><ETag>%s</ETag>%s</Part>", number, etag, more)
}

func completion(parts ...string) string {
	return `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` + strings.Join(parts, "") + "</CompleteMultipartUpload>"
}

func (u *uploading) complete(edits ...edit) reply {
	u.t.Helper()
	return u.post(u.target(), completion(u.parts...), edits...)
}

const fiveMiB = 5 << 20

func multipartTag(parts ...string) string {
	var all []byte
	for _, part := range parts {
		sum := md5.Sum([]byte(part))
		all = append(all, sum[:]...)
	}
	return fmt.Sprintf(`"%x-%d"`, md5.Sum(all), len(parts))
}

func TestMultipartUpload(t *testing.T) {
	_, b, c := started(t)
	u := c.create(with("X-Amz-Meta-A", "1"), with("Content-Type", "text/x"), with("X-Amz-Tagging", "t=1"))
	first, last := strings.Repeat("a", fiveMiB), "b"
	u.upload(1, "to be overwritten")
	u.parts = nil
	u.upload(1, first)
	u.upload(7, last)
	equal(t, "uploads", b.Uploads(), 1)
	equal(t, "keys", b.Len(), 0)
	u.complete().ok().contains("<Key>k</Key>", "<Bucket>bucket</Bucket>")
	equal(t, "uploads", b.Uploads(), 0)
	c.get(at("k")).ok().holds(first+last).has("ETag", multipartTag(first, last)).has("X-Amz-Meta-A", "1").
		has("Content-Type", "text/x").has("X-Amz-Tagging-Count", "1")
	o, _ := b.Get("k")
	equal(t, "part sizes", fmt.Sprint(o.PartSizes), "[5242880 1]")
	u.complete().ok().contains("<Key>k</Key>") // the answer may have been lost
	u.put(u.partTarget(1), "late").is(404, "NoSuchUpload")
	fill(b, "k")
	u.complete().is(404, "NoSuchUpload")
}

// TestUploadsThatForget: some servers lose on the way what an upload was created with.
func TestUploadsThatForget(t *testing.T) {
	_, b, c := started(t, s3test.WithoutFeature(s3test.UploadTags, s3test.UploadLocks))
	b.EnableObjectLock()
	digest := md5.Sum([]byte("body"))
	proven := with("Content-MD5", base64.StdEncoding.EncodeToString(digest[:]))
	tags, hold := with("X-Amz-Tagging", "t=1"), with("X-Amz-Object-Lock-Legal-Hold", "ON")
	mode, until := with("X-Amz-Object-Lock-Mode", "GOVERNANCE"), with("X-Amz-Object-Lock-Retain-Until-Date", "2099-01-01T00:00:00Z")
	u := c.create(tags, hold, mode, until, with("X-Amz-Meta-A", "1"))
	u.upload(1, "body", proven)
	u.complete().ok()
	c.head(at("k")).ok().has("X-Amz-Tagging-Count", "0").has("X-Amz-Meta-A", "1").
		has("X-Amz-Object-Lock-Mode", "").has("X-Amz-Object-Lock-Legal-Hold", "")
	c.get(at("k") + "?tagging").ok().holds("")
	c.put(at("k")+"?tagging", taggingXML("t", "2")).ok()
	c.get(at("k") + "?tagging").ok().contains("<Value>2</Value>")
	c.head(at("k")).ok().has("X-Amz-Tagging-Count", "1")
	c.put(at("k"), "body", tags, hold, mode, until, proven).ok()
	c.head(at("k")).ok().has("X-Amz-Tagging-Count", "1").
		has("X-Amz-Object-Lock-Mode", "GOVERNANCE").has("X-Amz-Object-Lock-Legal-Hold", "ON")
}

func TestMultipartRefusals(t *testing.T) {
	_, b, c := started(t)
	u := c.create()
	one, two := u.upload(1, "small").header.Get("ETag"), u.upload(2, "last").header.Get("ETag")
	u.complete().is(400, "EntityTooSmall").contains("<ProposedSize>5</ProposedSize>", "<MinSizeAllowed>5242880</MinSizeAllowed>", "<PartNumber>1</PartNumber>")
	for name, test := range map[string]struct{ body, code string }{
		"order":       {completion(completedPart(2, two, ""), completedPart(1, one, "")), "InvalidPartOrder"},
		"twice":       {completion(completedPart(2, two, ""), completedPart(2, two, "")), "InvalidPartOrder"},
		"wrong tag":   {completion(completedPart(1, two, "")), "InvalidPart"},
		"no part":     {completion(completedPart(3, two, "")), "InvalidPart"},
		"checksum":    {completion(completedPart(1, one, "<ChecksumCRC32>AAAAAA==</ChecksumCRC32>")), "InvalidPart"},
		"nonsense":    {completion(completedPart(1, one, "<Weather/>")), "MalformedXML"},
		"empty":       {completion(), "MalformedXML"},
		"no document": {"parts", "MalformedXML"},
	} {
		t.Run(name, func(t *testing.T) { c.in(t).post(u.target(), test.body).is(400, test.code) })
	}
	c.put(u.partTarget(0), "x").is(400, "InvalidArgument")
	c.put(u.partTarget(10001), "x").is(400, "InvalidArgument")
	c.put(at("other")+"?partNumber=1&uploadId="+u.id, "x").is(404, "NoSuchUpload")
	c.put(at("k")+"?partNumber=1&uploadId=unknown", "x").is(404, "NoSuchUpload")
	c.put(at("k")+"?uploadId="+u.id, "x").is(501, "NotImplemented")
	c.put(u.partTarget(3), "x", with("Content-Md5", md5Base64("y"))).is(400, "BadDigest")
	c.put(u.partTarget(3), "x", with("X-Amz-Checksum-Crc32", crc32Base64("y"))).is(400, "BadDigest")
	equal(t, "keys", b.Len(), 0)
	c.post(u.target(), completion(completedPart(2, two, ""))).ok()
	c.get(at("k")).ok().holds("last")
}

func TestMultipartConditionsAndSize(t *testing.T) {
	_, b, c := started(t, s3test.WithMinPartSize(1))
	u := c.create()
	u.upload(1, "aa")
	u.upload(2, "bb")
	u.complete(with("X-Amz-Mp-Object-Size", "5")).is(400, "InvalidRequest")
	fill(b, "k")
	u.complete(with("If-None-Match", "*")).is(412, "PreconditionFailed")
	u.complete(with("If-Match", `"x"`)).is(412, "PreconditionFailed")
	equal(t, "uploads", b.Uploads(), 1)
	b.Delete("k")
	u.complete(with("If-None-Match", "*"), with("X-Amz-Mp-Object-Size", "4")).ok()
	c.get(at("k")).ok().holds("aabb")
}

func TestMultipartChecksums(t *testing.T) {
	for _, test := range []struct{ algorithm, kind, want string }{
		{"CRC32", "COMPOSITE", "COMPOSITE"}, {"CRC32", "FULL_OBJECT", "FULL_OBJECT"}, {"CRC32C", "", "COMPOSITE"},
		{"SHA256", "", "COMPOSITE"}, {"CRC64NVME", "", "FULL_OBJECT"},
	} {
		t.Run(test.algorithm+test.kind, func(t *testing.T) {
			_, _, c := started(t, s3test.WithMinPartSize(1))
			all := []edit{with("X-Amz-Checksum-Algorithm", test.algorithm)}
			if test.kind != "" {
				all = append(all, with("X-Amz-Checksum-Type", test.kind))
			}
			u := c.create(all...)
			header := "X-Amz-Checksum-" + test.algorithm
			c.put(u.partTarget(1), "aa", with("X-Amz-Checksum-Md4", "x")).is(400, "InvalidRequest")
			if other := "SHA1"; test.algorithm != other {
				c.put(u.partTarget(1), "aa", with("X-Amz-Checksum-"+other, sum(other, "aa"))).is(400, "InvalidRequest")
			}
			u.upload(1, "aa", with(header, sum(test.algorithm, "aa")))
			u.upload(2, "bb").has(header, sum(test.algorithm, "bb")) // the server computes what is not sent
			want := sum(test.algorithm, "aabb")
			if test.want == "COMPOSITE" {
				u.complete().is(400, "InvalidRequest")
				want = composite(test.algorithm, "aa", "bb")
			}
			element := "Checksum" + test.algorithm
			for i, body := range []string{"aa", "bb"} {
				more := fmt.Sprintf("<%s>%s</%[1]s>", element, sum(test.algorithm, body))
				u.parts[i] = strings.Replace(u.parts[i], "</Part>", more+"</Part>", 1)
			}
			u.complete(with(header, sum(test.algorithm, "xx"))).is(400, "BadDigest")
			opposite := map[string]string{"COMPOSITE": "FULL_OBJECT", "FULL_OBJECT": "COMPOSITE"}[test.want]
			u.complete(with("X-Amz-Checksum-Type", opposite)).is(400, "InvalidRequest")
			u.complete().ok().contains("<"+element+">"+want+"</"+element+">", "<ChecksumType>"+test.want+"</ChecksumType>")
			c.get(at("k"), with("X-Amz-Checksum-Mode", "ENABLED")).ok().has(header, want).has("X-Amz-Checksum-Type", test.want)
		})
	}
	_, _, c := started(t)
	c.post(at("k")+"?uploads", "", with("X-Amz-Checksum-Algorithm", "MD4")).is(400, "InvalidRequest")
	c.post(at("k")+"?uploads", "", with("X-Amz-Checksum-Algorithm", "SHA256"), with("X-Amz-Checksum-Type", "FULL_OBJECT")).is(400, "InvalidRequest")
	c.post(at("k")+"?uploads", "", with("X-Amz-Checksum-Type", "FULL_OBJECT")).is(400, "InvalidRequest")
}

// composite is the checksum of the parts' raw checksums.
func composite(algorithm string, parts ...string) string {
	var raw strings.Builder
	for _, part := range parts {
		decoded, _ := base64.StdEncoding.DecodeString(sum(algorithm, part))
		raw.Write(decoded)
	}
	return fmt.Sprintf("%s-%d", sum(algorithm, raw.String()), len(parts))
}

func TestAbortMultipartUpload(t *testing.T) {
	_, b, c := started(t)
	u := c.create()
	u.upload(1, "body")
	c.remove(u.target()).is(204, "")
	c.remove(u.target()).is(404, "NoSuchUpload")
	u.complete().is(404, "NoSuchUpload")
	c.get(u.target()).is(404, "NoSuchUpload")
	equal(t, "uploads", b.Uploads(), 0)
}

func TestListParts(t *testing.T) {
	_, _, c := started(t)
	u := c.create(with("X-Amz-Checksum-Algorithm", "CRC32"), with("X-Amz-Storage-Class", "STANDARD_IA"))
	for _, n := range []int{3, 1, 2} {
		u.upload(n, strings.Repeat("x", n))
	}
	var got struct {
		XMLName              xml.Name `xml:"ListPartsResult"`
		StorageClass         string
		NextPartNumberMarker int
		IsTruncated          bool
		ChecksumAlgorithm    string
		Part                 []struct {
			PartNumber    int
			Size          int64
			ETag          string
			ChecksumCRC32 string
		}
	}
	c.get(u.target() + "&max-parts=2").ok().into(&got)
	equal(t, "parts", len(got.Part), 2)
	equal(t, "next", got.NextPartNumberMarker, 2)
	equal(t, "truncated", got.IsTruncated, true)
	equal(t, "class", got.StorageClass+got.ChecksumAlgorithm, "STANDARD_IACRC32")
	equal(t, "size", got.Part[1].Size, 2)
	equal(t, "tag", got.Part[1].ETag, `"`+md5Hex("xx")+`"`)
	equal(t, "checksum", got.Part[1].ChecksumCRC32, crc32Base64("xx"))
	got.Part = nil
	c.get(u.target() + "&max-parts=2&part-number-marker=2").ok().into(&got)
	equal(t, "parts", len(got.Part), 1)
	equal(t, "truncated", got.IsTruncated, false)
}

func TestListMultipartUploads(t *testing.T) {
	_, _, c := started(t)
	ids := make(map[string]string)
	for _, key := range []string{"b", "a/1", "a/2", "b"} {
		var created struct{ UploadId string }
		c.post(at(key)+"?uploads", "").ok().into(&created)
		ids[created.UploadId] = key
	}
	list := func(q string) (keys, next string, truncated bool) {
		var got struct {
			Upload             []struct{ Key, UploadId string }
			CommonPrefixes     []struct{ Prefix string }
			NextKeyMarker      string
			NextUploadIdMarker string
			IsTruncated        bool
		}
		c.get("/bucket?uploads" + q).ok().into(&got)
		var all []string
		for _, u := range got.Upload {
			equal(t, "key of the upload", u.Key, ids[u.UploadId])
			all = append(all, u.Key)
		}
		for _, p := range got.CommonPrefixes {
			all = append(all, p.Prefix)
		}
		return strings.Join(all, " "), "&key-marker=" + got.NextKeyMarker + "&upload-id-marker=" + got.NextUploadIdMarker, got.IsTruncated
	}
	for _, test := range []struct{ query, want string }{
		{"", "a/1 a/2 b b"}, {"&prefix=a/", "a/1 a/2"}, {"&delimiter=/", "b b a/"}, {"&key-marker=a/2", "b b"},
	} {
		keys, _, truncated := list(test.query)
		equal(t, "uploads"+test.query, keys, test.want)
		equal(t, "truncated", truncated, false)
	}
	var all []string
	next, truncated := "", true
	for truncated {
		var keys string
		keys, next, truncated = list("&max-uploads=1" + next)
		all = append(all, keys)
	}
	equal(t, "one by one", strings.Join(all, " "), "a/1 a/2 b b")
}
