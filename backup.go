package s3kloset

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"time"

	"github.com/PlakarKorp/kloset/caching"
	"github.com/PlakarKorp/kloset/connectors/importer"
	"github.com/PlakarKorp/kloset/objects"
	"github.com/PlakarKorp/kloset/repository"
	"github.com/PlakarKorp/kloset/snapshot"
	"github.com/PlakarKorp/kloset/snapshot/header"
)

// ErrLocked reports that maintenance is under way in the repository.
var ErrLocked = errors.New("repository is locked by maintenance")

// BackupOption sets one thing of a backup. A nil BackupOption is skipped. An
// error wraps ErrInvalidOption.
type BackupOption func(*backupConfig) error

type backupConfig struct {
	name      string
	tags      []string
	parent    string
	full      bool
	failFast  bool
	tolerance int64
}

// WithName names the snapshot. The default is no name.
func WithName(name string) BackupOption {
	return func(c *backupConfig) error { c.name = name; return nil }
}

// WithSnapshotTags tags the snapshot. It adds up.
func WithSnapshotTags(tags ...string) BackupOption {
	return func(c *backupConfig) error { c.tags = append(c.tags, tags...); return nil }
}

// WithParent names the snapshot to compare with, as in Restore. The default
// is the newest of the same importer type, origin and root, or else of a
// folder above that root.
func WithParent(snapshot string) BackupOption {
	return func(c *backupConfig) error {
		if snapshot == "" {
			return invalid("parent", "it is empty")
		}
		c.parent = snapshot
		return nil
	}
}

// WithFullBackup reads every object again. What is stored already is still
// not stored twice.
func WithFullBackup() BackupOption {
	return func(c *backupConfig) error { c.full = true; return nil }
}

// WithFailFast ends the run at the first object that fails. There is no
// snapshot then, and the report has an empty one.
func WithFailFast() BackupOption {
	return func(c *backupConfig) error { c.failFast = true; return nil }
}

// WithTolerance makes a backup with up to n failed objects a success. The
// report has them all the same. The default is 0.
func WithTolerance(n int64) BackupOption {
	return func(c *backupConfig) error {
		if n < 0 {
			return invalid("tolerance", "%d is negative", n)
		}
		c.tolerance = n
		return nil
	}
}

func newBackupConfig(opts []BackupOption) (*backupConfig, error) {
	c := &backupConfig{}
	if err := apply(c, opts); err != nil {
		return nil, err
	}
	if c.full && c.parent != "" {
		return nil, invalid("parent", "it contradicts WithFullBackup")
	}
	return c, nil
}

// Backup reads a source into a new snapshot. What has not changed since the
// last snapshot of the same source is not read again.
//
// Objects that fail do not end the run: the snapshot is kept without them,
// and the report comes together with an error that wraps ErrIncomplete and
// every failure. Any other error means that there is no snapshot, unless the
// report names one: it is complete, then, but could not be verified.
//
// Before it returns, Backup has read the new snapshot's listings back and
// verified that each entry in it, and the content of each, is in a packfile
// that the store has. A snapshot that fails this is deleted again and the
// error is ErrDamaged. Check verifies every byte.
//
// The report is nil if the run did not get as far as reading the source. The
// importer stays the caller's to close.
func (r *Repository) Backup(ctx context.Context, src importer.Importer, opts ...BackupOption) (*BackupReport, error) {
	c, err := newBackupConfig(opts)
	if err != nil {
		return nil, err
	}
	op, err := r.begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("backup: %w", err)
	}
	defer op.end()
	b := &backup{operation: op, config: c, src: src, started: time.Now()}
	report, err := b.run()
	if err != nil {
		err = fmt.Errorf("backup: %w", op.explain(err))
	}
	if report != nil {
		if err != nil && report.Snapshot.ID == "" {
			report.withdraw()
		}
		report.settle(err)
		report.err = err
		err = first(err, report.check())
	}
	return report, err
}

// backup is one run of Backup.
type backup struct {
	*operation
	config  *backupConfig
	src     importer.Importer
	started time.Time

	scratch   *caching.ScanCache
	writer    *repository.RepositoryWriter
	builder   *snapshot.Builder
	published bool

	parent string
	intake *intake
	packs  *packfiles
}

func (b *backup) run() (report *BackupReport, err error) {
	if err := b.open(); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if b.packs, err = b.distrust(); err != nil {
		return nil, err
	}
	b.packs.fresh = b.scratch
	previous, err := b.compare()
	if err != nil {
		return nil, err
	}
	b.prepare(previous)
	if err := b.read(); err != nil {
		return b.report(b.outcome(), Snapshot{}), b.blame(err)
	}
	if err := b.publish(); err != nil {
		return b.report(b.outcome(), Snapshot{}), err
	}
	return b.conclude()
}

// lockTries bounds how often a lock is asked for. Each try fails only if
// another backup ends in the moment between two requests.
const lockTries = 5

// open takes the lock and makes ready to write.
func (b *backup) open() error {
	for try := 1; ; try++ {
		err := b.create()
		if err == nil {
			return nil
		}
		err = errors.Join(err, b.closeScratch(), b.guard.release(b.ctx))
		switch {
		case b.interrupted() != nil || b.guard.readFailure() != nil:
			return err
		case b.guard.lockVanished() && try < lockTries:
			continue
		case b.maintained():
			return fmt.Errorf("%w: %w", ErrLocked, err)
		default:
			return err
		}
	}
}

// create makes the builder from parts, so that the packer is in our hands. The
// engine's own call hides it, and only a commit would end its goroutines.
func (b *backup) create() (err error) {
	id := objects.RandomMAC()
	if b.scratch, err = b.owner.caches.Scan(objects.RandomMAC()); err != nil {
		return fmt.Errorf("open scratch space: %w", err)
	}
	b.writer = b.repo.NewRepositoryWriter(b.scratch, id, repository.DefaultType, b.owner.packs)
	b.builder, err = snapshot.CreateWithRepositoryWriter(b.writer, &snapshot.BuilderOptions{
		Name: b.config.name,
		Tags: b.config.tags,
		// A checkpoint would go on ticking after a run that failed.
		NoCheckpoint: true,
	}, id)
	if err != nil {
		return fmt.Errorf("take the lock: %w", err)
	}
	return nil
}

// maintained tells whether there is a live exclusive lock.
func (b *backup) maintained() bool {
	ids, err := b.repo.GetLocks()
	if err != nil {
		return false
	}
	return slices.ContainsFunc(ids, func(id objects.MAC) bool {
		rd, err := b.repo.GetLock(id)
		if err != nil {
			return false
		}
		defer rd.Close()
		lock, err := repository.NewLockFromStream(rd)
		return err == nil && lock.Exclusive && !lock.IsStale()
	})
}

// close ends what open began: goroutines, lock, scratch space.
func (b *backup) close() error {
	if !b.published {
		b.cancel(errOperationOver) // or the packer would upload what nobody will read
		b.discard(b.builder.Header.Identifier)
	}
	b.writer.PackerManager.Wait()
	err := b.builder.Close()
	b.guard.awaitRelease(b.ctx)
	if err := b.guard.release(b.ctx); err != nil {
		b.owner.logger.Warn("lock stays until Close", "error", err)
	}
	return errors.Join(err, b.closeScratch())
}

func (b *backup) closeScratch() error {
	if b.scratch == nil {
		return nil
	}
	err := b.scratch.Close()
	b.scratch = nil
	return err
}

// compare finds the snapshot to compare with and gives it to the engine. One
// that cannot be read costs time, and is no reason to fail unless the caller
// asked for it.
func (b *backup) compare() (*parent, error) {
	if b.config.full {
		return nil, nil
	}
	id, err := b.findParent()
	if err != nil || id == objects.NilMac {
		return nil, err
	}
	previous, err := b.openParent(id)
	if err != nil {
		if b.config.parent != "" || b.interrupted() != nil {
			return nil, err
		}
		b.owner.logger.Warn("previous snapshot is not readable, everything is read again", "snapshot", id.FormatHex(), "error", err)
		return nil, nil
	}
	b.parent = id.FormatHex()
	b.builder.WithVFSCache(previous.tree)
	return previous, nil
}

func (b *backup) openParent(id objects.MAC) (*parent, error) {
	snap, err := b.load(id)
	if err != nil {
		return nil, err
	}
	tree, err := snap.FilesystemWithCache()
	if err != nil {
		return nil, fmt.Errorf("read snapshot %s: %w", id.FormatHex(), err)
	}
	return &parent{tree: tree, logger: b.owner.logger}, nil
}

func (b *backup) findParent() (objects.MAC, error) {
	if b.config.parent != "" {
		return b.resolve(b.config.parent)
	}
	headers, err := b.headers()
	if err != nil {
		if b.interrupted() != nil {
			return objects.NilMac, err
		}
		b.owner.logger.Warn("some snapshots are not readable", "error", err)
	}
	// A folder above has the same paths, and is what the engine records for a
	// root that is a file.
	for root := b.src.Root(); ; root = path.Dir(root) {
		i := slices.IndexFunc(headers, func(h *header.Header) bool {
			return len(h.Sources) > 0 && h.Sources[0].Importer == header.Importer{
				Type: b.src.Type(), Origin: b.src.Origin(), Directory: root,
			}
		})
		if i >= 0 {
			return headers[i].Identifier, nil
		}
		if root == path.Dir(root) {
			return objects.NilMac, nil
		}
	}
}

// prepare puts the intake before the source.
func (b *backup) prepare(previous *parent) {
	b.intake = newIntake(b.src, b.cancel)
	if t := b.guard.Type(); t == "fs" || t == "ptar" {
		b.intake.forbidden = b.guard.Root()
	}
	if src, ok := b.src.(backupSource); ok {
		run := backupRun{forbidden: b.intake.forbidden, failFast: b.config.failFast}
		if previous != nil {
			run.previous = previous
		}
		src.begin(run)
		return
	}
	b.intake.ledger, b.intake.previous = newLedger(), previous
	if b.config.failFast {
		b.intake.fail = b.cancel
	}
}

// read runs the engine over the source.
func (b *backup) read() error {
	source, err := snapshot.NewSource(b.ctx, b.intake)
	if err != nil {
		return fmt.Errorf("read source: %w", err)
	}
	// When the packer's own workers fail, whoever hands it a blob waits for
	// ever. Only this ends the wait.
	stopped := make(chan struct{})
	stop := context.AfterFunc(b.ctx, func() {
		defer close(stopped)
		b.writer.PackerManager.Wait()
	})
	err = b.builder.Backup(source)
	if !stop() {
		<-stopped
	}
	if err == nil {
		err = b.interrupted()
	}
	return err
}

// blame prefers the failure that ended a run on request to its consequences.
func (b *backup) blame(err error) error {
	o := b.outcome()
	if o.withdraw(); b.config.failFast && o.Failed > 0 && b.caller.Err() == nil {
		return &failureList{what: ErrIncomplete, count: o.Failed, failures: o.Failures}
	}
	return err
}

// publish writes the state, which makes the snapshot visible to all.
func (b *backup) publish() error {
	if err := b.builder.Commit(); err != nil {
		return fmt.Errorf("publish snapshot: %w", err)
	}
	b.published = true
	return nil
}

// conclude looks at what was published and says how the run went.
func (b *backup) conclude() (*BackupReport, error) {
	id := b.builder.Header.Identifier
	described, outcome := describe(b.builder.Header), b.outcome()
	found, err := b.inspect(id, outcome)
	if err != nil {
		err = fmt.Errorf("verify snapshot %s: %w", described.ID, err)
		if errors.Is(err, ErrDamaged) {
			return b.report(outcome, Snapshot{}), errors.Join(err, b.forget(id))
		}
		return b.report(outcome, described), err
	}
	if b.config.failFast && found.Failed > 0 {
		return b.report(found.Outcome, Snapshot{}), errors.Join(found.Err(), b.forget(id))
	}
	described.Errors = found.errors
	return b.report(found.Outcome, described), tolerate(found.Outcome, b.config.tolerance)
}

// inspect merges the new snapshot into what is known, reads it back, and
// settles the accounts with what is in it.
func (b *backup) inspect(id objects.MAC, o Outcome) (*reckoning, error) {
	if err := b.ingest(id); err != nil {
		return nil, err
	}
	snap, err := b.load(id)
	if err != nil {
		return nil, err
	}
	tree, err := snap.Filesystem()
	if err != nil {
		return nil, fmt.Errorf("read listings: %w", err)
	}
	entries, err := b.packs.verify(tree)
	if err != nil {
		return nil, err
	}
	found := &reckoning{Outcome: o, entries: entries}
	_, found.keyed = b.src.(backupSource)
	if err := found.addErrors(tree, b.intake); err != nil {
		return nil, err
	}
	found.close()
	return found, nil
}

// tolerate is the error of a run, nil if no more objects failed than allowed.
func tolerate(o Outcome, allowed int64) error {
	err := o.Err()
	if errors.Is(err, ErrIncomplete) && o.Failed <= allowed {
		return nil
	}
	return err
}

func (b *backup) outcome() Outcome {
	if src, ok := b.src.(backupSource); ok {
		return src.outcome()
	}
	return b.intake.ledger.outcome(nil)
}

func (b *backup) report(o Outcome, s Snapshot) *BackupReport {
	return &BackupReport{Outcome: o, Snapshot: s, Parent: b.parent, Duration: time.Since(b.started)}
}
