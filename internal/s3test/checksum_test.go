package s3test_test

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"net/http"
	"strings"
	"testing"

	"github.com/s3kloset/s3kloset/internal/s3test"
	"github.com/s3kloset/s3kloset/internal/s3test/sigv4"
)

// sums computes all checksums independently of the server.
var sums = map[string]func() hash.Hash{
	"CRC32":     func() hash.Hash { return crc32.NewIEEE() },
	"CRC32C":    func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) },
	"CRC64NVME": func() hash.Hash { return crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5)) },
	"SHA1":      sha1.New,
	"SHA256":    sha256.New,
}

func sum(algorithm, body string) string {
	h := sums[algorithm]()
	h.Write([]byte(body))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

func crc32Base64(body string) string { return sum("CRC32", body) }

func TestChecksums(t *testing.T) {
	_, b, c := started(t)
	// The value of CRC64NVME for "123456789" is the check value of its definition.
	equal(t, "CRC64NVME", sum("CRC64NVME", "123456789"), "rosUhgp5mIg=")
	for algorithm := range sums {
		t.Run(algorithm, func(t *testing.T) {
			c, header := c.in(t), "X-Amz-Checksum-"+algorithm
			right, wrong := sum(algorithm, "body"), sum(algorithm, "other")
			c.put(at("k"), "body", with(header, right)).ok().has(header, right).has("X-Amz-Checksum-Type", "FULL_OBJECT")
			c.put(at("k"), "changed", with(header, wrong)).is(400, "BadDigest")
			c.put(at("k"), "changed", with(header, "short")).is(400, "InvalidRequest")
			c.get(at("k"), with("X-Amz-Checksum-Mode", "ENABLED")).ok().holds("body").has(header, right)
			o, _ := b.Get("k")
			equal(t, "stored", o.Checksum, s3test.Checksum{Algorithm: algorithm, Value: right, Type: "FULL_OBJECT"})
		})
	}
}

func TestChecksumHeadersMustAgree(t *testing.T) {
	_, b, c := started(t)
	crc := with("X-Amz-Checksum-Crc32", crc32Base64("body"))
	c.put(at("k"), "body", crc, with("X-Amz-Checksum-Sha1", sum("SHA1", "body"))).is(400, "InvalidRequest")
	c.put(at("k"), "body", with("X-Amz-Checksum-Md4", "x")).is(400, "InvalidRequest")
	c.put(at("k"), "body", crc, with("X-Amz-Sdk-Checksum-Algorithm", "SHA256")).is(400, "InvalidRequest")
	c.put(at("k"), "body", with("X-Amz-Sdk-Checksum-Algorithm", "CRC32")).is(400, "InvalidRequest")
	c.put(at("k"), "body", crc, with("X-Amz-Trailer", "x-amz-checksum-crc32")).is(400, "InvalidRequest")
	equal(t, "keys", b.Len(), 0)
	c.put(at("k"), "body", crc, with("X-Amz-Sdk-Checksum-Algorithm", "CRC32")).ok()
}

func TestDefaultChecksum(t *testing.T) {
	_, _, c := started(t, s3test.WithDefaultChecksum())
	c.put(at("k"), "body").ok().has("X-Amz-Checksum-Crc64nvme", sum("CRC64NVME", "body"))
	c.put(at("k"), "body", with("X-Amz-Checksum-Sha1", sum("SHA1", "body"))).ok().has("X-Amz-Checksum-Crc64nvme", "")
}

func TestDirectChecksums(t *testing.T) {
	_, b, _ := started(t)
	body := []byte("0123456789")
	full := b.Put("k", body, s3test.Properties{}, s3test.InParts(4), s3test.WithFullChecksum("CRC32"))
	equal(t, "full", full.Checksum, s3test.Checksum{Algorithm: "CRC32", Value: crc32Base64("0123456789"), Type: "FULL_OBJECT"})
	parts := b.Put("k", body, s3test.Properties{}, s3test.InParts(4, 100), s3test.WithChecksum("CRC32"))
	equal(t, "composite", parts.Checksum, s3test.Checksum{Algorithm: "CRC32", Value: composite("CRC32", "0123", "456789"), Type: "COMPOSITE"})
	defer func() {
		if recover() == nil {
			t.Error("an unknown algorithm was taken")
		}
	}()
	s3test.WithChecksum("MD4")
}

func TestContentMD5(t *testing.T) {
	_, b, c := started(t)
	c.put(at("k"), "body", with("Content-Md5", md5Base64("other"))).is(400, "BadDigest")
	c.put(at("k"), "body", with("Content-Md5", "!")).is(400, "InvalidDigest")
	c.put(at("k"), "body", with("Content-Md5", "c2hvcnQ=")).is(400, "InvalidDigest")
	equal(t, "keys", b.Len(), 0)
	c.put(at("k"), "body", with("Content-Md5", md5Base64("body"))).ok()
}

func TestPayloadHashIsChecked(t *testing.T) {
	_, b, c := started(t)
	other := sha256.Sum256([]byte("other"))
	c.put(at("k"), "body", payload(fmt.Sprintf("%x", other))).is(400, "XAmzContentSHA256Mismatch")
	equal(t, "keys", b.Len(), 0)
	c.put(at("k"), "body", payload(sigv4.UnsignedPayload)).ok()
	c.get(at("k")).ok().holds("body")
}

// TestLengthIsDemanded speaks HTTP itself: net/http would not send such requests.
func TestLengthIsDemanded(t *testing.T) {
	s, b, c := started(t)
	send := func(length, body string) string {
		r := c.request("PUT", at("k"), []byte("body"))
		var head strings.Builder
		r.Header.Write(&head)
		return raw(t, s, "PUT /bucket/k HTTP/1.1\r\nHost: "+r.Host+"\r\nConnection: close\r\n"+length+head.String()+"\r\n"+body)
	}
	for name, test := range map[string]struct{ length, body, status, code string }{
		"none":     {"", "", "411", "MissingContentLength"},
		"chunked":  {"Transfer-Encoding: chunked\r\n", "4\r\nbody\r\n0\r\n\r\n", "411", "MissingContentLength"},
		"short":    {"Content-Length: 5\r\n", "body", "400", "IncompleteBody"},
		"too long": {"Content-Length: 6000000000\r\nExpect: 100-continue\r\n", "", "400", "EntityTooLarge"},
		"right":    {"Content-Length: 4\r\n", "body", "200", ""},
	} {
		answer := send(test.length, test.body)
		if !strings.HasPrefix(answer, "HTTP/1.1 "+test.status) || !strings.Contains(answer, test.code) {
			t.Errorf("%s: %s", name, answer)
		}
		if stored := b.Len() > 0; stored != (test.status == "200") {
			t.Errorf("%s: stored is %t", name, stored)
		}
		b.Delete("k")
	}
}

// chunked makes an aws-chunked body of data, in chunks of a size, with a trailer.
func chunked(data string, size int, trailer string) string {
	var b strings.Builder
	for len(data) > 0 {
		n := min(size, len(data))
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, data[:n])
		data = data[n:]
	}
	return b.String() + "0\r\n" + trailer + "\r\n"
}

func decodedLength(n int) edit { return with("X-Amz-Decoded-Content-Length", fmt.Sprint(n)) }

func TestUnsignedChunks(t *testing.T) {
	_, b, c := started(t)
	data := strings.Repeat("0123456789", 3000)
	trailer := "x-amz-checksum-crc32:" + crc32Base64(data) + "\r\n"
	announced := edits(payload(sigv4.StreamingUnsignedTrailer), decodedLength(len(data)),
		with("X-Amz-Trailer", "x-amz-checksum-crc32"), with("Content-Encoding", "gzip"), with("Content-Encoding", "aws-chunked"))
	for _, size := range []int{8192, len(data)} {
		c.put(at("k"), chunked(data, size, trailer), announced).ok().has("X-Amz-Checksum-Crc32", crc32Base64(data))
		c.get(at("k")).ok().holds(data).has("Content-Encoding", "gzip")
		b.Delete("k")
	}
	for name, test := range map[string]struct{ body, code string }{
		"wrong checksum":    {chunked(data, 8192, "x-amz-checksum-crc32:"+crc32Base64("x")+"\r\n"), "BadDigest"},
		"no trailer":        {chunked(data, 8192, ""), "MalformedTrailerError"},
		"another trailer":   {chunked(data, 8192, "x-amz-checksum-sha1:x\r\n"), "MalformedTrailerError"},
		"one more":          {chunked(data, 8192, trailer+"x-amz-meta-a:b\r\n"), "MalformedTrailerError"},
		"malformed value":   {chunked(data, 8192, "x-amz-checksum-crc32:!\r\n"), "InvalidRequest"},
		"shorter than said": {chunked(data[1:], 8192, trailer), "IncompleteBody"},
		"longer than said":  {chunked(data+"x", 8192, trailer), "IncompleteBody"},
		"not framed":        {data, "InvalidRequest"},
		"cut":               {strings.TrimSuffix(chunked(data, 8192, trailer), "\r\n"), "IncompleteBody"},
		"bytes after it":    {chunked(data, 8192, trailer) + "x", "InvalidRequest"},
	} {
		t.Run(name, func(t *testing.T) { c.in(t).put(at("k"), test.body, announced).is(400, test.code) })
	}
	equal(t, "keys", b.Len(), 0)
	c.put(at("k"), chunked(data, 8192, trailer), payload(sigv4.StreamingUnsignedTrailer), decodedLength(len(data))).
		is(400, "InvalidRequest")
	c.put(at("k"), chunked(data, 8192, trailer), payload(sigv4.StreamingUnsignedTrailer),
		with("X-Amz-Trailer", "x-amz-checksum-crc32")).is(411, "MissingContentLength")
}

// signedChunks makes the body that belongs to a request signed as streaming.
func signedChunks(r *http.Request, secret, data string, size int, trailer string) string {
	signature, err := sigv4.Parse(r)
	if err != nil {
		panic(err)
	}
	chain := signature.Chunks(secret)
	var b strings.Builder
	for done := false; !done; {
		n := min(size, len(data))
		done = n == 0
		fmt.Fprintf(&b, "%x;chunk-signature=%s\r\n%s", n, chain.Chunk(fmt.Sprintf("%x", sha256.Sum256([]byte(data[:n])))), data[:n])
		if !done {
			b.WriteString("\r\n")
		}
		data = data[n:]
	}
	if trailer != "" {
		b.WriteString(trailer + "\r\nx-amz-trailer-signature:" + chain.Trailer(trailer+"\n") + "\r\n")
	}
	return b.String() + "\r\n"
}

func TestSignedChunks(t *testing.T) {
	s, b, c := started(t)
	data := strings.Repeat("0123456789", 3000)
	send := func(hash, trailer string, size int, spoil func(string) string) reply {
		all := []edit{payload(hash), decodedLength(len(data)), with("Content-Encoding", "aws-chunked")}
		if trailer != "" {
			all = append(all, with("X-Amz-Trailer", "x-amz-checksum-crc32"))
		}
		r := c.request("PUT", at("k"), nil, all...)
		body := spoil(signedChunks(r, s.SecretKey(), data, size, trailer))
		r.Body, r.ContentLength = http.NoBody, int64(len(body))
		response, err := c.http.Do(withBody(r, body))
		if err != nil {
			t.Fatal(err)
		}
		return readAll(t, response)
	}
	asIs := func(body string) string { return body }
	trailer := "x-amz-checksum-crc32:" + crc32Base64(data)
	send(sigv4.StreamingSigned, "", 8192, asIs).ok()
	c.get(at("k")).ok().holds(data).has("Content-Encoding", "")
	send(sigv4.StreamingSignedTrailer, trailer, 10000, asIs).ok().has("X-Amz-Checksum-Crc32", crc32Base64(data))
	b.Delete("k")
	send(sigv4.StreamingSigned, "", 4000, asIs).is(403, "InvalidChunkSizeError")
	flip := func(body string) string { return strings.Replace(body, "0123", "0124", 1) }
	send(sigv4.StreamingSigned, "", 8192, flip).is(403, "SignatureDoesNotMatch")
	retrail := func(body string) string { return strings.Replace(body, crc32Base64(data), crc32Base64("x"), 1) }
	send(sigv4.StreamingSignedTrailer, trailer, 8192, retrail).is(403, "SignatureDoesNotMatch")
	unsigned := func(body string) string { return strings.Replace(body, "chunk-signature", "signature", 1) }
	send(sigv4.StreamingSigned, "", 8192, unsigned).is(400, "InvalidRequest")
	equal(t, "keys", b.Len(), 0)
}
