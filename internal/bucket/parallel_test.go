package bucket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// inRanges reads an object in ranges of 1000 bytes.
func (s *stage) inRanges(ctx context.Context, key string, pin Pin, p Parallel) ([]byte, error) {
	p.RangeSize = 1000
	return drained(s.client.GetParallel(ctx, key, pin, p))
}

// TestGetParallel: the same bytes, whatever the size, the number of streams
// and the budget.
func TestGetParallel(t *testing.T) {
	for _, size := range []int{0, 1, 999, 1000, 1001, 1999, 2000, 2001, 25_500} {
		for _, streams := range []int{1, 2, 5, 100} {
			t.Run(fmt.Sprintf("%d bytes by %d", size, streams), func(t *testing.T) {
				play(t, Config{}, func(t *testing.T, s *stage) {
					body := bytesOf(size, 80)
					put := s.bucket.Put("k", body, s3test.Properties{}, s3test.WithChecksum("CRC32C"))
					for _, memory := range []*Memory{nil, NewMemory(1), NewMemory(1500), NewMemory(math.MaxInt64)} {
						for _, pin := range []Pin{{}, pinOf(put)} {
							got, err := s.inRanges(t.Context(), "k", pin, Parallel{Streams: streams, Memory: memory})
							if err != nil || !bytes.Equal(got, body) {
								t.Errorf("%d bytes, %v", len(got), err)
							}
						}
						if memory != nil {
							wantUnused(t, memory)
						}
					}
				})
			})
		}
	}
}

// wantUnused fails if bytes of the budget are still held.
func wantUnused(t *testing.T, m *Memory) {
	t.Helper()
	release, ok := m.TryAcquire(m.Limit())
	if !ok {
		t.Error("budget was not given back")
		return
	}
	release()
}

// TestGetParallelRequests: one for each range, and a HEAD only when nothing is
// known of the object.
func TestGetParallelRequests(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		body := bytesOf(4500, 81)
		put := s.bucket.Put("k", body, s3test.Properties{ContentType: "text/x"}, s3test.WithChecksum("CRC32C"))
		known, err := s.client.Head(t.Context(), "k", Pin{})
		if err != nil {
			t.Fatal(err)
		}
		s.ResetRequests()
		if _, err := s.inRanges(t.Context(), "k", pinOf(put), Parallel{Known: &known}); err != nil {
			t.Error(err)
		}
		if n := s.Count(""); n != 5 {
			t.Errorf("%d requests", n)
		}
		for _, r := range s.Requests() {
			if r.Header.Get("If-Match") != `"`+put.ETag+`"` || r.Header.Get("Range") == "" {
				t.Errorf("%s with If-Match %s, Range %s", r.Op, r.Header.Get("If-Match"), r.Header.Get("Range"))
			}
		}
		s.ResetRequests()
		object, err := s.client.GetParallel(t.Context(), "k", Pin{}, Parallel{RangeSize: 1000})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := drained(object, nil); err != nil || !bytes.Equal(got, body) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if object.ContentType != "text/x" || object.Size != 4500 || len(object.Checksums) != 1 {
			t.Errorf("attributes are %+v", object.Attributes)
		}
		if s.Count("HeadObject") != 1 || s.Count("GetObject") != 5 {
			t.Errorf("%d HEAD, %d GET", s.Count("HeadObject"), s.Count("GetObject"))
		}
	})
}

// TestGetParallelIsFaster by as many streams as there are.
func TestGetParallelIsFaster(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		body := bytesOf(80_000, 82)
		put := s.bucket.Put("k", body, s3test.Properties{})
		known := Attributes{Size: 80_000, ETag: put.ETag}
		var g gauge
		s.fault(s3test.Fault{Op: "GetObject", Times: s3test.Always, Action: g.around(time.Second)})
		took := spent(func() {
			if _, err := s.inRanges(t.Context(), "k", pinOf(put), Parallel{Streams: 8, Known: &known}); err != nil {
				t.Error(err)
			}
		})
		if g.peak() != 8 {
			t.Errorf("%d ranges at a time", g.peak())
		}
		if took > 12*time.Second {
			t.Errorf("80 ranges of 1s each by 8 took %v", took)
		}
	})
}

// TestGetParallelResumes every range on its own.
func TestGetParallelResumes(t *testing.T) {
	for name, interrupt := range interruptions {
		t.Run(name, func(t *testing.T) {
			play(t, Config{}, func(t *testing.T, s *stage) {
				body := bytesOf(9500, 83)
				put := s.bucket.Put("k", body, s3test.Properties{}, s3test.WithChecksum("CRC64NVME"))
				s.fault(s3test.Fault{Op: "GetObject", Times: 10, Match: isFresh, Action: interrupt(300)})
				got, err := s.inRanges(t.Context(), "k", pinOf(put), Parallel{Streams: 3})
				if err != nil || !bytes.Equal(got, body) {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			})
		})
	}
}

// isFresh tells the first request for a range of 1000 bytes from those that
// resume one.
func isFresh(r s3test.Request) bool {
	first, _, _ := strings.Cut(r.Header.Get("Range"), "-")
	return first == "bytes=0" || strings.HasSuffix(first, "000")
}

// TestGetParallelRetries requests that fail.
func TestGetParallelRetries(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		body := bytesOf(9500, 84)
		put := s.bucket.Put("k", body, s3test.Properties{}, s3test.WithChecksum("CRC32"))
		s.fault(s3test.Fault{Op: "GetObject", Times: 6, Action: s3test.Status(503, "SlowDown")})
		s.fault(s3test.Fault{Op: "GetObject", Times: 6, Action: s3test.Reset()})
		got, err := s.inRanges(t.Context(), "k", pinOf(put), Parallel{Streams: 4})
		if err != nil || !bytes.Equal(got, body) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	})
}

// TestGetParallelReplaced: whichever range meets another state of the object,
// what comes is the beginning of the first one and then ErrChanged.
func TestGetParallelReplaced(t *testing.T) {
	for nth := 1; nth <= 10; nth++ {
		t.Run(fmt.Sprint("at range ", nth), func(t *testing.T) {
			play(t, Config{}, func(t *testing.T, s *stage) {
				body := bytesOf(9500, 85)
				s.bucket.Put("k", body, s3test.Properties{})
				s.fault(s3test.Fault{Op: "GetObject", Nth: nth, Action: s3test.RunFirst(func() {
					s.bucket.Put("k", bytesOf(9500, 86), s3test.Properties{})
				})})
				memory := NewMemory(5000)
				got, err := s.inRanges(t.Context(), "k", Pin{}, Parallel{Streams: 3, Memory: memory})
				wantError(t, err, ErrChanged, "get", "k")
				if !bytes.HasPrefix(body, got) {
					t.Errorf("%d bytes that are not the beginning", len(got))
				}
				wantUnused(t, memory)
			})
		})
	}
}

// TestGetParallelChecksum: a bit that is wrong in any range is found.
func TestGetParallelChecksum(t *testing.T) {
	for nth := 1; nth <= 4; nth++ {
		play(t, Config{}, func(t *testing.T, s *stage) {
			put := s.bucket.Put("k", bytesOf(3500, 87), s3test.Properties{}, s3test.InParts(1200, 1200), s3test.WithFullChecksum("CRC32"))
			s.fault(s3test.Fault{Op: "GetObject", Nth: nth, Action: s3test.FlipBit(17)})
			_, err := s.inRanges(t.Context(), "k", pinOf(put), Parallel{})
			wantError(t, err, ErrChecksum, "get", "k")
		})
	}
}

// TestGetParallelRefused: what is wrong with the object is said at once.
func TestGetParallelRefused(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		cold := s.bucket.Put("cold", bytesOf(5000, 88), s3test.Properties{StorageClass: "GLACIER"})
		_, err := s.client.GetParallel(t.Context(), "cold", pinOf(cold), Parallel{RangeSize: 1000})
		wantError(t, err, ErrArchived, "get", "cold")
		_, err = s.client.GetParallel(t.Context(), "missing", Pin{Size: 5000, Sized: true}, Parallel{RangeSize: 1000})
		wantError(t, err, ErrNotFound, "head", "missing")
		known := Attributes{Size: 5000, ETag: "0123"}
		_, err = s.client.GetParallel(t.Context(), "missing", Pin{}, Parallel{RangeSize: 1000, Known: &known})
		wantError(t, err, ErrNotFound, "get", "missing")
		_, err = s.client.GetParallel(t.Context(), "cold", Pin{Size: 6000, Sized: true}, Parallel{RangeSize: 1000})
		wantError(t, err, ErrBody, "get", "cold")
	})
}

// TestGetParallelOfAShorterObject: what was known of the size was wrong.
func TestGetParallelOfAShorterObject(t *testing.T) {
	for _, size := range []int{1500, 2000} {
		play(t, Config{}, func(t *testing.T, s *stage) {
			put := s.bucket.Put("k", bytesOf(size, 89), s3test.Properties{})
			known := Attributes{Size: 2500, ETag: put.ETag}
			_, err := s.inRanges(t.Context(), "k", Pin{}, Parallel{Known: &known})
			if !errors.Is(err, ErrBody) && !errors.Is(err, ErrInvalidRange) {
				t.Errorf("error is %v", err)
			}
		})
	}
}

// TestGetParallelWithoutETag is a plain Get: nothing holds the pieces together.
func TestGetParallelWithoutETag(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		body := bytesOf(5000, 90)
		s.bucket.Put("k", body, s3test.Properties{})
		s.fault(s3test.Fault{Times: s3test.Always, Action: s3test.SetHeader("ETag", "")})
		got, err := s.inRanges(t.Context(), "k", Pin{}, Parallel{})
		if err != nil || !bytes.Equal(got, body) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		s.wantCount("GetObject", 1)
	})
}

func TestGetParallelCancelled(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		put := s.bucket.Put("k", bytesOf(9500, 91), s3test.Properties{})
		memory := NewMemory(3000)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		s.fault(s3test.Fault{Op: "GetObject", Times: s3test.Always, Action: s3test.Stall(),
			Match: func(r s3test.Request) bool { return r.Header.Get("Range") >= "bytes=4000" }})
		got, err := s.inRanges(ctx, "k", pinOf(put), Parallel{Streams: 3, Memory: memory})
		if err != context.DeadlineExceeded || len(got) != 4000 {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		wantUnused(t, memory)
	})
}

// TestGetParallelClosedEarly lets go of everything, also while it is read.
func TestGetParallelClosedEarly(t *testing.T) {
	for _, read := range []int64{0, 500, 1000, 4500} {
		t.Run(fmt.Sprint("after ", read), func(t *testing.T) {
			play(t, Config{}, func(t *testing.T, s *stage) {
				put := s.bucket.Put("k", bytesOf(9500, 92), s3test.Properties{})
				memory := NewMemory(3000)
				object, err := s.client.GetParallel(t.Context(), "k", pinOf(put), Parallel{RangeSize: 1000, Streams: 3, Memory: memory})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := io.CopyN(io.Discard, object.Body, read); err != nil {
					t.Error(err)
				}
				synctest.Wait()
				for range 2 {
					if err := object.Body.Close(); err != nil {
						t.Error(err)
					}
				}
				wantUnused(t, memory)
				_, err = object.Body.Read(make([]byte, 1))
				wantError(t, err, ErrClosed, "get", "k")
			})
		})
	}
}

func TestGetParallelClosedWhileRead(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		put := s.bucket.Put("k", bytesOf(9500, 93), s3test.Properties{})
		s.fault(s3test.Fault{Op: "GetObject", Nth: 4, Times: s3test.Always, Action: s3test.Stall()})
		object, err := s.client.GetParallel(t.Context(), "k", pinOf(put), Parallel{RangeSize: 1000, Streams: 2})
		if err != nil {
			t.Fatal(err)
		}
		read := make(chan error)
		go func() {
			_, err := io.Copy(io.Discard, object.Body)
			read <- err
		}()
		synctest.Wait()
		if err := object.Body.Close(); err != nil {
			t.Error(err)
		}
		if err := <-read; !errors.Is(err, context.Canceled) {
			t.Errorf("the reader sees %v", err)
		}
	})
}

// TestGetParallelWithoutBudget: others that hold it all, and wait for us to be
// read, do not stop us.
func TestGetParallelWithoutBudget(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		body := bytesOf(9500, 94)
		put := s.bucket.Put("k", body, s3test.Properties{}, s3test.WithChecksum("CRC32"))
		memory := NewMemory(5000)
		release, err := memory.Acquire(t.Context(), 5000)
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.inRanges(t.Context(), "k", pinOf(put), Parallel{Streams: 4, Memory: memory})
		if err != nil || !bytes.Equal(got, body) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		release()
		wantUnused(t, memory)
	})
}

// TestGetParallelOneAfterTheOther: bodies that are opened together and read one
// after the other share a budget that has room for one.
func TestGetParallelOneAfterTheOther(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		memory := NewMemory(4000)
		var objects []*Object
		for i := range 5 {
			key := fmt.Sprint(i)
			put := s.bucket.Put(key, bytesOf(9500, byte(i)), s3test.Properties{}, s3test.WithChecksum("CRC32"))
			object, err := s.client.GetParallel(t.Context(), key, pinOf(put), Parallel{RangeSize: 1000, Streams: 5, Memory: memory})
			if err != nil {
				t.Fatal(err)
			}
			objects = append(objects, object)
		}
		for i := range objects {
			i = len(objects) - 1 - i // the one that got no budget first
			if got, err := drained(objects[i], nil); err != nil || !bytes.Equal(got, bytesOf(9500, byte(i))) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		}
		wantUnused(t, memory)
	})
}

// TestGetParallelStaysWithinTheBudget whatever the consumer does.
func TestGetParallelStaysWithinTheBudget(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		body := bytesOf(30_000, 95)
		put := s.bucket.Put("k", body, s3test.Properties{})
		memory := NewMemory(4000)
		object, err := s.client.GetParallel(t.Context(), "k", pinOf(put), Parallel{RangeSize: 1000, Streams: 100, Memory: memory})
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := s.Count("GetObject"); n != 5 {
			t.Errorf("%d ranges were asked for before anything was read", n)
		}
		got, err := drained(object, nil)
		if err != nil || !bytes.Equal(got, body) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	})
}

// TestGetParallelInSmallReads: the sizes of reads do not matter.
func TestGetParallelInSmallReads(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		body := bytesOf(3500, 96)
		put := s.bucket.Put("k", body, s3test.Properties{}, s3test.WithChecksum("SHA256"))
		for _, reader := range []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.HalfReader} {
			object, err := s.client.GetParallel(t.Context(), "k", pinOf(put), Parallel{RangeSize: 1000})
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(reader(object.Body))
			if err != nil || !bytes.Equal(got, body) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			object.Body.Close()
		}
	})
}

// TestGetParallelMany at a time, with a budget for a few, under faults.
func TestGetParallelMany(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		memory := NewMemory(8000)
		s.fault(s3test.Fault{Op: "GetObject", Probability: 0.2, Action: s3test.CutAfter(400)})
		s.fault(s3test.Fault{Op: "GetObject", Probability: 0.1, Action: s3test.Status(503, "SlowDown")})
		var wg sync.WaitGroup
		for i := range 20 {
			key := fmt.Sprint(i)
			put := s.bucket.Put(key, bytesOf(500*i, byte(i)), s3test.Properties{}, s3test.WithChecksum("CRC32C"))
			wg.Go(func() {
				got, err := s.inRanges(t.Context(), key, pinOf(put), Parallel{Streams: 4, Memory: memory})
				if err != nil || !bytes.Equal(got, bytesOf(500*i, byte(i))) {
					t.Errorf("%s: %d bytes, %v", key, len(got), err)
				}
			})
		}
		wg.Wait()
		wantUnused(t, memory)
	})
}

// BenchmarkGetParallel reads 256 MiB with 30 ms before each answer, over one
// connection and over eight.
func BenchmarkGetParallel(b *testing.B) {
	const size = 256 << 20
	s := s3test.Start(b)
	put := s.CreateBucket(bucketName).Put("k", make([]byte, size), s3test.Properties{}, s3test.WithChecksum("CRC32C"))
	s.Faults().Add(s3test.Fault{Times: s3test.Always, Action: s3test.Delay(30 * time.Millisecond)})
	client := mustNew(b, realConfig(s))
	known, err := client.Head(b.Context(), "k", Pin{})
	if err != nil {
		b.Fatal(err)
	}
	for _, streams := range []int{1, 8} {
		b.Run(fmt.Sprintf("streams=%d", streams), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(size)
			memory := NewMemory(128 << 20)
			for b.Loop() {
				object, err := client.GetParallel(b.Context(), "k", pinOf(put), Parallel{Streams: streams, Memory: memory, Known: &known})
				if err != nil {
					b.Fatal(err)
				}
				if n, err := io.Copy(io.Discard, object.Body); n != size || err != nil {
					b.Fatal(n, err)
				}
				object.Body.Close()
			}
		})
	}
}
