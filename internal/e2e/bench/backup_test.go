package bench_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/PlakarKorp/kloset/connectors/importer"
	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/klosettest"
)

func (g *ground) backup(repo *s3kloset.Repository, src importer.Importer) *s3kloset.BackupReport {
	g.Helper()
	return must[*s3kloset.BackupReport](g)(repo.Backup(g.Context(), src))
}

// backedUp demands that a backup did all of its work: one that does less is
// faster.
func (g *ground) backedUp(report *s3kloset.BackupReport, stored, unchanged int) {
	g.Helper()
	if report.Stored != int64(stored) || report.Unchanged != int64(unchanged) {
		g.Fatalf("%d objects were stored and %d unchanged, want %d and %d", report.Stored, report.Unchanged, stored, unchanged)
	}
}

// firstBackup is what a backup of n objects into an empty repository costs.
func (g *ground) firstBackup(src importer.Importer, n int) (s sample) {
	g.Helper()
	var report *s3kloset.BackupReport
	g.withRepository(func(repo *s3kloset.Repository) {
		s = measure(g, func() { report = g.backup(repo, src) })
	})
	g.backedUp(report, n, 0)
	return s
}

// BenchmarkFirstBackup: everything is new.
func BenchmarkFirstBackup(b *testing.B) {
	for _, c := range []struct {
		workload
		latency time.Duration
	}{
		{small, 30 * time.Millisecond},
		{medium, 0}, {medium, 30 * time.Millisecond},
		{large, 0}, {large, 30 * time.Millisecond},
	} {
		b.Run(fmt.Sprintf("%s/%s", c.name, c.latency), func(b *testing.B) {
			g := newGround(b, c.latency)
			bucket, entries := g.fill(c.workload), g.entries(c.workload)
			var r result
			for range rounds {
				r.raw = append(r.raw, measure(b, func() { g.rawRead(bucket, c.workload) }))
				r.engine = append(r.engine, g.firstBackup(klosettest.NewMemImporter(entries), c.count))
				source := g.open(bucket).Source()
				r.requests = g.requests(func() { r.ours = append(r.ours, g.firstBackup(source, c.count)) })
			}
			r.bars = []bar{atLeast(0.8, "of the slower", r.ofSlower())}
			report(b, r)
		})
	}
}

// blind hides the Source from the facade, as the pipe of plakar does.
type blind struct{ importer.Importer }

// BenchmarkSecondBackup: nothing has changed. The bar is the engine alone on
// the same tree, and one walk through the listing.
func BenchmarkSecondBackup(b *testing.B) {
	for _, c := range []struct {
		name string
		opts []s3kloset.Option
		wrap func(*s3kloset.Source) importer.Importer
	}{
		{"facade", nil, func(s *s3kloset.Source) importer.Importer { return s }},
		{"cache", []s3kloset.Option{s3kloset.WithMetadataCache(b.TempDir())},
			func(s *s3kloset.Source) importer.Importer { return blind{s} }},
	} {
		b.Run(c.name+"/"+small.name+"/30ms", func(b *testing.B) {
			g := newGround(b, 30*time.Millisecond)
			bucket, entries := g.fill(small), g.entries(small)
			handle := g.open(bucket, append(c.opts, s3kloset.WithTagPolicy(s3kloset.TagsOnChange))...)
			alone, repo := g.repository(), g.repository()
			g.backup(alone, klosettest.NewMemImporter(entries))
			g.backedUp(g.backup(repo, c.wrap(handle.Source())), small.count, 0)
			var again *s3kloset.BackupReport
			var listing legs
			var r result
			for range rounds {
				listing = append(listing, measure(b, func() { g.rawList(bucket) }))
				r.engine = append(r.engine, measure(b, func() { g.backup(alone, klosettest.NewMemImporter(entries)) }))
				r.requests = g.requests(func() {
					r.ours = append(r.ours, measure(b, func() { again = g.backup(repo, c.wrap(handle.Source())) }))
				})
				g.backedUp(again, 0, small.count)
			}
			r.bars = []bar{
				atMost(0, "GET and HEAD", float64(r.requests["GetObject"]+r.requests["HeadObject"])),
				atMost(1.3, "time of engine and listing", r.ours.wall().Seconds()/(r.engine.wall()+listing.wall()).Seconds()),
			}
			report(b, r)
		})
	}
}
