package s3test

import (
	"net/http"
	"time"
)

// throughBody serves the request through a bodyWriter.
func throughBody(set func(*bodyWriter)) Action {
	return action(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		b := &bodyWriter{ResponseWriter: w, request: r, limit: -1}
		set(b)
		next.ServeHTTP(b, r)
		if b.offset == 0 && b.limit == 0 {
			b.end() // an answer without a body reaches its end too
		}
		if !b.effect {
			callOf(r).missed()
		}
	})
}

// bodyWriter spoils an answer on its way out.
type bodyWriter struct {
	http.ResponseWriter
	request    *http.Request
	onHeader   func(http.Header)
	onBytes    func(offset int64, p []byte)
	limit      int64  // bytes let through; -1 is all
	atLimit    func() // ends the answer; nil swallows the rest
	piece      int
	pause      time.Duration
	effect     bool // the answer is not what it would have been
	headerSent bool
	offset     int64
}

func (b *bodyWriter) Unwrap() http.ResponseWriter { return b.ResponseWriter }

func (b *bodyWriter) WriteHeader(status int) {
	if !b.headerSent && b.onHeader != nil {
		b.onHeader(b.Header())
	}
	b.headerSent = true
	b.ResponseWriter.WriteHeader(status)
}

func (b *bodyWriter) Write(p []byte) (int, error) {
	if !b.headerSent {
		b.WriteHeader(http.StatusOK)
	}
	pass := p
	if b.limit >= 0 {
		pass = p[:min(int64(len(p)), b.limit-b.offset)]
	}
	if err := b.send(pass); err != nil {
		return 0, err
	}
	if len(pass) < len(p) {
		b.end()
	}
	return len(p), nil
}

func (b *bodyWriter) send(p []byte) error {
	if b.onBytes != nil {
		p = append([]byte(nil), p...) // the bytes belong to the object
		b.onBytes(b.offset, p)
	}
	for len(p) > 0 {
		n := len(p)
		if b.piece > 0 {
			n = min(n, b.piece)
			if err := pause(b.request.Context(), b.pause); err != nil {
				return err
			}
		}
		if _, err := b.ResponseWriter.Write(p[:n]); err != nil {
			return err
		}
		b.offset += int64(n)
		p = p[n:]
		if b.piece > 0 {
			http.NewResponseController(b.ResponseWriter).Flush()
		}
	}
	return nil
}

func (b *bodyWriter) end() {
	b.effect = true
	if b.atLimit != nil {
		http.NewResponseController(b.ResponseWriter).Flush()
		b.atLimit()
	}
}

func (b *bodyWriter) reset() {
	resetConn(b.ResponseWriter, b.request)
	panic(http.ErrAbortHandler)
}

func (b *bodyWriter) abandon() {
	callOf(b.request).leave()
	panic(http.ErrAbortHandler)
}

func (b *bodyWriter) stall() {
	<-b.request.Context().Done()
	panic(http.ErrAbortHandler)
}
