package bench_test

import (
	"testing"
	"time"

	"github.com/PlakarKorp/kloset/connectors/exporter"
	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/klosettest"
)

// restore demands that all n objects arrive: a restore of less is faster.
func (g *ground) restore(repo *s3kloset.Repository, dst exporter.Exporter, n int) {
	g.Helper()
	report := must[*s3kloset.RestoreReport](g)(repo.Restore(g.Context(), "latest", dst))
	if report.Stored != int64(n) {
		g.Fatalf("%d objects were restored, want %d", report.Stored, n)
	}
}

// BenchmarkRestoreToS3: the repository is near, the bucket is far.
func BenchmarkRestoreToS3(b *testing.B) {
	b.Run(small.name+"/30ms", func(b *testing.B) {
		g := newGround(b, 30*time.Millisecond)
		repo := g.repository()
		g.backup(repo, klosettest.NewMemImporter(g.entries(small)))
		var r result
		for range rounds {
			r.raw = append(r.raw, measure(b, func() { g.rawWrite(small) }))
			r.engine = append(r.engine, measure(b, func() { g.restore(repo, nowhere{}, small.count) }))
			target := g.open(g.bucket("target")).Destination()
			r.requests = g.requests(func() {
				r.ours = append(r.ours, measure(b, func() { g.restore(repo, target, small.count) }))
			})
		}
		r.bars = []bar{atLeast(0.7, "of the slower", r.ofSlower())}
		report(b, r)
	})
}

// farRepository is a repository in a bucket behind the network, seen through
// a store that has not read anything yet.
func (g *ground) farRepository(bucket string) (*s3kloset.Repository, *s3kloset.Store) {
	g.Helper()
	store := g.open(bucket).Store()
	repo := must[*s3kloset.Repository](g)(s3kloset.OpenRepository(g.Context(), store, s3kloset.WithEngineConcurrency(1)))
	g.Cleanup(func() { repo.Close(); store.Close(g.Context()) })
	return repo, store
}

// BenchmarkRestoreFromS3: the repository is far. Small files are restored to
// where they came from, and the same is done from a repository that is near; the
// large one goes nowhere.
func BenchmarkRestoreFromS3(b *testing.B) {
	for _, w := range []workload{small, large} {
		b.Run(w.name+"/30ms", func(b *testing.B) {
			g := newGround(b, 30*time.Millisecond)
			bucket, entries := g.bucket("store"), g.entries(w)
			near, far := g.repository(), g.repositoryIn(g.open(bucket).Store())
			g.backup(near, klosettest.NewMemImporter(entries))
			g.backup(far, klosettest.NewMemImporter(entries))
			plain := g.fill(w)
			var local legs
			var r result
			size := int64(0)
			for range rounds {
				r.raw = append(r.raw, measure(b, func() { g.rawRead(plain, w) }))
				r.engine = append(r.engine, measure(b, func() { g.restore(near, nowhere{}, w.count) }))
				repo, store := g.farRepository(bucket)
				target := func() exporter.Exporter { return nowhere{} }
				if w == small {
					target = func() exporter.Exporter { return g.open(g.bucket("target")).Destination() }
				}
				to := target()
				local = append(local, measure(b, func() { g.restore(near, to, w.count) }))
				to = target()
				r.requests = g.requests(func() {
					r.ours = append(r.ours, measure(b, func() { g.restore(repo, to, w.count) }))
				})
				size = must[int64](b)(store.Size(g.Context()))
			}
			if w == small {
				r.bars = []bar{
					atMost(mib(size)+50, "GET", float64(r.requests["GetObject"])),
					atMost(2, "time of a near repository", r.ours.wall().Seconds()/local.wall().Seconds()),
				}
			} else {
				r.bars = []bar{atLeast(0.7, "of the slower", r.ofSlower())}
			}
			report(b, r)
		})
	}
}
