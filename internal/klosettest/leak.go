package klosettest

import (
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// noLeaks fails t when goroutines that were not there at the call are still
// running once everything else that t cleans up is cleaned up. It waits for
// stragglers up to patience, because a goroutine that was told to end needs a
// moment to do so.
//
// An HTTP connection whose body was neither read to its end nor closed counts as
// a leak; an idle one does not.
func noLeaks(t testing.TB, patience time.Duration) {
	t.Helper()
	before := goroutines()
	t.Cleanup(func() {
		if t.Failed() {
			return // what a failed check leaves behind is not another finding
		}
		deadline := time.Now().Add(patience)
		// The runtime announces no goroutine's end, so this has to look again.
		for wait := time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
			left := leaked(before, goroutines())
			if len(left) == 0 {
				return
			}
			if time.Now().After(deadline) {
				t.Errorf("%d goroutines left behind:\n%s", len(left), strings.Join(left, "\n\n"))
				return
			}
			time.Sleep(wait)
		}
	})
}

// goroutines returns the stack of every goroutine by its number.
func goroutines() map[int]string {
	buf := make([]byte, 64*kib)
	for {
		n := runtime.Stack(buf, true)
		if n < len(buf) {
			buf = buf[:n]
			break
		}
		buf = make([]byte, 2*len(buf))
	}
	stacks := make(map[int]string)
	for stack := range strings.SplitSeq(string(buf), "\n\n") {
		number, _, _ := strings.Cut(strings.TrimPrefix(stack, "goroutine "), " ")
		if id, err := strconv.Atoi(number); err == nil {
			stacks[id] = stack
		}
	}
	return stacks
}

func leaked(before, after map[int]string) []string {
	var left []string
	for id, stack := range after {
		if _, old := before[id]; !old && !harmless(stack) {
			left = append(left, stack)
		}
	}
	return left
}

// harmless tells whether a goroutine may outlive a check.
func harmless(stack string) bool {
	has := func(s string) bool { return strings.Contains(stack, s) }
	switch {
	case has("net/http.(*persistConn).readLoop"):
		// An idle connection waits for the next response in Peek. One that
		// waits for its body to be consumed is in a select of readLoop itself.
		return has("bufio.(*Reader).Peek")
	case has("net/http.(*persistConn).writeLoop"), has("http2ClientConn).readLoop"), has("internal/http2.(*ClientConn).readLoop"):
		return true // goes with its read loop, or is shared by all requests
	case has("net/http.(*conn).serve"), has("net/http.(*connReader).backgroundRead"):
		return true // the other side of such a connection
	case has("database/sql.(*DB).connectionOpener"), has("created by github.com/cockroachdb/pebble/"):
		return true // the engine's local state and caches, not all of which can be closed
	default:
		return false
	}
}
