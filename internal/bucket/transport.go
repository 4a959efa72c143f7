package bucket

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

// DefaultIdleTimeout is how long a connection may be silent in the middle of
// an exchange before the attempt counts as failed.
const DefaultIdleTimeout = 60 * time.Second

const (
	handshakeTimeout = 10 * time.Second
	// idleConnections is above the 64 prefetchers of the engine plus its
	// workers, so that no burst has to open connections anew.
	idleConnections = 256
	// keepIdle stays below the time after which S3 closes idle connections.
	keepIdle = 15 * time.Second
)

func newHTTPClient(cfg *Config) (*http.Client, error) {
	transport := cfg.Transport
	if transport == nil {
		var err error
		if transport, err = newTransport(cfg, newDialer().DialContext); err != nil {
			return nil, err
		}
	}
	return &http.Client{Transport: transport, CheckRedirect: sameService}, nil
}

func newTransport(cfg *Config, dial dialFunc) (*http.Transport, error) {
	tlsConfig := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		InsecureSkipVerify: cfg.InsecureSkipVerify,
	}
	if cfg.CAFile != "" {
		pool, err := trustedPool(cfg.CAFile)
		if err != nil {
			return nil, err
		}
		tlsConfig.RootCAs = pool
	}
	if cfg.ClientCert != "" {
		show := clientCertificate(cfg.ClientCert, firstOf(cfg.ClientKey, cfg.ClientCert))
		if _, err := show(nil); err != nil {
			return nil, err
		}
		tlsConfig.GetClientCertificate = show
	}
	return &http.Transport{
		Proxy:                  cfg.proxy(),
		OnProxyConnectResponse: refusalOfProxy,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &idleConn{Conn: conn, limit: cfg.IdleTimeout}, nil
		},
		TLSClientConfig:     tlsConfig,
		TLSHandshakeTimeout: handshakeTimeout,
		MaxIdleConns:        idleConnections,
		MaxIdleConnsPerHost: idleConnections,
		IdleConnTimeout:     keepIdle,
		// Bodies are wanted as they are stored.
		DisableCompression:    true,
		ExpectContinueTimeout: time.Second,
		ReadBufferSize:        64 << 10,
		WriteBufferSize:       64 << 10,
	}, nil
}

func trustedPool(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read ca_file: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read ca_file: no certificate in %q", file)
	}
	return pool, nil
}

// clientCertificate reads the files anew for each connection: certificates that
// machines get are short-lived, and renewed in place while a run goes on.
func clientCertificate(cert, key string) func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("read client_cert and client_key: %w", err)
		}
		return &pair, nil
	}
}

// sameService follows a redirect only within the service: signatures and
// SSE-C keys must not travel to a host that somebody else names.
func sameService(request *http.Request, via []*http.Request) error {
	from, to := via[0].URL.Hostname(), request.URL.Hostname()
	inAWS := strings.HasSuffix(from, ".amazonaws.com") && strings.HasSuffix(to, ".amazonaws.com")
	if len(via) > 3 || (from != to && !inAWS) || request.URL.Scheme != via[0].URL.Scheme {
		return http.ErrUseLastResponse
	}
	return nil
}

// idleConn fails a read or a write that waits longer than the limit, so that
// a server that stalls in the middle of anything ends as an error. A write
// also gives the answer to it new time.
type idleConn struct {
	net.Conn
	limit time.Duration
}

func (c *idleConn) Read(p []byte) (int, error) {
	if err := c.Conn.SetReadDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *idleConn) Write(p []byte) (int, error) {
	if err := c.Conn.SetDeadline(time.Now().Add(c.limit)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
