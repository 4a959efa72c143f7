package s3test

import (
	"github.com/s3kloset/s3kloset/internal/s3test/sigv4"
	"time"
)

// Credentials is a key pair that the server accepts, and how long it does.
type Credentials struct {
	sigv4.Credentials
	Expires time.Time // on the server's clock; zero is never
}

// AddCredentials makes the server accept a key pair beside those it knows, or changes one. Requests signed with it must
// carry its session token, if it has one, and get ExpiredToken when its time is over.
func (s *Server) AddCredentials(c Credentials) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keys[c.AccessKey] = c
}

// RemoveCredentials makes an access key unknown.
func (s *Server) RemoveCredentials(accessKey string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.keys, accessKey)
}
