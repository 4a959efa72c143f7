package bench_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/s3kloset/s3kloset/internal/e2e/raw"
	"github.com/s3kloset/s3kloset/internal/s3test/sigv4"
)

// download reads a range of an object and throws it away; length -1 is all.
func download(ctx context.Context, c *raw.Client, bucket, key string, offset, length int64) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Endpoint+"/"+bucket+"/"+key, nil)
	if err != nil {
		return err
	}
	if length >= 0 {
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", offset, offset+length-1))
	}
	sigv4.Sign(r, sigv4.Credentials{AccessKey: c.AccessKey, SecretKey: c.SecretKey}, c.Region, sigv4.UnsignedPayload, time.Now())
	answer, err := c.HTTP.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("get %s: %s", key, answer.Status)
	}
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	_, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, answer.Body, *buffer)
	return err
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 256<<10); return &b }}

// rawRead is how fast the network gives the workload away. One large object is
// read in ranges: a single connection is not what a good client would use.
func (g *ground) rawRead(bucket string, w workload) {
	const piece = 8 << 20
	if w.size <= piece {
		g.parallel(w.count, func(ctx context.Context, i int) error {
			return download(ctx, g.far, bucket, w.key(i), 0, -1)
		})
		return
	}
	pieces := w.size / piece
	g.parallel(w.count*pieces, func(ctx context.Context, i int) error {
		return download(ctx, g.far, bucket, w.key(i/pieces), int64(i%pieces)*piece, piece)
	})
}

// rawWrite is how fast the network takes the workload.
func (g *ground) rawWrite(w workload) {
	bucket := g.bucket("raw")
	g.parallel(w.count, func(ctx context.Context, i int) error {
		return g.far.Put(ctx, bucket, w.key(i), http.Header{}, w.body(i))
	})
}

// rawList walks through a listing, page after page.
func (g *ground) rawList(bucket string) {
	if _, err := g.far.Keys(g.Context(), bucket); err != nil {
		g.Fatal(err)
	}
}
