package s3kloset

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/PlakarKorp/kloset/objects"
	"github.com/s3kloset/s3kloset/internal/bucket"
	"golang.org/x/sync/errgroup"
)

// LockMode is how firmly Object Lock keeps an object.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html
type LockMode string

const (
	// Governance can be lifted by those who have a special permission.
	Governance LockMode = "GOVERNANCE"
	// Compliance can be lifted by nobody, the owner of the account included.
	Compliance LockMode = "COMPLIANCE"
)

// ErrRetained reports an object that Object Lock keeps from being deleted.
// A *RetainedError tells until when.
var ErrRetained = errors.New("object is under retention")

// RetainedError is the refusal to delete an object before its time.
type RetainedError struct {
	Key   string
	Mode  LockMode
	Until time.Time
}

func (e *RetainedError) Error() string {
	return fmt.Sprintf("delete %q: %v (%s) until %s", e.Key, ErrRetained, e.Mode, e.Until.UTC().Format(time.RFC3339))
}

// Unwrap makes errors.Is find ErrRetained.
func (e *RetainedError) Unwrap() error { return ErrRetained }

// WithObjectLock makes a Store put a retention of period, counted from its
// writing, on the configuration and on each packfile and state. Locks are
// exempt: they must go. The bucket must have been made with Object Lock.
//
// What Kloset's maintenance removes stays until its time has come: Delete is
// then a *RetainedError. Renew what is still wanted with
// Repository.ExtendRetention.
func WithObjectLock(mode LockMode, period time.Duration) Option {
	return func(c *config) error {
		if mode != Governance && mode != Compliance {
			return invalid("object_lock", "mode %q is neither GOVERNANCE nor COMPLIANCE", mode)
		}
		if period < time.Second {
			return invalid("object_lock", "period %v is less than a second", period)
		}
		c.store.lockMode, c.store.lockPeriod = mode, period
		return nil
	}
}

// remove deletes a packfile or a state. In a bucket with Object Lock it looks
// first: a delete would only hide the object, and its space would never be
// freed.
func (s *Store) remove(ctx context.Context, key string) error {
	client := s.bucket.client
	if s.bucket.cfg.store.lockMode == "" {
		return client.Delete(ctx, key)
	}
	there, err := client.Head(ctx, key, bucket.Pin{})
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case err != nil:
		return err
	case there.LockUntil.After(time.Now()):
		return &RetainedError{Key: key, Mode: LockMode(there.LockMode), Until: there.LockUntil}
	case there.LegalHold == "ON":
		return fmt.Errorf("delete %q: %w by a legal hold", key, ErrRetained)
	case there.VersionID == "":
		return client.Delete(ctx, key)
	}
	return client.DeleteVersion(ctx, key, there.VersionID)
}

// extend renews the retention of an object unless it lasts longer already.
func (s *Store) extend(ctx context.Context, key string, mode LockMode, until time.Time) (extended bool, err error) {
	there, err := s.bucket.client.Head(ctx, key, bucket.Pin{})
	if err != nil {
		return false, err
	}
	if !there.LockUntil.Before(until.Truncate(time.Second)) {
		return false, nil
	}
	if there.LockMode == string(Compliance) {
		mode = Compliance // it cannot be weakened
	}
	return true, s.bucket.client.Retain(ctx, key, there.VersionID, string(mode), until)
}

// extendPackfile does the same for a packfile under either of its names.
func (s *Store) extendPackfile(ctx context.Context, id objects.MAC, mode LockMode, until time.Time) (bool, error) {
	key, err := s.keyOf(storage.StorageResourcePackfile, id)
	if err != nil {
		return false, err
	}
	extended, err := s.extend(ctx, key, mode, until)
	if errors.Is(err, ErrNotFound) {
		return s.extend(ctx, key+frozenSuffix, mode, until)
	}
	return extended, err
}

// RetentionReport tells what ExtendRetention did.
type RetentionReport struct {
	Snapshot string    `json:"snapshot"`
	Objects  int       `json:"objects"`  // that the snapshot needs
	Extended int       `json:"extended"` // the rest lasts longer already
	Until    time.Time `json:"until"`
}

// ExtendRetention keeps everything that a snapshot needs from being deleted
// for a period from now: its packfiles, all states, and the configuration.
// What lasts longer is left as it is; nothing is shortened. The snapshot is
// named as in Restore. The repository must be in a *Store made with
// WithObjectLock; elsewhere the error is errors.ErrUnsupported.
func (r *Repository) ExtendRetention(ctx context.Context, snapshot string, period time.Duration) (*RetentionReport, error) {
	store, ok := r.store.(*Store)
	if !ok || store.bucket.cfg.store.lockMode == "" {
		return nil, fmt.Errorf("extend retention: store has no object lock: %w", errors.ErrUnsupported)
	}
	if period <= 0 {
		return nil, invalid("period", "%v is not positive", period)
	}
	op, err := r.begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("extend retention: %w", err)
	}
	defer op.end()
	report := &RetentionReport{Until: time.Now().Add(period).UTC()}
	needed, err := op.packfilesOf(snapshot)
	if err == nil {
		report.Snapshot = needed.snapshot
		err = report.extend(op.ctx, store, needed.packfiles)
	}
	if err != nil {
		return nil, fmt.Errorf("extend retention: %w", op.explain(err))
	}
	return report, nil
}

func (r *RetentionReport) extend(ctx context.Context, store *Store, packfiles []objects.MAC) error {
	states, err := store.List(ctx, storage.StorageResourceState)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(store.bucket.cfg.concurrency)
	mode := store.bucket.cfg.store.lockMode
	one := func(extend func() (bool, error)) {
		r.Objects++
		group.Go(func() error {
			extended, err := extend()
			mu.Lock()
			defer mu.Unlock()
			if extended && err == nil {
				r.Extended++
			}
			return err
		})
	}
	one(func() (bool, error) { return store.extend(ctx, store.bucket.key(configName), mode, r.Until) })
	for _, id := range states {
		key, err := store.keyOf(storage.StorageResourceState, id)
		if err != nil {
			return errors.Join(err, group.Wait())
		}
		one(func() (bool, error) { return store.extend(ctx, key, mode, r.Until) })
	}
	for _, id := range packfiles {
		one(func() (bool, error) { return store.extendPackfile(ctx, id, mode, r.Until) })
	}
	return group.Wait()
}
