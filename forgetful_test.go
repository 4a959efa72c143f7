package s3kloset

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset/internal/bucket"
	"github.com/s3kloset/s3kloset/internal/s3test"
)

// forgetful is a server that loses the tags and the locks of uploads in parts, as Ceph does.
func forgetful(t *testing.T) *world {
	quiet(t)
	return newWorldOn(t, s3test.Start(t, s3test.WithoutFeature(s3test.UploadTags, s3test.UploadLocks)))
}

// TestRestoreToAForgetfulServer: objects in parts have their tags and their locks all the same.
func TestRestoreToAForgetfulServer(t *testing.T) {
	w := forgetful(t)
	w.data.EnableObjectLock()
	want := s3test.Properties{Tags: map[string]string{"a": "b"}, LockMode: "COMPLIANCE",
		LockUntil: time.Now().Add(time.Hour).UTC().Truncate(time.Second), LegalHold: true}
	w.data.Put("large", randomBody(1, bucket.MinPartSize+1), want)
	w.data.Put("small", []byte("x"), want)
	w.backup()
	target := w.server.CreateBucket("target")
	target.EnableObjectLock()
	at := w.at("s3://target", WithRestoredLock(true), WithSourceParts(false), WithPartSize(bucket.MinPartSize))
	if _, err := w.repo.Restore(t.Context(), "", at.Destination()); err != nil {
		t.Fatal(err)
	}
	if w.server.Count("CompleteMultipartUpload") != 1 {
		t.Error("nothing went up in parts")
	}
	for _, key := range []string{"large", "small"} {
		o, _ := target.Get(key)
		if o.Tags["a"] != "b" || o.LockMode != want.LockMode || !o.LockUntil.Equal(want.LockUntil) || !o.LegalHold {
			t.Errorf("%s: tags %q, lock %q until %v, hold %v", key, o.Tags, o.LockMode, o.LockUntil, o.LegalHold)
		}
	}
}

// TestObjectLockOnAForgetfulServer: no packfile of a store is without its lock.
func TestObjectLockOnAForgetfulServer(t *testing.T) {
	w := forgetful(t)
	w.data.Put("large", randomBody(1, 2*bucket.MinPartSize), s3test.Properties{})
	vault := w.server.CreateBucket("vault")
	vault.EnableObjectLock()
	at := w.at("s3://vault", WithObjectLock(Governance, time.Hour), WithPartSize(bucket.MinPartSize), WithMemoryLimit(4*bucket.MinPartSize))
	repo := createPlain(t, at.Store())
	if _, err := repo.Backup(t.Context(), w.at("s3://data").Source()); err != nil {
		t.Fatal(err)
	}
	if w.server.Count("CompleteMultipartUpload") == 0 {
		t.Error("nothing went up in parts")
	}
	for _, key := range vault.Keys() {
		if o, _ := vault.Get(key); !strings.HasPrefix(key, "locks/") && o.LockMode != string(Governance) {
			t.Errorf("%s has no lock", key)
		}
	}
}

// TestBackupOfTagsThatTheServerLost: an object whose tags the server cannot read is kept without them, and counted.
func TestBackupOfTagsThatTheServerLost(t *testing.T) {
	w := forgetful(t)
	careless := w.at("s3://data", WithVendor("aws")).client // which asks nothing
	bodies := map[string][]byte{"large": randomBody(1, bucket.DefaultRangeSize+1), "small": []byte("body")}
	for key, body := range bodies {
		write := bucket.Write{InParts: true, Tags: map[string]string{"a": "b"}}
		if _, err := careless.Upload(t.Context(), key, bytes.NewReader(body), int64(len(body)), write); err != nil {
			t.Fatal(err)
		}
	}
	// The server says of an object that is read that it has no tags, and they are asked for only where it need not have
	// said so.
	for _, want := range []struct {
		counts Counts
		warned []string
	}{
		{Counts{Listed: 2, Stored: 2}, []string{"large"}},
		{Counts{Listed: 2, Unchanged: 2}, []string{"large", "small"}},
	} {
		report := w.backup()
		w.counts("backup", report.Counts, want.counts)
		if lost := report.Warnings[WarnTags]; lost == nil || !slices.Equal(slices.Sorted(slices.Values(lost.Keys)), want.warned) {
			t.Errorf("warnings are %v, want those of %q", report.Warnings, want.warned)
		}
	}
	restored := w.restore("")
	for key, body := range bodies {
		if o, _ := restored.Get(key); !bytes.Equal(o.Body, body) || len(o.Tags) > 0 {
			t.Errorf("%s has %d bytes and the tags %q", key, len(o.Body), o.Tags)
		}
	}
}
