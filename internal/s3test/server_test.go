package s3test_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

func TestServerBeforeItsStart(t *testing.T) {
	s := s3test.New(nil, s3test.WithRegion("eu-west-3"))
	equal(t, "URL", s.URL(), "")
	equal(t, "address", s.Addr(), "")
	equal(t, "certificates", len(s.CAPEM()), 0)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	equal(t, "region", s.Region(), "eu-west-3")
	equal(t, "the same bucket", s.CreateBucket("one"), s.CreateBucket("one"))
	equal(t, "no bucket", s.Bucket("two") == nil, true)
	defer func() {
		if recover() == nil {
			t.Error("a bucket with an invalid name was made")
		}
	}()
	s.CreateBucket("UPPER")
}

func TestCloseTwice(t *testing.T) {
	s, _, c := started(t)
	c.get("/bucket?list-type=2").ok()
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := c.try("GET", "/bucket?list-type=2", nil); err == nil {
		t.Error("a closed server answered")
	}
	equal(t, "connections", s.OpenConns(), 0)
}

func TestKeepAlive(t *testing.T) {
	for name, options := range map[string][]s3test.Option{"kept": nil, "closed": {s3test.WithoutKeepAlive()}} {
		t.Run(name, func(t *testing.T) {
			_, b, c := started(t, options...)
			fill(b, "k")
			response, err := c.http.Do(c.request("GET", at("k"), nil))
			if err != nil {
				t.Fatal(err)
			}
			readAll(t, response).ok()
			equal(t, "closes", response.Close, options != nil)
		})
	}
}

// TestOpenBodyIsSeen holds an answer's body open.
func TestOpenBodyIsSeen(t *testing.T) {
	s, b, c := started(t)
	b.Put("k", make([]byte, 32<<20), s3test.Properties{})
	response, err := c.http.Do(c.request("GET", at("k"), nil))
	if err != nil {
		t.Fatal(err)
	}
	c.http.Transport.(*http.Transport).CloseIdleConnections()
	equal(t, "connections", s.OpenConns(), 1)
	equal(t, "in flight", s.InFlight(), 1)
	response.Body.Close()
}

// TestConcurrentUse is for the race detector: clients, direct access and questions to the log at once.
func TestConcurrentUse(t *testing.T) {
	s, b, c := started(t)
	b.SetVersioning(true)
	b.Put("shared", []byte("0"), s3test.Properties{})
	const rounds = 6
	var group sync.WaitGroup
	for worker := range 8 {
		key := strings.Repeat("k", worker+1)
		group.Go(func() {
			for range rounds {
				c.try("PUT", at(key), []byte("body"))
				c.try("PUT", at("shared"), []byte("body"))
				c.try("GET", at("shared"), nil)
				c.try("GET", "/bucket?list-type=2", nil)
				c.try("GET", "/bucket?versions", nil)
				c.try("PUT", at(key)+"?tagging", []byte(taggingXML("a", "1")))
				c.try("DELETE", at(key), nil)
			}
		})
		group.Go(func() {
			for range rounds {
				b.Put(key+"/direct", []byte("1"), s3test.Properties{})
				b.SetTags("shared", map[string]string{"a": "1"})
				b.Dump()
				b.Versions()
				s.Requests()
				s.Totals("PutObject")
				s.Faults().Unfired()
			}
		})
	}
	group.Wait()
	equal(t, "requests", s.Count(""), 8*rounds*7)
	equal(t, "in flight", s.InFlight(), 0)
	if peak := s.Peak(""); peak < 1 || peak > 8 {
		t.Errorf("a peak of %d with 8 clients", peak)
	}
	equal(t, "versions of the shared key", strings.Count(string(c.get("/bucket?versions&prefix=shared").body), "<Version>"), 8*rounds+1)
}
