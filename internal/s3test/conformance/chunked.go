package conformance

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/s3kloset/s3kloset/internal/s3test/sigv4"
)

// chunking is how a body is framed as aws-chunked.
type chunking struct {
	payload string // one of sigv4's streaming constants
	size    int    // of each chunk but the last
	trailer parameter
	length  int  // x-amz-decoded-content-length, when it is not the body's
	forged  bool // signatures of chunks are wrong
}

func (c chunking) signed() bool { return c.payload != sigv4.StreamingUnsignedTrailer }

// prepare sets the headers that announce the framing, all of which are signed.
func (c chunking) prepare(r *http.Request, body string) {
	length := len(body)
	if c.length != 0 {
		length = c.length
	}
	r.Header.Add("Content-Encoding", "aws-chunked")
	r.Header.Set("X-Amz-Decoded-Content-Length", strconv.Itoa(length))
	if c.trailer.name != "" {
		r.Header.Set("X-Amz-Trailer", c.trailer.name)
	}
}

// frame returns the body as it goes over the wire, its chunks chained to the signature of
// the headers.
func (c chunking) frame(body string, s *sigv4.Signature, secret string) string {
	if c.forged {
		secret += "!"
	}
	chain := s.Chunks(secret)
	var b strings.Builder
	for data := body; ; data = data[min(c.size, len(data)):] {
		chunk := data[:min(c.size, len(data))]
		fmt.Fprintf(&b, "%x", len(chunk))
		if c.signed() {
			sum := sha256.Sum256([]byte(chunk))
			b.WriteString(";chunk-signature=" + chain.Chunk(hex.EncodeToString(sum[:])))
		}
		b.WriteString("\r\n")
		if chunk == "" {
			break
		}
		b.WriteString(chunk + "\r\n")
	}
	if c.trailer.name != "" {
		b.WriteString(c.trailer.name + ":" + c.trailer.value + "\r\n")
		if c.signed() {
			b.WriteString("x-amz-trailer-signature:" + chain.Trailer(c.trailer.name+":"+c.trailer.value+"\n") + "\r\n")
		}
	}
	b.WriteString("\r\n")
	return b.String()
}

func chunkedRows() []conversation {
	const size = 8 << 10 // the least that S3 allows for all chunks but the last
	text := strings.Repeat("0123456789abcdef", 5*size/32)
	signed := chunking{payload: sigv4.StreamingSigned, size: size}
	trailer := parameter{crc32sum.header(), crc32sum.of(text)}
	kept := get("k").gives(ok().data(text).has("ETag", etag(text)))
	missing := get("k").gives(refused(404, "NoSuchKey"))
	return []conversation{
		row("chunked/unsigned", plain,
			put("k", text).chunked(chunking{payload: sigv4.StreamingUnsignedTrailer, size: size, trailer: trailer}).gives(ok()),
			kept),
		row("chunked/signed", plain, put("k", text).chunked(signed).gives(ok()), kept),
		row("chunked/signed with a trailer", plain,
			put("k", text).chunked(chunking{payload: sigv4.StreamingSignedTrailer, size: size, trailer: trailer}).gives(ok()),
			kept,
			mode(head("k")).gives(ok().has(trailer.name, trailer.value))),
		row("chunked/empty", plain,
			put("k", "").chunked(signed).gives(ok()),
			get("k").gives(ok().data("").has("ETag", etag("")))),
		row("chunked/signature of a chunk is wrong", plain,
			put("k", text).chunked(chunking{payload: sigv4.StreamingSigned, size: size, forged: true}).
				gives(refused(403, "SignatureDoesNotMatch")).
				but(MiniS3, unchecked, ok()),
			missing),
		row("chunked/shorter than announced", plain,
			put("k", text).chunked(chunking{payload: sigv4.StreamingSigned, size: size, length: len(text) + 1}).
				gives(refused(400, "IncompleteBody")).
				but(MiniS3, unchecked, ok()),
			missing),
		row("chunked/the encoding is not kept", plain,
			put("k", text).chunked(signed).gives(ok()),
			head("k").gives(ok().lacks("Content-Encoding").has("ETag", etag(text))).
				but(Versity, "it is", ok().has("Content-Encoding", "aws-chunked"))),
		row("chunked/another encoding is kept", plain,
			put("k", text).with("Content-Encoding", "gzip").chunked(signed).gives(ok()),
			get("k").gives(ok().data(text).has("Content-Encoding", "gzip")).
				but(MiniS3, "only the first encoding is looked at, so the chunks are not undone", ok().has("Content-Encoding", "gzip"))),
		row("chunked/part", plain,
			create("k"),
			upload("k", 1, text).chunked(signed).gives(ok().has("ETag", etag(text))).
				but(MiniS3, "chunks are not undone", ok()),
			complete("k", "{id}", part(1, etag(text))).gives(ok()),
			get("k").gives(ok().data(text))),
	}
}
