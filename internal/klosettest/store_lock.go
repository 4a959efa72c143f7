package klosettest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/PlakarKorp/kloset/connectors/storage"
)

// lockChecks are about locks, on which other programs rely.
var lockChecks = []check[StoreHarness]{
	{"LockOverwrite", checkLockOverwrite},
	{"LockOverwriteConcurrently", checkLockOverwriteConcurrently},
	{"LockDeleteCancelled", checkLockDeleteCancelled},
	{"LockSkipsTheQueue", checkLockSkipsTheQueue},
}

const lock = storage.StorageResourceLock

func checkLockOverwrite(t testing.TB, h StoreHarness) {
	s := h.created(t)
	other := h.again(t, s)
	for i, size := range []int{124, 200, 50} {
		body := noise(uint64(i), size)
		put(t, s, lock, name(1), body)
		wantBody(t, s, lock, name(1), body)
		wantBody(t, other, lock, name(1), body)
		wantList(t, other, lock, name(1))
	}
}

// checkLockOverwriteConcurrently: whoever looks sees one of the bodies, whole.
func checkLockOverwriteConcurrently(t testing.TB, h StoreHarness) {
	const writers = 16
	s := h.created(t)
	bodies := make([][]byte, writers)
	for i := range bodies {
		bodies[i] = noise(uint64(i), 100+i)
	}
	put(t, s, lock, name(1), bodies[0])
	whole := func() error {
		got, err := read(t.Context(), s, lock, name(1), nil)
		if err == nil && !slices.ContainsFunc(bodies, func(b []byte) bool { return bytes.Equal(b, got) }) {
			err = fmt.Errorf("%d bytes that nobody put", len(got))
		}
		return err
	}
	var wg sync.WaitGroup
	for i := range bodies {
		wg.Go(func() {
			if err := putErr(t.Context(), s, lock, name(1), bodies[i]); err != nil {
				t.Errorf("put a lock while others do: %v", err)
			}
		})
		wg.Go(func() {
			if err := whole(); err != nil {
				t.Errorf("get a lock while others put it: %v", err)
			}
		})
	}
	wg.Wait()
	must(t, "get the lock afterwards", whole())
	wantList(t, s, lock, name(1))
}

// checkLockDeleteCancelled: the engine deletes its lock with the context of the
// backup, which is dead when the backup was cancelled. A lock that stays keeps
// maintenance out.
func checkLockDeleteCancelled(t testing.TB, h StoreHarness) {
	s := h.created(t)
	put(t, s, lock, name(1), noise(1, 124))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Delete(ctx, lock, name(1)); err != nil {
		t.Errorf("delete a lock with a cancelled context: %v", err)
	}
	wantList(t, s, lock)
}

// checkLockSkipsTheQueue holds up every Put and Get that a store may be busy
// with, and wants a lock refreshed meanwhile.
func checkLockSkipsTheQueue(t testing.TB, h StoreHarness) {
	const busy = 32
	s := h.created(t)
	put(t, s, storage.StorageResourcePackfile, name(100), noise(1, 8*mib))
	release := make(chan struct{})
	held := make(chan struct{}, busy) // one for each Put that has begun to read
	var wg sync.WaitGroup
	for i := range busy {
		rd, err := s.Get(t.Context(), storage.StorageResourcePackfile, name(100), nil)
		must(t, "get", err)
		defer rd.Close()
		wg.Go(func() {
			body := breaking(noise(2, 1000), func() error {
				held <- struct{}{}
				<-release
				return io.EOF
			})
			if _, err := s.Put(t.Context(), storage.StorageResourcePackfile, name(uint64(i)), body); err != nil {
				t.Errorf("put that was held up: %v", err)
			}
		})
	}
	defer wg.Wait()
	defer close(release)
	untilQuiet(held, busy)

	err := within(t, h.patience(), "lock behind busy puts and gets", func() error {
		got, err := func() ([]byte, error) {
			if err := putErr(t.Context(), s, lock, name(200), noise(3, 124)); err != nil {
				return nil, err
			}
			if _, err := s.List(t.Context(), lock); err != nil {
				return nil, err
			}
			return read(t.Context(), s, lock, name(200), nil)
		}()
		if err == nil && !bytes.Equal(got, noise(3, 124)) {
			err = errors.New("wrong body")
		}
		return errors.Join(err, s.Delete(t.Context(), lock, name(200)))
	})
	if err != nil {
		t.Errorf("lock while the store is busy: %v", err)
	}
}

// untilQuiet waits for n signals, or until none has come for a while after the
// first: a store may let fewer in.
func untilQuiet(signals <-chan struct{}, n int) {
	const while = 200 * time.Millisecond
	<-signals
	for range n - 1 {
		select {
		case <-signals:
		case <-time.After(while):
			return
		}
	}
}
