package server

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset/internal/e2e/raw"
	"github.com/s3kloset/s3kloset/internal/s3test"
	"github.com/s3kloset/s3kloset/internal/s3test/conformance"
)

// Region is the region of all servers that are not started [InRegion] of another one.
const Region = "us-east-1"

// startTimeout bounds one start: MinIO takes about a second of CPU, which a machine
// that compiles at the same time can stretch a lot.
const startTimeout = 2 * time.Minute

// Names lists the servers in the order in which tests visit them.
var Names = []conformance.Server{conformance.MinIO, conformance.Versity, conformance.MiniS3, conformance.S3Test}

// Server is a running S3 server. Its fields are constant while it runs.
type Server struct {
	Name      conformance.Server
	Endpoint  string // http://127.0.0.1:PORT or http://[::1]:PORT, or https:// when started with TLS
	Region    string
	AccessKey string
	SecretKey string

	// Domain is the base of virtual-host style names (BUCKET.Domain), which resolve
	// nowhere: dial the Endpoint. Empty where the server has path style only.
	Domain string

	// CAFile names the PEM file of the authority that signed the server's
	// certificate. Empty without TLS.
	CAFile string

	// Fake is the server itself when it is s3test's, whose faults, clock and objects
	// are then at hand.
	Fake *s3test.Server

	log  string // file of the server's output; empty for a server in this process
	stop func() error
}

// Option changes how a server is started.
type Option func(*config)

// TLS makes the server answer on https only, with a certificate for 127.0.0.1, ::1,
// localhost and the names under its Domain, signed by a new authority.
func TLS() Option {
	return func(c *config) { c.tls = true }
}

// InRegion gives the server another region than [Region]. MinIO and versitygw can.
func InRegion(name string) Option {
	return func(c *config) { c.region = name }
}

// IPv6 makes the server listen on ::1 alone. MinIO and versitygw can.
func IPv6() Option {
	return func(c *config) { c.host = "::1" }
}

type config struct {
	dir    string // an empty folder for everything the server writes
	access string
	secret string
	region string
	host   string // address that it listens on
	tls    bool
	cert   certificate // set when tls is
}

// Start starts a server that belongs to the test alone and is stopped at its end.
// When the test has failed by then, the end of the server's log is shown.
func Start(tb testing.TB, name conformance.Server, opts ...Option) *Server {
	tb.Helper()
	s, err := start(tb.Context(), tb.TempDir(), name, opts...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Stop(); err != nil {
			tb.Errorf("stop %s: %v", name, err)
		}
		if tb.Failed() {
			tb.Logf("log of %s:\n%s", name, s.logTail())
		}
	})
	return s
}

// Stop ends the server and waits for it. Stopping twice is harmless.
func (s *Server) Stop() error { return s.stop() }

// Client returns a new HTTP client that trusts the server's certificate. It has no
// timeout: bound requests with their contexts.
func (s *Server) Client() (*http.Client, error) {
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	if s.CAFile != "" {
		conf, err := trust(s.CAFile)
		if err != nil {
			return nil, err
		}
		transport.TLSClientConfig = conf
	}
	return &http.Client{Transport: transport}, nil
}

// Raw returns a client that sends requests as they are, until the end of the test.
func (s *Server) Raw(tb testing.TB) *raw.Client {
	tb.Helper()
	client, err := s.Client()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(client.CloseIdleConnections)
	return &raw.Client{
		Endpoint: s.Endpoint, Region: s.Region, AccessKey: s.AccessKey, SecretKey: s.SecretKey, HTTP: client,
	}
}

func start(ctx context.Context, dir string, name conformance.Server, opts ...Option) (*Server, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()

	c := config{dir: dir, access: "testuser", secret: rand.Text(), region: Region, host: "127.0.0.1"}
	for _, opt := range opts {
		opt(&c)
	}
	if c.tls {
		var err error
		if c.cert, err = newCertificate(filepath.Join(dir, "certs")); err != nil {
			return nil, fmt.Errorf("start %s: %w", name, err)
		}
	}

	var s *Server
	var err error
	switch name {
	case conformance.MinIO:
		s, err = startMinIO(ctx, c)
	case conformance.Versity:
		s, err = startVersity(ctx, c)
	case conformance.MiniS3:
		s, err = startMiniS3(c)
	case conformance.S3Test:
		s, err = startS3Test(c)
	default:
		err = fmt.Errorf("no such server")
	}
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	s.Name, s.Region, s.CAFile = name, c.region, c.cert.caFile
	return s, nil
}
