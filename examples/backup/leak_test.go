package main

import (
	"runtime"
	"strings"
	"testing"
	"time"
)

// wantQuiet fails the test if, when it and its subtests have ended, a goroutine of s3kloset
// or of the engine still runs. No other test may run beside it.
func wantQuiet(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		deadline := time.Now().Add(time.Minute)
		// The runtime announces no goroutine's end, so this has to look again.
		for left := atWork(); len(left) > 0; left = atWork() {
			if time.Now().After(deadline) {
				t.Errorf("%d goroutines are left:\n%s", len(left), strings.Join(left, "\n\n"))
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
}

// atWork returns the stacks of goroutines that run our code or the engine's, other than tests
// and their servers.
func atWork() []string {
	buf := make([]byte, 4<<20)
	buf = buf[:runtime.Stack(buf, true)]
	var stacks []string
	for stack := range strings.SplitSeq(string(buf), "\n\n") {
		has := func(s string) bool { return strings.Contains(stack, s) }
		ours := has("s3kloset/s3kloset.") || has("s3kloset/internal/bucket.") || has("PlakarKorp/kloset/")
		if ours && !has("testing.tRunner") && !has("s3kloset/internal/s3test.") {
			stacks = append(stacks, stack)
		}
	}
	return stacks
}
