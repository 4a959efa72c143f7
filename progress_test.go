package s3kloset

import (
	"sync"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// TestProgress: one call at a time, counts that only grow, and a last one with
// the counts of the report. A slow callback holds up nothing but the next call.
func TestProgress(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	w.fill(30)
	var (
		mu    sync.Mutex
		calls []Progress
		began = make(chan struct{})
		held  = make(chan struct{})
	)
	progress := WithProgress(func(p Progress) {
		if !mu.TryLock() {
			t.Error("two calls at the same time")
			return
		}
		defer mu.Unlock()
		if calls = append(calls, p); len(calls) == 1 {
			close(began)
			<-held
		}
	})
	// The last object is read when the first call has come and does not return.
	keys := w.data.Keys()
	w.server.Faults().Add(s3test.Fault{Op: "GetObject", Key: keys[len(keys)-1], Action: s3test.RunFirst(func() {
		defer close(held)
		select {
		case <-began:
		case <-time.After(time.Minute):
			t.Error("no call while the backup goes on")
		}
	})})
	report := w.backupOf(w.at("s3://data", progress))
	checkProgress(t, "backup", calls, report.Counts)
	if len(calls) < 2 {
		t.Errorf("%d calls during a backup, want two at least", len(calls))
	}

	began, held = make(chan struct{}), make(chan struct{})
	close(held)
	calls = nil
	w.server.CreateBucket("target")
	restored, err := w.repo.Restore(t.Context(), report.Snapshot.ID, w.at("s3://target", progress).Destination())
	if err != nil {
		t.Fatal(err)
	}
	checkProgress(t, "restore", calls, restored.Counts)

	calls, began = nil, make(chan struct{})
	w.server.Faults().Add(s3test.Fault{Op: "ListObjectsV2", Bucket: "data", Times: s3test.Always, Action: s3test.Status(403, "AccessDenied")})
	if _, err := w.repo.Backup(t.Context(), w.at("s3://data", progress).Source()); err == nil {
		t.Error("no error")
	}
	checkProgress(t, "a backup that fails", calls, Counts{})
	w.server.Faults().VerifyAll(t)
}

func checkProgress(t *testing.T, what string, calls []Progress, end Counts) {
	t.Helper()
	if len(calls) == 0 {
		t.Fatalf("%s: no calls", what)
	}
	var before Counts
	for i, call := range calls {
		if last := i == len(calls)-1; call.Done != last {
			t.Errorf("%s: call %d of %d: done is %t", what, i+1, len(calls), call.Done)
		}
		if call.Listed < before.Listed || call.Stored < before.Stored || call.Bytes < before.Bytes || call.sum() > call.Listed {
			t.Errorf("%s: %+v after %+v", what, call.Counts, before)
		}
		before = call.Counts
	}
	if before != end {
		t.Errorf("%s: the last call has %+v, the report %+v", what, before, end)
	}
}
