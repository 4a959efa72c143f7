package klosettest

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/PlakarKorp/kloset/connectors/importer"
	"github.com/PlakarKorp/kloset/objects"
)

// sourceEngineChecks put the importer under the real engine.
var sourceEngineChecks = []check[SourceHarness]{
	{"EngineBackup", checkSourceBackup},
	{"EngineIncremental", checkSourceIncremental},
	{"EngineCancelled", checkSourceCancelled},
}

// backedUp backs the importer up into a new repository in memory.
func backedUp(t testing.TB, imp importer.Importer) (*Repository, objects.MAC) {
	t.Helper()
	repo := NewRepository(t, NewMemStore(), "")
	id, err := repo.Backup(t.Context(), imp)
	must(t, "back up", err)
	return repo, id
}

// below leaves out the root and what the engine makes up above it.
func below(root string, entries []Entry) []Entry {
	prefix := strings.TrimSuffix(root, "/") + "/"
	var out []Entry
	for _, e := range entries {
		if e.Path != root && strings.HasPrefix(e.Path, prefix) {
			out = append(out, e)
		}
	}
	return out
}

// deepest is how many folders deep a key may be in these checks. Under the race
// detector the engine takes 16 ms for each folder, and some hostile keys have a
// thousand, which the checks without the engine cover.
const deepest = 20

// backable returns the hostile objects that do not make the engine slow.
func (h SourceHarness) backable(t testing.TB) []Object {
	t.Helper()
	return slices.DeleteFunc(h.hostile(t), func(o Object) bool { return strings.Count(o.Key, "/") > deepest })
}

func checkSourceBackup(t testing.TB, h SourceHarness) {
	objs := append(h.backable(t), Object{Key: "sizes/large", Body: noise(1, 12*mib)})
	imp := h.importer(t, objs)
	repo, id := backedUp(t, imp)
	walked, err := repo.Walk(t.Context(), id)
	must(t, "walk", err)
	report(t, "snapshot", diffBodies(objs, walked))
	imported := h.everything(t, h.again(t, imp), 4)
	report(t, "snapshot against import", diffEntries(below(imp.Root(), imported), below(imp.Root(), walked)))

	// Restoring starts at the root.
	exp := NewMemExporter()
	must(t, "restore", repo.Restore(t.Context(), id, path.Clean(imp.Root()), exp))
	report(t, "restored", diffBodies(objs, exp.Entries()))
}

func checkSourceIncremental(t testing.TB, h SourceHarness) {
	objs := h.backable(t)
	imp := h.importer(t, objs)
	repo, id := backedUp(t, imp)
	// The second incremental backup builds on entries that the first one took
	// over from the full one.
	for range 2 {
		watched := &spy{Importer: h.again(t, imp)}
		var err error
		id, err = repo.Backup(t.Context(), watched)
		must(t, "back up again", err)
		for _, p := range watched.opened {
			t.Errorf("%s: unchanged, and read again", quote(p))
		}
	}
	walked, err := repo.Walk(t.Context(), id)
	must(t, "walk", err)
	report(t, "incremental snapshot", diffBodies(objs, walked))
}

// checkSourceCancelled: a cancelled backup fails, and the next one works.
func checkSourceCancelled(t testing.TB, h SourceHarness) {
	objs := strip(t, some(200), h.Losses)
	imp := h.importer(t, objs)
	repo := NewRepository(t, NewMemStore(), "")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if _, err := repo.Backup(ctx, &spy{Importer: imp, onOpen: cancel}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled backup: error %v, want context.Canceled", err)
	}
	id, err := repo.Backup(t.Context(), h.again(t, imp))
	must(t, "back up after a cancelled backup", err)
	walked, err := repo.Walk(t.Context(), id)
	must(t, "walk", err)
	report(t, "snapshot", diffBodies(objs, walked))
}
