package s3kloset

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/PlakarKorp/kloset/objects"
	"github.com/s3kloset/s3kloset/internal/klosettest"
)

func newMemStore(t *testing.T) *klosettest.MemStore {
	t.Helper()
	store := klosettest.NewMemStore()
	if err := store.Create(t.Context(), []byte("config")); err != nil {
		t.Fatal(err)
	}
	return store
}

// TestGuardOfRanges: one that ends early is damage. The engine takes it for the end of a
// listing.
func TestGuardOfRanges(t *testing.T) {
	store, id := newMemStore(t), objects.MAC{1}
	if _, err := store.Put(t.Context(), storage.StorageResourcePackfile, id, strings.NewReader("0123456789")); err != nil {
		t.Fatal(err)
	}
	for length, want := range map[uint32]error{5: nil, 6: ErrDamaged} {
		body, err := newGuard(store).Get(t.Context(), storage.StorageResourcePackfile, id, &storage.Range{Offset: 5, Length: length})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(body); string(got) != "56789" || !errors.Is(err, want) {
			t.Errorf("%d bytes: %q, %v, want %v", length, got, err, want)
		}
		body.Close()
	}
}

// mortalStore removes nothing once the context has ended, not even a lock.
type mortalStore struct{ *klosettest.MemStore }

func (s mortalStore) Delete(ctx context.Context, resource storage.StorageResource, id objects.MAC) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.MemStore.Delete(ctx, resource, id)
}

// TestGuardOfLocks: a lock goes although the operation was cancelled, on any store.
func TestGuardOfLocks(t *testing.T) {
	store, id := newMemStore(t), objects.MAC{1}
	g, before := newGuard(mortalStore{store}), store.Names()
	if _, err := g.Put(t.Context(), storage.StorageResourceLock, id, strings.NewReader("lock")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Delete(ctx, storage.StorageResourceLock, id); err != nil || !slices.Equal(store.Names(), before) {
		t.Errorf("delete: %v; there are %q", err, store.Names())
	}
}
