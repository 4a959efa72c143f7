package s3kloset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/PlakarKorp/kloset/objects"
	"github.com/PlakarKorp/kloset/repository"
)

// lockPatience bounds the removal of a lock, which goes on after the operation
// was cancelled. A lock that stays hinders maintenance for ten minutes, and
// nothing else.
const lockPatience = 30 * time.Second

// guard stands between the engine and a store, so that the facade's promises
// hold on any store:
//
//   - After cancellation nothing is stored, although the engine goes on. It
//     cancels its own context when it loses a packfile, so a run that did does
//     not publish its state.
//   - What the engine sends is read to its end, even if it is not stored.
//   - A lock is removed under a context of its own, and one can wait for that.
//   - What went wrong is known, where the engine reports "missing" for every
//     failed read.
//
// It is safe for concurrent use by one operation at a time.
type guard struct {
	storage.Store
	patience time.Duration

	mu       sync.Mutex
	unread   error                         // the first read that failed, other than for want of the bytes
	lockLost bool                          // a lock vanished between List and Get
	stored   map[objects.MAC]struct{}      // packfiles of this operation
	locks    map[objects.MAC]chan struct{} // ours; closed when the removal was tried
}

func newGuard(store storage.Store) *guard {
	return &guard{Store: store, patience: lockPatience, locks: make(map[objects.MAC]chan struct{})}
}

// begin forgets the last operation, except for locks that are still there.
func (g *guard) begin() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.unread, g.lockLost = nil, false
	g.stored = make(map[objects.MAC]struct{})
}

// Put implements storage.Store.
func (g *guard) Put(ctx context.Context, res storage.StorageResource, id objects.MAC, rd io.Reader) (n int64, err error) {
	defer func() {
		if err != nil {
			drain(rd)
		}
	}()
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	n, err = g.Store.Put(ctx, res, id, rd)
	g.notePut(res, id, err)
	return n, err
}

// drain reads what a failed Put has left. The engine feeds rd by goroutines
// that end with its end and never otherwise. One of them reads a database that
// is closed next.
func drain(rd io.Reader) { _, _ = io.Copy(io.Discard, rd) }

func (g *guard) notePut(res storage.StorageResource, id objects.MAC, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case res == storage.StorageResourcePackfile && err == nil:
		g.stored[id] = struct{}{}
	case res == storage.StorageResourceLock && g.locks[id] == nil:
		// Also when Put failed: it may have come through all the same.
		g.locks[id] = make(chan struct{})
	}
}

// List implements storage.Store. The engine merges states that have the same
// parent from the end of the list. Stores list them oldest first, if they know:
// turned round, no removal of a packfile is merged before its addition.
func (g *guard) List(ctx context.Context, res storage.StorageResource) ([]objects.MAC, error) {
	ids, err := g.Store.List(ctx, res)
	if s, ok := g.Store.(*Store); ok && s.forEngine {
		return ids, err
	}
	if res == storage.StorageResourceState {
		slices.Reverse(ids)
	}
	return ids, err
}

// Get implements storage.Store.
func (g *guard) Get(ctx context.Context, res storage.StorageResource, id objects.MAC, rg *storage.Range) (io.ReadCloser, error) {
	rd, err := g.Store.Get(ctx, res, id, rg)
	if err != nil {
		g.noteRead(res, err)
		return nil, err
	}
	want := int64(-1)
	if rg != nil {
		want = int64(rg.Length)
	}
	return &guardedReader{rd, g, res, want}, nil
}

func (g *guard) noteRead(res storage.StorageResource, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case res == storage.StorageResourceLock:
		g.lockLost = true
	case !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, repository.ErrPackfileNotFound) && !errors.Is(err, ErrInvalidRange):
		g.unread = first(g.unread, err)
	}
}

// guardedReader notes how reading ended. A range that ends before its first
// byte is damage; the engine takes that for the regular end of a listing, and
// the rest of the folder for empty.
type guardedReader struct {
	io.ReadCloser
	guard *guard
	res   storage.StorageResource
	left  int64 // bytes of the range to come; negative: as many as there are
}

func (r *guardedReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if r.left >= 0 {
		r.left = max(0, r.left-int64(n))
	}
	switch {
	case errors.Is(err, io.EOF) && r.left > 0:
		err = fmt.Errorf("%w: %s ends %d bytes early: %w", ErrDamaged, r.res, r.left, io.ErrUnexpectedEOF)
	case err != nil && !errors.Is(err, io.EOF):
		r.guard.noteRead(r.res, err)
	}
	return n, err
}

// Delete implements storage.Store.
func (g *guard) Delete(ctx context.Context, res storage.StorageResource, id objects.MAC) error {
	if res != storage.StorageResourceLock {
		return g.Store.Delete(ctx, res, id)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.patience)
	defer cancel()
	err := g.Store.Delete(ctx, res, id)
	g.mu.Lock()
	defer g.mu.Unlock()
	tried := g.locks[id]
	if tried == nil {
		return err // somebody else's, stale
	}
	if err == nil {
		delete(g.locks, id)
	}
	select {
	case <-tried:
	default:
		close(tried)
	}
	return err
}

// awaitRelease returns once the engine has tried to remove its locks, which it
// does in a goroutine of its own.
func (g *guard) awaitRelease(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*g.patience)
	defer cancel()
	for _, tried := range g.held() {
		select {
		case <-tried:
		case <-ctx.Done():
		}
	}
}

// release removes the locks that are still there.
func (g *guard) release(ctx context.Context) error {
	var errs []error
	for id := range g.held() {
		if err := g.Delete(ctx, storage.StorageResourceLock, id); err != nil {
			errs = append(errs, fmt.Errorf("remove lock %s: %w", id.FormatHex(), err))
		}
	}
	return errors.Join(errs...)
}

func (g *guard) held() map[objects.MAC]chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	held := make(map[objects.MAC]chan struct{}, len(g.locks))
	for id, tried := range g.locks {
		held[id] = tried
	}
	return held
}

// readFailure is the first read that failed, nil when all did or none existed.
func (g *guard) readFailure() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.unread
}

func (g *guard) lockVanished() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	vanished := g.lockLost
	g.lockLost = false
	return vanished
}

func (g *guard) hasStored(packfile objects.MAC) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, ok := g.stored[packfile]
	return ok
}

// first keeps the root cause.
func first(old, err error) error {
	if old != nil {
		return old
	}
	return err
}
