package s3kloset

import (
	"fmt"
	"iter"

	"github.com/PlakarKorp/kloset/caching"
	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/PlakarKorp/kloset/objects"
	"github.com/PlakarKorp/kloset/repository/state"
	"github.com/PlakarKorp/kloset/resources"
	"github.com/PlakarKorp/kloset/snapshot/vfs"
)

// packfiles knows which packfiles there are, in the store and not only in the
// state. The two differ when states of several machines were merged in an
// order that undoes a removal; the engine then takes for stored what is gone.
type packfiles struct {
	*operation
	listed  map[objects.MAC]struct{}
	usable  map[objects.MAC]bool // answers so far
	current bool                 // listed is younger than everything asked about
	fresh   *caching.ScanCache   // what a backup has stored; nil outside of one
}

// listPackfiles asks the store what it has.
func (op *operation) listPackfiles() (*packfiles, error) {
	p := &packfiles{operation: op}
	return p, p.list()
}

func (p *packfiles) list() error {
	ids, err := p.guard.List(p.ctx, storage.StorageResourcePackfile)
	if err != nil {
		return fmt.Errorf("list packfiles: %w", err)
	}
	p.listed = make(map[objects.MAC]struct{}, len(ids))
	for _, id := range ids {
		p.listed[id] = struct{}{}
	}
	p.usable = make(map[objects.MAC]bool)
	return nil
}

// distrust takes packfiles out of the local state that the store does not
// have. A backup then stores anew what was in them, and whoever reads looks for
// it there: the engine goes by the first packfile that the state names.
func (op *operation) distrust() (*packfiles, error) {
	// First the state, then the store: a packfile is stored before the state
	// that names it.
	var known []objects.MAC
	for id := range op.state.GetPackfiles() {
		known = append(known, id)
	}
	packs, err := op.listPackfiles()
	if err != nil {
		return nil, err
	}
	if err := op.owner.merging.Acquire(op.ctx, 1); err != nil {
		return nil, err
	}
	defer op.owner.merging.Release(1)
	for id := range packs.listed {
		op.owner.lost.note(id, false) // it may be back
	}
	for _, id := range known {
		if _, ok := packs.listed[id]; ok {
			continue
		}
		op.owner.lost.note(id, true)
		op.owner.logger.Warn("state names a packfile that the store does not have", "packfile", id.FormatHex())
		if err := op.state.DelPackfile(id); err != nil {
			return nil, fmt.Errorf("correct local state: %w", err)
		}
	}
	return packs, nil
}

// verify walks a snapshot and makes sure that every entry, and the content of
// each file, is in a packfile that the store has. It returns the number of
// entries that are not folders. It reads the listings of folders, and nothing
// of the files: the engine's own fast check makes a request for each.
func (p *packfiles) verify(tree *vfs.Filesystem) (entries int64, err error) {
	err = tree.WalkDir("/", func(path string, entry *vfs.Entry, err error) error {
		if err == nil {
			err = p.ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("read listing of %q: %w", path, err)
		}
		if !entry.IsDir() {
			entries++
		}
		if err := p.find(resources.RT_VFS_ENTRY, entry.MAC, path); err != nil {
			return err
		}
		if entry.HasObject() {
			return p.find(resources.RT_OBJECT, entry.Object, path)
		}
		return nil
	})
	return entries, err
}

// find makes sure that the store has a blob.
func (p *packfiles) find(kind resources.Type, id objects.MAC, path string) error {
	ok, err := p.locate(kind, id)
	if err == nil && !ok && !p.current {
		// Another backup of this process may have stored it since.
		p.current = true
		if err = p.list(); err == nil {
			ok, err = p.locate(kind, id)
		}
	}
	switch {
	case err != nil:
		return err
	case !ok:
		return fmt.Errorf("%w: %s of %q is not in the store", ErrDamaged, kind, path)
	}
	return nil
}

// locate tells whether a blob is in a packfile that can be used. What is new
// is looked for where it is found faster.
func (p *packfiles) locate(kind resources.Type, id objects.MAC) (bool, error) {
	if p.fresh != nil {
		if ok, err := p.anyUsable(p.fresh.GetDelta(kind, id)); ok || err != nil {
			return ok, err
		}
	}
	if ok, err := p.anyUsable(p.state.GetDelta(kind, id)); ok || err != nil {
		return ok, err
	}
	// The database swallows its errors here. It speaks of them elsewhere.
	if _, err := p.state.HasPackfile(id); err != nil {
		return false, fmt.Errorf("read local state: %w", err)
	}
	return false, nil
}

func (p *packfiles) anyUsable(places iter.Seq2[objects.MAC, []byte]) (bool, error) {
	for _, payload := range places {
		delta, err := state.DeltaEntryFromBytes(payload)
		if err != nil {
			return false, fmt.Errorf("read local state: %w", err)
		}
		if ok, err := p.has(delta.Location.Packfile); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// has tells whether a packfile is known, not marked for removal, and there.
func (p *packfiles) has(id objects.MAC) (bool, error) {
	if ok, known := p.usable[id]; known {
		return ok, nil
	}
	ok, err := p.state.HasPackfile(id)
	if err != nil {
		return false, fmt.Errorf("read local state: %w", err)
	}
	marked, err := p.state.HasColoured(resources.RT_PACKFILE, id)
	if err != nil {
		return false, fmt.Errorf("read local state: %w", err)
	}
	_, listed := p.listed[id]
	p.usable[id] = ok && !marked && (listed || p.guard.hasStored(id))
	return p.usable[id], nil
}
