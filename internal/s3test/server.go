package s3test

import (
	"net/http"
	"slices"
	"sync"
	"time"
)

// Server is an S3 in memory. It is an http.Handler and, once started, an HTTP server on a loopback port. All of its
// methods are safe for concurrent use.
type Server struct {
	frontend
	endpoint
	settings settings

	mu      sync.RWMutex
	buckets map[string]*Bucket
	keys    map[string]Credentials // by access key
}

// New returns a server that is not listening yet.
func New(options ...Option) *Server {
	s := &Server{settings: newSettings(options), buckets: make(map[string]*Bucket), keys: make(map[string]Credentials)}
	s.frontend.configure(&s.settings)
	s.AddCredentials(s.settings.credentials)
	return s
}

// TB is the part of testing.TB that the package uses; programs may bring their own.
type TB interface {
	Helper()
	Cleanup(func())
	Fatalf(format string, args ...any)
}

// Start returns a server that is listening and is closed at the end of the test.
func Start(t TB, options ...Option) *Server {
	t.Helper()
	return started(t, New(options...), (*Server).Start)
}

// StartTLS is [Start] with TLS. Clients must trust [Server.CAPEM].
func StartTLS(t TB, options ...Option) *Server {
	t.Helper()
	return started(t, New(options...), (*Server).StartTLS)
}

// started starts something that is closed at the end of the test.
func started[S interface{ Close() error }](t TB, s S, start func(S) error) S {
	t.Helper()
	if err := start(s); err != nil {
		t.Fatalf("s3test: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Fatalf("s3test: %v", err)
		}
	})
	return s
}

// Start listens on a free loopback port. A server can be started once.
func (s *Server) Start() error { return s.open(s, &s.settings, false) }

// StartTLS is Start with a certificate for 127.0.0.1, localhost and the domain, issued by a CA of the server's own.
func (s *Server) StartTLS() error { return s.open(s, &s.settings, true) }

// Close ends all requests, those that a fault holds too, and stops listening. It returns when no handler is running
// any more.
func (s *Server) Close() error {
	err := s.shut()
	s.serving.wait()
	return err
}

// Region is the region of the server and of its buckets.
func (s *Server) Region() string { return s.settings.region }

// AccessKey is the access key that the server was made with.
func (s *Server) AccessKey() string { return s.settings.credentials.AccessKey }

// SecretKey is the secret that belongs to AccessKey.
func (s *Server) SecretKey() string { return s.settings.credentials.SecretKey }

// CreateBucket returns the bucket with the name, made if there is none. It panics if the name is not valid.
func (s *Server) CreateBucket(name string) *Bucket {
	if !validBucketName(name) {
		panic("s3test: invalid bucket name " + name)
	}
	b, _ := s.createBucket(name)
	return b
}

func (s *Server) createBucket(name string) (b *Bucket, created bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.buckets[name]; b != nil {
		return b, false
	}
	b = newBucket(s, name)
	s.buckets[name] = b
	return b, true
}

// Bucket returns the bucket with the name, or nil.
func (s *Server) Bucket(name string) *Bucket {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.buckets[name]
}

// RemoveBucket deletes a bucket with all that is in it.
func (s *Server) RemoveBucket(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.buckets, name)
}

func (s *Server) bucketNames() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var names []string
	for name := range s.buckets {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// now is the time of the server's clock in whole seconds, which is all that S3 keeps.
func (s *Server) now() time.Time { return s.clock.Now().UTC().Truncate(time.Second) }

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.frontend.serve(w, r, http.HandlerFunc(s.answer))
}
