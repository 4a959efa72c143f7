package klosettest

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/iotest"
)

// errBroken is what the suites' broken readers fail with.
var errBroken = errors.New("klosettest: reader breaks on purpose")

// oddReaders are the ways of delivering a body that the io.Reader contract
// allows and that careless callers get wrong.
var oddReaders = []struct {
	name string
	wrap func(io.Reader) io.Reader
}{
	{"short reads", iotest.HalfReader},
	{"one byte at a time", iotest.OneByteReader},
	{"last data together with EOF", iotest.DataErrReader},
	{"reads of nothing", func(r io.Reader) io.Reader { return &stutter{r: r} }},
	{"reads of nothing, short reads and early EOF", func(r io.Reader) io.Reader {
		return &stutter{r: iotest.DataErrReader(iotest.HalfReader(r))}
	}},
}

// stutter answers every other Read with (0, nil).
type stutter struct {
	r     io.Reader
	pause bool
}

func (s *stutter) Read(p []byte) (int, error) {
	if s.pause = !s.pause; s.pause {
		return 0, nil
	}
	return s.r.Read(p)
}

// breaking returns a reader of body that calls at when it has delivered all of
// it, and then fails with the error that at returns.
func breaking(body []byte, at func() error) io.Reader {
	return io.MultiReader(bytes.NewReader(body), readerFunc(func([]byte) (int, error) { return 0, at() }))
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// drainCheck remembers whether its reader was read to the end.
type drainCheck struct {
	io.Reader
	drained bool
}

func (d *drainCheck) Read(p []byte) (int, error) {
	n, err := d.Reader.Read(p)
	d.drained = d.drained || err == io.EOF
	return n, err
}

// guard is the body of a record that is given to an exporter. It fails the test
// when it is read after its end, after its Close, after the end of Export or by
// two at once, and at all where nobody may read. It counts its Closes.
type guard struct {
	t    testing.TB
	path string
	body io.Reader // nil: must not be read

	reading sync.Mutex
	over    sync.Once
	settled chan struct{} // closed when the body is at its end, or closed

	mu     sync.Mutex
	ended  bool
	late   bool // Export has returned
	lost   bool // the test has failed, and nobody wants to know
	closed int
}

func newGuard(t testing.TB, path string, body io.Reader) *guard {
	return &guard{t: t, path: path, body: body, settled: make(chan struct{})}
}

func (g *guard) Read(p []byte) (int, error) {
	if !g.reading.TryLock() {
		g.t.Errorf("%s: read by two at once", quote(g.path))
		return 0, io.ErrUnexpectedEOF
	}
	defer g.reading.Unlock()
	if err := g.forbidden(); err != nil {
		return 0, err
	}
	n, err := g.body.Read(p)
	if err != nil {
		g.mu.Lock()
		g.ended = true
		g.mu.Unlock()
		g.settle()
	}
	return n, err
}

// forbidden reports a read that must not be.
func (g *guard) forbidden() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.lost:
		return io.ErrClosedPipe
	case g.body == nil:
		g.t.Errorf("%s: the reader of something that is no file was read", quote(g.path))
		return io.ErrUnexpectedEOF
	case g.closed > 0:
		g.t.Errorf("%s: read after Close", quote(g.path))
		return io.ErrClosedPipe
	case g.late:
		g.t.Errorf("%s: read after Export has returned", quote(g.path))
		return io.ErrClosedPipe
	case g.ended:
		// Over a pipe the bytes after the end belong to the next record.
		g.t.Errorf("%s: read after the end of the body", quote(g.path))
		return io.EOF
	}
	return nil
}

func (g *guard) Close() error {
	g.mu.Lock()
	g.closed++
	g.mu.Unlock()
	g.settle()
	return nil
}

func (g *guard) settle() { g.over.Do(func() { close(g.settled) }) }

// retire forbids all reads from now on, and returns the number of Closes.
func (g *guard) retire() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.late = true
	return g.closed
}

// abandon fails all reads from now on, and no test.
func (g *guard) abandon() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.lost = true
}
