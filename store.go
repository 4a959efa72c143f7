package s3kloset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/PlakarKorp/kloset/connectors/storage"
	klocation "github.com/PlakarKorp/kloset/location"
	"github.com/PlakarKorp/kloset/objects"
	"github.com/s3kloset/s3kloset/internal/bucket"
)

// Store keeps a Kloset repository in a bucket, under the names that the
// existing S3 integration of plakar gives: each opens what the other wrote.
//
// The engine reads in small pieces, one after the other. The Store reads ahead
// of it: larger pieces of packfiles, and states before they are asked for.
//
// It is safe for concurrent use. Peak memory is the memory limit of the
// handle: half of it for what is written, a quarter each for packfiles and
// states that are read. Locks are not counted and wait for nothing.
type Store struct {
	bucket    *Bucket
	owner     bool // the handle is ours to close
	placement *placement
	packfiles *readahead
	states    *stateahead
	closed    atomic.Bool
	forEngine bool // made by the registries: nobody else calls it
}

var (
	_ storage.Store = (*Store)(nil)
	_ foreseeing    = (*Store)(nil)
)

const (
	// maxConfig bounds what is read as a configuration; real ones have less
	// than 1 KiB.
	maxConfig = 1 << 20
	// lockTimeout is how long the removal of a lock may take when the context
	// of the operation is dead already.
	lockTimeout = 15 * time.Second
)

func newStore(b *Bucket) *Store {
	s := &Store{bucket: b, placement: newPlacement(b)}
	s.packfiles = newReadahead(b.cfg.memory/4, s.fetchPackfile)
	s.states = newStateahead(b.cfg.memory/4, b.cfg.concurrency, s.fetchState)
	return s
}

// Type is "s3".
func (s *Store) Type() string { return Scheme }

// Origin is the host of the service and the bucket.
func (s *Store) Origin() string { return s.bucket.origin() }

// Root is the path of the folder that holds the repository.
func (s *Store) Root() string { return s.bucket.root() }

// Flags are none.
func (s *Store) Flags() klocation.Flags { return 0 }

// Ping asks whether the bucket is there and may be used.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.open(); err != nil {
		return err
	}
	return s.bucket.client.Ping(ctx)
}

// Mode says that blobs can be written and read. It says so too when packfiles
// lie in an archive: what was thawed can be read, and what was not fails with
// ErrArchived. Without reading, the engine would not even try.
func (s *Store) Mode(context.Context) (storage.Mode, error) {
	return storage.ModeRead | storage.ModeWrite, s.open()
}

// Close ends the use of the store and what it reads ahead. The handle it was
// made from stays open.
func (s *Store) Close(context.Context) error {
	if s.closed.Swap(true) {
		return nil
	}
	s.packfiles.close()
	s.states.close()
	if s.owner {
		return s.bucket.Close()
	}
	return nil
}

// doubt lets go of what was read ahead of packfiles, which turned out wrong.
func (s *Store) doubt() { s.packfiles.forgetAll() }

// expect implements foreseeing.
func (s *Store) expect(by *itinerary, packfile objects.MAC, offset, length int64) int64 {
	return s.packfiles.expect(by, packfile, offset, length)
}

// lapse implements foreseeing.
func (s *Store) lapse(by *itinerary) { s.packfiles.lapse(by) }

func (s *Store) open() error {
	if s.closed.Load() {
		return fmt.Errorf("store %s: %w", s.bucket, ErrClosed)
	}
	return nil
}

// Create stores the configuration of a new repository. Where the server knows
// conditional writes, exactly one of several concurrent calls succeeds. The
// others, and a call for a repository that exists, get ErrAlreadyExists.
func (s *Store) Create(ctx context.Context, config []byte) error {
	if err := s.open(); err != nil {
		return err
	}
	key := s.bucket.key(configName)
	_, err := s.bucket.client.Head(ctx, key, bucket.Pin{})
	switch {
	case err == nil:
		return fmt.Errorf("create repository in %s: %w", s.bucket, ErrAlreadyExists)
	case errors.Is(err, ErrBucketNotFound) || errors.Is(err, ErrNotFound):
	case errors.Is(err, ErrAccessDenied):
		// A HEAD has no body to tell a wrong secret from a missing permission.
		if refused := s.bucket.client.Ping(ctx); errors.Is(refused, ErrCredentials) {
			return refused
		}
		return err
	default:
		return err
	}
	err = s.placement.config(ctx, key, config)
	if errors.Is(err, ErrBucketNotFound) && s.bucket.cfg.destination.createBucket {
		if err := s.bucket.client.Create(ctx); err != nil {
			return err
		}
		err = s.placement.config(ctx, key, config)
	}
	return err
}

// Open returns the configuration that Create stored. Without one the error is
// ErrNoRepository and fs.ErrNotExist.
func (s *Store) Open(ctx context.Context) ([]byte, error) {
	if err := s.open(); err != nil {
		return nil, err
	}
	object, err := s.bucket.client.Get(ctx, s.bucket.key(configName), bucket.Pin{})
	if err != nil {
		if errors.Is(err, ErrNotFound) {
			return nil, fmt.Errorf("%w: %w", ErrNoRepository, err)
		}
		return nil, err
	}
	defer object.Body.Close()
	config, err := io.ReadAll(io.LimitReader(object.Body, maxConfig+1))
	if err == nil && len(config) > maxConfig {
		err = fmt.Errorf("%w: %s is too large for a configuration", ErrNoRepository, configName)
	}
	return config, err
}

// List returns the identifiers of a resource, states oldest first.
//
// The engine (v1.1.4) merges states that have the same parent from the end of
// the list, and must not see the removal of a packfile before its addition. So
// it wants the newest first, and gets them so from a Repository, from the
// plugin of plakar, and through the registries of Kloset. Whoever hands a Store
// to the engine otherwise should wrap List and reverse its states.
func (s *Store) List(ctx context.Context, resource storage.StorageResource) ([]objects.MAC, error) {
	ids, err := s.list(ctx, resource)
	if s.forEngine && resource == storage.StorageResourceState {
		slices.Reverse(ids)
	}
	return ids, err
}

func (s *Store) list(ctx context.Context, resource storage.StorageResource) ([]objects.MAC, error) {
	name, spread, err := folder(resource)
	if err != nil {
		return nil, err
	}
	if err := s.open(); err != nil {
		return nil, err
	}
	var all []listedBlob
	prefix := s.bucket.key(name)
	for entry, err := range s.bucket.client.ListParallel(s.context(ctx, resource), bucket.Range{Prefix: prefix}, listWorkers) {
		if err != nil {
			return nil, err
		}
		rest := strings.TrimPrefix(entry.Key, prefix)
		if resource == storage.StorageResourcePackfile {
			rest = strings.TrimSuffix(rest, frozenSuffix)
		}
		id, ok := idOf(rest, spread)
		if ok && (len(all) == 0 || all[len(all)-1].id != id) {
			all = append(all, listedBlob{id, entry.LastModified, entry.Size})
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if resource == storage.StorageResourceState {
		s.announce(all)
	}
	ids := make([]objects.MAC, len(all))
	for i, blob := range all {
		ids[i] = blob.id
	}
	return ids, nil
}

// listedBlob is what a listing tells of a packfile, a state or a lock.
type listedBlob struct {
	id   objects.MAC
	time time.Time
	size int64
}

// announce brings states into the order in which they are to be read.
func (s *Store) announce(all []listedBlob) {
	// The listing is in order of names, and the sort keeps it among equals.
	slices.SortStableFunc(all, func(a, b listedBlob) int { return a.time.Compare(b.time) })
	states := make([]listedState, len(all))
	for i, blob := range all {
		states[i] = listedState{id: blob.id, size: blob.size}
	}
	s.states.listed(states)
}

// context lets locks pass every queue: a lock that is not refreshed in time
// is taken for dead, and the repository for free.
func (s *Store) context(ctx context.Context, resource storage.StorageResource) context.Context {
	if resource == storage.StorageResourceLock {
		return bucket.Urgent(ctx)
	}
	return ctx
}

// Put stores a blob, reading it to its end. It is atomic: a reader sees all of
// it or nothing, and a failed or cancelled Put leaves nothing behind. The
// number of bytes is returned.
func (s *Store) Put(ctx context.Context, resource storage.StorageResource, id objects.MAC, body io.Reader) (n int64, err error) {
	defer func() {
		if err != nil {
			// The engine feeds body by goroutines that end with its end and
			// never otherwise; one of them reads a database that is closed next.
			_, _ = io.Copy(io.Discard, body)
		}
	}()
	key, err := s.keyOf(resource, id)
	if err != nil {
		return 0, err
	}
	if err := s.open(); err != nil {
		return 0, err
	}
	// Only a store that refuses here keeps the engine from publishing a
	// snapshot whose packfiles could not be stored.
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	if resource == storage.StorageResourceLock {
		return s.placement.lock(s.context(ctx, resource), key, body)
	}
	return s.placement.blob(ctx, resource, key, body)
}

// Get opens a blob, or a range of one. A missing blob is ErrNotFound, and so
// fs.ErrNotExist; a range that begins after its end is ErrInvalidRange; one
// that reaches past it gives the bytes that there are.
func (s *Store) Get(ctx context.Context, resource storage.StorageResource, id objects.MAC, rg *storage.Range) (io.ReadCloser, error) {
	key, err := s.keyOf(resource, id)
	if err != nil {
		return nil, err
	}
	if err := s.open(); err != nil {
		return nil, err
	}
	if rg != nil && rg.Offset > bucket.MaxObjectSize {
		return nil, fmt.Errorf("%s %x: offset %d: %w", resource, id, rg.Offset, ErrInvalidRange)
	}
	switch {
	case resource == storage.StorageResourceState && rg == nil:
		if body, served, err := s.states.get(ctx, id); served {
			return body, err
		}
	case resource == storage.StorageResourcePackfile:
		return s.getPackfile(ctx, id, rg)
	}
	return s.get(s.context(ctx, resource), key, rg)
}

// getPackfile serves ranges from what was read ahead.
func (s *Store) getPackfile(ctx context.Context, id objects.MAC, rg *storage.Range) (io.ReadCloser, error) {
	if rg != nil && rg.Length > 0 {
		if body, served, err := s.packfiles.get(ctx, id, int64(rg.Offset), int64(rg.Length)); served {
			return body, err
		}
	}
	return s.openPackfile(ctx, id, rg)
}

// openPackfile opens a packfile under the one or the other of its names.
func (s *Store) openPackfile(ctx context.Context, id objects.MAC, rg *storage.Range) (io.ReadCloser, error) {
	key, err := s.keyOf(storage.StorageResourcePackfile, id)
	if err != nil {
		return nil, err
	}
	body, err := s.getThawed(ctx, key, rg)
	if errors.Is(err, ErrNotFound) {
		if frozen, frozenErr := s.getThawed(ctx, key+frozenSuffix, rg); !errors.Is(frozenErr, ErrNotFound) {
			return frozen, frozenErr
		}
	}
	return body, err
}

// getThawed waits for an archived packfile, if that is the policy.
func (s *Store) getThawed(ctx context.Context, key string, rg *storage.Range) (io.ReadCloser, error) {
	body, err := s.get(ctx, key, rg)
	if errors.Is(err, ErrArchived) {
		if err = s.bucket.thawed(ctx, s.bucket.cfg.archive, key, bucket.Attributes{}, err); err == nil {
			return s.get(ctx, key, rg)
		}
	}
	return body, err
}

func (s *Store) fetchPackfile(ctx context.Context, id objects.MAC, offset int64, buffer []byte) (int, error) {
	body, err := s.openPackfile(ctx, id, &storage.Range{Offset: uint64(offset), Length: uint32(len(buffer))})
	if err != nil {
		return 0, err
	}
	defer body.Close()
	n, err := io.ReadFull(body, buffer)
	if err == io.ErrUnexpectedEOF || err == io.EOF {
		err = nil // The packfile ends here: the body was checked against its length.
	}
	return n, err
}

func (s *Store) fetchState(ctx context.Context, id objects.MAC) ([]byte, error) {
	key, err := s.keyOf(storage.StorageResourceState, id)
	if err != nil {
		return nil, err
	}
	body, err := s.get(ctx, key, nil)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

func (s *Store) get(ctx context.Context, key string, rg *storage.Range) (io.ReadCloser, error) {
	if rg == nil {
		object, err := s.bucket.client.Get(ctx, key, bucket.Pin{})
		if err != nil {
			return nil, err
		}
		return object.Body, nil
	}
	if rg.Length == 0 {
		return io.NopCloser(bytes.NewReader(nil)), nil
	}
	object, err := s.bucket.client.GetRange(ctx, key, bucket.Pin{}, int64(rg.Offset), int64(rg.Length))
	if err != nil {
		return nil, err
	}
	return object.Body, nil
}

// Delete removes a blob; one that is not there is no error. Locks are removed
// even when the context has ended, within 15 seconds. With WithObjectLock, a
// blob whose time has not come is a *RetainedError, one that a legal hold keeps
// after it is ErrRetained, and all else is removed for good. Otherwise, in a bucket with versions, the blob is
// hidden, and a lifecycle rule of the bucket must free its space.
func (s *Store) Delete(ctx context.Context, resource storage.StorageResource, id objects.MAC) error {
	key, err := s.keyOf(resource, id)
	if err != nil {
		return err
	}
	if err := s.open(); err != nil {
		return err
	}
	if resource == storage.StorageResourceLock {
		return s.deleteLock(ctx, key)
	}
	s.packfiles.forget(id)
	s.states.forget(id)
	err = s.remove(ctx, key)
	if err == nil && resource == storage.StorageResourcePackfile {
		err = s.remove(ctx, key+frozenSuffix)
	}
	return err
}

func (s *Store) deleteLock(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(bucket.Urgent(context.WithoutCancel(ctx)), lockTimeout)
	defer cancel()
	s.placement.unlocked(key)
	return s.bucket.client.Delete(ctx, key)
}

// Size adds up the bytes of all objects below the root, by listing them.
func (s *Store) Size(ctx context.Context) (int64, error) {
	if err := s.open(); err != nil {
		return 0, err
	}
	var sum int64
	for entry, err := range s.bucket.client.ListParallel(ctx, bucket.Range{Prefix: s.bucket.folder()}, listWorkers) {
		if err != nil {
			return 0, err
		}
		sum += entry.Size
	}
	return sum, ctx.Err()
}
