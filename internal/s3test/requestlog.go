package s3test

import (
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Request is one entry of the request log.
type Request struct {
	Op       string // as in the S3 API, "" if the request names no operation
	Bucket   string
	Key      string // raw bytes
	Query    url.Values
	Method   string
	Host     string
	Header   http.Header
	Time     time.Time // on the server's clock, at arrival
	Fault    string    // name of the fault that was injected
	Status   int       // 0 as long as there is no answer
	Received int64     // bytes of the body, framing included
	Sent     int64     // bytes of the answer's body
}

// Totals is what requests add up to. A request is in flight from its arrival until the last byte of its answer is about
// to be sent or its connection is ended, so that a client which sends one request after the other never has two. One
// that the client gave up is in flight until the server notices.
type Totals struct {
	Requests int
	InFlight int
	Peak     int   // most requests in flight at the same time
	Received int64 // bytes of request bodies, framing included
	Sent     int64 // bytes of answer bodies
}

// logLimit bounds the entries kept; the totals stay exact beyond it.
const logLimit = 1 << 16

// requestLog keeps the newest requests in order of arrival. An entry appears when its request arrives, so that a
// client which has its answer finds its own request in the log.
type requestLog struct {
	mu      sync.Mutex
	entries []*Request
	sums    map[string]*Totals // by operation; "" is all
}

// both calls f for the totals of the operation and for those of all. The lock is held.
func (l *requestLog) both(op string, f func(*Totals)) {
	f(l.sum(op))
	if op != "" {
		f(l.sum(""))
	}
}

func (l *requestLog) sum(op string) *Totals {
	if l.sums == nil {
		l.sums = make(map[string]*Totals)
	}
	t := l.sums[op]
	if t == nil {
		t = new(Totals)
		l.sums[op] = t
	}
	return t
}

func (l *requestLog) add(entry *Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.entries) >= 2*logLimit {
		l.entries = append([]*Request(nil), l.entries[len(l.entries)-logLimit:]...)
	}
	l.entries = append(l.entries, entry)
	l.both(entry.Op, func(t *Totals) {
		t.Requests++
		t.InFlight++
		t.Peak = max(t.Peak, t.InFlight)
	})
}

func (l *requestLog) leave(op string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.both(op, func(t *Totals) { t.InFlight-- })
}

func (l *requestLog) received(entry *Request, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	entry.Received += int64(n)
	l.both(entry.Op, func(t *Totals) { t.Received += int64(n) })
}

func (l *requestLog) sent(entry *Request, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	entry.Sent += int64(n)
	l.both(entry.Op, func(t *Totals) { t.Sent += int64(n) })
}

// change updates an entry that is already in the log.
func (l *requestLog) change(update func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	update()
}

func (l *requestLog) list() []Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	entries := l.entries[max(0, len(l.entries)-logLimit):]
	list := make([]Request, len(entries))
	for i, entry := range entries {
		list[i] = *entry
	}
	return list
}

func (l *requestLog) totals(op string) Totals {
	l.mu.Lock()
	defer l.mu.Unlock()
	return *l.sum(op)
}

func (l *requestLog) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = nil
	for _, t := range l.sums {
		*t = Totals{InFlight: t.InFlight, Peak: t.InFlight}
	}
}
