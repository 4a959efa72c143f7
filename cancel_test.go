package s3kloset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/PlakarKorp/kloset/objects"
	"github.com/s3kloset/s3kloset/internal/klosettest"
	"github.com/s3kloset/s3kloset/internal/s3test"
)

// TestCancelBackup cancels at each call of the store, and at requests to the
// source. Whenever it happens, the error is the context's, nothing stays
// behind, and the next backup works.
func TestCancelBackup(t *testing.T) {
	quiet(t)
	w := newHookedWorld(t)
	w.fill(10)
	w.backup()
	for i := range 10 { // something to read in each of the runs below
		w.data.Put(fmt.Sprintf("dir00/extra%d", i), []byte("x"), s3test.Properties{})
	}
	for call := int64(1); ; call++ {
		ctx, cancel := context.WithCancel(t.Context())
		var seen atomic.Int64
		w.hook.set(func(context.Context, klosettest.Call) error {
			if seen.Add(1) == call {
				cancel()
			}
			return nil
		})
		report, err := w.repo.Backup(ctx, w.at("s3://data").Source())
		w.hook.set(nil)
		if seen.Load() < call {
			cancel()
			if err != nil {
				t.Fatalf("without a cancellation: %v", err)
			}
			w.expectUntouched("uncancelled", report)
			break
		}
		if err == nil && ctx.Err() != nil {
			// The removal of the lock is past the point of no return.
			if report.Snapshot.ID == "" {
				t.Errorf("call %d: no error and no snapshot", call)
			}
		} else if !errors.Is(err, context.Canceled) {
			t.Errorf("call %d: error %v", call, err)
		}
		w.expectUntouched(fmt.Sprintf("call %d", call), report)
		cancel()
	}
	for _, op := range []string{"ListObjectsV2", "GetObject", "GetObjectTagging"} {
		ctx, cancel := context.WithCancel(t.Context())
		w.data.Put("dir00/changed by "+op, []byte(op), s3test.Properties{Tags: map[string]string{"a": "b"}})
		w.server.Faults().Add(s3test.Fault{Op: op, Action: s3test.RunFirst(cancel)})
		report, err := w.repo.Backup(ctx, w.at("s3://data").Source())
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error %v", op, err)
		}
		w.server.Faults().VerifyAll(t)
		w.server.Faults().Clear()
		w.expectUntouched(op, report)
	}
	w.same(w.data, w.restore(w.backup().Snapshot.ID))
}

// hookedWorld is a world whose store tells a test about each call.
type hookedWorld struct {
	*world
	hook *hook
}

type hook struct {
	mu sync.Mutex
	fn func(context.Context, klosettest.Call) error
}

func (h *hook) set(fn func(context.Context, klosettest.Call) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.fn = fn
}

func (h *hook) call(ctx context.Context, call klosettest.Call) error {
	h.mu.Lock()
	fn := h.fn
	h.mu.Unlock()
	if fn == nil {
		return nil
	}
	return fn(ctx, call)
}

func newHookedWorld(t *testing.T) *hookedWorld {
	t.Helper()
	h := &hook{}
	w := &world{T: t, server: s3test.Start(t), store: klosettest.NewMemStore()}
	w.store.Hook = h.call
	w.data = w.server.CreateBucket("data")
	w.repo = createPlain(t, w.store)
	return &hookedWorld{w, h}
}

// expectUntouched makes sure that an interrupted backup left no lock, no
// reader, and no snapshot but the one its report names.
func (w *hookedWorld) expectUntouched(what string, report *BackupReport) {
	w.Helper()
	if locks := w.locks(); len(locks) > 0 {
		w.Errorf("%s: locks left: %q", what, locks)
	}
	if n := w.store.OpenReaders(); n > 0 {
		w.Errorf("%s: %d readers left open", what, n)
	}
	if report != nil {
		if err := report.check(); err != nil {
			w.Errorf("%s: %v", what, err)
		}
	}
	list, err := w.repo.Snapshots(w.Context())
	if err != nil {
		w.Fatalf("%s: snapshots: %v", what, err)
	}
	for _, s := range list {
		if s.ID != list[len(list)-1].ID && (report == nil || report.Snapshot.ID != s.ID) {
			w.Errorf("%s: snapshot %s was published", what, s.ID)
		}
		if report != nil && report.Snapshot.ID == s.ID {
			if err := w.repo.Delete(w.Context(), s.ID); err != nil {
				w.Fatalf("%s: delete: %v", what, err)
			}
		}
	}
}

// TestCancelRestore does the same for restores.
func TestCancelRestore(t *testing.T) {
	quiet(t)
	w := newHookedWorld(t)
	w.fill(30)
	w.backup()
	for call := int64(1); ; call += 3 {
		ctx, cancel := context.WithCancel(t.Context())
		var seen atomic.Int64
		w.hook.set(func(context.Context, klosettest.Call) error {
			if seen.Add(1) == call {
				cancel()
			}
			return nil
		})
		name := fmt.Sprintf("target%d", call)
		w.server.CreateBucket(name)
		report, err := w.repo.Restore(ctx, "", w.at("s3://"+name).Destination())
		w.hook.set(nil)
		if seen.Load() < call {
			cancel()
			if err != nil {
				t.Errorf("without a cancellation: %v", err)
			}
			break
		}
		switch {
		case err == nil:
			// Cancelled after the last byte was read: it may be all there.
			sameObjects(t, w.data.Dump(), w.server.Bucket(name).Dump())
		case !errors.Is(err, context.Canceled):
			t.Errorf("call %d: error %v", call, err)
		case report != nil && (report.check() != nil || report.Err() == nil):
			t.Errorf("call %d: report %+v, %v", call, report.Counts, report.Err())
		}
		if n := w.store.OpenReaders(); n > 0 {
			t.Errorf("call %d: %d readers left open", call, n)
		}
		cancel()
	}
	w.same(w.data, w.restore(""))
}

// TestCancelledBefore: nothing is asked of a store with a dead context.
func TestCancelledBefore(t *testing.T) {
	w := newHookedWorld(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("not today")
	cancel(reason)
	w.hook.set(func(context.Context, klosettest.Call) error { t.Error("the store was asked"); return nil })
	_, backup := w.repo.Backup(ctx, w.at("s3://data").Source())
	_, restore := w.repo.Restore(ctx, "", klosettest.NewMemExporter())
	_, snapshots := w.repo.Snapshots(ctx)
	for name, err := range map[string]error{
		"backup": backup, "restore": restore, "snapshots": snapshots,
		"check": w.repo.Check(ctx, ""), "delete": w.repo.Delete(ctx, "00"),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.hook.set(nil)
}

// TestOneCancellationIsNotAnothers: operations beside each other have contexts
// of their own.
func TestOneCancellationIsNotAnothers(t *testing.T) {
	quiet(t)
	w := newHookedWorld(t)
	w.fill(20)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	held, release := make(chan struct{}), make(chan struct{})
	w.server.Faults().Add(s3test.Fault{Op: "ListObjectsV2", Action: s3test.RunFirst(func() {
		close(held)
		<-release
	})})
	var wg sync.WaitGroup
	wg.Go(func() {
		report, err := w.repo.Backup(t.Context(), w.at("s3://data").Source())
		if err != nil || report.Stored != 20 {
			t.Errorf("the one that was not cancelled: %v", err)
		}
	})
	<-held
	w.server.Faults().Add(s3test.Fault{Op: "GetObject", Action: s3test.RunFirst(cancel)})
	if _, err := w.repo.Backup(ctx, w.at("s3://data").Source()); !errors.Is(err, context.Canceled) {
		t.Errorf("the one that was cancelled: %v", err)
	}
	close(release)
	wg.Wait()
	if list, err := w.repo.Snapshots(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("%d snapshots, error %v", len(list), err)
	}
}

// TestCloseEndsOperations: Close returns when they have ended, with ErrClosed.
func TestCloseEndsOperations(t *testing.T) {
	quiet(t)
	w := newHookedWorld(t)
	w.fill(20)
	held := make(chan struct{})
	w.server.Faults().Add(s3test.Fault{Op: "GetObject", Action: s3test.Chain(s3test.RunFirst(func() { close(held) }), s3test.Stall())})
	ended := make(chan error, 1)
	go func() {
		_, err := w.repo.Backup(context.Background(), w.at("s3://data").Source())
		ended <- err
	}()
	<-held
	if err := w.repo.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := <-ended; !errors.Is(err, ErrClosed) {
		t.Errorf("backup: %v", err)
	}
	if locks := w.locks(); len(locks) > 0 {
		t.Errorf("locks left: %q", locks)
	}
}

// carelessStore looks at no context, as some stores do.
type carelessStore struct{ *klosettest.MemStore }

func (s carelessStore) Put(ctx context.Context, res storage.StorageResource, id objects.MAC, rd io.Reader) (int64, error) {
	return s.MemStore.Put(context.WithoutCancel(ctx), res, id, rd)
}

// TestCancelWithACarelessStore: the engine goes on after a cancellation, and
// would publish what it has.
func TestCancelWithACarelessStore(t *testing.T) {
	quiet(t)
	mem := klosettest.NewMemStore()
	repo := createPlain(t, carelessStore{mem})
	var entries []klosettest.Entry
	for i := range 50 {
		entries = append(entries, klosettest.File(fmt.Sprintf("/%d", i), fmt.Appendf(nil, "%d", i)))
	}
	ctx, cancel := context.WithCancel(t.Context())
	mem.Hook = func(_ context.Context, call klosettest.Call) error {
		if call.Op == klosettest.OpPut && call.Resource == storage.StorageResourcePackfile {
			cancel()
		}
		return nil
	}
	if _, err := repo.Backup(ctx, klosettest.NewMemImporter(entries)); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	if list, err := repo.Snapshots(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("snapshots %v, error %v", list, err)
	}
}
