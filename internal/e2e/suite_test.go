package e2e_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PlakarKorp/kloset/connectors/exporter"
	"github.com/PlakarKorp/kloset/connectors/importer"
	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/e2e/raw"
	"github.com/s3kloset/s3kloset/internal/e2e/server"
	"github.com/s3kloset/s3kloset/internal/klosettest"
	"github.com/s3kloset/s3kloset/internal/s3test/conformance"
)

// The suites of internal/klosettest where the server is not ours. Source and Destination
// have whole buckets, so that every key is one of a bucket.

// eachForSuites runs a subtest for each real server that keeps what it is given, on the
// shared instances. The suites look for goroutines that are left behind, and so run beside
// no other test.
func eachForSuites(t *testing.T, run func(t *testing.T, at site)) {
	for _, name := range []conformance.Server{conformance.MinIO, conformance.Versity} {
		t.Run(string(name), func(t *testing.T) { run(t, newSite(t, server.Shared(t, name))) })
	}
}

// TestStoreSuite includes the race of sixteen that create one repository.
func TestStoreSuite(t *testing.T) {
	eachForSuites(t, func(t *testing.T, at site) { klosettest.RunStore(t, at.stores()) })
}

func TestSourceSuite(t *testing.T) {
	eachForSuites(t, func(t *testing.T, at site) { klosettest.RunSource(t, at.sources(newKeeper(t, at))) })
}

func TestDestinationSuite(t *testing.T) {
	eachForSuites(t, func(t *testing.T, at site) { klosettest.RunDestination(t, at.destinations(newKeeper(t, at))) })
}

func TestRoundTripSuite(t *testing.T) {
	eachForSuites(t, func(t *testing.T, at site) {
		keeper := newKeeper(t, at)
		klosettest.RunRoundTrip(t, klosettest.RoundTripHarness{
			Source: at.sources(keeper), Destination: at.destinations(keeper), Store: at.stores(),
		})
	})
}

// losses are the properties that the servers do not keep, as the table of conformance knows.
var losses = map[conformance.Server]klosettest.Losses{
	conformance.MinIO: {
		klosettest.WebsiteRedirect: "MinIO forgets it",
		klosettest.StorageClass:    "MinIO refuses STANDARD_IA",
		klosettest.ExpiresText:     "MinIO answers dates alone",
		klosettest.TagsUnicode:     "MinIO refuses them",
	},
	conformance.Versity: {
		klosettest.StorageClass: "versitygw takes all and forgets them",
	},
}

// storeFolder is where in their buckets the stores of the suite are.
const storeFolder = "backups/one"

// placed is a connector that knows its bucket.
type (
	placedStore struct {
		*s3kloset.Store
		bucket string
	}
	placedSource struct {
		*s3kloset.Source
		bucket string
		filled *[]klosettest.Object
	}
	placedDestination struct {
		*s3kloset.Destination
		bucket string
	}
)

// newBucket creates a bucket for one check.
func (at site) newBucket(t testing.TB) string {
	t.Helper()
	bucket := at.newName(t, "suite")
	if err := at.client.CreateBucket(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	return bucket
}

func (at site) stores() klosettest.StoreHarness {
	open := func(t testing.TB, bucket string) storage.Store {
		return placedStore{at.open(t, bucket+"/"+storeFolder).Store(), bucket}
	}
	return klosettest.StoreHarness{
		New:    func(t testing.TB) storage.Store { return open(t, at.newBucket(t)) },
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

func (at site) sources(keeper *keeper) klosettest.SourceHarness {
	open := func(t testing.TB, bucket string, filled *[]klosettest.Object) importer.Importer {
		return placedSource{at.open(t, bucket).Source(), bucket, filled}
	}
	return klosettest.SourceHarness{
		New: func(t testing.TB, objs []klosettest.Object) importer.Importer {
			bucket, filled := at.newBucket(t), new([]klosettest.Object)
			at.hold(t, bucket, filled, objs)
			return open(t, bucket, filled)
		},
		Reopen: func(t testing.TB, imp importer.Importer) importer.Importer {
			return open(t, imp.(placedSource).bucket, imp.(placedSource).filled)
		},
		Update: func(t testing.TB, imp importer.Importer, objs []klosettest.Object) {
			at.hold(t, imp.(placedSource).bucket, imp.(placedSource).filled, objs)
		},
		Keeps:  keeper.keeps,
		Losses: losses[at.server.Name],
	}
}

func (at site) destinations(keeper *keeper) klosettest.DestinationHarness {
	open := func(t testing.TB, bucket string) exporter.Exporter {
		return placedDestination{at.open(t, bucket).Destination(), bucket}
	}
	return klosettest.DestinationHarness{
		New: func(t testing.TB) exporter.Exporter { return open(t, at.newBucket(t)) },
		Reopen: func(t testing.TB, exp exporter.Exporter) exporter.Exporter {
			return open(t, exp.(placedDestination).bucket)
		},
		Objects: func(t testing.TB, exp exporter.Exporter) []klosettest.Object {
			return at.objects(t, exp.(placedDestination).bucket)
		},
		Keeps:  keeper.keeps,
		Losses: losses[at.server.Name],
	}
}

// keeper asks a server which keys it keeps, each beside all that it has kept before: what it
// does with the others is what the table of conformance tells.
type keeper struct {
	site
	t      *testing.T
	bucket string
	kept   []string
	known  map[string]bool
}

func newKeeper(t *testing.T, at site) *keeper {
	return &keeper{site: at, t: t, bucket: at.newBucket(t), known: make(map[string]bool)}
}

func (k *keeper) keeps(key string) bool {
	kept, known := k.known[key]
	if !known {
		kept = k.try(key)
		k.known[key] = kept
	}
	return kept
}

func (k *keeper) try(key string) bool {
	ctx, body := k.t.Context(), []byte("kept?")
	if k.client.Put(ctx, k.bucket, key, nil, body) != nil {
		return false
	}
	listed, err := k.client.Keys(ctx, k.bucket)
	want := slices.Sorted(slices.Values(append(slices.Clone(k.kept), key)))
	if err == nil && slices.Equal(listed, want) {
		k.kept = want
		return true
	}
	// Under whatever name it is there, which may have been that of another.
	_ = k.client.Delete(ctx, k.bucket, key)
	listed, err = k.client.Keys(ctx, k.bucket)
	if err != nil {
		k.t.Error(err)
	}
	for _, other := range k.kept {
		if slices.Contains(listed, other) {
			continue
		}
		if err := k.client.Put(ctx, k.bucket, other, nil, body); err != nil {
			k.t.Error(err)
		}
	}
	return false
}
