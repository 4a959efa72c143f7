package s3test_test

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// BenchmarkListPage lists pages of 1000 keys out of buckets of two sizes: the time of a page must not depend on them.
func BenchmarkListPage(b *testing.B) {
	for _, size := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprintf("of %d", size), func(b *testing.B) {
			_, bucket, c := started(b)
			for i := range size {
				bucket.Put(fmt.Sprintf("folder-%03d/object-%07d", i%1000, i), nil, s3test.Properties{})
			}
			token := ""
			for b.Loop() {
				r := c.get("/bucket?list-type=2&encoding-type=url" + token)
				// To parse the page would take longer than to make it.
				_, rest, truncated := strings.Cut(string(r.body), "<NextContinuationToken>")
				if token = ""; truncated {
					next, _, _ := strings.Cut(rest, "<")
					token = "&continuation-token=" + next
				}
			}
		})
	}
}

// BenchmarkListFolders lists the folders of a bucket of a million keys, a thousand in each.
func BenchmarkListFolders(b *testing.B) {
	_, bucket, c := started(b)
	for i := range 1_000_000 {
		bucket.Put(fmt.Sprintf("folder-%03d/object-%07d", i%1000, i), nil, s3test.Properties{})
	}
	for b.Loop() {
		if p := c.list("delimiter", "/"); len(p.CommonPrefixes) != 1000 {
			b.Fatalf("%d folders", len(p.CommonPrefixes))
		}
	}
}

// BenchmarkSeed puts objects directly, in an order that is the worst for a list.
func BenchmarkSeed(b *testing.B) {
	bucket := s3test.New().CreateBucket("bucket")
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		bucket.Put(fmt.Sprintf("%08x", uint32(i)*2654435761), nil, s3test.Properties{})
	}
}

// BenchmarkPut puts objects of 1 KiB over HTTP, one after the other and sixteen at a time.
func BenchmarkPut(b *testing.B) {
	body := strings.Repeat("x", 1024)
	for _, clients := range []int{1, 16} {
		b.Run(fmt.Sprintf("%d at a time", clients), func(b *testing.B) {
			_, _, c := started(b)
			c.concurrently(clients, b.N, func(i int) {
				c.put(at(fmt.Sprintf("object-%07d", i)), body).ok()
			})
		})
	}
}

// concurrently runs f for 0 up to n-1 in a number of goroutines.
func (c *client) concurrently(clients, n int, f func(int)) {
	next := make(chan int)
	var group sync.WaitGroup
	for range clients {
		group.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	group.Wait()
}

// BenchmarkGet gets an object of 16 MiB from a server and through a proxy.
func BenchmarkGet(b *testing.B) {
	const size = 16 << 20
	s, bucket, direct := started(b)
	bucket.Put("k", make([]byte, size), s3test.Properties{})
	for name, c := range map[string]*client{"server": direct, "proxy": newClient(b, s, s3test.StartProxy(b, s.URL()))} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(size)
			for b.Loop() {
				response, err := c.http.Do(c.request("GET", at("k"), nil))
				if err != nil {
					b.Fatal(err)
				}
				if n, err := io.Copy(io.Discard, response.Body); n != size || err != nil {
					b.Fatalf("%d bytes, %v", n, err)
				}
				response.Body.Close()
			}
		})
	}
}

// BenchmarkLatency sends requests over a link of 30 ms, 64 at a time: latency must not limit how many there are.
func BenchmarkLatency(b *testing.B) {
	s := s3test.Start(b)
	bucket := s.CreateBucket("bucket")
	fill(bucket, "k")
	c := newClient(b, s, s3test.StartProxy(b, s.URL(), s3test.WithLatency(30*time.Millisecond)))
	c.concurrently(64, b.N, func(int) { c.get(at("k")).ok() })
}
