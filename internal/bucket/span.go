package bucket

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// span is a piece of an object: length bytes from offset, or all the rest when
// length is negative.
type span struct{ offset, length int64 }

// whole tells whether no range has to be asked for.
func (s span) whole() bool { return s.offset == 0 && s.length < 0 }

// header is the value of Range.
func (s span) header() string { return byteRange(s.offset, s.length) }

// byteRange is the value of Range for length bytes from offset, or for all the
// rest when length is negative.
func byteRange(offset, length int64) string {
	if length < 0 {
		return fmt.Sprintf("bytes=%d-", offset)
	}
	return fmt.Sprintf("bytes=%d-%d", offset, offset+length-1)
}

// within is how many bytes the span has in an object of size bytes.
func (s span) within(size int64) int64 {
	left := max(size-s.offset, 0)
	if s.length < 0 {
		return left
	}
	return min(left, s.length)
}

// answeredBy tells whether a Content-Range is an answer to the span, and how
// many bytes belong to it. That may be more than the answer itself has: a
// server may send less than it was asked for, and the rest is asked for again.
func (s span) answeredBy(contentRange string) (size int64, ok bool) {
	first, last, total, ok := parseContentRange(contentRange)
	if !ok || first != s.offset || (s.length >= 0 && last-first >= s.length) {
		return 0, false
	}
	if total < 0 {
		return last - first + 1, true
	}
	return s.within(total), true
}

// sentIn tells whether an answer is the span, and how many bytes belong to it.
// There are servers that send a piece as if it were all, with the status 200 and
// the range of the piece: rclone serve s3 does.
func (s span) sentIn(answer *smithyhttp.Response) (size int64, ok bool) {
	contentRange := answer.Header.Get("Content-Range")
	if size, ok = s.answeredBy(contentRange); !ok || answer.StatusCode == http.StatusPartialContent {
		return size, ok
	}
	first, last, _, _ := parseContentRange(contentRange)
	return size, answer.ContentLength < 0 || answer.ContentLength == last-first+1
}

// parseContentRange reads "bytes 100-199/1000"; total is -1 for "*".
func parseContentRange(text string) (first, last, total int64, ok bool) {
	text, ok = strings.CutPrefix(text, "bytes ")
	span, of, found := strings.Cut(text, "/")
	from, to, dash := strings.Cut(span, "-")
	if !ok || !found || !dash {
		return 0, 0, 0, false
	}
	if total = -1; of != "*" {
		if total, ok = digits(of); !ok {
			return 0, 0, 0, false
		}
	}
	first, okFirst := digits(from)
	last, okLast := digits(to)
	ok = okFirst && okLast && first <= last && (total < 0 || last < total)
	return first, last, total, ok
}

// digits reads a number without a sign.
func digits(text string) (int64, bool) {
	n, err := strconv.ParseUint(text, 10, 63)
	return int64(n), err == nil
}
