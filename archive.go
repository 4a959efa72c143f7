package s3kloset

import (
	"context"
	"errors"
	"time"

	"github.com/s3kloset/s3kloset/internal/bucket"
	"golang.org/x/sync/errgroup"
)

// ArchiveTier is how fast an archived object becomes readable, and at what
// price.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects-retrieval-options.html
type ArchiveTier string

// The tiers of S3. Expedited does not exist for DEEP_ARCHIVE.
const (
	TierExpedited ArchiveTier = "Expedited" // minutes
	TierStandard  ArchiveTier = "Standard"  // 3 to 5 hours; 12 for DEEP_ARCHIVE
	TierBulk      ArchiveTier = "Bulk"      // 5 to 12 hours; 48 for DEEP_ARCHIVE
)

func (t ArchiveTier) valid() bool {
	return t == TierExpedited || t == TierStandard || t == TierBulk
}

// ArchivePolicy says what to do with objects that lie in an archive and cannot
// be read at once: those of the classes GLACIER and DEEP_ARCHIVE, and of the
// archive tiers of INTELLIGENT_TIERING.
type ArchivePolicy struct {
	action archiveAction
	tier   ArchiveTier
	days   int
}

type archiveAction int

const (
	archiveFail archiveAction = iota
	archiveSkip
	archiveRestore
)

var (
	// ArchiveFail reports each such object as failed, with ErrArchived. It is
	// the default.
	ArchiveFail = ArchivePolicy{action: archiveFail}
	// ArchiveSkip leaves them out of a backup and counts them, as skipped and
	// as WarnArchived.
	ArchiveSkip = ArchivePolicy{action: archiveSkip}
)

// ArchiveRestore asks S3 for copies that can be read for a number of days, and
// waits for them, which takes minutes to days. A backup asks for all that it
// needs before it reads the first object. So do a Check, and a Restore of a whole
// snapshot, from a store with this policy; a Restore of a part asks for each
// packfile when it comes to it, and Repository.Thaw first saves waiting for one
// after the other.
func ArchiveRestore(tier ArchiveTier, days int) ArchivePolicy {
	return ArchivePolicy{archiveRestore, tier, days}
}

// WithArchive says what to do with archived objects of a source, and with
// archived packfiles of a store; skipping makes no sense for the latter and
// fails like ArchiveFail. An unchanged object is not read and needs no policy.
// A tier that the class of WithStorageClass does not have is refused.
func WithArchive(policy ArchivePolicy) Option {
	return func(c *config) error {
		if policy.action == archiveRestore && (!policy.tier.valid() || policy.days < 1) {
			return invalid("archive", "tier %q for %d days cannot be asked for", policy.tier, policy.days)
		}
		c.archive = policy
		return nil
	}
}

// Copies of archived objects take minutes to days: looking more often than
// these only costs requests.
const (
	firstThawPoll = 30 * time.Second
	lastThawPoll  = 5 * time.Minute
)

// thawed makes an object readable and waits until it is, if that is the
// policy. Else it returns archived, the error that the object caused.
func (b *Bucket) thawed(ctx context.Context, policy ArchivePolicy, key string, a bucket.Attributes, archived error) error {
	if policy.action != archiveRestore {
		return archived
	}
	asked := false
	for wait := b.cfg.thawPoll; ; wait = min(wait*2, lastThawPoll) {
		a, err := b.client.Head(ctx, key, bucket.Pin{ETag: a.ETag, VersionID: a.VersionID})
		if err != nil {
			return err
		}
		switch a.Archive() {
		case bucket.Readable, bucket.Thawed:
			return nil
		case bucket.Archived:
			if asked {
				// Gone again before we looked, or refused without a word.
				return archived
			}
			if err := b.client.Thaw(ctx, key, a, string(policy.tier), policy.days); err != nil {
				return err
			}
			asked = true
			continue
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
}

// errLeftOut marks an archived object that the policy leaves out.
var errLeftOut = errors.New("archived object is left out")

// unarchive applies the policy to an object of a source. Without an error the
// object can be read now.
func (w *walk) unarchive(ctx context.Context, o *object, a bucket.Attributes, archived error) error {
	if w.source.bucket.cfg.archive.action == archiveSkip {
		return errLeftOut
	}
	return w.source.bucket.thawed(ctx, w.source.bucket.cfg.archive, o.entry.Key, a, archived)
}

// thawAhead asks for copies of all archived objects that will be read, so that
// the waiting is done once and not for one object after the other. Objects
// that cannot be had are reported when it is their turn.
func (w *walk) thawAhead(ctx context.Context) error {
	b := w.source.bucket
	if b.cfg.archive.action != archiveRestore {
		return nil
	}
	known := w.source.recollect(w.limits.previous)
	defer known.close(b, false)
	asking, ctx := errgroup.WithContext(ctx)
	asking.SetLimit(b.cfg.concurrency)
	list := func() error {
		for entry, err := range b.client.List(ctx, bucket.Range{Prefix: b.location.prefix, Unordered: b.cfg.source.unordered}) {
			if err != nil {
				return err
			}
			if !bucket.InArchive(entry.StorageClass) || !b.holds(entry.Key) || !b.cfg.source.wants(b.below(entry.Key)) {
				continue
			}
			if _, same := known.recall(entry, pathOfKey(entry.Key, false)); same {
				continue
			}
			asking.Go(func() error {
				a := bucket.Attributes{StorageClass: entry.StorageClass}
				err := b.client.Thaw(ctx, entry.Key, a, string(b.cfg.archive.tier), b.cfg.archive.days)
				if isFatal(err) {
					return err
				}
				return ctx.Err()
			})
		}
		return ctx.Err()
	}
	listed := list()
	if err := asking.Wait(); err != nil {
		return err
	}
	return listed
}
