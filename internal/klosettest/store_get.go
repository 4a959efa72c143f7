package klosettest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/PlakarKorp/kloset/objects"
)

// getChecks are about reading: the right bytes or an error.
var getChecks = []check[StoreHarness]{
	{"GetMissing", checkGetMissing},
	{"GetCancelled", checkGetCancelled},
	{"GetRanges", checkGetRanges},
	{"GetNeighbouringRanges", checkGetNeighbouringRanges},
	{"GetPastTheEnd", checkGetPastTheEnd},
	{"GetConcurrently", checkGetConcurrently},
	{"GetCloseEarly", checkGetCloseEarly},
	{"GetAfterDelete", checkGetAfterDelete},
}

func checkGetMissing(t testing.TB, h StoreHarness) {
	s := h.created(t)
	for _, res := range resources {
		for what, rg := range map[string]*storage.Range{"whole": nil, "range": {Offset: 10, Length: 10}} {
			rd, err := s.Get(t.Context(), res, name(1), rg)
			if !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("get missing %s, %s: error %v, want fs.ErrNotExist", res, what, err)
			}
			if err == nil {
				rd.Close()
			}
		}
	}
	if _, err := h.fresh(t).Get(t.Context(), storage.StorageResourceState, name(1), nil); err == nil {
		t.Error("get without a repository: no error")
	}
}

func checkGetCancelled(t testing.TB, h StoreHarness) {
	s := h.created(t)
	put(t, s, storage.StorageResourcePackfile, name(1), noise(1, mib))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for what, rg := range map[string]*storage.Range{"whole": nil, "range": {Offset: 10, Length: 1000}} {
		if _, err := read(ctx, s, storage.StorageResourcePackfile, name(1), rg); !errors.Is(err, context.Canceled) {
			t.Errorf("get %s with a cancelled context: error %v, want context.Canceled", what, err)
		}
	}
}

// wantRange reads a range that lies within body.
func wantRange(ctx context.Context, t testing.TB, s storage.Store, res storage.StorageResource, id objects.MAC, body []byte, rg storage.Range) {
	t.Helper()
	got, err := read(ctx, s, res, id, &rg)
	if err != nil {
		t.Errorf("get %s, %d bytes from %d: %v", res, rg.Length, rg.Offset, err)
		return
	}
	if line := diffBody(body[rg.Offset:rg.Offset+uint64(rg.Length)], got); line != "" {
		t.Errorf("get %s, %d bytes from %d: %s", res, rg.Length, rg.Offset, line)
	}
}

func checkGetRanges(t testing.TB, h StoreHarness) {
	s, rnd := h.created(t), random(t, h.Seed)
	for i, size := range []int{1, 124, 70_000, 12 * mib} {
		body, count := noise(uint64(i), size), 40
		if size > mib {
			count = 10 // each takes its time
		}
		for _, res := range resources[:2] {
			id := name(uint64(i))
			put(t, s, res, id, body)
			ranges := []storage.Range{{Offset: 0, Length: uint32(size)}, {Offset: 0, Length: 1}, {Offset: uint64(size - 1), Length: 1}}
			for range count {
				from := rnd.IntN(size)
				ranges = append(ranges, storage.Range{Offset: uint64(from), Length: 1 + rnd.Uint32N(uint32(size-from))})
			}
			for _, rg := range ranges {
				wantRange(t.Context(), t, s, res, id, body, rg)
			}
		}
	}
}

// checkGetNeighbouringRanges reads the way the engine does: small ranges one
// after the other, each moved and stretched a little at random.
func checkGetNeighbouringRanges(t testing.TB, h StoreHarness) {
	const size = 4 * mib
	s, rnd, body := h.created(t), random(t, h.Seed), noise(1, size)
	put(t, s, storage.StorageResourcePackfile, name(1), body)
	for at := 0; at < size-50_000; at += 25_000 {
		from := max(0, at-rnd.IntN(150))
		rg := storage.Range{Offset: uint64(from), Length: 25_000 + rnd.Uint32N(150)}
		wantRange(t.Context(), t, s, storage.StorageResourcePackfile, name(1), body, rg)
	}
}

// checkGetPastTheEnd takes an error as well as a short answer, which the engine
// notices itself; it takes no other bytes than those of the range.
func checkGetPastTheEnd(t testing.TB, h StoreHarness) {
	s := h.created(t)
	for i, size := range []int{1, 124, mib} {
		id, body := name(uint64(i)), noise(uint64(i), size)
		put(t, s, storage.StorageResourcePackfile, id, body)
		for _, rg := range []storage.Range{
			{Offset: 0, Length: 0},
			{Offset: uint64(size / 2), Length: 0},
			{Offset: uint64(size), Length: 0},
			{Offset: 0, Length: uint32(size) + 1},
			{Offset: 0, Length: math.MaxUint32},
			{Offset: uint64(size - 1), Length: 100},
			{Offset: uint64(size), Length: 1},
			{Offset: uint64(size) + 1000, Length: 1000},
			{Offset: math.MaxUint64, Length: math.MaxUint32},
			{Offset: math.MaxInt64, Length: 2},
		} {
			want := body[min(rg.Offset, uint64(size)):]
			want = want[:min(uint64(rg.Length), uint64(len(want)))]
			got, err := read(t.Context(), s, storage.StorageResourcePackfile, id, &rg)
			if err == nil && !bytes.Equal(got, want) || err != nil && !bytes.HasPrefix(want, got) {
				t.Errorf("get %d bytes from %d of %d: %s, error %v", rg.Length, rg.Offset, size, diffBody(want, got), err)
			}
		}
		wantBody(t, s, storage.StorageResourcePackfile, id, body)
	}
}

// checkGetConcurrently opens as many readers as the engine does before it reads
// the first, and reads them in another order.
func checkGetConcurrently(t testing.TB, h StoreHarness) {
	const readers, length = 64, 30_000
	s, body := h.created(t), noise(1, 4*mib)
	put(t, s, storage.StorageResourcePackfile, name(1), body)
	offset := func(i int) uint64 { return uint64(i * 61_003) }

	rds := make([]io.ReadCloser, readers)
	err := within(t, h.patience(), "64 concurrent gets", func() error {
		errs := make([]error, readers)
		var wg sync.WaitGroup
		for i := range rds {
			wg.Go(func() {
				rg := &storage.Range{Offset: offset(i), Length: length}
				rds[i], errs[i] = s.Get(t.Context(), storage.StorageResourcePackfile, name(1), rg)
			})
		}
		wg.Wait()
		return errors.Join(errs...)
	})
	must(t, "get", err)
	for i, rd := range slices.Backward(rds) {
		got, err := io.ReadAll(rd)
		must(t, "read", errors.Join(err, rd.Close()))
		if line := diffBody(body[offset(i):][:length], got); line != "" {
			t.Errorf("range %d of %d open at a time: %s", i, readers, line)
		}
	}
}

func checkGetCloseEarly(t testing.TB, h StoreHarness) {
	s, body := h.created(t), noise(1, long())
	put(t, s, storage.StorageResourcePackfile, name(1), body)
	for i := range 20 {
		for _, rg := range []*storage.Range{nil, {Offset: 1000, Length: 5 * mib}} {
			rd, err := s.Get(t.Context(), storage.StorageResourcePackfile, name(1), rg)
			must(t, "get", err)
			if _, err := io.ReadFull(rd, make([]byte, i*10)); err != nil {
				t.Errorf("read the first %d bytes: %v", i*10, err)
			}
			if err := within(t, h.patience(), "close early", rd.Close); err != nil {
				t.Errorf("close after %d bytes: %v", i*10, err)
			}
		}
	}
	wantBody(t, s, storage.StorageResourcePackfile, name(1), body)
}

// checkGetAfterDelete: whatever a store keeps in memory, gone is gone, and what
// another store wrote under the same name is what is read.
func checkGetAfterDelete(t testing.TB, h StoreHarness) {
	s := h.created(t)
	const res = storage.StorageResourceState
	body := noise(1, 100_000)
	put(t, s, res, name(1), body)
	wantRange(t.Context(), t, s, res, name(1), body, storage.Range{Offset: 10, Length: 1000})
	must(t, "delete", s.Delete(t.Context(), res, name(1)))
	if _, err := read(t.Context(), s, res, name(1), &storage.Range{Offset: 10, Length: 1000}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("get a range of a deleted state: error %v, want fs.ErrNotExist", err)
	}
	body = noise(2, 100_000)
	put(t, h.again(t, s), res, name(1), body)
	wantRange(t.Context(), t, s, res, name(1), body, storage.Range{Offset: 10, Length: 1000})
}
