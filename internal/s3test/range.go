package s3test

import (
	"fmt"
	"strconv"
	"strings"
)

// parseRange reads a Range header for an object of the given size. What is no single range of bytes is not one: the
// whole object is meant, and ok is false. A range that lies outside of the object has the size 0.
func parseRange(header string, total int64) (offset, size int64, ok bool) {
	spec, found := strings.CutPrefix(header, "bytes=")
	first, last, dash := strings.Cut(spec, "-")
	if !found || !dash {
		return 0, 0, false
	}
	if first == "" {
		n, ok := parseOffset(last)
		n = min(n, total)
		return total - n, n, ok
	}
	from, ok := parseOffset(first)
	if !ok {
		return 0, 0, false
	}
	to := total - 1
	if last != "" {
		n, ok := parseOffset(last)
		if !ok || n < from {
			return 0, 0, false
		}
		to = min(n, to)
	}
	if from >= total {
		return 0, 0, true
	}
	return from, to - from + 1, true
}

// parseOffset takes digits only; offsets beyond int64 are outside of every object.
func parseOffset(s string) (int64, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		n = 1<<63 - 1
	}
	return n, true
}

func contentRange(offset, size, total int64) string {
	return fmt.Sprintf("bytes %d-%d/%d", offset, offset+size-1, total)
}
