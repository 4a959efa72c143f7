package s3kloset

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/PlakarKorp/kloset/connectors"
	"github.com/PlakarKorp/kloset/connectors/exporter"
	"github.com/PlakarKorp/kloset/objects"
	"github.com/PlakarKorp/kloset/snapshot/vfs"
)

// RestoreOption sets one thing of a restore. A nil RestoreOption is skipped.
// An error wraps ErrInvalidOption.
type RestoreOption func(*restoreConfig) error

type restoreConfig struct{ path string }

// WithPath restores one folder with all below it, or one file. A path that
// begins with a slash is one of the snapshot, any other counts from the root
// of the source; the default is that root. It is written as in the snapshot:
// the object key, escaped where a key cannot be a path. What is restored lands
// directly in the target: the name of the folder is not repeated there.
func WithPath(path string) RestoreOption {
	return func(c *restoreConfig) error {
		if path == "" {
			return invalid("path", "it is empty")
		}
		c.path = path
		return nil
	}
}

// Restore writes a snapshot, or a part of it, to an exporter. The snapshot is
// named by its identifier or a prefix that only it has; "latest" and "" are
// the newest. Every body is verified on its way.
//
// Objects that fail do not end the run: the report then comes with an error
// that wraps ErrIncomplete and every failure. A path that the snapshot does
// not have is ErrNotFound. The report is nil if the run did not get as far as
// the exporter, which stays the caller's to close.
func (r *Repository) Restore(ctx context.Context, snapshot string, dst exporter.Exporter, opts ...RestoreOption) (*RestoreReport, error) {
	c := &restoreConfig{}
	if err := apply(c, opts); err != nil {
		return nil, err
	}
	op, err := r.begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("restore: %w", err)
	}
	defer op.end()
	run := &restore{operation: op, dst: dst, links: make(map[string]struct{}), ledger: newLedger(), started: time.Now()}
	if err := run.open(snapshot, c.path); err != nil {
		return nil, fmt.Errorf("restore: %w", op.owner.lost.explain(op.explain(err)))
	}
	return run.report(run.export())
}

// restore is one run of Restore. It walks the snapshot by itself: the engine's
// own export calls a run a success when it was cancelled half-way, and when it
// could not read a folder.
type restore struct {
	*operation
	dst     exporter.Exporter
	started time.Time

	source Snapshot
	tree   *vfs.Filesystem
	root   *vfs.Entry
	whole  bool                // all of the snapshot is asked for
	sent   int64               // entries, without folders
	lost   bool                // a folder could not be read
	links  map[string]struct{} // sent so far
	ledger *ledger             // of what the exporter does not count
}

// open finds the snapshot and what is to be restored of it.
func (r *restore) open(name, where string) error {
	id, err := r.resolve(name)
	if err != nil {
		return err
	}
	if _, err := r.distrust(); err != nil {
		return err
	}
	snap, err := r.load(id)
	if err != nil {
		return err
	}
	r.source = describe(snap.Header)
	if r.tree, err = snap.Filesystem(); err != nil {
		return fmt.Errorf("read snapshot %s: %w", r.source.ID, err)
	}
	if !strings.HasPrefix(where, "/") {
		where = path.Join("/", r.source.Root, where)
	}
	// Records of our sources are all below the root, those of others need not be.
	r.whole = where == "/" || where == r.source.Root && r.source.SourceType == Scheme
	r.root, err = r.tree.GetEntryNoFollow(where)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %q in snapshot %s", ErrNotFound, where, r.source.ID)
	}
	if err != nil {
		return fmt.Errorf("read %q of snapshot %s: %w", where, r.source.ID, err)
	}
	if r.whole {
		// A part must not pay for packfiles that it does not read.
		return r.thawAhead(r.source.ID)
	}
	return nil
}

// export runs the exporter over the records. When it returns, nothing is left
// running, whatever the exporter does.
func (r *restore) export() error {
	var (
		buffer   = 2 * r.owner.concurrency
		records  = make(chan *connectors.Record, buffer)
		results  = make(chan *connectors.Result, buffer)
		returned = make(chan struct{})
		walked   error
		wg       sync.WaitGroup
	)
	wg.Go(func() {
		defer close(records)
		walked = r.walk(records, returned)
	})
	wg.Go(func() { r.collect(results, returned) })
	err := r.dst.Export(r.ctx, records, results)
	close(returned)
	for record := range records {
		_ = record.Close() // nobody has read it
	}
	wg.Wait()
	if reason := r.interrupted(); reason != nil {
		return reason
	}
	if err != nil && !errors.Is(err, ErrIncomplete) {
		return err
	}
	return walked
}

var (
	errDeserted  = errors.New("exporter returned before the last record")
	errNoAnswer  = errors.New("exporter did not say what became of them")
	errBelowLink = errors.New("path leads through a symbolic link")
)

// walk sends a record for each entry, folders before what is in them. Nobody
// needs attributes of their own: those of an object are in its record.
func (r *restore) walk(records chan<- *connectors.Record, returned <-chan struct{}) error {
	send := func(record *connectors.Record) error {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		select {
		case records <- record:
			return nil
		case <-r.ctx.Done():
			return r.ctx.Err()
		case <-returned:
			return errDeserted
		}
	}
	if !r.root.IsDir() {
		if err := send(connectors.NewRecord("/", "", rootInfo(), nil, noBody)); err != nil {
			return err
		}
		return send(r.record(soloPath(r.root), r.root))
	}
	above := strings.TrimSuffix(r.root.Path(), "/")
	err := r.tree.WalkDir(r.root.Path(), func(name string, entry *vfs.Entry, err error) error {
		if err != nil {
			if r.ctx.Err() != nil {
				return r.ctx.Err()
			}
			r.lose(name, fmt.Errorf("read folder: %w", err))
			return nil
		}
		name = strings.TrimPrefix(name, above)
		if name == "" {
			name = "/"
		}
		if r.belowLink(name) {
			r.lose(name, errBelowLink)
			return nil
		}
		if entry.Type()&fs.ModeSymlink != 0 {
			r.links[name] = struct{}{}
		}
		return send(r.record(name, entry))
	})
	// Listings are not verified by the engine, and one of a repository that is
	// neither encrypted nor compressed may be short and still be read.
	if missing := r.source.Objects - r.sent; err == nil && r.whole && !r.lost && missing > 0 {
		r.lose("/", fmt.Errorf("%w: listings lack %d of %d objects", ErrDamaged, missing, r.source.Objects))
	}
	return err
}

// belowLink tells whether a path would be written through a link that comes
// from the snapshot itself, and so to anywhere.
func (r *restore) belowLink(name string) bool {
	for parent := path.Dir(name); len(r.links) > 0 && parent != "/"; parent = path.Dir(parent) {
		if _, linked := r.links[parent]; linked {
			return true
		}
	}
	return false
}

// lose counts a folder whose content is out of reach. How much that is cannot
// be known.
func (r *restore) lose(name string, err error) {
	r.lost = true
	r.ledger.listed()
	r.ledger.failed(name, err)
}

// soloPath is the path of a file that is restored by itself. The object that
// is named by a folder has a name only together with that folder.
func soloPath(entry *vfs.Entry) string {
	name := entry.Name()
	if name == folderObject && ours(entry.ExtendedAttributes) {
		name = path.Base(entry.ParentPath)
	}
	return "/" + name
}

// rootInfo describes the folder above a file that is restored by itself.
func rootInfo() objects.FileInfo {
	return objects.NewFileInfo("/", 0, folderMode, time.Unix(0, 0).UTC(), 0, 0, 0, 0, 1)
}

func (r *restore) record(name string, entry *vfs.Entry) *connectors.Record {
	if !entry.IsDir() {
		r.sent++
	}
	if _, counted := r.dst.(restoreTarget); !counted && !entry.IsDir() {
		r.ledger.listed()
	}
	record := connectors.NewRecord(name, entry.SymlinkTarget, entry.FileInfo, entry.ExtendedAttributes, noBody)
	if entry.Type().IsRegular() {
		record.Reader = &entryReader{operation: r.operation, tree: r.tree, entry: entry}
	}
	return record
}

// collect takes the answers until there are no more, and enters them for an
// exporter without accounts of its own.
func (r *restore) collect(results <-chan *connectors.Result, returned <-chan struct{}) {
	for {
		select {
		case result, open := <-results:
			if !open {
				return
			}
			r.settle(result)
			continue
		case <-returned:
		}
		// An exporter that does not close its channel has sent all by now.
		for {
			select {
			case result, open := <-results:
				if !open {
					return
				}
				r.settle(result)
			default:
				return
			}
		}
	}
}

// settle enters an answer. A body that could not be read has failed even if
// the exporter is content with less.
func (r *restore) settle(result *connectors.Result) {
	if _, counted := r.dst.(restoreTarget); counted || result == nil {
		return
	}
	record := &result.Record
	if record.IsXattr || record.FileInfo.IsDir() {
		if result.Err != nil {
			r.ledger.listed()
			r.ledger.failed(record.Pathname, result.Err)
		}
		return
	}
	err, size := result.Err, int64(0)
	if reader, ok := record.Reader.(*entryReader); ok {
		size = reader.bytes.Load()
		if failure := reader.failure(); err == nil && failure != nil {
			err = failure
		}
	}
	if err != nil {
		r.ledger.failed(record.Pathname, err)
		return
	}
	r.ledger.stored(size)
}

// report closes the accounts. err is why the run ended early, if it did.
func (r *restore) report(err error) (*RestoreReport, error) {
	outcome, silence := r.ledger.outcome(nil), errNoAnswer
	if target, counted := r.dst.(restoreTarget); counted {
		outcome, silence = target.outcome().plus(outcome), nil
	}
	if err != nil {
		outcome.withdraw()
	}
	outcome.settle(first(err, silence))
	lost := outcome.Err()
	switch {
	case r.interrupted() != nil:
	case err == nil || errors.Is(lost, err):
		err = lost
	case lost != nil:
		err = errors.Join(err, lost)
	}
	if err != nil {
		err = fmt.Errorf("restore: %w", r.owner.lost.explain(err))
	}
	return &RestoreReport{Outcome: outcome, Snapshot: r.source, Duration: time.Since(r.started), err: err}, err
}
