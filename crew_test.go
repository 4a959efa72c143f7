package s3kloset

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestCrewRunsAllTasks(t *testing.T) {
	const tasks, size = 1000, 7
	var mu sync.Mutex
	var done []int
	var busy, most atomic.Int32
	workers, ctx := newCrew(t.Context(), size)
	for i := range tasks {
		workers.Go(func() error {
			n := busy.Add(1)
			defer busy.Add(-1)
			for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
			}
			mu.Lock()
			defer mu.Unlock()
			done = append(done, i)
			return ctx.Err()
		})
	}
	if err := workers.Wait(); err != nil {
		t.Fatal(err)
	}
	slices.Sort(done)
	if len(done) != tasks || done[0] != 0 || done[tasks-1] != tasks-1 {
		t.Errorf("%d tasks have run, from %d to %d, want each of %d once", len(done), done[0], done[tasks-1], tasks)
	}
	if n := most.Load(); n > size {
		t.Errorf("%d tasks at a time, want at most %d", n, size)
	}
	if ctx.Err() == nil {
		t.Error("the context lives on")
	}
}

func TestCrewWithoutTasks(t *testing.T) {
	workers, _ := newCrew(t.Context(), 3)
	if err := workers.Wait(); err != nil {
		t.Error(err)
	}
}

// TestCrewIsReused: who has nothing to do takes the next task.
func TestCrewIsReused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		workers, _ := newCrew(t.Context(), 5)
		for range 20 {
			workers.Go(func() error { return nil })
			synctest.Wait()
		}
		if workers.started != 1 {
			t.Errorf("%d workers for tasks one after the other, want 1", workers.started)
		}
		if err := workers.Wait(); err != nil {
			t.Error(err)
		}
	})
}

// TestCrewWaitsForAWorker: a task that has no worker holds up its giver.
func TestCrewWaitsForAWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		workers, _ := newCrew(t.Context(), 2)
		begin := time.Now()
		for range 3 {
			workers.Go(func() error { time.Sleep(time.Minute); return nil })
		}
		if waited := time.Since(begin); waited != time.Minute {
			t.Errorf("the third task was taken after %v, want after a minute", waited)
		}
		if err := workers.Wait(); err != nil || time.Since(begin) != 2*time.Minute {
			t.Errorf("the crew ended after %v with %v, want 2 minutes", time.Since(begin), err)
		}
	})
}

// TestCrewFails: the first error counts, ends the context, and keeps no task
// from running.
func TestCrewFails(t *testing.T) {
	first, second := errors.New("first"), errors.New("second")
	workers, ctx := newCrew(t.Context(), 2)
	failed := make(chan struct{})
	workers.Go(func() error { defer close(failed); return first })
	<-failed
	<-ctx.Done()
	if cause := context.Cause(ctx); cause != context.Canceled {
		t.Errorf("the context ended by %v", cause)
	}
	ran := 0
	workers.Go(func() error { ran++; return second })
	if err := workers.Wait(); err != first || ran != 1 {
		t.Errorf("the crew ended with %v after %d more tasks, want %v and 1", err, ran, first)
	}
}
