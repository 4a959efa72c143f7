package s3test_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

var unavailable = s3test.Status(503, "SlowDown", "Retry-After: 7")

// statuses sends GET requests for the keys and returns the statuses, in order.
func (c *client) statuses(keys ...string) string {
	c.t.Helper()
	var all []string
	for _, key := range keys {
		all = append(all, fmt.Sprint(c.get(at(key)).status))
	}
	return strings.Join(all, " ")
}

func TestFaultSelection(t *testing.T) {
	for _, test := range []struct {
		name  string
		fault s3test.Fault
		keys  string
		want  string
	}{
		{"first", s3test.Fault{}, "a a a", "503 200 200"},
		{"second", s3test.Fault{Nth: 2}, "a a a", "200 503 200"},
		{"second and third", s3test.Fault{Nth: 2, Times: 2}, "a a a a", "200 503 503 200"},
		{"always", s3test.Fault{Times: s3test.Always}, "a a a", "503 503 503"},
		{"from the second on", s3test.Fault{Nth: 2, Times: s3test.Always}, "a a a", "200 503 503"},
		{"key", s3test.Fault{Key: "b", Times: 2}, "a b a b b", "200 503 200 503 200"},
		{"second of a key", s3test.Fault{Key: "b", Nth: 2}, "a b a b b", "200 200 200 503 200"},
		{"pattern", s3test.Fault{Key: "d/*", Times: s3test.Always}, "a d/x d/y/z d", "200 503 503 200"},
		{"pattern in the middle", s3test.Fault{Key: "d*z", Times: s3test.Always}, "d/y/z d/x", "503 200"},
		{"literal star", s3test.Fault{Key: `\*`, Times: s3test.Always}, "* a", "503 200"},
		{"operation", s3test.Fault{Op: "GetObject"}, "a a", "503 200"},
		{"bucket", s3test.Fault{Bucket: "buck*"}, "a a", "503 200"},
		{"match", s3test.Fault{Match: func(r s3test.Request) bool { return r.Method == "GET" && r.Key == "b" }}, "a b", "200 503"},
		{"other operation", s3test.Fault{Op: "HeadObject", Times: s3test.Always}, "a b", "200 200"},
		{"other bucket", s3test.Fault{Bucket: "bucke", Times: s3test.Always}, "a", "200"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, b, c := started(t)
			fill(b, "a", "b", "d", "d/x", "d/y/z", "*")
			test.fault.Action = unavailable
			injection := s.Faults().Add(test.fault)
			equal(t, "statuses", c.statuses(strings.Fields(test.keys)...), test.want)
			equal(t, "fired", injection.Fired(), strings.Count(test.want, "503"))
		})
	}
}

func TestFaultsTakeTurns(t *testing.T) {
	s, b, c := started(t)
	fill(b, "a")
	first := s.Faults().Add(s3test.Fault{Action: s3test.Status(500, "InternalError")})
	second := s.Faults().Add(s3test.Fault{Action: unavailable})
	equal(t, "statuses", c.statuses("a", "a", "a"), "500 503 200")
	equal(t, "requests that the first selects", first.Matched(), 3)
	equal(t, "requests that the second selects", second.Matched(), 3)
	s.Faults().VerifyAll(t)
	third := s.Faults().Add(s3test.Fault{Times: s3test.Always, Action: unavailable})
	equal(t, "status", c.statuses("a"), "503")
	third.Remove()
	equal(t, "status", c.statuses("a"), "200")
	s.Faults().Add(s3test.Fault{Action: unavailable})
	s.Faults().Clear()
	equal(t, "status", c.statuses("a"), "200")
	s.Faults().VerifyAll(t)
}

func TestFaultUntil(t *testing.T) {
	clock := s3test.NewManualClock(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC))
	s, b, c := started(t, s3test.WithClock(clock))
	c.now = clock.Now
	fill(b, "a")
	s.Faults().Add(s3test.Fault{Times: s3test.Always, Until: clock.Now().Add(time.Minute), Action: unavailable})
	equal(t, "statuses", c.statuses("a", "a"), "503 503")
	clock.Advance(time.Minute)
	equal(t, "status", c.statuses("a"), "200")
}

func TestFaultProbability(t *testing.T) {
	draw := func(seed uint64) string {
		s, b, c := started(t)
		fill(b, "a")
		s.Faults().Seed(seed)
		s.Faults().Add(s3test.Fault{Probability: 0.5, Action: unavailable})
		return c.statuses(strings.Fields(strings.Repeat("a ", 40))...)
	}
	first := draw(7)
	equal(t, "the same seed", draw(7), first)
	if !strings.Contains(first, "503") || !strings.Contains(first, "200") || draw(8) == first {
		t.Errorf("drawn %s and %s", first, draw(8))
	}
}

// recorder is a TB that remembers its failure.
type recorder struct {
	testing.TB
	failure string
}

func (r *recorder) Helper() {}
func (r *recorder) Fatalf(format string, args ...any) {
	r.failure = fmt.Sprintf(format, args...)
}

func TestVerifyAll(t *testing.T) {
	for _, test := range []struct {
		name  string
		fault s3test.Fault
		gets  int
		want  string
	}{
		{"exercised", s3test.Fault{Action: unavailable}, 1, ""},
		{"exercised twice", s3test.Fault{Times: 2, Action: unavailable}, 3, ""},
		{"never", s3test.Fault{Op: "PutObject", Key: "x*", Action: unavailable}, 1, "PutObject /x* (injected 0 times)"},
		{"too rarely", s3test.Fault{Name: "burst", Times: 3, Action: unavailable}, 2, "burst (injected 2 times)"},
		{"never of always", s3test.Fault{Name: "for ever", Nth: 3, Times: s3test.Always, Action: unavailable}, 2, "for ever (injected 0 times)"},
		{"once of always", s3test.Fault{Times: s3test.Always, Action: unavailable}, 1, ""},
		{"nothing to cut", s3test.Fault{Name: "cut", Action: s3test.CutAfter(100)}, 1, "cut (injected 1 times, 1 of them without effect)"},
		{"nothing to reset", s3test.Fault{Name: "reset", Action: s3test.ResetAfter(100)}, 1, "reset (injected 1 times, 1 of them without effect)"},
		{"nothing to flip", s3test.Fault{Name: "flip", Action: s3test.FlipBit(100)}, 1, "flip (injected 1 times, 1 of them without effect)"},
		{"nothing to edit", s3test.Fault{Name: "edit", Action: s3test.RemoveElement("Key")}, 1, "edit (injected 1 times, 1 of them without effect)"},
		{"no range", s3test.Fault{Name: "range", Action: s3test.IgnoreRange()}, 1, "range (injected 1 times, 1 of them without effect)"},
		{"no content range", s3test.Fault{Name: "range", Action: s3test.WrongContentRange()}, 1, "range (injected 1 times, 1 of them without effect)"},
		{"something to flip", s3test.Fault{Action: s3test.FlipBit(0)}, 1, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, b, c := started(t)
			fill(b, "a")
			s.Faults().Add(test.fault)
			for range test.gets {
				c.in(t).get(at("a"))
			}
			r := &recorder{TB: t}
			s.Faults().VerifyAll(r)
			if (r.failure == "") != (test.want == "") || !strings.Contains(r.failure, test.want) {
				t.Errorf("VerifyAll said %q, want %q", r.failure, test.want)
			}
			equal(t, "unfired", strings.Join(s.Faults().Unfired(), ", "), test.want)
		})
	}
}

func TestFaultIsLogged(t *testing.T) {
	s, b, c := started(t)
	fill(b, "a")
	s.Faults().Add(s3test.Fault{Name: "busy", Action: unavailable})
	equal(t, "statuses", c.statuses("a", "a"), "503 200")
	log := s.Requests()
	equal(t, "first", fmt.Sprint(log[0].Fault, log[0].Status), "busy503")
	equal(t, "second", fmt.Sprint(log[1].Fault, log[1].Status), "200")
}

func TestFaultWithoutAction(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a fault without action was taken")
		}
	}()
	s3test.New().Faults().Add(s3test.Fault{})
}
