package e2e_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/PlakarKorp/kloset/objects"
	"github.com/s3kloset/s3kloset"
)

// What a Store of ours promises beyond what the engine needs of any, which the suite shows.

// TestStoreIsCreatedOnce, by one of many who try at the same time; the others are told why
// they did not.
func TestStoreIsCreatedOnce(t *testing.T) {
	eachForSuites(t, func(t *testing.T, at site) {
		location := at.newBucket(t) + "/repository"
		const racers = 16
		var won, lost atomic.Int64
		var group sync.WaitGroup
		for i := range racers {
			store := at.open(t, location).Store()
			closeAtEnd(t, store)
			group.Go(func() {
				switch err := store.Create(t.Context(), fmt.Appendf(nil, "config %d", i)); {
				case err == nil:
					won.Add(1)
				case errors.Is(err, s3kloset.ErrAlreadyExists):
					lost.Add(1)
				default:
					t.Errorf("create: %v", err)
				}
			})
		}
		group.Wait()
		if won.Load() != 1 || lost.Load() != racers-1 {
			t.Errorf("%d of %d won, %d lost", won.Load(), racers, lost.Load())
		}
	})
}

// TestStoreSize is the sum of what is there.
func TestStoreSize(t *testing.T) {
	eachForSuites(t, func(t *testing.T, at site) {
		store := at.open(t, at.newBucket(t)+"/repository").Store()
		closeAtEnd(t, store)
		want := int64(len("config"))
		if err := store.Create(t.Context(), []byte("config")); err != nil {
			t.Fatal(err)
		}
		for i, resource := range []storage.StorageResource{storage.StorageResourcePackfile, storage.StorageResourceState} {
			n, err := store.Put(t.Context(), resource, objects.MAC{byte(i)}, strings.NewReader(strings.Repeat("x", 1000+i)))
			if err != nil {
				t.Fatal(err)
			}
			want += n
		}
		if size, err := store.Size(t.Context()); err != nil || size != want {
			t.Errorf("the size is %d, %v, and not %d", size, err, want)
		}
	})
}

// TestStoreRanges that do not begin in a blob are errors, and what follows its end is not
// there.
func TestStoreRanges(t *testing.T) {
	eachForSuites(t, func(t *testing.T, at site) {
		store := at.open(t, at.newBucket(t)+"/repository").Store()
		closeAtEnd(t, store)
		id := objects.MAC{9}
		if _, err := store.Put(t.Context(), storage.StorageResourcePackfile, id, strings.NewReader("0123456789")); err != nil {
			t.Fatal(err)
		}
		for _, offset := range []uint64{10, 11, 1 << 40, 1 << 62, math.MaxUint64} {
			_, err := store.Get(t.Context(), storage.StorageResourcePackfile, id, &storage.Range{Offset: offset, Length: 4})
			if !errors.Is(err, s3kloset.ErrInvalidRange) {
				t.Errorf("offset %d: %v, not ErrInvalidRange", offset, err)
			}
		}
		body, err := store.Get(t.Context(), storage.StorageResourcePackfile, id, &storage.Range{Offset: 5, Length: math.MaxUint32})
		if err != nil {
			t.Fatal(err)
		}
		defer body.Close()
		if got, err := io.ReadAll(body); string(got) != "56789" || err != nil {
			t.Errorf("a range past the end: %q, %v", got, err)
		}
	})
}
