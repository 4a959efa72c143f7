package s3kloset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/PlakarKorp/kloset/caching"
	"github.com/PlakarKorp/kloset/caching/pebble"
	"github.com/PlakarKorp/kloset/compression"
	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/PlakarKorp/kloset/resources"
	"github.com/PlakarKorp/kloset/versioning"
	"golang.org/x/sync/semaphore"
)

// ErrDamaged reports a repository or a snapshot that lacks data, or holds
// other data than it should.
var ErrDamaged = errors.New("repository is damaged")

// Repository is a Kloset repository on any storage.Store. It sets up the
// engine and holds it to what it promises:
//
//   - A backup that lost anything returns an error, and one that lost a
//     packfile is never published.
//   - Cancelling one operation ends that operation with the context's error,
//     and no other.
//   - When an operation returns, nothing of it is left running and its lock is
//     gone.
//
// All methods may be called concurrently. Each operation begins with a look
// at what has been published meanwhile, by whomever: one listing of states.
//
// Open a repository once and keep it: of every handle the engine leaves two
// idle database connections behind until the process ends, and of every
// further operation that runs at the same time two more.
type Repository struct {
	store       storage.Store
	config      []byte // as the store gave it
	key         []byte // nil when plaintext
	cache       string
	packs       string // folder for packfiles in the making, "" for memory
	temporary   bool   // Close removes cache
	concurrency int
	logger      *slog.Logger
	caches      *caching.Manager
	merging     *semaphore.Weighted // the sessions share one local state
	lost        lostPackfiles

	life    context.Context // ends with Close
	die     context.CancelFunc
	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
	idle    []*session
}

// RepositoryOption sets one thing of a repository. A nil RepositoryOption is
// skipped. An error wraps ErrInvalidOption.
type RepositoryOption func(*repositoryConfig) error

type repositoryConfig struct {
	secrecy     secrecy
	compression string
	cache       string
	packs       string
	packfile    uint64 // bytes after which a packfile is full; 0 is the engine's default
	concurrency int
	logger      *slog.Logger
}

// WithPassphrase encrypts a new repository, or opens an encrypted one. To
// open a repository that turns out not to be encrypted is refused with
// ErrPassphrase, unless WithPlaintext is given as well: the configuration
// may have been swapped to get the next backup in the clear. The slice is
// not kept.
func WithPassphrase(passphrase []byte) RepositoryOption {
	return func(c *repositoryConfig) error {
		if len(passphrase) == 0 {
			return invalid("passphrase", "it is empty")
		}
		c.secrecy.passphrase = func() ([]byte, error) { return passphrase, nil }
		c.secrecy.required = true
		return nil
	}
}

// WithPassphraseFunc is called once, and only if a passphrase is needed: for
// an encrypted repository, or to create one. A repository without encryption
// opens too.
func WithPassphraseFunc(ask func() ([]byte, error)) RepositoryOption {
	return func(c *repositoryConfig) error {
		c.secrecy.passphrase = ask
		c.secrecy.required = false
		return nil
	}
}

// WithPlaintext creates a repository without encryption. A repository without
// it opens with or without this option, an encrypted one never does.
func WithPlaintext() RepositoryOption {
	return func(c *repositoryConfig) error { c.secrecy.plaintext = true; return nil }
}

// WithCompression is the algorithm of a new repository: LZ4 (the default),
// ZSTD, GZIP, or none. It is of no meaning when opening.
func WithCompression(algorithm string) RepositoryOption {
	return func(c *repositoryConfig) error {
		if algorithm != "none" {
			if _, err := compression.LookupDefaultConfiguration(algorithm); err != nil {
				return invalid("compression", "%q is not LZ4, ZSTD, GZIP or none", algorithm)
			}
		}
		c.compression = algorithm
		return nil
	}
}

// WithCacheDir keeps what is known of the repository in a folder, which is
// created, and which several repositories and processes may share. The
// default is a temporary folder that Close removes: nothing stays behind, but
// every opening then reads the states of all backups ever made, two requests
// for each. Give a folder to whatever runs regularly.
func WithCacheDir(dir string) RepositoryOption {
	return func(c *repositoryConfig) error {
		if dir == "" {
			return invalid("cache folder", "it is empty")
		}
		c.cache = dir
		return nil
	}
}

// WithTempDir is an existing folder for packfiles in the making, up to about
// 140 MiB for each unit of engine concurrency. The default is in the cache
// folder. Make it a disk: on a file system in memory it costs memory.
func WithTempDir(dir string) RepositoryOption {
	return func(c *repositoryConfig) error {
		if info, err := os.Stat(dir); err != nil {
			return invalid("temporary folder", "%v", err)
		} else if !info.IsDir() {
			return invalid("temporary folder", "%q is not a folder", dir)
		}
		c.packs = dir
		return nil
	}
}

// WithEngineConcurrency is how many objects the engine reads and packs at a
// time, from 1 to 1024. The default is the number of processors but at least
// 4, so that some workers wait for the network while others compress. Each
// takes about 20 MiB of memory.
func WithEngineConcurrency(n int) RepositoryOption {
	return func(c *repositoryConfig) error {
		if n < 1 || n > 1024 {
			return invalid("engine concurrency", "%d is not from 1 to 1024", n)
		}
		c.concurrency = n
		return nil
	}
}

// WithEngineLogger gets what the engine has to say, which is little, and what
// the facade noticed and healed. The default is silence.
func WithEngineLogger(logger *slog.Logger) RepositoryOption {
	return func(c *repositoryConfig) error {
		if logger != nil {
			c.logger = logger
		}
		return nil
	}
}

func newRepositoryConfig(opts []RepositoryOption) (*repositoryConfig, error) {
	c := &repositoryConfig{
		concurrency: max(4, runtime.GOMAXPROCS(0)),
		logger:      slog.New(slog.DiscardHandler),
	}
	return c, apply(c, opts)
}

// apply applies options in order and stops at the first refusal.
func apply[C any, O ~func(*C) error](config *C, opts []O) error {
	for _, opt := range opts {
		if opt == nil {
			continue
		}
		if err := opt(config); err != nil {
			return err
		}
	}
	return nil
}

// CreateRepository creates a repository on an empty store and opens it. One
// of WithPassphrase, WithPassphraseFunc and WithPlaintext is required. Where
// there is a repository already the error is ErrAlreadyExists.
//
// The key is derived from the passphrase by Argon2id, which takes 256 MiB of
// memory and about a second. The store stays the caller's to close.
func CreateRepository(ctx context.Context, store storage.Store, opts ...RepositoryOption) (*Repository, error) {
	c, err := newRepositoryConfig(opts)
	if err != nil {
		return nil, err
	}
	if (c.secrecy.passphrase != nil) == c.secrecy.plaintext {
		return nil, invalid("encryption", "create a repository with either a passphrase or WithPlaintext")
	}
	config, key, err := newConfiguration(c)
	if err != nil {
		return nil, fmt.Errorf("create repository: %w", err)
	}
	if err := createStore(ctx, store, config); err != nil {
		return nil, fmt.Errorf("create repository: %w", err)
	}
	return newRepository(ctx, store, config, key, c)
}

// createStore stores the configuration and reads it back. A store may refuse
// for a repository that is there, in words of its own, and even after an answer
// was lost and the one that is there is ours: no two configurations are equal.
func createStore(ctx context.Context, store storage.Store, config []byte) error {
	refused := store.Create(ctx, config)
	if refused != nil && ctx.Err() != nil {
		return refused
	}
	stored, err := store.Open(ctx)
	switch {
	case err == nil && bytes.Equal(stored, config):
		return nil
	case err == nil && refused == nil:
		return fmt.Errorf("%w: the store returns another configuration", ErrDamaged)
	case err == nil && !errors.Is(refused, ErrAlreadyExists):
		return fmt.Errorf("%w: %w", ErrAlreadyExists, refused)
	case refused != nil:
		return refused
	}
	return err
}

// OpenRepository opens the repository on a store. Without one the error is
// ErrNoRepository; if it is encrypted and the passphrase is missing or wrong,
// ErrPassphrase. The store stays the caller's to close.
func OpenRepository(ctx context.Context, store storage.Store, opts ...RepositoryOption) (*Repository, error) {
	c, err := newRepositoryConfig(opts)
	if err != nil {
		return nil, err
	}
	config, err := openStore(ctx, store)
	if err != nil {
		return nil, err
	}
	parsed, err := storage.NewConfigurationFromWrappedBytes(config)
	if err != nil {
		return nil, fmt.Errorf("open repository: %w: configuration: %w", ErrDamaged, err)
	}
	key, err := c.secrecy.unseal(parsed)
	if err != nil {
		return nil, fmt.Errorf("open repository: %w", err)
	}
	return newRepository(ctx, store, config, key, c)
}

func openStore(ctx context.Context, store storage.Store) ([]byte, error) {
	config, err := store.Open(ctx)
	switch {
	case err == nil:
		return config, nil
	case errors.Is(err, fs.ErrNotExist) && !errors.Is(err, ErrNoRepository):
		return nil, fmt.Errorf("open repository: %w: %w", ErrNoRepository, err)
	default:
		return nil, fmt.Errorf("open repository: %w", err)
	}
}

// engineConfiguration is what the engine would give a new repository. The tests make the
// chunks smaller: the engine allocates the longest of them for every body.
var engineConfiguration = storage.NewConfiguration

// newConfiguration makes the configuration of a new repository and its key.
func newConfiguration(c *repositoryConfig) (config, key []byte, err error) {
	cfg := engineConfiguration()
	if c.packfile > 0 {
		cfg.Packfile.MaxSize = c.packfile
	}
	switch c.compression {
	case "":
	case "none":
		cfg.Compression = nil
	default:
		if cfg.Compression, err = compression.LookupDefaultConfiguration(c.compression); err != nil {
			return nil, nil, err
		}
	}
	key, hasher, err := c.secrecy.seal(cfg)
	if err != nil {
		return nil, nil, err
	}
	raw, err := cfg.ToBytes()
	if err != nil {
		return nil, nil, err
	}
	rd, err := storage.Serialize(hasher, resources.RT_CONFIG, versioning.GetCurrentVersion(resources.RT_CONFIG), bytes.NewReader(raw))
	if err != nil {
		return nil, nil, err
	}
	config, err = io.ReadAll(rd)
	return config, key, err
}

func newRepository(ctx context.Context, store storage.Store, config, key []byte, c *repositoryConfig) (*Repository, error) {
	r := &Repository{
		store: store, config: config, key: key,
		packs: c.packs, concurrency: c.concurrency, logger: c.logger,
		merging: semaphore.NewWeighted(1),
	}
	if err := r.makeFolders(c.cache); err != nil {
		return nil, fmt.Errorf("open repository: %w", err)
	}
	r.life, r.die = context.WithCancel(context.Background())
	r.caches = caching.NewManager(endable(pebble.Constructor(r.cache)))

	// Merges all states, so that a broken repository shows here.
	op, err := r.begin(ctx)
	if err != nil {
		_ = r.Close() // has nothing to add
		return nil, fmt.Errorf("open repository: %w", err)
	}
	op.end()
	return r, nil
}

func (r *Repository) makeFolders(cache string) (err error) {
	if cache == "" {
		r.temporary = true
		r.cache, err = os.MkdirTemp("", "s3kloset-")
	} else if r.cache, err = filepath.Abs(cache); err == nil {
		err = os.MkdirAll(r.cache, 0o700)
	}
	if err == nil && r.packs == "" {
		r.packs = filepath.Join(r.cache, "packs")
		err = os.MkdirAll(r.packs, 0o700)
	}
	return err
}

// checkOut takes an idle session, or opens one.
func (r *Repository) checkOut() (*session, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, ErrClosed
	}
	r.running.Add(1)
	if last := len(r.idle) - 1; last >= 0 {
		s := r.idle[last]
		r.idle = r.idle[:last]
		return s, nil
	}
	s, err := r.newSession()
	if err != nil {
		r.running.Done()
		return nil, err
	}
	return s, nil
}

func (r *Repository) checkIn(s *session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.idle = append(r.idle, s)
	r.running.Done()
}

// Close ends the operations that are running, with ErrClosed, and waits for
// them. It removes locks that could not be removed before, and the cache
// folder unless WithCacheDir gave one. The store stays open. A second Close
// does nothing.
func (r *Repository) Close() error {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil
	}
	r.closed = true
	r.mu.Unlock()
	r.die()
	r.running.Wait()

	var errs []error
	for _, s := range r.idle {
		errs = append(errs, s.guard.release(context.Background()))
	}
	errs = append(errs, r.caches.Close())
	if r.temporary {
		errs = append(errs, os.RemoveAll(r.cache))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("close repository: %w", err)
	}
	return nil
}
