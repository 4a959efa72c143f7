package s3test

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
)

// call is one request on its way through the frontend.
type call struct {
	target
	id          string
	refusal     error // why the target cannot be served
	log         *requestLog
	entry       *Request
	injection   *Injection // nil if the request met no fault
	ignoreRange bool
	gone        atomic.Bool

	// Of the answer; for the goroutine that writes it.
	started bool
	left    int64 // bytes of the body that are to come; negative if that is not known
}

type callKey struct{}

func callOf(r *http.Request) *call {
	return r.Context().Value(callKey{}).(*call)
}

// inject notes the fault that the request meets.
func (c *call) inject(i *Injection) {
	c.injection = i
	c.log.change(func() { c.entry.Fault = i.fault.Name })
}

// missed notes that the fault had no effect on this request.
func (c *call) missed() {
	if c.injection != nil {
		c.injection.miss()
	}
}

// received notes bytes of the request's body.
func (c *call) received(n int) { c.log.received(c.entry, n) }

// answer notes the status and the headers of the answer; the first final ones count.
func (c *call) answer(status int, h http.Header) {
	if c.started || status < http.StatusOK {
		return
	}
	c.started = true
	length, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
	if err != nil {
		length = -1
	}
	c.left = length
	c.log.change(func() { c.entry.Status = status })
}

// send notes bytes of the answer's body that are about to be sent.
func (c *call) send(n int) {
	c.log.sent(c.entry, n)
	if c.left -= int64(n); c.left == 0 {
		c.leave()
	}
}

// leave takes the request out of those in flight. It comes before the last byte of the answer is sent: once a client
// can know that a request is over, the next one that it sends finds this one gone.
func (c *call) leave() {
	if !c.gone.Swap(true) {
		c.log.leave(c.entry.Op)
	}
}

// countingBody notes what is read of a request's body.
type countingBody struct {
	io.ReadCloser
	ctx  context.Context
	call *call
	link *link
}

func (b *countingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:b.link.up.piece(len(p))])
	if n > 0 {
		b.call.received(n)
		if late := b.link.up.pass(b.ctx, n); late != nil {
			return n, late
		}
	}
	return n, err
}

// countingWriter notes what is sent before it is sent: a client never knows more than the log.
type countingWriter struct {
	http.ResponseWriter
	ctx  context.Context
	call *call
	link *link
}

func (w *countingWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *countingWriter) WriteHeader(status int) {
	w.call.answer(status, w.Header())
	w.ResponseWriter.WriteHeader(status)
}

func (w *countingWriter) Write(p []byte) (int, error) {
	w.call.answer(http.StatusOK, w.Header())
	written := 0
	for len(p) > 0 {
		piece := p[:w.link.down.piece(len(p))]
		if err := w.link.down.pass(w.ctx, len(piece)); err != nil {
			return written, err
		}
		w.call.send(len(piece))
		n, err := w.ResponseWriter.Write(piece)
		written += n
		if err != nil {
			return written, err
		}
		p = p[len(piece):]
	}
	return written, nil
}
