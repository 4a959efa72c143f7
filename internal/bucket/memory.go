package bucket

import (
	"context"
	"sync"

	"golang.org/x/sync/semaphore"
)

// Memory is a budget for buffers that several streams share. It is safe for
// concurrent use; those who wait are served in the order in which they came.
type Memory struct {
	limit int64
	sem   *semaphore.Weighted
	spare sync.Pool // of *[]byte, buffers that were given back
}

// NewMemory makes a budget of limit bytes.
func NewMemory(limit int64) *Memory {
	limit = max(limit, 1)
	return &Memory{limit: limit, sem: semaphore.NewWeighted(limit)}
}

// Acquire waits for n bytes and returns what gives them back, to be called
// once. More than the whole budget counts as the whole budget, so that one
// large buffer can always be had alone. Whoever holds bytes must not wait for
// more of them.
func (m *Memory) Acquire(ctx context.Context, n int64) (release func(), err error) {
	n = min(max(n, 0), m.limit)
	if err := m.sem.Acquire(ctx, n); err != nil {
		return nil, err
	}
	return func() { m.sem.Release(n) }, nil
}

// Limit is the size of the budget in bytes.
func (m *Memory) Limit() int64 { return m.limit }

// TryAcquire is Acquire without waiting: ok is false when the bytes are not
// there, or when others wait for theirs.
func (m *Memory) TryAcquire(n int64) (release func(), ok bool) {
	n = min(max(n, 0), m.limit)
	if !m.sem.TryAcquire(n) {
		return nil, false
	}
	return func() { m.sem.Release(n) }, true
}

// buffer is a slice of n bytes, whatever is in them. It belongs to whoever has
// acquired as many; buffers that were recycled keep garbage from growing beside
// the budget. One that is much larger than asked for is dropped: it would hold
// more than was acquired.
func (m *Memory) buffer(n int64) []byte {
	if spare, ok := m.spare.Get().(*[]byte); ok && n <= int64(cap(*spare)) && int64(cap(*spare)) <= 2*n {
		return (*spare)[:n]
	}
	return make([]byte, n)
}

// recycle takes back a buffer that nobody uses any more.
func (m *Memory) recycle(b []byte) {
	if cap(b) > 0 {
		m.spare.Put(&b)
	}
}
