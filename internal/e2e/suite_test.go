package e2e_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/e2e/raw"
	"github.com/s3kloset/s3kloset/internal/e2e/server"
	"github.com/s3kloset/s3kloset/internal/klosettest"
	"github.com/s3kloset/s3kloset/internal/s3test/conformance"
)

// TestStoreSuite holds the store to its contract where the server is not ours, the race of
// sixteen that create one repository included.
func TestStoreSuite(t *testing.T) {
	for _, name := range []conformance.Server{conformance.MinIO, conformance.Versity} {
		t.Run(string(name), func(t *testing.T) {
			klosettest.RunStore(t, newSite(t, server.Shared(t, name)).stores())
		})
	}
}

// storeFolder is where in their buckets the stores of the suite are.
const storeFolder = "backups/one"

// placedStore is a store that knows its bucket.
type placedStore struct {
	*s3kloset.Store
	bucket string
}

func (at site) stores() klosettest.StoreHarness {
	open := func(t testing.TB, bucket string) storage.Store {
		return placedStore{at.open(t, bucket+"/"+storeFolder).Store(), bucket}
	}
	return klosettest.StoreHarness{
		New: func(t testing.TB) storage.Store {
			bucket := at.newName(t, "suite")
			if err := at.client.CreateBucket(t.Context(), bucket); err != nil {
				t.Fatal(err)
			}
			return open(t, bucket)
		},
		Reopen: func(t testing.TB, s storage.Store) storage.Store { return open(t, s.(placedStore).bucket) },
		Plant: func(t testing.TB, s storage.Store, name string, body []byte) {
			err := at.client.Put(t.Context(), s.(placedStore).bucket, storeFolder+"/"+name, nil, body)
			var refused *raw.Error
			if errors.As(err, &refused) && refused.Code == "DirectoryObjectContainsData" {
				return // what versitygw does not take nobody else has put there
			}
			if err != nil {
				t.Fatal(err)
			}
		},
		Names: func(t testing.TB, s storage.Store) []string {
			keys, err := at.client.Keys(context.WithoutCancel(t.Context()), s.(placedStore).bucket)
			if err != nil {
				t.Fatal(err)
			}
			for i, key := range keys {
				keys[i] = strings.TrimPrefix(key, storeFolder+"/")
			}
			return keys
		},
		Tick: func(testing.TB) {
			if at.server.Name == conformance.Versity {
				time.Sleep(time.Second) // the grain of the times in its listings
			}
		},
	}
}
