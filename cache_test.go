package s3kloset

import (
	"errors"
	"sync"
	"testing"

	"github.com/PlakarKorp/kloset/caching"
	"github.com/PlakarKorp/kloset/caching/pebble"
)

// TestCacheAfterClose: the engine's own database panics.
func TestCacheAfterClose(t *testing.T) {
	cache, err := endable(pebble.Constructor(t.TempDir()))("1", "scan", "x", caching.DeleteOnClose)
	if err != nil {
		t.Fatal(err)
	}
	key, value := []byte("key"), []byte("value")
	if err := cache.Put(key, value); err != nil {
		t.Fatal(err)
	}
	batch := cache.NewBatch()
	if err := batch.Put([]byte("other"), value); err != nil {
		t.Fatal(err)
	}
	if got, err := cache.Get(key); err != nil || string(got) != "value" {
		t.Errorf("get: %q %v", got, err)
	}
	for range 2 {
		if err := cache.Close(); err != nil {
			t.Fatal(err)
		}
	}
	_, has := cache.Has(key)
	_, get := cache.Get(key)
	late := cache.NewBatch()
	for name, err := range map[string]error{
		"put": cache.Put(key, value), "has": has, "get": get, "delete": cache.Delete(key), "commit": batch.Commit(),
		"put of a late batch": late.Put(key, value), "commit of a late batch": late.Commit(),
	} {
		if !errors.Is(err, caching.ErrClosed) {
			t.Errorf("%s after close: %v", name, err)
		}
	}
	for range cache.Scan(nil, false) {
		t.Error("scan of a closed cache yields something")
	}
	if late.Count() != 0 {
		t.Error("a late batch counts")
	}
}

// TestCacheCloseWaits: a scan that is under way ends first, and what it calls
// meanwhile fails instead of waiting for the close.
func TestCacheCloseWaits(t *testing.T) {
	cache, err := endable(pebble.Constructor(t.TempDir()))("1", "scan", "x", caching.DeleteOnClose)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"a", "b", "c"} {
		if err := cache.Put([]byte(key), []byte(key)); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	seen := 0
	for key := range cache.Scan(nil, false) {
		if seen++; seen == 1 {
			wg.Go(func() {
				if err := cache.Close(); err != nil {
					t.Errorf("close: %v", err)
				}
			})
		}
		if err := cache.Delete(key); err != nil && !errors.Is(err, caching.ErrClosed) {
			t.Errorf("delete: %v", err)
		}
	}
	wg.Wait()
	if seen != 3 {
		t.Errorf("the scan saw %d of 3 keys", seen)
	}
}
