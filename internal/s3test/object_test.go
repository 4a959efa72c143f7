package s3test_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset/internal/s3test"
	"github.com/s3kloset/s3kloset/internal/s3test/sigv4"
)

// hostileKeys are legal and awkward.
var hostileKeys = []string{
	"a", "a/b", "a/", "a//b", "/lead", "//", "/", "x//y", "x/y", "./x", "../x", "a/../b", ".", "..", "folder/",
	"sp ace", " lead", "trail ", "é", "e\u0301", "%2F", "%", "100%", "a%20b", "+", "a+b", "a b", "a?b=c", "a#b",
	"k?versioning", "!-_.*'()&$@=;:,{}^[]\"<>~#|\\`", "c\x01tl", "\t\n\r", "d\x7fl", "n\x00l", "b\xffd", "\ufffe",
	"𐍈", "\uffff", strings.Repeat("k", 1024), strings.Repeat("d/", 500), "Key", "key",
}

func TestEveryLegalKeyIsKept(t *testing.T) {
	_, b, c := started(t)
	for _, key := range hostileKeys {
		c.put(at(key), "body of "+key).ok()
	}
	equal(t, "keys", b.Len(), len(hostileKeys))
	for _, key := range hostileKeys {
		c.get(at(key)).ok().holds("body of " + key)
		o, ok := b.Get(key)
		if !ok || string(o.Body) != "body of "+key {
			t.Errorf("key %q holds %q", key, o.Body)
		}
	}
	for _, key := range hostileKeys {
		c.remove(at(key)).is(204, "")
		c.head(at(key)).is(404, "")
	}
	equal(t, "keys", b.Len(), 0)
}

func TestKeyTooLong(t *testing.T) {
	_, b, c := started(t)
	c.put(at(strings.Repeat("k", 1025)), "").is(400, "KeyTooLongError").contains("<Size>1025</Size>", "<MaxSizeAllowed>1024</MaxSizeAllowed>")
	c.put(at(strings.Repeat("é", 513)), "").is(400, "KeyTooLongError")
	equal(t, "keys", b.Len(), 0)
}

func TestObjectRoundTrip(t *testing.T) {
	clock := s3test.NewManualClock(time.Date(2026, 5, 1, 12, 0, 0, 999, time.UTC))
	_, b, c := started(t, s3test.WithClock(clock))
	c.now = clock.Now
	headers := map[string]string{
		"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-cache", "Content-Disposition": `attachment; filename="x"`,
		"Content-Encoding": "gzip", "Content-Language": "de", "Expires": "soon", "X-Amz-Website-Redirect-Location": "/other",
		"X-Amz-Meta-One": "1", "X-Amz-Meta-Two": "a  b", "X-Amz-Storage-Class": "STANDARD_IA",
		"X-Amz-Server-Side-Encryption": "AES256",
	}
	all := []edit{with("X-Amz-Tagging", "a=b&c=%C3%A9+%2B"), with("X-Amz-Acl", "public-read")}
	for name, value := range headers {
		all = append(all, with(name, value))
	}
	c.put(at("k"), "body", all...).ok().has("ETag", `"`+md5Hex("body")+`"`).has("X-Amz-Version-Id", "").
		has("X-Amz-Server-Side-Encryption", "AES256")
	clock.Advance(time.Hour)
	for _, method := range []string{"GET", "HEAD"} {
		r := c.do(method, at("k"), nil).ok().
			has("ETag", `"`+md5Hex("body")+`"`).has("Last-Modified", "Fri, 01 May 2026 12:00:00 GMT").
			has("Accept-Ranges", "bytes").has("X-Amz-Tagging-Count", "2").has("X-Amz-Version-Id", "")
		for name, value := range headers {
			r.has(name, value)
		}
		if r.header.Get("X-Amz-Request-Id") == "" || r.header.Get("Date") == "" {
			t.Error("an answer without id or date")
		}
		equal(t, method+" length", r.length, 4)
	}
	o, _ := b.Get("k")
	equal(t, "tag", o.Tags["c"], "é +")
	equal(t, "ACL", o.ACL, "public-read")
	equal(t, "class", o.StorageClass, "STANDARD_IA")
	c.put(at("k"), "").ok()
	c.get(at("k")).ok().holds("").has("X-Amz-Meta-One", "").has("X-Amz-Tagging-Count", "").has("X-Amz-Storage-Class", "").
		has("Content-Type", "binary/octet-stream")
	c.remove(at("k")).is(204, "")
	c.remove(at("k")).is(204, "")
	c.get(at("k")).is(404, "NoSuchKey").contains("<Key>k</Key>", "<Resource>/bucket/k</Resource>")
	c.get("/nobucket/k").is(404, "NoSuchBucket")
	c.put("/nobucket/k", "").is(404, "NoSuchBucket")
}

func TestPutRefusesUnsoundProperties(t *testing.T) {
	_, b, c := started(t)
	for name, test := range map[string]struct {
		edit   edit
		status int
		code   string
	}{
		"metadata too large":  {with("X-Amz-Meta-A", strings.Repeat("x", 2048)), 400, "MetadataTooLarge"},
		"unknown class":       {with("X-Amz-Storage-Class", "FAST"), 400, "InvalidStorageClass"},
		"unknown ACL":         {with("X-Amz-Acl", "mine"), 400, "InvalidArgument"},
		"grants":              {with("X-Amz-Grant-Read", "id=x"), 501, "NotImplemented"},
		"redirect":            {with("X-Amz-Website-Redirect-Location", "ftp://x"), 400, "InvalidArgument"},
		"unknown encryption":  {with("X-Amz-Server-Side-Encryption", "rot13"), 400, "InvalidEncryptionAlgorithmError"},
		"KMS key without KMS": {with("X-Amz-Server-Side-Encryption-Aws-Kms-Key-Id", "k"), 400, "InvalidArgument"},
		"lock without lock":   {with("X-Amz-Object-Lock-Legal-Hold", "ON"), 400, "InvalidRequest"},
		"duplicate tags":      {with("X-Amz-Tagging", "a=1&a=2"), 400, "InvalidArgument"},
		"eleven tags":         {with("X-Amz-Tagging", "a&b&c&d&e&f&g&h&i&j&k"), 400, "BadRequest"},
		"tag of the system":   {with("X-Amz-Tagging", "aws:a=1"), 400, "InvalidTag"},
		"tag character":       {with("X-Amz-Tagging", "a=%7B"), 400, "InvalidTag"},
		"tag encoding":        {with("X-Amz-Tagging", "a=%zz"), 400, "InvalidArgument"},
		"long tag key":        {with("X-Amz-Tagging", strings.Repeat("k", 129)+"=1"), 400, "InvalidTag"},
		"long tag value":      {with("X-Amz-Tagging", "k="+strings.Repeat("v", 257)), 400, "InvalidTag"},
		"SSE-C without TLS":   {customerKey("k"), 400, "InvalidRequest"},
	} {
		t.Run(name, func(t *testing.T) { c.in(t).put(at("k"), "body", test.edit).is(test.status, test.code) })
	}
	equal(t, "keys", b.Len(), 0)
	c.put(at("k"), "body", with("X-Amz-Meta-A", strings.Repeat("x", 2047))).ok()
}

func TestMetadataOutsideASCII(t *testing.T) {
	const value = "Grüße, 世界"
	for style, want := range map[s3test.MetadataStyle]string{
		s3test.RFC2047: "=?UTF-8?q?Gr=C3=BC=C3=9Fe,_=E4=B8=96=E7=95=8C?=", s3test.RawUTF8: value,
	} {
		_, b, c := started(t, s3test.WithMetadataStyle(style))
		c.put(at("k"), "", with("X-Amz-Meta-A", value)).ok()
		c.get(at("k")).ok().has("X-Amz-Meta-A", want)
		o, _ := b.Get("k")
		equal(t, "metadata", o.Metadata["a"], value)
		b.Put("odd", nil, s3test.Properties{Metadata: map[string]string{"line": "a\nb", "in valid": "x", "good": "y"}})
		c.get(at("odd")).ok().has("X-Amz-Missing-Meta", "2").has("X-Amz-Meta-Good", "y")
	}
}

func TestRanges(t *testing.T) {
	_, b, c := started(t)
	b.Put("k", []byte("0123456789"), s3test.Properties{}, s3test.WithChecksum("CRC32"))
	b.Put("empty", nil, s3test.Properties{})
	for header, want := range map[string]string{
		"bytes=0-3": "0123 0-3", "bytes=5-": "56789 5-9", "bytes=-3": "789 7-9", "bytes=8-100": "89 8-9", "bytes=-100": "0123456789 0-9",
		"bytes=9-9": "9 9-9",
	} {
		body, extent, _ := strings.Cut(want, " ")
		c.get(at("k"), with("Range", header)).is(206, "").holds(body).has("Content-Range", "bytes "+extent+"/10")
		c.head(at("k"), with("Range", header)).is(206, "").has("Content-Range", "bytes "+extent+"/10")
	}
	for _, header := range []string{"bytes=5-2", "bytes=a-b", "lines=1-2", "bytes=0-1,4-5", "bytes=", "bytes=-", "bytes=+1-2"} {
		c.get(at("k"), with("Range", header)).ok().holds("0123456789").has("Content-Range", "")
	}
	for _, header := range []string{"bytes=10-", "bytes=10-11", "bytes=-0", "bytes=99999999999999999999-"} {
		c.get(at("k"), with("Range", header)).is(416, "InvalidRange").has("Content-Range", "bytes */10").
			contains("<ActualObjectSize>10</ActualObjectSize>", "<RangeRequested>"+header+"</RangeRequested>")
	}
	c.get(at("empty"), with("Range", "bytes=0-0")).is(416, "InvalidRange")
	mode := with("X-Amz-Checksum-Mode", "ENABLED")
	c.get(at("k"), mode).ok().has("X-Amz-Checksum-Crc32", "poTHxg==").has("X-Amz-Checksum-Type", "FULL_OBJECT")
	c.get(at("k")).ok().has("X-Amz-Checksum-Crc32", "")
	c.get(at("k"), mode, with("Range", "bytes=0-3")).is(206, "").has("X-Amz-Checksum-Crc32", "")
	c.get(at("k")+"?partNumber=1", with("Range", "bytes=0-3")).is(400, "InvalidRequest")
}

func TestParts(t *testing.T) {
	_, b, c := started(t)
	b.Put("k", []byte("0123456789"), s3test.Properties{}, s3test.InParts(4, 4), s3test.WithChecksum("CRC32"))
	mode := with("X-Amz-Checksum-Mode", "ENABLED")
	for number, want := range map[int]string{1: "0123 0-3", 2: "4567 4-7", 3: "89 8-9"} {
		body, extent, _ := strings.Cut(want, " ")
		r := c.get(fmt.Sprintf("%s?partNumber=%d", at("k"), number), mode).is(206, "").holds(body).
			has("Content-Range", "bytes "+extent+"/10").has("X-Amz-Mp-Parts-Count", "3").has("X-Amz-Checksum-Type", "COMPOSITE")
		equal(t, "checksum of the part", r.header.Get("X-Amz-Checksum-Crc32"), crc32Base64(body))
	}
	c.get(at("k")+"?partNumber=4").is(416, "InvalidPartNumber")
	c.get(at("k")+"?partNumber=0").is(400, "InvalidArgument")
	r := c.get(at("k"), mode).ok().holds("0123456789").has("X-Amz-Mp-Parts-Count", "").has("X-Amz-Checksum-Type", "COMPOSITE")
	if !strings.HasSuffix(r.header.Get("X-Amz-Checksum-Crc32"), "-3") || !strings.HasSuffix(r.header.Get("ETag"), `-3"`) {
		t.Errorf("checksum %q and tag %q are not of three parts", r.header.Get("X-Amz-Checksum-Crc32"), r.header.Get("ETag"))
	}
	b.Put("single", []byte("0123"), s3test.Properties{})
	c.get(at("single")+"?partNumber=1").is(206, "").holds("0123").has("X-Amz-Mp-Parts-Count", "")
}

func TestReadConditions(t *testing.T) {
	modified := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	_, b, c := started(t)
	tag := b.Put("k", []byte("body"), s3test.Properties{}, s3test.ModifiedAt(modified)).ETag
	before, after := modified.Add(-time.Second).Format(http.TimeFormat), modified.Add(time.Second).Format(http.TimeFormat)
	same := modified.Format(http.TimeFormat)
	for _, test := range []struct {
		status int
		header []string
	}{
		{200, []string{"If-Match", `"` + tag + `"`}},
		{200, []string{"If-Match", tag}},
		{200, []string{"If-Match", `"x", "` + tag + `"`}},
		{200, []string{"If-Match", "*"}},
		{412, []string{"If-Match", `"x"`}},
		{304, []string{"If-None-Match", `"` + tag + `"`}},
		{304, []string{"If-None-Match", "*"}},
		{200, []string{"If-None-Match", `"x"`}},
		{304, []string{"If-Modified-Since", same}},
		{304, []string{"If-Modified-Since", after}},
		{200, []string{"If-Modified-Since", before}},
		{200, []string{"If-Modified-Since", "yesterday"}},
		{412, []string{"If-Unmodified-Since", before}},
		{200, []string{"If-Unmodified-Since", same}},
		{200, []string{"If-Match", tag, "If-Unmodified-Since", before}},
		{200, []string{"If-None-Match", `"x"`, "If-Modified-Since", after}},
	} {
		var all []edit
		for i := 0; i < len(test.header); i += 2 {
			all = append(all, with(test.header[i], test.header[i+1]))
		}
		code := map[int]string{412: "PreconditionFailed"}[test.status]
		r := c.get(at("k"), all...)
		if r.status != test.status || r.code() != code {
			t.Errorf("GET %q: %d %s, want %d %s", test.header, r.status, r.code(), test.status, code)
		}
		if test.status == 304 && r.header.Get("ETag") != `"`+tag+`"` {
			t.Errorf("GET %q: 304 without entity tag", test.header)
		}
		equal(t, "HEAD", c.head(at("k"), all...).status, test.status)
	}
}

func TestWriteConditions(t *testing.T) {
	_, b, c := started(t)
	none, any := with("If-None-Match", "*"), with("If-Match", "*")
	c.put(at("k"), "first", any).is(404, "NoSuchKey")
	c.put(at("k"), "first", none).ok()
	c.put(at("k"), "second", none).is(412, "PreconditionFailed").contains("<Condition>If-None-Match</Condition>")
	c.put(at("k"), "second", with("If-Match", `"`+md5Hex("x")+`"`)).is(412, "PreconditionFailed")
	c.put(at("k"), "second", with("If-Match", `"`+md5Hex("first")+`"`)).ok()
	c.put(at("k"), "third", with("If-None-Match", `"x"`)).is(501, "NotImplemented")
	c.remove(at("k"), with("If-Match", `"x"`)).is(412, "PreconditionFailed")
	c.remove(at("k"), with("If-Match", `"`+md5Hex("second")+`"`)).is(204, "")
	c.remove(at("k"), any).is(204, "")
	b.SetVersioning(true)
	b.Put("v", nil, s3test.Properties{})
	b.Delete("v")
	c.put(at("v"), "again", none).ok()
}

// TestConditionalWritesExcludeEachOther sends many at once.
func TestConditionalWritesExcludeEachOther(t *testing.T) {
	for name, options := range map[string][]s3test.Option{"waiting": nil, "conflicts": {s3test.WithConflicts()}} {
		t.Run(name, func(t *testing.T) {
			_, _, c := started(t, options...)
			const rivals = 16
			statuses := make(chan int, rivals)
			for range rivals {
				go func() {
					r, err := c.try("PUT", at("k"), []byte("body"), with("If-None-Match", "*"))
					if err != nil {
						t.Error(err)
					}
					statuses <- r.status
				}()
			}
			won := 0
			for range rivals {
				switch status := <-statuses; {
				case status == 200:
					won++
				case status == 412, status == 409 && options != nil:
				default:
					t.Errorf("a loser got %d", status)
				}
			}
			equal(t, "winners", won, 1)
		})
	}
}

// TestConflictIsCertain holds the first write by its body until the second one has been refused.
func TestConflictIsCertain(t *testing.T) {
	s, b, c := started(t, s3test.WithConflicts())
	held := c.request("PUT", at("k"), []byte("first"), with("If-None-Match", "*"))
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "PUT /bucket/k HTTP/1.1\r\nHost: %s\r\nContent-Length: 5\r\nExpect: 100-continue\r\n", held.Host)
	held.Header.Write(conn)
	fmt.Fprint(conn, "\r\n")
	answer := bufio.NewReader(conn)
	// The server asks for the body when the write is under way.
	if line, err := answer.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
		t.Fatalf("%q, %v", line, err)
	}
	if _, err := answer.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	c.put(at("k"), "second", with("If-None-Match", "*")).is(409, "ConditionalRequestConflict")
	c.put(at("other"), "second", with("If-None-Match", "*")).ok()
	fmt.Fprint(conn, "first")
	if response, err := http.ReadResponse(answer, held); err != nil || response.StatusCode != 200 {
		t.Fatalf("%v, %v", response, err)
	}
	if o, _ := b.Get("k"); string(o.Body) != "first" {
		t.Fatalf("stored %q", o.Body)
	}
	c.put(at("k"), "third", with("If-None-Match", "*")).is(412, "PreconditionFailed")
}

func TestUnknownRequestsAreRefused(t *testing.T) {
	_, b, c := started(t)
	b.Put("k", []byte("body"), s3test.Properties{})
	c.get("/bucket?inventory-of-next-year").is(501, "NotImplemented").contains("<Query>inventory-of-next-year</Query>")
	c.put("/bucket?whatever", "").is(501, "NotImplemented")
	c.get(at("k")+"?torrent").is(501, "NotImplemented")
	c.post(at("k"), "").is(501, "NotImplemented")
	c.get("/bucket?list-type=2&prefix=a&prefix=b").is(400, "InvalidArgument")
	c.get("/bucket?list-type=3").is(400, "InvalidArgument")
	c.do("PATCH", at("k"), nil).is(405, "MethodNotAllowed")
	c.get(at("k")+"?versionId=").is(400, "InvalidArgument")
	c.get(at("k")+"?versionId=unknown").is(404, "NoSuchVersion")
	c.get(at("k") + "?x-id=GetObject").ok().holds("body")
}

func TestKeysOfOtherBuckets(t *testing.T) {
	s, _, c := started(t)
	s.CreateBucket("other").Put("k", []byte("other"), s3test.Properties{})
	c.put(at("k"), "mine").ok()
	c.get("/other/k").ok().holds("other")
	c.get("/other/" + sigv4.Escape("k", true)).ok().holds("other")
	s.RemoveBucket("other")
	c.get("/other/k").is(404, "NoSuchBucket")
}

// TestBucketDeletedDuringPut deletes the bucket while the body of an object is on its way.
func TestBucketDeletedDuringPut(t *testing.T) {
	s, _, c := started(t)
	s.Faults().Add(s3test.Fault{Op: "PutObject", Action: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Body = &lastRead{ReadCloser: r.Body, atEnd: func() { c.remove("/bucket").is(204, "") }}
			next.ServeHTTP(w, r)
		})
	}})
	c.put(at("k"), "body").is(404, "NoSuchBucket")
}

// lastRead calls atEnd before it tells of the end of a body.
type lastRead struct {
	io.ReadCloser
	atEnd func()
}

func (l *lastRead) Read(p []byte) (int, error) {
	n, err := l.ReadCloser.Read(p)
	if err == io.EOF && l.atEnd != nil {
		l.atEnd()
		l.atEnd = nil
	}
	return n, err
}

// TestAbsoluteForm sends the request line that clients send to HTTP proxies.
func TestAbsoluteForm(t *testing.T) {
	s, b, c := started(t)
	fill(b, "a//b")
	r := c.request("GET", at("a//b"), nil)
	var head strings.Builder
	r.Header.Write(&head)
	answer := raw(t, s, "GET http://"+r.Host+"/bucket/a//b HTTP/1.1\r\nHost: "+r.Host+"\r\nConnection: close\r\n"+head.String()+"\r\n")
	if !strings.HasPrefix(answer, "HTTP/1.1 200") || !strings.HasSuffix(answer, "a//b") {
		t.Error(answer)
	}
}
