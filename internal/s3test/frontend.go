package s3test

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
)

// frontend is what every request passes first, in a Server as in a Proxy: it is named, logged, delayed and handed to
// the faults.
type frontend struct {
	domain  string
	clock   Clock
	link    link
	log     requestLog
	faults  FaultScript
	serial  atomic.Uint64
	serving gauge // handlers that have not returned
}

func (f *frontend) configure(s *settings) {
	f.domain, f.clock = s.domain, s.clock
	f.link.latency.Store(int64(s.latency))
	f.link.up.rate, f.link.down.rate = s.bandwidth, s.bandwidth
}

// Faults is the script of what goes wrong. It may be changed while requests are served.
func (f *frontend) Faults() *FaultScript { return &f.faults }

// Requests returns the newest requests (at least 65,536) in order of arrival.
func (f *frontend) Requests() []Request { return f.log.list() }

// Count returns how many requests there were for an operation, or at all if op is "". It counts them on arrival, and
// refused ones too.
func (f *frontend) Count(op string) int { return f.log.totals(op).Requests }

// InFlight returns how many requests are being served at the moment.
func (f *frontend) InFlight() int { return f.log.totals("").InFlight }

// Peak returns how many requests for an operation, or at all if op is "", were in flight at the same time at most. See
// [Totals].
func (f *frontend) Peak(op string) int { return f.log.totals(op).Peak }

// Totals returns what all requests for an operation, or all at all if op is "", add up to.
func (f *frontend) Totals(op string) Totals { return f.log.totals(op) }

// ResetRequests forgets all requests but those in flight, which still count as such.
func (f *frontend) ResetRequests() { f.log.reset() }

func (f *frontend) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	f.serving.add(1)
	defer f.serving.add(-1)
	c := &call{id: fmt.Sprintf("%016X", f.serial.Add(1)), log: &f.log}
	c.target, c.refusal = parseTarget(r, f.domain)
	c.entry = &Request{
		Op: c.op, Bucket: c.bucket, Key: c.key, Query: c.query, Method: r.Method, Host: r.Host,
		Header: r.Header.Clone(), Time: f.clock.Now(),
	}
	f.log.add(c.entry)
	defer c.leave()
	ctx := context.WithValue(r.Context(), callKey{}, c)
	r = r.WithContext(ctx)
	r.Body = &countingBody{ReadCloser: r.Body, ctx: ctx, call: c, link: &f.link}
	next = f.faults.wrap(c, f.clock.Now(), next)
	if f.link.travel(ctx) != nil {
		panic(http.ErrAbortHandler)
	}
	next.ServeHTTP(&countingWriter{ResponseWriter: w, ctx: ctx, call: c, link: &f.link}, r)
}
