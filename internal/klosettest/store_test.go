package klosettest

import (
	"testing"

	"github.com/PlakarKorp/kloset/connectors/storage"
)

// memStores is the harness of [MemStore].
func memStores() StoreHarness {
	return StoreHarness{
		New:    func(testing.TB) storage.Store { return NewMemStore() },
		Reopen: func(_ testing.TB, s storage.Store) storage.Store { return s.(*MemStore).Reopen() },
		Plant:  func(_ testing.TB, s storage.Store, name string, body []byte) { s.(*MemStore).Plant(name, body) },
		Names:  func(_ testing.TB, s storage.Store) []string { return s.(*MemStore).Names() },
	}
}

func TestMemStore(t *testing.T) { RunStore(t, memStores()) }
