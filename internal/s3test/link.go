package s3test

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// link is the network that requests and answers seem to come over.
type link struct {
	latency  atomic.Int64 // nanoseconds
	up, down pacer
}

// SetLatency makes every request that arrives from now on wait d of real time on its way, as one round trip over a
// network would. Requests wait side by side: as many as there are, each takes d longer.
func (f *frontend) SetLatency(d time.Duration) { f.link.latency.Store(int64(d)) }

// travel waits for as long as a request is on its way.
func (l *link) travel(ctx context.Context) error {
	return pause(ctx, time.Duration(l.latency.Load()))
}

// pause waits d of real time, or until the context ends.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

const (
	// freePiece is the most that passes at once, so that the log does not count what a client never reads.
	freePiece = 64 << 10
	// pacedPiece is the same for a slow link, so that many streams share it evenly.
	pacedPiece = 16 << 10
	// pacedSlack is what a pacer may be behind or ahead. Timers are not precise enough to wait for each piece.
	pacedSlack = 2 * time.Millisecond
)

// pacer lets bytes pass at a rate, in the order in which they come. A rate of 0 is none.
type pacer struct {
	rate int64 // bytes a second

	mu   sync.Mutex
	free time.Time // when what has passed so far is through
}

// piece is how many of n bytes may pass at once.
func (p *pacer) piece(n int) int {
	if p.rate == 0 {
		return min(n, freePiece)
	}
	return min(n, pacedPiece)
}

// pass returns when n bytes are through.
func (p *pacer) pass(ctx context.Context, n int) error {
	if p.rate == 0 || n == 0 {
		return nil
	}
	if wait := p.reserve(time.Now(), n); wait > pacedSlack {
		return pause(ctx, wait)
	}
	return nil
}

// reserve takes a turn of n bytes and returns how long it is until they are through.
func (p *pacer) reserve(now time.Time, n int) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if earliest := now.Add(-pacedSlack); p.free.Before(earliest) {
		p.free = earliest
	}
	p.free = p.free.Add(time.Duration(int64(n) * int64(time.Second) / p.rate))
	return p.free.Sub(now)
}
