package bucket

import (
	"bytes"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// socks is a SOCKS5 proxy through which every name leads to one server, as
// RFC 1928 says, with the passwords of RFC 1929.
type socks struct {
	net.Listener
	server   string // address
	password string // asked for, if not empty
	serving  sync.WaitGroup

	mu    sync.Mutex
	asked []string // hosts and ports
}

func newSOCKS(t *testing.T, s *s3test.Server, password string) *socks {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	p := &socks{Listener: listener, server: u.Host, password: password}
	p.serving.Go(p.accept)
	t.Cleanup(func() {
		p.Close()
		p.serving.Wait()
	})
	return p
}

func (p *socks) accept() {
	for {
		conn, err := p.Accept()
		if err != nil {
			return
		}
		p.serving.Go(func() {
			defer conn.Close()
			if p.greet(conn) {
				p.connect(conn)
			}
		})
	}
}

// greet agrees on how the client proves who it is, and lets it.
func (p *socks) greet(conn net.Conn) bool {
	const open, byPassword = 0, 2
	methods, ok := readCounted(conn, 1)
	method := byte(open)
	if p.password != "" {
		method = byPassword
	}
	if !ok || !bytes.Contains(methods, []byte{method}) {
		conn.Write([]byte{5, 0xff})
		return false
	}
	conn.Write([]byte{5, method})
	if method == open {
		return true
	}
	_, userOK := readCounted(conn, 1)
	password, passwordOK := readCounted(conn, 0)
	if !userOK || !passwordOK || string(password) != p.password {
		conn.Write([]byte{1, 1})
		return false
	}
	conn.Write([]byte{1, 0})
	return true
}

// connect joins the client, which names a host, with the server.
func (p *socks) connect(conn net.Conn) {
	head := make([]byte, 3)
	if _, err := io.ReadFull(conn, head); err != nil {
		return
	}
	host, ok := readCounted(conn, 1) // after the type of the address, 3 for a name
	port := make([]byte, 2)
	if _, err := io.ReadFull(conn, port); err != nil || !ok {
		return
	}
	p.mu.Lock()
	p.asked = append(p.asked, net.JoinHostPort(string(host), strconv.Itoa(int(binary.BigEndian.Uint16(port)))))
	p.mu.Unlock()
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		return
	}
	conn.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	p.serving.Go(func() {
		io.Copy(server, conn)
		server.Close()
	})
	io.Copy(conn, server)
}

// readCounted reads bytes whose number is in a byte before them, after some others.
func readCounted(r io.Reader, skip int) ([]byte, bool) {
	head := make([]byte, skip+1)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, false
	}
	text := make([]byte, head[skip])
	_, err := io.ReadFull(r, text)
	return text, err == nil
}

func (p *socks) hosts() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.asked, ", ")
}

// TestProxyThatSpeaksSOCKS: names are left to the proxy, which is asked once for
// a connection, and its password goes nowhere else.
func TestProxyThatSpeaksSOCKS(t *testing.T) {
	domain := s3test.WithDomain("s3.test")
	for scheme, s := range map[string]*s3test.Server{"http": s3test.Start(t, domain), "https": s3test.StartTLS(t, domain)} {
		s.CreateBucket(bucketName)
		for _, c := range []struct {
			name, password string
			user           *url.Userinfo
			kind           error
		}{
			{"open", "", nil, nil},
			{"right password", "hunter2", url.UserPassword("me", "hunter2"), nil},
			{"wrong password", "other", url.UserPassword("me", "hunter2"), ErrUnreachable},
			{"no password", "hunter2", nil, ErrUnreachable},
		} {
			t.Run(scheme+"/"+c.name, func(t *testing.T) {
				proxy := newSOCKS(t, s, c.password)
				cfg := realConfig(s)
				cfg.Endpoint, cfg.Proxy = scheme+"://s3.test", &url.URL{Scheme: "socks5", Host: proxy.Addr().String(), User: c.user}
				want := "s3.test:80"
				if scheme == "https" {
					cfg.CAFile, want = caFile(t, s.CAPEM()), "s3.test:443"
				}
				var logged bytes.Buffer
				cfg.Logger = slog.New(slog.NewTextHandler(&logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
				client := mustNew(t, cfg)
				err := client.Ping(t.Context())
				if c.kind == nil {
					if err != nil || proxy.hosts() != want {
						t.Errorf("the proxy was asked for %s, want %s: %v", proxy.hosts(), want, err)
					}
					return
				}
				wantError(t, err, c.kind, "list", "")
				if n := client.Requests()["ListObjectsV2"]; n != 1 || !IsProxy(err) {
					t.Errorf("tried %d times, the proxy refuses: %v", n, IsProxy(err))
				}
				if proxy.hosts() != "" || strings.Contains(err.Error()+logged.String(), "hunter2") {
					t.Errorf("asked for %q; %v; %s", proxy.hosts(), err, &logged)
				}
			})
		}
	}
}
