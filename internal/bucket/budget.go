package bucket

import (
	"context"
	"errors"
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
		return ErrBudget
	}
	if b.maxRequests > 0 && b.requests.Add(1) > b.maxRequests {
		return ErrBudget
	}
	return nil
}

// send counts n bytes that are about to be sent, unless they are too many.
func (b *budget) send(ctx context.Context, n int) error {
	if b.free(ctx) || b.maxBytes == 0 {
		return nil
	}
	if b.bytes.Add(int64(n)) > b.maxBytes {
		return ErrBudget
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
		return n, ErrBudget
	}
	return n, err
}
