package bucket

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// traffic counts the requests that wait for the head of an answer.
type traffic struct {
	*http.Transport
	now, peak atomic.Int64
}

func (t *traffic) RoundTrip(r *http.Request) (*http.Response, error) {
	n := t.now.Add(1)
	defer t.now.Add(-1)
	for peak := t.peak.Load(); n > peak && !t.peak.CompareAndSwap(peak, n); peak = t.peak.Load() {
	}
	return t.Transport.RoundTrip(r)
}

// TestTurnsAreFew: never more requests than allowed, and never fewer while there
// is something to do. Urgent ones come on top, and bodies that nobody reads hold
// nobody up.
func TestTurnsAreFew(t *testing.T) {
	const most, many = 3, 20
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.fill([]string{"k"})
		traffic := &traffic{Transport: s.wire.transport(t, Config{})}
		client := s.newClient(Config{Concurrency: most, Transport: traffic})
		s.SetLatency(time.Second)
		all := func(ctx context.Context) time.Duration {
			return spent(func() {
				var group sync.WaitGroup
				for range many {
					group.Go(func() {
						if _, err := client.Head(ctx, "k", Pin{}); err != nil {
							t.Error(err)
						}
					})
				}
				group.Wait()
			})
		}
		if took := all(t.Context()); took != 7*time.Second || traffic.peak.Load() != most {
			t.Errorf("%d requests of a second took %v, %d at a time", many, took, traffic.peak.Load())
		}
		if took := all(Urgent(t.Context())); took != time.Second {
			t.Errorf("%d urgent requests took %v", many, took)
		}

		var open []*Object
		for range many {
			o, err := client.Get(t.Context(), "k", Pin{})
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, o)
		}
		for _, o := range open {
			if err := o.Body.Close(); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestTurnIsGivenBack after a failure and after a retry, and a request that waits for
// its turn ends with its context.
func TestTurnIsGivenBack(t *testing.T) {
	play(t, Config{Concurrency: 1}, func(t *testing.T, s *stage) {
		s.fill([]string{"k"})
		s.fault(s3test.Fault{Op: "HeadObject", Action: s3test.Status(500, "InternalError")})
		for range 2 {
			if _, err := s.client.Head(t.Context(), "k", Pin{}); err != nil {
				t.Error(err)
			}
			if _, err := s.client.Head(t.Context(), "missing", Pin{}); err == nil {
				t.Error("a missing object is there")
			}
		}

		s.SetLatency(time.Minute / 2)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var group sync.WaitGroup
		group.Go(func() {
			if _, err := s.client.Head(t.Context(), "k", Pin{}); err != nil {
				t.Error(err)
			}
		})
		time.Sleep(time.Millisecond) // of virtual time: the other one has its turn now
		took := spent(func() {
			if _, err := s.client.Head(ctx, "k", Pin{}); err != context.DeadlineExceeded {
				t.Errorf("%v, want the end of the context", err)
			}
		})
		if took >= time.Minute/2 {
			t.Errorf("it took %v to give up", took)
		}
		group.Wait()
	})
}
