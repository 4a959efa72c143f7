package bench_test

import (
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/klosettest"
)

// BenchmarkOpen: a repository of 500 backups, seen for the first time. The
// engine's own sequence reads each state twice, one after the other. The engine
// alone has the repository near, and does nothing but unpack and merge.
func BenchmarkOpen(b *testing.B) {
	const states = 500
	g := newGround(b, 30*time.Millisecond)
	bucket := g.bucket("store")
	near := g.nearStore(memoryDir(g))
	repo := g.repositoryIn(near)
	var last *s3kloset.BackupReport
	for i := range states {
		last = g.backup(repo, klosettest.NewMemImporter([]klosettest.Entry{klosettest.File("/a", []byte{byte(i), byte(i >> 8)})}))
	}
	g.copyStore(near, g.open(bucket).Store())
	var sequence legs
	var r result
	for range rounds {
		plain := g.open(bucket).Store()
		ids := must[[]storageID](b)(plain.List(g.Context(), storage.StorageResourceState))
		sequence = append(sequence, measure(b, func() {
			for range 2 {
				for _, id := range ids {
					if err := download(g.Context(), g.far, bucket, stateKey(id), 0, -1); err != nil {
						b.Fatal(err)
					}
				}
			}
		}))
		r.engine = append(r.engine, measure(b, func() {
			repo := must[*s3kloset.Repository](b)(s3kloset.OpenRepository(g.Context(), near, s3kloset.WithEngineConcurrency(1)))
			must[*s3kloset.RestoreReport](b)(repo.Restore(g.Context(), last.Snapshot.ID, nowhere{}))
			repo.Close()
		}))
		r.requests = g.requests(func() {
			r.ours = append(r.ours, measure(b, func() {
				repo, _ := g.farRepository(bucket)
				must[*s3kloset.RestoreReport](b)(repo.Restore(g.Context(), last.Snapshot.ID, nowhere{}))
			}))
		})
	}
	r.bars = []bar{atMost(0.1, "time of the engine's sequence", r.ours.wall().Seconds()/sequence.wall().Seconds())}
	report(b, r)
}

// copyStore copies a repository blob by blob.
func (g *ground) copyStore(from, to storage.Store) {
	g.Helper()
	config := must[[]byte](g)(from.Open(g.Context()))
	if err := to.Create(g.Context(), config); err != nil {
		g.Fatal(err)
	}
	for _, resource := range []storage.StorageResource{storage.StorageResourcePackfile, storage.StorageResourceState} {
		for _, id := range must[[]storageID](g)(from.List(g.Context(), resource)) {
			body := must[io.ReadCloser](g)(from.Get(g.Context(), resource, id, nil))
			content := must[[]byte](g)(io.ReadAll(body))
			body.Close()
			must[int64](g)(to.Put(g.Context(), resource, id, bytes.NewReader(content)))
		}
	}
}
