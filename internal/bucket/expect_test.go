package bucket

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// TestRefusedBody: what the service refuses is refused once, with its answer, and nothing of
// the body is sent, of an object and of a part.
func TestRefusedBody(t *testing.T) {
	s := s3test.Start(t)
	s.CreateBucket(bucketName)
	body := bytesOf(11<<20, 61)
	for name, put := range map[string]func(*Client) error{
		"PutObject": func(c *Client) error { _, err := c.Put(t.Context(), "k", body, Write{}); return err },
		"UploadPart": func(c *Client) error {
			_, err := c.Upload(t.Context(), "k", bytes.NewReader(body), int64(len(body)), Write{PartSize: 5 << 20, Parallel: 1})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			s.ResetRequests()
			s.Faults().Clear()
			s.Faults().Add(s3test.Fault{Op: name, Times: s3test.Always, Action: s3test.Status(http.StatusForbidden, "AccessDenied")})
			if err := put(mustNew(t, realConfig(s))); !errors.Is(err, ErrAccessDenied) {
				t.Fatal(err)
			}
			for _, r := range s.Requests() {
				if r.Op == name && r.Received != 0 {
					t.Errorf("%d bytes of a body that was refused", r.Received)
				}
			}
			if n := s.Count(name); n == 0 || n > 1 && name == "PutObject" {
				t.Errorf("%d requests", n)
			}
			s.Faults().VerifyAll(t)
		})
	}
}

// TestServiceThatDoesNotSayContinue gets its body after a second, and the next ones at once.
func TestServiceThatDoesNotSayContinue(t *testing.T) {
	var lock sync.Mutex
	var expects []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lock.Lock()
		expects = append(expects, r.Header.Get("Expect"))
		lock.Unlock()
		conn, stream, err := w.(http.Hijacker).Hijack() // net/http would say it
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		if _, err := io.CopyN(io.Discard, stream, r.ContentLength); err != nil {
			t.Error(err)
		}
		fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nETag: \"0\"\r\nConnection: close\r\n\r\n")
	}))
	t.Cleanup(server.Close)
	client := mustNew(t, Config{Name: bucketName, Endpoint: server.URL, Credentials: Credentials{Keys: Keys{AccessKey: "a", SecretKey: "s"}}})
	for range 3 {
		if _, err := client.Put(t.Context(), "k", bytesOf(3<<20, 62), Write{}); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"100-continue", "", ""}; !slices.Equal(expects, want) {
		t.Errorf("Expect was %q, want %q", expects, want)
	}
}
