package s3kloset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/PlakarKorp/kloset/connectors"
	"github.com/PlakarKorp/kloset/connectors/exporter"
	"github.com/s3kloset/s3kloset/internal/klosettest"
	"github.com/s3kloset/s3kloset/internal/s3test"
)

func TestRestoreOfAPart(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	for _, key := range []string{"top", "docs/a", "docs/b/c", "docs/b/d", "docsx", "x//y", "docs", "mix", "mix/in"} {
		w.data.Put(key, []byte("body of "+key), s3test.Properties{ContentType: "text/" + key[:1]})
	}
	w.backup()
	tests := []struct {
		path string
		want map[string]string // key: key that it had
	}{
		{"/", map[string]string{"top": "top", "docs": "docs", "docs/a": "docs/a", "docs/b/c": "docs/b/c", "docs/b/d": "docs/b/d",
			"docsx": "docsx", "x//y": "x//y", "mix": "mix", "mix/in": "mix/in"}},
		{"docs/b", map[string]string{"c": "docs/b/c", "d": "docs/b/d"}},
		{"/docs/b/", map[string]string{"c": "docs/b/c", "d": "docs/b/d"}},
		{"docs/b/c", map[string]string{"c": "docs/b/c"}},
		{"top", map[string]string{"top": "top"}},
		{"x/%2F/y", map[string]string{"y": "x//y"}},
		{"x", map[string]string{"/y": "x//y"}},
		{"mix/%", map[string]string{"mix": "mix"}},
	}
	for _, test := range tests {
		t.Run(test.path, func(t *testing.T) {
			w := &world{T: t, server: w.server, data: w.data, repo: w.repo}
			got := w.restore("latest", WithPath(test.path))
			keys := got.Keys()
			if len(keys) != len(test.want) {
				t.Errorf("keys %q", keys)
			}
			for key, from := range test.want {
				o, ok := got.Get(key)
				if !ok || string(o.Body) != "body of "+from || o.ContentType != "text/"+from[:1] {
					t.Errorf("%q: %v %q %q", key, ok, o.Body, o.ContentType)
				}
			}
		})
	}
}

// TestRestoreOfAFolderThatIsAlsoAnObject: the object has the name of what it is
// restored to. Where that has none it fails, and not in silence.
func TestRestoreOfAFolderThatIsAlsoAnObject(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	w.data.Put("mix", []byte("object"), s3test.Properties{})
	w.data.Put("mix/in", []byte("inside"), s3test.Properties{})
	w.backup()
	target := w.server.CreateBucket("target")
	if _, err := w.repo.Restore(t.Context(), "", w.at("s3://target/new").Destination(), WithPath("mix")); err != nil {
		t.Fatal(err)
	}
	if keys := target.Keys(); !slices.Equal(keys, []string{"new", "new/in"}) {
		t.Errorf("keys %q", keys)
	}
	report, err := w.repo.Restore(t.Context(), "", w.at("s3://target").Destination(), WithPath("mix"))
	if !errors.Is(err, ErrIncomplete) || !errors.Is(err, ErrInvalidKey) {
		t.Errorf("error %v", err)
	}
	w.counts("restore", report.Counts, Counts{Listed: 2, Stored: 1, Failed: 1})
}

// TestRestoreOfAPrefix: a source with a prefix restores below the prefix of
// the destination, without repeating its own.
func TestRestoreOfAPrefix(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	for _, key := range []string{"data", "data/a", "data/b/c", "database", "other"} {
		w.data.Put(key, []byte("body of "+key), s3test.Properties{})
	}
	report := w.backupOf(w.at("s3://data/data"))
	w.counts("backup", report.Counts, Counts{Listed: 3, Stored: 3})

	target := w.server.CreateBucket("target")
	target.Put("data/b/c", []byte("old"), s3test.Properties{})
	target.Put("keep", []byte("kept"), s3test.Properties{})
	for _, location := range []string{"s3://target/data", "s3://target/new/place"} {
		if _, err := w.repo.Restore(t.Context(), "", w.at(location).Destination()); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"data", "data/a", "data/b/c", "keep", "new/place", "new/place/a", "new/place/b/c"}
	if keys := target.Keys(); !slices.Equal(keys, want) {
		t.Errorf("keys %q, want %q", keys, want)
	}
	if o, _ := target.Get("data/b/c"); string(o.Body) != "body of data/b/c" {
		t.Errorf("the object that was there has %q", o.Body)
	}
	// An absolute path is one of the snapshot.
	if _, err := w.repo.Restore(t.Context(), "", w.at("s3://target/abs").Destination(), WithPath("/")); err != nil {
		t.Fatal(err)
	}
	if _, ok := target.Get("abs/data/a"); !ok {
		t.Errorf("keys %q", target.Keys())
	}
}

func TestRestoreOfWhatIsNotThere(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	w.fill(2)
	w.backup()
	target := w.server.CreateBucket("target")
	dst := w.at("s3://target").Destination()
	for name, test := range map[string]struct {
		snapshot string
		opts     []RestoreOption
		dst      exporter.Exporter
		want     error
	}{
		"path":     {"", []RestoreOption{WithPath("dir00/nothing")}, dst, ErrNotFound},
		"snapshot": {"ffff", nil, dst, ErrSnapshotNotFound},
		"option":   {"", []RestoreOption{WithPath("")}, dst, ErrInvalidOption},
		"bucket":   {"", nil, w.at("s3://missing").Destination(), ErrBucketNotFound},
	} {
		if _, err := w.repo.Restore(t.Context(), test.snapshot, test.dst, test.opts...); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
	if target.Len() != 0 {
		t.Errorf("restored %q", target.Keys())
	}
}

func TestRestoreWithFailedObject(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	w.fill(20)
	w.backup()
	w.server.CreateBucket("target")
	w.server.Faults().Add(s3test.Fault{Op: "PutObject", Bucket: "target", Key: "dir01/file0013", Times: s3test.Always,
		Action: s3test.Status(403, "AccessDenied")})
	report, err := w.repo.Restore(t.Context(), "", w.at("s3://target").Destination())
	if !errors.Is(err, ErrIncomplete) || !errors.Is(err, ErrAccessDenied) || !errors.Is(report.Err(), ErrAccessDenied) {
		t.Errorf("error %v, report %v", err, report.Err())
	}
	w.counts("restore", report.Counts, Counts{Listed: 20, Stored: 19, Failed: 1})
	if len(report.Failures) != 1 || report.Failures[0].Key != "dir01/file0013" {
		t.Errorf("failures %v", report.Failures)
	}
}

// TestRestoreToAnyExporter: the accounts are kept for exporters that keep none.
func TestRestoreToAnyExporter(t *testing.T) {
	quiet(t)
	repo := createPlain(t, klosettest.NewMemStore())
	tree := append(klosettest.Tree(), klosettest.Symlink("/link", "docs/0.bin"))
	backup, err := repo.Backup(t.Context(), klosettest.NewMemImporter(tree))
	if err != nil {
		t.Fatal(err)
	}
	files := int64(0)
	for _, entry := range tree {
		if !entry.Info.IsDir() {
			files++
		}
	}
	if backup.Listed != files || backup.Stored != files || backup.Snapshot.Objects != files {
		t.Errorf("backup of %d files: %+v", files, backup)
	}
	target := klosettest.NewMemExporter()
	report, err := repo.Restore(t.Context(), "", target)
	if err != nil {
		t.Fatal(err)
	}
	if report.Listed != files || report.Stored != files {
		t.Errorf("restore of %d files: %+v", files, report.Counts)
	}
	if got := len(target.Entries()); got != len(tree) {
		t.Errorf("restored %d entries of %d", got, len(tree))
	}
}

// exportFunc is an exporter that does what a test says.
type exportFunc struct {
	*klosettest.MemExporter
	export func(context.Context, <-chan *connectors.Record, chan<- *connectors.Result) error
}

func (e exportFunc) Export(ctx context.Context, records <-chan *connectors.Record, results chan<- *connectors.Result) error {
	return e.export(ctx, records, results)
}

// TestRestoreToExportersThatMisbehave: none of them hangs a restore, leaks a
// goroutine, or passes for a success.
func TestRestoreToExportersThatMisbehave(t *testing.T) {
	boom := errors.New("boom")
	tests := map[string]struct {
		export func(context.Context, <-chan *connectors.Record, chan<- *connectors.Result) error
		want   error
	}{
		"returns at once": {func(_ context.Context, _ <-chan *connectors.Record, results chan<- *connectors.Result) error {
			close(results)
			return nil
		}, errDeserted},
		"returns an error at once": {func(_ context.Context, _ <-chan *connectors.Record, results chan<- *connectors.Result) error {
			close(results)
			return boom
		}, boom},
		"never closes results": {func(_ context.Context, records <-chan *connectors.Record, _ chan<- *connectors.Result) error {
			for record := range records {
				record.Close()
			}
			return boom
		}, boom},
		"answers with errors and returns nil": {func(_ context.Context, records <-chan *connectors.Record, results chan<- *connectors.Result) error {
			defer close(results)
			for record := range records {
				results <- record.Error(boom)
			}
			return nil
		}, boom},
		"answers nothing": {func(_ context.Context, records <-chan *connectors.Record, results chan<- *connectors.Result) error {
			defer close(results)
			for record := range records {
				record.Close()
			}
			return nil
		}, errNoAnswer},
		"reads folders": {func(_ context.Context, records <-chan *connectors.Record, results chan<- *connectors.Result) error {
			defer close(results)
			for record := range records {
				if record.FileInfo.IsDir() {
					if _, err := record.Reader.Read(make([]byte, 1)); !errors.Is(err, fs.ErrInvalid) {
						return fmt.Errorf("body of a folder: %w", err)
					}
				}
				results <- record.Error(boom)
			}
			return nil
		}, boom},
	}
	w := newWorld(t)
	w.fill(100)
	w.backup()
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			quiet(t)
			report, err := w.repo.Restore(t.Context(), "", exportFunc{klosettest.NewMemExporter(), test.export})
			if !errors.Is(err, test.want) {
				t.Errorf("error %v, want %v", err, test.want)
			}
			if report == nil || report.check() != nil || !errors.Is(report.Err(), test.want) {
				t.Errorf("report %+v", report)
			}
		})
	}
}

// TestRestoreToAnExporterThatHidesFailures: a body that could not be read has
// failed, whatever the exporter says of it.
func TestRestoreToAnExporterThatHidesFailures(t *testing.T) {
	quiet(t)
	w := newHookedWorld(t)
	for i := range 20 { // in one folder, which has been read when the first of them comes
		w.data.Put(fmt.Sprintf("k%02d", i), []byte(fmt.Sprint("body ", i)), s3test.Properties{})
	}
	w.backup()
	cut := errors.New("line is cut")
	const good = 5
	report, err := w.repo.Restore(t.Context(), "", exportFunc{klosettest.NewMemExporter(),
		func(_ context.Context, records <-chan *connectors.Record, results chan<- *connectors.Result) error {
			defer close(results)
			defer w.hook.set(nil)
			read := 0
			for record := range records {
				if !record.FileInfo.IsDir() {
					if read++; read == good+1 {
						w.hook.set(func(_ context.Context, call klosettest.Call) error {
							if call.Op == klosettest.OpGet {
								return cut
							}
							return nil
						})
					}
					_, _ = io.Copy(io.Discard, record.Reader)
				}
				results <- record.Ok()
			}
			return nil
		}})
	if !errors.Is(err, ErrIncomplete) || !errors.Is(err, cut) {
		t.Errorf("error %v", err)
	}
	w.counts("restore", report.Counts, Counts{Listed: 20, Stored: good, Failed: 20 - good})
}

func TestSnapshotArgument(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	w.fill(1)
	if _, err := w.repo.Restore(t.Context(), "latest", klosettest.NewMemExporter()); !errors.Is(err, ErrSnapshotNotFound) {
		t.Errorf("latest of none: %v", err)
	}
	var ids []string
	for i := range 17 { // two of them begin with the same digit
		w.data.Put("n", []byte(fmt.Sprint(i)), s3test.Properties{})
		ids = append(ids, w.backup(WithName(fmt.Sprintf("run %d", i)), WithSnapshotTags("daily", fmt.Sprint(i))).Snapshot.ID)
	}
	list, err := w.repo.Snapshots(t.Context())
	if err != nil || len(list) != len(ids) {
		t.Fatalf("%d snapshots, error %v", len(list), err)
	}
	for i, s := range list {
		n := len(ids) - 1 - i
		if s.ID != ids[n] || s.Name != fmt.Sprintf("run %d", n) || !slices.Equal(s.Tags, []string{"daily", fmt.Sprint(n)}) ||
			s.SourceType != "s3" || s.Origin != w.server.Addr()+"/data" || s.Root != "/" || s.Objects != 2 || s.Time.IsZero() {
			t.Errorf("snapshot %d: %+v", n, s)
		}
	}
	last := ids[len(ids)-1]
	for _, name := range []string{"", "latest", last, strings.ToUpper(last), unique(last, ids)} {
		report, err := w.repo.Restore(t.Context(), name, klosettest.NewMemExporter())
		if err != nil || report.Snapshot.ID != last {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{shared(ids), "x", last + "0", " "} {
		if err := w.repo.Check(t.Context(), name); !errors.Is(err, ErrSnapshotNotFound) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// unique is the shortest beginning that only id has.
func unique(id string, ids []string) string {
	for n := 1; n < len(id); n++ {
		if count(id[:n], ids) == 1 {
			return id[:n]
		}
	}
	return id
}

// shared is a beginning that several have.
func shared(ids []string) string {
	for _, id := range ids {
		if count(id[:1], ids) > 1 {
			return id[:1]
		}
	}
	return ""
}

func count(prefix string, ids []string) (n int) {
	for _, id := range ids {
		if strings.HasPrefix(id, prefix) {
			n++
		}
	}
	return n
}

func TestDelete(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	w.fill(5)
	first := w.backup().Snapshot.ID
	w.data.Delete("dir00/file0000")
	second := w.backup().Snapshot.ID
	for _, name := range []string{"", "latest", "zz"} {
		if err := w.repo.Delete(t.Context(), name); !errors.Is(err, ErrSnapshotNotFound) {
			t.Errorf("delete %q: %v", name, err)
		}
	}
	if err := w.repo.Delete(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	if err := w.repo.Delete(t.Context(), second); !errors.Is(err, ErrSnapshotNotFound) {
		t.Errorf("delete again: %v", err)
	}
	other, err := OpenRepository(t.Context(), w.store.Reopen())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	for name, repo := range map[string]*Repository{"here": w.repo, "elsewhere": other} {
		list, err := repo.Snapshots(t.Context())
		if err != nil || len(list) != 1 || list[0].ID != first {
			t.Errorf("%s: %v, error %v", name, list, err)
		}
		if _, err := repo.Restore(t.Context(), second, klosettest.NewMemExporter()); !errors.Is(err, ErrSnapshotNotFound) {
			t.Errorf("%s: restore of a deleted snapshot: %v", name, err)
		}
	}
	if got := w.restore("").Len(); got != 5 {
		t.Errorf("%d objects in the snapshot that is left", got)
	}
	w.backup()
	if err := w.repo.Check(t.Context(), ""); err != nil {
		t.Errorf("check of the next: %v", err)
	}
}

// TestRestoreCountsWhatItSends: a listing that is short is damage, even if it
// can be read.
func TestRestoreCountsWhatItSends(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	w.fill(10)
	w.backup()
	op, err := w.repo.begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer op.end()
	run := &restore{operation: op, dst: klosettest.NewMemExporter(), links: make(map[string]struct{}), ledger: newLedger()}
	if err := run.open("", ""); err != nil {
		t.Fatal(err)
	}
	run.source.Objects += 2
	report, err := run.report(run.export())
	if !errors.Is(err, ErrDamaged) || !errors.Is(err, ErrIncomplete) {
		t.Errorf("error %v", err)
	}
	w.counts("restore", report.Counts, Counts{Listed: 11, Stored: 10, Failed: 1})
}

// TestRestoreDoesNotFollowLinks that come from the snapshot: what lies below
// one would land anywhere.
func TestRestoreDoesNotFollowLinks(t *testing.T) {
	r := &restore{links: map[string]struct{}{"/a/link": {}}}
	for path, want := range map[string]bool{
		"/a/link/x": true, "/a/link/x/y": true, "/a/link": false, "/a/linkx": false, "/a": false, "/": false, "/link/x": false,
	} {
		if got := r.belowLink(path); got != want {
			t.Errorf("%q: %v", path, got)
		}
	}
}

// TestRestoreOfTheFolderItself restores the objects that are named as the folder
// that a source backs up. Without a prefix in the target they have no name.
func TestRestoreOfTheFolderItself(t *testing.T) {
	w := newWorld(t)
	for _, key := range []string{"path/to", "path/to/", "path/to/a"} {
		w.data.Put(key, nil, s3test.Properties{})
	}
	w.backupOf(w.at("s3://data/path/to"))

	below := w.server.CreateBucket("below")
	if _, err := w.repo.Restore(t.Context(), latest, w.at("s3://below/there").Destination()); err != nil {
		t.Fatal(err)
	}
	if got, want := below.Keys(), []string{"there", "there/", "there/a"}; !slices.Equal(got, want) {
		t.Errorf("restored were %q, want %q", got, want)
	}

	top := w.server.CreateBucket("top")
	report, err := w.repo.Restore(t.Context(), latest, w.at("s3://top").Destination())
	if !errors.Is(err, ErrIncomplete) || !errors.Is(err, ErrInvalidKey) {
		t.Errorf("error %v, want that one object has no key", err)
	}
	if got, want := top.Keys(), []string{"a"}; !slices.Equal(got, want) {
		t.Errorf("restored were %q, want %q", got, want)
	}
	if w := report.Warnings[WarnNotAnObject]; w == nil || w.Count != 1 {
		t.Errorf("warnings %v, want one of the marker", report.Warnings)
	}
}
