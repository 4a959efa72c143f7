package pipe

import (
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// Stdio takes standard input and output as the one connection of a listener.
// From then on os.Stdout is standard error, and os.Stdin is empty: what some
// other part of the program, or a child of it, prints or reads must not end up
// in the conversation with the host.
func Stdio() (net.Listener, error) {
	empty, err := os.Open(os.DevNull)
	if err != nil {
		return nil, fmt.Errorf("take standard input: %w", err)
	}
	l := newListener(&stdio{in: os.Stdin, out: os.Stdout})
	os.Stdin, os.Stdout = empty, os.Stderr
	return l, nil
}

// stdio is a connection made of two pipes.
type stdio struct{ in, out *os.File }

func (c *stdio) Read(p []byte) (int, error)  { return c.in.Read(p) }
func (c *stdio) Write(p []byte) (int, error) { return c.out.Write(p) }

func (c *stdio) Close() error {
	err := c.in.Close()
	if outErr := c.out.Close(); err == nil {
		err = outErr
	}
	return err
}

func (c *stdio) LocalAddr() net.Addr  { return address{} }
func (c *stdio) RemoteAddr() net.Addr { return address{} }

// Deadlines are not needed: the host is there from the first moment, and its
// end ends every read and write.
func (c *stdio) SetDeadline(time.Time) error      { return nil }
func (c *stdio) SetReadDeadline(time.Time) error  { return nil }
func (c *stdio) SetWriteDeadline(time.Time) error { return nil }

type address struct{}

func (address) Network() string { return "stdio" }
func (address) String() string  { return "stdio" }

// listener accepts one connection, and then waits for its end.
type listener struct {
	conn   chan net.Conn // holds the connection until it is accepted
	addr   net.Addr
	closed chan struct{}
	once   sync.Once
}

func newListener(conn net.Conn) *listener {
	l := &listener{conn: make(chan net.Conn, 1), addr: conn.LocalAddr(), closed: make(chan struct{})}
	l.conn <- &lastConn{Conn: conn, listener: l}
	return l
}

// Accept returns the connection, and io.EOF when it has been closed.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conn:
		return conn, nil
	case <-l.closed:
		return nil, io.EOF
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *listener) Addr() net.Addr { return l.addr }

// lastConn is a connection whose end is that of its listener.
type lastConn struct {
	net.Conn
	listener *listener
}

func (c *lastConn) Close() error {
	defer c.listener.Close()
	return c.Conn.Close()
}
