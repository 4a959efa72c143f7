package e2e_test

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/PlakarKorp/kloset/objects"
	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/e2e/raw"
	"github.com/s3kloset/s3kloset/internal/e2e/server"
	"github.com/s3kloset/s3kloset/internal/s3test/conformance"
)

// TestObjectLock keeps a repository where nothing can be deleted before its time, in both
// modes.
func TestObjectLock(t *testing.T) {
	at := newSite(t, server.Shared(t, conformance.MinIO))
	original := at.newName(t, "original")
	keys := at.fill(t, original, []exhibit{show("object"), show("large").holding(noise(1, 18*mib))})
	for _, mode := range []s3kloset.LockMode{s3kloset.Governance, s3kloset.Compliance} {
		t.Run(string(mode), func(t *testing.T) {
			bucket := at.newLockedBucket(t)
			store := at.open(t, bucket+"/"+storeFolder, s3kloset.WithObjectLock(mode, 24*time.Hour)).Store()
			closeAtEnd(t, store)
			repo, err := s3kloset.CreateRepository(t.Context(), store, s3kloset.WithPlaintext())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { closeRepository(t, repo) })
			report, err := repo.Backup(t.Context(), at.open(t, original).Source())
			if err != nil {
				t.Fatal(err)
			}
			at.wantRetained(t, bucket, mode, 24*time.Hour)
			at.wantRefused(t, bucket, store, mode)
			at.wantWhole(t, repo, report.Snapshot.ID, original, keys)

			extended, err := repo.ExtendRetention(t.Context(), report.Snapshot.ID, 48*time.Hour)
			if err != nil || extended.Extended != extended.Objects || extended.Objects < 3 {
				t.Errorf("extension: %+v, %v", extended, err)
			}
			at.wantRetained(t, bucket, mode, 48*time.Hour)
			extended, err = repo.ExtendRetention(t.Context(), report.Snapshot.ID, time.Hour)
			if err != nil || extended.Extended != 0 || extended.Objects < 3 {
				t.Errorf("extension to less: %+v, %v", extended, err)
			}
			at.wantRetained(t, bucket, mode, 48*time.Hour)
			at.wantNoLocks(t, bucket)
			at.wantSpace(t, bucket, mode)
			at.wantHeld(t, bucket, mode)
		})
	}
}

// TestRestoredLocks takes locked objects to another bucket, where they are locked if that
// is asked for.
func TestRestoredLocks(t *testing.T) {
	at := newSite(t, server.Shared(t, conformance.MinIO))
	original := at.newLockedBucket(t)
	until := time.Now().Add(48 * time.Hour).UTC().Truncate(time.Second).Format(time.RFC3339)
	locks := map[string]http.Header{
		"free":       {},
		"governance": {modeHeader: {"GOVERNANCE"}, untilHeader: {until}},
		"compliance": {modeHeader: {"COMPLIANCE"}, untilHeader: {until}},
		"held":       {holdHeader: {"ON"}},
	}
	for key, lock := range locks {
		if err := at.client.Put(t.Context(), original, key, lock, []byte(key)); err != nil {
			t.Fatal(err)
		}
	}
	repo, err := s3kloset.CreateRepository(t.Context(), at.store(t, at.newName(t, "repo")), s3kloset.WithPlaintext())
	if err != nil {
		t.Fatal(err)
	}
	defer closeRepository(t, repo)
	if _, err := repo.Backup(t.Context(), at.open(t, original).Source()); err != nil {
		t.Fatal(err)
	}
	for _, asked := range []bool{false, true} {
		restored := at.newLockedBucket(t)
		if _, err := repo.Restore(t.Context(), "", at.open(t, restored, s3kloset.WithRestoredLock(asked)).Destination()); err != nil {
			t.Fatal(err)
		}
		for key, lock := range locks {
			header, err := at.client.Head(t.Context(), restored, key)
			if err != nil {
				t.Fatal(err)
			}
			if !asked {
				lock = http.Header{}
			}
			if got, want := lockOf(header), lockOf(lock); got != want {
				t.Errorf("asked %v: the lock of %s is %v, want %v", asked, key, got, want)
			}
		}
	}
}

// lockOf reads mode, end and legal hold.
func lockOf(header http.Header) [3]string {
	until := header.Get(untilHeader)
	if at, err := time.Parse(time.RFC3339, until); err == nil { // some show milliseconds
		until = at.UTC().Format(time.RFC3339)
	}
	return [3]string{header.Get(modeHeader), until, strings.TrimPrefix(header.Get(holdHeader), "OFF")}
}

// Headers of a lock.
const (
	modeHeader  = "X-Amz-Object-Lock-Mode"
	untilHeader = "X-Amz-Object-Lock-Retain-Until-Date"
	holdHeader  = "X-Amz-Object-Lock-Legal-Hold"
)

// wantRetained demands that all there is in a store is kept for a period.
func (at site) wantRetained(t *testing.T, bucket string, mode s3kloset.LockMode, period time.Duration) {
	t.Helper()
	keys := at.keys(t, bucket)
	wantLayout(t, keys)
	for _, key := range keys {
		header, err := at.client.Head(t.Context(), bucket, key)
		if err != nil {
			t.Fatal(err)
		}
		until, err := time.Parse(time.RFC3339, header.Get(untilHeader))
		left := time.Until(until)
		if header.Get(modeHeader) != string(mode) || err != nil || left > period || left < period-time.Hour {
			t.Errorf("%s is kept for %v, not %v: %v", key, left, period, header)
		}
	}
}

// wantRefused demands that packfiles and states cannot be deleted, with the date, and that
// locks can.
func (at site) wantRefused(t *testing.T, bucket string, store *s3kloset.Store, mode s3kloset.LockMode) {
	t.Helper()
	for _, resource := range []storage.StorageResource{storage.StorageResourcePackfile, storage.StorageResourceState} {
		ids, err := store.List(t.Context(), resource)
		if err != nil || len(ids) == 0 {
			t.Fatalf("%s: %d, %v", resource, len(ids), err)
		}
		for _, id := range ids {
			err := store.Delete(t.Context(), resource, id)
			var retained *s3kloset.RetainedError
			if !errors.As(err, &retained) || retained.Mode != mode || time.Until(retained.Until) < 23*time.Hour {
				t.Errorf("delete of a %s: %v, not a RetainedError of %s", resource, err, mode)
			}
		}
	}
	id := objects.MAC{1}
	if _, err := store.Put(t.Context(), storage.StorageResourceLock, id, strings.NewReader("lock")); err != nil {
		t.Error(err)
	}
	header, err := at.client.Head(t.Context(), bucket, storeFolder+"/locks/"+id.FormatHex())
	if err != nil || header.Get(modeHeader) != "" {
		t.Errorf("a lock is retained: %v, %v", header, err)
	}
	if err := store.Delete(t.Context(), storage.StorageResourceLock, id); err != nil {
		t.Errorf("delete of a lock: %v", err)
	}
}

// wantSpace demands that what is deleted after its time leaves no version behind.
func (at site) wantSpace(t *testing.T, bucket string, mode s3kloset.LockMode) {
	t.Helper()
	const period = time.Second
	store := at.open(t, bucket+"/short", s3kloset.WithObjectLock(mode, period)).Store()
	closeAtEnd(t, store)
	id := objects.MAC{7}
	if _, err := store.Put(t.Context(), storage.StorageResourcePackfile, id, strings.NewReader("packfile")); err != nil {
		t.Fatal(err)
	}
	// Dates of locks have whole seconds, here rounded down or up.
	<-time.After(2 * period)
	if err := store.Delete(t.Context(), storage.StorageResourcePackfile, id); err != nil {
		t.Errorf("delete after the time has come: %v", err)
	}
	if left := at.versions(t, bucket, "short/"); len(left) != 0 {
		t.Errorf("versions are left: %q", left)
	}
}

// wantHeld demands that a legal hold keeps a blob after its time, and that a handle which
// does not know of locks only hides it.
func (at site) wantHeld(t *testing.T, bucket string, mode s3kloset.LockMode) {
	t.Helper()
	const period = time.Second
	store := at.open(t, bucket+"/held", s3kloset.WithObjectLock(mode, period)).Store()
	closeAtEnd(t, store)
	id := objects.MAC{8}
	if _, err := store.Put(t.Context(), storage.StorageResourcePackfile, id, strings.NewReader("packfile")); err != nil {
		t.Fatal(err)
	}
	for _, key := range at.keys(t, bucket) {
		if strings.HasPrefix(key, "held/packfiles/") {
			at.putOnHold(t, bucket, key)
		}
	}
	// Dates of locks have whole seconds, here rounded down or up.
	<-time.After(2 * period)
	var retained *s3kloset.RetainedError
	if err := store.Delete(t.Context(), storage.StorageResourcePackfile, id); !errors.Is(err, s3kloset.ErrRetained) || errors.As(err, &retained) {
		t.Errorf("delete of what is held: %v", err)
	}
	unaware := at.open(t, bucket+"/held").Store()
	closeAtEnd(t, unaware)
	if err := unaware.Delete(t.Context(), storage.StorageResourcePackfile, id); err != nil {
		t.Errorf("delete by a handle without object_lock: %v", err)
	}
	if _, err := store.Get(t.Context(), storage.StorageResourcePackfile, id, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("get of what is hidden: %v", err)
	}
	if left := at.versions(t, bucket, "held/"); len(left) != 1 {
		t.Errorf("versions are left: %q, not one", left)
	}
}

// putOnHold puts an object under a legal hold.
func (at site) putOnHold(t *testing.T, bucket, key string) {
	t.Helper()
	body := []byte("<LegalHold><Status>ON</Status></LegalHold>")
	sum := md5.Sum(body)
	if _, err := at.client.Do(t.Context(), raw.Request{
		Method: http.MethodPut, Bucket: bucket, Key: key, Query: url.Values{"legal-hold": {""}}, Body: body,
		Header: http.Header{"Content-Md5": {base64.StdEncoding.EncodeToString(sum[:])}},
	}); err != nil {
		t.Fatal(err)
	}
}

// TestStoreWithVersions: what is deleted in a bucket with versions is gone for the store,
// can be stored again, and is kept by the bucket. (versitygw takes a delete marker for an
// object, and refuses to store again what must not be there.)
func TestStoreWithVersions(t *testing.T) {
	for _, name := range []conformance.Server{conformance.MinIO, conformance.S3Test} {
		t.Run(string(name), func(t *testing.T) {
			at := newSite(t, server.Shared(t, name))
			bucket := at.newVersionedBucket(t)
			store := at.open(t, bucket+"/"+storeFolder).Store()
			closeAtEnd(t, store)
			id := objects.MAC{7}
			for round := range 2 {
				if _, err := store.Put(t.Context(), storage.StorageResourcePackfile, id, strings.NewReader("packfile")); err != nil {
					t.Fatalf("put, round %d: %v", round, err)
				}
				if err := store.Delete(t.Context(), storage.StorageResourcePackfile, id); err != nil {
					t.Fatalf("delete, round %d: %v", round, err)
				}
				ids, err := store.List(t.Context(), storage.StorageResourcePackfile)
				if err != nil || len(ids) != 0 {
					t.Errorf("list, round %d: %x, %v", round, ids, err)
				}
				if _, err := store.Get(t.Context(), storage.StorageResourcePackfile, id, nil); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("get, round %d: %v, not fs.ErrNotExist", round, err)
				}
			}
			if left := at.versions(t, bucket, ""); len(left) != 2 {
				t.Errorf("%d versions are left, not 2: %q", len(left), left)
			}
		})
	}
}

// newLockedBucket makes a bucket with Object Lock.
func (at site) newLockedBucket(t *testing.T) string {
	t.Helper()
	bucket := at.newName(t, "locked")
	_, err := at.client.Do(t.Context(), raw.Request{Method: http.MethodPut, Bucket: bucket,
		Header: http.Header{"X-Amz-Bucket-Object-Lock-Enabled": {"true"}}})
	if err != nil {
		t.Fatal(err)
	}
	return bucket
}

// newVersionedBucket makes a bucket that keeps old versions.
func (at site) newVersionedBucket(t *testing.T) string {
	t.Helper()
	bucket := at.newName(t, "versioned")
	if err := at.client.CreateBucket(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	_, err := at.client.Do(t.Context(), raw.Request{Method: http.MethodPut, Bucket: bucket, Query: url.Values{"versioning": {""}},
		Body: []byte("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")})
	if err != nil {
		t.Fatal(err)
	}
	return bucket
}

// versions lists the keys of all versions below a prefix that are no delete markers.
func (at site) versions(t *testing.T, bucket, prefix string) []string {
	t.Helper()
	answer, err := at.client.Do(t.Context(), raw.Request{Method: http.MethodGet, Bucket: bucket,
		Query: url.Values{"versions": {""}, "prefix": {prefix}}})
	if err != nil {
		t.Fatal(err)
	}
	var list struct {
		IsTruncated bool
		Version     []struct{ Key string }
	}
	if err := xml.Unmarshal(answer.Body, &list); err != nil || list.IsTruncated {
		t.Fatalf("versions of %s: %v, %v", bucket, list, err)
	}
	var keys []string
	for _, version := range list.Version {
		keys = append(keys, version.Key)
	}
	return keys
}
