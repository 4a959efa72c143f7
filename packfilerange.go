package s3kloset

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"sync"
)

// packfileRange reads a range of a packfile out of what was read ahead, without
// a copy of its own. What it has passed can be evicted.
type packfileRange struct {
	owner *readahead
	ctx   context.Context // of whoever asked

	mu     sync.Mutex
	spans  []*span // pinned; the first holds the offset
	offset int64
	left   int64
	err    error // why reading is over
}

var _ io.ReadCloser = (*packfileRange)(nil)

// Read implements io.Reader.
func (p *packfileRange) Read(b []byte) (n int, err error) {
	if err := p.await(); err != nil {
		return 0, err
	}
	// The buffers of reads that are let go of serve others: no byte may be copied
	// after that.
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return 0, p.err
	}
	n = copy(b[:min(int64(len(b)), p.left)], p.here())
	p.offset += int64(n)
	p.left -= int64(n)
	if p.left == 0 {
		p.end(io.EOF)
	} else if len(p.here()) == 0 && len(p.spans) > 1 && p.offset == p.spans[1].offset() {
		p.owner.unpin(p.spans[0])
		p.spans = p.spans[1:]
	}
	return n, nil
}

// here is what the first read holds of the rest.
func (p *packfileRange) here() []byte {
	s := p.spans[0]
	return s.data[min(p.offset-s.offset(), int64(len(s.data))):]
}

// await waits for the next byte. It returns io.EOF when there is none.
func (p *packfileRange) await() error {
	p.mu.Lock()
	if p.err != nil {
		defer p.mu.Unlock()
		return p.err
	}
	next := p.spans[0]
	p.mu.Unlock()
	select {
	case <-next.ready:
	case <-p.ctx.Done():
		return p.ctx.Err()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.err != nil:
	case errors.Is(next.err, ErrInvalidRange) && p.offset <= next.offset():
		p.end(io.EOF) // the packfile ends between two reads
	case next.err != nil:
		p.end(next.err)
	case len(p.here()) == 0:
		p.end(io.EOF) // it ends within this one
	}
	return p.err
}

// end makes err what all further reads return.
func (p *packfileRange) end(err error) {
	if p.err == nil {
		p.err = err
		p.owner.unpin(p.spans...)
		p.spans = nil
	}
}

// Close implements io.Closer. It may be called again.
func (p *packfileRange) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end(fs.ErrClosed)
	return nil
}
