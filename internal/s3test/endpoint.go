package s3test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

// endpoint is a loopback port that requests come in by. It is opened once.
type endpoint struct {
	listener net.Listener
	http     *http.Server
	served   chan struct{} // closed when the accept loop has ended
	stop     context.CancelFunc
	conns    gauge
	ca       *authority
}

func (e *endpoint) open(handler http.Handler, s *settings, secure bool) error {
	var ca *authority
	if secure {
		var err error
		if ca, err = newAuthority(s.domain, s.certificateFrom, s.certificateTo); err != nil {
			return err
		}
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if ca != nil {
		listener = ca.wrap(listener)
	}
	ctx, stop := context.WithCancel(context.Background())
	e.ca, e.listener, e.stop, e.served = ca, listener, stop, make(chan struct{})
	e.http = &http.Server{
		Handler:           handler,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		ConnState:         e.countConns,
		ErrorLog:          silent(),
		ReadHeaderTimeout: time.Minute,
	}
	e.http.SetKeepAlivesEnabled(!s.closeAlways)
	go func() {
		defer close(e.served)
		e.http.Serve(listener)
	}()
	return nil
}

func (e *endpoint) countConns(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		e.conns.add(1)
	case http.StateClosed, http.StateHijacked:
		e.conns.add(-1)
	}
}

// shut ends all requests, those that a fault holds too, and returns when no connection is left but those that a
// handler took over.
func (e *endpoint) shut() error {
	if e.http == nil {
		return nil
	}
	e.stop()
	err := e.http.Close()
	<-e.served
	e.conns.wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// URL is the endpoint for path-style requests, without a slash at the end. It is "" before the start.
func (e *endpoint) URL() string {
	switch {
	case e.listener == nil:
		return ""
	case e.ca != nil:
		return "https://" + e.Addr()
	}
	return "http://" + e.Addr()
}

// Addr is the host and port that requests go to. It is "" before the start.
func (e *endpoint) Addr() string {
	if e.listener == nil {
		return ""
	}
	return e.listener.Addr().String()
}

// OpenConns returns how many client connections there are, idle ones included. A client that closes its idle
// connections and still holds one has left a body open.
func (e *endpoint) OpenConns() int { return e.conns.value() }

// CAPEM is the certificate of the CA that clients of StartTLS must trust. It is nil before the start.
func (e *endpoint) CAPEM() []byte {
	if e.ca == nil {
		return nil
	}
	return e.ca.pem
}
