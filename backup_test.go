package s3kloset

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/PlakarKorp/kloset/connectors"
	"github.com/PlakarKorp/kloset/connectors/importer"
	"github.com/s3kloset/s3kloset/internal/s3test"
)

func TestBackupAndRestore(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	w.fill(30)
	w.data.Put("a", []byte("object beside a folder"), s3test.Properties{})
	w.data.Put("a/b", []byte("in the folder"), s3test.Properties{})
	w.data.Put("folder/", nil, s3test.Properties{})
	w.data.Put("x//y", []byte("empty component"), s3test.Properties{})
	w.data.Put("rich", []byte("with everything"), s3test.Properties{
		ContentType: "text/plain", CacheControl: "max-age=1", ContentLanguage: "de",
		Metadata: map[string]string{"name": "grün"}, Tags: map[string]string{"team": "a b"}, StorageClass: "STANDARD_IA",
	})

	first := w.backup()
	w.counts("first backup", first.Counts, Counts{Listed: 35, Stored: 35})
	if first.Parent != "" || first.Snapshot.ID == "" || first.Snapshot.Objects != 35 || first.Snapshot.Errors != 0 {
		t.Errorf("first report: %+v", first)
	}
	w.same(w.data, w.restore(first.Snapshot.ID))
	w.same(w.data, w.restore("latest"))
	if err := w.repo.Check(t.Context(), ""); err != nil {
		t.Errorf("check: %v", err)
	}
	if locks := w.locks(); len(locks) > 0 {
		t.Errorf("locks left: %q", locks)
	}
}

// reads counts the requests that read objects.
func reads(requests map[string]int64) int64 { return requests["GetObject"] + requests["HeadObject"] }

func TestSecondBackupReadsNoObject(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	w.fill(50)
	first := w.backup()
	if got := reads(first.Requests); got != 50 {
		t.Errorf("the first backup made %d requests for 50 objects", got)
	}
	before := w.server.Count("GetObject") + w.server.Count("HeadObject")
	second := w.backup()
	w.counts("second backup", second.Counts, Counts{Listed: 50, Unchanged: 50})
	if got := reads(second.Requests); got != 0 {
		t.Errorf("the report has %d reads of objects: %v", got, second.Requests)
	}
	if got := w.server.Count("GetObject") + w.server.Count("HeadObject") - before; got != 0 {
		t.Errorf("the server saw %d reads of objects", got)
	}
	if second.Parent != first.Snapshot.ID {
		t.Errorf("parent %s, want %s", second.Parent, first.Snapshot.ID)
	}
	w.same(w.data, w.restore(second.Snapshot.ID))
}

func TestBackupOfChanges(t *testing.T) {
	tests := []struct {
		name   string
		change func(*s3test.Bucket)
		want   Counts
		reads  int64
	}{
		{"content", func(b *s3test.Bucket) { b.Put("dir00/file0003", []byte("other"), s3test.Properties{}) },
			Counts{Listed: 20, Stored: 1, Unchanged: 19}, 1},
		{"added", func(b *s3test.Bucket) { b.Put("dir00/new", []byte("new"), s3test.Properties{}) },
			Counts{Listed: 21, Stored: 1, Unchanged: 20}, 1},
		{"deleted", func(b *s3test.Bucket) { b.Delete("dir01/file0015") },
			Counts{Listed: 19, Unchanged: 19}, 0},
		{"tags", func(b *s3test.Bucket) { b.SetTags("dir00/file0004", map[string]string{"new": "tag"}) },
			Counts{Listed: 20, Stored: 1, Unchanged: 19}, 1},
		{"metadata", func(b *s3test.Bucket) {
			old, _ := b.Get("dir00/file0005")
			b.Put("dir00/file0005", old.Body, s3test.Properties{ContentType: "text/x"}, s3test.ModifiedAt(old.LastModified.Add(1e9)))
		}, Counts{Listed: 20, Stored: 1, Unchanged: 19}, 1},
		{"class alone", func(b *s3test.Bucket) { b.SetClass("dir00/file0006", "STANDARD_IA") },
			Counts{Listed: 20, Stored: 1, Unchanged: 19}, 1},
		{"nothing left", func(b *s3test.Bucket) {
			for _, key := range b.Keys() {
				b.Delete(key)
			}
		}, Counts{}, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			quiet(t)
			w := newWorld(t)
			w.fill(20)
			w.backup()
			test.change(w.data)
			report := w.backup()
			w.counts("second backup", report.Counts, test.want)
			if got := reads(report.Requests); got != test.reads {
				t.Errorf("%d reads of objects, want %d: %v", got, test.reads, report.Requests)
			}
			w.same(w.data, w.restore(report.Snapshot.ID))
			if err := w.repo.Check(t.Context(), report.Snapshot.ID); err != nil {
				t.Errorf("check: %v", err)
			}
		})
	}
}

func TestBackupWithFailedObject(t *testing.T) {
	tests := []struct {
		name     string
		opts     []BackupOption
		fails    bool
		snapshot bool
	}{
		{"default", nil, true, true},
		{"tolerated", []BackupOption{WithTolerance(1)}, false, true},
		{"fail fast", []BackupOption{WithFailFast()}, true, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			quiet(t)
			w := newWorld(t)
			w.fill(20)
			w.server.Faults().Add(s3test.Fault{Op: "GetObject", Key: "dir01/file0013", Times: s3test.Always,
				Action: s3test.Status(403, "AccessDenied")})
			report, err := w.repo.Backup(t.Context(), w.at("s3://data").Source(), test.opts...)
			if test.fails != (err != nil) || test.fails != errors.Is(err, ErrIncomplete) {
				t.Errorf("error %v", err)
			}
			if test.fails && !errors.Is(err, ErrAccessDenied) {
				t.Errorf("the error does not say why: %v", err)
			}
			if report == nil {
				t.Fatal("no report")
			}
			if !errors.Is(report.Err(), ErrIncomplete) || !errors.Is(report.Err(), ErrAccessDenied) || !errors.Is(report.Outcome.Err(), ErrAccessDenied) {
				t.Errorf("error of the report: %v; of its outcome: %v", report.Err(), report.Outcome.Err())
			}
			if got := report.Snapshot.ID != ""; got != test.snapshot {
				t.Errorf("snapshot %q", report.Snapshot.ID)
			}
			list, err := w.repo.Snapshots(t.Context())
			if err != nil || (len(list) > 0) != test.snapshot {
				t.Errorf("snapshots %v, error %v", list, err)
			}
			if !test.snapshot {
				return
			}
			w.counts("backup", report.Counts, Counts{Listed: 20, Stored: 19, Failed: 1})
			if len(report.Failures) != 1 || report.Failures[0].Key != "dir01/file0013" || !errors.Is(report.Failures[0].Err, ErrAccessDenied) {
				t.Errorf("failures %v", report.Failures)
			}
			if report.Snapshot.Errors != 1 {
				t.Errorf("snapshot %+v", report.Snapshot)
			}
			w.server.Faults().Clear()
			w.data.Delete("dir01/file0013")
			w.same(w.data, w.restore(report.Snapshot.ID))
		})
	}
}

// TestFailFastEndsEarly: the rest of the bucket is not read for nothing.
func TestFailFastEndsEarly(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	w.fill(300)
	w.server.Faults().Add(s3test.Fault{Op: "GetObject", Key: "dir00/file0000", Action: s3test.Status(403, "AccessDenied")})
	_, err := w.repo.Backup(t.Context(), w.at("s3://data", WithConcurrency(1)).Source(), WithFailFast())
	if !errors.Is(err, ErrAccessDenied) {
		t.Errorf("error %v", err)
	}
	if n := w.server.Count("GetObject"); n > 100 {
		t.Errorf("%d objects were read", n)
	}
}

// TestManyFailures: all are counted, once each, and the first ones kept.
func TestManyFailures(t *testing.T) {
	const objects = failuresKept + 50
	w := newWorld(t)
	for i := range objects {
		w.data.Put(fmt.Sprintf("d%d/o%04d", i%7, i), []byte("x"), s3test.Properties{})
	}
	w.data.Put("good", []byte("x"), s3test.Properties{})
	boom := errors.New("boom")
	var broken []*connectors.Record
	for i := range objects {
		broken = append(broken, connectors.NewError(fmt.Sprintf("/d%d/o%04d", i%7, i), boom))
	}
	w.server.Faults().Add(s3test.Fault{Op: "GetObject", Key: "d*", Times: s3test.Always, Action: s3test.Status(403, "AccessDenied")})
	for name, test := range map[string]struct {
		src  importer.Importer
		want error
	}{
		"source":       {w.at("s3://data").Source(), ErrAccessDenied},
		"any importer": {sending(append(broken, fileRecord("/good", "good"))...), boom},
	} {
		t.Run(name, func(t *testing.T) {
			quiet(t)
			report, err := w.repo.Backup(t.Context(), test.src)
			if !errors.Is(err, test.want) || !errors.Is(err, ErrIncomplete) {
				t.Errorf("error %v", err)
			}
			w := &world{T: t}
			w.counts("backup", report.Counts, Counts{Listed: objects + 1, Stored: 1, Failed: objects})
			if len(report.Failures) != failuresKept || report.Snapshot.Errors != objects || report.Snapshot.Objects != 1 {
				t.Errorf("%d failures kept; snapshot %+v", len(report.Failures), report.Snapshot)
			}
			if text := err.Error(); len(text) > 2000 || !strings.Contains(text, fmt.Sprintf("and %d more", objects-failuresShown)) {
				t.Errorf("text of the error: %s", text)
			}
		})
	}
}

func TestBackupTolerance(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	w.fill(5)
	w.server.Faults().Add(s3test.Fault{Op: "GetObject", Key: "*1", Times: s3test.Always, Action: s3test.Status(403, "AccessDenied")})
	w.server.Faults().Add(s3test.Fault{Op: "GetObject", Key: "*2", Times: s3test.Always, Action: s3test.Status(403, "AccessDenied")})
	for tolerated := range int64(4) {
		report, err := w.repo.Backup(t.Context(), w.at("s3://data").Source(), WithTolerance(tolerated), WithFullBackup())
		if (err == nil) != (tolerated >= 2) {
			t.Errorf("2 failures, %d tolerated: %v", tolerated, err)
		}
		w.counts("backup", report.Counts, Counts{Listed: 5, Stored: 3, Failed: 2})
		if !errors.Is(report.Err(), ErrIncomplete) || report.Snapshot.ID == "" {
			t.Errorf("report %+v, error %v", report.Snapshot, report.Err())
		}
	}
}

// TestFailFastWithAnyImporter ends the run at the first failure.
func TestFailFastWithAnyImporter(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	boom := errors.New("boom")
	endless := importFunc{fn: func(ctx context.Context, to chan<- *connectors.Record, _ <-chan *connectors.Result) error {
		defer close(to)
		to <- connectors.NewError("/broken", boom)
		for i := 0; ; i++ {
			select {
			case to <- fileRecord(fmt.Sprintf("/%d", i), fmt.Sprint(i)):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}}
	report, err := w.repo.Backup(t.Context(), endless, WithFailFast())
	if !errors.Is(err, boom) {
		t.Errorf("error %v", err)
	}
	if report.Snapshot.ID != "" || report.check() != nil || !errors.Is(report.Err(), boom) {
		t.Errorf("report %+v, %v", report.Counts, report.Err())
	}
	if list, err := w.repo.Snapshots(t.Context()); err != nil || len(list) > 0 {
		t.Errorf("snapshots %v, error %v", list, err)
	}
}

func TestBackupOptions(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	w.fill(4)
	first := w.backup().Snapshot.ID
	w.data.Put("later", []byte("x"), s3test.Properties{})
	second := w.backup().Snapshot.ID

	full := w.backup(WithFullBackup(), nil)
	w.counts("full", full.Counts, Counts{Listed: 5, Stored: 5})
	if full.Parent != "" {
		t.Errorf("a full backup was compared with %s", full.Parent)
	}
	older := w.backup(WithParent(first[:8]))
	w.counts("older parent", older.Counts, Counts{Listed: 5, Stored: 1, Unchanged: 4})
	if older.Parent != first {
		t.Errorf("compared with %s, want %s", older.Parent, first)
	}
	for name, test := range map[string]struct {
		opts []BackupOption
		want error
	}{
		"negative tolerance": {[]BackupOption{WithTolerance(-1)}, ErrInvalidOption},
		"empty parent":       {[]BackupOption{WithParent("")}, ErrInvalidOption},
		"parent and full":    {[]BackupOption{WithParent(second), WithFullBackup()}, ErrInvalidOption},
		"unknown parent":     {[]BackupOption{WithParent("zz")}, ErrSnapshotNotFound},
	} {
		if _, err := w.repo.Backup(t.Context(), w.at("s3://data").Source(), test.opts...); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if list, err := w.repo.Snapshots(t.Context()); err != nil || len(list) != 4 {
		t.Errorf("%d snapshots, error %v", len(list), err)
	}
}

// TestIncrementalsOfSeveralSources: each is compared with its own snapshots,
// at first with one of a folder above.
func TestIncrementalsOfSeveralSources(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	w.fill(20)
	w.server.CreateBucket("other").Put("dir00/file0001", []byte("content of 1"), s3test.Properties{})
	sources := []struct {
		location       string
		objects, known int64
	}{{"s3://data/dir00", 10, 0}, {"s3://data", 20, 0}, {"s3://other", 1, 0}, {"s3://data/dir01", 10, 10}}
	var own []string
	for _, s := range sources {
		report := w.backupOf(w.at(s.location))
		w.counts(s.location, report.Counts, Counts{Listed: s.objects, Stored: s.objects - s.known, Unchanged: s.known})
		own = append(own, report.Snapshot.ID)
	}
	for i, s := range sources {
		report := w.backupOf(w.at(s.location))
		w.counts(s.location+" again", report.Counts, Counts{Listed: s.objects, Unchanged: s.objects})
		if report.Parent != own[i] {
			t.Errorf("%s: compared with %s, want %s", s.location, report.Parent, own[i])
		}
	}
}

// TestReportAsJSON holds the names that programs read.
func TestReportAsJSON(t *testing.T) {
	w := newWorld(t)
	w.data.Put("gone", []byte("x"), s3test.Properties{})
	w.data.Put("bad", []byte("x"), s3test.Properties{})
	w.server.Faults().Add(s3test.Fault{Op: "GetObject", Key: "gone", Action: s3test.RunFirst(func() { w.data.Delete("gone") })})
	w.server.Faults().Add(s3test.Fault{Op: "GetObject", Key: "bad", Times: s3test.Always, Action: s3test.Status(403, "AccessDenied")})
	report, err := w.repo.Backup(t.Context(), w.at("s3://data").Source())
	if !errors.Is(err, ErrIncomplete) {
		t.Fatal(err)
	}
	raw, err := json.Marshal(report)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"listed": "2", "stored": "0", "unchanged": "0", "skipped": "0", "gone": "1", "failed": "1", "bytes": "0"} {
		if fmt.Sprint(got[name]) != want {
			t.Errorf("%s is %v, want %s", name, got[name], want)
		}
	}
	for _, name := range []string{"snapshot", "duration_ns", "requests", "warnings", "failures"} {
		if got[name] == nil {
			t.Errorf("there is no %s in %s", name, raw)
		}
	}
	if !strings.Contains(string(raw), `"gone":{"count":1,"keys":["gone"]}`) || !strings.Contains(string(raw), `"key":"bad"`) {
		t.Errorf("%s", raw)
	}
}
