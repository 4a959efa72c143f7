package server

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/s3kloset/s3kloset/internal/s3test/conformance"
)

// shared holds the servers that all tests of a package use: each is started by the
// first test that asks for it and stopped by Main.
var shared struct {
	dir string // set by Main

	mu      sync.Mutex
	servers map[conformance.Server]func() (*Server, error)
}

// Main runs the tests of a package that uses [Each] or [Shared] and stops the shared
// servers after them. It returns the exit status; their logs are shown when it is not 0.
func Main(m *testing.M) (status int) {
	dir, err := os.MkdirTemp("", "s3kloset-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	shared.dir = dir
	shared.servers = make(map[conformance.Server]func() (*Server, error))

	status = m.Run()
	for name, started := range shared.servers {
		s, err := started()
		if err != nil {
			continue // the test that started it has failed with this error
		}
		if err := s.Stop(); err != nil {
			fmt.Fprintf(os.Stderr, "stop %s: %v\n", name, err)
			status = max(status, 1)
		}
		if status != 0 {
			fmt.Fprintf(os.Stderr, "log of %s:\n%s\n", name, s.logTail())
		}
	}
	return status
}

// Each runs a subtest for each server, on the shared instances.
func Each(t *testing.T, run func(t *testing.T, s *Server)) {
	t.Helper()
	for _, name := range Names {
		t.Run(string(name), func(t *testing.T) { run(t, Shared(t, name)) })
	}
}

// Shared returns the package's shared instance of a server.
func Shared(tb testing.TB, name conformance.Server) *Server {
	tb.Helper()
	if shared.dir == "" {
		tb.Fatal("TestMain does not call server.Main")
	}
	shared.mu.Lock()
	started, ok := shared.servers[name]
	if !ok {
		started = sync.OnceValues(func() (*Server, error) {
			dir := filepath.Join(shared.dir, string(name))
			if err := os.Mkdir(dir, 0o700); err != nil {
				return nil, err
			}
			return start(context.Background(), dir, name)
		})
		shared.servers[name] = started
	}
	shared.mu.Unlock()

	s, err := started()
	if err != nil {
		tb.Fatal(err)
	}
	return s
}
