package bench_test

import (
	"crypto/sha256"
	"fmt"
	"hash/maphash"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset/internal/bucket"
)

// million is how many keys are listed; their pages take 100 ms each.
const (
	million  = 1_000_000
	pageTime = 100 * time.Millisecond
)

// shapes are ways in which people name objects.
var shapes = []struct {
	name string
	key  func(i int) string
}{
	{"folders", func(i int) string { return fmt.Sprintf("dir%04d/object%06d", i/1000, i) }},
	{"hashes", func(i int) string {
		return fmt.Sprintf("%x", sha256.Sum256([]byte{byte(i), byte(i >> 8), byte(i >> 16)}))
	}},
	{"dates", func(i int) string {
		return time.Unix(1_700_000_000+int64(i)*60, 0).UTC().Format("2006/01/02/15-04-05") + ".log"
	}},
}

// BenchmarkListMillion lists from the server in memory, as no real one lists
// a page in the same time as any other. What counts is by how much the memory of
// this process grows.
func BenchmarkListMillion(b *testing.B) {
	for _, shape := range shapes {
		b.Run(shape.name, func(b *testing.B) {
			client := startFake(b, shape.name)
			seed := maphash.MakeSeed()
			var want, got order
			var r result
			idle := measure(b, func() {})
			serial := legs{measure(b, func() { want = listed(b, seed, client, 1) })}
			for range rounds {
				before := client.Requests()["ListObjectsV2"]
				r.ours = append(r.ours, measure(b, func() { got = listed(b, seed, client, 16) }))
				r.requests = map[string]int{"ListObjectsV2": int(client.Requests()["ListObjectsV2"] - before)}
			}
			if got != want || got.keys != million {
				b.Fatalf("16 workers list %+v, one lists %+v", got, want)
			}
			r.bars = []bar{
				atLeast(8, "of serial", over(serial, r.ours)),
				atMost(64, "MiB growth", mib(r.ours.rss()-idle.rss)),
			}
			report(b, r)
		})
	}
}

// order is how many keys there were, and a digest of them in their order.
type order struct {
	keys   int
	digest uint64
}

func listed(b *testing.B, seed maphash.Seed, client *bucket.Client, workers int) (o order) {
	b.Helper()
	var digest maphash.Hash
	digest.SetSeed(seed)
	for entry, err := range client.ListParallel(b.Context(), bucket.Range{}, workers) {
		if err != nil {
			b.Fatal(err)
		}
		digest.WriteString(entry.Key)
		digest.WriteByte(0)
		o.keys++
	}
	o.digest = digest.Sum64()
	return o
}
