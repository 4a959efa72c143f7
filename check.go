package s3kloset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/PlakarKorp/kloset/btree"
	"github.com/PlakarKorp/kloset/iterator"
	"github.com/PlakarKorp/kloset/objects"
	"github.com/PlakarKorp/kloset/resources"
	"github.com/PlakarKorp/kloset/snapshot"
	"github.com/PlakarKorp/kloset/snapshot/vfs"
	"golang.org/x/sync/errgroup"
)

// Check reads a whole snapshot, named as in Restore, and verifies it: every
// listing of a folder, every entry, every attribute and every byte of content.
// Damage is ErrDamaged, with the paths that are concerned and the packfiles that
// the store does not have. A store that cannot
// be read is another error: it says nothing about the snapshot.
func (r *Repository) Check(ctx context.Context, snapshot string) error {
	op, err := r.begin(ctx)
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	defer op.end()
	if err := op.check(snapshot); err != nil {
		return fmt.Errorf("check: %w", op.owner.lost.explain(op.explain(err)))
	}
	return nil
}

func (op *operation) check(name string) error {
	id, err := op.resolve(name)
	if err != nil {
		return op.diagnose(err)
	}
	if _, err := op.distrust(); err != nil {
		return err
	}
	snap, err := op.load(id)
	if err != nil {
		return op.diagnose(err)
	}
	if err := op.thawAhead(id.FormatHex()); err != nil {
		return err
	}
	tree, err := snap.Filesystem()
	if err != nil {
		return op.diagnose(fmt.Errorf("read snapshot %s: %w", id.FormatHex(), err))
	}
	indexes, err := openIndexes(snap)
	if err != nil {
		return op.diagnose(fmt.Errorf("read snapshot %s: %w", id.FormatHex(), err))
	}
	return op.examine(tree, indexes)
}

// index is a tree of the engine that leads from paths to blobs.
type (
	index = btree.BTree[string, objects.MAC, objects.MAC]
	node  = btree.Node[string, objects.MAC, objects.MAC]
)

// indexes are those of a snapshot beside its tree of paths. Those that another
// version of the engine did not make are nil.
type indexes struct{ listings, summaries, contentTypes *index }

func openIndexes(snap *snapshot.Snapshot) (all indexes, err error) {
	for _, open := range []struct {
		to    **index
		index func() (*index, error)
	}{{&all.listings, snap.DirPack}, {&all.summaries, snap.SummaryIdx}, {&all.contentTypes, snap.ContentTypeIdx}} {
		if *open.to, err = open.index(); err != nil {
			return indexes{}, err
		}
	}
	return all, nil
}

// diagnose tells damage from a store that cannot be read.
func (op *operation) diagnose(err error) error {
	switch {
	case op.interrupted() != nil || errors.Is(err, ErrDamaged) || errors.Is(err, ErrSnapshotNotFound):
		return err
	case op.guard.readFailure() != nil:
		return fmt.Errorf("read the store: %w", op.guard.readFailure())
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// examine verifies what is in a tree. The engine's own check knows content
// only, and panics without a database to keep its findings in.
func (op *operation) examine(tree *vfs.Filesystem, indexes indexes) error {
	e := &examination{operation: op, seen: make(map[objects.MAC]struct{})}
	group, ctx := errgroup.WithContext(op.ctx)
	group.SetLimit(op.owner.concurrency)
	each := func(path string, verify func() error) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		group.Go(func() error { return e.judge(path, verify()) })
		return nil
	}
	err := errors.Join(e.nodes(tree, indexes, each),
		e.entries(tree, each), e.listings(indexes.listings, each), e.content(tree, each), e.attributes(tree, each))
	// The first failure ends the rest; its error is the one that tells why.
	if failed := group.Wait(); failed != nil {
		return failed
	}
	if err != nil {
		return err
	}
	for _, err := range tree.Errors("/") {
		if err := e.judge("", err); err != nil {
			return err
		}
	}
	return e.verdict()
}

// examination collects what is wrong with a snapshot. It is safe for
// concurrent use.
type examination struct {
	*operation
	mu      sync.Mutex
	seen    map[objects.MAC]struct{} // contents that are being verified, or were
	damaged int64
	found   []Failure // the first failuresKept of them
}

// each starts a verification of the path.
type each func(path string, verify func() error) error

// nodes verifies what the trees are made of.
func (e *examination) nodes(tree *vfs.Filesystem, indexes indexes, each each) error {
	errs := []error{
		e.nodesOf(resources.RT_VFS_NODE, tree.IterNodes(), each),
		e.nodesOf(resources.RT_XATTR_NODE, tree.XattrNodes(), each),
		e.nodesOf(resources.RT_ERROR_NODE, tree.IterErrorNodes(), each),
	}
	for _, index := range []*index{indexes.listings, indexes.summaries, indexes.contentTypes} {
		if index != nil {
			errs = append(errs, e.nodesOf(resources.RT_BTREE_NODE, index.IterDFS(), each))
		}
	}
	return errors.Join(errs...)
}

func (e *examination) nodesOf(kind resources.Type, nodes iterator.Iterator[objects.MAC, *node], each each) error {
	for nodes.Next() {
		id, _ := nodes.Current()
		err := each("/", func() error {
			_, err := e.blob(kind, id)
			return err
		})
		if err != nil {
			return err
		}
	}
	return e.judge("/", nodes.Err())
}

// entries verifies the tree of paths, by which single files are found.
func (e *examination) entries(tree *vfs.Filesystem, each each) error {
	paths, _, _ := tree.BTrees()
	all, err := paths.ScanAll()
	if err != nil {
		return e.judge("/", err)
	}
	for all.Next() {
		path, id := all.Current()
		if err := each(path, func() error { return e.entry(path, id) }); err != nil {
			return err
		}
	}
	return e.judge("/", all.Err())
}

func (e *examination) entry(path string, id objects.MAC) error {
	raw, err := e.blob(resources.RT_VFS_ENTRY, id)
	if err != nil {
		return err
	}
	entry, err := vfs.EntryFromBytes(raw)
	if err == nil && entry.Path() != path {
		err = fmt.Errorf("%w: entry is of %q", ErrDamaged, entry.Path())
	}
	return err
}

// listings verifies the listings of folders, by which a restore goes. They are
// kept like the content of files.
func (e *examination) listings(listings *index, each each) error {
	if listings == nil {
		return nil // of an older version: the tree of paths serves instead
	}
	all, err := listings.ScanAll()
	if err != nil {
		return e.judge("/", err)
	}
	for all.Next() {
		path, id := all.Current()
		if err := each(path, func() error { return e.object(id, anySize) }); err != nil {
			return err
		}
	}
	return e.judge("/", all.Err())
}

// content verifies the files.
func (e *examination) content(tree *vfs.Filesystem, each each) error {
	return tree.WalkDir("/", func(path string, entry *vfs.Entry, err error) error {
		switch {
		case err != nil:
			return e.judge(path, fmt.Errorf("read folder: %w", err))
		case !entry.Type().IsRegular():
			return e.ctx.Err()
		case !entry.HasObject():
			return e.judge(path, fmt.Errorf("%w: file without content", ErrDamaged))
		case !e.isNew(entry.Object):
			return e.ctx.Err()
		}
		return each(path, func() error { return e.object(entry.Object, entry.Size()) })
	})
}

// isNew tells whether nobody has asked for this content before.
func (e *examination) isNew(object objects.MAC) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, old := e.seen[object]
	e.seen[object] = struct{}{}
	return !old
}

// anySize is the size of content that is not known from elsewhere.
const anySize = -1

// object verifies content: each chunk, and all of them together.
func (e *examination) object(id objects.MAC, size int64) error {
	raw, err := e.blob(resources.RT_OBJECT, id)
	if err != nil {
		return err
	}
	object, err := objects.NewObjectFromBytes(raw)
	if err != nil {
		return err
	}
	digest := e.repo.GetMACHasher()
	var length int64
	for _, chunk := range object.Chunks {
		data, err := e.blob(resources.RT_CHUNK, chunk.ContentMAC)
		if err != nil {
			return err
		}
		length += int64(len(data))
		digest.Write(data)
	}
	switch {
	case !bytes.Equal(digest.Sum(nil), object.ContentMAC[:]):
		return fmt.Errorf("%w: content does not match its digest", ErrDamaged)
	case length != size && size != anySize:
		return fmt.Errorf("%w: content has %d bytes, not %d", ErrDamaged, length, size)
	}
	return nil
}

// attributes verifies the attributes that have content of their own. A Source
// of this package writes none.
func (e *examination) attributes(tree *vfs.Filesystem, each each) error {
	_, _, attributes := tree.BTrees()
	all, err := attributes.ScanAll()
	if err != nil {
		return e.judge("/", err)
	}
	for all.Next() {
		name, id := all.Current()
		err := each(name, func() error {
			attribute, err := tree.ResolveXattr(id)
			if err != nil {
				return err
			}
			return e.object(attribute.Object, attribute.Size)
		})
		if err != nil {
			return err
		}
	}
	return e.judge("/", all.Err())
}

// blob reads a blob and compares it with its name.
func (e *examination) blob(kind resources.Type, id objects.MAC) ([]byte, error) {
	if err := e.ctx.Err(); err != nil {
		return nil, err
	}
	data, err := e.sound(kind, id)
	if err != nil && e.doubt() {
		return e.sound(kind, id)
	}
	return data, err
}

func (e *examination) sound(kind resources.Type, id objects.MAC) ([]byte, error) {
	data, err := e.repo.GetBlobBytes(kind, id)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", kind, err)
	}
	if e.repo.ComputeMAC(data) != id {
		return nil, fmt.Errorf("%w: %s does not match its digest", ErrDamaged, kind)
	}
	return data, nil
}

// judge takes down damage, and returns what makes it pointless to go on.
func (e *examination) judge(path string, err error) error {
	if err == nil {
		return nil
	}
	if err = e.diagnose(err); !errors.Is(err, ErrDamaged) {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.damaged++
	if len(e.found) < failuresKept {
		e.found = append(e.found, Failure{Key: path, Err: err})
	}
	return nil
}

func (e *examination) verdict() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.damaged == 0 {
		return nil
	}
	return &failureList{what: ErrDamaged, count: e.damaged, failures: e.found}
}
