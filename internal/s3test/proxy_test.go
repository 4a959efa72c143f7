package s3test_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset/internal/s3test"
	"github.com/s3kloset/s3kloset/internal/s3test/conformance"
	"github.com/s3kloset/s3kloset/internal/s3test/sigv4"
)

// proxied returns a server, a proxy in front of it and a client of the proxy.
func proxied(t testing.TB, options ...s3test.Option) (*s3test.Server, *s3test.Bucket, *s3test.Proxy, *client) {
	t.Helper()
	s := s3test.Start(t, options...)
	p := s3test.StartProxy(t, s.URL(), options...)
	return s, s.CreateBucket("bucket"), p, newClient(t, s, p)
}

func TestProxyKeepsSignaturesAndKeys(t *testing.T) {
	_, b, _, c := proxied(t)
	for _, key := range hostileKeys {
		c.put(at(key), "body of "+key).ok()
		c.get(at(key)).ok().holds("body of " + key)
		c.head(at(key)).ok()
	}
	equal(t, "keys", b.Len(), len(hostileKeys))
	c.get(at("a"), presigned(time.Minute)).ok().holds("body of a")
	c.get(at("a"), signedWith("NOBODY", "x", "")).is(403, "InvalidAccessKeyId")
	c.get(at("a"), anonymous).is(403, "AccessDenied")
	c.get("/bucket?list-type=2&encoding-type=url&prefix=a%2Fb&delimiter=%2F").ok().contains("<Key>a/b</Key>")
	c.put(at("empty"), "").ok()
	c.remove(at("empty")).is(204, "")
}

func TestProxyKeepsHostsAndHeaders(t *testing.T) {
	s, b, p, c := proxied(t, s3test.WithDomain("s3.test"))
	host := func(o *outgoing) { o.Host = "bucket.s3.test:9000" }
	c.put("/k", "body", host, with("X-Amz-Meta-A", "1"), with("Content-Encoding", "gzip")).ok()
	c.get("/k", host).ok().holds("body").has("X-Amz-Meta-A", "1").has("Content-Encoding", "gzip").has("Server", "s3test")
	o, _ := b.Get("k")
	equal(t, "stored", string(o.Body)+o.ContentEncoding, "bodygzip")
	seen, asked := s.Requests()[0], p.Requests()[0]
	equal(t, "host", seen.Host, "bucket.s3.test:9000")
	equal(t, "operation", asked.Op+asked.Bucket+asked.Key, "PutObjectbucketk")
	for name, values := range asked.Header {
		equal(t, name, fmt.Sprint(seen.Header[name]), fmt.Sprint(values))
	}
	equal(t, "headers", len(seen.Header), len(asked.Header))
	if strings.HasPrefix(seen.Header.Get("User-Agent"), "Go") != strings.HasPrefix(asked.Header.Get("User-Agent"), "Go") {
		t.Error("the proxy has a user agent of its own")
	}
}

// TestProxyDropsHops sends headers that are meant for the proxy alone.
func TestProxyDropsHops(t *testing.T) {
	s, b, _, c := proxied(t, s3test.WithLatency(1))
	fill(b, "k")
	c.get(at("k"), after(func(r *http.Request) {
		r.Header.Set("Connection", "keep-alive, X-Hop")
		r.Header.Set("X-Hop", "1")
		r.Header.Set("Te", "trailers")
		r.Header.Set("X-End", "2")
	})).ok()
	seen := s.Requests()[0].Header
	equal(t, "headers of the connection", seen.Get("X-Hop")+seen.Get("Te")+seen.Get("Connection"), "")
	equal(t, "another header", seen.Get("X-End"), "2")
}

func TestProxyOfChunkedBodies(t *testing.T) {
	_, _, _, c := proxied(t)
	data := strings.Repeat("0123456789", 30000)
	trailer := "x-amz-checksum-crc32:" + crc32Base64(data) + "\r\n"
	c.put(at("k"), chunked(data, 65536, trailer), payload(sigv4.StreamingUnsignedTrailer), decodedLength(len(data)),
		with("X-Amz-Trailer", "x-amz-checksum-crc32"), with("Content-Encoding", "aws-chunked")).ok()
	c.get(at("k")).ok().holds(data)
}

// TestProxyStreamsUploads sends the second half of a body only after the server has the first.
func TestProxyStreamsUploads(t *testing.T) {
	s, b, p, c := proxied(t)
	half := strings.Repeat("x", 1<<20)
	r := c.request("PUT", at("k"), nil, payload(sigv4.UnsignedPayload))
	reader, writer := io.Pipe()
	r.Body, r.ContentLength = reader, int64(2*len(half))
	arrived := make(chan struct{})
	s.Faults().Add(s3test.Fault{Op: "PutObject", Action: func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			first := make([]byte, len(half))
			if _, err := io.ReadFull(r.Body, first); err != nil {
				t.Error(err)
			}
			close(arrived)
			r.Body = io.NopCloser(io.MultiReader(strings.NewReader(string(first)), r.Body))
			next.ServeHTTP(w, r)
		})
	}})
	go func() {
		io.WriteString(writer, half)
		<-arrived
		io.WriteString(writer, half)
		writer.Close()
	}()
	response, err := c.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	readAll(t, response).ok()
	o, _ := b.Get("k")
	equal(t, "size", len(o.Body), 2*len(half))
	equal(t, "bytes that the proxy saw", p.Totals("PutObject").Received, int64(2*len(half)))
}

// TestProxyStreamsAnswers reads the first bytes of an answer whose rest is held back.
func TestProxyStreamsAnswers(t *testing.T) {
	s, b, _, c := proxied(t)
	b.Put("k", []byte("0123456789"), s3test.Properties{})
	s.Faults().Add(s3test.Fault{Op: "GetObject", Action: s3test.StallAfter(4)})
	response, err := c.http.Do(c.request("GET", at("k"), nil))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	head := make([]byte, 4)
	if _, err := io.ReadFull(response.Body, head); err != nil || string(head) != "0123" {
		t.Fatalf("%q, %v", head, err)
	}
}

// TestProxyAsksForBodiesLate sees a refusal before the body has been sent.
func TestProxyAsksForBodiesLate(t *testing.T) {
	_, b, p, c := proxied(t)
	fill(b, "k")
	r := c.request("PUT", at("k"), []byte("body"), with("If-None-Match", "*"))
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "PUT /bucket/k HTTP/1.1\r\nHost: %s\r\nContent-Length: 6000000000\r\nExpect: 100-continue\r\n", r.Host)
	r.Header.Write(conn)
	io.WriteString(conn, "\r\n")
	response, err := http.ReadResponse(bufio.NewReader(conn), r)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "status", response.StatusCode, 400)
	response.Body.Close()
	equal(t, "bytes that the proxy saw", p.Totals("PutObject").Received, 0)
}

// TestProxyPassesFailuresOn breaks what is behind the proxy.
func TestProxyPassesFailuresOn(t *testing.T) {
	s, b, _, c := proxied(t)
	b.Put("k", make([]byte, 1<<20), s3test.Properties{})
	for _, action := range []s3test.Action{s3test.Reset(), s3test.CloseConn(), s3test.CutAfter(1000), s3test.ResetAfter(0)} {
		// Twice as often as the proxy asks: net/http repeats a GET whose connection ends before the answer.
		s.Faults().Add(s3test.Fault{Op: "GetObject", Times: s3test.Always, Action: action})
		if r, err := c.try("GET", at("k"), nil); err == nil {
			t.Errorf("an answer of %d bytes", len(r.body))
		}
		s.Faults().Clear()
	}
	c.get(at("k")).ok()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.try("GET", at("k"), nil); err == nil {
		t.Error("an answer from nobody")
	}
}

func TestProxyOfTLS(t *testing.T) {
	s := s3test.StartTLS(t)
	s.CreateBucket("bucket")
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.CAPEM())
	p, err := s3test.NewProxy(s.URL(), s3test.WithUpstreamTLS(&tls.Config{RootCAs: roots}))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.StartTLS(); err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	c := newClient(t, s, p)
	own := x509.NewCertPool()
	own.AppendCertsFromPEM(p.CAPEM())
	c.http.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: own}
	c.put(at("k"), "body", customerKey("a")).ok()
	c.get(at("k"), customerKey("a")).ok().holds("body")
	p.Faults().Add(s3test.Fault{Action: s3test.Reset()})
	c.http.CloseIdleConnections() // net/http repeats a GET that fails on a connection it has used before
	if _, err := c.try("GET", at("k"), nil, customerKey("a")); err == nil {
		t.Error("a reset connection answered")
	}
}

func TestProxyRefusesUpstreams(t *testing.T) {
	for _, upstream := range []string{"", "127.0.0.1:9000", "ftp://host", "http://", "http://host/path", "http://host?q", "http://[::1"} {
		if _, err := s3test.NewProxy(upstream); err == nil {
			t.Errorf("%q was taken", upstream)
		}
	}
	p, err := s3test.NewProxy("http://127.0.0.1:9000/")
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

// TestLatency compares with the least that a request can take: how much longer it takes is the machine's business.
func TestLatency(t *testing.T) {
	const latency = 20 * time.Millisecond
	onBoth(t, func(t *testing.T, s stage) {
		fill(s.bucket, "k")
		s.front.(interface{ SetLatency(time.Duration) }).SetLatency(latency)
		start := time.Now()
		s.get(at("k")).ok()
		if took := time.Since(start); took < latency {
			t.Errorf("a request took %v", took)
		}
	})
}

func TestBandwidth(t *testing.T) {
	_, b, _, c := proxied(t, s3test.WithBandwidth(4<<20))
	data := strings.Repeat("0123456789", 20000)
	start := time.Now()
	c.put(at("k"), data).ok()
	c.get(at("k")).ok().holds(data)
	// Each way takes 48 milliseconds, but for the slack.
	if took := time.Since(start); took < 80*time.Millisecond {
		t.Errorf("%d bytes and back took %v", len(data), took)
	}
	equal(t, "keys", b.Len(), 1)
}

// TestProxyConforms holds the conformance table against a proxy: what it asks is what the server behind it hears.
func TestProxyConforms(t *testing.T) {
	s, _, p, c := proxied(t)
	conformance.Run(t, conformance.Target{
		Server: conformance.S3Test, Endpoint: p.URL(), Region: s.Region(), AccessKey: s.AccessKey(), SecretKey: s.SecretKey(), Client: c.http,
	})
}
