package s3kloset

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/PlakarKorp/kloset/connectors/importer"
	"github.com/s3kloset/s3kloset/internal/klosettest"
	"github.com/s3kloset/s3kloset/internal/s3test"
)

// blind hides from the facade that an importer is a Source, as plakar's pipe
// does: the Source then does not see the previous snapshot.
type blind struct{ importer.Importer }

func (w *world) blindBackup(opts ...Option) *BackupReport {
	w.Helper()
	report, err := w.repo.Backup(w.Context(), blind{w.at("s3://data", opts...).Source()})
	if err != nil {
		w.Fatal(err)
	}
	return report
}

// reading counts the reads of objects of the data bucket during f.
func (w *world) reading(f func()) int {
	before := w.server.Count("GetObject") + w.server.Count("HeadObject")
	f()
	return w.server.Count("GetObject") + w.server.Count("HeadObject") - before
}

func TestMetadataCache(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	w.fill(60)
	w.data.Put("a", []byte("object and folder"), s3test.Properties{Metadata: map[string]string{"k": "v"}, Tags: map[string]string{"t": "1"}})
	w.data.Put("a!", []byte("between"), s3test.Properties{})
	w.data.Put("a/b", []byte("below"), s3test.Properties{})
	cache := filepath.Join(t.TempDir(), "cache")
	opts := []Option{WithMetadataCache(cache), WithTagPolicy(TagsOnChange)}

	w.blindBackup(opts...)
	var second *BackupReport
	if n := w.reading(func() { second = w.blindBackup(opts...) }); n != 0 {
		t.Errorf("%d reads of objects in a backup without changes", n)
	}
	w.same(w.data, w.restore(second.Snapshot.ID))

	w.data.Put("a!", []byte("changed"), s3test.Properties{ContentType: "text/plain"})
	w.data.Put("new", []byte("new"), s3test.Properties{})
	w.data.Delete("dir00/file0003")
	old, _ := w.data.Get("dir00/file0005")
	w.data.Put(old.Key, old.Body, s3test.Properties{ContentType: "text/plain"}, s3test.ModifiedAt(old.LastModified.Add(time.Second)))
	w.data.SetClass("dir00/file0006", "STANDARD_IA")
	var third *BackupReport
	if n := w.reading(func() { third = w.blindBackup(opts...) }); n != 4 {
		t.Errorf("%d reads of objects for four that changed", n)
	}
	w.same(w.data, w.restore(third.Snapshot.ID))

	if n := w.reading(func() { w.blindBackup(WithMetadataCache(cache), WithTagPolicy(TagsNever)) }); n == 0 {
		t.Error("tags of a cache with tags came into a snapshot without")
	}
	names, err := os.ReadDir(cache)
	if err != nil || len(names) != 2 {
		t.Errorf("%d files in the cache, %v; want one with tags and one without", len(names), err)
	}
}

// TestMetadataCacheOfAnotherRepository: the engine then reads what the cache
// takes for unchanged.
func TestMetadataCacheOfAnotherRepository(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	w.fill(100)
	opts := []Option{WithMetadataCache(t.TempDir()), WithTagPolicy(TagsOnChange)}
	w.blindBackup(opts...)
	w.repo = createPlain(t, klosettest.NewMemStore())
	report := w.blindBackup(opts...)
	w.same(w.data, w.restore(report.Snapshot.ID))
}

func TestMetadataCacheSurvivesFailures(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	w.fill(40)
	cache := t.TempDir()
	opts := []Option{WithMetadataCache(cache), WithTagPolicy(TagsOnChange)}
	w.blindBackup(opts...)
	names, err := filepath.Glob(filepath.Join(cache, "*.s3meta"))
	if err != nil || len(names) != 1 {
		t.Fatalf("%q, %v", names, err)
	}

	// A listing that fails leaves the old file.
	fault := w.server.Faults().Add(s3test.Fault{Op: "ListObjectsV2", Bucket: "data", Times: s3test.Always, Action: s3test.Status(403, "AccessDenied")})
	if _, err := w.repo.Backup(t.Context(), blind{w.at("s3://data", opts...).Source()}); !errors.Is(err, ErrAccessDenied) {
		t.Fatalf("error is %v, want ErrAccessDenied", err)
	}
	fault.Remove()
	if n := w.reading(func() { w.blindBackup(opts...) }); n != 0 {
		t.Errorf("%d reads of objects: the failed run spoilt the cache", n)
	}

	if err := os.WriteFile(names[0], []byte(strings.Repeat("damage", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	report := w.blindBackup(opts...)
	w.same(w.data, w.restore(report.Snapshot.ID))

	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	report = w.blindBackup(WithMetadataCache(blocked))
	w.same(w.data, w.restore(report.Snapshot.ID))
}

func TestMetadataCacheNeedsOrder(t *testing.T) {
	if _, err := New("s3://data", WithMetadataCache("x"), WithUnorderedListing(true)); !errors.Is(err, ErrInvalidOption) {
		t.Errorf("%v, want ErrInvalidOption", err)
	}
}

// TestMetadataCacheBegins backs up for the first time: many objects are read at
// the same time, and not one for each that the engine asks for. A snapshot that
// the cache does not know of costs bodies for no more than the look-ahead.
func TestMetadataCacheBegins(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	const objects = 200
	w.fill(objects)
	opts := []Option{WithMetadataCache(t.TempDir()), WithTagPolicy(TagsOnChange), WithConcurrency(8)}
	meeting := w.server.Faults().Add(s3test.Fault{Op: "GetObject", Bucket: "data", Times: 8, Action: s3test.Gather(8)})
	w.server.SetLatency(10 * time.Millisecond)
	w.blindBackup(opts...)
	w.server.SetLatency(0)
	if heads, peak := w.server.Count("HeadObject"), w.server.Totals("GetObject").Peak; heads != 0 || peak != 8 || meeting.Fired() != 8 {
		t.Errorf("the first backup makes %d HEAD, and at most %d GET at the same time; want 0 and 8", heads, peak)
	}

	before := w.server.Count("GetObject")
	opts[0] = WithMetadataCache(t.TempDir())
	if report := w.blindBackup(opts...); report.Unchanged != objects {
		t.Errorf("%d of %d objects are unchanged", report.Unchanged, objects)
	}
	if wasted := w.server.Count("GetObject") - before; wasted > objects/3 {
		t.Errorf("%d of %d unchanged objects were read", wasted, objects)
	}
}

// cacheFile is the one file of a cache.
func cacheFile(t *testing.T, cache string) string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(cache, "*.s3meta"))
	if err != nil || len(names) != 1 {
		t.Fatalf("%q, %v; want one file", names, err)
	}
	return names[0]
}

// replaceCache puts other bytes in the place of a cache.
func replaceCache(t *testing.T, cache string, edit func(whole []byte) []byte) {
	t.Helper()
	name := cacheFile(t, cache)
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, edit(whole), 0o600); err != nil {
		t.Fatal(err)
	}
}

// fillWide puts objects whose descriptions take many blocks of a cache.
func (w *world) fillWide(folder string, n int) {
	for i := range n {
		w.data.Put(fmt.Sprintf("%s/%04d", folder, i), fmt.Appendf(nil, "%s %d", folder, i), s3test.Properties{
			Metadata: map[string]string{"wide": strings.Repeat(strconv.Itoa(i), 500)}})
	}
}

// TestMetadataCacheThatKnowsLess than the snapshot that the engine compares with:
// bodies of what the engine does not read are fetched until that shows, and no
// longer. The next backup knows all again.
func TestMetadataCacheThatKnowsLess(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	const known, more = 20, 100
	cache := t.TempDir()
	opts := []Option{WithMetadataCache(cache), WithTagPolicy(TagsOnChange), WithConcurrency(8)}
	w.fillWide("first", known)
	w.blindBackup(opts...)
	old, err := os.ReadFile(cacheFile(t, cache))
	if err != nil {
		t.Fatal(err)
	}
	w.fillWide("more", more)
	before := w.server.Count("HeadObject")
	w.blindBackup(opts...)
	if heads := w.server.Count("HeadObject") - before; heads != 0 {
		t.Errorf("%d HEAD of objects that are new to a cache that is whole", heads)
	}
	for name, edit := range map[string]func(whole []byte) []byte{
		"an older one":       func([]byte) []byte { return old },
		"cut in the middle":  func(whole []byte) []byte { return whole[:len(whole)*3/4] },
		"a bit of it turned": func(whole []byte) []byte { whole[len(whole)*3/4] ^= 1; return whole },
		"cut in its head":    func(whole []byte) []byte { return whole[:7] },
		"empty":              func([]byte) []byte { return nil },
	} {
		if testing.Short() && strings.HasPrefix(name, "cut") {
			continue
		}
		replaceCache(t, cache, edit)
		before := w.server.Count("GetObject")
		report := w.blindBackup(opts...)
		w.counts(name, report.Counts, Counts{Listed: known + more, Unchanged: known + more})
		if wasted := w.server.Count("GetObject") - before; wasted > more/3 {
			t.Errorf("%s: %d of %d objects were fetched for an engine that reads none", name, wasted, known+more)
		}
		if n := w.reading(func() { report = w.blindBackup(opts...) }); n != 0 {
			t.Errorf("%s: %d reads of objects in the backup after it", name, n)
		}
		w.same(w.data, w.restore(report.Snapshot.ID))
	}
}

// TestMetadataCacheOfTwoRuns at once: the one that ends last saw less, and its
// cache replaces the better one. The next backups are right and whole all the same.
func TestMetadataCacheOfTwoRuns(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	w.fill(60)
	cache := t.TempDir()
	opts := []Option{WithMetadataCache(cache), WithTagPolicy(TagsOnChange)}
	for _, first := range []bool{true, false} { // without a cache, and with one
		w.data.Put("last", fmt.Append(nil, "first run ", first), s3test.Properties{})
		waits, goOn := make(chan struct{}), make(chan struct{})
		release := sync.OnceFunc(func() { close(goOn) })
		t.Cleanup(release)
		w.server.Faults().Add(s3test.Fault{Op: "GetObject", Key: "last", Action: s3test.RunFirst(func() {
			close(waits)
			<-goOn
		})})
		ended := make(chan error, 1)
		go func() {
			_, err := w.repo.Backup(t.Context(), blind{w.at("s3://data", opts...).Source()})
			ended <- err
		}()
		select {
		case <-waits:
		case <-time.After(time.Minute):
			t.Fatal("the first backup does not come to its last object")
		}
		w.data.Put("dir00/file0003", fmt.Append(nil, "changed ", first), s3test.Properties{Metadata: map[string]string{"k": "v"}})
		w.data.Put("dir03/new", fmt.Append(nil, "new ", first), s3test.Properties{})
		w.data.Delete("dir05/file0055")
		var second *BackupReport
		if n := w.reading(func() { second = w.blindBackup(opts...) }); !first && n != 3 {
			t.Errorf("%d reads of objects for three that changed, beside another run", n)
		}
		release()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		w.same(w.data, w.restore(second.Snapshot.ID))
		w.same(w.data, w.restore(w.blindBackup(opts...).Snapshot.ID))
		var after *BackupReport
		if n := w.reading(func() { after = w.blindBackup(opts...) }); n != 0 {
			t.Errorf("%d reads of objects in a backup without changes", n)
		}
		w.same(w.data, w.restore(after.Snapshot.ID))
		cacheFile(t, cache)
		if names, err := os.ReadDir(cache); err != nil || len(names) != 1 {
			t.Errorf("%d files in the cache, %v", len(names), err)
		}
	}
	w.server.Faults().VerifyAll(t)
}

// TestMetadataCacheOfARunThatDied while it wrote: its half of a file lies beside
// the whole one, and is nobody's knowledge. Where it took the place of the whole
// one, what is left of it is believed as far as it is whole.
func TestMetadataCacheOfARunThatDied(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	objects := 150
	if testing.Short() {
		objects = 80
	}
	w.fillWide("wide", objects)
	cache := t.TempDir()
	opts := []Option{WithMetadataCache(cache), WithTagPolicy(TagsOnChange), WithConcurrency(8)}
	w.blindBackup(opts...)
	name := cacheFile(t, cache)
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name+".tmp-123", whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	if n := w.reading(func() { w.blindBackup(opts...) }); n != 0 {
		t.Errorf("%d reads of objects beside half a file", n)
	}
	for i, edit := range []func([]byte) []byte{
		func(whole []byte) []byte { return append(whole[:len(whole)*3/4], make([]byte, len(whole)/4)...) }, // never reached the disk
		func(whole []byte) []byte { return append(whole, whole...) },
		func(whole []byte) []byte { return append(whole, whole[:len(whole)/2]...) },
		func(whole []byte) []byte { return whole[len(whole)/2:] },
	} {
		replaceCache(t, cache, edit)
		w.data.Put("wide/0007", fmt.Append(nil, "changed ", i), s3test.Properties{})
		w.data.Put(fmt.Sprintf("wide/%04d", objects-1), fmt.Append(nil, "changed ", i), s3test.Properties{ContentType: "text/plain"})
		report := w.blindBackup(opts...)
		w.counts(fmt.Sprint("damage ", i), report.Counts, Counts{Listed: int64(objects), Stored: 2, Unchanged: int64(objects) - 2})
		w.same(w.data, w.restore(report.Snapshot.ID))
		if n := w.reading(func() { w.blindBackup(opts...) }); n != 0 {
			t.Errorf("damage %d: %d reads of objects in the backup after it", i, n)
		}
	}
}

// TestListingWithoutETags leaves open which objects are unchanged, also where
// the source sees the previous snapshot.
func TestListingWithoutETags(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	const objects = 200
	w.fill(objects)
	w.server.Faults().Add(s3test.Fault{Op: "ListObjectsV2", Bucket: "data", Times: s3test.Always, Action: s3test.RemoveElement("ETag")})
	src := func() *Bucket { return w.at("s3://data", WithConcurrency(8)) }
	w.backupOf(src())
	if heads := w.server.Count("HeadObject"); heads != 0 {
		t.Errorf("%d HEAD in the first backup", heads)
	}
	before := w.server.Count("GetObject")
	report := w.backupOf(src())
	w.counts("second backup", report.Counts, Counts{Listed: objects, Unchanged: objects})
	if wasted := w.server.Count("GetObject") - before; wasted > objects/2 {
		t.Errorf("%d of %d objects were fetched for an engine that reads none", wasted, objects)
	}
	w.same(w.data, w.restore(report.Snapshot.ID))
	w.server.Faults().VerifyAll(t)
}
