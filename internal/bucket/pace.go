package bucket

import (
	"context"
	"io"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// pace limits how fast a client works: by the caps that the user set, and by
// a brake that the server's 503 answers pull and quiet time releases.
type pace struct {
	requests *rate.Limiter // nil: no cap
	bytes    *rate.Limiter // nil: no cap
	budget   *budget       // nil: no bound

	mu    sync.Mutex
	brake *rate.Limiter
	seen  rate.Limit // requests a second at the moment, estimated
	last  time.Time
	until time.Time // nobody starts before
	ease  time.Time // when the brake was last changed
}

const (
	// slowest is the rate below which the brake does not go.
	slowest = rate.Limit(2)
	// easeEvery is after how much time without a 503 the brake is released
	// by easeBy: from the slowest rate to none in less than a minute.
	easeEvery = time.Second
	easeBy    = 1.25
	// released is the rate above which the brake is taken off.
	released = rate.Limit(4000)
	// window is the memory of the estimate of the present rate.
	window = time.Second
)

func newPace(requestsPerSecond float64, bytesPerSecond int64) *pace {
	p := &pace{brake: rate.NewLimiter(rate.Inf, 1)}
	if requestsPerSecond > 0 {
		p.requests = rate.NewLimiter(rate.Limit(requestsPerSecond), max(1, int(requestsPerSecond/10)))
	}
	if bytesPerSecond > 0 {
		p.bytes = rate.NewLimiter(rate.Limit(bytesPerSecond), int(min(max(bytesPerSecond, minBurst), math.MaxInt32)))
	}
	return p
}

// minBurst lets one buffer's worth of bytes through at once.
const minBurst = 64 << 10

type urgentKey struct{}

// Urgent marks operations that wait in no queue: the locks of a repository
// must be refreshed and released however busy the client is.
func Urgent(ctx context.Context) context.Context { return context.WithValue(ctx, urgentKey{}, true) }

func isUrgent(ctx context.Context) bool { return ctx.Value(urgentKey{}) != nil }

// wait returns when the next request may start.
func (p *pace) wait(ctx context.Context) error {
	if isUrgent(ctx) {
		return ctx.Err()
	}
	if p.requests != nil {
		if err := p.requests.Wait(ctx); err != nil {
			return paceError(ctx, err)
		}
	}
	delay := p.enter(time.Now())
	if delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
	}
	return nil
}

// enter counts a request and tells how long it has to wait.
func (p *pace) enter(now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.last.IsZero() {
		gap := now.Sub(p.last)
		keep := math.Exp(-float64(gap) / float64(window))
		p.seen = rate.Limit(float64(p.seen)*keep) + 1
	}
	p.last = now
	p.release(now)
	delay := p.brake.ReserveN(now, 1).DelayFrom(now)
	return max(delay, p.until.Sub(now))
}

// release eases the brake by one step for each easeEvery that has been quiet.
func (p *pace) release(now time.Time) {
	limit := p.brake.Limit()
	if limit == rate.Inf {
		return
	}
	steps := math.Floor(float64(now.Sub(p.ease)) / float64(easeEvery))
	if steps < 1 {
		return
	}
	p.ease = now
	if limit *= rate.Limit(math.Pow(easeBy, steps)); limit > released {
		limit = rate.Inf
	}
	p.brake.SetLimitAt(now, limit)
}

// slowDown halves the rate, and lets nobody start for a while.
func (p *pace) slowDown(pause time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	// One burst of refusals is one message, not as many as there were requests.
	if now.Sub(p.ease) < easeEvery/4 {
		return
	}
	p.ease = now
	if until := now.Add(min(pause, time.Second)); until.After(p.until) {
		p.until = until
	}
	limit := min(p.brake.Limit(), max(p.seen, slowest*2)) / 2
	p.brake.SetLimitAt(now, max(limit, slowest))
}

// meter limits a stream to the byte rate of the client.
func (p *pace) meter(ctx context.Context, r io.Reader) io.Reader {
	r = p.budget.receive(ctx, r)
	if p.bytes == nil || isUrgent(ctx) {
		return r
	}
	return &meteredReader{ctx: ctx, reader: r, limit: p.bytes}
}

// spend waits until n bytes may be sent.
func (p *pace) spend(ctx context.Context, n int) error {
	if err := p.budget.send(ctx, n); err != nil {
		return err
	}
	if p.bytes == nil || isUrgent(ctx) {
		return nil
	}
	for n > 0 {
		step := min(n, p.bytes.Burst())
		if err := p.bytes.WaitN(ctx, step); err != nil {
			return paceError(ctx, err)
		}
		n -= step
	}
	return nil
}

// paceError prefers the end of the context: the limiter also gives up early,
// with an error of its own, when a deadline would pass while it waits.
func paceError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if _, ok := ctx.Deadline(); ok {
		return context.DeadlineExceeded
	}
	return err
}

type meteredReader struct {
	ctx    context.Context
	reader io.Reader
	limit  *rate.Limiter
}

func (m *meteredReader) Read(p []byte) (int, error) {
	p = p[:min(len(p), m.limit.Burst())]
	n, err := m.reader.Read(p)
	if n > 0 {
		if wait := m.limit.WaitN(m.ctx, n); wait != nil {
			return n, paceError(m.ctx, wait)
		}
	}
	return n, err
}
