package bucket

import (
	"bytes"
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/time/rate"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

func TestRequestsPerSecond(t *testing.T) {
	play(t, Config{RequestsPerSecond: 10}, func(t *testing.T, s *stage) {
		s.fill([]string{"k"})
		took := spent(func() {
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					for range 10 {
						if _, err := s.client.Head(t.Context(), "k", Pin{}); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
		})
		if took < 3900*time.Millisecond || took > 4*time.Second {
			t.Errorf("40 requests took %v", took)
		}
	})
}

func TestBytesPerSecond(t *testing.T) {
	const perSecond, size = 100_000, 1_000_000
	body := bytesOf(size, 50)
	for name, c := range map[string]struct {
		prepare func(s *stage)
		run     func(s *stage) error
	}{
		"read": {
			func(s *stage) { s.bucket.Put("k", body, s3test.Properties{}) },
			func(s *stage) error { _, err := readAll(s.t.Context(), s.client, "k", Pin{}); return err },
		},
		"write": {
			func(*stage) {},
			func(s *stage) error { _, err := s.client.Put(s.t.Context(), "k", body, Write{}); return err },
		},
		"write in parts": {
			func(*stage) {},
			func(s *stage) error {
				_, err := s.client.Upload(s.t.Context(), "k", bytes.NewReader(body), -1, Write{PartSize: 100_000, Parallel: 4})
				return err
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, Config{BytesPerSecond: perSecond}, func(t *testing.T, s *stage) {
				c.prepare(s)
				took := spent(func() {
					if err := c.run(s); err != nil {
						t.Error(err)
					}
				})
				// What the burst lets through at once does not count.
				if want := size / perSecond * time.Second; took < want-time.Second || took > want {
					t.Errorf("took %v, want %v", took, want)
				}
			}, s3test.WithMinPartSize(1))
		})
	}
}

// TestPacedWaitEnds with the context, and at once when its deadline would pass.
func TestPacedWaitEnds(t *testing.T) {
	play(t, Config{RequestsPerSecond: 0.01, BytesPerSecond: 1}, func(t *testing.T, s *stage) {
		s.fill([]string{"k"})
		if _, err := s.client.Head(t.Context(), "k", Pin{}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.client.Head(ctx, "k", Pin{}); err != context.DeadlineExceeded {
			t.Errorf("request: %v", err)
		}
		if _, err := s.client.Put(ctx, "k", bytesOf(minBurst*2, 1), Write{}); err != context.DeadlineExceeded {
			t.Errorf("bytes: %v", err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if _, err := s.client.Head(ctx, "k", Pin{}); err != context.Canceled {
			t.Errorf("cancelled: %v", err)
		}
		s.wantCount("", 1)
	})
}

// TestUrgentWaitsForNothing: neither caps nor the brake hold a lock up.
func TestUrgentWaitsForNothing(t *testing.T) {
	play(t, Config{RequestsPerSecond: 0.01, BytesPerSecond: 1}, func(t *testing.T, s *stage) {
		s.client.pace.slowDown(time.Second)
		took := spent(func() {
			for range 10 {
				ctx := Urgent(t.Context())
				if _, err := s.client.Put(ctx, "k", bytesOf(minBurst*2, 1), Write{}); err != nil {
					t.Error(err)
				}
				if _, err := readAll(ctx, s.client, "k", Pin{}); err != nil {
					t.Error(err)
				}
			}
		})
		if took != 0 {
			t.Errorf("took %v", took)
		}
		ctx, cancel := context.WithCancel(Urgent(t.Context()))
		cancel()
		if err := s.client.pace.wait(ctx); err != context.Canceled {
			t.Errorf("an ended context: %v", err)
		}
	})
}

// TestBrake: a server that takes 50 requests a second and answers 503 to all
// others gets slowed down for, loses nothing, and is soon asked at full rate
// again.
func TestBrake(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.fill([]string{"k"})
		limit := rate.NewLimiter(50, 10)
		var refused, served atomic.Int64
		overload := s.fault(s3test.Fault{Times: s3test.Always, Action: func(next http.Handler) http.Handler {
			if !limit.AllowN(time.Now(), 1) {
				refused.Add(1)
				return s3test.Status(503, "SlowDown")(next)
			}
			served.Add(1)
			return s3test.Delay(10 * time.Millisecond)(next)
		}})
		heads := func(n int) {
			var wg sync.WaitGroup
			for range 16 {
				wg.Go(func() {
					for range n {
						if _, err := s.client.Head(t.Context(), "k", Pin{}); err != nil {
							t.Error(err)
						}
					}
				})
			}
			wg.Wait()
		}
		took := spent(func() { heads(50) })
		if share := float64(refused.Load()) / float64(served.Load()); share > 0.25 {
			t.Errorf("%.0f%% of the requests were refused", 100*share)
		}
		if took > 2*16*time.Second {
			t.Errorf("800 requests took %v where 16s would do", took)
		}
		overload.Remove()
		s.fault(s3test.Fault{Times: s3test.Always, Action: s3test.Delay(10 * time.Millisecond)})
		time.Sleep(time.Minute) // of quiet, in which the brake is released
		if took := spent(func() { heads(20) }); took != 200*time.Millisecond {
			t.Errorf("20 requests of 10ms one after the other took %v", took)
		}
	})
}

// TestBrakeHasAFloor: however much is refused, two a second get through.
func TestBrakeHasAFloor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(0, 0)
		for range 100 {
			p.slowDown(0)
			if err := p.wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		took := spent(func() {
			for range 4 {
				p.slowDown(0)
				if err := p.wait(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		})
		if took > 2*time.Second {
			t.Errorf("4 requests took %v", took)
		}
	})
}

// TestOneBurstIsOneMessage: what is refused together counts once.
func TestOneBurstIsOneMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(0, 0)
		for range 100 {
			p.enter(time.Now())
		}
		p.slowDown(0)
		once := p.brake.Limit()
		for range 31 {
			p.slowDown(0)
		}
		if p.brake.Limit() != once {
			t.Errorf("32 refusals slow down to %v, one to %v", p.brake.Limit(), once)
		}
	})
}

// TestBrakeIsReleased with time, whether it is used meanwhile or not.
func TestBrakeIsReleased(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, idle := range map[string]time.Duration{"idle": time.Minute, "in use": 100 * time.Millisecond} {
			p := newPace(0, 0)
			for range 20 {
				p.slowDown(0)
				time.Sleep(time.Second)
			}
			for start := time.Now(); time.Since(start) < time.Minute; {
				time.Sleep(idle)
				p.enter(time.Now())
			}
			if p.brake.Limit() != rate.Inf {
				t.Errorf("%s: after a quiet minute the limit is %v", name, p.brake.Limit())
			}
		}
	})
}
