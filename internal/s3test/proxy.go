package s3test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/s3kloset/s3kloset/internal/s3test/sigv4"
)

// Proxy stands in front of another S3 server, with the same faults, request log and network as a [Server] has. Requests
// keep their Host, path and headers, so that their signatures stay valid; bodies are streamed both ways. Any number of
// requests are served at once. All of its methods are safe for concurrent use.
type Proxy struct {
	frontend
	endpoint
	settings  settings
	upstream  *url.URL
	transport *http.Transport
	buffers   sync.Pool // of *[relaySize]byte
}

const relaySize = 256 << 10

// NewProxy returns a proxy for the server at a URL such as "http://127.0.0.1:9000" that is not listening yet.
func NewProxy(upstream string, options ...Option) (*Proxy, error) {
	u, err := url.Parse(upstream)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" {
		return nil, fmt.Errorf("upstream %q is not http://HOST:PORT or https://HOST:PORT", u.Redacted())
	}
	p := &Proxy{settings: newSettings(options), upstream: u}
	p.configure(&p.settings)
	p.buffers.New = func() any { return new([relaySize]byte) }
	p.transport = &http.Transport{
		DisableCompression:    true,
		TLSClientConfig:       p.settings.upstreamTLS,
		TLSNextProto:          make(map[string]func(string, *tls.Conn) http.RoundTripper), // HTTP/1.1 only, as S3
		MaxIdleConnsPerHost:   1 << 12,
		IdleConnTimeout:       time.Minute,
		ExpectContinueTimeout: time.Second,
	}
	return p, nil
}

// StartProxy returns a proxy that is listening and is closed at the end of the test.
func StartProxy(t TB, upstream string, options ...Option) *Proxy {
	t.Helper()
	p, err := NewProxy(upstream, options...)
	if err != nil {
		t.Fatalf("s3test: %v", err)
	}
	return started(t, p, (*Proxy).Start)
}

// Start listens on a free loopback port. A proxy can be started once.
func (p *Proxy) Start() error { return p.open(p, &p.settings, false) }

// StartTLS is Start with a certificate as [Server.StartTLS] makes one.
func (p *Proxy) StartTLS() error { return p.open(p, &p.settings, true) }

// Close ends all requests, stops listening and closes the connections to the upstream. It returns when no handler is
// running any more.
func (p *Proxy) Close() error {
	err := p.shut()
	p.serving.wait()
	p.transport.CloseIdleConnections()
	return err
}

// ServeHTTP answers one request.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.frontend.serve(w, r, http.HandlerFunc(p.forward))
}

// forward lets the upstream answer. Its failures become those of a server: a connection that ends.
func (p *Proxy) forward(w http.ResponseWriter, r *http.Request) {
	out := p.outgoing(r)
	if out.Body != nil {
		// The transport may read on for a moment after an early answer; a closed body gives it nothing.
		defer out.Body.Close()
	}
	answer, err := p.transport.RoundTrip(out)
	if err != nil {
		resetConn(w, r)
		return
	}
	defer answer.Body.Close()
	header := w.Header()
	for name, values := range answer.Header {
		header[name] = values
	}
	removeHops(header)
	w.WriteHeader(answer.StatusCode)
	if p.relay(w, answer.Body) != nil {
		panic(http.ErrAbortHandler)
	}
}

// outgoing is the request to the upstream. It is what came in, but for the headers that belong to the connection.
func (p *Proxy) outgoing(r *http.Request) *http.Request {
	u := *r.URL
	u.Scheme, u.Host = p.upstream.Scheme, p.upstream.Host
	out := &http.Request{
		Method: r.Method, URL: &u, Host: r.Host, Header: r.Header.Clone(), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: r.Body, ContentLength: r.ContentLength, TransferEncoding: r.TransferEncoding,
	}
	if r.ContentLength == 0 {
		out.Body = nil
	}
	removeHops(out.Header)
	if _, ok := out.Header["User-Agent"]; !ok {
		out.Header["User-Agent"] = []string{""} // net/http would add its own
	}
	if callOf(r).ignoreRange {
		p.dropRange(out, r)
	}
	return out.WithContext(r.Context())
}

// dropRange asks for the whole object. Clients sign Range, so what they signed is signed again.
func (p *Proxy) dropRange(out, r *http.Request) {
	out.Header.Del("Range")
	signature, err := sigv4.Parse(r)
	if err != nil || signature.Presigned {
		return
	}
	credentials := p.settings.credentials.Credentials
	credentials.SessionToken = signature.SessionToken
	sigv4.Sign(out, credentials, signature.Scope.Region, signature.PayloadHash, signature.Time)
}

// relay copies the answer's body as it comes.
func (p *Proxy) relay(w http.ResponseWriter, body io.Reader) error {
	buffer := p.buffers.Get().(*[relaySize]byte)
	defer p.buffers.Put(buffer)
	flush := http.NewResponseController(w).Flush
	for {
		n, err := body.Read(buffer[:])
		if n > 0 {
			if _, err := w.Write(buffer[:n]); err != nil {
				return err
			}
			if err := flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// hopHeaders are about one connection and not about what is sent over it (RFC 9110, section 7.6.1).
var hopHeaders = []string{"Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Connection", "Te",
	"Trailer", "Transfer-Encoding", "Upgrade"}

func removeHops(h http.Header) {
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			h.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range hopHeaders {
		h.Del(name)
	}
}
