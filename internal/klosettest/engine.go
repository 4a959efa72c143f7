package klosettest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/PlakarKorp/kloset/caching"
	"github.com/PlakarKorp/kloset/caching/pebble"
	"github.com/PlakarKorp/kloset/chunking"
	"github.com/PlakarKorp/kloset/connectors/exporter"
	"github.com/PlakarKorp/kloset/connectors/importer"
	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/PlakarKorp/kloset/encryption"
	"github.com/PlakarKorp/kloset/hashing"
	"github.com/PlakarKorp/kloset/kcontext"
	"github.com/PlakarKorp/kloset/locate"
	"github.com/PlakarKorp/kloset/logging"
	"github.com/PlakarKorp/kloset/objects"
	"github.com/PlakarKorp/kloset/repository"
	kresources "github.com/PlakarKorp/kloset/resources"
	"github.com/PlakarKorp/kloset/snapshot"
	"github.com/PlakarKorp/kloset/snapshot/vfs"
	"github.com/PlakarKorp/kloset/versioning"
)

// ErrUnstored is in the error of a backup that was committed without some of its
// paths. The engine itself reports such a backup as a success.
var ErrUnstored = errors.New("klosettest: path was not stored")

// engineConcurrency is how many records the engine works on at a time.
const engineConcurrency = 4

// lockPatience bounds the wait for the engine to delete the lock of a backup,
// which it does in the background.
const lockPatience = 30 * time.Second

// Repository is a Kloset repository, driven through the real engine. Every
// operation opens it with a context of its own, so a cancelled or broken one
// leaves the next unharmed, and sees what others have written meanwhile.
//
// It may be used from several goroutines. Its caches are in a temporary folder
// of the test.
type Repository struct {
	store  *lockWatch
	config []byte
	key    []byte // nil for plaintext
	base   *kcontext.KContext
}

// NewRepository creates a repository on an empty store and opens it. An empty
// passphrase makes it plaintext. Compression is off, so that sizes are what they
// seem. The caller closes the store.
func NewRepository(t testing.TB, store storage.Store, passphrase string) *Repository {
	t.Helper()
	config, err := newConfiguration(passphrase)
	if err != nil {
		t.Fatalf("make a repository configuration: %v", err)
	}
	if err := store.Create(t.Context(), config); err != nil {
		t.Fatalf("create the repository: %v", err)
	}
	return OpenRepository(t, store, passphrase)
}

// OpenRepository opens the repository on store with empty caches, as another
// machine would.
func OpenRepository(t testing.TB, store storage.Store, passphrase string) *Repository {
	t.Helper()
	config, err := store.Open(t.Context())
	if err != nil {
		t.Fatalf("open the repository: %v", err)
	}
	key, err := unlock(config, passphrase)
	if err != nil {
		t.Fatalf("unlock the repository: %v", err)
	}
	return &Repository{store: newLockWatch(store), config: config, key: key, base: newContext(t)}
}

// newContext returns a context for the engine whose caches live as long as t.
func newContext(t testing.TB) *kcontext.KContext {
	ctx := kcontext.NewKContext()
	ctx.CacheDir = cacheDir(t)
	ctx.MaxConcurrency = engineConcurrency
	ctx.Hostname = "klosettest"
	ctx.SetLogger(logging.NewLogger(io.Discard, io.Discard))
	ctx.SetCache(caching.NewManager(pebble.Constructor(ctx.CacheDir)))
	t.Cleanup(func() {
		ctx.Close()
		if err := ctx.GetCache().Close(); err != nil {
			t.Errorf("close the engine's caches: %v", err)
		}
	})
	return ctx
}

// cacheDir is t.TempDir for caches of the engine. Where an operation fails the
// engine leaves goroutines behind that may still add a file while the folder is
// being removed.
func cacheDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "klosettest-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		deadline := time.Now().Add(lockPatience)
		for err := os.RemoveAll(dir); err != nil; err = os.RemoveAll(dir) {
			if time.Now().After(deadline) {
				t.Errorf("remove the engine's caches: %v", err)
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
	return dir
}

func newConfiguration(passphrase string) ([]byte, error) {
	cfg := storage.NewConfiguration()
	cfg.Compression = nil
	if testing.Short() {
		cfg.Chunking = *ShortChunking()
	}
	hasher := hashing.GetHasher(storage.DEFAULT_HASHING_ALGORITHM)
	if passphrase == "" {
		cfg.Encryption = nil
	} else {
		// The default derivation takes 256 MiB and a second, for nothing here.
		cfg.Encryption = encryption.NewConfiguration("PBKDF2")
		key, err := encryption.DeriveKey(cfg.Encryption.KDFParams, []byte(passphrase))
		if err != nil {
			return nil, err
		}
		if cfg.Encryption.Canary, err = encryption.DeriveCanary(cfg.Encryption, key); err != nil {
			return nil, err
		}
		hasher = hashing.GetMACHasher(storage.DEFAULT_HASHING_ALGORITHM, key)
	}
	return wrapConfiguration(cfg, hasher)
}

// ShortChunking makes chunks of an eighth of the usual sizes. The engine allocates twice the
// longest chunk for every body, of which the suites have thousands.
func ShortChunking() *chunking.Configuration {
	short := chunking.NewDefaultConfiguration()
	for _, size := range []*uint32{&short.MinSize, &short.NormalSize, &short.MaxSize} {
		*size /= 8
	}
	return short
}

func wrapConfiguration(cfg *storage.Configuration, hasher hash.Hash) ([]byte, error) {
	raw, err := cfg.ToBytes()
	if err != nil {
		return nil, err
	}
	version := versioning.GetCurrentVersion(kresources.RT_CONFIG)
	rd, err := storage.Serialize(hasher, kresources.RT_CONFIG, version, bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(rd)
}

// unlock returns the key of an encrypted repository, or nil.
func unlock(config []byte, passphrase string) ([]byte, error) {
	cfg, err := storage.NewConfigurationFromWrappedBytes(config)
	if err != nil || cfg.Encryption == nil {
		return nil, err
	}
	key, err := encryption.DeriveKey(cfg.Encryption.KDFParams, []byte(passphrase))
	if err != nil {
		return nil, err
	}
	if !encryption.VerifyCanary(cfg.Encryption, key) {
		return nil, errors.New("klosettest: wrong passphrase")
	}
	return key, nil
}

// with opens the repository for one operation.
func (r *Repository) with(ctx context.Context, op func(*repository.Repository) error) error {
	// Not closed afterwards: that would only end the event bus, on which a
	// goroutine of the engine may still want to speak.
	kctx := kcontext.NewKContextFrom(r.base)
	defer kctx.Cancel(nil)
	defer context.AfterFunc(ctx, func() { kctx.Cancel(context.Cause(ctx)) })()

	repo, err := repository.New(kctx, r.key, r.store, r.config)
	if err != nil {
		return err
	}
	return op(repo)
}

// Backup stores what the importer brings and returns the new snapshot. If there
// is an earlier snapshot of the same source, only what changed is read. It
// returns when the lock is gone. A snapshot that lacks a path is an error that
// wraps [ErrUnstored], and comes with its identifier. The caller closes the
// importer.
func (r *Repository) Backup(ctx context.Context, imp importer.Importer) (id objects.MAC, err error) {
	err = r.with(ctx, func(repo *repository.Repository) error {
		src, err := snapshot.NewSource(repo.AppContext(), imp)
		if err != nil {
			return err
		}
		parent, err := parentOf(repo, src)
		if err != nil {
			return err
		}
		id, err = r.backup(repo, src, parent)
		return err
	})
	if err != nil {
		return id, err
	}
	return id, r.unstored(ctx, id)
}

func (r *Repository) backup(repo *repository.Repository, src *snapshot.Source, parent *vfs.Filesystem) (objects.MAC, error) {
	// Without a checkpoint the engine needs no ticking goroutine.
	b, err := snapshot.Create(repo, repository.DefaultType, "", objects.NilMac, &snapshot.BuilderOptions{NoCheckpoint: true})
	if err != nil {
		return objects.NilMac, err
	}
	id := b.Header.Identifier
	if parent != nil {
		b.WithVFSCache(parent)
	}
	if err = b.Backup(src); err == nil {
		if err = b.Commit(); err == nil {
			// A packfile that could not be put shows nowhere else.
			err = repo.AppContext().Err()
		}
	}
	return id, errors.Join(err, b.Close(), r.store.wait(id))
}

// parentOf returns the tree of the newest snapshot of the same source, or nil.
func parentOf(repo *repository.Repository, src *snapshot.Source) (*vfs.Filesystem, error) {
	ids, _, err := locate.Match(repo, &locate.LocateOptions{Filters: locate.LocateFilters{
		Latest:  true,
		Types:   []string{src.Type()},
		Origins: []string{src.Origin()},
		Roots:   []string{src.Root()},
	}})
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	snap, err := snapshot.Load(repo, ids[0])
	if err != nil {
		return nil, err
	}
	return snap.FilesystemWithCache()
}

// unstored returns the errors of single paths, which a backup survives.
func (r *Repository) unstored(ctx context.Context, id objects.MAC) error {
	return r.load(ctx, id, func(snap *snapshot.Snapshot) error {
		tree, err := snap.Filesystem()
		if err != nil {
			return err
		}
		var errs []error
		for item, err := range tree.Errors("/") {
			if err != nil {
				return err
			}
			errs = append(errs, fmt.Errorf("%w: %s: %s", ErrUnstored, item.Name, item.Error))
		}
		return errors.Join(errs...)
	})
}

func (r *Repository) load(ctx context.Context, id objects.MAC, op func(*snapshot.Snapshot) error) error {
	return r.with(ctx, func(repo *repository.Repository) error {
		snap, err := snapshot.Load(repo, id)
		if err != nil {
			return err
		}
		return errors.Join(op(snap), snap.Close())
	})
}

// Snapshots returns the identifiers of all snapshots, newest first.
func (r *Repository) Snapshots(ctx context.Context) (ids []objects.MAC, err error) {
	err = r.with(ctx, func(repo *repository.Repository) error {
		ids, err = locate.LocateSnapshotIDs(repo, nil)
		return err
	})
	return ids, err
}

// Restore exports the folder or file at pathname, "/" for everything. The engine
// hands on the exporter's error and knows no other. The caller closes the
// exporter.
func (r *Repository) Restore(ctx context.Context, id objects.MAC, pathname string, exp exporter.Exporter) error {
	return r.load(ctx, id, func(snap *snapshot.Snapshot) error {
		return snap.Export(exp, pathname, nil)
	})
}

// Check verifies every byte of file content in a snapshot.
func (r *Repository) Check(ctx context.Context, id objects.MAC) error {
	return r.load(ctx, id, func(snap *snapshot.Snapshot) error {
		cache, err := snap.AppContext().GetCache().Check()
		if err != nil {
			return err
		}
		snap.SetCheckCache(cache)
		return errors.Join(snap.Check("/", &snapshot.CheckOptions{}), cache.Close())
	})
}

// Walk reads a whole snapshot, parents before children.
func (r *Repository) Walk(ctx context.Context, id objects.MAC) (entries []Entry, err error) {
	err = r.load(ctx, id, func(snap *snapshot.Snapshot) error {
		tree, err := snap.Filesystem()
		if err != nil {
			return err
		}
		return tree.WalkDir("/", func(pathname string, e *vfs.Entry, err error) error {
			if err != nil {
				return fmt.Errorf("walk %s: %w", pathname, err)
			}
			entry, err := readEntry(tree, pathname, e)
			entries = append(entries, entry)
			return err
		})
	})
	return entries, err
}

func readEntry(tree *vfs.Filesystem, pathname string, e *vfs.Entry) (Entry, error) {
	entry := Entry{Path: pathname, Info: e.FileInfo, Target: e.SymlinkTarget, Attributes: e.ExtendedAttributes}
	if !entry.IsRegular() {
		return entry, nil
	}
	f, err := e.Open(tree)
	if err != nil {
		return entry, fmt.Errorf("open %s: %w", pathname, err)
	}
	body, err := io.ReadAll(f)
	if err != nil {
		return entry, errors.Join(fmt.Errorf("read %s: %w", pathname, err), f.Close())
	}
	entry.Body = body
	return entry, f.Close()
}

// Delete removes a snapshot.
func (r *Repository) Delete(ctx context.Context, id objects.MAC) error {
	return r.with(ctx, func(repo *repository.Repository) error { return repo.DeleteSnapshot(id) })
}

// PutLock puts a lock, such as an old one that nobody keeps alive.
func (r *Repository) PutLock(ctx context.Context, id objects.MAC, lock *repository.Lock) error {
	var buffer bytes.Buffer
	if err := lock.SerializeToStream(&buffer); err != nil {
		return err
	}
	return r.with(ctx, func(repo *repository.Repository) error {
		_, err := repo.PutLock(id, &buffer)
		return err
	})
}

// lockWatch is the store that the engine is given: it tells when a lock has been
// deleted, which the engine does not.
type lockWatch struct {
	storage.Store
	mu   sync.Mutex
	gone map[objects.MAC]chan error
}

func newLockWatch(s storage.Store) *lockWatch {
	return &lockWatch{Store: s, gone: make(map[objects.MAC]chan error)}
}

func (w *lockWatch) event(id objects.MAC) chan error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.gone[id] == nil {
		w.gone[id] = make(chan error, 1)
	}
	return w.gone[id]
}

// Delete implements storage.Store.
func (w *lockWatch) Delete(ctx context.Context, res storage.StorageResource, id objects.MAC) error {
	err := w.Store.Delete(ctx, res, id)
	if res == storage.StorageResourceLock {
		select {
		case w.event(id) <- err:
		default: // somebody else's stale lock, deleted twice
		}
	}
	return err
}

// wait waits until the lock is deleted and returns how that went.
func (w *lockWatch) wait(id objects.MAC) error {
	timeout := time.NewTimer(lockPatience)
	defer timeout.Stop()
	select {
	case err := <-w.event(id):
		return err
	case <-timeout.C:
		return fmt.Errorf("klosettest: lock %s was not deleted within %s", id.FormatHex(), lockPatience)
	}
}
