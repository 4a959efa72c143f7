package klosettest

import (
	"context"
	"errors"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/PlakarKorp/kloset/connectors"
	"github.com/PlakarKorp/kloset/connectors/exporter"
	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/PlakarKorp/kloset/objects"
)

// destinationEngineChecks put the exporter under the real engine.
var destinationEngineChecks = []check[DestinationHarness]{
	{"EngineRestore", checkDestinationRestore},
	{"EngineRestoreBelow", checkDestinationRestoreBelow},
	{"EngineCancelled", checkDestinationCancelled},
	{"EngineStoreFails", checkDestinationStoreFails},
}

// snapshotOf backs a tree up into a new repository.
func snapshotOf(t testing.TB, store storage.Store, tree []Entry) (*Repository, objects.MAC) {
	t.Helper()
	repo := NewRepository(t, store, "")
	id, err := repo.Backup(t.Context(), NewMemImporter(tree))
	must(t, "back up", err)
	return repo, id
}

func checkDestinationRestore(t testing.TB, h DestinationHarness) {
	tree := append(Tree(), Symlink("/docs/link", "../README"))
	repo, id := snapshotOf(t, NewMemStore(), tree)
	exp := h.exporter(t)
	must(t, "restore", repo.Restore(t.Context(), id, "/", exp))
	h.wantFiles(t, exp, tree)
	must(t, "restore again", repo.Restore(t.Context(), id, "/", h.again(t, exp)))
	h.wantFiles(t, exp, tree)
}

// checkDestinationRestoreBelow restores a folder and a file, of which the engine
// cuts the path off.
func checkDestinationRestoreBelow(t testing.TB, h DestinationHarness) {
	tree := Tree()
	repo, id := snapshotOf(t, NewMemStore(), tree)
	for _, from := range []string{"/docs", "/docs/img/big", "/docs/img/big/3MiB"} {
		var want []Entry
		for _, e := range tree {
			if below, ok := strings.CutPrefix(e.Path, from+"/"); ok {
				e.Path = "/" + below
				want = append(want, e)
			} else if e.Path == from {
				e.Path = "/" + path.Base(from)
				want = append(want, e)
			}
		}
		exp := h.exporter(t)
		must(t, "restore "+from, repo.Restore(t.Context(), id, from, exp))
		h.wantFiles(t, exp, want)
	}
}

// checkDestinationCancelled: a restore that was cut short must not look complete.
func checkDestinationCancelled(t testing.TB, h DestinationHarness) {
	tree := Tree()
	repo, id := snapshotOf(t, NewMemStore(), tree)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	exp := h.exporter(t)
	var passed atomic.Int64
	watched := &exporterSpy{Exporter: exp, onRecord: func(*connectors.Record) {
		if passed.Add(1) == 20 {
			cancel()
		}
	}}
	if err := repo.Restore(ctx, id, "/", watched); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled restore: error %v, want context.Canceled", err)
	}
	h.wantWhole(t, exp, tree)
	exp = h.again(t, exp)
	must(t, "restore after a cancelled restore", repo.Restore(t.Context(), id, "/", exp))
	h.wantFiles(t, exp, tree)
}

// checkDestinationStoreFails: the repository cannot be read from some point on.
func checkDestinationStoreFails(t testing.TB, h DestinationHarness) {
	tree := Tree()
	store := NewMemStore()
	var broken atomic.Bool
	store.Hook = func(_ context.Context, call Call) error {
		if call.Op == OpGet && call.Resource == storage.StorageResourcePackfile && broken.Load() {
			return errBroken
		}
		return nil
	}
	repo, id := snapshotOf(t, store, tree)
	exp := h.exporter(t)
	watched := &exporterSpy{Exporter: exp, onRecord: func(rec *connectors.Record) {
		if rec.Pathname == "/docs/img/big/3MiB" {
			broken.Store(true)
		}
	}}
	if err := repo.Restore(t.Context(), id, "/", watched); !errors.Is(err, errBroken) {
		t.Errorf("restore from a store that fails: error %v, want that of the store", err)
	}
	h.wantWhole(t, exp, tree)
}

// exporterSpy is an exporter that is told of each record before the inner one
// gets it.
type exporterSpy struct {
	exporter.Exporter
	onRecord func(*connectors.Record)
}

// Export implements exporter.Exporter.
func (s *exporterSpy) Export(ctx context.Context, records <-chan *connectors.Record, results chan<- *connectors.Result) error {
	forwarded := make(chan *connectors.Record)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(forwarded)
		for rec := range records {
			s.onRecord(rec)
			forwarded <- rec // an exporter takes all records, whatever happens
		}
	})
	err := s.Exporter.Export(ctx, forwarded, results)
	wg.Wait()
	return err
}
