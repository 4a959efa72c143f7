package s3kloset

import (
	"iter"
	"sync"

	"github.com/PlakarKorp/kloset/caching"
)

// endable makes the engine's databases safe to close. After a cancelled backup
// a goroutine of the engine, for which nobody waits, may still look something
// up; in a closed database that ends the process.
func endable(open caching.Constructor) caching.Constructor {
	return func(version, name, repository string, opts caching.Option) (caching.Cache, error) {
		inner, err := open(version, name, repository, opts)
		if err != nil {
			return nil, err
		}
		return &endableCache{inner: inner}, nil
	}
}

// endableCache answers with caching.ErrClosed once it is closed, and is closed
// when the last call has returned.
type endableCache struct {
	inner caching.Cache
	users sync.WaitGroup

	mu     sync.Mutex
	closed bool
}

// enter begins a call. Only one that it lets in must leave.
func (c *endableCache) enter() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return caching.ErrClosed
	}
	c.users.Add(1)
	return nil
}

func (c *endableCache) leave() { c.users.Done() }

// Put implements caching.Cache.
func (c *endableCache) Put(key, value []byte) error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.leave()
	return c.inner.Put(key, value)
}

// Has implements caching.Cache.
func (c *endableCache) Has(key []byte) (bool, error) {
	if err := c.enter(); err != nil {
		return false, err
	}
	defer c.leave()
	return c.inner.Has(key)
}

// Get implements caching.Cache.
func (c *endableCache) Get(key []byte) ([]byte, error) {
	if err := c.enter(); err != nil {
		return nil, err
	}
	defer c.leave()
	return c.inner.Get(key)
}

// Delete implements caching.Cache.
func (c *endableCache) Delete(key []byte) error {
	if err := c.enter(); err != nil {
		return err
	}
	defer c.leave()
	return c.inner.Delete(key)
}

// Scan implements caching.Cache. Close waits for the end of the loop.
func (c *endableCache) Scan(prefix []byte, reverse bool) iter.Seq2[[]byte, []byte] {
	return func(yield func([]byte, []byte) bool) {
		if c.enter() != nil {
			return
		}
		defer c.leave()
		c.inner.Scan(prefix, reverse)(yield)
	}
}

// NewBatch implements caching.Cache.
func (c *endableCache) NewBatch() caching.Batch {
	if c.enter() != nil {
		return closedBatch{}
	}
	defer c.leave()
	return &endableBatch{c.inner.NewBatch(), c}
}

// Close implements caching.Cache.
func (c *endableCache) Close() error {
	c.mu.Lock()
	closed := c.closed
	c.closed = true
	c.mu.Unlock()
	if closed {
		return nil
	}
	c.users.Wait()
	return c.inner.Close()
}

// endableBatch is a batch that is not committed to a closed database.
type endableBatch struct {
	caching.Batch
	cache *endableCache
}

// Commit implements caching.Batch.
func (b *endableBatch) Commit() error {
	if err := b.cache.enter(); err != nil {
		return err
	}
	defer b.cache.leave()
	return b.Batch.Commit()
}

// closedBatch is a batch of a closed database.
type closedBatch struct{}

func (closedBatch) Put([]byte, []byte) error { return caching.ErrClosed }
func (closedBatch) Count() uint32            { return 0 }
func (closedBatch) Commit() error            { return caching.ErrClosed }
