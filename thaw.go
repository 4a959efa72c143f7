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

// ThawReport tells what stands between a snapshot and its restore.
type ThawReport struct {
	Snapshot  string `json:"snapshot"`
	Packfiles int    `json:"packfiles"` // that the snapshot needs
	Archived  int    `json:"archived"`  // of them, that cannot be read yet
	Bytes     int64  `json:"bytes"`     // of the archived ones
	Requested int    `json:"requested"` // asked for by this call; the rest was under way

	Tier ArchiveTier `json:"tier"`
	Days int         `json:"days"`
	// Expected is how long the archived packfiles take at most, as S3 says.
	Expected time.Duration `json:"expected_ns"`
	Waited   bool          `json:"waited"` // all of them can be read now
}

// ThawOption sets one thing of Thaw.
type ThawOption func(*thaw)

// WithDryRun only counts, and asks for nothing.
func WithDryRun() ThawOption { return func(t *thaw) { t.dry = true } }

// WithWait returns when everything can be read, which takes minutes to days.
func WithWait() ThawOption { return func(t *thaw) { t.wait = true } }

// retrievals is how long a copy takes at most, by class and tier.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects-retrieval-options.html
var retrievals = map[string]map[ArchiveTier]time.Duration{
	"GLACIER":      {TierExpedited: 5 * time.Minute, TierStandard: 5 * time.Hour, TierBulk: 12 * time.Hour},
	"DEEP_ARCHIVE": {TierStandard: 12 * time.Hour, TierBulk: 48 * time.Hour},
}

// Thaw asks S3 to make exactly those packfiles readable, for a number of days,
// that a snapshot needs and that lie in an archive class; Restore then works.
// The snapshot is named as in Restore. The repository must be in a *Store;
// elsewhere the error is errors.ErrUnsupported. A tier that the class of a packfile
// does not have is ErrInvalidOption.
//
// Asking again is harmless: what is under way, or there, is not paid twice.
func (r *Repository) Thaw(ctx context.Context, snapshot string, tier ArchiveTier, days int, opts ...ThawOption) (*ThawReport, error) {
	if !tier.valid() || days < 1 {
		return nil, invalid("thaw", "tier %q for %d days cannot be asked for", tier, days)
	}
	store, ok := r.store.(*Store)
	if !ok {
		return nil, fmt.Errorf("thaw: repository is not in S3: %w", errors.ErrUnsupported)
	}
	op, err := r.begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("thaw: %w", err)
	}
	defer op.end()
	t := &thaw{store: store, policy: ArchiveRestore(tier, days), report: ThawReport{Tier: tier, Days: days}}
	for _, opt := range opts {
		if opt != nil {
			opt(t)
		}
	}
	needed, err := op.packfilesOf(snapshot)
	if err == nil {
		t.report.Snapshot, t.report.Packfiles = needed.snapshot, len(needed.packfiles)
		err = t.run(op.ctx, needed.packfiles)
	}
	if err != nil {
		return nil, fmt.Errorf("thaw: %w", op.explain(err))
	}
	return &t.report, nil
}

// thaw is one run of Thaw.
type thaw struct {
	store     *Store
	policy    ArchivePolicy
	dry, wait bool

	mu     sync.Mutex
	report ThawReport
}

// run asks for every packfile before it waits for the first.
func (t *thaw) run(ctx context.Context, packfiles []objects.MAC) error {
	var waiting []string
	err := t.each(ctx, packfiles, func(ctx context.Context, id objects.MAC) error {
		key, a, err := t.store.headPackfile(ctx, id)
		if err != nil {
			return err
		}
		state := a.Archive()
		if state == bucket.Readable || state == bucket.Thawed {
			return nil
		}
		if times, known := retrievals[a.StorageClass]; known && times[t.policy.tier] == 0 {
			return invalid("thaw", "class %s has no tier %s", a.StorageClass, t.policy.tier)
		}
		ask := state == bucket.Archived && !t.dry
		if ask {
			if err := t.store.bucket.client.Thaw(ctx, key, a, string(t.policy.tier), t.policy.days); err != nil {
				return err
			}
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		waiting = append(waiting, key)
		t.count(a, ask)
		return nil
	})
	if err != nil || !t.wait || t.dry {
		return err
	}
	for _, key := range waiting {
		if err := t.store.bucket.thawed(ctx, t.policy, key, bucket.Attributes{}, fmt.Errorf("%q: %w", key, ErrArchived)); err != nil {
			return err
		}
	}
	t.report.Waited = true
	return ctx.Err()
}

func (t *thaw) each(ctx context.Context, packfiles []objects.MAC, do func(context.Context, objects.MAC) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(t.store.bucket.cfg.concurrency)
	for _, id := range packfiles {
		group.Go(func() error { return do(ctx, id) })
	}
	return group.Wait()
}

func (t *thaw) count(a bucket.Attributes, asked bool) {
	t.report.Archived++
	t.report.Bytes += a.Size
	if asked {
		t.report.Requested++
	}
	t.report.Expected = max(t.report.Expected, retrievals[a.StorageClass][t.policy.tier])
}

// thawAhead asks for copies of all packfiles in the archive that a snapshot needs,
// where the policy of the store is to wait for them: so that hours are waited once,
// and not for one packfile after the other. What is wrong with the snapshot or
// with a packfile shows when it is read.
func (op *operation) thawAhead(snapshot string) error {
	store, ok := op.owner.store.(*Store)
	if !ok || store.bucket.cfg.archive.action != archiveRestore {
		return nil
	}
	needed, err := op.packfilesOf(snapshot)
	if err != nil {
		return op.interrupted()
	}
	policy := store.bucket.cfg.archive
	t := &thaw{store: store, policy: policy}
	return t.each(op.ctx, needed.packfiles, func(ctx context.Context, id objects.MAC) error {
		key, a, err := store.headPackfile(ctx, id)
		if err == nil && a.Archive() == bucket.Archived {
			err = store.bucket.client.Thaw(ctx, key, a, string(policy.tier), policy.days)
		}
		if isFatal(err) {
			return err
		}
		return ctx.Err()
	})
}

// headPackfile asks for a packfile under either of its names.
func (s *Store) headPackfile(ctx context.Context, id objects.MAC) (string, bucket.Attributes, error) {
	key, err := s.keyOf(storage.StorageResourcePackfile, id)
	if err != nil {
		return "", bucket.Attributes{}, err
	}
	a, err := s.bucket.client.Head(ctx, key, bucket.Pin{})
	if errors.Is(err, ErrNotFound) {
		key += frozenSuffix
		a, err = s.bucket.client.Head(ctx, key, bucket.Pin{})
	}
	return key, a, err
}
