package e2e_test

import (
	"testing"

	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/e2e/server"
)

// passphrase protects the repositories of the tests that encrypt.
var passphrase = []byte("correct horse battery staple")

// TestRoad backs the whole collection up and restores it into a new bucket, over a
// repository on the same server and over one on a local disk.
func TestRoad(t *testing.T) {
	t.Parallel()
	server.Each(t, func(t *testing.T, s *server.Server) {
		t.Parallel()
		at := newSite(t, s)
		original := at.newName(t, "collection")
		keys := at.fill(t, original, collection(s.Name))
		for name, open := range map[string]func(*testing.T) (storage.Store, s3kloset.RepositoryOption){
			"S3": func(t *testing.T) (storage.Store, s3kloset.RepositoryOption) {
				return at.store(t, at.newName(t, "repo")), s3kloset.WithPassphrase(passphrase)
			},
			"disk": func(t *testing.T) (storage.Store, s3kloset.RepositoryOption) {
				return storeOnDisk(t), s3kloset.WithPlaintext()
			},
		} {
			t.Run(name, func(t *testing.T) {
				store, protection := open(t)
				journey{at, original, keys}.run(t, store, protection)
			})
		}
	})
}

// journey is one way of the content of a bucket into a repository and out again.
type journey struct {
	site
	original string
	keys     []string
}

func (j journey) run(t *testing.T, store storage.Store, protection s3kloset.RepositoryOption) {
	repo, err := s3kloset.CreateRepository(t.Context(), store, protection)
	if err != nil {
		t.Fatal(err)
	}
	first := j.backUp(t, repo, s3kloset.TagsAlways)
	wantCounts(t, first.Counts, s3kloset.Counts{
		Listed: int64(len(j.keys)), Stored: int64(len(j.keys)), Bytes: j.bytes(t),
	})
	j.repeat(t, repo, first.Snapshot.ID)
	closeRepository(t, repo)

	// What follows knows nothing but what is in the store.
	repo, err = s3kloset.OpenRepository(t.Context(), store, protection)
	if err != nil {
		t.Fatal(err)
	}
	snapshots, err := repo.Snapshots(t.Context())
	if err != nil || len(snapshots) != 3 || snapshots[2].ID != first.Snapshot.ID {
		t.Errorf("snapshots are %+v, %v", snapshots, err)
	}
	for _, snapshot := range snapshots {
		if err := repo.Check(t.Context(), snapshot.ID); err != nil {
			t.Error(err)
		}
		if snapshot.Objects != int64(len(j.keys)) || snapshot.Bytes != first.Bytes || snapshot.Errors != 0 {
			t.Errorf("snapshot is %+v, of %d objects", snapshot, len(j.keys))
		}
	}
	for _, id := range []string{first.Snapshot.ID, "latest"} {
		j.restore(t, repo, id)
	}
	closeRepository(t, repo)
}

// repeat backs up again what has not changed. No object may be asked for.
func (j journey) repeat(t *testing.T, repo *s3kloset.Repository, parent string) {
	for policy, tagged := range map[s3kloset.TagPolicy]int64{s3kloset.TagsAlways: int64(len(j.keys)), s3kloset.TagsOnChange: 0} {
		report := j.backUp(t, repo, policy)
		wantCounts(t, report.Counts, s3kloset.Counts{Listed: int64(len(j.keys)), Unchanged: int64(len(j.keys))})
		for operation, want := range map[string]int64{"GetObject": 0, "HeadObject": 0, "GetObjectTagging": tagged} {
			if got := report.Requests[operation]; got != want {
				t.Errorf("unchanged backup with tag policy %v made %d requests %s, not %d", policy, got, operation, want)
			}
		}
		if report.Parent == "" {
			t.Errorf("backup was compared with nothing, not with %s", parent)
		}
	}
}

func (j journey) backUp(t *testing.T, repo *s3kloset.Repository, policy s3kloset.TagPolicy) *s3kloset.BackupReport {
	t.Helper()
	report, err := repo.Backup(t.Context(), j.open(t, j.original, s3kloset.WithTagPolicy(policy)).Source())
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Warnings) > 0 {
		t.Errorf("backup warns: %+v", report.Warnings)
	}
	return report
}

func (j journey) restore(t *testing.T, repo *s3kloset.Repository, id string) {
	t.Helper()
	restored := j.newName(t, "restored")
	report, err := repo.Restore(t.Context(), id, j.open(t, restored, s3kloset.WithCreateBucket(true)).Destination())
	if err != nil {
		t.Fatal(err)
	}
	wantCounts(t, report.Counts, s3kloset.Counts{
		Listed: int64(len(j.keys)), Stored: int64(len(j.keys)), Bytes: j.bytes(t),
	})
	if len(report.Warnings) > 0 {
		t.Errorf("restore warns: %+v", report.Warnings)
	}
	j.compare(t, restored, j.original, j.keys)
	j.wantUploads(t, restored, 0)
}

// bytes adds up the bodies of the original.
func (j journey) bytes(t *testing.T) int64 {
	t.Helper()
	var sum int64
	for _, key := range j.keys {
		answer, err := j.client.Get(t.Context(), j.original, key)
		if err != nil {
			t.Fatal(err)
		}
		sum += int64(len(answer.Body))
	}
	return sum
}

func wantCounts(t *testing.T, got, want s3kloset.Counts) {
	t.Helper()
	if got != want {
		t.Errorf("counts are %+v, not %+v", got, want)
	}
}
