package bucket

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// realConfig is for a server on a real port.
func realConfig(s *s3test.Server) Config {
	return Config{Name: bucketName, Endpoint: s.URL(),
		Credentials: Credentials{Keys: Keys{AccessKey: s.AccessKey(), SecretKey: Secret(s.SecretKey())}}}
}

// caFile writes what clients of the server must trust.
func caFile(t *testing.T, pem []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestRealConnections: the same over TCP, where connections are really reset.
func TestRealConnections(t *testing.T) {
	s := s3test.Start(t)
	s.CreateBucket(bucketName)
	client := mustNew(t, realConfig(s))
	body := bytesOf(3<<20, 60)
	s.Faults().Add(s3test.Fault{Op: "PutObject", Action: s3test.Reset()})
	s.Faults().Add(s3test.Fault{Op: "GetObject", Action: s3test.ResetAfter(1 << 20)})
	if _, err := client.Put(t.Context(), "k", body, Write{}); err != nil {
		t.Fatal(err)
	}
	got, err := readAll(t.Context(), client, "k", Pin{})
	if err != nil || !bytes.Equal(got, body) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	s.Faults().VerifyAll(t)
}

func TestClosedPort(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	client := mustNew(t, Config{Name: bucketName, Endpoint: "http://" + address,
		Credentials: Credentials{Keys: Keys{AccessKey: "AK", SecretKey: "SK"}}})
	wantError(t, client.Ping(t.Context()), ErrUnreachable, "list", "")
	if n := client.Requests()["ListObjectsV2"]; n != coldDialRetries+1 {
		t.Errorf("tried %d times", n)
	}
}

func TestTLS(t *testing.T) {
	s := s3test.StartTLS(t)
	s.CreateBucket(bucketName)
	t.Run("unknown authority", func(t *testing.T) {
		client := mustNew(t, realConfig(s))
		err := client.Ping(t.Context())
		wantError(t, err, ErrUnreachable, "list", "")
		var authority x509.UnknownAuthorityError
		if !errors.As(err, &authority) {
			t.Errorf("cause is lost: %v", err)
		}
		if n := client.Requests()["ListObjectsV2"]; n != 1 {
			t.Errorf("tried %d times", n)
		}
	})
	t.Run("CA file", func(t *testing.T) {
		cfg := realConfig(s)
		cfg.CAFile = caFile(t, s.CAPEM())
		client := mustNew(t, cfg)
		body := bytesOf(100_000, 61)
		if _, err := client.Put(t.Context(), "k", body, Write{}); err != nil {
			t.Fatal(err)
		}
		if got, err := readAll(t.Context(), client, "k", Pin{}); err != nil || !bytes.Equal(got, body) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		// The body is hashed once, for the checksum, and sent as it is.
		put := s.Requests()[len(s.Requests())-2].Header
		if put.Get("X-Amz-Content-Sha256") != "UNSIGNED-PAYLOAD" || put.Get("Content-Encoding") != "" || put.Get("X-Amz-Checksum-Crc32") == "" {
			t.Errorf("PUT was sent with %v", put)
		}
	})
	t.Run("not verified", func(t *testing.T) {
		cfg := realConfig(s)
		cfg.InsecureSkipVerify = true
		if err := mustNew(t, cfg).Ping(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("spoken to in plain", func(t *testing.T) {
		cfg := realConfig(s)
		cfg.Endpoint = strings.Replace(cfg.Endpoint, "https:", "http:", 1)
		if err := mustNew(t, cfg).Ping(t.Context()); err == nil {
			t.Error("no error")
		}
	})
}

func TestTLSWithAPlainServer(t *testing.T) {
	s := s3test.Start(t)
	cfg := realConfig(s)
	cfg.Endpoint = strings.Replace(cfg.Endpoint, "http:", "https:", 1)
	client := mustNew(t, cfg)
	wantError(t, client.Ping(t.Context()), ErrUnreachable, "list", "")
	if n := client.Requests()["ListObjectsV2"]; n != 1 {
		t.Errorf("tried %d times", n)
	}
}

func TestBadCAFile(t *testing.T) {
	for name, file := range map[string]string{
		"missing": filepath.Join(t.TempDir(), "none.pem"), "no certificate": caFile(t, []byte("hello")),
	} {
		if _, err := New(Config{Name: bucketName, CAFile: file, Credentials: Credentials{Anonymous: true}}); err == nil ||
			!strings.Contains(err.Error(), "ca_file") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestVirtualHost: the bucket is in the name of the host, not in the path.
func TestVirtualHost(t *testing.T) {
	play(t, Config{VirtualHost: true, Endpoint: "http://s3.test"}, func(t *testing.T, s *stage) {
		s.fill([]string{"a/b c"})
		if _, err := s.client.Head(t.Context(), "a/b c", Pin{}); err != nil {
			t.Error(err)
		}
		if r := s.Requests()[0]; r.Host != bucketName+".s3.test" || r.Bucket != bucketName || r.Key != "a/b c" {
			t.Errorf("asked %s for %q", r.Host, r.Key)
		}
	}, s3test.WithDomain("s3.test"))
}

// TestAddresses of AWS, as they are asked.
func TestAddresses(t *testing.T) {
	for want, cfg := range map[string]Config{
		"https://vault.s3.us-east-1.amazonaws.com/k":           {},
		"https://vault.s3.eu-west-3.amazonaws.com/k":           {Region: "eu-west-3"},
		"https://vault.s3.dualstack.eu-west-3.amazonaws.com/k": {Region: "eu-west-3", Dualstack: true},
		"https://vault.s3-fips.us-west-2.amazonaws.com/k":      {Region: "us-west-2", FIPS: true},
		"https://vault.s3-accelerate.amazonaws.com/k":          {Region: "us-west-2", Accelerate: true},
		"https://s3.eu-west-3.amazonaws.com/a.b/k":             {Region: "eu-west-3", Name: "a.b"}, // no certificate has two labels
		"http://minio:9000/vault/k":                            {Endpoint: "http://minio:9000"},
		"http://[2001:db8::1]:9000/vault/k":                    {Endpoint: "http://[2001:db8::1]:9000"},
		"https://[2001:db8::1]/vault/k":                        {Endpoint: "https://[2001:db8::1]"},
		"https://p-aq1a-s3alias.s3.us-east-1.amazonaws.com/k":  {Name: "p-aq1a-s3alias"},
		"http://vault.minio:9000/k":                            {Endpoint: "http://minio:9000", VirtualHost: true},
	} {
		t.Run(want, func(t *testing.T) {
			asked := ""
			cfg.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
				asked = r.URL.Scheme + "://" + r.URL.Host + r.URL.EscapedPath()
				return &http.Response{StatusCode: 404, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
			})
			if cfg.Name == "" {
				cfg.Name = bucketName
			}
			cfg.Credentials.Anonymous = true
			if _, err := mustNew(t, cfg).Head(t.Context(), "k", Pin{}); !errors.Is(err, ErrNotFound) {
				t.Fatal(err)
			}
			if asked != want {
				t.Errorf("asked %s", asked)
			}
		})
	}
}

// TestAccessPoint: its name and account make the host, and its region is
// signed for, whatever region the environment has.
func TestAccessPoint(t *testing.T) {
	alone(t)
	t.Setenv("AWS_REGION", "us-west-2")
	t.Setenv("AWS_ACCESS_KEY_ID", "AK")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "SK")
	const vpce = "https://accesspoint.vpce-1-2.s3.eu-west-3.vpce.amazonaws.com"
	for host, cfg := range map[string]Config{
		"point-123456789012.s3-accesspoint.eu-west-3.amazonaws.com":           {},
		"point-123456789012.s3-accesspoint.dualstack.eu-west-3.amazonaws.com": {Dualstack: true},
		"point-123456789012.s3-accesspoint-fips.eu-west-3.amazonaws.com":      {FIPS: true},
		"point-123456789012." + strings.TrimPrefix(vpce, "https://"):          {Endpoint: vpce},
	} {
		s := &signer{}
		cfg.Name, cfg.Region, cfg.Transport = "arn:aws:s3:eu-west-3:123456789012:accesspoint/point", "eu-west-3", s
		if _, err := mustNew(t, cfg).Head(t.Context(), "a/k", Pin{}); !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
		r := s.asked.Load()
		if r.URL.Host != host || r.URL.Path != "/a/k" {
			t.Errorf("asked %s%s, want %s", r.URL.Host, r.URL.Path, host)
		}
		authorization := r.Header.Get("Authorization")
		if !strings.Contains(authorization, "/eu-west-3/s3/aws4_request") || !strings.Contains(authorization, "host;") {
			t.Errorf("signed %s", authorization)
		}
	}
}

// TestRedirects: keys and signatures do not follow to a foreign host.
func TestRedirects(t *testing.T) {
	for _, c := range []struct {
		from, to string
		follow   bool
	}{
		{"https://s3.amazonaws.com/b/k", "https://s3.eu-west-3.amazonaws.com/b/k", true},
		{"http://minio:9000/b/k", "http://minio:9000/b/other", true},
		{"https://s3.amazonaws.com/b/k", "https://evil.example/b/k", false},
		{"https://s3.amazonaws.com/b/k", "https://amazonaws.com.evil.example/b/k", false},
		{"https://s3.amazonaws.com/b/k", "http://s3.amazonaws.com/b/k", false},
		{"http://minio:9000/b/k", "http://other:9000/b/k", false},
	} {
		from, to := request(t, c.from), request(t, c.to)
		if follow := sameService(to, []*http.Request{from}) == nil; follow != c.follow {
			t.Errorf("%s to %s: followed %t", c.from, c.to, follow)
		}
	}
	from := request(t, "http://minio:9000/b/k")
	if sameService(from, []*http.Request{from, from, from, from}) == nil {
		t.Error("redirects are followed without end")
	}
}

func request(t *testing.T, address string) *http.Request {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Request{URL: u}
}

// TestConnectionsAreKept: one is enough for requests one after the other.
func TestConnectionsAreKept(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.bucket.Put("k", bytesOf(1000, 62), s3test.Properties{})
		for range 20 {
			if _, err := readAll(t.Context(), s.client, "k", Pin{}); err != nil {
				t.Error(err)
			}
			if err := s.client.Delete(t.Context(), "missing"); err != nil {
				t.Error(err)
			}
			if _, err := s.client.Head(t.Context(), "missing", Pin{}); !errors.Is(err, ErrNotFound) {
				t.Error(err)
			}
		}
		if n := s.wire.dials.Load(); n != 1 {
			t.Errorf("%d connections were opened", n)
		}
	})
}

// TestStalledBody: silence in the middle of a body ends as an error of the
// connection, and the read goes on at its offset.
func TestStalledBody(t *testing.T) {
	play(t, Config{IdleTimeout: DefaultIdleTimeout}, func(t *testing.T, s *stage) {
		body := bytesOf(1000, 63)
		s.bucket.Put("k", body, s3test.Properties{})
		s.fault(s3test.Fault{Op: "GetObject", Action: s3test.StallAfter(500)})
		took := spent(func() {
			if got, err := readAll(t.Context(), s.client, "k", Pin{}); err != nil || !bytes.Equal(got, body) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
		if took < DefaultIdleTimeout || took > DefaultIdleTimeout*11/10 {
			t.Errorf("took %v", took)
		}
	})
}

// TestSlowBody: a trickle is no silence, however long it takes in all.
func TestSlowBody(t *testing.T) {
	play(t, Config{IdleTimeout: DefaultIdleTimeout}, func(t *testing.T, s *stage) {
		body := bytesOf(1000, 64)
		s.bucket.Put("k", body, s3test.Properties{})
		s.fault(s3test.Fault{Op: "GetObject", Action: s3test.SlowBody(10, DefaultIdleTimeout/2)})
		object, err := s.client.Get(t.Context(), "k", Pin{})
		if err != nil {
			t.Fatal(err)
		}
		defer object.Body.Close()
		got, err := io.ReadAll(object.Body)
		if err != nil || !bytes.Equal(got, body) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		s.wantCount("", 1)
	})
}

func ExampleConfig_secrets() {
	cfg := Config{Name: "vault", Region: "eu-west-3", SSECustomerKey: []byte("a key of 32 bytes that is secret"),
		Credentials: Credentials{Keys: Keys{AccessKey: "AK", SecretKey: "hush"}}}
	fmt.Printf("%v\n%+v\n", cfg, cfg.Credentials.Keys.SecretKey)
	// Output:
	// bucket "vault" at "", region "eu-west-3"
	// [redacted]
}
