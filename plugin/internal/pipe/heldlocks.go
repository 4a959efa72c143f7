package pipe

import (
	"context"
	"errors"
	"sync"

	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/PlakarKorp/kloset/objects"
)

// heldLocks are the locks that the host has put and not deleted. Nothing but the
// host's own process needs them.
type heldLocks struct {
	mu  sync.Mutex
	ids map[objects.MAC]struct{}
}

func (h *heldLocks) add(id objects.MAC) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ids == nil {
		h.ids = make(map[objects.MAC]struct{})
	}
	h.ids[id] = struct{}{}
}

func (h *heldLocks) remove(id objects.MAC) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.ids, id)
}

// release deletes the locks that are held. Of those that cannot be deleted it
// returns the errors, and does not try again.
func (h *heldLocks) release(ctx context.Context, store storage.Store) error {
	h.mu.Lock()
	ids := h.ids
	h.ids = nil
	h.mu.Unlock()
	var errs []error
	for id := range ids {
		errs = append(errs, store.Delete(ctx, storage.StorageResourceLock, id))
	}
	return errors.Join(errs...)
}
