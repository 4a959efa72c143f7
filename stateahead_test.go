package s3kloset

import (
	"context"
	"errors"
	"io"
	"sync/atomic"
	"testing"

	"github.com/PlakarKorp/kloset/objects"
)

func stateID(i int) objects.MAC { return objects.MAC{byte(i), byte(i >> 8)} }

func startStateahead(t *testing.T, budget int64, fetch func(context.Context, objects.MAC) ([]byte, error)) *stateahead {
	t.Helper()
	a := newStateahead(budget, 32, fetch)
	t.Cleanup(a.close)
	return a
}

func listStates(n int, size int64) []listedState {
	states := make([]listedState, n)
	for i := range states {
		states[i] = listedState{id: stateID(i), size: size}
	}
	return states
}

// readState reads a state as the engine does, and tells whether it was ahead.
func readState(t *testing.T, a *stateahead, id objects.MAC, bytes int64) bool {
	t.Helper()
	body, served, err := a.get(context.Background(), id)
	if err != nil {
		t.Fatal(err)
	}
	if !served {
		return false
	}
	defer body.Close()
	if n, err := io.CopyN(io.Discard, body, bytes); err != nil {
		t.Fatalf("state ends after %d bytes: %v", n, err)
	}
	return true
}

func TestStateaheadReadsEachStateOnce(t *testing.T) {
	const n, size = 500, 3000
	var fetches, inflight, peak atomic.Int64
	a := startStateahead(t, 64<<20, func(context.Context, objects.MAC) ([]byte, error) {
		fetches.Add(1)
		for now := inflight.Add(1); now > peak.Load(); {
			peak.Store(now)
		}
		defer inflight.Add(-1)
		return make([]byte, size), nil
	})
	a.listed(listStates(n, size))
	for i := range n { // the heads
		readState(t, a, stateID(i), 100)
	}
	for i := range n { // and the whole
		readState(t, a, stateID(i), size)
	}
	if got := fetches.Load(); got != n {
		t.Errorf("%d states fetched for %d", got, n)
	}
	if a.held != 0 {
		t.Errorf("%d bytes held when all have been read", a.held)
	}
	if peak.Load() > 33 {
		t.Errorf("%d states fetched at a time", peak.Load())
	}
}

// TestStateaheadBackwards: the list may have been turned round on its way to
// whoever reads it.
func TestStateaheadBackwards(t *testing.T) {
	const n = 200
	waiting := make(chan objects.MAC, n)
	a := startStateahead(t, 64<<20, func(_ context.Context, id objects.MAC) ([]byte, error) {
		waiting <- id
		return make([]byte, 10), nil
	})
	a.listed(listStates(n, 10))
	readState(t, a, stateID(n-1), 10)
	for want := range 1 + firstAhead {
		seen := <-waiting
		if i := int(seen[0]); i < n-1-firstAhead {
			t.Errorf("fetched state %d as number %d", i, want)
		}
	}
	for i := n - 2; i >= 0; i-- {
		readState(t, a, stateID(i), 10)
	}
}

func TestStateaheadReadsFewForOne(t *testing.T) {
	var fetches atomic.Int64
	a := newStateahead(64<<20, 32, func(context.Context, objects.MAC) ([]byte, error) {
		fetches.Add(1)
		return make([]byte, 10), nil
	})
	a.listed(listStates(500, 10))
	readState(t, a, stateID(7), 10)
	a.close()
	if got := fetches.Load(); got > 1+firstAhead {
		t.Errorf("%d states fetched for one that was read", got)
	}
}

func TestStateaheadBudget(t *testing.T) {
	const size, budget = 1000, 2500
	a := startStateahead(t, budget, func(context.Context, objects.MAC) ([]byte, error) {
		return make([]byte, size), nil
	})
	a.listed(listStates(10, size))
	served := 0
	for i := range 10 {
		if readState(t, a, stateID(i), 10) {
			served++
		}
		if a.held > budget {
			t.Fatalf("%d bytes held, more than %d", a.held, budget)
		}
	}
	if served == 0 || served == 10 {
		t.Errorf("%d of 10 states came from memory, want those that fit", served)
	}
	for i := range 10 {
		readState(t, a, stateID(i), size)
	}
	if a.held != 0 {
		t.Errorf("%d bytes held when all have been read", a.held)
	}
}

func TestStateaheadForgetsFailures(t *testing.T) {
	var failed atomic.Bool
	a := startStateahead(t, 1<<20, func(context.Context, objects.MAC) ([]byte, error) {
		if !failed.Swap(true) {
			return nil, errFetch
		}
		return make([]byte, 10), nil
	})
	a.listed(listStates(1, 10))
	if _, _, err := a.get(context.Background(), stateID(0)); !errors.Is(err, errFetch) {
		t.Fatalf("error is %v, want that of the fetch", err)
	}
	if !readState(t, a, stateID(0), 10) {
		t.Error("the second attempt was not served")
	}
}

func TestStateaheadUnknown(t *testing.T) {
	a := startStateahead(t, 1<<20, func(context.Context, objects.MAC) ([]byte, error) { return nil, errFetch })
	if _, served, _ := a.get(context.Background(), stateID(1)); served {
		t.Error("served before a listing")
	}
	a.listed(listStates(3, 10))
	a.forget(stateID(1))
	if _, served, _ := a.get(context.Background(), stateID(1)); served {
		t.Error("served a state that was deleted")
	}
}
