package s3test

import (
	"fmt"
	"testing"
)

func FuzzParseRange(f *testing.F) {
	for _, header := range []string{"bytes=0-0", "bytes=5-", "bytes=-5", "bytes=5-2", "bytes=0-1,2-3", "bytes=99999999999999999999-", "", "bytes=--1"} {
		f.Add(header, int64(10))
	}
	f.Add("bytes=-0", int64(0))
	f.Fuzz(func(t *testing.T, header string, total int64) {
		total &= 1<<63 - 1
		offset, size, ok := parseRange(header, total)
		switch {
		case !ok:
			if offset != 0 && offset != total || size != 0 {
				t.Errorf("%q of %d is no range but has %d bytes from %d", header, total, size, offset)
			}
		case offset < 0 || size < 0 || offset > total || size > total-offset:
			t.Errorf("%q of %d is %d bytes from %d", header, total, size, offset)
		case size > 0:
			canonical := fmt.Sprintf("bytes=%d-%d", offset, offset+size-1)
			if o, s, ok := parseRange(canonical, total); o != offset || s != size || !ok {
				t.Errorf("%q of %d is not %q", header, total, canonical)
			}
		}
	})
}
