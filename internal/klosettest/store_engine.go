package klosettest

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"sync"
	"testing"

	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/PlakarKorp/kloset/objects"
)

// storeEngineChecks put the real engine on the store.
var storeEngineChecks = []check[StoreHarness]{
	{"EnginePlaintext", func(t testing.TB, h StoreHarness) { checkEngine(t, h, "") }},
	{"EngineEncrypted", func(t testing.TB, h StoreHarness) { checkEngine(t, h, "correct horse") }},
	{"EngineConcurrentBackups", checkConcurrentBackups},
	{"EngineCancelledBackup", checkCancelledBackup},
	{"EngineLostPackfile", checkLostPackfile},
}

// checkEngine is the life of a repository: back up, nothing changed, something
// changed, another machine, restore, delete.
func checkEngine(t testing.TB, h StoreHarness, passphrase string) {
	ctx, s := t.Context(), h.fresh(t)
	repo := NewRepository(t, s, passphrase)
	tree := append(Tree(), Symlink("/docs/link", "../README"))
	first, err := repo.Backup(ctx, NewMemImporter(tree))
	must(t, "back up", err)

	unchanged := NewMemImporter(tree)
	second, err := repo.Backup(ctx, unchanged)
	must(t, "back up again", err)
	if n := unchanged.Opened(); n != 0 {
		t.Errorf("a backup of an unchanged tree opened %d files", n)
	}

	changed := append(slices.Clone(tree), File("/docs/new", noise(1000, 10_000)))
	third, err := repo.Backup(ctx, NewMemImporter(changed))
	must(t, "back up a change", err)
	wantList(t, s, lock)

	cold := OpenRepository(t, h.again(t, s), passphrase)
	wantSnapshots(t, cold, third, second, first)
	wantRestored(t, cold, first, tree)
	wantRestored(t, cold, third, changed)

	must(t, "delete the first snapshot", cold.Delete(ctx, first))
	cold = OpenRepository(t, h.again(t, s), passphrase)
	wantSnapshots(t, cold, third, second)
	wantRestored(t, cold, second, tree)
}

func wantSnapshots(t testing.TB, r *Repository, want ...objects.MAC) {
	t.Helper()
	got, err := r.Snapshots(t.Context())
	must(t, "list snapshots", err)
	if !slices.Equal(got, want) {
		t.Errorf("snapshots are %x, want %x", got, want)
	}
}

// wantRestored checks the snapshot and exports it.
func wantRestored(t testing.TB, r *Repository, id objects.MAC, want []Entry) {
	t.Helper()
	must(t, "check", r.Check(t.Context(), id))
	exp := NewMemExporter()
	must(t, "restore", r.Restore(t.Context(), id, "/", exp))
	report(t, "restored", diffEntries(want, exp.Entries()))
}

// checkConcurrentBackups lets two machines write at the same time: neither reads
// its first file before the other has its lock.
func checkConcurrentBackups(t testing.TB, h StoreHarness) {
	s := h.fresh(t)
	repos := []*Repository{NewRepository(t, s, ""), OpenRepository(t, h.again(t, s), "")}
	trees := [][]Entry{Tree(), {Folder("/"), File("/only", noise(77, 400_000))}}
	ids := make([]objects.MAC, len(repos))
	var meeting sync.WaitGroup
	meeting.Add(len(repos))
	var pending []<-chan error
	for i, repo := range repos {
		arrive := sync.OnceFunc(meeting.Done)
		imp := NewMemImporter(trees[i])
		imp.onOpen = func(int) {
			arrive()
			meeting.Wait()
		}
		pending = append(pending, async(func() (err error) {
			defer arrive() // a backup that fails before is not waited for
			ids[i], err = repo.Backup(t.Context(), imp)
			return err
		}))
	}
	for _, done := range pending {
		must(t, "back up at the same time", <-done)
	}
	cold := OpenRepository(t, h.again(t, s), "")
	for i, id := range ids {
		wantRestored(t, cold, id, trees[i])
	}
}

// checkCancelledBackup: nothing is published, no lock stays, the next one works.
func checkCancelledBackup(t testing.TB, h StoreHarness) {
	s := h.fresh(t)
	repo := NewRepository(t, s, "")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	tree := Tree()
	imp := NewMemImporter(tree)
	imp.onOpen = func(n int) {
		if n == 10 {
			cancel()
		}
	}
	if _, err := repo.Backup(ctx, imp); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled backup: error %v, want context.Canceled", err)
	}
	wantList(t, s, lock)
	wantList(t, s, storage.StorageResourceState)
	id, err := repo.Backup(t.Context(), NewMemImporter(tree))
	must(t, "back up after a cancelled backup", err)
	wantRestored(t, OpenRepository(t, h.again(t, s), ""), id, tree)
}

// checkLostPackfile deletes a packfile behind the engine's back: what reads it
// must fail rather than invent, and the error must travel through the engine.
func checkLostPackfile(t testing.TB, h StoreHarness) {
	s := h.fresh(t)
	repo := NewRepository(t, s, "")
	id, err := repo.Backup(t.Context(), NewMemImporter(Tree()))
	must(t, "back up", err)
	for _, pack := range list(t, s, storage.StorageResourcePackfile) {
		must(t, "delete a packfile", s.Delete(t.Context(), storage.StorageResourcePackfile, pack))
	}
	cold := OpenRepository(t, h.again(t, s), "")
	if _, err := cold.Walk(t.Context(), id); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("walk a snapshot whose packfiles are gone: error %v, want fs.ErrNotExist", err)
	}
}
