package s3kloset

import (
	"fmt"
	"testing"
	"time"

	"github.com/PlakarKorp/kloset/connectors/importer"
	"github.com/s3kloset/s3kloset/internal/klosettest"
	"github.com/s3kloset/s3kloset/internal/s3test"
)

// benchObjects is how many small objects the benchmarks back up.
const benchObjects = 2000

// BenchmarkBackupSmallObjects backs the same objects up from memory, which is
// the engine alone, and from a bucket, first and again without a change. The
// ratios tell what the bucket costs; both sides share the processors with the
// server.
func BenchmarkBackupSmallObjects(b *testing.B) {
	server := s3test.Start(b)
	data := server.CreateBucket("data")
	var entries []klosettest.Entry
	for i := range benchObjects {
		key, body := fmt.Sprintf("dir%02d/object%04d", i/100, i), fmt.Appendf(make([]byte, 4096), "%d", i)
		data.Put(key, body, s3test.Properties{})
		entries = append(entries, klosettest.File("/"+key, body))
	}
	var engine, first, again time.Duration
	for b.Loop() {
		b.StopTimer()
		fromMemory := createPlain(b, klosettest.NewMemStore())
		fromBucket := createPlain(b, klosettest.NewMemStore())
		source := handle(b, server, "s3://data", WithTagPolicy(TagsOnChange)).Source()
		b.StartTimer()
		engine += timedBackup(b, fromMemory, klosettest.NewMemImporter(entries), Counts{Listed: benchObjects, Stored: benchObjects})
		first += timedBackup(b, fromBucket, source, Counts{Listed: benchObjects, Stored: benchObjects})
		again += timedBackup(b, fromBucket, source, Counts{Listed: benchObjects, Unchanged: benchObjects})
	}
	b.ReportMetric(engine.Seconds()*1e3/float64(b.N), "engine-ms")
	b.ReportMetric(first.Seconds()/engine.Seconds(), "bucket/engine")
	b.ReportMetric(again.Seconds()/engine.Seconds(), "unchanged/engine")
}

func timedBackup(b *testing.B, repo *Repository, src importer.Importer, want Counts) time.Duration {
	b.Helper()
	begun := time.Now()
	report, err := repo.Backup(b.Context(), src)
	if err != nil {
		b.Fatal(err)
	}
	took := time.Since(begun)
	if report.Bytes = 0; report.Counts != want {
		b.Fatalf("counts %+v, want %+v", report.Counts, want)
	}
	return took
}
