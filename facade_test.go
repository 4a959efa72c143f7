package s3kloset

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/PlakarKorp/kloset/objects"
	"github.com/s3kloset/s3kloset/internal/klosettest"
	"github.com/s3kloset/s3kloset/internal/s3test"
)

// world is a server with a bucket of objects, and a repository to keep them in.
type world struct {
	*testing.T
	server *s3test.Server
	data   *s3test.Bucket
	store  *klosettest.MemStore
	repo   *Repository
}

func newWorld(t *testing.T, opts ...RepositoryOption) *world {
	t.Helper()
	return newWorldOn(t, s3test.Start(t), opts...)
}

func newWorldOn(t *testing.T, server *s3test.Server, opts ...RepositoryOption) *world {
	t.Helper()
	w := &world{T: t, server: server, store: klosettest.NewMemStore()}
	w.data = w.server.CreateBucket("data")
	w.repo = createPlain(t, w.store, opts...)
	return w
}

// createPlain makes a repository without encryption: the derivation of a key
// takes a second and is of no interest to most tests.
func createPlain(t testing.TB, store storage.Store, opts ...RepositoryOption) *Repository {
	t.Helper()
	repo, err := CreateRepository(t.Context(), store, append([]RepositoryOption{WithPlaintext(), WithEngineConcurrency(2)}, opts...)...)
	if err != nil {
		t.Fatalf("create repository: %v", err)
	}
	t.Cleanup(func() {
		if err := repo.Close(); err != nil {
			t.Errorf("close repository: %v", err)
		}
	})
	return repo
}

// at is a handle on a location of the server.
func (w *world) at(location string, opts ...Option) *Bucket {
	w.Helper()
	return handle(w, w.server, location, opts...)
}

func handle(t testing.TB, server *s3test.Server, location string, opts ...Option) *Bucket {
	t.Helper()
	b, err := New(location, append([]Option{
		WithEndpoint(server.URL()), WithCredentials(server.AccessKey(), server.SecretKey(), ""),
	}, opts...)...)
	if err != nil {
		t.Fatalf("New(%q): %v", location, err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// fill puts n small objects into the bucket, in folders of ten.
func (w *world) fill(n int) {
	for i := range n {
		w.data.Put(fmt.Sprintf("dir%02d/file%04d", i/10, i), fmt.Appendf(nil, "content of %d", i), s3test.Properties{})
	}
}

func (w *world) backup(opts ...BackupOption) *BackupReport {
	w.Helper()
	return w.backupOf(w.at("s3://data"), opts...)
}

func (w *world) backupOf(b *Bucket, opts ...BackupOption) *BackupReport {
	w.Helper()
	report, err := w.repo.Backup(w.Context(), b.Source(), opts...)
	if err != nil {
		w.Fatalf("backup: %v", err)
	}
	if err := report.Err(); err != nil {
		w.Fatalf("report of a backup without an error: %v", err)
	}
	return report
}

// restore restores into a new bucket and returns it.
func (w *world) restore(snapshot string, opts ...RestoreOption) *s3test.Bucket {
	w.Helper()
	name := fmt.Sprintf("restored%d", time.Now().UnixNano())
	bucket := w.server.CreateBucket(name)
	report, err := w.repo.Restore(w.Context(), snapshot, w.at("s3://"+name).Destination(), opts...)
	if err != nil {
		w.Fatalf("restore %q: %v", snapshot, err)
	}
	if got := int64(bucket.Len()); report.Stored != got || report.Err() != nil {
		w.Fatalf("report of the restore: stored %d, error %v; the bucket has %d", report.Stored, report.Err(), got)
	}
	return bucket
}

// counts compares the counts of a run, but for Bytes.
func (w *world) counts(what string, got Counts, want Counts) {
	w.Helper()
	if got.Bytes = 0; got != want {
		w.Errorf("%s: counts %+v, want %+v", what, got, want)
	}
}

// same compares all that a restore must bring back.
func (w *world) same(want, got *s3test.Bucket) {
	w.Helper()
	sameObjects(w, want.Dump(), got.Dump())
}

func sameObjects(t testing.TB, want, got []s3test.Object) {
	t.Helper()
	index := func(objects []s3test.Object) map[string]s3test.Object {
		m := make(map[string]s3test.Object)
		for _, o := range objects {
			m[o.Key] = o
		}
		return m
	}
	wants, gots := index(want), index(got)
	for _, key := range slices.Sorted(maps.Keys(wants)) {
		w, g := wants[key], gots[key]
		if g.Key == "" {
			t.Errorf("%q is missing", key)
			continue
		}
		if string(w.Body) != string(g.Body) {
			t.Errorf("%q: body %q, want %q", key, abbreviate(g.Body), abbreviate(w.Body))
		}
		if w, g := fmt.Sprintf("%+v", w.Properties), fmt.Sprintf("%+v", g.Properties); w != g {
			t.Errorf("%q:\n got %s\nwant %s", key, g, w)
		}
	}
	for key := range gots {
		if _, ok := wants[key]; !ok {
			t.Errorf("%q is there and should not be", key)
		}
	}
}

func abbreviate(b []byte) []byte { return b[:min(len(b), 60)] }

// quiet fails the test if, at its end, a goroutine of ours or of the engine's
// pipeline is still running. Call it first: what it looks for must have been
// cleaned up by then.
func quiet(t *testing.T) {
	t.Helper()
	t.Cleanup(func() {
		deadline := time.Now().Add(time.Minute)
		for {
			left := workers()
			if len(left) == 0 {
				return
			}
			// Nothing announces the end of a goroutine that nobody waits for.
			if time.Now().After(deadline) {
				t.Errorf("%d goroutines left behind:\n%s", len(left), strings.Join(left, "\n\n"))
				return
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
}

// workers returns the stacks of the goroutines that work on backups and
// restores. Those of the test itself and of idle connections are none.
func workers() []string {
	buf := make([]byte, 4<<20)
	buf = buf[:runtime.Stack(buf, true)]
	var found []string
	for stack := range strings.SplitSeq(string(buf), "\n\n") {
		has := func(s string) bool { return strings.Contains(stack, s) }
		if has("testing.tRunner") || has("testing.(*T).Run") {
			continue
		}
		if has("s3kloset/s3kloset.") || has("kloset/snapshot") || has("kloset/repository") {
			found = append(found, stack)
		}
	}
	return found
}

// locks returns the names of the locks in the store.
func (w *world) locks() []string {
	return slices.DeleteFunc(w.store.Names(), func(name string) bool { return !strings.HasPrefix(name, "lock") })
}

// readBlob reads one resource of a store as it is.
func readBlob(t testing.TB, store storage.Store, resource storage.StorageResource, id objects.MAC) []byte {
	t.Helper()
	rd, err := store.Get(t.Context(), resource, id, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer rd.Close()
	raw, err := io.ReadAll(rd)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// lockedBuffer is a bytes.Buffer that several goroutines may write to.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
