package klosettest

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// defaultPatience is long, because a suite that runs on a busy machine against a
// slow server must not fail for that.
const defaultPatience = 30 * time.Second

// check is one subtest of a suite over a harness of type H.
type check[H any] struct {
	name string
	run  func(t testing.TB, h H)
}

// runChecks runs each check as a subtest that must leave nothing running.
func runChecks[H any](t *testing.T, h H, patience time.Duration, checks []check[H]) {
	t.Helper()
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			noLeaks(t, patience)
			c.run(t, h)
		})
	}
}

func patienceOr(d time.Duration) time.Duration {
	if d <= 0 {
		return defaultPatience
	}
	return d
}

// within runs f and fails t at once if it has not returned after patience. A
// panic of f itself becomes its error.
func within(t testing.TB, patience time.Duration, what string, f func() error) error {
	t.Helper()
	done := async(f)
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case err := <-done:
		return err
	case <-timeout.C:
		t.Fatalf("%s: no end after %s", what, patience)
		return nil
	}
}

// async runs f in a goroutine and delivers its error, or its panic as one.
func async(f func() error) <-chan error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- fmt.Errorf("panic: %v", p)
			}
		}()
		done <- f()
	}()
	return done
}

// closing closes a connector at the end of a check.
func closing(t testing.TB, c interface{ Close(context.Context) error }) {
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Errorf("close: %v", err)
		}
	})
}

// must fails t at once if err is not nil.
func must(t testing.TB, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// report fails t with the lines, cut to a readable number.
func report(t testing.TB, what string, lines []string) {
	t.Helper()
	const most = 20
	for i, line := range lines {
		if i == most {
			t.Errorf("%s: and %d more", what, len(lines)-most)
			return
		}
		t.Errorf("%s: %s", what, line)
	}
}
