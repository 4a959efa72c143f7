package s3test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// FuzzChunkReader reads anything at all, and then what is certainly well-formed.
func FuzzChunkReader(f *testing.F) {
	f.Add([]byte("4\r\nbody\r\n0\r\n\r\n"), uint16(3))
	f.Add([]byte("4;chunk-signature=x\r\nbody\r\n0;chunk-signature=y\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n"), uint16(1))
	f.Add([]byte("FFFFFFFFFFFFFFFF\r\n"), uint16(0))
	f.Add([]byte("1\nx\n0\n\n"), uint16(9))
	f.Fuzz(func(t *testing.T, data []byte, size uint16) {
		whole := newChunkReader(bytes.NewReader(data), nil)
		decoded, err := io.ReadAll(whole)
		slow := newChunkReader(iotest.OneByteReader(bytes.NewReader(data)), nil)
		again, slowErr := io.ReadAll(iotest.OneByteReader(slow))
		if !bytes.Equal(decoded, again) || (err == nil) != (slowErr == nil) || fmt.Sprint(whole.trailer) != fmt.Sprint(slow.trailer) {
			t.Errorf("%q reads as %q, %v and, byte by byte, as %q, %v", data, decoded, err, again, slowErr)
		}
		if err == nil && len(decoded)+len("0\r\n\r\n") > len(data) {
			t.Errorf("%q reads as more than it holds: %q", data, decoded)
		}

		reader := newChunkReader(strings.NewReader(encodeChunks(data, int(size))), nil)
		decoded, err = io.ReadAll(reader)
		if err != nil || !bytes.Equal(decoded, data) || reader.trailer.Get("X-Amz-A") != "b" {
			t.Errorf("%q in chunks of %d reads as %q, %v with trailer %v", data, size, decoded, err, reader.trailer)
		}
	})
}

func encodeChunks(data []byte, size int) string {
	var b strings.Builder
	for rest := data; len(rest) > 0; {
		n := min(size+1, len(rest))
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, rest[:n])
		rest = rest[n:]
	}
	return b.String() + "0\r\nx-amz-a: b\r\n\r\n"
}
