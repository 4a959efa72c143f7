package bucket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// inParts uploads a body in parts of 100 bytes, three at a time.
func (s *stage) inParts(ctx context.Context, body []byte, w Write) (Written, error) {
	w.PartSize, w.Parallel = 100, 3
	return s.client.Upload(ctx, "k", bytes.NewReader(body), int64(len(body)), w)
}

// smallParts is a server that takes parts of any size.
var smallParts = s3test.WithMinPartSize(1)

// gauge counts how many requests are being served at a time.
type gauge struct {
	mu        sync.Mutex
	now, most int
}

// around holds each request for a while, so that those that are sent beside
// each other meet.
func (g *gauge) around(hold time.Duration) s3test.Action {
	return func(next http.Handler) http.Handler {
		delayed := s3test.Delay(hold)(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			g.add(1)
			defer g.add(-1)
			delayed.ServeHTTP(w, r)
		})
	}
}

func (g *gauge) add(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now += n
	g.most = max(g.most, g.now)
}

// peak is how many there were at most.
func (g *gauge) peak() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.most
}

// TestPartsInParallel: as many at a time as were asked for.
func TestPartsInParallel(t *testing.T) {
	for _, parallel := range []int{0, 1, 4} {
		t.Run(fmt.Sprint(parallel), func(t *testing.T) {
			play(t, Config{}, func(t *testing.T, s *stage) {
				var g gauge
				s.fault(s3test.Fault{Op: "UploadPart", Times: s3test.Always, Action: g.around(time.Second)})
				body := bytesOf(1200, 30)
				took := spent(func() {
					_, err := s.client.Upload(t.Context(), "k", bytes.NewReader(body), -1, Write{PartSize: 100, Parallel: parallel})
					if err != nil {
						t.Error(err)
					}
				})
				if g.peak() != max(parallel, 1) {
					t.Errorf("%d parts at a time", g.peak())
				}
				if want := time.Duration(12/max(parallel, 1)) * time.Second; took != want {
					t.Errorf("took %v, want %v", took, want)
				}
				s.wantStored("k", body)
			}, smallParts)
		})
	}
}

// TestPartsWithinTheBudget: a budget of two parts holds two, however many
// could be sent at a time, and uploads that share it all come to an end.
func TestPartsWithinTheBudget(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		var g gauge
		s.fault(s3test.Fault{Op: "UploadPart", Times: s3test.Always, Action: g.around(time.Second)})
		w := Write{PartSize: 100, Parallel: 8, Memory: NewMemory(200)}
		var wg sync.WaitGroup
		for i := range 5 {
			wg.Go(func() {
				if _, err := s.client.Upload(t.Context(), fmt.Sprint(i), bytes.NewReader(bytesOf(450, 31)), -1, w); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if g.peak() != 2 {
			t.Errorf("%d parts at a time", g.peak())
		}
		if release, err := w.Memory.Acquire(t.Context(), 200); err != nil {
			t.Error(err)
		} else {
			release()
		}
	}, smallParts)
}

// TestBudgetSmallerThanAPart: one part at a time, but it goes on.
func TestBudgetSmallerThanAPart(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		w := Write{Memory: NewMemory(10)}
		if _, err := s.inParts(t.Context(), bytesOf(450, 32), w); err != nil {
			t.Error(err)
		}
		s.wantStored("k", bytesOf(450, 32))
	}, smallParts)
}

// TestMultipartCarriesEverything that a PUT does.
func TestMultipartCarriesEverything(t *testing.T) {
	play(t, Config{Vendor: "aws"}, func(t *testing.T, s *stage) {
		w := Write{
			Attributes: Attributes{ContentType: "text/x", User: map[string]string{"a": "b"}, StorageClass: "STANDARD_IA"},
			Tags:       map[string]string{"t": "v"},
		}
		body := bytesOf(250, 33)
		if _, err := s.inParts(t.Context(), body, w); err != nil {
			t.Fatal(err)
		}
		stored := s.wantStored("k", body)
		if stored.ContentType != "text/x" || stored.Metadata["a"] != "b" || stored.StorageClass != "STANDARD_IA" || stored.Tags["t"] != "v" {
			t.Errorf("stored %+v", stored.Properties)
		}
		if stored.Checksum.Algorithm != defaultAlgorithm || stored.Checksum.Type != "COMPOSITE" {
			t.Errorf("checksum is %+v", stored.Checksum)
		}
		s.wantCount("", 5)
	}, smallParts)
}

func TestMultipartLateTags(t *testing.T) {
	tags := map[string]string{}
	for i := range 10 {
		tags[fmt.Sprint(i)] = strings.Repeat("ü", 250)
	}
	play(t, Config{}, func(t *testing.T, s *stage) {
		if _, err := s.inParts(t.Context(), bytesOf(250, 34), Write{Tags: tags}); err != nil {
			t.Fatal(err)
		}
		if stored := s.wantStored("k", bytesOf(250, 34)); !maps.Equal(stored.Tags, tags) {
			t.Errorf("%d tags", len(stored.Tags))
		}
	}, smallParts)
}

// TestMultipartRetries each of its requests, parts with all their bytes.
func TestMultipartRetries(t *testing.T) {
	for name, action := range map[string]s3test.Action{
		"503": s3test.Status(503, "SlowDown"), "reset": s3test.Reset(), "error in a 200": s3test.Body200Error("InternalError"),
	} {
		t.Run(name, func(t *testing.T) {
			play(t, Config{}, func(t *testing.T, s *stage) {
				for _, op := range []string{"CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"} {
					if op == "UploadPart" && name == "error in a 200" {
						continue // its answer has no body to tell
					}
					s.fault(s3test.Fault{Op: op, Times: 2, Action: action})
				}
				body := bytesOf(250, 35)
				if _, err := s.inParts(t.Context(), body, Write{}); err != nil {
					t.Error(err)
				}
				s.wantStored("k", body)
				s.wantNoUploads()
			}, smallParts)
		})
	}
}

// TestMultipartFails: nothing is left behind, whatever failed.
func TestMultipartFails(t *testing.T) {
	for op, call := range map[string]string{
		"CreateMultipartUpload": "create upload", "UploadPart": "put part", "CompleteMultipartUpload": "complete upload",
	} {
		for status, code := range map[int]string{403: "AccessDenied", 500: "InternalError"} {
			t.Run(fmt.Sprintf("%s/%d", op, status), func(t *testing.T) {
				play(t, Config{}, func(t *testing.T, s *stage) {
					s.fault(s3test.Fault{Op: op, Times: s3test.Always, Action: s3test.Status(status, code)})
					_, err := s.inParts(t.Context(), bytesOf(950, 36), Write{})
					var failed *OpError
					if !errors.As(err, &failed) || failed.Status != status || failed.Op != call || failed.Key != "k" {
						t.Errorf("error is %v", err)
					}
					s.wantNothing()
				}, smallParts)
			})
		}
	}
}

// TestMultipartStopsEarly: a part that fails ends the reading of the stream.
func TestMultipartStopsEarly(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.fault(s3test.Fault{Op: "UploadPart", Nth: 2, Action: s3test.Status(403, "AccessDenied")})
		_, err := s.client.Upload(t.Context(), "k", endless{}, -1, Write{PartSize: 100, Parallel: 2})
		wantError(t, err, ErrAccessDenied, "put part", "k")
		s.wantNothing()
	}, smallParts)
}

// endless is a stream without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

func TestMultipartTooManyParts(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		_, err := s.client.Upload(t.Context(), "k", endless{}, -1, Write{PartSize: 100, Parallel: 2, maxParts: 7})
		wantError(t, err, ErrTooLarge, "put", "k")
		s.wantNothing()
		_, err = s.client.Upload(t.Context(), "k", bytes.NewReader(bytesOf(700, 29)), -1, Write{PartSize: 100, maxParts: 7})
		if err != nil {
			t.Error(err)
		}
	}, smallParts)
}

// TestAbortThatFails: both errors show.
func TestAbortThatFails(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.fault(s3test.Fault{Op: "UploadPart", Action: s3test.Status(403, "AccessDenied")})
		s.fault(s3test.Fault{Op: "AbortMultipartUpload", Times: s3test.Always, Action: s3test.Status(501, "NotImplemented")})
		_, err := s.inParts(t.Context(), bytesOf(250, 37), Write{})
		if !errors.Is(err, ErrAccessDenied) || !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("error is %v", err)
		}
	}, smallParts)
}

// TestAbortAfterCancel has a time of its own, and ends when the server does not
// answer either.
func TestAbortAfterCancel(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s.fault(s3test.Fault{Op: "UploadPart", Nth: 2, Action: s3test.Chain(s3test.RunFirst(cancel), s3test.Stall())})
		s.fault(s3test.Fault{Op: "AbortMultipartUpload", Times: s3test.Always, Action: s3test.Stall()})
		took := spent(func() {
			if _, err := s.inParts(ctx, bytesOf(250, 38), Write{}); !errors.Is(err, context.Canceled) {
				t.Errorf("error is %v", err)
			}
		})
		if took != abortTimeout {
			t.Errorf("gave up after %v", took)
		}
	}, smallParts)
}

// TestAbortOfStrayParts: a part that nobody waits for any more may bring the upload
// back, as on servers that keep parts in a folder. One that was refused does not.
func TestAbortOfStrayParts(t *testing.T) {
	for name, c := range map[string]struct {
		part   func(cancel func()) s3test.Action
		aborts int
	}{
		"cancelled": {func(cancel func()) s3test.Action { return s3test.Chain(s3test.RunFirst(cancel), s3test.Stall()) }, 1 + len(strayDelays)},
		"refused":   {func(func()) s3test.Action { return s3test.Status(403, "AccessDenied") }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, Config{}, func(t *testing.T, s *stage) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				s.fault(s3test.Fault{Op: "UploadPart", Nth: 3, Action: c.part(cancel)})
				if c.aborts > 1 { // they have done nothing
					s.fault(s3test.Fault{Op: "AbortMultipartUpload", Times: c.aborts - 1, Action: s3test.Status(204, "")})
				}
				if _, err := s.client.Upload(ctx, "k", bytes.NewReader(bytesOf(250, 38)), -1, Write{PartSize: 100}); err == nil {
					t.Error("it was uploaded")
				}
				s.wantCount("AbortMultipartUpload", c.aborts)
				s.wantNothing()
			}, smallParts)
		})
	}
}

// TestCancelWhileCreating: an upload that a server begins after we have given up
// is aborted. That takes as long as the answer, up to a limit.
func TestCancelWhileCreating(t *testing.T) {
	sleep := s3test.RunFirst(func() { time.Sleep(time.Second) }) // and carry it out, whoever still waits
	for answer, c := range map[string]struct {
		action s3test.Action
		took   time.Duration
	}{
		"late":     {sleep, time.Second},
		"refused":  {s3test.Status(503, "SlowDown"), 0},
		"not come": {s3test.Stall(), grace},
	} {
		t.Run(answer, func(t *testing.T) {
			play(t, Config{}, func(t *testing.T, s *stage) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				s.fault(s3test.Fault{Op: "CreateMultipartUpload", Action: s3test.Chain(s3test.RunFirst(cancel), c.action)})
				took := spent(func() {
					if _, err := s.inParts(ctx, bytesOf(250, 38), Write{}); !errors.Is(err, context.Canceled) {
						t.Errorf("error is %v", err)
					}
				})
				if took != c.took {
					t.Errorf("gave up after %v", took)
				}
				s.wantCount("CreateMultipartUpload", 1)
				s.wantNothing()
			}, smallParts)
		})
	}
}

// TestCompleteLostAnswer: the upload is gone at the second attempt, and the
// object tells that it was completed.
func TestCompleteLostAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		between func(s *stage)
		w       Write
		kind    error
	}{
		"ours":              {},
		"ours, at first":    {w: Write{IfNoneMatch: true}},
		"somebody else's":   {between: func(s *stage) { s.bucket.Put("k", []byte("other"), s3test.Properties{}) }, kind: ErrNotFound},
		"deleted meanwhile": {between: func(s *stage) { s.bucket.Delete("k") }, kind: ErrNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, Config{}, func(t *testing.T, s *stage) {
				s.fault(s3test.Fault{Op: "CompleteMultipartUpload", Action: s3test.LoseAnswer()})
				// A server that remembers finished uploads would answer again.
				s.fault(s3test.Fault{Op: "CompleteMultipartUpload", Action: s3test.Chain(s3test.RunFirst(func() {
					if c.between != nil {
						c.between(s)
					}
				}), s3test.Status(404, "NoSuchUpload"))})
				body := bytesOf(250, 39)
				written, err := s.inParts(t.Context(), body, c.w)
				if c.kind != nil {
					wantError(t, err, c.kind, "complete upload", "k")
					return
				}
				stored := s.wantStored("k", body)
				if err != nil || written.ETag != stored.ETag || written.Parts != 3 || written.Size != 250 {
					t.Errorf("%+v, %v", written, err)
				}
			}, smallParts)
		})
	}
}

// TestMultipartConditions are decided at the end, and leave no parts.
func TestMultipartConditions(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.bucket.Put("k", []byte("first"), s3test.Properties{})
		_, err := s.inParts(t.Context(), bytesOf(250, 40), Write{IfNoneMatch: true})
		wantError(t, err, ErrAlreadyExists, "complete upload", "k")
		_, err = s.inParts(t.Context(), bytesOf(250, 40), Write{IfMatch: "0123"})
		wantError(t, err, ErrChanged, "complete upload", "k")
		s.wantStored("k", []byte("first"))
		s.wantNoUploads()
	}, smallParts)
}

// TestMultipartExpected: the bytes are compared before they are an object.
func TestMultipartExpected(t *testing.T) {
	body := bytesOf(250, 41)
	for _, algorithm := range []string{"CRC32", "CRC64NVME", "SHA256"} {
		t.Run(algorithm, func(t *testing.T) {
			play(t, Config{}, func(t *testing.T, s *stage) {
				_, err := s.inParts(t.Context(), body, Write{Expect: Checksum{Algorithm: algorithm, Value: sumOf(algorithm, body[1:])}})
				wantError(t, err, ErrChecksum, "put", "k")
				s.wantNothing()
				if _, err := s.inParts(t.Context(), body, Write{Expect: Checksum{Algorithm: algorithm, Value: sumOf(algorithm, body)}}); err != nil {
					t.Error(err)
				}
			}, smallParts)
		})
	}
}

// TestPartChecksTheAnswer: a part that the server stored otherwise is not
// completed.
func TestPartChecksTheAnswer(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.fault(s3test.Fault{Op: "UploadPart", Action: s3test.SetHeader("x-amz-checksum-crc32", sumOf(defaultAlgorithm, nil))})
		_, err := s.inParts(t.Context(), bytesOf(250, 42), Write{})
		wantError(t, err, ErrChecksum, "put", "k")
		s.wantNothing()
	}, smallParts)
}

// TestUploadReadsAhead: the next part is read while others travel.
func TestUploadReadsAhead(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		hold := make(chan struct{})
		s.fault(s3test.Fault{Op: "UploadPart", Times: 2, Action: s3test.RunFirst(func() { <-hold })})
		stream := &counting{inner: bytes.NewReader(bytesOf(1000, 43))}
		done := make(chan error)
		go func() {
			_, err := s.client.Upload(t.Context(), "k", stream, -1, Write{PartSize: 100, Parallel: 2})
			done <- err
		}()
		synctest.Wait()
		// Two parts travel, one is held ready, and one byte was looked at.
		if n := stream.count(); n != 301 {
			t.Errorf("%d bytes were read", n)
		}
		close(hold)
		if err := <-done; err != nil {
			t.Error(err)
		}
	}, smallParts)
}

// counting counts the bytes that were read.
type counting struct {
	inner io.Reader
	mu    sync.Mutex
	n     int
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.inner.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n += n
	return n, err
}

func (c *counting) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// TestMultipartWithoutAnETag: Ceph does not say which one it made.
func TestMultipartWithoutAnETag(t *testing.T) {
	play(t, Config{Vendor: "aws"}, func(t *testing.T, s *stage) {
		written, err := s.inParts(t.Context(), bytesOf(250, 35), Write{})
		if stored := s.wantStored("k", bytesOf(250, 35)); err != nil || written.ETag != trimETag(stored.ETag) {
			t.Errorf("%+v, %v, want %s", written, err, stored.ETag)
		}
		s.fault(s3test.Fault{Op: "HeadObject", Action: s3test.Status(403, "")})
		if written, err := s.inParts(t.Context(), bytesOf(250, 35), Write{}); err != nil || written.ETag != "" {
			t.Errorf("who may not read: %+v, %v", written, err)
		}
	}, smallParts, s3test.WithoutFeature(s3test.CompletionETags))
}
