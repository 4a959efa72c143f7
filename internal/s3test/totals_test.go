package s3test_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

func TestRequestLog(t *testing.T) {
	onBoth(t, func(t *testing.T, s stage) {
		s.put(at("a/b c"), "body", with("X-Amz-Meta-A", "1")).ok()
		s.get(at("a/b c")+"?partNumber=1", with("Range", "bytes=0-1")).is(400, "InvalidRequest")
		s.get("/bucket?weather").is(501, "NotImplemented")
		log := s.front.Requests()
		equal(t, "entries", len(log), 3)
		put := log[0]
		equal(t, "put", fmt.Sprint(put.Op, put.Bucket, put.Key, put.Method, put.Status), "PutObjectbucketa/b cPUT200")
		equal(t, "header", put.Header.Get("X-Amz-Meta-A"), "1")
		equal(t, "bytes of the body", put.Received, 4)
		get := log[1]
		equal(t, "get", fmt.Sprint(get.Op, get.Status), "GetObject400")
		equal(t, "query", get.Query.Get("partNumber"), "1")
		equal(t, "range", get.Header.Get("Range"), "bytes=0-1")
		equal(t, "unknown", log[2].Status, 501)
		equal(t, "sum of PutObject", s.front.Totals("PutObject"), s3test.Totals{Requests: 1, Peak: 1, Received: 4})
		equal(t, "requests", s.front.Totals("").Requests, 3)
		s.front.ResetRequests()
		equal(t, "entries", len(s.front.Requests()), 0)
		equal(t, "sum of all", s.front.Totals(""), s3test.Totals{})
	})
}

// TestPeakOfOneClient sends one request after the other, of every size and with every end.
func TestPeakOfOneClient(t *testing.T) {
	onBoth(t, func(t *testing.T, s stage) {
		s.bucket.Put("large", make([]byte, 1<<20), s3test.Properties{})
		fill(s.bucket, "small")
		ends := []s3test.Action{
			s3test.Reset(), s3test.CloseConn(), s3test.ResetAfter(0), s3test.CutAfter(0), s3test.LoseAnswer(), s3test.ShortLength(1),
			s3test.ExtraBytes(1), s3test.HTTP10(), s3test.SpacesFirst(1), s3test.Status(503, "SlowDown"),
		}
		for round := range 20 {
			for _, key := range []string{"large", "small"} {
				s.get(at(key)).ok()
				s.head(at(key)).ok()
			}
			s.list()
			s.meets("GetObject", ends[round%len(ends)])
			s.try("GET", at("large"), nil) // it may fail: that is what it is for
			s.put(at("new"), strings.Repeat("x", 100000)).ok()
		}
		equal(t, "peak", s.front.Totals("").Peak, 1)
		equal(t, "in flight", s.front.Totals("").InFlight, 0)
		equal(t, "peak of GetObject", s.front.Totals("GetObject").Peak, 1)
	})
}

// TestPeakOfManyClients lets no request go on before all have arrived: whatever limits their number shows.
func TestPeakOfManyClients(t *testing.T) {
	const clients = 100
	onBoth(t, func(t *testing.T, s stage) {
		fill(s.bucket, "k")
		s.front.Faults().Add(s3test.Fault{Op: "GetObject", Times: clients, Action: s3test.Gather(clients)})
		var group sync.WaitGroup
		for range clients {
			group.Go(func() {
				if r, err := s.try("GET", at("k"), nil); err != nil || string(r.body) != "k" {
					t.Errorf("%d %q, %v", r.status, r.body, err)
				}
			})
		}
		group.Wait()
		equal(t, "peak", s.front.Totals("GetObject").Peak, clients)
		equal(t, "peak of all", s.front.Totals("").Peak, clients)
		equal(t, "peak of others", s.front.Totals("PutObject").Peak, 0)
	})
}

// TestResetRequestsKeepsThoseInFlight forgets a request while it is served.
func TestResetRequestsKeepsThoseInFlight(t *testing.T) {
	onBoth(t, func(t *testing.T, s stage) {
		fill(s.bucket, "k")
		s.meets("GetObject", s3test.RunFirst(func() {
			s.front.ResetRequests()
			equal(t, "in flight", s.front.Totals("GetObject").InFlight, 1)
			equal(t, "peak", s.front.Totals("").Peak, 1)
		}))
		s.get(at("k")).ok()
		equal(t, "sum", s.front.Totals("GetObject"), s3test.Totals{Peak: 1, Sent: 1})
	})
}
