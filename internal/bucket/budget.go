package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
)

// ErrBudget reports that the requests, or the bytes, that the handle may spend
// are spent.
var ErrBudget = errors.New("budget is spent")

// budget bounds what a client may ask and move in its life. What cleans up is
// exempt: parts of an upload and locks that stay behind cost more.
type budget struct {
	maxRequests, maxBytes int64 // 0 is no bound
	requests, bytes       atomic.Int64
}

// exempt are operations that are made with an empty budget too.
var exempt = map[string]bool{"AbortMultipartUpload": true}

// request counts a request, unless it may not be made.
func (b *budget) request(ctx context.Context, operation string) error {
	if b.free(ctx) || exempt[operation] {
		return nil
	}
	if b.maxBytes > 0 && b.bytes.Load() >= b.maxBytes {
		return b.spentBytes()
	}
	if b.maxRequests > 0 && b.requests.Add(1) > b.maxRequests {
		return &exhausted{"max_requests", b.maxRequests}
	}
	return nil
}

// exhausted is ErrBudget with the name of the limit.
type exhausted struct {
	option string
	limit  int64
}

func (b *budget) spentBytes() error { return &exhausted{"max_bytes", b.maxBytes} }

func (e *exhausted) Error() string { return fmt.Sprintf("%s is %d", e.option, e.limit) }

// Is makes errors.Is find ErrBudget.
func (e *exhausted) Is(target error) bool { return target == ErrBudget }

// send counts n bytes that are about to be sent, unless they are too many.
func (b *budget) send(ctx context.Context, n int) error {
	if b.free(ctx) || b.maxBytes == 0 {
		return nil
	}
	if b.bytes.Add(int64(n)) > b.maxBytes {
		return b.spentBytes()
	}
	return nil
}

// free tells whether nothing is counted. A nil budget has no bounds.
func (b *budget) free(ctx context.Context) bool { return b == nil || isUrgent(ctx) }

// receive counts the bytes of a body, and ends it when they are too many.
func (b *budget) receive(ctx context.Context, body io.Reader) io.Reader {
	if b.free(ctx) || b.maxBytes == 0 {
		return body
	}
	return &countedBody{body, b}
}

type countedBody struct {
	io.Reader
	budget *budget
}

func (c *countedBody) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if n > 0 && c.budget.bytes.Add(int64(n)) > c.budget.maxBytes {
		// Whoever asked for just these bytes would not look at an error beside them.
		return 0, c.budget.spentBytes()
	}
	return n, err
}
