package bucket

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// middleman is a proxy through which every name leads to one server.
type middleman struct {
	*httptest.Server
	password string // asked for, if not empty

	mu    sync.Mutex
	asked []string // methods and hosts
}

func newMiddleman(t *testing.T, s *s3test.Server, password string) *middleman {
	t.Helper()
	address := strings.TrimPrefix(strings.TrimPrefix(s.URL(), "https://"), "http://")
	m := &middleman{password: password}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Host, r.Out.Host = address, r.In.Host
	}}
	m.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.mu.Lock()
		m.asked = append(m.asked, r.Method+" "+r.Host)
		m.mu.Unlock()
		request := http.Request{Header: http.Header{"Authorization": r.Header["Proxy-Authorization"]}}
		if _, password, _ := request.BasicAuth(); password != m.password {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		if r.Method != http.MethodConnect {
			forward.ServeHTTP(w, r)
			return
		}
		tunnel(w, address)
	}))
	t.Cleanup(m.Close)
	return m
}

func tunnel(w http.ResponseWriter, address string) {
	server, err := net.Dial("tcp", address)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	client, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		server.Close()
		return
	}
	io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n")
	go func() {
		io.Copy(server, client)
		server.Close()
	}()
	io.Copy(client, server)
	client.Close()
}

// at is the address of the proxy with a user and a password.
func (m *middleman) at(t *testing.T, user *url.Userinfo) *url.URL {
	t.Helper()
	u, err := url.Parse(m.URL)
	if err != nil {
		t.Fatal(err)
	}
	u.User = user
	return u
}

func (m *middleman) hosts() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Join(m.asked, ", ")
}

// TestProxy: requests go through it, in plain and as a tunnel, and its password
// goes with them and nowhere else.
func TestProxy(t *testing.T) {
	domain := s3test.WithDomain("s3.test")
	for _, s := range []*s3test.Server{s3test.Start(t, domain), s3test.StartTLS(t, domain)} {
		s.CreateBucket(bucketName)
		scheme, _, _ := strings.Cut(s.URL(), ":")
		cfg := realConfig(s)
		want := "GET s3.test"
		cfg.Endpoint = scheme + "://s3.test"
		if scheme == "https" {
			cfg.CAFile, want = caFile(t, s.CAPEM()), "CONNECT s3.test:443"
		}
		for _, c := range []struct {
			name, password string
			user           *url.Userinfo
			kind           error
		}{
			{"open", "", nil, nil},
			{"right password", "hunter2", url.UserPassword("me", "hunter2"), nil},
			{"wrong password", "other", url.UserPassword("me", "hunter2"), ErrUnreachable},
		} {
			t.Run(scheme+"/"+c.name, func(t *testing.T) {
				proxy := newMiddleman(t, s, c.password)
				cfg := cfg
				cfg.Proxy = proxy.at(t, c.user)
				var logged bytes.Buffer
				cfg.Logger = slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
				s.ResetRequests()
				client := mustNew(t, cfg)
				err := client.Ping(t.Context())
				if c.kind == nil && err != nil {
					t.Error(err)
				} else if c.kind != nil {
					wantError(t, err, c.kind, "list", "")
					if strings.Contains(err.Error()+logged.String(), "hunter2") {
						t.Errorf("the password shows: %v; %s", err, &logged)
					}
				}
				if got := proxy.hosts(); got != want {
					t.Errorf("the proxy was asked for %s, want %s", got, want)
				}
				for _, r := range s.Requests() {
					if r.Header.Get("Proxy-Authorization") != "" {
						t.Error("the server was told the password of the proxy")
					}
				}
			})
		}
	}
}

// TestProxyThatIsDown is given up as early as an endpoint that is.
func TestProxyThatIsDown(t *testing.T) {
	client := mustNew(t, Config{Name: bucketName, Endpoint: "https://s3.test", Proxy: &url.URL{Scheme: "http", Host: "127.0.0.1:1"},
		Credentials: Credentials{Keys: Keys{AccessKey: "AK", SecretKey: "SK"}}})
	wantError(t, client.Ping(t.Context()), ErrUnreachable, "list", "")
	if n := client.Requests()["ListObjectsV2"]; n != coldDialRetries+1 {
		t.Errorf("tried %d times", n)
	}
}

// TestProxyOfTheEnvironment needs a process of its own: net/http looks at the
// environment once.
func TestProxyOfTheEnvironment(t *testing.T) {
	s := s3test.Start(t)
	s.CreateBucket(bucketName)
	if os.Getenv("S3KLOSET_TEST_PROXY_CHILD") != "" {
		child(t)
		return
	}
	for _, c := range []struct {
		name, no, option string
		through          bool
	}{
		{"set", "", "", true},
		{"not for this host", "s3.test", "", false},
		{"not wanted", "", "none", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			proxy := newMiddleman(t, s, "")
			run := exec.Command(os.Args[0], "-test.run=^TestProxyOfTheEnvironment$")
			run.Env = append(os.Environ(), "S3KLOSET_TEST_PROXY_CHILD=yes", "S3KLOSET_TEST_PROXY_OPTION="+c.option,
				"HTTP_PROXY="+proxy.URL, "http_proxy=", "NO_PROXY="+c.no, "no_proxy=", "REQUEST_METHOD=",
				"AWS_ACCESS_KEY_ID="+s.AccessKey(), "AWS_SECRET_ACCESS_KEY="+s.SecretKey())
			output, err := run.CombinedOutput()
			if through := proxy.hosts() == "GET s3.test"; through != c.through || (err == nil) != c.through {
				t.Errorf("through the proxy: %v, want %v; it was asked for %q\n%s", through, c.through, proxy.hosts(), output)
			}
		})
	}
}

// child asks for a host that only the proxy knows.
func child(t *testing.T) {
	cfg := Config{Name: bucketName, Endpoint: "http://s3.test", Retries: -1}
	if os.Getenv("S3KLOSET_TEST_PROXY_OPTION") == "none" {
		cfg.Proxy = NoProxy
	}
	if err := mustNew(t, cfg).Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestProxyIsNotForThisMachine: what only it can reach is asked directly for
// keys, and S3 is not.
func TestProxyIsNotForThisMachine(t *testing.T) {
	proxy := &url.URL{Scheme: "http", Host: "proxy.test:3128"}
	cfg := Config{Proxy: proxy}
	for host, here := range map[string]bool{
		"169.254.169.254": true, "169.254.170.2": true, "[fd00:ec2::254]": true, "[fe80::1]": true, "127.0.0.1:8080": true, "localhost": true,
		"[::1]:80": true, "sts.amazonaws.com": false, "10.0.0.1": false, "[fd00::1]": false, "localhost.example": false,
	} {
		r := request(t, "http://"+host+"/latest")
		if got, err := cfg.proxy().exceptHere()(r); err != nil || (got == nil) != here {
			t.Errorf("%s: keys are asked for through %v, %v", host, got, err)
		}
		if got, err := cfg.proxy()(r); err != nil || got != proxy {
			t.Errorf("%s: S3 is asked through %v, %v", host, got, err)
		}
	}
}
