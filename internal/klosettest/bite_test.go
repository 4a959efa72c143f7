package klosettest

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// bitePatience is what a broken connector that hangs is waited for. A check that
// fails for any other reason than the expected one does not count.
const bitePatience = 250 * time.Millisecond

// patienceFor is short when the expected failure is that something does not
// happen, and else as long as a busy machine may need.
func patienceFor(finds string) time.Duration {
	for _, hangs := range []string{"no end", "did not return", "did not close", "were not closed"} {
		if strings.Contains(finds, hangs) {
			return bitePatience
		}
	}
	if strings.Contains(finds, "left behind") {
		// All else must end in time, also on a machine with much to do.
		return 8 * bitePatience
	}
	return 0
}

// breakage is a connector with one fault, in a harness, and the check that must
// find it.
type breakage[H any] struct {
	check   string
	fault   string // in words
	finds   string // part of the failure that is expected
	harness H
}

// bites lets the suite loose on broken connectors. A check that finds none of
// them is a check that cannot fail.
func bites[H any](t *testing.T, checks []check[H], breakages []breakage[H]) {
	if testing.Short() {
		t.Skip("tests of tests, which take as long as those: make race runs them")
	}
	byName := make(map[string]check[H])
	for _, c := range checks {
		byName[c.name] = c
	}
	used := make(map[string]bool)
	for _, b := range breakages {
		used[b.check] = true
		t.Run(b.check+"/"+b.fault, func(t *testing.T) {
			c, ok := byName[b.check]
			if !ok {
				t.Fatalf("there is no check %s", b.check)
			}
			found := failures(t, func(tb testing.TB) {
				noLeaks(tb, patienceOr(patienceFor(b.finds)))
				c.run(tb, b.harness)
			})
			if !slices.ContainsFunc(found, func(f string) bool { return strings.Contains(f, b.finds) }) {
				t.Errorf("the check does not find the fault; it should say %q and says:\n%s", b.finds, strings.Join(found, "\n"))
			}
		})
	}
	for _, c := range checks {
		if !used[c.name] {
			t.Errorf("no broken connector shows that %s can fail", c.name)
		}
	}
}

// failures returns the failures of a check that runs as a test of its own.
func failures(t *testing.T, run func(testing.TB)) []string {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := &recorder{TB: t, ctx: ctx}
	var wg sync.WaitGroup
	wg.Go(func() {
		defer r.cleanUp()
		defer cancel()
		defer r.catch()
		run(r)
	})
	wg.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.failed)
}

// recorder is a test whose failures are wanted.
type recorder struct {
	testing.TB // for names and folders
	ctx        context.Context

	mu       sync.Mutex
	failed   []string
	cleanups []func()
}

// catch takes a panic for a failure.
func (r *recorder) catch() {
	if p := recover(); p != nil {
		r.Errorf("panic: %v", p)
	}
}

// cleanUp calls what was registered, the last first, each even if the one before
// has ended the goroutine.
func (r *recorder) cleanUp() {
	f := r.next()
	if f == nil {
		return
	}
	defer r.cleanUp()
	defer r.catch()
	f()
}

func (r *recorder) next() func() {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := len(r.cleanups) - 1
	if last < 0 {
		return nil
	}
	f := r.cleanups[last]
	r.cleanups = r.cleanups[:last]
	return f
}

func (r *recorder) Helper()                  {}
func (r *recorder) Log(...any)               {}
func (r *recorder) Logf(string, ...any)      {}
func (r *recorder) Context() context.Context { return r.ctx }

func (r *recorder) Cleanup(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleanups = append(r.cleanups, f)
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = append(r.failed, fmt.Sprintf(format, args...))
}

func (r *recorder) Error(args ...any) { r.Errorf("%s", fmt.Sprintln(args...)) }
func (r *recorder) Fail()             { r.Errorf("failed") }

func (r *recorder) FailNow() {
	r.Fail()
	runtime.Goexit()
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Fatal(args ...any) {
	r.Error(args...)
	runtime.Goexit()
}

func (r *recorder) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.failed) > 0
}
