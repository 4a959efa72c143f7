package e2e_test

import (
	"runtime"
	"strings"
	"testing"
	"time"
)

// leakPatience is how long a goroutine that was told to end may take to do so on a machine
// that is busy with other things.
const leakPatience = time.Minute

// wantNothingRunning demands that no goroutine of s3kloset, or of the engine on its
// behalf, is at work. Databases that the engine keeps open for the life of a repository
// have goroutines of their own.
func wantNothingRunning(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(leakPatience)
	// The runtime announces no goroutine's end, so this has to look again.
	for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		left := atWork()
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("%d goroutines are left:\n%s", len(left), strings.Join(left, "\n\n"))
			return
		}
		time.Sleep(wait)
	}
}

// atWork returns the stacks of goroutines that run our code or the engine's, other than
// tests and the servers beside them.
func atWork() []string {
	buf := make([]byte, 1<<20)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	var stacks []string
	for stack := range strings.SplitSeq(string(buf), "\n\n") {
		ours := strings.Contains(stack, "s3kloset/s3kloset.") || strings.Contains(stack, "s3kloset/internal/bucket.") ||
			strings.Contains(stack, "PlakarKorp/kloset/")
		other := strings.Contains(stack, "e2e_test.") || strings.Contains(stack, "s3kloset/internal/s3test.")
		// A connection that is kept for the next request waits in Peek.
		idle := strings.Contains(stack, "net/http.(*persistConn).readLoop") && strings.Contains(stack, "bufio.(*Reader).Peek")
		if ours && !other && !idle {
			stacks = append(stacks, stack)
		}
	}
	return stacks
}
