package bench_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/e2e/raw"
	"github.com/s3kloset/s3kloset/internal/e2e/server"
	"github.com/s3kloset/s3kloset/internal/s3test"
	"github.com/s3kloset/s3kloset/internal/s3test/conformance"
	"golang.org/x/sync/errgroup"
)

func TestMain(m *testing.M) {
	if shape := os.Getenv(fakeVariable); shape != "" {
		if err := serveFake(shape); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	status := server.Main(m)
	printTable(os.Stdout)
	os.Exit(status)
}

// inFlight is how many requests the raw clients have in flight.
const inFlight = 32

// ground is where a workload runs: MinIO, and the network in front of it.
type ground struct {
	*testing.B
	minio   *server.Server
	network *s3test.Proxy
	near    *raw.Client // without the network
	far     *raw.Client
}

func newGround(b *testing.B, latency time.Duration) *ground {
	b.Helper()
	minio := server.Shared(b, conformance.MinIO)
	g := &ground{B: b, minio: minio, near: minio.Raw(b)}
	g.network = s3test.StartProxy(b, minio.Endpoint, s3test.WithLatency(latency))
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: inFlight, DisableCompression: true}}
	b.Cleanup(client.CloseIdleConnections)
	far := *g.near
	far.Endpoint, far.HTTP = g.network.URL(), client
	g.far = &far
	return g
}

// requests counts what ours asks for.
func (g *ground) requests(ours func()) map[string]int {
	before := counts(g.network.Count)
	ours()
	return less(before, counts(g.network.Count))
}

// open makes a handle on a bucket behind the network.
func (g *ground) open(location string, opts ...s3kloset.Option) *s3kloset.Bucket {
	g.Helper()
	b, err := s3kloset.New("s3://"+location, append([]s3kloset.Option{
		s3kloset.WithEndpoint(g.network.URL()), s3kloset.WithRegion(g.minio.Region),
		s3kloset.WithCredentials(g.minio.AccessKey, g.minio.SecretKey, ""),
	}, opts...)...)
	if err != nil {
		g.Fatal(err)
	}
	g.Cleanup(func() { b.Close() })
	return b
}

// fill puts the workload into a new bucket, without the network.
func (g *ground) fill(w workload) string {
	g.Helper()
	bucket := g.bucket("data")
	g.parallel(w.count, func(ctx context.Context, i int) error {
		return g.near.Put(ctx, bucket, w.key(i), http.Header{}, w.body(i))
	})
	return bucket
}

func (g *ground) bucket(kind string) string {
	g.Helper()
	name := kind + "-" + strings.ToLower(rand.Text()[:10])
	if err := g.near.CreateBucket(g.Context(), name); err != nil {
		g.Fatal(err)
	}
	return name
}

// parallel runs n tasks with as many in flight as the raw clients have.
func (g *ground) parallel(n int, task func(ctx context.Context, i int) error) {
	g.Helper()
	group, ctx := errgroup.WithContext(g.Context())
	group.SetLimit(inFlight)
	for i := range n {
		group.Go(func() error { return task(ctx, i) })
	}
	if err := group.Wait(); err != nil {
		g.Fatal(err)
	}
}

// must ends the benchmark on an error of a run.
func must[T any](b testing.TB) func(T, error) T {
	return func(value T, err error) T {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
		return value
	}
}
