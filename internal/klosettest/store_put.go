package klosettest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"sync"
	"testing"

	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/PlakarKorp/kloset/objects"
)

// putChecks are about writing: whole or not at all.
var putChecks = []check[StoreHarness]{
	{"PutSizes", checkPutSizes},
	{"PutEmpty", checkPutEmpty},
	{"PutOddReaders", checkPutOddReaders},
	{"PutDrains", checkPutDrains},
	{"PutBrokenReader", checkPutBrokenReader},
	{"PutCancelled", checkPutCancelled},
	{"PutCancelledMidway", checkPutCancelledMidway},
	{"PutConcurrently", checkPutConcurrently},
	{"PutHot", checkPutHot},
	{"UnsupportedResources", checkUnsupportedResources},
	{"Delete", checkDelete},
}

func checkPutSizes(t testing.TB, h StoreHarness) {
	s := h.created(t)
	other := h.again(t, s)
	for i, size := range []int{1, 124, mib, long()} {
		for j, res := range resources {
			if res == storage.StorageResourceLock && size > mib {
				continue // a lock is small, and stores may rely on that
			}
			id, body := name(uint64(i)), noise(uint64(10*i+j), size)
			put(t, s, res, id, body)
			wantBody(t, s, res, id, body)
			wantBody(t, other, res, id, body)
		}
	}
}

// checkPutEmpty takes both answers: an empty resource means nothing to the
// engine, but what is stored must be there, and what is refused must not.
func checkPutEmpty(t testing.TB, h StoreHarness) {
	s := h.created(t)
	for i, res := range resources {
		id := name(uint64(i))
		if err := putErr(t.Context(), s, res, id, nil); err == nil {
			wantBody(t, s, res, id, nil)
			must(t, "delete", s.Delete(t.Context(), res, id))
		}
		h.wantNothing(t, s, res, id)
	}
}

func checkPutOddReaders(t testing.TB, h StoreHarness) {
	s := h.created(t)
	for i, odd := range oddReaders {
		for _, size := range []int{1, 124, 100_000} {
			id, body := name(uint64(i*mib+size)), noise(uint64(size), size)
			n, err := s.Put(t.Context(), storage.StorageResourcePackfile, id, odd.wrap(bytes.NewReader(body)))
			must(t, "put with "+odd.name, err)
			if n != int64(size) {
				t.Errorf("put with %s: returned %d, want %d", odd.name, n, size)
			}
			wantBody(t, s, storage.StorageResourcePackfile, id, body)
		}
	}
}

// checkPutDrains: the engine writes its own copy of a state from what Put reads,
// so that one that stops at the last byte leaves the copy truncated.
func checkPutDrains(t testing.TB, h StoreHarness) {
	s := h.created(t)
	for i, size := range []int{124, mib, 6 * mib} {
		for _, res := range resources {
			rd := &drainCheck{Reader: bytes.NewReader(noise(1, size))}
			_, err := s.Put(t.Context(), res, name(uint64(i)), rd)
			must(t, "put", err)
			if !rd.drained {
				t.Errorf("put %s of %d bytes: reader not read to EOF", res, size)
			}
		}
	}
}

func checkPutBrokenReader(t testing.TB, h StoreHarness) {
	s := h.created(t)
	for i, size := range []int{0, 1, 100_000, 6 * mib, long()} {
		for j, res := range resources {
			if res == storage.StorageResourceLock && size > mib {
				continue
			}
			id := name(uint64(10*i + j))
			rd := breaking(noise(1, size), func() error { return errBroken })
			if _, err := s.Put(t.Context(), res, id, rd); !errors.Is(err, errBroken) {
				t.Errorf("put %s whose reader breaks after %d bytes: error %v, want the reader's", res, size, err)
			}
			h.wantNothing(t, s, res, id)
		}
	}
}

// checkPutCancelled: a backup that lost a packfile publishes its state with a
// cancelled context, and only the store can stop it.
func checkPutCancelled(t testing.TB, h StoreHarness) {
	s := h.created(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for i, res := range resources {
		for _, size := range []int{124, long()} {
			id := name(uint64(i))
			if err := putErr(ctx, s, res, id, noise(1, size)); !errors.Is(err, context.Canceled) {
				t.Errorf("put %s of %d bytes with a cancelled context: error %v, want context.Canceled", res, size, err)
			}
			h.wantNothing(t, s, res, id)
		}
	}
}

func checkPutCancelledMidway(t testing.TB, h StoreHarness) {
	s := h.created(t)
	for i, size := range []int{1, 100_000, 6 * mib, long()} {
		ctx, cancel := context.WithCancel(t.Context())
		id := name(uint64(i))
		rest := bytes.NewReader(noise(2, long()))
		rd := io.MultiReader(
			bytes.NewReader(noise(1, size)),
			// The rest is there: it is up to the store to stop.
			readerFunc(func(p []byte) (int, error) { cancel(); return rest.Read(p) }),
		)
		err := within(t, h.patience(), "cancelled put", func() error {
			_, err := s.Put(ctx, storage.StorageResourcePackfile, id, rd)
			return err
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("put cancelled after %d bytes: error %v, want context.Canceled", size, err)
		}
		h.wantNothing(t, s, storage.StorageResourcePackfile, id)
	}
}

func checkPutConcurrently(t testing.TB, h StoreHarness) {
	const writers = 16
	s := h.created(t)
	size := func(i int) int { return 10_000 + i*50_000 }
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			id, body := name(uint64(i)), noise(uint64(i), size(i))
			if err := putErr(t.Context(), s, resources[i%2], id, body); err != nil {
				t.Errorf("put: %v", err)
			}
		})
	}
	wg.Wait()
	want := make(map[storage.StorageResource][]objects.MAC)
	for i := range writers {
		res := resources[i%2]
		want[res] = append(want[res], name(uint64(i)))
		wantBody(t, s, res, name(uint64(i)), noise(uint64(i), size(i)))
	}
	for res, ids := range want {
		wantList(t, s, res, ids...)
	}
}

// checkPutHot: a hint may choose a class, and must not choose a name.
func checkPutHot(t testing.TB, h StoreHarness) {
	s := h.created(t)
	ctx := storage.WithFlag(t.Context(), storage.StorageHot)
	must(t, "put hot packfile", putErr(ctx, s, storage.StorageResourcePackfile, name(1), noise(1, 1000)))
	put(t, s, storage.StorageResourcePackfile, name(2), noise(2, 1000))
	for _, s := range []storage.Store{s, h.again(t, s)} {
		wantBody(t, s, storage.StorageResourcePackfile, name(1), noise(1, 1000))
		wantList(t, s, storage.StorageResourcePackfile, name(1), name(2))
	}
}

func checkUnsupportedResources(t testing.TB, h StoreHarness) {
	s := h.created(t)
	ctx, id := t.Context(), name(1)
	for _, res := range unsupported {
		for what, call := range map[string]func() error{
			"list":   func() error { _, err := s.List(ctx, res); return err },
			"put":    func() error { return putErr(ctx, s, res, id, noise(1, 124)) },
			"get":    func() error { _, err := read(ctx, s, res, id, nil); return err },
			"delete": func() error { return s.Delete(ctx, res, id) },
		} {
			if err := call(); !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("%s of resource %d (%s): error %v, want errors.ErrUnsupported", what, res, res, err)
			}
		}
	}
	h.wantNothing(t, s, storage.StorageResourcePackfile, id)
}

func checkDelete(t testing.TB, h StoreHarness) {
	s := h.created(t)
	for _, res := range resources {
		put(t, s, res, name(1), noise(1, 124))
		put(t, s, res, name(2), noise(2, 124))
		for range 2 {
			if err := s.Delete(t.Context(), res, name(1)); err != nil {
				t.Errorf("delete %s: %v", res, err)
			}
		}
		if err := s.Delete(t.Context(), res, name(3)); err != nil {
			t.Errorf("delete %s that never was: %v", res, err)
		}
		if _, err := read(t.Context(), s, res, name(1), nil); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("get deleted %s: error %v, want fs.ErrNotExist", res, err)
		}
		wantList(t, s, res, name(2))
		wantBody(t, s, res, name(2), noise(2, 124))
	}
	wantConfig(t, s)
}

// wantConfig fails t unless the configuration is as it was created.
func wantConfig(t testing.TB, s storage.Store) {
	t.Helper()
	got, err := s.Open(t.Context())
	must(t, "open", err)
	if line := diffBody(aConfig, got); line != "" {
		t.Errorf("configuration changed: %s", line)
	}
}
