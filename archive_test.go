package s3kloset

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// withThawPoll makes waiting for thawed objects quick.
func withThawPoll(d time.Duration) Option {
	return func(c *config) error { c.thawPoll = d; return nil }
}

// newArchive makes a world with two objects that can be read and three that cannot.
func newArchive(t *testing.T) *world {
	w := newWorld(t)
	w.data.Put("a", []byte("readable"), s3test.Properties{})
	w.data.Put("b", []byte("in glacier"), s3test.Properties{StorageClass: "GLACIER"})
	w.data.Put("c", []byte("in the deep"), s3test.Properties{StorageClass: "DEEP_ARCHIVE", Tags: map[string]string{"k": "v"}})
	w.data.Put("d", []byte("moved by itself"), s3test.Properties{StorageClass: "INTELLIGENT_TIERING"})
	w.data.SetArchiveTier("d", "ARCHIVE_ACCESS")
	w.data.Put("e", []byte("readable too"), s3test.Properties{})
	return w
}

func TestArchiveFail(t *testing.T) {
	quiet(t)
	w := newArchive(t)
	report, err := w.repo.Backup(t.Context(), w.at("s3://data").Source())
	if !errors.Is(err, ErrArchived) || !errors.Is(err, ErrIncomplete) {
		t.Fatalf("error is %v, want ErrArchived and ErrIncomplete", err)
	}
	w.counts("backup", report.Counts, Counts{Listed: 5, Stored: 2, Failed: 3})
	var keys []string
	for _, f := range report.Failures {
		keys = append(keys, f.Key)
	}
	if want := []string{"b", "c", "d"}; !slices.Equal(keys, want) {
		t.Errorf("failed %q, want %q", keys, want)
	}
	if n := w.server.Count("RestoreObject"); n != 0 {
		t.Errorf("%d restores were asked for, and paid", n)
	}
}

func TestArchiveSkip(t *testing.T) {
	quiet(t)
	w := newArchive(t)
	report := w.backupOf(w.at("s3://data", WithArchive(ArchiveSkip)))
	w.counts("backup", report.Counts, Counts{Listed: 5, Stored: 2, Skipped: 3})
	if warning := report.Warnings[WarnArchived]; warning == nil || warning.Count != 3 || !slices.Equal(warning.Keys, []string{"b", "c", "d"}) {
		t.Errorf("warnings are %+v, want 3 of kind archived", report.Warnings)
	}
}

// finishThaws ends restores at the second look at each object.
func finishThaws(w *world, keys ...string) {
	var mu sync.Mutex
	looks := map[string]int{}
	for _, key := range keys {
		w.server.Faults().Add(s3test.Fault{Op: "HeadObject", Key: key, Times: -1, Action: s3test.RunFirst(func() {
			mu.Lock()
			defer mu.Unlock()
			if looks[key]++; looks[key] == 2 {
				w.data.FinishRestore(key)
			}
		})})
	}
}

func TestArchiveRestore(t *testing.T) {
	quiet(t)
	w := newArchive(t)
	finishThaws(w, "b", "c", "d")
	before := w.data.Dump()
	report := w.backupOf(w.at("s3://data", WithArchive(ArchiveRestore(TierStandard, 3)), withThawPoll(time.Millisecond)))
	w.counts("backup", report.Counts, Counts{Listed: 5, Stored: 5})
	if n := w.server.Count("RestoreObject"); n != 3 {
		t.Errorf("%d restores were asked for, want 3", n)
	}
	sameObjects(t, before, w.restore(report.Snapshot.ID).Dump())
	read := false
	for _, r := range w.server.Requests() {
		read = read || r.Op == "GetObject" && r.Bucket == "data"
		// What moved by itself shows only when it is read.
		if read && r.Op == "RestoreObject" && r.Key != "d" {
			t.Errorf("%q is asked for when others are read already", r.Key)
		}
	}

	// What is unchanged is not thawed again.
	w.data.SetClass("b", "GLACIER")
	second := w.backupOf(w.at("s3://data", WithArchive(ArchiveRestore(TierStandard, 3))))
	w.counts("second backup", second.Counts, Counts{Listed: 5, Unchanged: 5})
	if n := w.server.Count("RestoreObject"); n != 3 {
		t.Errorf("%d restores were asked for after a backup without changes, want 3", n)
	}
}

func TestArchiveRestoreCancelled(t *testing.T) {
	for name, c := range map[string]struct {
		poll  time.Duration
		look  int
		after time.Duration
	}{"while it looks": {time.Millisecond, 2, 0}, "while it waits": {time.Hour, 1, 50 * time.Millisecond}} {
		t.Run(name, func(t *testing.T) {
			quiet(t)
			w := newArchive(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			looked := w.server.Faults().Add(s3test.Fault{Op: "HeadObject", Key: "b", Nth: c.look, Action: s3test.RunFirst(func() {
				if c.after == 0 {
					cancel()
				}
				time.AfterFunc(c.after, cancel)
			})})
			_, err := w.repo.Backup(ctx, w.at("s3://data", WithArchive(ArchiveRestore(TierBulk, 1)), withThawPoll(c.poll)).Source())
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error is %v, want context.Canceled", err)
			}
			if looked.Fired() == 0 {
				t.Error("the backup did not wait")
			}
			if snapshots, err := w.repo.Snapshots(t.Context()); err != nil || len(snapshots) > 0 {
				t.Errorf("%d snapshots, %v after a cancelled backup", len(snapshots), err)
			}
		})
	}
}

func TestArchiveOptions(t *testing.T) {
	for _, policy := range []ArchivePolicy{ArchiveRestore("Fast", 1), ArchiveRestore(TierBulk, 0), ArchiveRestore("", -1)} {
		if _, err := New("s3://data", WithArchive(policy)); !errors.Is(err, ErrInvalidOption) {
			t.Errorf("%+v: %v, want ErrInvalidOption", policy, err)
		}
	}
}
