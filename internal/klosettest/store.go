package klosettest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"testing"
	"time"

	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/PlakarKorp/kloset/objects"
)

// StoreHarness makes stores for [RunStore]. New and Reopen are required. The
// suite closes every store that it gets.
type StoreHarness struct {
	// New returns a store on a location of its own that holds nothing.
	New func(t testing.TB) storage.Store

	// Reopen returns another store on the location of s, as independent of s as
	// two programs are.
	Reopen func(t testing.TB, s storage.Store) storage.Store

	// Plant stores a raw object below the root of s, as another program would.
	// Without it, foreign names are not checked.
	Plant func(t testing.TB, s storage.Store, name string, body []byte)

	// Names lists the raw names of everything below the root of s, in any order.
	// Without it, the layout and the absence of leftovers are not checked.
	Names func(t testing.TB, s storage.Store) []string

	// Tick makes the next Put later than the last one by more than the
	// resolution of the service's clock. Without it, consecutive Puts must have
	// different times anyway.
	Tick func(t testing.TB)

	// SharedCreate is the reason why several concurrent Creates may succeed; it
	// is empty where the service has conditional writes.
	SharedCreate string

	// Patience bounds every wait for something that should happen at once; 0
	// means 30 seconds.
	Patience time.Duration

	// Seed repeats a run with the random choices of that seed; 0 draws one.
	Seed uint64
}

// RunStore checks that stores keep the contract of storage.Store, one by one and
// under the real engine. It runs for seconds in memory.
func RunStore(t *testing.T, h StoreHarness) {
	runChecks(t, h, patienceOr(h.Patience), storeChecks)
}

var storeChecks = slices.Concat(repositoryChecks, putChecks, getChecks, listChecks, lockChecks, storeEngineChecks)

// aConfig is a configuration; its content means nothing to a store.
var aConfig = noise(1, 369)

// fresh returns a store without a repository.
func (h StoreHarness) fresh(t testing.TB) storage.Store {
	t.Helper()
	s := h.New(t)
	closing(t, s)
	return s
}

// created returns a store with an empty repository.
func (h StoreHarness) created(t testing.TB) storage.Store {
	t.Helper()
	s := h.fresh(t)
	must(t, "create", s.Create(t.Context(), aConfig))
	return s
}

// again returns another store on the same location.
func (h StoreHarness) again(t testing.TB, s storage.Store) storage.Store {
	t.Helper()
	other := h.Reopen(t, s)
	closing(t, other)
	return other
}

func (h StoreHarness) patience() time.Duration { return patienceOr(h.Patience) }

// put stores body and checks the returned count.
func put(t testing.TB, s storage.Store, res storage.StorageResource, id objects.MAC, body []byte) {
	t.Helper()
	n, err := s.Put(t.Context(), res, id, bytes.NewReader(body))
	must(t, "put "+res.String(), err)
	if n != int64(len(body)) {
		t.Errorf("put %s: returned %d, want the %d bytes of the body", res, n, len(body))
	}
}

// read returns the bytes of a Get, and closes its reader.
func read(ctx context.Context, s storage.Store, res storage.StorageResource, id objects.MAC, rg *storage.Range) ([]byte, error) {
	rd, err := s.Get(ctx, res, id, rg)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(rd)
	return body, errors.Join(err, rd.Close())
}

// wantBody fails t unless the resource holds exactly want.
func wantBody(t testing.TB, s storage.Store, res storage.StorageResource, id objects.MAC, want []byte) {
	t.Helper()
	got, err := read(t.Context(), s, res, id, nil)
	must(t, "get "+res.String(), err)
	if line := diffBody(want, got); line != "" {
		t.Errorf("get %s: %s", res, line)
	}
}

// wantNothing fails t if any trace of the resource is to be found.
func (h StoreHarness) wantNothing(t testing.TB, s storage.Store, res storage.StorageResource, id objects.MAC) {
	t.Helper()
	if _, err := read(t.Context(), s, res, id, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("get %s that must not be there: error %v, want fs.ErrNotExist", res, err)
	}
	if ids := list(t, s, res); slices.Contains(ids, id) {
		t.Errorf("list %s: has what must not be there", res)
	}
	if h.Names != nil {
		if names := h.Names(t, s); !slices.Equal(names, []string{configName}) {
			t.Errorf("left behind: %q", names)
		}
	}
}

func list(t testing.TB, s storage.Store, res storage.StorageResource) []objects.MAC {
	t.Helper()
	ids, err := s.List(t.Context(), res)
	must(t, "list "+res.String(), err)
	return ids
}

// wantList fails t unless the resource's list is ids, in any order.
func wantList(t testing.TB, s storage.Store, res storage.StorageResource, ids ...objects.MAC) {
	t.Helper()
	byBytes := func(a, b objects.MAC) int { return bytes.Compare(a[:], b[:]) }
	got := slices.SortedFunc(slices.Values(list(t, s, res)), byBytes)
	want := slices.SortedFunc(slices.Values(ids), byBytes)
	if !slices.Equal(got, want) {
		t.Errorf("list %s: got %d identifiers %x, want %d %x", res, len(got), got, len(want), want)
	}
}

// cleanRoot says whether a root is one that the engine can work with.
func cleanRoot(root string) bool { return path.IsAbs(root) && path.Clean(root) == root }
