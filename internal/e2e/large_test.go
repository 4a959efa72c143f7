package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/e2e/server"
	"github.com/s3kloset/s3kloset/internal/s3test"
	"github.com/s3kloset/s3kloset/internal/s3test/conformance"
)

// largeParts are 200 MiB in parts of another size than ours.
var largeParts = sync.OnceValue(func() [][]byte { return slices.Collect(slices.Chunk(noise(20, 200*mib), 12*mib)) })

const largeKey = "folder/200 MiB"

// TestLarge takes a large object there and back, and lets go of both ways half-way first.
func TestLarge(t *testing.T) {
	for _, name := range []conformance.Server{conformance.MinIO, conformance.Versity} {
		t.Run(string(name), func(t *testing.T) {
			s := server.Shared(t, name)
			shore := newSite(t, s)
			v := &voyage{shore: shore, original: shore.newName(t, "original"), repo: shore.newName(t, "repo"), restored: shore.newName(t, "restored")}
			v.proxy = s3test.StartProxy(t, s.Endpoint)
			through := *s
			through.Endpoint = v.proxy.URL()
			v.sea = site{&through, v.shore.client}
			v.shore.fill(t, v.original, []exhibit{show(largeKey, "Content-Type", "video/mp4").inParts(largeParts()...)})

			store := v.sea.store(t, v.repo)
			repo, err := s3kloset.CreateRepository(t.Context(), store, s3kloset.WithPlaintext())
			if err != nil {
				t.Fatal(err)
			}
			defer closeRepository(t, repo)
			v.cancelBackup(t, repo)
			report, err := repo.Backup(t.Context(), v.sea.open(t, v.original).Source())
			if err != nil {
				t.Fatal(err)
			}
			if err := repo.Check(t.Context(), report.Snapshot.ID); err != nil {
				t.Error(err)
			}
			v.cancelRestore(t, repo)
			if _, err := repo.Restore(t.Context(), "", v.destination(t).Destination()); err != nil {
				t.Fatal(err)
			}
			v.wantTidy(t)
			v.wantLarge(t)
		})
	}
}

// wantLarge compares the large object, ETag included.
func (v *voyage) wantLarge(t *testing.T) {
	t.Helper()
	original, err := v.shore.look(t.Context(), v.original, largeKey)
	if err != nil {
		t.Fatal(err)
	}
	restored, err := v.shore.look(t.Context(), v.restored, largeKey)
	if err != nil {
		t.Fatal(err)
	}
	if err := restored.unlike(original); err != nil {
		t.Error(err)
	}
	if !bytes.Equal(original.body, slices.Concat(largeParts()...)) {
		t.Error("original is not what was put")
	}
}

func (v *voyage) destination(t *testing.T) *s3kloset.Bucket {
	return v.sea.open(t, v.restored, s3kloset.WithCreateBucket(true))
}

// cancelAt cancels a new context in the middle of the nth request of a kind.
func (v *voyage) cancelAt(t *testing.T, c call, n int) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	v.proxy.Faults().Add(s3test.Fault{
		Op: c.operation, Bucket: v.bucket(c.role), Nth: n, Action: s3test.RunFirst(cancel),
	})
	return ctx
}

// cancelBackup ends a backup while packfiles go up. There must be no snapshot, and nothing
// else of it but packfiles that the next one may use.
func (v *voyage) cancelBackup(t *testing.T, repo *s3kloset.Repository) {
	t.Helper()
	ctx := v.cancelAt(t, call{role: "repo", operation: "UploadPart"}, 4)
	source := v.sea.open(t, v.original)
	_, err := repo.Backup(ctx, source.Source())
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled backup: %v", err)
	}
	v.proxy.Faults().VerifyAll(t)
	wantNothingRunning(t)
	if snapshots, err := repo.Snapshots(t.Context()); err != nil || len(snapshots) > 0 {
		t.Errorf("cancelled backup left snapshots: %+v, %v", snapshots, err)
	}
	v.shore.wantNoLocks(t, v.repo)
	v.shore.wantUploads(t, v.repo, 0)
}

// cancelRestore ends a restore while the object goes up. There must be no object.
func (v *voyage) cancelRestore(t *testing.T, repo *s3kloset.Repository) {
	t.Helper()
	ctx := v.cancelAt(t, call{role: "restored", operation: "UploadPart"}, 4)
	_, err := repo.Restore(ctx, "", v.destination(t).Destination())
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled restore: %v", err)
	}
	v.proxy.Faults().VerifyAll(t)
	wantNothingRunning(t)
	if keys, err := v.shore.client.Keys(t.Context(), v.restored); err != nil || len(keys) > 0 {
		t.Errorf("cancelled restore left %q, %v", keys, err)
	}
	v.shore.wantUploads(t, v.restored, 0)
}
