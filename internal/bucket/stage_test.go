package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// bucketName is the bucket of every stage.
const bucketName = "vault"

// stage is a client, and the server in memory that it talks to.
type stage struct {
	*s3test.Server
	t      *testing.T
	bucket *s3test.Bucket
	client *Client
	all    []*Client // client, and those made beside it
	wire   *wire
}

// play runs a test on a stage whose time is virtual: delays of the client and
// of the server pass at once, exactly, and only when everybody waits. Client
// and server are joined by pipes in memory.
//
// It fails when a connection is left open, because a body was not closed; when
// a goroutine is left; and when a fault was not met as often as it was scripted.
func play(t *testing.T, cfg Config, test func(t *testing.T, s *stage), options ...s3test.Option) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, cfg, options...)
		defer s.strike()
		test(t, s)
		s.Faults().VerifyAll(t)
	})
}

func newStage(t *testing.T, cfg Config, options ...s3test.Option) *stage {
	t.Helper()
	s := &stage{Server: s3test.New(options...), t: t}
	s.bucket = s.CreateBucket(bucketName)
	s.wire = newWire(s.Server)
	s.client = s.newClient(cfg)
	return s
}

// newClient makes a client of the stage's server with the given configuration;
// what is not set is set so that requests are accepted.
func (s *stage) newClient(cfg Config) *Client {
	s.t.Helper()
	if cfg.Name == "" {
		cfg.Name = bucketName
	}
	if cfg.Endpoint == "" {
		cfg.Endpoint = "http://s3.test"
	}
	if !cfg.Credentials.chosen() && cfg.AWS == nil {
		cfg.Credentials.Keys = Keys{AccessKey: s.AccessKey(), SecretKey: Secret(s.SecretKey())}
	}
	if cfg.Transport == nil {
		cfg.Transport = s.wire.transport(s.t, cfg)
	}
	client := mustNew(s.t, cfg)
	s.all = append(s.all, client)
	return client
}

func mustNew(t testing.TB, cfg Config) *Client {
	t.Helper()
	client, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// strike checks that nothing is left of the test, and ends the server.
func (s *stage) strike() {
	for _, client := range s.all {
		client.Close()
	}
	synctest.Wait()
	if n := s.wire.open.Load(); n != 0 {
		s.t.Errorf("%d connections left open", n)
	}
	s.wire.stop()
}

// fault adds one to the script of the server.
func (s *stage) fault(f s3test.Fault) *s3test.Injection { return s.Faults().Add(f) }

// count is how many requests the server got, for all operations if op is "".
// It must agree with what the clients counted.
func (s *stage) count(op string) int {
	s.t.Helper()
	n, counted := s.Count(op), int64(0)
	for _, client := range s.all {
		for name, requests := range client.Requests() {
			if op == "" || op == name {
				counted += requests
			}
		}
	}
	if counted != int64(n) {
		s.t.Errorf("clients counted %d %s, the server %d", counted, op, n)
	}
	return n
}

// wantCount fails unless there were n requests of an operation.
func (s *stage) wantCount(op string, n int) {
	s.t.Helper()
	if got := s.count(op); got != n {
		s.t.Errorf("%d requests %s, want %d", got, op, n)
	}
}

// wire carries connections from clients to a server without a network.
type wire struct {
	server *http.Server
	conns  chan net.Conn
	closed chan struct{} // the listener
	ended  chan struct{} // the server
	open   atomic.Int64  // at the client's end
	dials  atomic.Int64
	refuse atomic.Pointer[error] // what a dial fails with
}

func newWire(handler http.Handler) *wire {
	w := &wire{conns: make(chan net.Conn), closed: make(chan struct{}), ended: make(chan struct{})}
	w.server = &http.Server{Handler: handler, ErrorLog: log.New(io.Discard, "", 0)}
	go func() {
		defer close(w.ended)
		w.server.Serve(w)
	}()
	return w
}

func (w *wire) Accept() (net.Conn, error) {
	select {
	case conn := <-w.conns:
		return conn, nil
	case <-w.closed:
		return nil, net.ErrClosed
	}
}

func (w *wire) Addr() net.Addr { return &net.IPAddr{} }

// Close is that of a listener. The server calls it once.
func (w *wire) Close() error {
	close(w.closed)
	return nil
}

// stop ends the server and its connections.
func (w *wire) stop() {
	w.server.Close()
	<-w.ended
}

// dial opens a connection as the real dialer does.
func (w *wire) dial(ctx context.Context, network, address string) (net.Conn, error) {
	w.dials.Add(1)
	if refused := w.refuse.Load(); refused != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: *refused}
	}
	near, far := net.Pipe()
	select {
	case w.conns <- far:
	case <-w.closed:
		return nil, &net.OpError{Op: "dial", Net: network, Err: net.ErrClosed}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	w.open.Add(1)
	return &counted{Conn: near, open: &w.open}, nil
}

// transport is the client's own, but for the dialer.
func (w *wire) transport(t testing.TB, cfg Config) *http.Transport {
	t.Helper()
	if cfg.IdleTimeout == 0 {
		cfg.IdleTimeout = DefaultIdleTimeout
	}
	transport, err := newTransport(&cfg, w.dial)
	if err != nil {
		t.Fatal(err)
	}
	return transport
}

// counted is a connection that says when it is closed.
type counted struct {
	net.Conn
	open   *atomic.Int64
	closed atomic.Bool
}

func (c *counted) Close() error {
	if !c.closed.Swap(true) {
		c.open.Add(-1)
	}
	return c.Conn.Close()
}

// wantError fails unless err is of the kind, and an *OpError that names the
// operation, the bucket and the key.
func wantError(t testing.TB, err, kind error, op, key string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("error is %v, want %v", err, kind)
		return
	}
	var failed *OpError
	if !errors.As(err, &failed) {
		t.Errorf("error %v is not an OpError", err)
		return
	}
	if failed.Op != op || failed.Bucket != bucketName || failed.Key != key {
		t.Errorf("error is of %s %q %q, want %s %q %q: %v", failed.Op, failed.Bucket, failed.Key, op, bucketName, key, err)
	}
}

// bytesOf makes n bytes that differ by place and by seed.
func bytesOf(n int, seed byte) []byte {
	body := make([]byte, n)
	state := uint32(seed) + 1
	for i := range body {
		state = state*1664525 + 1013904223
		body[i] = byte(state >> 24)
	}
	return body
}

// spent tells how long a part of a test took in virtual time.
func spent(run func()) time.Duration {
	start := time.Now()
	run()
	return time.Since(start)
}

// keysOf makes n keys in order, with the given format for their number.
func keysOf(n int, format string) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf(format, i)
	}
	return keys
}
