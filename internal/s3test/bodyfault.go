package s3test

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// ResetAfter resets the connection when n bytes of the answer's body have been sent. The client sees at most n.
func ResetAfter(n int64) Action {
	return throughBody(func(b *bodyWriter) { b.limit, b.atLimit = n, b.reset })
}

// CutAfter closes the connection cleanly when n bytes of the answer's body have been sent. Content-Length is right, so
// that the client can know.
func CutAfter(n int64) Action {
	return throughBody(func(b *bodyWriter) { b.limit, b.atLimit = n, b.abandon })
}

// StallAfter sends n bytes of the answer's body and then nothing, until the client gives up or the server is closed.
func StallAfter(n int64) Action {
	return throughBody(func(b *bodyWriter) { b.limit, b.atLimit = n, b.stall })
}

// ShortLength cuts the answer's body to n bytes and lies about it: Content-Length says n too.
func ShortLength(n int64) Action {
	return throughBody(func(b *bodyWriter) {
		b.limit = n
		b.onHeader = func(h http.Header) {
			if length, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64); err == nil {
				h.Set("Content-Length", strconv.FormatInt(min(length, n), 10))
			}
		}
	})
}

// HalfBody sends the first half of the answer's body and lies about it: Content-Length says half, too. It makes a
// document that ends in the middle, which HTTP alone cannot tell from a whole one.
func HalfBody() Action {
	return throughBody(func(b *bodyWriter) {
		b.onHeader = func(h http.Header) {
			if length, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64); err == nil {
				b.limit = length / 2
				h.Set("Content-Length", strconv.FormatInt(b.limit, 10))
			}
		}
	})
}

// FlipBit inverts the lowest bit of the byte at an offset of the answer's body.
func FlipBit(at int64) Action {
	return throughBody(func(b *bodyWriter) {
		b.onBytes = func(offset int64, p []byte) {
			if offset <= at && at < offset+int64(len(p)) {
				p[at-offset] ^= 1
				b.effect = true
			}
		}
	})
}

// SlowBody sends the answer's body in pieces of n bytes with a pause of real time before each.
func SlowBody(n int, pause time.Duration) Action {
	return throughBody(func(b *bodyWriter) { b.piece, b.pause, b.effect = max(n, 1), pause, true })
}

// WrongContentRange answers a ranged request with the right bytes and a Content-Range that is one byte off.
func WrongContentRange() Action {
	return throughBody(func(b *bodyWriter) {
		b.onHeader = func(h http.Header) {
			var first, last, size int64
			if _, err := fmt.Sscanf(h.Get("Content-Range"), "bytes %d-%d/%d", &first, &last, &size); err == nil {
				h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", first+1, last+1, size+1))
				b.effect = true
			}
		}
	})
}

// SetHeader overwrites a header of the answer, or removes it if the value is empty.
func SetHeader(name, value string) Action {
	return throughBody(func(b *bodyWriter) {
		b.effect = true
		b.onHeader = func(h http.Header) {
			h.Del(name)
			if value != "" {
				h.Set(name, value)
			}
		}
	})
}

// discardWriter takes an answer that nobody gets.
type discardWriter struct{ header http.Header }

func (w *discardWriter) Header() http.Header         { return w.header }
func (w *discardWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *discardWriter) WriteHeader(int)             {}
