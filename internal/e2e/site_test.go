package e2e_test

import (
	"context"
	"crypto/rand"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	fsstore "github.com/PlakarKorp/integrations/fs/storage"
	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/e2e/raw"
	"github.com/s3kloset/s3kloset/internal/e2e/server"
	"github.com/s3kloset/s3kloset/internal/s3test"
)

// site is a server, and the client that sees it as it is.
type site struct {
	server *server.Server
	client *raw.Client
}

func newSite(t *testing.T, s *server.Server) site { return site{s, s.Raw(t)} }

// behindProxy is the site as it is seen through a proxy, which counts requests and has faults
// where the server is not ours. The raw client goes past it.
func (at site) behindProxy(t *testing.T) (site, *s3test.Proxy) {
	t.Helper()
	proxy := s3test.StartProxy(t, at.server.Endpoint)
	through := *at.server
	through.Endpoint = proxy.URL()
	return site{&through, at.client}, proxy
}

// newName makes the name of a bucket that no other test has.
func newName(kind string) string { return kind + "-" + strings.ToLower(rand.Text()[:10]) }

// newName makes the name of a bucket that is emptied when the test ends: servers that run
// in this process would keep it in memory.
func (at site) newName(t testing.TB, kind string) string {
	name := newName(kind)
	t.Cleanup(func() {
		if at.server.Fake != nil {
			at.server.Fake.RemoveBucket(name)
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		keys, _ := at.client.Keys(ctx, name) // it need not be there
		for _, key := range keys {
			_ = at.client.Delete(ctx, name, key) // it may be locked
		}
	})
	return name
}

// open makes a handle on a location of the server.
func (at site) open(t testing.TB, location string, opts ...s3kloset.Option) *s3kloset.Bucket {
	t.Helper()
	s := at.server
	opts = slices.Concat([]s3kloset.Option{
		s3kloset.WithEndpoint(s.Endpoint),
		s3kloset.WithRegion(s.Region),
		s3kloset.WithCredentials(s.AccessKey, s.SecretKey, ""),
	}, opts)
	if s.CAFile != "" {
		opts = append(opts, s3kloset.WithCAFile(s.CAFile))
	}
	b, err := s3kloset.New("s3://"+location, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("close %s: %v", b, err)
		}
	})
	return b
}

// store is an empty store in a folder of a new bucket.
func (at site) store(t *testing.T, bucket string) *s3kloset.Store {
	t.Helper()
	store := at.open(t, bucket+"/backups/one", s3kloset.WithCreateBucket(true)).Store()
	closeAtEnd(t, store)
	return store
}

// storeOnDisk is an empty store in a local folder.
func storeOnDisk(t *testing.T) storage.Store {
	t.Helper()
	location := "fs://" + filepath.Join(t.TempDir(), "repository")
	store, err := fsstore.NewStore(t.Context(), "fs", map[string]string{"location": location})
	if err != nil {
		t.Fatal(err)
	}
	closeAtEnd(t, store)
	return store
}

func closeAtEnd(t *testing.T, store storage.Store) {
	t.Cleanup(func() {
		if err := store.Close(context.Background()); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
}

func closeRepository(t *testing.T, repo *s3kloset.Repository) {
	t.Helper()
	if err := repo.Close(); err != nil {
		t.Error(err)
	}
}

// wantUploads demands a number of uploads that were begun and not ended.
func (at site) wantUploads(t *testing.T, bucket string, n int) {
	t.Helper()
	uploads, err := at.client.Uploads(t.Context(), bucket)
	if err != nil {
		t.Fatal(err)
	}
	if len(uploads) != n {
		t.Errorf("%d uploads are left in %s, not %d: %q", len(uploads), bucket, n, uploads)
	}
}

// wantNoLocks demands that no lock is left in a repository.
func (at site) wantNoLocks(t *testing.T, bucket string) {
	t.Helper()
	if locks := at.locks(t, bucket); len(locks) > 0 {
		t.Errorf("locks are left: %q", locks)
	}
}

// locks lists the locks in a bucket.
func (at site) locks(t *testing.T, bucket string) []string {
	t.Helper()
	return slices.DeleteFunc(at.keys(t, bucket), func(key string) bool { return !strings.Contains("/"+key, "/locks/") })
}

// keys lists a bucket.
func (at site) keys(t *testing.T, bucket string) []string {
	t.Helper()
	keys, err := at.client.Keys(t.Context(), bucket)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}
