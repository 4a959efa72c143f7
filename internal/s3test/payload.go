package s3test

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/s3kloset/s3kloset/internal/s3test/sigv4"
)

const (
	maxBodySize     = 5 << 30 // of one PutObject or UploadPart
	maxDocumentSize = 2 << 20 // of one XML or JSON request body
)

// payload is a request body that arrived whole and kept all of its promises.
type payload struct {
	content
	md5      [md5.Size]byte
	checksum checksum // as the client declared it; zero if it did not
}

// readPayload reads the body and checks everything that the client said about it: length, framing, signature,
// Content-MD5 and checksum. Nothing may be stored if it fails.
func (x *exchange) readPayload(limit int64) (*payload, error) {
	size, err := x.payloadSize()
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, failure("EntityTooLarge").
			with("ProposedSize", strconv.FormatInt(size, 10)).
			with("MaxSizeAllowed", strconv.FormatInt(limit, 10))
	}
	declared, err := x.declared()
	if err != nil {
		return nil, err
	}
	hashes := newHashes(declared.algorithm, x.wantsSHA256())
	body, trailer := x.decodedBody()
	received, err := readContent(io.TeeReader(body, hashes), size)
	if err != nil {
		return nil, bodyError(err)
	}
	// The end must be seen too: it holds the trailer, and proves that nothing follows.
	if n, err := io.ReadFull(body, make([]byte, 1)); err != io.EOF {
		if n > 0 {
			return nil, failure("IncompleteBody")
		}
		return nil, bodyError(err)
	}
	p := &payload{content: received, checksum: declared, md5: [md5.Size]byte(hashes.md5.Sum(nil))}
	return p, x.checkPayload(p, hashes, trailer)
}

func (x *exchange) streaming() bool {
	return x.signature != nil && strings.HasPrefix(x.signature.PayloadHash, "STREAMING-")
}

// trailing says whether the body has a trailer.
func (x *exchange) trailing() bool {
	return x.streaming() && strings.HasSuffix(x.signature.PayloadHash, "-TRAILER")
}

// payloadSize is the length of the body without framing.
func (x *exchange) payloadSize() (int64, error) {
	if !x.streaming() {
		if x.r.ContentLength < 0 || x.r.ContentLength == 0 && x.r.Header.Get("Content-Length") == "" {
			return 0, failure("MissingContentLength")
		}
		return x.r.ContentLength, nil
	}
	size, err := strconv.ParseInt(x.header("X-Amz-Decoded-Content-Length"), 10, 64)
	if err != nil || size < 0 {
		return 0, failure("MissingContentLength")
	}
	return size, nil
}

// declared is the checksum that the client promised. Its value is still empty if it will come in the trailer.
func (x *exchange) declared() (checksum, error) {
	c, err := declaredChecksum(x.r.Header)
	if err != nil {
		return c, err
	}
	trailer := x.header("X-Amz-Trailer")
	if trailer == "" && x.trailing() {
		return c, failuref("InvalidRequest", "The x-amz-trailer header is missing.")
	}
	if trailer != "" {
		if c.algorithm != nil {
			return c, failuref("InvalidRequest", "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
		}
		name, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(trailer)), "x-amz-checksum-")
		c = checksum{algorithmNamed(strings.ToUpper(name)), "", fullObject}
		if !ok || c.algorithm == nil || !x.trailing() {
			return c, failuref("InvalidRequest", "The value specified in the x-amz-trailer header is not supported.")
		}
		return c, checkAnnounced(x.r.Header, c)
	}
	if c.algorithm != nil {
		if err := c.checkForm(); err != nil {
			return c, err
		}
	}
	return c, checkAnnounced(x.r.Header, c)
}

func (x *exchange) wantsSHA256() bool {
	return x.signature != nil && isHexSHA256(x.signature.PayloadHash)
}

// decodedBody is the body without framing, and the reader that will know the trailer, if there can be one.
func (x *exchange) decodedBody() (io.Reader, *chunkReader) {
	if !x.streaming() {
		return x.r.Body, nil
	}
	var chain *sigv4.Chunks
	if x.signature.PayloadHash != sigv4.StreamingUnsignedTrailer {
		chain = x.signature.Chunks(x.secret)
	}
	chunks := newChunkReader(x.r.Body, chain)
	return chunks, chunks
}

func bodyError(err error) error {
	var refusal *apiError
	switch {
	case errors.As(err, &refusal):
		return refusal
	case errors.Is(err, errChunkFraming):
		return failuref("InvalidRequest", "The body is not a valid aws-chunked stream.")
	}
	return failure("IncompleteBody")
}

func (x *exchange) checkPayload(p *payload, hashes *hashes, trailer *chunkReader) error {
	if hashes.sha256 != nil {
		computed := hex.EncodeToString(hashes.sha256.Sum(nil))
		if computed != x.signature.PayloadHash {
			return failure("XAmzContentSHA256Mismatch").
				with("ClientComputedContentSHA256", x.signature.PayloadHash).
				with("S3ComputedContentSHA256", computed)
		}
	}
	if err := checkContentMD5(x.header("Content-MD5"), p.md5); err != nil {
		return err
	}
	if trailer != nil {
		if err := p.checksum.complete(trailer); err != nil {
			return err
		}
	}
	if p.checksum.algorithm == nil {
		return nil
	}
	return p.checksum.check(hashes.checksum.Sum(nil))
}

// complete takes the value from the trailer, which must hold what was announced and nothing else.
func (c *checksum) complete(trailer *chunkReader) error {
	if c.algorithm == nil || c.value != "" {
		if len(trailer.trailer) > 0 {
			return failure("MalformedTrailerError")
		}
		return nil
	}
	c.value = trailer.trailer.Get(c.header())
	if c.value == "" || len(trailer.trailer) != 1 {
		return failure("MalformedTrailerError")
	}
	return c.checkForm()
}

func checkContentMD5(header string, computed [md5.Size]byte) error {
	if header == "" {
		return nil
	}
	declared, err := base64.StdEncoding.DecodeString(header)
	if err != nil || len(declared) != md5.Size {
		return failure("InvalidDigest").with("Content-MD5", header)
	}
	if [md5.Size]byte(declared) != computed {
		return failure("BadDigest").
			with("ExpectedDigest", hex.EncodeToString(declared)).
			with("CalculatedDigest", hexMD5(computed))
	}
	return nil
}

// readDocument reads a request body that is XML or JSON. Most operations demand one.
func (x *exchange) readDocument() ([]byte, error) {
	p, err := x.readPayload(maxDocumentSize)
	if err != nil {
		return nil, err
	}
	return p.bytes(), nil
}
