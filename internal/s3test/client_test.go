package s3test_test

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset/internal/s3test"
	"github.com/s3kloset/s3kloset/internal/s3test/sigv4"
)

// origin is where a client sends its requests: a Server or a Proxy.
type origin interface{ URL() string }

// client sends signed requests as the test says. It retries nothing, but net/http repeats a GET whose connection, used
// before, ends without an answer.
type client struct {
	t           testing.TB
	origin      origin
	credentials sigv4.Credentials
	region      string
	http        *http.Client
	now         func() time.Time
}

// newClient returns a client of the server through the origin, which is the server itself or stands in front of it.
func newClient(t testing.TB, s *s3test.Server, through origin) *client {
	t.Helper()
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64, ExpectContinueTimeout: time.Minute}
	t.Cleanup(transport.CloseIdleConnections)
	return &client{
		t: t, origin: through, region: s.Region(), now: time.Now,
		credentials: sigv4.Credentials{AccessKey: s.AccessKey(), SecretKey: s.SecretKey()},
		http: &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}},
	}
}

// started returns a running server with one bucket, and a client of it.
func started(t testing.TB, options ...s3test.Option) (*s3test.Server, *s3test.Bucket, *client) {
	t.Helper()
	s := s3test.Start(t, options...)
	return s, s.CreateBucket("bucket"), newClient(t, s, s)
}

// in is the client for a subtest.
func (c *client) in(t testing.TB) *client {
	copied := *c
	copied.t = t
	return &copied
}

// edit changes a request before it is signed, or how it is signed.
type edit func(*outgoing)

type outgoing struct {
	*http.Request
	body      []byte
	payload   string        // what x-amz-content-sha256 says, when not the body's hash
	skew      time.Duration // of the signer's clock
	presigned time.Duration
	anonymous bool
	secret    string
	accessKey string
	token     string
	region    string
	last      func(*http.Request) // changes the request after it has been signed
}

// with adds a header line.
func with(name, value string) edit { return func(o *outgoing) { o.Header.Add(name, value) } }

// after changes the request when it has been signed.
func after(change func(*http.Request)) edit { return func(o *outgoing) { o.last = change } }

// at is the target of an object: "/bucket/key", with the key escaped.
func at(key string) string { return "/bucket/" + sigv4.Escape(key, true) }

// request makes a signed request for a target, which goes out as it is written.
func (c *client) request(method, target string, body []byte, edits ...edit) *http.Request {
	c.t.Helper()
	path, query, _ := strings.Cut(target, "?")
	decoded, err := url.PathUnescape(path)
	if err != nil {
		c.t.Fatal(err)
	}
	base, err := url.Parse(c.origin.URL())
	if err != nil {
		c.t.Fatal(err)
	}
	u := &url.URL{Scheme: base.Scheme, Host: base.Host, Path: decoded, RawPath: path, RawQuery: query}
	o := &outgoing{
		Request: &http.Request{Method: method, URL: u, Host: base.Host, Header: make(http.Header)},
		body:    body, region: c.region,
		secret: c.credentials.SecretKey, accessKey: c.credentials.AccessKey, token: c.credentials.SessionToken,
	}
	for _, e := range edits {
		e(o)
	}
	o.ContentLength = int64(len(o.body))
	if len(o.body) > 0 {
		o.Body = io.NopCloser(bytes.NewReader(o.body))
	}
	if o.payload == "" {
		sum := sha256.Sum256(o.body)
		o.payload = hex.EncodeToString(sum[:])
	}
	o.sign(c.now().Add(o.skew))
	if o.last != nil {
		o.last(o.Request)
	}
	return o.Request.WithContext(c.t.Context())
}

func (o *outgoing) sign(now time.Time) {
	key := sigv4.Credentials{AccessKey: o.accessKey, SecretKey: o.secret, SessionToken: o.token}
	switch {
	case o.anonymous:
	case o.presigned > 0:
		sigv4.Presign(o.Request, key, o.region, o.presigned, now)
	default:
		sigv4.Sign(o.Request, key, o.region, o.payload, now)
	}
}

// withBody gives a signed request another body.
func withBody(r *http.Request, body string) *http.Request {
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	return r
}

func readAll(t testing.TB, response *http.Response) reply {
	t.Helper()
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{t: t, name: response.Request.Method, status: response.StatusCode, header: response.Header, length: response.ContentLength, body: body}
}

// try sends a request and reads the answer, as far as it comes.
func (c *client) try(method, target string, body []byte, edits ...edit) (reply, error) {
	c.t.Helper()
	response, err := c.http.Do(c.request(method, target, body, edits...))
	if err != nil {
		return reply{}, err
	}
	defer response.Body.Close()
	r := reply{t: c.t, name: method + " " + target, status: response.StatusCode, header: response.Header, length: response.ContentLength}
	r.body, err = io.ReadAll(response.Body)
	return r, err
}

// do is try for answers that come whole.
func (c *client) do(method, target string, body []byte, edits ...edit) reply {
	c.t.Helper()
	r, err := c.try(method, target, body, edits...)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, target, err)
	}
	return r
}

func (c *client) get(target string, edits ...edit) reply {
	c.t.Helper()
	return c.do("GET", target, nil, edits...)
}

func (c *client) head(target string, edits ...edit) reply {
	c.t.Helper()
	return c.do("HEAD", target, nil, edits...)
}

func (c *client) put(target, body string, edits ...edit) reply {
	c.t.Helper()
	return c.do("PUT", target, []byte(body), edits...)
}

func (c *client) post(target, body string, edits ...edit) reply {
	c.t.Helper()
	return c.do("POST", target, []byte(body), edits...)
}

func (c *client) remove(target string, edits ...edit) reply {
	c.t.Helper()
	return c.do("DELETE", target, nil, edits...)
}

// reply is an answer with its body.
type reply struct {
	t      testing.TB
	name   string
	status int
	header http.Header
	length int64
	body   []byte
}

// is fails the test unless the answer has the status and, where it is an error document, the code.
func (r reply) is(status int, code string) reply {
	r.t.Helper()
	if r.status != status || r.code() != code {
		r.t.Fatalf("%s: %d %s, want %d %s\n%s", r.name, r.status, r.code(), status, code, r.body)
	}
	return r
}

func (r reply) ok() reply {
	r.t.Helper()
	return r.is(http.StatusOK, "")
}

// code is the code of an error document.
func (r reply) code() string {
	var document struct {
		XMLName xml.Name
		Code    string
	}
	if r.header.Get("Content-Type") != "application/xml" || xml.Unmarshal(r.body, &document) != nil || document.XMLName.Local != "Error" {
		return ""
	}
	return document.Code
}

// into decodes the body.
func (r reply) into(v any) {
	r.t.Helper()
	if err := xml.Unmarshal(r.body, v); err != nil {
		r.t.Fatalf("%s: %v\n%s", r.name, err, r.body)
	}
}

// has fails the test unless the answer has the header with the value; "" is none.
func (r reply) has(name, value string) reply {
	r.t.Helper()
	if got := strings.Join(r.header.Values(name), ","); got != value {
		r.t.Fatalf("%s: header %s is %q, want %q", r.name, name, got, value)
	}
	return r
}

// contains fails the test unless the body contains all of the texts.
func (r reply) contains(texts ...string) reply {
	r.t.Helper()
	for _, text := range texts {
		if !strings.Contains(string(r.body), text) {
			r.t.Fatalf("%s: no %s in\n%s", r.name, text, r.body)
		}
	}
	return r
}

// lacks fails the test if the body contains one of the texts.
func (r reply) lacks(texts ...string) reply {
	r.t.Helper()
	for _, text := range texts {
		if strings.Contains(string(r.body), text) {
			r.t.Fatalf("%s: %s in\n%s", r.name, text, r.body)
		}
	}
	return r
}

// holds fails the test unless the body is text.
func (r reply) holds(text string) reply {
	r.t.Helper()
	if string(r.body) != text {
		r.t.Fatalf("%s: the body is %.200q, want %.200q", r.name, r.body, text)
	}
	return r
}

// raw writes bytes to the server and returns what it answers until it closes the connection.
func raw(t testing.TB, s *s3test.Server, request string) string {
	t.Helper()
	conn, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

func md5Base64(body string) string {
	sum := md5.Sum([]byte(body))
	return base64.StdEncoding.EncodeToString(sum[:])
}

func md5Hex(body string) string {
	sum := md5.Sum([]byte(body))
	return hex.EncodeToString(sum[:])
}

// equal fails the test unless the values are the same.
func equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: %v, want %v", what, got, want)
	}
}
