package s3kloset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/PlakarKorp/kloset/connectors"
	"github.com/PlakarKorp/kloset/connectors/importer"
	"github.com/PlakarKorp/kloset/connectors/storage"
	klocation "github.com/PlakarKorp/kloset/location"
	"github.com/PlakarKorp/kloset/objects"
	"github.com/PlakarKorp/kloset/repository"
	"github.com/PlakarKorp/kloset/snapshot"
	"github.com/s3kloset/s3kloset/internal/klosettest"
	"github.com/s3kloset/s3kloset/internal/s3test"
)

// The tests in this file each walk into a trap of the engine, version 1.1.4.

// TestTrapAttributeValues: maintenance destroys attribute values, the tree of
// attributes cannot be searched, and two attributes can have one name in it. A
// source of ours writes none: its metadata is in the names.
func TestTrapAttributeValues(t *testing.T) {
	w := newWorld(t)
	w.data.Put("k", []byte("x"), s3test.Properties{Metadata: map[string]string{"a": "b"}, Tags: map[string]string{"c": "d"}})
	id := w.backup().Snapshot.ID
	w.inside(id, func(op *operation, snap *snapshot.Snapshot) {
		tree, err := snap.Filesystem()
		if err != nil {
			t.Fatal(err)
		}
		_, _, attributes := tree.BTrees()
		all, err := attributes.ScanAll()
		if err != nil {
			t.Fatal(err)
		}
		if all.Next() {
			name, _ := all.Current()
			t.Errorf("attribute %q has a value of its own", name)
		}
	})
}

// inside runs a test within an operation on a loaded snapshot.
func (w *world) inside(id string, test func(*operation, *snapshot.Snapshot)) {
	w.Helper()
	op, err := w.repo.begin(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	defer op.end()
	mac, err := op.resolve(id)
	if err != nil {
		w.Fatal(err)
	}
	snap, err := op.load(mac)
	if err != nil {
		w.Fatal(err)
	}
	test(op, snap)
}

// TestTrapChangedNames: when the names of a path change and its FileInfo does
// not, the engine keeps the old entry by name and stores neither.
func TestTrapChangedNames(t *testing.T) {
	quiet(t)
	t.Run("source", func(t *testing.T) {
		w := newWorld(t)
		w.fill(3)
		w.backup()
		w.data.SetTags("dir00/file0001", map[string]string{"only": "tags"})
		w.expectSound(w.backup().Snapshot.ID)
	})
	t.Run("any importer", func(t *testing.T) {
		w := newWorld(t)
		file, link := klosettest.File("/file", []byte("x")), klosettest.Symlink("/link", "here")
		file.Attributes = []string{"user.a"}
		imp := klosettest.NewMemImporter([]klosettest.Entry{file, link})
		for round, change := range []func(){
			func() {},
			func() { file.Attributes = []string{"user.a", "user.b"} },
			func() {},
			func() { link.Target = "else" }, // of the same length: the FileInfo stays
		} {
			change()
			*imp = *klosettest.NewMemImporter([]klosettest.Entry{file, link})
			report, err := w.repo.Backup(t.Context(), imp)
			if err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			w.expectSound(report.Snapshot.ID)
			target := klosettest.NewMemExporter()
			if _, err := w.repo.Restore(t.Context(), "", target); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			for _, entry := range target.Entries() {
				if entry.Path == "/file" && strings.Join(entry.Attributes, ",") != strings.Join(file.Attributes, ",") {
					t.Errorf("round %d: attributes %q", round, entry.Attributes)
				}
				if entry.Path == "/link" && entry.Target != link.Target {
					t.Errorf("round %d: target %q", round, entry.Target)
				}
			}
		}
	})
}

// expectSound verifies a snapshot, also in the way in which maintenance looks
// at it.
func (w *world) expectSound(id string) {
	w.Helper()
	if err := w.repo.Check(w.Context(), id); err != nil {
		w.Errorf("check: %v", err)
	}
	w.inside(id, func(op *operation, snap *snapshot.Snapshot) {
		if _, err := op.distrust(); err != nil {
			w.Fatal(err)
		}
		packs, err := snap.ListPackfiles()
		if err != nil {
			w.Fatal(err)
		}
		for _, err := range packs {
			if err != nil {
				w.Errorf("maintenance would fail: %v", err)
			}
		}
	})
}

// TestTrapStateNamesALostPackfile: states that are merged in the wrong order
// name packfiles that maintenance has deleted, and the next backup trusts them.
func TestTrapStateNamesALostPackfile(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	w.fill(20)
	w.backup()
	packs, err := w.store.List(t.Context(), storage.StorageResourcePackfile)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range packs {
		if err := w.store.Delete(t.Context(), storage.StorageResourcePackfile, id); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.repo.Check(t.Context(), ""); !errors.Is(err, ErrDamaged) && !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("check of what is gone: %v", err)
	}
	// A machine that has not backed up since reads the same blobs, and must not
	// look for them in the packfiles that are gone.
	machines := []*Repository{w.repo, w.reopen(), w.reopen()}
	for i, repo := range machines[1:] {
		report, err := repo.Backup(t.Context(), w.at("s3://data").Source())
		if err != nil {
			t.Fatalf("machine %d: %v", i, err)
		}
		for _, repo := range machines {
			w.repo = repo
			w.expectSound(report.Snapshot.ID)
			w.same(w.data, w.restore(report.Snapshot.ID))
			w.expectFound("verify", w.verify(report.Snapshot.ID, w.at("s3://data").Source(), WithDepth(VerifyContent)))
		}
	}
}

// reopen opens the repository as another machine would.
func (w *world) reopen(opts ...RepositoryOption) *Repository {
	w.Helper()
	repo, err := OpenRepository(w.Context(), w.store.Reopen(), opts...)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { repo.Close() })
	return repo
}

// TestTrapSeveralMachines: they write states beside each other, delete
// snapshots, and all see the same.
func TestTrapSeveralMachines(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	w.fill(5)
	machines := []*Repository{w.repo, w.reopen(), w.reopen()}
	kept := make(map[string]bool)
	for i := range 9 {
		w.data.Put("turn", []byte(fmt.Sprint(i)), s3test.Properties{})
		repo := machines[i%3]
		report, err := repo.Backup(t.Context(), w.at("s3://data").Source())
		if err != nil {
			t.Fatal(err)
		}
		kept[report.Snapshot.ID] = true
		if i%4 == 3 {
			if err := machines[(i+1)%3].Delete(t.Context(), report.Snapshot.ID); err != nil {
				t.Fatal(err)
			}
			delete(kept, report.Snapshot.ID)
		}
	}
	for i, repo := range append(machines, w.reopen()) {
		list, err := repo.Snapshots(t.Context())
		if err != nil || len(list) != len(kept) {
			t.Errorf("machine %d sees %d of %d snapshots, error %v", i, len(list), len(kept), err)
		}
		for _, s := range list {
			if !kept[s.ID] {
				t.Errorf("machine %d sees the deleted %s", i, s.ID)
			}
			if err := repo.Check(t.Context(), s.ID); err != nil {
				t.Errorf("machine %d: %v", i, err)
			}
		}
	}
}

// importFunc is an importer that does what a test says.
type importFunc struct {
	*klosettest.MemImporter
	flags klocation.Flags
	fn    func(context.Context, chan<- *connectors.Record, <-chan *connectors.Result) error
}

var _ importer.Importer = importFunc{}

func (i importFunc) Flags() klocation.Flags { return i.flags }

func (i importFunc) Import(ctx context.Context, records chan<- *connectors.Record, results <-chan *connectors.Result) error {
	return i.fn(ctx, records, results)
}

// sending imports the given records, in order.
func sending(records ...*connectors.Record) importFunc {
	return importFunc{fn: func(_ context.Context, to chan<- *connectors.Record, _ <-chan *connectors.Result) error {
		defer close(to)
		for _, record := range records {
			to <- record
		}
		return nil
	}}
}

func fileRecord(name, base string) *connectors.Record {
	info := objects.NewFileInfo(base, 1, 0o644, time.Unix(1, 0), 0, 0, 0, 0, 1)
	return connectors.NewRecord(name, "", info, nil, func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("x")), nil
	})
}

// TestTrapFileAndFilesBelow: without a record for the folder, the files below
// a file are dropped.
func TestTrapFileAndFilesBelow(t *testing.T) {
	quiet(t)
	t.Run("source", func(t *testing.T) {
		w := newWorld(t)
		for _, key := range []string{"a", "a!", "a-b", "a/b", "a/b/c", "a/b/c/", "a/b/c/d"} {
			w.data.Put(key, []byte(key), s3test.Properties{})
		}
		w.same(w.data, w.restore(w.backup().Snapshot.ID))
	})
	t.Run("any importer", func(t *testing.T) {
		w := newWorld(t)
		report, err := w.repo.Backup(t.Context(), sending(fileRecord("/a", "a"), fileRecord("/a/b", "b")))
		if !errors.Is(err, errUnaccounted) || !errors.Is(err, ErrIncomplete) {
			t.Errorf("error %v", err)
		}
		w.counts("backup", report.Counts, Counts{Listed: 2, Stored: 1, Failed: 1})
	})
}

// TestTrapLostPackfile: the engine goes on and publishes without it.
func TestTrapLostPackfile(t *testing.T) {
	quiet(t)
	w := newHookedWorld(t)
	w.fill(20)
	full := errors.New("disk is full")
	for nth := int64(1); ; nth++ {
		var seen atomic.Int64
		w.hook.set(func(_ context.Context, call klosettest.Call) error {
			if call.Op == klosettest.OpPut && call.Resource == storage.StorageResourcePackfile && seen.Add(1) == nth {
				return full
			}
			return nil
		})
		report, err := w.repo.Backup(t.Context(), w.at("s3://data").Source())
		w.hook.set(nil)
		if seen.Load() < nth {
			if err != nil || nth == 1 {
				t.Errorf("without a failure: %v; %d packfiles", err, nth-1)
			}
			break
		}
		if !errors.Is(err, full) {
			t.Errorf("packfile %d: error %v", nth, err)
		}
		if report == nil || report.Snapshot.ID != "" || report.check() != nil || !errors.Is(report.Err(), full) {
			t.Errorf("packfile %d: report %+v", nth, report)
		}
		if list, err := w.repo.Snapshots(t.Context()); err != nil || len(list) > 0 {
			t.Errorf("packfile %d: snapshots %v, error %v", nth, list, err)
		}
		if locks := w.locks(); len(locks) > 0 {
			t.Errorf("packfile %d: locks left: %q", nth, locks)
		}
	}
	w.expectSound("")
}

// TestTrapBadNames: a name that is none hides all later siblings, relative
// paths and those that begin with 0xff are dropped without a word.
func TestTrapBadNames(t *testing.T) {
	quiet(t)
	bad := map[string]*connectors.Record{
		"empty":     fileRecord("/d/x1", ""),
		"dot":       fileRecord("/d/x2", "."),
		"dots":      fileRecord("/d/x3", ".."),
		"slash":     fileRecord("/d/x4", "x/4"),
		"relative":  fileRecord("d/x5", "x5"),
		"no path":   fileRecord("", "x6"),
		"0xff":      fileRecord("/\xffd", "\xffd"),
		"root file": fileRecord("/", "/"),
		"no reader": func() *connectors.Record { r := fileRecord("/d/x7", "x7"); r.Reader = nil; return r }(),
	}
	for name, record := range bad {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			report, err := w.repo.Backup(t.Context(), sending(fileRecord("/d/a", "a"), record, fileRecord("/d/z", "z")))
			if !errors.Is(err, ErrIncomplete) {
				t.Errorf("error %v", err)
			}
			w.counts("backup", report.Counts, Counts{Listed: 3, Stored: 2, Failed: 1})
			target := klosettest.NewMemExporter()
			if _, err := w.repo.Restore(t.Context(), "", target, WithPath("/d")); err != nil {
				t.Fatal(err)
			}
			files := 0
			for _, entry := range target.Entries() {
				if entry.IsRegular() {
					files++
				}
			}
			if files != 2 {
				t.Errorf("%d files came back", files)
			}
		})
	}
}

// TestTrapImporterThatFails: without acknowledgements the engine does not wait
// for its workers, and crashes the process.
func TestTrapImporterThatFails(t *testing.T) {
	boom := errors.New("boom")
	send := func(to chan<- *connectors.Record) {
		for i := range 50 {
			to <- fileRecord(fmt.Sprintf("/%d", i), fmt.Sprint(i))
		}
	}
	tests := map[string]struct {
		flags klocation.Flags
		fn    func(context.Context, chan<- *connectors.Record, <-chan *connectors.Result) error
		want  error
	}{
		"error": {0, func(_ context.Context, to chan<- *connectors.Record, _ <-chan *connectors.Result) error {
			defer close(to)
			send(to)
			return boom
		}, boom},
		"error without closing": {0, func(_ context.Context, to chan<- *connectors.Record, _ <-chan *connectors.Result) error {
			send(to)
			return boom
		}, boom},
		"no error without closing": {0, func(_ context.Context, to chan<- *connectors.Record, _ <-chan *connectors.Result) error {
			send(to)
			return nil
		}, errOpenEnd},
		"acknowledgements that nobody reads": {klocation.FLAG_NEEDACK, func(_ context.Context, to chan<- *connectors.Record, _ <-chan *connectors.Result) error {
			defer close(to)
			return boom
		}, boom},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			quiet(t)
			w := newWorld(t)
			report, err := w.repo.Backup(t.Context(), importFunc{flags: test.flags, fn: test.fn})
			if !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
			if report == nil || report.Snapshot.ID != "" || report.check() != nil || !errors.Is(report.Err(), test.want) {
				t.Errorf("report %+v", report)
			}
			if list, err := w.repo.Snapshots(t.Context()); err != nil || len(list) > 0 {
				t.Errorf("snapshots %v, error %v", list, err)
			}
			if locks := w.locks(); len(locks) > 0 {
				t.Errorf("locks left: %q", locks)
			}
		})
	}
}

// localStore looks to the engine like a repository on a local disk.
type localStore struct{ *klosettest.MemStore }

func (localStore) Type() string { return "fs" }
func (localStore) Root() string { return "/srv/backup" }

// TestTrapKeysInsideTheRepository: the engine takes them for the repository
// itself and drops them.
func TestTrapKeysInsideTheRepository(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	w.repo = createPlain(t, localStore{klosettest.NewMemStore()})
	for _, key := range []string{"srv/backup/x", "srv/backup", "srv/backups", "srv/a"} {
		w.data.Put(key, []byte(key), s3test.Properties{})
	}
	report, err := w.repo.Backup(t.Context(), w.at("s3://data").Source())
	if !errors.Is(err, ErrInsideRepository) || !errors.Is(err, ErrIncomplete) {
		t.Errorf("error %v", err)
	}
	w.counts("backup", report.Counts, Counts{Listed: 4, Stored: 2, Failed: 2})
	if got := w.restore("").Keys(); strings.Join(got, " ") != "srv/a srv/backups" {
		t.Errorf("restored %q", got)
	}
	report, err = w.repo.Backup(t.Context(), sending(fileRecord("/srv/backup/y", "y"), fileRecord("/srv/z", "z")))
	if !errors.Is(err, ErrInsideRepository) {
		t.Errorf("any importer: error %v", err)
	}
	w.counts("any importer", report.Counts, Counts{Listed: 2, Stored: 1, Failed: 1})
	// Whoever backs up a local disk means to leave the repository out.
	local := sending(fileRecord("/srv/backup/y", "y"), fileRecord("/srv/z", "z"))
	local.flags = klocation.FLAG_LOCALFS
	if report, err = w.repo.Backup(t.Context(), local); err != nil {
		t.Errorf("local disk: %v", err)
	}
	w.counts("local disk", report.Counts, Counts{Listed: 2, Unchanged: 1, Skipped: 1})
}

// TestTrapExportSaysNil: when folders or bodies cannot be read, the engine's
// export is a success.
func TestTrapExportSaysNil(t *testing.T) {
	quiet(t)
	w := newHookedWorld(t)
	w.fill(30)
	w.backup()
	unreachable := errors.New("line is cut")
	for nth := int64(1); ; nth += 4 {
		var seen atomic.Int64
		w.hook.set(func(_ context.Context, call klosettest.Call) error {
			if call.Op == klosettest.OpGet && seen.Add(1) == nth {
				return unreachable
			}
			return nil
		})
		target := klosettest.NewMemExporter()
		report, err := w.repo.Restore(t.Context(), "", target)
		w.hook.set(nil)
		if seen.Load() < nth {
			if err != nil {
				t.Errorf("without a failure: %v", err)
			}
			break
		}
		if !errors.Is(err, unreachable) {
			t.Errorf("read %d: error %v", nth, err)
		}
		if report != nil && (report.check() != nil || report.Failed == 0) {
			t.Errorf("read %d: report %+v", nth, report.Counts)
		}
	}
}

// TestTrapErrorsBelowMissingFolders: the engine's summary does not count them.
func TestTrapErrorsBelowMissingFolders(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	w.data.Put("only/one/object", []byte("x"), s3test.Properties{})
	w.server.Faults().Add(s3test.Fault{Op: "GetObject", Times: s3test.Always, Action: s3test.Status(403, "AccessDenied")})
	report, err := w.repo.Backup(t.Context(), w.at("s3://data").Source())
	if !errors.Is(err, ErrAccessDenied) {
		t.Errorf("error %v", err)
	}
	w.counts("source", report.Counts, Counts{Listed: 1, Failed: 1})
	boom := errors.New("boom")
	report, err = w.repo.Backup(t.Context(), sending(connectors.NewError("/no/such/folder/file", boom)))
	if !errors.Is(err, boom) {
		t.Errorf("any importer: error %v", err)
	}
	w.counts("any importer", report.Counts, Counts{Listed: 1, Failed: 1})
}

// TestTrapCheckSeesContentOnly: ours finds damage wherever it is, and a restore
// is never a success with less than there was. The engine takes a packfile
// that was cut for the end of a listing.
func TestTrapCheckSeesContentOnly(t *testing.T) {
	for _, compression := range []string{"LZ4", "none"} {
		t.Run(compression, func(t *testing.T) { testDamage(t, compression) })
	}
}

// testDamage damages one packfile after the other, as a whole: they are mostly
// padding.
func testDamage(t *testing.T, compression string) {
	quiet(t)
	w := newWorld(t, WithCompression(compression))
	w.fill(30)
	w.backup()
	ids, err := w.store.List(t.Context(), storage.StorageResourcePackfile)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		name := "packfiles/" + id.FormatHex()[:2] + "/" + id.FormatHex()
		whole := readBlob(t, w.store, storage.StorageResourcePackfile, id)
		for what, damage := range map[string]func(){
			"deleted": func() {
				if err := w.store.Delete(t.Context(), storage.StorageResourcePackfile, id); err != nil {
					t.Fatal(err)
				}
			},
			"cut":     func() { w.store.Plant(name, whole[:16]) },
			"garbled": func() { w.store.Plant(name, bytes.Repeat([]byte{0xa5}, len(whole))) },
			"zeroed":  func() { w.store.Plant(name, make([]byte, len(whole))) },
		} {
			damage()
			repo := w.reopen() // without the headers in the cache
			if err := repo.Check(t.Context(), ""); !errors.Is(err, ErrDamaged) {
				t.Errorf("packfile %s %s: check says %v", id.FormatHex()[:4], what, err)
			}
			if _, err := repo.Restore(t.Context(), "", klosettest.NewMemExporter()); err == nil {
				t.Errorf("packfile %s %s: restore says nothing", id.FormatHex()[:4], what)
			}
			part := klosettest.NewMemExporter()
			report, err := repo.Restore(t.Context(), "", part, WithPath("/dir01"))
			if err == nil && report.Stored != 10 {
				t.Errorf("packfile %s %s: restore of a folder says nothing, and has %d of 10 files", id.FormatHex()[:4], what, report.Stored)
			}
			w.store.Plant(name, whole)
		}
	}
	w.expectSound("")
}

// TestCheckOfAStoreThatCannotBeRead says so, and does not speak of damage.
func TestCheckOfAStoreThatCannotBeRead(t *testing.T) {
	quiet(t)
	w := newHookedWorld(t)
	w.fill(10)
	w.backup()
	unreachable := errors.New("line is cut")
	for nth := int64(1); ; nth += 5 {
		var seen atomic.Int64
		w.hook.set(func(_ context.Context, call klosettest.Call) error {
			if call.Op == klosettest.OpGet && seen.Add(1) >= nth {
				return unreachable
			}
			return nil
		})
		err := w.repo.Check(t.Context(), "")
		w.hook.set(nil)
		if seen.Load() < nth {
			if err != nil {
				t.Errorf("without a failure: %v", err)
			}
			break
		}
		if !errors.Is(err, unreachable) || errors.Is(err, ErrDamaged) {
			t.Errorf("read %d: %v", nth, err)
		}
	}
}

// TestTrapOldContentStays: the engine compares nothing but the FileInfo, and an
// object may be replaced within a second by another of the same size.
func TestTrapOldContentStays(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	w.data.Put("k", []byte("old"), s3test.Properties{}, s3test.ModifiedAt(at))
	w.backup()
	w.data.Put("k", []byte("new"), s3test.Properties{}, s3test.ModifiedAt(at))
	report := w.backup()
	w.counts("second backup", report.Counts, Counts{Listed: 1, Stored: 1})
	w.same(w.data, w.restore(""))
}

// TestTrapAcknowledgements: they do not tell success. A body that ends early
// must not count as stored.
func TestTrapAcknowledgements(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	boom := errors.New("boom")
	broken := fileRecord("/broken", "broken")
	broken.Reader = io.NopCloser(io.MultiReader(strings.NewReader("x"), errorReader{boom}))
	unopened := connectors.NewRecord("/unopened", "", broken.FileInfo, nil, func() (io.ReadCloser, error) { return nil, boom })
	unopened.FileInfo.Lname = "unopened"
	report, err := w.repo.Backup(t.Context(), sending(broken, unopened, fileRecord("/whole", "whole")))
	if !errors.Is(err, boom) || !errors.Is(err, ErrIncomplete) {
		t.Errorf("error %v", err)
	}
	w.counts("backup", report.Counts, Counts{Listed: 3, Stored: 1, Failed: 2})
}

type errorReader struct{ err error }

func (r errorReader) Read([]byte) (int, error) { return 0, r.err }

// TestTrapNoConcurrency: with zero, the engine has nobody to take records, and an
// importer that sends one waits for ever. It shows in the acknowledgements, which
// end before there can be any. No option lets zero get there.
func TestTrapNoConcurrency(t *testing.T) {
	quiet(t)
	if _, err := CreateRepository(t.Context(), klosettest.NewMemStore(), WithPlaintext(), WithEngineConcurrency(0)); !errors.Is(err, ErrInvalidOption) {
		t.Errorf("zero: %v, want ErrInvalidOption", err)
	}
	repo := createPlain(t, klosettest.NewMemStore())
	op, err := repo.begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	was := op.repo.AppContext().MaxConcurrency
	if was < 1 {
		t.Errorf("the engine gets %d", was)
	}
	op.repo.AppContext().MaxConcurrency = 0
	op.end()
	nobody := errors.New("nobody takes records")
	if _, err := repo.Backup(t.Context(), importFunc{flags: klocation.FLAG_NEEDACK, fn: func(_ context.Context, records chan<- *connectors.Record, results <-chan *connectors.Result) error {
		defer close(records)
		select {
		case _, open := <-results:
			if !open {
				return nobody
			}
		case <-time.After(time.Minute):
		}
		return errors.New("somebody waits for records: the trap is gone")
	}}); !errors.Is(err, nobody) {
		t.Errorf("engine with a concurrency of 0: %v, want %v", err, nobody)
	}
	for _, n := range []int{1, 64} {
		repo := createPlain(t, klosettest.NewMemStore(), WithEngineConcurrency(n))
		if _, err := repo.Backup(t.Context(), klosettest.NewMemImporter(klosettest.Tree()[:4])); err != nil {
			t.Errorf("%d: %v", n, err)
		}
	}
	c, err := newRepositoryConfig(nil)
	if err != nil || c.concurrency < 1 {
		t.Errorf("default %d, error %v", c.concurrency, err)
	}
}

// TestTrapSnapshotWithoutSource: the engine panics over one, which any other
// program can publish.
func TestTrapSnapshotWithoutSource(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	w.fill(2)
	op, err := w.repo.begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	builder, err := snapshot.Create(op.repo, repository.DefaultType, "", objects.NilMac, &snapshot.BuilderOptions{NoCheckpoint: true})
	if err != nil {
		t.Fatal(err)
	}
	empty := builder.Header.Identifier.FormatHex()
	if err := errors.Join(builder.Commit(), builder.Close()); err != nil {
		t.Fatal(err)
	}
	op.guard.awaitRelease(t.Context())
	op.end()

	list, err := w.repo.Snapshots(t.Context())
	if err != nil || len(list) != 1 || list[0].ID != empty {
		t.Errorf("snapshots %v, error %v", list, err)
	}
	if err := w.repo.Check(t.Context(), empty); !errors.Is(err, ErrDamaged) {
		t.Errorf("check: %v", err)
	}
	if _, err := w.repo.Restore(t.Context(), empty, klosettest.NewMemExporter()); !errors.Is(err, ErrDamaged) {
		t.Errorf("restore: %v", err)
	}
	if _, err := w.repo.Backup(t.Context(), w.at("s3://data").Source(), WithParent(empty)); !errors.Is(err, ErrDamaged) {
		t.Errorf("backup compared with it: %v", err)
	}
	w.same(w.data, w.restore(w.backup().Snapshot.ID))
	if err := w.repo.Delete(t.Context(), empty); err != nil {
		t.Errorf("delete: %v", err)
	}
}

// TestTrapLockOutlivesTheBackup: the engine removes it in a goroutine for which
// nobody waits.
func TestTrapLockOutlivesTheBackup(t *testing.T) {
	quiet(t)
	w := newHookedWorld(t)
	w.fill(1)
	removing, goOn := make(chan struct{}), make(chan struct{})
	w.hook.set(func(_ context.Context, call klosettest.Call) error {
		if call.Op == klosettest.OpDelete && strings.Contains(string(debug.Stack()), "snapshot.(*Builder).Lock") {
			close(removing)
			<-goOn
		}
		return nil
	})
	left := make(chan []string, 1)
	go func() {
		if _, err := w.repo.Backup(context.Background(), w.at("s3://data").Source()); err != nil {
			t.Error(err)
		}
		left <- w.locks()
	}()
	<-removing
	for range 50 { // gives a backup that does not wait the time to return
		if _, err := w.repo.Snapshots(t.Context()); err != nil {
			t.Error(err)
		}
	}
	select {
	case <-left:
		t.Error("the backup returned while its lock was being removed")
		close(goOn)
	default:
		close(goOn)
		if locks := <-left; len(locks) > 0 {
			t.Errorf("locks left: %q", locks)
		}
	}
}

// TestTrapLockThatCannotBeRemoved is tried again, stays until Close, and does
// not fail the backup.
func TestTrapLockThatCannotBeRemoved(t *testing.T) {
	quiet(t)
	w := newHookedWorld(t)
	w.fill(1)
	stuck := errors.New("stuck")
	var tries atomic.Int64
	w.hook.set(func(_ context.Context, call klosettest.Call) error {
		if call.Op == klosettest.OpDelete && tries.Add(1) == 1 {
			return stuck
		}
		return nil
	})
	w.backup()
	if locks := w.locks(); len(locks) > 0 || tries.Load() != 2 {
		t.Errorf("after %d tries locks left: %q", tries.Load(), locks)
	}
	w.hook.set(func(_ context.Context, call klosettest.Call) error {
		if call.Op == klosettest.OpDelete {
			return stuck
		}
		return nil
	})
	w.backup()
	if len(w.locks()) != 1 {
		t.Errorf("locks %q", w.locks())
	}
	w.hook.set(nil)
	if err := w.repo.Close(); err != nil {
		t.Error(err)
	}
	if locks := w.locks(); len(locks) > 0 {
		t.Errorf("locks left: %q", locks)
	}
}

// TestTrapLocks: one that vanishes between two requests fails the engine; an
// exclusive one is maintenance; one that nobody keeps alive is removed.
func TestTrapLocks(t *testing.T) {
	quiet(t)
	w := newHookedWorld(t)
	w.fill(2)
	put := func(lock *repository.Lock) objects.MAC {
		var buf bytes.Buffer
		if err := lock.SerializeToStream(&buf); err != nil {
			t.Fatal(err)
		}
		raw, id := wrapLock(t, w.repo, buf.Bytes()), objects.RandomMAC()
		w.store.Plant("locks/"+id.FormatHex(), raw)
		return id
	}
	stale := repository.NewExclusiveLock("elsewhere")
	stale.Timestamp = stale.Timestamp.Add(-time.Hour)
	put(stale)
	w.backup()
	if locks := w.locks(); len(locks) > 0 {
		t.Errorf("a lock that nobody keeps alive is still there: %q", locks)
	}

	live := put(repository.NewExclusiveLock("elsewhere"))
	if _, err := w.repo.Backup(t.Context(), w.at("s3://data").Source()); !errors.Is(err, ErrLocked) {
		t.Errorf("during maintenance: %v", err)
	}
	if locks := w.locks(); len(locks) != 1 {
		t.Errorf("locks %q", locks)
	}
	if err := w.store.Delete(t.Context(), storage.StorageResourceLock, live); err != nil {
		t.Fatal(err)
	}

	passing := put(repository.NewSharedLock("elsewhere"))
	w.hook.set(func(_ context.Context, call klosettest.Call) error {
		if call.Op == klosettest.OpGet && call.ID == passing {
			return errors.Join(w.store.Delete(context.Background(), storage.StorageResourceLock, passing), fs.ErrNotExist)
		}
		return nil
	})
	w.backup()
	w.hook.set(nil)
	if locks := w.locks(); len(locks) > 0 {
		t.Errorf("locks left: %q", locks)
	}
}

// wrapLock makes a lock look as the engine stores it.
func wrapLock(t *testing.T, r *Repository, raw []byte) []byte {
	t.Helper()
	op, err := r.begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer op.end()
	capture := klosettest.NewMemStore()
	if err := capture.Create(t.Context(), r.config); err != nil {
		t.Fatal(err)
	}
	repo, err := repository.NewNoRebuild(r.newContext(op.relay), r.key, capture, r.config, false)
	if err != nil {
		t.Fatal(err)
	}
	id := objects.RandomMAC()
	if _, err := repo.PutLock(id, bytes.NewReader(raw)); err != nil {
		t.Fatal(err)
	}
	return readBlob(t, capture, storage.StorageResourceLock, id)
}

// TestTrapFoldersOfTheEngine: it writes into the current folder when it has no
// other, removes one called in-memory, and leaves databases behind.
func TestTrapFoldersOfTheEngine(t *testing.T) {
	quiet(t)
	here, cache := t.TempDir(), t.TempDir()
	t.Chdir(here)
	if err := os.Mkdir("in-memory", 0o700); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, WithCacheDir(cache))
	w.fill(5)
	id := w.backup().Snapshot.ID
	w.backup()
	boom := errors.New("boom")
	if _, err := w.repo.Backup(t.Context(), importFunc{fn: func(_ context.Context, to chan<- *connectors.Record, _ <-chan *connectors.Result) error {
		defer close(to)
		return boom
	}}); !errors.Is(err, boom) {
		t.Error(err)
	}
	if err := w.repo.Check(t.Context(), ""); err != nil {
		t.Error(err)
	}
	if err := w.repo.Delete(t.Context(), id); err != nil {
		t.Error(err)
	}
	if err := w.repo.Close(); err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir(".")
	if err != nil || len(entries) != 1 || entries[0].Name() != "in-memory" {
		t.Errorf("the current folder has %v, error %v", entries, err)
	}
	for _, pattern := range []string{"*/scan/*", "*/check/*", "*/dbstorer*", "*/store/*/*.state", "packs/*"} {
		left, err := filepath.Glob(filepath.Join(cache, pattern))
		if err != nil || len(left) > 0 {
			t.Errorf("left in the cache: %v %v", left, err)
		}
	}
}

// TestTrapOneCacheForTwo: two handles on one folder.
func TestTrapOneCacheForTwo(t *testing.T) {
	quiet(t)
	cache := t.TempDir()
	w := newWorld(t, WithCacheDir(cache))
	w.fill(10)
	other := w.reopen(WithCacheDir(cache))
	var wg sync.WaitGroup
	for _, repo := range []*Repository{w.repo, other, w.repo, other} {
		wg.Go(func() {
			if _, err := repo.Backup(t.Context(), w.at("s3://data").Source()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, repo := range []*Repository{w.repo, other} {
		list, err := repo.Snapshots(t.Context())
		if err != nil || len(list) != 4 {
			t.Errorf("%d snapshots, error %v", len(list), err)
		}
		for _, s := range list {
			if err := repo.Check(t.Context(), s.ID); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestTrapPackfilesInMemory: packfiles in the making are on disk, in the folder
// that was given, and leave it.
func TestTrapPackfilesInMemory(t *testing.T) {
	dir := t.TempDir()
	h := &hook{}
	store := klosettest.NewMemStore()
	store.Hook = h.call
	repo := createPlain(t, store, WithTempDir(dir))
	var most atomic.Int64
	h.set(func(_ context.Context, call klosettest.Call) error {
		if call.Op == klosettest.OpPut && call.Resource == storage.StorageResourcePackfile {
			files, err := os.ReadDir(dir)
			if err != nil {
				return err
			}
			most.Store(max(most.Load(), int64(len(files))))
		}
		return nil
	})
	if _, err := repo.Backup(t.Context(), klosettest.NewMemImporter(klosettest.Tree())); err != nil {
		t.Fatal(err)
	}
	if most.Load() == 0 {
		t.Error("no packfile was in the folder")
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
		t.Errorf("left in the folder: %v %v", files, err)
	}
}

// TestTrapReadersAreNotRetried: a connection that breaks in the middle of a body
// must be mended by the source.
func TestTrapReadersAreNotRetried(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // 4 MiB: it is not fetched ahead
	w.data.Put("large", body, s3test.Properties{})
	w.server.Faults().Add(s3test.Fault{Op: "GetObject", Action: s3test.ResetAfter(1 << 20)})
	w.server.Faults().Add(s3test.Fault{Op: "GetObject", Action: s3test.CutAfter(1 << 19)})
	w.same(w.data, w.restore(w.backup().Snapshot.ID))
	w.server.Faults().VerifyAll(t)
}

// TestTrapFileAndFolderOfOneName: some exporters cannot have both; in a bucket
// they do not meet.
func TestTrapFileAndFolderOfOneName(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	folder := connectors.NewRecord("/d", "", klosettest.Folder("/d").Info, nil, nil)
	if _, err := w.repo.Backup(t.Context(), sending(folder, fileRecord("/d", "d"), fileRecord("/d/in", "in"))); err != nil {
		t.Fatal(err)
	}
	if keys := w.restore("").Keys(); strings.Join(keys, " ") != "d d/in" {
		t.Errorf("keys %q", keys)
	}
}

// TestTrapStateThatCannotBeStored: the engine leaves a copy of it on disk, and
// would take it for one that is published.
func TestTrapStateThatCannotBeStored(t *testing.T) {
	quiet(t)
	cache, h := t.TempDir(), &hook{}
	store := klosettest.NewMemStore()
	store.Hook = h.call
	repo := createPlain(t, store, WithCacheDir(cache))
	full := errors.New("disk is full")
	h.set(func(_ context.Context, call klosettest.Call) error {
		if call.Op == klosettest.OpPut && call.Resource == storage.StorageResourceState {
			return full
		}
		return nil
	})
	source := klosettest.NewMemImporter(klosettest.Tree())
	report, err := repo.Backup(t.Context(), source)
	if !errors.Is(err, full) || report.Snapshot.ID != "" || !errors.Is(report.Err(), full) {
		t.Errorf("report %+v, error %v", report, err)
	}
	h.set(nil)
	if _, err := repo.Backup(t.Context(), source); err != nil {
		t.Fatal(err)
	}
	h.set(func(_ context.Context, call klosettest.Call) error {
		if call.Op == klosettest.OpPut {
			return full
		}
		return nil
	})
	list, err := repo.Snapshots(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("snapshots %v, error %v", list, err)
	}
	if err := repo.Delete(t.Context(), list[0].ID); !errors.Is(err, full) {
		t.Errorf("delete: %v", err)
	}
	h.set(nil)
	if list, err := repo.Snapshots(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("snapshots %v, error %v", list, err)
	}
	if left, err := filepath.Glob(filepath.Join(cache, "*/store/*/*.state")); err != nil || len(left) > 0 {
		t.Errorf("left in the cache: %v %v", left, err)
	}
}

// TestCheckFindsAChangedByte where nothing but a digest can tell: in a
// repository without encryption and compression.
func TestCheckFindsAChangedByte(t *testing.T) {
	quiet(t)
	w := newWorld(t, WithCompression("none"))
	w.data.Put("marker-in-key", []byte("marker-in-body"), s3test.Properties{Metadata: map[string]string{"k": "marker-in-metadata"}})
	w.backup()
	ids, err := w.store.List(t.Context(), storage.StorageResourcePackfile)
	if err != nil {
		t.Fatal(err)
	}
	for _, marker := range []string{"marker-in-key", "marker-in-body", "marker-in-metadata"} {
		found := 0
		for _, id := range ids {
			name := "packfiles/" + id.FormatHex()[:2] + "/" + id.FormatHex()
			whole := readBlob(t, w.store, storage.StorageResourcePackfile, id)
			for at := 0; ; at++ {
				next := bytes.Index(whole[at:], []byte(marker))
				if next < 0 {
					break
				}
				at += next
				found++
				changed := bytes.Clone(whole)
				changed[at] = 'M'
				w.store.Plant(name, changed)
				if err := w.repo.Check(t.Context(), ""); !errors.Is(err, ErrDamaged) {
					t.Errorf("%s %d: check says %v", marker, found, err)
				}
				if marker == "marker-in-body" {
					if _, err := w.repo.Restore(t.Context(), "", klosettest.NewMemExporter()); !errors.Is(err, ErrDamaged) {
						t.Errorf("restore says %v", err)
					}
				}
			}
			w.store.Plant(name, whole)
		}
		if found == 0 {
			t.Errorf("%s is nowhere", marker)
		}
	}
	w.expectSound("")
}
