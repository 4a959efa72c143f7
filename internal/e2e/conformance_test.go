package e2e_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/s3kloset/s3kloset/internal/e2e/server"
	"github.com/s3kloset/s3kloset/internal/s3test/conformance"
)

func TestMain(m *testing.M) {
	if job, ok := os.LookupEnv(workerVariable); ok {
		if err := work(job); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(server.Main(m))
}

// TestConformance holds the table against all servers. The real ones differ from S3, and
// the table knows how.
func TestConformance(t *testing.T) {
	server.Each(t, func(t *testing.T, s *server.Server) {
		client, err := s.Client()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.CloseIdleConnections)
		conformance.Run(t, target(s, client))
	})
}

// TestVirtualHostKeys addresses buckets by host name, where the server can do that: the
// key then begins at the first slash, and may begin with another one.
func TestVirtualHostKeys(t *testing.T) {
	server.Each(t, func(t *testing.T, s *server.Server) {
		if s.Domain == "" {
			if s.Name != conformance.MiniS3 {
				t.Errorf("%s has no domain", s.Name)
			}
			return
		}
		// The names under the domain resolve nowhere.
		transport := &http.Transport{
			MaxIdleConnsPerHost: 16,
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, strings.TrimPrefix(s.Endpoint, "http://"))
			},
		}
		t.Cleanup(transport.CloseIdleConnections)
		target := target(s, &http.Client{Transport: transport})
		target.Domain = s.Domain
		conformance.RunKeys(t, target)
	})
}

func target(s *server.Server, client *http.Client) conformance.Target {
	return conformance.Target{
		Server:    s.Name,
		Endpoint:  s.Endpoint,
		Region:    s.Region,
		AccessKey: s.AccessKey,
		SecretKey: s.SecretKey,
		Client:    client,
	}
}
