package s3test

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/s3kloset/s3kloset/internal/s3test/sigv4"
)

const (
	minChunkSize    = 8192
	maxChunkLine    = 4096
	maxTrailerLines = 16
)

// errChunkFraming says that a body is not aws-chunked although the request says so.
var errChunkFraming = errors.New("malformed aws-chunked body")

// chunkReader decodes an aws-chunked body:
//
//	HEX[;chunk-signature=SIGNATURE]\r\n DATA\r\n ... 0[;...]\r\n [NAME:VALUE\r\n ...] \r\n
//
// The trailer is part of the body, not an HTTP trailer. Data is handed out before its signature has been checked, so
// nothing may be kept unless the reader ends with io.EOF.
type chunkReader struct {
	src     *bufio.Reader
	chain   *sigv4.Chunks // nil if the chunks are not signed
	trailer http.Header   // complete at io.EOF
	err     error

	left      int64 // of the current chunk
	short     bool  // a chunk under the minimum was seen, so it must be the last with data
	signature string
	hash      hash.Hash
	inChunk   bool
}

func newChunkReader(src io.Reader, chain *sigv4.Chunks) *chunkReader {
	return &chunkReader{
		src: bufio.NewReaderSize(src, 64<<10), chain: chain, trailer: make(http.Header), hash: sha256.New(),
	}
}

func (c *chunkReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for c.err == nil && c.left == 0 {
		c.err = c.next()
	}
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.src.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	if c.chain != nil {
		c.hash.Write(p[:n])
	}
	if err != nil {
		c.err = incomplete(err)
	}
	return n, nil
}

// next ends the current chunk and starts another, or reads the trailer and ends with io.EOF.
func (c *chunkReader) next() error {
	if c.inChunk {
		if line, err := c.line(); err != nil || line != "" {
			return orFraming(err)
		}
		if err := c.checkChunk(); err != nil {
			return err
		}
	}
	line, err := c.line()
	if err != nil {
		return err
	}
	size, extension, _ := strings.Cut(line, ";")
	if c.left, err = parseChunkSize(size); err != nil {
		return err
	}
	if err := c.open(extension); err != nil {
		return err
	}
	if c.left > 0 {
		return nil
	}
	// The last chunk has no data and no line end after it: the trailer follows at once.
	if err := c.checkChunk(); err != nil {
		return err
	}
	if err := c.readTrailer(); err != nil {
		return err
	}
	return io.EOF
}

func (c *chunkReader) open(extension string) error {
	c.inChunk = true
	c.hash.Reset()
	if c.chain == nil {
		return nil
	}
	signature, ok := strings.CutPrefix(extension, "chunk-signature=")
	if !ok {
		return errChunkFraming
	}
	c.signature = signature
	if c.left > 0 && c.short {
		return failure("InvalidChunkSizeError")
	}
	c.short = c.left < minChunkSize
	return nil
}

func (c *chunkReader) checkChunk() error {
	if c.chain == nil {
		return nil
	}
	return checkSignature(c.chain.Chunk(hex.EncodeToString(c.hash.Sum(nil))), c.signature)
}

func checkSignature(want, got string) error {
	if !hmac.Equal([]byte(want), []byte(got)) {
		return failure("SignatureDoesNotMatch")
	}
	return nil
}

// readTrailer reads up to the empty line that ends the body, and makes sure that it does.
func (c *chunkReader) readTrailer() error {
	var signed strings.Builder
	var signature string
	for range maxTrailerLines {
		line, err := c.line()
		if err != nil {
			return err
		}
		if line == "" {
			return c.finish(signed.String(), signature)
		}
		name, value, ok := strings.Cut(line, ":")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		switch {
		case !ok || name == "" || c.trailer.Get(name) != "":
			return failure("MalformedTrailerError")
		case name == "x-amz-trailer-signature":
			signature = value
		default:
			c.trailer.Set(name, value)
			signed.WriteString(name + ":" + value + "\n")
		}
	}
	return failure("MalformedTrailerError")
}

func (c *chunkReader) finish(signed, signature string) error {
	if _, err := c.src.ReadByte(); err != io.EOF {
		return orFraming(incompleteUnlessNil(err))
	}
	if c.chain == nil || signed == "" && signature == "" {
		return nil
	}
	return checkSignature(c.chain.Trailer(signed), signature)
}

// line reads up to CRLF, which it removes.
func (c *chunkReader) line() (string, error) {
	var line []byte
	for len(line) <= maxChunkLine {
		b, err := c.src.ReadByte()
		if err != nil {
			return "", incomplete(err)
		}
		if b == '\n' {
			text, ok := strings.CutSuffix(string(line), "\r")
			if !ok {
				return "", errChunkFraming
			}
			return text, nil
		}
		line = append(line, b)
	}
	return "", errChunkFraming
}

// parseChunkSize is strict: ParseInt alone would take signs and underscores.
func parseChunkSize(s string) (int64, error) {
	if s == "" || strings.Trim(s, "0123456789abcdefABCDEF") != "" {
		return 0, errChunkFraming
	}
	n, err := strconv.ParseInt(s, 16, 64)
	if err != nil {
		return 0, errChunkFraming
	}
	return n, nil
}

func incomplete(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func incompleteUnlessNil(err error) error {
	if err == nil {
		return nil
	}
	return incomplete(err)
}

func orFraming(err error) error {
	if err == nil {
		return errChunkFraming
	}
	return err
}
