package s3kloset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/PlakarKorp/kloset/caching"
	"github.com/PlakarKorp/kloset/kcontext"
	"github.com/PlakarKorp/kloset/logging"
	"github.com/PlakarKorp/kloset/objects"
	"github.com/PlakarKorp/kloset/repository"
)

// The engine ties a repository to one context for life, and a cancelled one
// stays cancelled. It also opens a database that it never closes. To open the
// repository once for every operation would therefore leak; to open it once
// and for all would let one cancelled operation end all others. Hence
// sessions: each holds a repository that is opened once, one operation uses it
// at a time, and its context is a relay to that of the operation.

// session is one opening of the repository. Its owner keeps it for the next
// operation.
type session struct {
	relay    *relay
	guard    *guard
	template *repository.Repository
	state    *mergedState
	folder   string // the engine's folder of states
}

// newSession opens the repository, without any request.
func (r *Repository) newSession() (*session, error) {
	s := &session{relay: newRelay(), guard: newGuard(r.store)}
	kctx := r.newContext(s.relay)
	template, err := repository.NewNoRebuild(kctx, r.key, s.guard, r.config, false)
	if err != nil {
		return nil, fmt.Errorf("%w: configuration: %w", ErrDamaged, err)
	}
	s.template = template
	s.folder = filepath.Join(r.cache, caching.CACHE_VERSION, "store", template.Configuration().RepositoryID.String())
	if s.state, err = newMergedState(s.folder); err != nil {
		return nil, fmt.Errorf("open local state: %w", err)
	}
	return s, nil
}

// newContext makes the context that the engine keeps. What it says of this
// machine ends up in snapshots; a command line may hold secrets and does not.
func (r *Repository) newContext(ctx *relay) *kcontext.KContext {
	kctx := kcontext.NewKContext()
	kctx.Context, kctx.Cancel = ctx, ctx.cancel
	kctx.Stdin, kctx.Stdout, kctx.Stderr = strings.NewReader(""), io.Discard, io.Discard
	kctx.Hostname, _ = os.Hostname()
	kctx.OperatingSystem, kctx.Architecture = runtime.GOOS, runtime.GOARCH
	kctx.ProcessID = os.Getpid()
	kctx.Client = "s3kloset"
	kctx.CWD = "/"
	kctx.CacheDir = r.cache
	kctx.MaxConcurrency = r.concurrency
	kctx.SetCache(r.caches)
	log := engineLog{r.logger}
	kctx.SetLogger(logging.NewLogger(log, log))
	return kctx
}

// operation is one use of a session.
type operation struct {
	*session
	owner  *Repository
	caller context.Context
	ctx    context.Context // ends with the caller's, with the handle, and when the engine gives up
	cancel context.CancelCauseFunc
	repo   *repository.Repository
	free   func() // takes the operation off the handle's life
}

// begin starts an operation with an up-to-date view of the store. Whoever
// calls it must call end.
func (r *Repository) begin(ctx context.Context) (*operation, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s, err := r.checkOut()
	if err != nil {
		return nil, err
	}
	op := &operation{session: s, owner: r, caller: ctx}
	op.ctx, op.cancel = context.WithCancelCause(ctx)
	stop := context.AfterFunc(r.life, func() { op.cancel(ErrClosed) })
	op.free = func() { stop() }
	s.guard.begin()
	s.relay.point(op.ctx, op.cancel)
	if err := op.refresh(); err != nil {
		op.end()
		return nil, op.explain(err)
	}
	return op, nil
}

// end returns the session. It may be called once.
func (op *operation) end() {
	op.cancel(errOperationOver)
	op.free()
	op.relay.rest()
	op.owner.checkIn(op.session)
}

// doubt makes a store that reads ahead let go of what it holds, because what
// came out of it was wrong: bytes that were damaged on their way may be sound
// where they are stored. It tells whether another try is worth it.
func (op *operation) doubt() bool {
	store, ok := op.owner.store.(interface{ doubt() })
	if !ok || op.ctx.Err() != nil || op.guard.readFailure() != nil {
		return false
	}
	store.doubt()
	return true
}

var errOperationOver = errors.New("operation is over")

// refresh merges what others, and this handle, have published.
func (op *operation) refresh() error {
	if err := op.owner.merging.Acquire(op.ctx, 1); err != nil {
		return err
	}
	defer op.owner.merging.Release(1)
	before, err := op.state.GetStates()
	if err != nil {
		return fmt.Errorf("read local state: %w", err)
	}
	if err := op.merge(); err != nil {
		return err
	}
	after, err := op.state.GetStates()
	if err != nil {
		return fmt.Errorf("read local state: %w", err)
	}
	if len(after) == len(before) {
		return nil
	}
	// After a merge the engine would write its next state as a sibling of the
	// newest, and siblings may be merged in the wrong order elsewhere. With
	// nothing left to merge it makes the newest its parent.
	return op.merge()
}

func (op *operation) merge() error {
	// A copy for each operation: the engine keeps the merged state in its
	// repository, and a straggler of the last operation may still look at it.
	repo := *op.template
	op.repo = &repo
	if err := op.repo.RebuildStateWithCache(op.state); err != nil {
		return fmt.Errorf("read repository states: %w", err)
	}
	return nil
}

// ingest merges the state that this operation has just published.
func (op *operation) ingest(id objects.MAC) error {
	if err := op.owner.merging.Acquire(op.ctx, 1); err != nil {
		return err
	}
	defer op.owner.merging.Release(1)
	if err := op.repo.IngestStateFile(id); err != nil {
		return fmt.Errorf("merge the new state: %w", err)
	}
	return nil
}

// discard removes the local copy of a state that was not published. The
// engine leaves it behind.
func (op *operation) discard(id objects.MAC) {
	_ = os.Remove(filepath.Join(op.folder, id.FormatHex()+".state"))
}

// interrupted tells why the operation must not go on, or nil.
func (op *operation) interrupted() error {
	if err := op.caller.Err(); err != nil {
		if cause := context.Cause(op.caller); !errors.Is(cause, err) {
			return fmt.Errorf("%w: %w", err, cause)
		}
		return err
	}
	if op.ctx.Err() != nil {
		return context.Cause(op.ctx)
	}
	return nil
}

// explain prefers the reason for an interruption to the error it caused.
func (op *operation) explain(err error) error {
	if err == nil || errors.Is(err, ErrIncomplete) {
		return err
	}
	if reason := op.interrupted(); reason != nil && !errors.Is(reason, errOperationOver) {
		return reason
	}
	return err
}

// relay is a context that stands for another one, which changes. Between
// operations it is cancelled.
type relay struct{ current atomic.Pointer[scope] }

type scope struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
}

func newRelay() *relay {
	r := &relay{}
	r.rest()
	return r
}

func (r *relay) point(ctx context.Context, cancel context.CancelCauseFunc) {
	r.current.Store(&scope{ctx, cancel})
}

func (r *relay) rest() {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errOperationOver)
	r.point(ctx, cancel)
}

func (r *relay) cancel(cause error)          { r.current.Load().cancel(cause) }
func (r *relay) Deadline() (time.Time, bool) { return r.current.Load().ctx.Deadline() }
func (r *relay) Done() <-chan struct{}       { return r.current.Load().ctx.Done() }
func (r *relay) Err() error                  { return r.current.Load().ctx.Err() }
func (r *relay) Value(key any) any           { return r.current.Load().ctx.Value(key) }

// engineLog hands what the engine prints to a slog.Logger.
type engineLog struct{ to *slog.Logger }

// Write gets one message. It begins with its level.
func (l engineLog) Write(p []byte) (int, error) {
	text := strings.TrimSpace(string(p))
	level := slog.LevelDebug
	if word, rest, ok := strings.Cut(text, ": "); ok {
		switch word {
		case "warn":
			level, text = slog.LevelWarn, rest
		case "error":
			level, text = slog.LevelError, rest
		case "info":
			level, text = slog.LevelInfo, rest
		}
	}
	l.to.Log(context.Background(), level, text, "component", "kloset")
	return len(p), nil
}
