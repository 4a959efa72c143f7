package bucket

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
)

// Composite computes what S3 makes of an object in parts of one size: a digest
// over the digests of its parts. It tells in which parts bytes were uploaded
// that came as one stream.
type Composite struct {
	size  int64 // of each part but the last
	left  int64 // of the part that is being written
	count int   // parts that are complete
	part  hash.Hash
	whole hash.Hash
}

// NewComposite makes one for parts of size bytes; ok is false when the
// algorithm cannot be computed here.
func NewComposite(algorithm string, size int64) (c *Composite, ok bool) {
	if newHash(algorithm) == nil || size <= 0 {
		return nil, false
	}
	return &Composite{size: size, left: size, part: newHash(algorithm), whole: newHash(algorithm)}, true
}

// Write implements io.Writer. It never fails.
func (c *Composite) Write(p []byte) (int, error) {
	written := len(p)
	for len(p) > 0 {
		if c.left == 0 {
			c.end()
		}
		n := min(int64(len(p)), c.left)
		c.part.Write(p[:n])
		c.left -= n
		p = p[n:]
	}
	return written, nil
}

// end closes a part. The next one begins with its first byte, so that the last
// one is never empty, unless there is no other.
func (c *Composite) end() {
	c.whole.Write(c.part.Sum(nil))
	c.part.Reset()
	c.left = c.size
	c.count++
}

// sum ends the last part. Nothing may be written any more.
func (c *Composite) sum() []byte {
	if c.left < c.size || c.count == 0 {
		c.end()
	}
	return c.whole.Sum(nil)
}

// Checksum is the value of a composite checksum. Nothing may be written any
// more.
func (c *Composite) Checksum() string {
	return fmt.Sprintf("%s-%d", base64.StdEncoding.EncodeToString(c.sum()), c.count)
}

// ETag is what an ETag of parts is when the algorithm is MD5. Nothing may be
// written any more.
func (c *Composite) ETag() string { return fmt.Sprintf("%s-%d", hex.EncodeToString(c.sum()), c.count) }

// compositeOf joins the checksums of parts, in base64.
func compositeOf(algorithm string, parts []string) (string, bool) {
	whole := newHash(algorithm)
	if whole == nil {
		return "", false
	}
	for _, part := range parts {
		raw, err := base64.StdEncoding.DecodeString(part)
		if err != nil {
			return "", false
		}
		whole.Write(raw)
	}
	return fmt.Sprintf("%s-%d", encodeSum(whole), len(parts)), true
}
