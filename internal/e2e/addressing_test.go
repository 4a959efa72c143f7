package e2e_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/e2e/server"
	"github.com/s3kloset/s3kloset/internal/s3test"
	"github.com/s3kloset/s3kloset/internal/s3test/conformance"
)

// How requests find a server: by the name of the bucket, through proxies, over IPv6, and in
// the region that the server has.

var addressed = []conformance.Server{conformance.MinIO, conformance.Versity}

// letters are objects whose addresses are easily misspelt, and one that takes all kinds of
// requests.
var letters = []exhibit{
	show("a b+c%20d").holding([]byte("plain")),
	show("folder/é?&=#", "x-amz-tagging", "t=1").holding(noise(20, 10<<10)),
	show("parts").inParts(noise(21, 5*mib), noise(22, 5*mib), noise(23, mib)),
}

// post is one way to reach buckets: a repository in one takes what is in another, and gives
// it back to a third.
type post struct {
	site
	opts []s3kloset.Option
	// name makes a bucket's name of another one; nil leaves it.
	name func(string) string
	// there says that others make the buckets: none is made in a region that the server has not.
	there bool
}

func (p post) bucket(t *testing.T, kind string) string {
	name := p.newName(t, kind)
	if p.name == nil {
		return name
	}
	return p.name(name)
}

// deliver returns the buckets.
func (p post) deliver(t *testing.T) []string {
	t.Helper()
	original, vault, restored := p.bucket(t, "original"), p.bucket(t, "vault"), p.bucket(t, "restored")
	keys := p.fill(t, original, letters)
	if p.there {
		for _, bucket := range []string{vault, restored} {
			if err := p.client.CreateBucket(t.Context(), bucket); err != nil {
				t.Fatal(err)
			}
		}
	}
	create := append(slices.Clone(p.opts), s3kloset.WithCreateBucket(true))
	store := p.open(t, vault+"/"+storeFolder, create...).Store()
	closeAtEnd(t, store)
	repo, err := s3kloset.CreateRepository(t.Context(), store, s3kloset.WithPlaintext())
	if err != nil {
		t.Fatal(err)
	}
	defer closeRepository(t, repo)
	backup, err := repo.Backup(t.Context(), p.open(t, original, p.opts...).Source())
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.Check(t.Context(), backup.Snapshot.ID); err != nil {
		t.Error(err)
	}
	if _, err := repo.Restore(t.Context(), backup.Snapshot.ID, p.open(t, restored, create...).Destination()); err != nil {
		t.Fatal(err)
	}
	p.compare(t, restored, original, keys)
	if _, err := store.CleanUp(t.Context(), 0); err != nil {
		t.Error(err)
	}
	return []string{original, vault, restored}
}

// office is an HTTP proxy through which every name leads to one server.
type office struct {
	*httptest.Server

	mu    sync.Mutex
	asked map[string]bool // methods and hosts; of all that is not a tunnel, the methods are *
}

func newOffice(t *testing.T, s *server.Server) *office {
	t.Helper()
	to, err := url.Parse(s.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	o := &office{asked: make(map[string]bool)}
	forward := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.Out.URL.Host, r.Out.Host = to.Host, r.In.Host },
		FlushInterval: -1,
	}
	o.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodConnect {
			o.note("CONNECT " + r.Host)
			tunnel(w, to.Host)
			return
		}
		o.note("* " + r.Host)
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(o.Close)
	return o
}

func (o *office) note(what string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked[what] = true
}

// wantAsked demands that these and no others were asked for.
func (o *office) wantAsked(t *testing.T, want ...string) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	var asked []string
	for what := range o.asked {
		asked = append(asked, what)
	}
	slices.Sort(asked)
	slices.Sort(want)
	if !slices.Equal(asked, want) {
		t.Errorf("the proxy was asked for %q, want %q", asked, want)
	}
}

func tunnel(w http.ResponseWriter, address string) {
	upstream, err := net.Dial("tcp", address)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	client, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		upstream.Close()
		return
	}
	_, _ = io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n") // a client that has gone ends the copies
	splice(client, upstream)
}

// splice joins two connections until one ends.
func splice(a, b net.Conn) {
	var done sync.WaitGroup
	for _, pair := range [][2]net.Conn{{a, b}, {b, a}} {
		done.Go(func() {
			_, _ = io.Copy(pair[0], pair[1])
			a.Close()
			b.Close()
		})
	}
	done.Wait()
}

// at is the way to names under the domain of the server, through the office.
func (o *office) at(s *server.Server) []s3kloset.Option {
	scheme, _, _ := strings.Cut(s.Endpoint, ":")
	return []s3kloset.Option{s3kloset.WithEndpoint(scheme + "://" + s.Domain), s3kloset.WithProxy(o.URL)}
}

// TestVirtualHost has the bucket in the host name, for which only the proxy knows the way.
// Over TLS no certificate of one name holds for a bucket with dots, which goes by path.
func TestVirtualHost(t *testing.T) {
	dotted := func(name string) string { return strings.Replace(name, "-", ".with.dots-", 1) }
	for _, name := range addressed {
		for _, c := range []struct {
			name   string
			opts   []server.Option
			bucket func(string) string
			asked  func(s *server.Server, bucket string) string
		}{
			{"plain", nil, nil, func(s *server.Server, bucket string) string { return "* " + bucket + "." + s.Domain }},
			{"plain, dots", nil, dotted, func(s *server.Server, bucket string) string { return "* " + bucket + "." + s.Domain }},
			{"TLS", []server.Option{server.TLS()}, nil, func(s *server.Server, bucket string) string { return "CONNECT " + bucket + "." + s.Domain + ":443" }},
			{"TLS, dots", []server.Option{server.TLS()}, dotted, func(s *server.Server, _ string) string { return "CONNECT " + s.Domain + ":443" }},
		} {
			t.Run(string(name)+"/"+c.name, func(t *testing.T) {
				s := server.Shared(t, name)
				if c.opts != nil {
					s = server.Start(t, name, c.opts...)
				}
				o := newOffice(t, s)
				p := post{newSite(t, s), append(o.at(s), s3kloset.WithVirtualHost(true)), c.bucket, false}
				asked := map[string]bool{}
				for _, bucket := range p.deliver(t) {
					asked[c.asked(s, bucket)] = true
				}
				var want []string
				for what := range asked {
					want = append(want, what)
				}
				o.wantAsked(t, want...)
			})
		}
	}
}

// TestProxyOfTheEnvironment backs up in a process whose environment names a proxy, as it is
// in offices: nothing else knows the way. What NO_PROXY names goes straight there.
func TestProxyOfTheEnvironment(t *testing.T) {
	plain, secure := server.Shared(t, conformance.MinIO), server.Start(t, conformance.MinIO, server.TLS())
	reachable := outside(t, plain)
	for _, c := range []struct {
		name     string
		server   *server.Server
		endpoint string
		variable string
		no       string
		asked    []string
	}{
		{"HTTP_PROXY", plain, "http://s3.test", "HTTP_PROXY", "", []string{"* s3.test"}},
		{"HTTPS_PROXY", secure, "https://s3.test", "HTTPS_PROXY", "", []string{"CONNECT s3.test:443"}},
		{"lower case", plain, "http://s3.test", "http_proxy", "", []string{"* s3.test"}},
		{"NO_PROXY of others", plain, "http://s3.test", "HTTP_PROXY", "example.test,10.0.0.0/8", []string{"* s3.test"}},
		{"proxy of another scheme", plain, reachable, "HTTPS_PROXY", "", nil},
		{"outside", plain, reachable, "HTTP_PROXY", "", []string{"* " + strings.TrimPrefix(reachable, "http://")}},
		{"NO_PROXY", plain, reachable, "HTTP_PROXY", hostOf(reachable), nil},
		{"NO_PROXY of a network", plain, reachable, "HTTP_PROXY", hostOf(reachable) + "/24", nil},
		{"this machine", plain, plain.Endpoint, "HTTP_PROXY", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.endpoint == "" {
				t.Skip("this machine has no address that others could reach")
			}
			at, o := newSite(t, c.server), newOffice(t, c.server)
			repository, original := at.newRepository(t), at.newName(t, "original")
			keys := at.fill(t, original, letters)
			there := *c.server
			there.Endpoint = c.endpoint
			environment := []string{"HTTP_PROXY=", "http_proxy=", "HTTPS_PROXY=", "https_proxy=", "no_proxy=", "REQUEST_METHOD=",
				c.variable + "=" + o.URL, "NO_PROXY=" + c.no}
			w := (site{&there, at.client}).hire(t, original, repository, environment...)
			if err := w.start(); err != nil {
				t.Fatal(err)
			}
			id, err := w.snapshot()
			if err != nil {
				t.Fatal(err)
			}
			at.wantWhole(t, at.reopen(t, repository), id, original, keys)
			o.wantAsked(t, c.asked...)
		})
	}
}

// outside is an endpoint of a server that is not this machine's own, as proxies see it: a
// loopback address is never asked for through one. It is empty where there is no address.
func outside(t *testing.T, s *server.Server) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range addresses {
		network, ok := address.(*net.IPNet)
		if !ok || network.IP.To4() == nil || network.IP.IsLoopback() {
			continue
		}
		listener, err := net.Listen("tcp", net.JoinHostPort(network.IP.String(), "0"))
		if err != nil {
			continue
		}
		go relay(listener, strings.TrimPrefix(s.Endpoint, "http://"))
		t.Cleanup(func() { listener.Close() })
		return "http://" + listener.Addr().String()
	}
	return ""
}

// relay joins all that comes with an address, until the listener is closed.
func relay(listener net.Listener, address string) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			upstream, err := net.Dial("tcp", address)
			if err != nil {
				client.Close()
				return
			}
			splice(client, upstream)
		}()
	}
}

func hostOf(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// TestIPv6 has an address with colons as the endpoint, and as the first name of locations.
func TestIPv6(t *testing.T) {
	listener, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skipf("this machine has no ::1: %v", err)
	}
	listener.Close()
	for _, name := range addressed {
		for scheme, opts := range map[string][]server.Option{"http": {server.IPv6()}, "https": {server.IPv6(), server.TLS()}} {
			t.Run(string(name)+"/"+scheme, func(t *testing.T) {
				s := server.Start(t, name, opts...)
				host, found := strings.CutPrefix(s.Endpoint, scheme+"://[::1]:")
				if !found {
					t.Fatalf("the endpoint is %s", s.Endpoint)
				}
				at := newSite(t, s)
				buckets := post{site: at}.deliver(t)
				// The same bucket, by the other form of location.
				trust := s3kloset.WithTLS(scheme == "https")
				if s.CAFile != "" {
					trust = s3kloset.WithCAFile(s.CAFile)
				}
				b, err := s3kloset.New("s3://[::1]:"+host+"/"+buckets[0], trust, s3kloset.WithCredentials(s.AccessKey, s.SecretKey, ""))
				if err != nil {
					t.Fatal(err)
				}
				defer b.Close()
				if err := b.Ping(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// TestRegionOfTheServer is found out by a client that knows none, or a wrong one: of each
// handle one request is refused.
func TestRegionOfTheServer(t *testing.T) {
	for _, name := range addressed {
		s := server.Start(t, name, server.InRegion("north-7"))
		for said, region := range map[string]string{"none": "", "wrong": "eu-west-3", "right": "north-7"} {
			t.Run(string(name)+"/"+said, func(t *testing.T) {
				proxy := s3test.StartProxy(t, s.Endpoint)
				post{newSite(t, s), []s3kloset.Option{s3kloset.WithEndpoint(proxy.URL()), s3kloset.WithRegion(region)}, nil, said == "wrong"}.deliver(t)
				const handles = 3
				astray := 0
				for _, r := range proxy.Requests() {
					if !strings.Contains(r.Header.Get("Authorization"), "/north-7/s3/") {
						astray++
					}
				}
				if said == "right" && astray > 0 || said != "right" && (astray < handles || astray > 4*handles) {
					t.Errorf("%d requests were for another region", astray)
				}
			})
		}
	}
}
