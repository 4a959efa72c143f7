package s3kloset

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/PlakarKorp/kloset/objects"
	"github.com/PlakarKorp/kloset/repository"
	"github.com/PlakarKorp/kloset/resources"
	"github.com/PlakarKorp/kloset/snapshot"
	"github.com/PlakarKorp/kloset/snapshot/header"
	"golang.org/x/sync/errgroup"
)

// Snapshot describes one snapshot.
type Snapshot struct {
	ID         string        `json:"id"` // 64 hex digits
	Time       time.Time     `json:"time"`
	Duration   time.Duration `json:"duration_ns"`
	Name       string        `json:"name,omitempty"`
	Tags       []string      `json:"tags,omitempty"`
	SourceType string        `json:"source_type"` // the importer's Type, as s3
	Origin     string        `json:"origin"`
	Root       string        `json:"root"`
	Objects    int64         `json:"objects"` // files, links and the like, no folders
	Bytes      int64         `json:"bytes"`   // sum of their sizes
	// Errors is how many paths the engine could not store. The report of the
	// backup knew them; a snapshot only keeps the texts.
	Errors int64 `json:"errors"`
}

// Snapshots lists all snapshots, newest first. Headers that cannot be read
// are named in the error, which then comes together with the rest of the list.
func (r *Repository) Snapshots(ctx context.Context) ([]Snapshot, error) {
	op, err := r.begin(ctx)
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	defer op.end()
	headers, err := op.headers()
	list := make([]Snapshot, 0, len(headers))
	for _, h := range headers {
		list = append(list, describe(h))
	}
	if err != nil {
		return list, fmt.Errorf("list snapshots: %w", op.explain(err))
	}
	return list, nil
}

// Delete removes a snapshot, named as in Restore but never by "" or "latest".
// Its data stays in the store until `plakar maintenance` finds that nothing
// refers to it.
func (r *Repository) Delete(ctx context.Context, snapshot string) error {
	if snapshot == "" || snapshot == latest {
		return fmt.Errorf("delete snapshot: %w: give an identifier, not %q", ErrSnapshotNotFound, snapshot)
	}
	op, err := r.begin(ctx)
	if err != nil {
		return fmt.Errorf("delete snapshot: %w", err)
	}
	defer op.end()
	id, err := op.resolve(snapshot)
	if err == nil {
		err = op.forget(id)
	}
	if err != nil {
		return fmt.Errorf("delete snapshot: %w", op.explain(err))
	}
	return nil
}

// latest stands for the newest snapshot.
const latest = "latest"

// resolve finds the snapshot that a caller means.
func (op *operation) resolve(name string) (objects.MAC, error) {
	if name == "" || name == latest {
		return op.newest()
	}
	ids, err := op.identifiers()
	if err != nil {
		return objects.NilMac, err
	}
	found := slices.DeleteFunc(ids, func(id objects.MAC) bool {
		return !strings.HasPrefix(id.FormatHex(), strings.ToLower(name))
	})
	switch len(found) {
	case 0:
		return objects.NilMac, fmt.Errorf("%w: %q", ErrSnapshotNotFound, name)
	case 1:
		return found[0], nil
	default:
		return objects.NilMac, fmt.Errorf("%w: %q is the beginning of %d", ErrSnapshotNotFound, name, len(found))
	}
}

func (op *operation) newest() (objects.MAC, error) {
	headers, err := op.headers()
	if err != nil {
		return objects.NilMac, err // the newest may be among the unreadable
	}
	if len(headers) == 0 {
		return objects.NilMac, fmt.Errorf("%w: there is none yet", ErrSnapshotNotFound)
	}
	return headers[0].Identifier, nil
}

// headersAtOnce is how many headers are read beside each other. Each is a
// request of its own, since each snapshot has its own packfiles.
const headersAtOnce = 32

// headers reads the headers of all snapshots, newest first.
func (op *operation) headers() ([]*header.Header, error) {
	ids, err := op.identifiers()
	if err != nil {
		return nil, err
	}
	read := make([]*header.Header, len(ids))
	errs := make([]error, len(ids))
	var group errgroup.Group
	group.SetLimit(headersAtOnce)
	for i, id := range ids {
		group.Go(func() error {
			h, _, err := snapshot.GetSnapshot(op.repo, id)
			if err != nil {
				errs[i] = fmt.Errorf("read snapshot %s: %w", id.FormatHex(), err)
				return nil // the others are worth having
			}
			read[i] = h
			return nil
		})
	}
	_ = group.Wait()
	headers := slices.DeleteFunc(read, func(h *header.Header) bool { return h == nil })
	slices.SortFunc(headers, func(a, b *header.Header) int {
		return cmp.Or(b.Timestamp.Compare(a.Timestamp), slices.Compare(a.Identifier[:], b.Identifier[:]))
	})
	return headers, errors.Join(errs...)
}

// identifiers lists the snapshots, each once.
func (op *operation) identifiers() ([]objects.MAC, error) {
	var ids []objects.MAC
	seen := make(map[objects.MAC]bool)
	for id, err := range op.repo.ListSnapshots() {
		if err != nil {
			return nil, fmt.Errorf("read local state: %w", err)
		}
		if !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// load reads one snapshot. The engine panics over one that has no source.
func (op *operation) load(id objects.MAC) (*snapshot.Snapshot, error) {
	snap, err := snapshot.Load(op.repo, id)
	if errors.Is(err, snapshot.ErrNotFound) {
		return nil, fmt.Errorf("%w: %s", ErrSnapshotNotFound, id.FormatHex())
	}
	if err != nil {
		return nil, fmt.Errorf("read snapshot %s: %w", id.FormatHex(), err)
	}
	if len(snap.Header.Sources) == 0 {
		return nil, fmt.Errorf("%w: snapshot %s has no source", ErrDamaged, id.FormatHex())
	}
	return snap, nil
}

// forget publishes that a snapshot is deleted. The engine's own way of doing
// it leaves a database open.
func (op *operation) forget(id objects.MAC) (err error) {
	state := objects.RandomMAC()
	cache, err := op.owner.caches.Scan(state)
	if err != nil {
		return fmt.Errorf("open scratch space: %w", err)
	}
	defer func() { err = errors.Join(err, cache.Close()) }()
	writer := op.repo.NewRepositoryWriter(cache, state, repository.DefaultType, "")
	writer.PackerManager.Wait() // there is nothing to pack
	if err := writer.DeleteStateResource(resources.RT_SNAPSHOT, id); err != nil {
		return err
	}
	if err := writer.CommitTransaction(state); err != nil {
		op.discard(state)
		return err
	}
	return op.ingest(state)
}

func describe(h *header.Header) Snapshot {
	s := Snapshot{
		ID:       h.Identifier.FormatHex(),
		Time:     h.Timestamp,
		Duration: h.Duration,
		Name:     h.Name,
		Tags:     slices.Clone(h.Tags),
	}
	if len(h.Sources) == 0 {
		return s
	}
	source := h.Sources[0]
	s.SourceType, s.Origin, s.Root = source.Importer.Type, source.Importer.Origin, source.Importer.Directory
	here, below := source.Summary.Directory, source.Summary.Below
	s.Objects = int64(here.Files + below.Files + here.Symlinks + below.Symlinks + here.Devices + below.Devices +
		here.Pipes + below.Pipes + here.Sockets + below.Sockets)
	s.Bytes = int64(here.Size + below.Size)
	s.Errors = int64(here.Errors + below.Errors)
	return s
}
