package pipe

import (
	"errors"
	"fmt"
	"io"
	"sync"
)

// body is the body of a record on the stream that carries records too. It may
// be read and closed from any goroutine, any number of times.
type body struct {
	stream exportStream
	ended  chan struct{} // closed when the stream is beyond the body, or broken

	mu   sync.Mutex
	rest []byte // of the last chunk
	err  error  // how it ended; io.EOF is well
}

var errBodyClosed = errors.New("read of a closed body")

func newBody(stream exportStream) *body {
	return &body{stream: stream, ended: make(chan struct{})}
}

// Read returns io.EOF once the host has marked the end, and never touches the
// stream after that: what follows is the next record.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.rest) == 0 {
		b.receive()
	}
	if len(b.rest) == 0 {
		return 0, b.err
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// Close reads what is left, since the next record comes after it. It returns
// what is wrong with the stream.
func (b *body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.err == nil {
		b.receive()
	}
	b.rest = nil
	err := b.err
	if errors.Is(err, io.EOF) || errors.Is(err, errBodyClosed) {
		b.err, err = errBodyClosed, nil
	}
	return err
}

// receive gets the next chunk, or finds the end.
func (b *body) receive() {
	if b.err != nil {
		return
	}
	message, err := b.stream.Recv()
	switch {
	case errors.Is(err, io.EOF):
		// The host has no other way to say that it could not read the body.
		err = fmt.Errorf("receive body: %w", io.ErrUnexpectedEOF)
	case err != nil:
		err = fmt.Errorf("receive body: %w", err)
	case message.GetRecord() != nil:
		err = errors.New("receive body: the host sent the next record before the end")
	case len(message.GetChunk()) == 0:
		err = io.EOF
	default:
		b.rest = message.GetChunk()
		return
	}
	b.err = err
	close(b.ended)
}
