package bucket

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestMemoryInTurn: a large buffer is not overtaken by small ones for ever.
func TestMemoryInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(10)
		first, err := m.Acquire(t.Context(), 5)
		if err != nil {
			t.Fatal(err)
		}
		order := make(chan string, 2)
		wait := func(name string, n int64) {
			release, err := m.Acquire(t.Context(), n)
			if err != nil {
				t.Error(err)
				return
			}
			order <- name
			release()
		}
		go wait("large", 10)
		synctest.Wait()
		go wait("small", 1)
		synctest.Wait()
		if len(order) != 0 {
			t.Errorf("%s went ahead", <-order)
		}
		if _, ok := m.TryAcquire(1); ok {
			t.Error("whoever does not wait overtakes those who do")
		}
		first()
		if got := []string{<-order, <-order}; got[0] != "large" {
			t.Errorf("order was %q", got)
		}
	})
}

func TestMemoryCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(10)
		release, err := m.Acquire(t.Context(), 10)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := m.Acquire(ctx, 1); err != context.DeadlineExceeded {
			t.Errorf("error is %v", err)
		}
		release()
		if release, ok := m.TryAcquire(10); ok {
			release()
		} else {
			t.Error("what was not given has gone")
		}
	})
}

// TestMemoryBounds: too much is all there is, and too little is nothing.
func TestMemoryBounds(t *testing.T) {
	for _, c := range []struct{ limit, asked, left int64 }{
		{10, 4, 6}, {10, 10, 0}, {10, 1 << 40, 0}, {10, 0, 10}, {10, -5, 10}, {0, 5, 0}, {-3, 5, 0},
	} {
		m := NewMemory(c.limit)
		if m.Limit() != max(c.limit, 1) {
			t.Errorf("limit is %d", m.Limit())
		}
		release, err := m.Acquire(t.Context(), c.asked)
		if err != nil {
			t.Fatal(err)
		}
		if c.left > 0 {
			rest, ok := m.TryAcquire(c.left)
			if !ok {
				t.Errorf("%+v: less is left", c)
				continue
			}
			if _, ok := m.TryAcquire(1); ok {
				t.Errorf("%+v: more is left", c)
			}
			rest()
		} else if _, ok := m.TryAcquire(1); ok {
			t.Errorf("%+v: something is left", c)
		}
		release()
		if release, ok := m.TryAcquire(m.Limit()); !ok {
			t.Errorf("%+v: not all was given back", c)
		} else {
			release()
		}
	}
}
