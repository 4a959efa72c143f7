package s3kloset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/PlakarKorp/kloset/objects"
	"github.com/s3kloset/s3kloset/internal/bucket"
	"github.com/s3kloset/s3kloset/internal/s3test"
)

// vault is a server with a bucket of objects and a bucket for a store.
type vault struct {
	*testing.T
	server *s3test.Server
	data   *s3test.Bucket
	vault  *s3test.Bucket
}

func newVault(t *testing.T, opts ...s3test.Option) *vault {
	v := &vault{T: t, server: s3test.Start(t, opts...)}
	v.data, v.vault = v.server.CreateBucket("data"), v.server.CreateBucket("vault")
	return v
}

func (v *vault) store(opts ...Option) *Store {
	v.Helper()
	s := handle(v, v.server, "s3://vault/repo", opts...).Store()
	v.Cleanup(func() { s.Close(context.Background()) })
	return s
}

// fill makes n objects of incompressible bytes.
func (v *vault) fill(n, size int) {
	random := newPackfileServer(n * size).data
	for i := range n {
		v.data.Put(fmt.Sprintf("dir%02d/file%04d", i/20, i), random[i*size:(i+1)*size], s3test.Properties{})
	}
}

// packfileOf is the size of a packfile: with -short an eighth of the one that is given.
func packfileOf(size int) int {
	if testing.Short() {
		return size / 8
	}
	return size
}

func (v *vault) source(opts ...Option) *Source {
	return handle(v, v.server, "s3://data", opts...).Source()
}

func (v *vault) target(name string) (*Destination, *s3test.Bucket) {
	bucket := v.server.CreateBucket(name)
	return handle(v, v.server, "s3://"+name).Destination(), bucket
}

func TestStoreCreateOnce(t *testing.T) {
	v := newVault(t)
	const racers = 16
	var won, lost atomic.Int64
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range racers {
		store := v.store()
		wg.Go(func() {
			<-start
			switch err := store.Create(t.Context(), fmt.Appendf(nil, "config %d", i)); {
			case err == nil:
				won.Add(1)
			case errors.Is(err, ErrAlreadyExists):
				lost.Add(1)
			default:
				t.Errorf("create: %v", err)
			}
		})
	}
	close(start)
	wg.Wait()
	if won.Load() != 1 || lost.Load() != racers-1 {
		t.Errorf("%d of %d won, %d lost", won.Load(), racers, lost.Load())
	}
}

// unconditional selects writes that overwrite whatever is there.
func unconditional(r s3test.Request) bool {
	writes := r.Op == "PutObject" || r.Op == "CompleteMultipartUpload"
	return writes && r.Bucket == "vault" && r.Header.Get("If-None-Match") == "" && r.Header.Get("If-Match") == ""
}

func TestStoreWritesConditionally(t *testing.T) {
	quiet(t)
	v := newVault(t)
	v.fill(40, 10_000)
	// A bucket policy may demand it.
	v.server.Faults().Add(s3test.Fault{Match: unconditional, Times: s3test.Always,
		Action: s3test.Status(http.StatusForbidden, "AccessDenied")})
	repo := createPlain(t, v.store())
	for range 2 {
		if _, err := repo.Backup(t.Context(), v.source()); err != nil {
			t.Fatal(err)
		}
	}
	if err := repo.Check(t.Context(), ""); err != nil {
		t.Error(err)
	}
	big := bytes.NewReader(make([]byte, 40<<20))
	if n, err := v.store().Put(t.Context(), storage.StorageResourcePackfile, objects.MAC{1}, big); err != nil || n != 40<<20 {
		t.Errorf("put in parts: %d, %v", n, err)
	}
	// Without a lock before it, from a process that has written nothing else.
	repo, err := OpenRepository(t.Context(), v.store())
	if err != nil {
		t.Fatal(err)
	}
	defer repo.Close()
	list, err := repo.Snapshots(t.Context())
	if err != nil || len(list) != 2 {
		t.Fatalf("%d snapshots, %v", len(list), err)
	}
	if err := repo.Delete(t.Context(), list[0].ID); err != nil {
		t.Error(err)
	}
}

func TestStoreRefreshesLocksConditionally(t *testing.T) {
	v := newVault(t)
	v.server.Faults().Add(s3test.Fault{Match: unconditional, Times: s3test.Always,
		Action: s3test.Status(http.StatusForbidden, "AccessDenied")})
	store, id := v.store(), objects.MAC{7}
	put := func(store *Store, lock string) {
		t.Helper()
		if _, err := store.Put(t.Context(), storage.StorageResourceLock, id, strings.NewReader(lock)); err != nil {
			t.Errorf("put %s: %v", lock, err)
		}
	}
	put(store, "first")
	v.server.Faults().Add(s3test.Fault{Op: "PutObject", Action: s3test.LoseAnswer()})
	put(store, "refreshed, and the answer was lost")
	put(v.store(), "by another process")
	put(store, "refreshed after that")
	v.vault.Delete("repo/locks/" + id.FormatHex())
	put(store, "gone meanwhile")
	if lock, _ := v.vault.Get("repo/locks/" + id.FormatHex()); string(lock.Body) != "gone meanwhile" {
		t.Errorf("the lock is %q", lock.Body)
	}
}

// TestStoreWithoutConditions lives where they are ignored.
func TestStoreWithoutConditions(t *testing.T) {
	quiet(t)
	v := newVault(t, s3test.WithoutFeature(s3test.ConditionalWrites))
	v.life()
}

// TestStoreWithConditionsRefused lives where a request that has one is an error.
func TestStoreWithConditionsRefused(t *testing.T) {
	quiet(t)
	v := newVault(t)
	v.server.Faults().Add(s3test.Fault{Times: s3test.Always, Action: s3test.Status(http.StatusNotImplemented, "NotImplemented"),
		Match: func(r s3test.Request) bool {
			return r.Header.Get("If-None-Match") != "" || r.Op == "PutObject" && r.Header.Get("If-Match") != ""
		}})
	v.life()
	v.server.Faults().VerifyAll(t)
}

// life is a repository from its first to its last day.
func (v *vault) life() {
	v.Helper()
	v.fill(5, 1000)
	store := v.store()
	repo := createPlain(v, store)
	report, err := repo.Backup(v.Context(), v.source())
	if err != nil {
		v.Fatal(err)
	}
	// In parts, and first of all: what nobody has asked before.
	big := bytes.NewReader(make([]byte, 40<<20))
	if n, err := v.store().Put(v.Context(), storage.StorageResourcePackfile, objects.MAC{1}, big); err != nil || n != 40<<20 {
		v.Errorf("put in parts: %d, %v", n, err)
	}
	if err := store.Create(v.Context(), []byte("x")); !errors.Is(err, ErrAlreadyExists) {
		v.Errorf("second create: %v, want ErrAlreadyExists", err)
	}
	if err := repo.Check(v.Context(), report.Snapshot.ID); err != nil {
		v.Error(err)
	}
	if err := repo.Delete(v.Context(), report.Snapshot.ID); err != nil {
		v.Error(err)
	}
}

func TestStoreRefreshesLocks(t *testing.T) {
	v := newVault(t)
	store, id := v.store(), objects.MAC{7}
	for _, lock := range []string{"first", "refreshed", "again"} {
		if _, err := store.Put(t.Context(), storage.StorageResourceLock, id, strings.NewReader(lock)); err != nil {
			t.Fatal(err)
		}
		body, err := store.Get(t.Context(), storage.StorageResourceLock, id, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := io.ReadAll(body); string(got) != lock {
			t.Errorf("lock is %q, want %q", got, lock)
		}
		body.Close()
	}
	// Somebody else's lock under the same name, or none any more: the engine decides.
	if _, err := v.store().Put(t.Context(), storage.StorageResourceLock, id, strings.NewReader("other")); err != nil {
		t.Error(err)
	}
	if _, err := store.Put(t.Context(), storage.StorageResourceLock, id, strings.NewReader("ours")); err != nil {
		t.Error(err)
	}
	v.vault.Delete("repo/locks/" + id.FormatHex())
	if _, err := store.Put(t.Context(), storage.StorageResourceLock, id, strings.NewReader("ours")); err != nil {
		t.Error(err)
	}
}

// TestStoreRefreshesLocksUnmatched: a server that takes no ETag for the right one
// is asked once in vain, and not at each refresh.
func TestStoreRefreshesLocksUnmatched(t *testing.T) {
	v := newVault(t)
	v.server.Faults().Add(s3test.Fault{Op: "PutObject", Match: func(r s3test.Request) bool { return r.Header.Get("If-Match") != "" },
		Times: s3test.Always, Action: s3test.Status(http.StatusPreconditionFailed, "PreconditionFailed")})
	store, id := v.store(), objects.MAC{7}
	for i, want := range []int{1, 3, 4, 5} {
		lock := fmt.Sprint("lock ", i)
		if _, err := store.Put(t.Context(), storage.StorageResourceLock, id, strings.NewReader(lock)); err != nil {
			t.Fatal(err)
		}
		if o, _ := v.vault.Get("repo/locks/" + id.FormatHex()); string(o.Body) != lock || v.server.Count("PutObject") != want {
			t.Errorf("the lock is %q after %d requests, want %q after %d", o.Body, v.server.Count("PutObject"), lock, want)
		}
	}
	v.server.Faults().VerifyAll(t)
}

func TestStoreBlobTwice(t *testing.T) {
	v := newVault(t)
	store, id := v.store(), objects.MAC{7}
	if _, err := store.Put(t.Context(), storage.StorageResourceLock, objects.MAC{1}, strings.NewReader("lock")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if n, err := store.Put(t.Context(), storage.StorageResourcePackfile, id, strings.NewReader("packfile")); err != nil || n != 8 {
			t.Fatalf("put: %d, %v", n, err)
		}
	}
	if n, err := store.Put(t.Context(), storage.StorageResourcePackfile, id, strings.NewReader("another")); !errors.Is(err, ErrDamaged) {
		t.Errorf("other content under the same name: %d, %v, want ErrDamaged", n, err)
	}
}

// TestStoreStaysConditional where a write was refused for another reason.
func TestStoreStaysConditional(t *testing.T) {
	v := newVault(t)
	store := v.store(WithVendor("minio"))
	v.server.Faults().Add(s3test.Fault{Op: "PutObject", Times: 2, Action: s3test.Status(http.StatusNotImplemented, "NotImplemented")})
	if err := store.Create(t.Context(), []byte("config")); !errors.Is(err, errors.ErrUnsupported) {
		t.Fatalf("create: %v, want ErrUnsupported", err)
	}
	v.server.Faults().VerifyAll(t)
	v.server.Faults().Add(s3test.Fault{Match: unconditional, Times: s3test.Always,
		Action: s3test.Status(http.StatusForbidden, "AccessDenied")})
	if err := store.Create(t.Context(), []byte("config")); err != nil {
		t.Error(err)
	}
}

// TestStoreInLittleMemory: parts are not larger than the memory.
func TestStoreInLittleMemory(t *testing.T) {
	v := newVault(t)
	store := v.store(WithMemoryLimit(10 << 20))
	const size = 12 << 20
	if _, err := store.Put(t.Context(), storage.StorageResourcePackfile, objects.MAC{1}, bytes.NewReader(make([]byte, size))); err != nil {
		t.Fatal(err)
	}
	if n := v.server.Count("UploadPart"); n != 3 {
		t.Errorf("%d parts of %d bytes, want 3 of 5 MiB", n, size)
	}
}

// TestStoreAnswerLost: a packfile that is there is not one that was lost, also
// where its ETag tells nothing.
func TestStoreAnswerLost(t *testing.T) {
	for name, opts := range map[string][]Option{
		"plain": nil,
		"KMS":   {WithEncryption(Encryption{Mode: "aws:kms", KMSKeyID: "key", BucketKey: true})},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVault(t)
			for _, op := range []string{"PutObject", "CompleteMultipartUpload"} {
				v.server.Faults().Add(s3test.Fault{Op: op, Action: s3test.LoseAnswer()})
			}
			// The upload is gone before the condition is looked at.
			v.server.Faults().Add(s3test.Fault{Op: "CompleteMultipartUpload", Action: s3test.Status(http.StatusNotFound, "NoSuchUpload")})
			store := v.store(opts...)
			for i, size := range []int{1000, packfilePart + 1000} {
				n, err := store.Put(t.Context(), storage.StorageResourcePackfile, objects.MAC{byte(i)}, bytes.NewReader(make([]byte, size)))
				if err != nil || n != int64(size) {
					t.Errorf("put of %d bytes: %d, %v", size, n, err)
				}
			}
			v.server.Faults().VerifyAll(t)
			for _, o := range v.vault.Dump() {
				if name == "KMS" && (o.Encryption != "aws:kms" || o.KMSKeyID != "key" || !o.BucketKey) {
					t.Errorf("%s is encrypted with %q by %q, bucket key %t", o.Key, o.Encryption, o.KMSKeyID, o.BucketKey)
				}
			}
		})
	}
}

func TestStoreRangesComeTogether(t *testing.T) {
	quiet(t)
	v := newVault(t)
	v.fill(300, 2000)
	repo := createPlain(t, v.store())
	report, err := repo.Backup(t.Context(), v.source())
	if err != nil {
		t.Fatal(err)
	}
	reader := v.store()
	repo, err = OpenRepository(t.Context(), reader)
	if err != nil {
		t.Fatal(err)
	}
	defer repo.Close()
	before := v.server.Count("GetObject")
	target, bucket := v.target("restored")
	if _, err := repo.Restore(t.Context(), report.Snapshot.ID, target); err != nil {
		t.Fatal(err)
	}
	sameObjects(t, v.data.Dump(), bucket.Dump())
	if n := v.server.Count("GetObject") - before; n > 60 {
		t.Errorf("%d reads from the store for 300 files of 2 KB", n)
	}
}

// withPackfileSize makes packfiles that are full sooner.
func withPackfileSize(bytes uint64) RepositoryOption {
	return func(c *repositoryConfig) error { c.packfile = bytes; return nil }
}

func TestStoreColdStory(t *testing.T) {
	quiet(t)
	v := newVault(t)
	// The engine calls a packfile hot when one blob in it is, and puts the
	// listings of folders into the last packfile of each worker: only those
	// that were full before are cold.
	packfile := packfileOf(8 << 20)
	v.fill(30, packfile/8)
	cold := v.store(WithStorageClass("GLACIER"), withThawPoll(time.Millisecond))
	repo := createPlain(t, cold, WithEngineConcurrency(1), withPackfileSize(uint64(packfile)))
	_, err := repo.Backup(t.Context(), v.source())
	if err != nil {
		t.Fatal(err)
	}
	classes := map[string]int{}
	for _, o := range v.vault.Dump() {
		folder := strings.SplitN(strings.TrimPrefix(o.Key, "repo/"), "/", 2)[0]
		classes[folder+" "+o.StorageClass]++
	}
	if classes["packfiles GLACIER"] == 0 || classes["packfiles STANDARD"] == 0 || classes["CONFIG STANDARD"] != 1 || classes["states GLACIER"] != 0 {
		t.Fatalf("classes are %v", classes)
	}

	// Without a thaw: listing, and the next incremental backup.
	if list, err := repo.Snapshots(t.Context()); err != nil || len(list) != 1 {
		t.Fatalf("%d snapshots, %v", len(list), err)
	}
	v.data.Put("new", []byte("one more"), s3test.Properties{})
	second, err := repo.Backup(t.Context(), v.source())
	if err != nil || second.Unchanged != 30 || second.Stored != 1 {
		t.Fatalf("second backup: %+v, %v", second.Counts, err)
	}

	// And a look into all folders, and at what is known of each object.
	for difference, err := range repo.Verify(t.Context(), second.Snapshot.ID, v.source(), WithDepth(VerifyMetadata)) {
		t.Errorf("verify: %+v, %v", difference, err)
	}

	// What another snapshot alone needs is nobody's business.
	foreign := v.addForeign(repo)

	target, _ := v.target("early")
	_, err = repo.Restore(t.Context(), second.Snapshot.ID, target)
	if !errors.Is(err, ErrArchived) || !strings.Contains(err.Error(), "repo/packfiles/") {
		t.Fatalf("restore before the thaw: %v, want ErrArchived and the packfile", err)
	}
	t.Logf("restore: %v", err)

	plan, err := repo.Thaw(t.Context(), second.Snapshot.ID, TierBulk, 2, WithDryRun())
	if err != nil {
		t.Fatal(err)
	}
	var bytes int64
	for key := range v.frozen() {
		if o, _ := v.vault.Get(key); !foreign[key] {
			bytes += int64(len(o.Body))
		}
	}
	if plan.Archived != classes["packfiles GLACIER"] || plan.Requested != 0 || plan.Bytes != bytes || plan.Expected != 12*time.Hour {
		t.Errorf("plan is %+v, of %d bytes", plan, bytes)
	}
	if _, err := repo.Thaw(t.Context(), second.Snapshot.ID, "Overnight", 2); !errors.Is(err, ErrInvalidOption) {
		t.Errorf("an unknown tier: %v", err)
	}
	if n := v.server.Count("RestoreObject"); n != 0 {
		t.Errorf("a dry run asked for %d restores", n)
	}
	t.Logf("thaw, dry run: %+v", *plan)
	asked, err := repo.Thaw(t.Context(), second.Snapshot.ID, TierBulk, 2)
	if err != nil || asked.Requested != plan.Archived {
		t.Fatalf("thaw: %+v, %v", asked, err)
	}
	t.Logf("thaw: %+v", *asked)
	// The copies are there at one of the looks that the wait takes.
	v.server.Faults().Add(s3test.Fault{Op: "HeadObject", Bucket: "vault", Nth: 2*asked.Packfiles + 5, Action: s3test.RunFirst(func() {
		for key := range v.frozen() {
			if !foreign[key] {
				v.vault.FinishRestore(key)
			}
		}
	})})
	waited, err := repo.Thaw(t.Context(), second.Snapshot.ID, TierBulk, 2, WithWait())
	if err != nil || waited.Archived != plan.Archived || waited.Requested != 0 || !waited.Waited {
		t.Fatalf("thaw with a wait: %+v, %v", waited, err)
	}
	t.Logf("thaw, with a wait: %+v", *waited)
	v.server.Faults().VerifyAll(t)
	done, err := repo.Thaw(t.Context(), second.Snapshot.ID, TierBulk, 2)
	if err != nil || done.Archived != 0 || done.Requested != 0 {
		t.Fatalf("thaw when all is there: %+v, %v", done, err)
	}
	target, bucket := v.target("restored")
	if _, err := repo.Restore(t.Context(), second.Snapshot.ID, target); err != nil {
		t.Fatal(err)
	}
	sameObjects(t, v.data.Dump(), bucket.Dump())
	if n := v.server.Count("RestoreObject"); n != asked.Requested {
		t.Errorf("%d restores were asked for, want %d", n, asked.Requested)
	}
}

// addForeign makes a snapshot of another bucket, and returns its frozen packfiles.
func (v *vault) addForeign(repo *Repository) map[string]bool {
	v.Helper()
	known := v.frozen()
	data := v.server.CreateBucket("foreign")
	const n = 20
	random := newPackfileServer(n << 20).data
	for i := range n {
		body := slices.Clone(random[i<<20 : (i+1)<<20])
		slices.Reverse(body) // to be others than those of fill
		data.Put(fmt.Sprintf("file%04d", i), body, s3test.Properties{})
	}
	if _, err := repo.Backup(v.Context(), handle(v, v.server, "s3://foreign").Source()); err != nil {
		v.Fatal(err)
	}
	foreign := v.frozen()
	for key := range known {
		delete(foreign, key)
	}
	if len(foreign) == 0 {
		v.Fatal("the other snapshot has no packfile of its own that is frozen")
	}
	return foreign
}

// frozen are the keys of the packfiles in the archive.
func (v *vault) frozen() map[string]bool {
	keys := make(map[string]bool)
	for _, o := range v.vault.Dump() {
		if bucket.InArchive(o.StorageClass) {
			keys[o.Key] = true
		}
	}
	return keys
}

// finishThaws ends the restores of packfiles that are under way, when that many
// have been asked for.
func (v *vault) finishThaws(many int) {
	finished := map[string]bool{}
	var mu sync.Mutex
	v.server.Faults().Add(s3test.Fault{Op: "HeadObject", Bucket: "vault", Times: s3test.Always, Action: s3test.RunFirst(func() {
		mu.Lock()
		defer mu.Unlock()
		asked := map[string]bool{}
		for _, r := range v.server.Requests() {
			if r.Op == "RestoreObject" && r.Status == http.StatusAccepted && !finished[r.Key] {
				asked[r.Key] = true
			}
		}
		if len(asked)+len(finished) < many {
			return
		}
		for key := range asked {
			finished[key] = true
			v.vault.FinishRestore(key)
		}
	})})
}

// TestStoreThatWaitsForItsArchive: a restore and a check through a store with a
// policy for its archive ask for every packfile that they need before they wait
// for the first, and end well. A part of a snapshot asks for what it reads.
func TestStoreThatWaitsForItsArchive(t *testing.T) {
	for class, tier := range map[string]ArchiveTier{"GLACIER": TierExpedited, "DEEP_ARCHIVE": TierBulk} {
		t.Run(class, func(t *testing.T) {
			quiet(t)
			v := newVault(t)
			packfile := packfileOf(8 << 20)
			v.fill(48, packfile/8)
			store := func() *Store {
				return v.store(WithStorageClass(class), WithArchive(ArchiveRestore(tier, 1)), withThawPoll(time.Millisecond))
			}
			repo := createPlain(t, store(), WithEngineConcurrency(1), withPackfileSize(uint64(packfile)))
			report, err := repo.Backup(t.Context(), v.source())
			if err != nil {
				t.Fatal(err)
			}
			frozen := v.frozen()
			if len(frozen) < 3 {
				t.Fatalf("%d packfiles in the archive", len(frozen))
			}
			if n := v.server.Count("RestoreObject"); n != 0 {
				t.Errorf("a backup asked for %d restores", n)
			}
			archive := func() {
				v.server.ResetRequests()
				v.server.Faults().Clear()
				for key := range frozen {
					v.vault.SetClass(key, class)
				}
			}

			v.finishThaws(len(frozen))
			if err := repo.Check(t.Context(), ""); err != nil {
				t.Errorf("check: %v", err)
			}
			if n := v.server.Count("RestoreObject"); n != len(frozen) {
				t.Errorf("a check asked for %d restores, want %d", n, len(frozen))
			}

			archive()
			v.finishThaws(len(frozen))
			target, bucket := v.target("whole")
			if _, err := repo.Restore(t.Context(), report.Snapshot.ID, target); err != nil {
				t.Fatal(err)
			}
			sameObjects(t, v.data.Dump(), bucket.Dump())
			if n := v.server.Count("RestoreObject"); n != len(frozen) {
				t.Errorf("a restore asked for %d restores, want %d", n, len(frozen))
			}

			archive()
			v.finishThaws(1)
			// Another handle, which has read nothing ahead.
			again, err := OpenRepository(t.Context(), store(), WithPlaintext(), WithEngineConcurrency(1))
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			target, bucket = v.target("part")
			if _, err := again.Restore(t.Context(), "", target, WithPath("dir00")); err != nil {
				t.Fatal(err)
			}
			if bucket.Len() != 20 {
				t.Errorf("%d objects of a part, want 20", bucket.Len())
			}
			asked := map[string]bool{} // several readers may ask for one at the same time
			for _, r := range v.server.Requests() {
				asked[r.Key] = asked[r.Key] || r.Op == "RestoreObject"
			}
			maps.DeleteFunc(asked, func(_ string, asked bool) bool { return !asked })
			if len(asked) == 0 || len(asked) >= len(frozen) {
				t.Errorf("a part of a snapshot asked for %d packfiles, the whole for %d", len(asked), len(frozen))
			}
		})
	}
}

// TestCheckOfAnArchive: without a policy to wait, a check says that the store
// cannot be read, and nothing of damage; it asks for nothing.
func TestCheckOfAnArchive(t *testing.T) {
	quiet(t)
	v := newVault(t)
	packfile := packfileOf(8 << 20)
	v.fill(24, packfile/8)
	repo := createPlain(t, v.store(WithStorageClass("DEEP_ARCHIVE")), WithEngineConcurrency(1), withPackfileSize(uint64(packfile)))
	if _, err := repo.Backup(t.Context(), v.source()); err != nil {
		t.Fatal(err)
	}
	if err := repo.Check(t.Context(), ""); !errors.Is(err, ErrArchived) || errors.Is(err, ErrDamaged) {
		t.Errorf("check: %v, want ErrArchived", err)
	}
	if n := v.server.Count("RestoreObject"); n != 0 {
		t.Errorf("%d restores were asked for", n)
	}
	if _, err := repo.Thaw(t.Context(), "", TierStandard, 1); err != nil {
		t.Fatal(err)
	}
	for key := range v.frozen() {
		v.vault.FinishRestore(key)
	}
	if err := repo.Check(t.Context(), ""); err != nil {
		t.Errorf("check after a thaw: %v", err)
	}
}

// TestStoreOfTwoWorkers: with more than one worker of the engine, what is cold
// still need not be thawed to list, to back up and to look.
func TestStoreOfTwoWorkers(t *testing.T) {
	quiet(t)
	v := newVault(t)
	packfile := packfileOf(8 << 20)
	v.fill(48, packfile/8)
	repo := createPlain(t, v.store(WithStorageClass("GLACIER")), WithEngineConcurrency(2), withPackfileSize(uint64(packfile)))
	if _, err := repo.Backup(t.Context(), v.source()); err != nil {
		t.Fatal(err)
	}
	v.data.Put("new", []byte("one more"), s3test.Properties{})
	second, err := repo.Backup(t.Context(), v.source())
	if err != nil || second.Unchanged != 48 || second.Stored != 1 {
		t.Fatalf("second backup: %+v, %v", second.Counts, err)
	}
	if list, err := repo.Snapshots(t.Context()); err != nil || len(list) != 2 {
		t.Errorf("%d snapshots, %v", len(list), err)
	}
	for difference, err := range repo.Verify(t.Context(), second.Snapshot.ID, v.source(), WithDepth(VerifyMetadata)) {
		t.Errorf("verify: %+v, %v", difference, err)
	}
	frozen := v.frozen()
	if len(frozen) == 0 || v.server.Count("RestoreObject") != 0 {
		t.Fatalf("%d packfiles in the archive, %d restores", len(frozen), v.server.Count("RestoreObject"))
	}

	target, _ := v.target("early")
	if _, err := repo.Restore(t.Context(), second.Snapshot.ID, target); !errors.Is(err, ErrArchived) {
		t.Errorf("restore before the thaw: %v, want ErrArchived", err)
	}
	asked, err := repo.Thaw(t.Context(), second.Snapshot.ID, TierStandard, 1)
	if err != nil || asked.Requested != len(frozen) {
		t.Fatalf("thaw: %+v of %d, %v", asked, len(frozen), err)
	}
	for key := range frozen {
		v.vault.FinishRestore(key)
	}
	target, bucket := v.target("restored")
	if _, err := repo.Restore(t.Context(), second.Snapshot.ID, target); err != nil {
		t.Fatal(err)
	}
	sameObjects(t, v.data.Dump(), bucket.Dump())
}

// TestStoreInTiers: INTELLIGENT_TIERING takes what is cold, as other classes do,
// and is read at once until S3 itself moves something into its archive.
func TestStoreInTiers(t *testing.T) {
	quiet(t)
	v := newVault(t)
	packfile := packfileOf(8 << 20)
	v.fill(24, packfile/8)
	repo := createPlain(t, v.store(WithStorageClass("INTELLIGENT_TIERING")), WithEngineConcurrency(1), withPackfileSize(uint64(packfile)))
	report, err := repo.Backup(t.Context(), v.source())
	if err != nil {
		t.Fatal(err)
	}
	var tiered int
	for _, o := range v.vault.Dump() {
		cold := o.StorageClass == "INTELLIGENT_TIERING"
		if cold {
			tiered++
		}
		if cold && !strings.HasPrefix(o.Key, "repo/packfiles/") || !cold && o.StorageClass != "STANDARD" {
			t.Errorf("%s is in %s", o.Key, o.StorageClass)
		}
	}
	if tiered == 0 {
		t.Fatal("no packfile is in the class")
	}
	if plan, err := repo.Thaw(t.Context(), "", TierStandard, 1); err != nil || plan.Packfiles < tiered || plan.Archived != 0 {
		t.Errorf("thaw: %+v, %v, want nothing to do", plan, err)
	}
	if err := repo.Check(t.Context(), ""); err != nil {
		t.Error(err)
	}
	target, bucket := v.target("restored")
	if _, err := repo.Restore(t.Context(), report.Snapshot.ID, target); err != nil {
		t.Fatal(err)
	}
	sameObjects(t, v.data.Dump(), bucket.Dump())
	if n := v.server.Count("RestoreObject"); n != 0 {
		t.Errorf("%d restores were asked for", n)
	}
}

// TestThawTiers: what the class of a packfile does not have cannot be asked for.
func TestThawTiers(t *testing.T) {
	quiet(t)
	v := newVault(t)
	packfile := packfileOf(8 << 20)
	v.fill(24, packfile/8)
	repo := createPlain(t, v.store(WithStorageClass("DEEP_ARCHIVE")), WithEngineConcurrency(1), withPackfileSize(uint64(packfile)))
	if _, err := repo.Backup(t.Context(), v.source()); err != nil {
		t.Fatal(err)
	}
	for _, options := range [][]ThawOption{{WithDryRun()}, nil} {
		if report, err := repo.Thaw(t.Context(), "", TierExpedited, 1, options...); !errors.Is(err, ErrInvalidOption) {
			t.Errorf("%+v, %v, want ErrInvalidOption", report, err)
		}
	}
	if n := v.server.Count("RestoreObject"); n != 0 {
		t.Errorf("%d restores were asked for", n)
	}
	report, err := repo.Thaw(t.Context(), "", TierBulk, 1)
	if err != nil || report.Requested == 0 || report.Expected != 48*time.Hour {
		t.Errorf("bulk: %+v, %v", report, err)
	}
}

func TestStoreFrozenNames(t *testing.T) {
	v := newVault(t)
	store, id := v.store(), objects.MAC{0xab, 1}
	name := "repo/packfiles/ab/" + id.FormatHex() + frozenSuffix
	v.vault.Put(name, []byte("0123456789"), s3test.Properties{})
	ids, err := store.List(t.Context(), storage.StorageResourcePackfile)
	if err != nil || len(ids) != 1 || ids[0] != id {
		t.Fatalf("list: %v, %v", ids, err)
	}
	body, err := store.Get(t.Context(), storage.StorageResourcePackfile, id, &storage.Range{Offset: 3, Length: 4})
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := io.ReadAll(body); string(got) != "3456" {
		t.Errorf("range is %q", got)
	}
	if err := store.Delete(t.Context(), storage.StorageResourcePackfile, id); err != nil {
		t.Fatal(err)
	}
	if _, there := v.vault.Get(name); there {
		t.Error("the frozen packfile is still there")
	}
}

func TestStoreObjectLock(t *testing.T) {
	quiet(t)
	v := newVault(t)
	v.vault.EnableObjectLock()
	v.fill(20, 1000)
	locked := v.store(WithObjectLock(Compliance, 24*time.Hour))
	repo := createPlain(t, locked)
	report, err := repo.Backup(t.Context(), v.source())
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range v.vault.Dump() {
		if o.LockMode != "COMPLIANCE" || time.Until(o.LockUntil) < 23*time.Hour {
			t.Errorf("%s: %s until %v", o.Key, o.LockMode, o.LockUntil)
		}
	}
	ids, err := locked.List(t.Context(), storage.StorageResourcePackfile)
	if err != nil || len(ids) == 0 {
		t.Fatalf("%d packfiles, %v", len(ids), err)
	}
	var retained *RetainedError
	if err := locked.Delete(t.Context(), storage.StorageResourcePackfile, ids[0]); !errors.As(err, &retained) || !errors.Is(err, ErrRetained) {
		t.Errorf("delete: %v, want a RetainedError", err)
	} else if time.Until(retained.Until) < 23*time.Hour || retained.Mode != Compliance {
		t.Errorf("retained %+v", retained)
	}

	extended, err := repo.ExtendRetention(t.Context(), report.Snapshot.ID, 48*time.Hour)
	if err != nil || extended.Extended != extended.Objects || extended.Objects < 4 {
		t.Fatalf("extend: %+v, %v", extended, err)
	}
	for _, o := range v.vault.Dump() {
		if time.Until(o.LockUntil) < 47*time.Hour {
			t.Errorf("%s is kept until %v", o.Key, o.LockUntil)
		}
	}
	again, err := repo.ExtendRetention(t.Context(), report.Snapshot.ID, time.Hour)
	if err != nil || again.Extended != 0 {
		t.Errorf("a shorter period: %+v, %v", again, err)
	}
}

// TestStoreLegalHold: who holds a blob keeps it beyond its time, and what is kept firmly
// stays so for a handle that asks for less.
func TestStoreLegalHold(t *testing.T) {
	v := newVault(t)
	v.vault.EnableObjectLock()
	store, id := v.store(WithObjectLock(Governance, time.Hour)), objects.MAC{0xcd}
	name := "repo/packfiles/cd/" + id.FormatHex()
	v.vault.Put(name, []byte("held"), s3test.Properties{LockMode: "GOVERNANCE", LockUntil: time.Now().Add(-time.Hour), LegalHold: true})
	if err := store.Delete(t.Context(), storage.StorageResourcePackfile, id); !errors.Is(err, ErrRetained) {
		t.Errorf("delete: %v, want ErrRetained", err)
	}
	if _, there := v.vault.Get(name); !there {
		t.Error("it is gone")
	}
	frozen := "repo/packfiles/cd/" + objects.MAC{0xcd, 1}.FormatHex() + frozenSuffix
	v.vault.Put(frozen, []byte("firm"), s3test.Properties{LockMode: "COMPLIANCE", LockUntil: time.Now().Add(time.Hour)})
	until := time.Now().Add(48 * time.Hour)
	if extended, err := store.extendPackfile(t.Context(), objects.MAC{0xcd, 1}, Governance, until); err != nil || !extended {
		t.Errorf("extended %v, %v", extended, err)
	}
	if o, _ := v.vault.Get(frozen); o.LockMode != "COMPLIANCE" || o.LockUntil.Before(until.Truncate(time.Second)) {
		t.Errorf("%s until %v", o.LockMode, o.LockUntil)
	}
}

// TestStoreObjectLockOfAnotherHandle: one without the option hides a blob behind a
// delete marker, as documented. Its bytes stay, for whoever asks for the version.
func TestStoreObjectLockOfAnotherHandle(t *testing.T) {
	v := newVault(t)
	v.vault.EnableObjectLock()
	id, body := objects.MAC{0xab}, []byte("kept")
	if _, err := v.store(WithObjectLock(Compliance, time.Hour)).Put(t.Context(), storage.StorageResourcePackfile, id, bytes.NewReader(body)); err != nil {
		t.Fatal(err)
	}
	plain := v.store()
	if err := plain.Delete(t.Context(), storage.StorageResourcePackfile, id); err != nil {
		t.Fatalf("delete: %v", err)
	}
	if _, err := plain.Get(t.Context(), storage.StorageResourcePackfile, id, nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("get of what is hidden: %v", err)
	}
	if ids, err := plain.List(t.Context(), storage.StorageResourcePackfile); err != nil || len(ids) != 0 {
		t.Errorf("%d packfiles are listed, %v", len(ids), err)
	}
	locked, markers := 0, 0
	for _, o := range v.vault.Versions() {
		switch {
		case o.Marker:
			markers++
		case bytes.Equal(o.Body, body) && o.LockMode == "COMPLIANCE":
			locked++
		}
	}
	if locked != 1 || markers < 1 {
		t.Errorf("%d locked versions and %d delete markers, want the bytes under a marker", locked, markers)
	}
}

// TestStoreSize counts the bytes of what is in the store, and of nothing else. Neither it
// nor a list is had of a part.
func TestStoreSize(t *testing.T) {
	v := newVault(t)
	store := v.store()
	v.vault.Put("repository/packfiles/no", make([]byte, 1<<20), s3test.Properties{})
	v.vault.Put("rep", make([]byte, 1<<20), s3test.Properties{})
	if size, err := store.Size(t.Context()); err != nil || size != 0 {
		t.Errorf("an empty store has %d bytes, %v", size, err)
	}
	if err := store.Create(t.Context(), make([]byte, 77)); err != nil {
		t.Fatal(err)
	}
	want := int64(77)
	for i, resource := range []storage.StorageResource{storage.StorageResourcePackfile, storage.StorageResourceState, storage.StorageResourceLock} {
		n, err := store.Put(t.Context(), resource, objects.MAC{byte(i)}, bytes.NewReader(make([]byte, 1000<<i)))
		if err != nil || n != 1000<<i {
			t.Fatalf("%d bytes, %v", n, err)
		}
		want += n
	}
	for i := range 1100 { // more than a page
		want += 3
		v.vault.Put(fmt.Sprintf("repo/packfiles/ab/%064x", i), []byte("abc"), s3test.Properties{})
	}
	if size, err := store.Size(t.Context()); err != nil || size != want {
		t.Errorf("%d bytes, %v; want %d", size, err, want)
	}

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if size, err := store.Size(ctx); !errors.Is(err, context.Canceled) || size != 0 {
		t.Errorf("cancelled before: %d bytes, %v", size, err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	v.server.Faults().Add(s3test.Fault{Op: "ListObjectsV2", Nth: 2, Action: s3test.RunFirst(cancel)})
	if _, err := store.Size(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled between two pages: %v", err)
	}
	v.server.Faults().Add(s3test.Fault{Op: "ListObjectsV2", Nth: 2, Times: s3test.Always, Action: s3test.Status(403, "AccessDenied")})
	if size, err := store.Size(t.Context()); !errors.Is(err, ErrAccessDenied) || size != 0 {
		t.Errorf("a page that may not be read: %d bytes, %v", size, err)
	}
	if ids, err := store.List(t.Context(), storage.StorageResourcePackfile); !errors.Is(err, ErrAccessDenied) || ids != nil {
		t.Errorf("a page that may not be read: %d packfiles, %v", len(ids), err)
	}
	v.server.Faults().VerifyAll(t)
}

func TestStoreObjectLockFreesSpace(t *testing.T) {
	v := newVault(t)
	v.vault.EnableObjectLock()
	store, id := v.store(WithObjectLock(Governance, time.Hour)), objects.MAC{0xcd}
	name := "repo/packfiles/cd/" + id.FormatHex()
	v.vault.Put(name, []byte("expired"), s3test.Properties{LockMode: "GOVERNANCE", LockUntil: time.Now().Add(-time.Hour)})
	if err := store.Delete(t.Context(), storage.StorageResourcePackfile, id); err != nil {
		t.Fatal(err)
	}
	for _, o := range v.vault.Versions() {
		t.Errorf("%s is still there: its space is not free", o.Key)
	}
}

func TestStoreCleanUp(t *testing.T) {
	v := newVault(t)
	store := v.store()
	// A process that is killed leaves its upload behind.
	v.server.Faults().Add(s3test.Fault{Op: "CompleteMultipartUpload", Times: s3test.Always, Action: s3test.Status(http.StatusForbidden, "AccessDenied")})
	v.server.Faults().Add(s3test.Fault{Op: "AbortMultipartUpload", Action: s3test.Status(http.StatusForbidden, "AccessDenied")})
	big := bytes.NewReader(make([]byte, 40<<20))
	if _, err := store.Put(t.Context(), storage.StorageResourcePackfile, objects.MAC{1}, big); err == nil {
		t.Fatal("the upload was refused and succeeded")
	}
	v.server.Faults().VerifyAll(t)
	if n := v.vault.Uploads(); n != 1 {
		t.Fatalf("%d uploads left, want 1", n)
	}
	if report, err := store.CleanUp(t.Context(), time.Hour); err != nil || report != (CleanUpReport{Found: 1}) {
		t.Errorf("clean up of old uploads: %+v, %v", report, err)
	}
	if report, err := store.CleanUp(t.Context(), 0); err != nil || report != (CleanUpReport{Found: 1, Aborted: 1}) {
		t.Errorf("clean up: %+v, %v", report, err)
	}
	if n := v.vault.Uploads(); n != 0 {
		t.Errorf("%d uploads left", n)
	}
}

// TestStoreCleanUpTakesOnlyItsOwn: a store may have a whole bucket, and others
// may upload into it all the same.
func TestStoreCleanUpTakesOnlyItsOwn(t *testing.T) {
	v := newVault(t)
	// MinIO gives an answer for whole keys only.
	v.server.Faults().Add(s3test.Fault{Op: "ListMultipartUploads", Times: s3test.Always,
		Match:  func(r s3test.Request) bool { return r.Query.Get("prefix") != "" },
		Action: s3test.RemoveElement("Upload")})
	for _, op := range []string{"CompleteMultipartUpload", "AbortMultipartUpload"} {
		v.server.Faults().Add(s3test.Fault{Op: op, Times: 14, Action: s3test.Status(http.StatusForbidden, "AccessDenied")})
	}
	id := objects.MAC{0xab}.FormatHex()
	stores := []*Bucket{handle(t, v.server, "s3://vault"), handle(t, v.server, "s3://vault/repo")}
	for _, b := range stores {
		foreign := []string{"video.mp4", "packfiles/video.mp4", "other/packfiles/ab/" + id, b.key("locks/" + id), b.key("packfiles/" + id)}
		for _, key := range append(foreign, b.key("packfiles/ab/"+id), b.key("states/ab/"+id)) {
			if _, err := b.client.Upload(t.Context(), key, strings.NewReader("two parts"), -1, bucket.Write{PartSize: 5}); err == nil {
				t.Fatalf("the upload of %s was refused and succeeded", key)
			}
		}
	}
	for _, b := range stores {
		store := b.Store()
		if report, err := store.CleanUp(t.Context(), 0); err != nil || report != (CleanUpReport{Found: 2, Aborted: 2}) {
			t.Errorf("%s: %+v, %v", b, report, err)
		}
		if report, err := store.CleanUp(t.Context(), 0); err != nil || report != (CleanUpReport{}) {
			t.Errorf("%s: a second time: %+v, %v", b, report, err)
		}
		if err := store.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	v.server.Faults().VerifyAll(t)
}

func TestStoreHostileRanges(t *testing.T) {
	v := newVault(t)
	store, id := v.store(), objects.MAC{9}
	if _, err := store.Put(t.Context(), storage.StorageResourcePackfile, id, strings.NewReader("0123456789")); err != nil {
		t.Fatal(err)
	}
	for _, offset := range []uint64{10, 11, 1 << 40, 1 << 62, 1<<64 - 1} {
		if _, err := store.Get(t.Context(), storage.StorageResourcePackfile, id, &storage.Range{Offset: offset, Length: 4}); !errors.Is(err, ErrInvalidRange) {
			t.Errorf("offset %d: %v, want ErrInvalidRange", offset, err)
		}
	}
	body, err := store.Get(t.Context(), storage.StorageResourcePackfile, id, &storage.Range{Offset: 5, Length: 1<<32 - 1})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(body); string(got) != "56789" || err != nil {
		t.Errorf("a range past the end: %q, %v", got, err)
	}
	body.Close()
}

// TestStoreReadsToTheEnd what it cannot store: whoever writes the other end of a pipe would
// wait for ever.
func TestStoreReadsToTheEnd(t *testing.T) {
	v := newVault(t)
	v.server.Faults().Add(s3test.Fault{Op: "CreateMultipartUpload", Action: s3test.Status(http.StatusForbidden, "AccessDenied")})
	body := bytes.NewReader(make([]byte, 3*packfilePart))
	if _, err := v.store().Put(t.Context(), storage.StorageResourcePackfile, objects.MAC{1}, body); !errors.Is(err, ErrAccessDenied) {
		t.Errorf("put: %v", err)
	}
	if body.Len() > 0 {
		t.Errorf("%d bytes were not read", body.Len())
	}
	v.server.Faults().VerifyAll(t)
}
