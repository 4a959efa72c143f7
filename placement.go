package s3kloset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/s3kloset/s3kloset/internal/bucket"
)

// packfilePart is the part size for packfiles, which have 64 MiB and more,
// where two parts fit into the memory for what is written.
const packfilePart = 16 << 20

// placement decides how a store writes its blobs: in which class, for how long
// they are kept, and under which condition. It is safe for concurrent use.
type placement struct {
	bucket *Bucket
	memory *bucket.Memory

	// unconditional is set once the server has shown that it does not know
	// If-None-Match.
	unconditional atomic.Bool
	// unmatched is set once it has refused If-Match with the ETag that there was,
	// as Ceph does.
	unmatched atomic.Bool

	mu    sync.Mutex
	locks map[string]string // ETags of the locks that we wrote, by key
}

func newPlacement(b *Bucket) *placement {
	return &placement{bucket: b, memory: bucket.NewMemory(b.cfg.memory / 2), locks: make(map[string]string)}
}

// write says how a blob is written. Only packfiles that the engine does not
// call hot go into the configured class: all else is read by every listing of
// snapshots, every backup and every look into a folder.
func (p *placement) write(ctx context.Context, resource storage.StorageResource) bucket.Write {
	cfg := p.bucket.cfg
	w := bucket.Write{
		PartSize: max(min(packfilePart, p.memory.Limit()/2), cfg.partSize, bucket.MinPartSize),
		Parallel: cfg.concurrency,
		Memory:   p.memory,

		// Every write has a condition: the policy of a bucket may demand it.
		ConditionFallback: true,
	}
	w.SSE, w.KMSKeyID, w.BucketKey = cfg.encryption.Mode, cfg.encryption.KMSKeyID, cfg.encryption.BucketKey
	if resource == storage.StorageResourceLock {
		return w
	}
	if resource == storage.StorageResourcePackfile && storage.Flag(ctx)&storage.StorageHot == 0 {
		w.StorageClass = cfg.store.storageClass
	}
	if cfg.store.lockMode != "" {
		w.LockMode = string(cfg.store.lockMode)
		w.LockUntil = time.Now().Add(cfg.store.lockPeriod).UTC()
	}
	return w
}

// note remembers that the server knows no conditions, which saves asking again.
// One that refused the write without them, too, has not shown that.
func (p *placement) note(written bucket.Written, err error) {
	if err == nil && written.ConditionRefused {
		p.unconditional.Store(true)
	}
}

// config stores the configuration of a new repository, or fails with
// ErrAlreadyExists. A server without conditional writes overwrites.
func (p *placement) config(ctx context.Context, key string, config []byte) error {
	w := p.write(ctx, storage.StorageResourceUndefined)
	w.IfNoneMatch = !p.unconditional.Load()
	written, err := p.bucket.client.Put(ctx, key, config, w)
	p.note(written, err)
	return err
}

// lockRaces is how often a lock is written with a condition while others
// write the same one, before it is written without.
const lockRaces = 3

// lock stores a lock, or refreshes one. One that another process has removed,
// or replaced, is replaced all the same: the engine decides whose it is by what
// is in it.
func (p *placement) lock(ctx context.Context, key string, body io.Reader) (int64, error) {
	lock, err := io.ReadAll(body)
	if err != nil {
		return 0, err
	}
	p.mu.Lock()
	etag := p.locks[key]
	p.mu.Unlock()
	w := p.write(ctx, storage.StorageResourceLock)
	for races := 0; ; races++ {
		w.IfNoneMatch, w.IfMatch = etag == "", etag
		if p.unconditional.Load() || races == lockRaces || etag != "" && p.unmatched.Load() {
			w.IfNoneMatch, w.IfMatch = false, ""
		}
		written, err := p.bucket.client.Put(ctx, key, lock, w)
		p.note(written, err)
		switch {
		case err == nil:
			p.mu.Lock()
			defer p.mu.Unlock()
			p.locks[key] = written.ETag
			return written.Size, nil
		case races == lockRaces || !isOvertaken(err):
			return 0, err
		}
		there, err := p.bucket.client.Head(ctx, key, bucket.Pin{})
		if err != nil && !errors.Is(err, ErrNotFound) {
			return 0, err
		}
		if etag != "" && there.ETag == etag {
			p.unmatched.Store(true)
		}
		etag = there.ETag
	}
}

// isOvertaken tells that a write did not find what its condition says.
func isOvertaken(err error) bool {
	return errors.Is(err, ErrAlreadyExists) || errors.Is(err, ErrChanged) ||
		errors.Is(err, ErrNotFound) && !errors.Is(err, ErrBucketNotFound)
}

// unlocked forgets a lock that was removed.
func (p *placement) unlocked(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.locks, key)
}

// blob stores a packfile or a state. Its name is a digest of its content, so
// one that is there already is the same, and is left alone.
func (p *placement) blob(ctx context.Context, resource storage.StorageResource, key string, body io.Reader) (int64, error) {
	w := p.write(ctx, resource)
	w.IfNoneMatch = !p.unconditional.Load()
	counted := &countingReader{reader: body}
	written, err := p.bucket.client.Upload(ctx, key, counted, -1, w)
	p.note(written, err)
	if !errors.Is(err, ErrAlreadyExists) {
		return written.Size, err
	}
	there, err := p.bucket.client.Head(ctx, key, bucket.Pin{})
	if err != nil {
		return 0, err
	}
	if there.Size != counted.n {
		return 0, fmt.Errorf("%s is there with %d bytes instead of %d: %w", key, there.Size, counted.n, ErrDamaged)
	}
	return there.Size, nil
}

// countingReader counts what is read through it.
type countingReader struct {
	reader io.Reader
	n      int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.reader.Read(p)
	c.n += int64(n)
	return n, err
}
