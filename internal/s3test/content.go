package s3test

import (
	"crypto/md5"
	"encoding/hex"
	"io"
)

// segmentSize bounds what is allocated at once for a body whose length the client only claims.
const segmentSize = 8 << 20

// content is the bytes of an object. They are never changed, so that they can be shared by versions and read without
// a lock. An object made of parts keeps their segments.
type content struct {
	segments [][]byte
	size     int64
}

func bytesContent(b []byte) content {
	if len(b) == 0 {
		return content{}
	}
	return content{segments: [][]byte{b}, size: int64(len(b))}
}

// readContent reads exactly size bytes, or fails with io.ErrUnexpectedEOF.
func readContent(r io.Reader, size int64) (content, error) {
	c := content{size: size}
	for rest := size; rest > 0; {
		segment := make([]byte, min(rest, segmentSize))
		if _, err := io.ReadFull(r, segment); err != nil {
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			return content{}, err
		}
		c.segments = append(c.segments, segment)
		rest -= int64(len(segment))
	}
	return c, nil
}

func (c *content) append(more content) {
	c.segments = append(c.segments, more.segments...)
	c.size += more.size
}

// slice is the part of n bytes from off; both must lie within.
func (c content) slice(off, n int64) content {
	part := content{size: n}
	for _, segment := range c.segments {
		if n == 0 {
			break
		}
		length := int64(len(segment))
		if off >= length {
			off -= length
			continue
		}
		piece := segment[off:min(length, off+n)]
		part.segments = append(part.segments, piece)
		n -= int64(len(piece))
		off = 0
	}
	return part
}

// WriteTo writes all bytes.
func (c content) WriteTo(w io.Writer) (int64, error) {
	var written int64
	for _, segment := range c.segments {
		n, err := w.Write(segment)
		written += int64(n)
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// bytes is the whole content. It must not be changed: it may be the stored one.
func (c content) bytes() []byte {
	if len(c.segments) == 1 {
		return c.segments[0]
	}
	whole := make([]byte, 0, c.size)
	for _, segment := range c.segments {
		whole = append(whole, segment...)
	}
	return whole
}

func (c content) md5() [md5.Size]byte {
	h := md5.New()
	c.WriteTo(h)
	return [md5.Size]byte(h.Sum(nil))
}

func hexMD5(sum [md5.Size]byte) string { return hex.EncodeToString(sum[:]) }
