package bucket

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// shapePage is how many keys are a page of the shapes.
const shapePage = 25

// shapes of key spaces, each of some n keys.
var shapes = map[string]func(n int) []string{
	"numbers":               func(n int) []string { return keysOf(n, "%08d") },
	"numbers without zeros": func(n int) []string { return keysOf(n, "%d") },
	"deep common prefix": func(n int) []string {
		return keysOf(n, "backup/2024/hosts/db-1.example.org/var/lib/data/"+strings.Repeat("deep/", 20)+"%06d.dat")
	},
	"uniform hex": func(n int) []string { return hashes(n, "") },
	"packfiles": func(n int) []string {
		keys := hashes(n, "packfiles/")
		for i, key := range keys {
			id := strings.TrimPrefix(key, "packfiles/")
			keys[i] = "packfiles/" + id[:2] + "/" + id
		}
		return keys
	},
	"skewed": func(n int) []string { // a tenth in a hundred folders, the rest in one of them
		keys := keysOf(n*9/10, "photos/m/%07d.jpg")
		for i := range n / 10 {
			keys = append(keys, fmt.Sprintf("photos/%c%c/%04d.jpg", 'a'+i%26, 'a'+i/26%4, i))
		}
		return keys
	},
	"dates": func(n int) []string {
		keys := make([]string, n)
		day := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
		for i := range keys {
			keys[i] = day.Add(time.Duration(i) * 7 * time.Minute).Format("logs/2006/01/02/15-04-05.gz")
		}
		return keys
	},
	"a page a folder": func(n int) []string {
		keys := make([]string, n)
		for i := range keys {
			keys[i] = fmt.Sprintf("dir%04d/object%06d", i/shapePage, i)
		}
		return keys
	},
	"nested folders": func(n int) []string {
		keys := make([]string, n)
		for i := range keys {
			keys[i] = fmt.Sprintf("tenant-%03d/volume-%d/%08d.blob", i/(20*shapePage), i/(5*shapePage/2)%8, i%(5*shapePage/2))
		}
		return keys
	},
	"folders of all sizes": func(n int) []string {
		random := rand.New(rand.NewPCG(1, 2))
		var keys []string
		for len(keys) < n {
			folder := fmt.Sprintf("user-%d/", random.IntN(1_000_000))
			for i := range 1 << random.IntN(12) {
				keys = append(keys, fmt.Sprintf("%s%x", folder, i))
			}
		}
		return keys
	},
	"other scripts": func(n int) []string {
		keys := make([]string, n)
		for i := range keys {
			keys[i] = fmt.Sprintf("写真/%c%c%c", 0x4e00+i/400, 0x3041+i/20%20, 0x0430+i%20)
		}
		return keys
	},
	"no text": func(n int) []string { // nothing can be guessed
		keys := keysOf(n, "\xff%08d")
		return keys
	},
	"one length after the other": func(n int) []string {
		keys := make([]string, n)
		for i := range keys {
			keys[i] = strings.Repeat("a", i%500) + fmt.Sprint(i)
		}
		return keys
	},
}

func hashes(n int, prefix string) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("%s%x", prefix, sha256.Sum256([]byte{byte(i), byte(i >> 8), byte(i >> 16)}))
	}
	return keys
}

// sorted are the different keys in order.
func sorted(keys []string) []string {
	keys = slices.Clone(keys)
	slices.Sort(keys)
	return slices.Compact(keys)
}

func listedParallel(ctx context.Context, c *Client, r Range, workers int) (keys []string, err error) {
	for entry, err := range c.ListParallel(ctx, r, workers) {
		if err != nil {
			return keys, err
		}
		keys = append(keys, entry.Key)
	}
	return keys, nil
}

// TestListParallel: the same keys in the same order, few requests in vain, and
// much less time wherever there is something to go by.
func TestListParallel(t *testing.T) {
	const page, pages, workers, roundTrip = shapePage, 300, 16, 100 * time.Millisecond
	for name, shape := range shapes {
		if testing.Short() && !slices.Contains([]string{"packfiles", "dates", "skewed", "no text"}, name) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			play(t, Config{}, func(t *testing.T, s *stage) {
				keys := sorted(shape(page * pages))
				s.fill(keys)
				var g gauge
				s.fault(s3test.Fault{Times: s3test.Always, Action: g.around(roundTrip)})
				var got []string
				var err error
				took := spent(func() { got, err = listedParallel(t.Context(), s.client, Range{page: page}, workers) })
				if err != nil || !slices.Equal(got, keys) {
					t.Errorf("%d keys, %v; want %d", len(got), err, len(keys))
				}
				if g.peak() > workers {
					t.Errorf("%d requests at a time", g.peak())
				}
				serial := (len(keys) + page - 1) / page
				if n := s.count("ListObjectsV2"); n > 2*serial+3*workers {
					t.Errorf("%d requests for %d pages", n, serial)
				}
				// A page for each folder, and half of what was asked for is in vain
				// unless it is known where folders begin.
				if n := s.count("ListObjectsV2"); name == "a page a folder" && n > serial*8/5 {
					t.Errorf("%d requests for as many folders as %d pages", n, serial)
				}
				questions := 0
				for _, r := range s.Requests() {
					if r.Query.Has("delimiter") {
						questions++
					}
				}
				if questions > 1+s.count("ListObjectsV2")/scoutEvery || questions > 0 && !strings.Contains(keys[0], "/") {
					t.Errorf("%d questions for folders in %d requests", questions, s.count("ListObjectsV2"))
				}
				gain := float64(serial) * roundTrip.Seconds() / took.Seconds()
				t.Logf("%s: %d pages, %d requests, %.1f times as fast as one after the other", name, serial, s.Count(""), gain)
				if want, known := gains[name]; gain < want || !known {
					t.Errorf("%.1f times as fast as one after the other, want %.1f", gain, want)
				}
			})
		})
	}
}

// gains are how much faster each shape must be listed by 16 workers, about
// half of what it is: much of so short a listing is spent on getting to know
// the keys.
var gains = map[string]float64{
	"numbers": 5, "numbers without zeros": 5, "deep common prefix": 5, "uniform hex": 5, "packfiles": 5, "skewed": 4, "dates": 5,
	"a page a folder": 4, "nested folders": 4, "folders of all sizes": 4, "other scripts": 4, "no text": 0.9, "one length after the other": 0.9,
}

// TestListParallelSmall: what fits into one page costs one request.
func TestListParallelSmall(t *testing.T) {
	for _, n := range []int{0, 1, 10} {
		play(t, Config{}, func(t *testing.T, s *stage) {
			keys := keysOf(n, "%03d")
			s.fill(keys)
			got, err := listedParallel(t.Context(), s.client, Range{page: 10}, 16)
			if err != nil || !slices.Equal(got, keys) {
				t.Errorf("%q, %v", got, err)
			}
			s.wantCount("", 1)
		})
	}
}

// TestListParallelRanges: bounds mean the same as for one worker.
func TestListParallelRanges(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.fill(sorted(slices.Concat(hashes(150, "a/"), hashes(150, "b/"), keysOf(150, "b/b/%d"), hashes(100, "c"), awkward)))
		for _, r := range []Range{
			{}, {Prefix: "a/"}, {Prefix: "b"}, {Prefix: "b/b/"}, {Prefix: "z"}, {Prefix: "b/b/1", After: "b/b/13"},
			{After: "b/8"}, {Until: "b/3"}, {After: "a/5", Until: "c3"}, {After: "a/5", Until: "a/6", Prefix: "a"}, {Until: "!"},
			{After: "zzz"}, {Most: 321}, {Prefix: "b/b/", Most: 77}, {Until: "b/8", Most: 100_000}, {Unordered: true},
		} {
			r.page = 20
			want, err := listed(t.Context(), s.client, r)
			if err != nil {
				t.Fatal(err)
			}
			for _, workers := range []int{0, 2, 7} {
				if got, err := listedParallel(t.Context(), s.client, r, workers); err != nil || !slices.Equal(got, want) {
					t.Errorf("%+v by %d: %d keys, %v; want %d", r, workers, len(got), err, len(want))
				}
			}
		}
	})
}

// TestListParallelAtRandom: key spaces without any sense.
func TestListParallelAtRandom(t *testing.T) {
	seeds := uint64(20)
	if testing.Short() {
		seeds = 8
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 1))
			letters := []string{"a", "b", "0", "9", "f", "z", "A", "/", "-", "é", "日", "💾", "\x7f", "\xff", " "}
			letters = letters[:2+random.IntN(len(letters)-1)]
			var keys []string
			for range 500 {
				var key strings.Builder
				for range 1 + random.IntN(6) {
					key.WriteString(letters[random.IntN(len(letters))])
				}
				keys = append(keys, key.String())
			}
			keys = sorted(keys)
			play(t, Config{}, func(t *testing.T, s *stage) {
				s.fill(keys)
				s.fault(s3test.Fault{Probability: 0.9, Action: s3test.Delay(10 * time.Millisecond)})
				got, err := listedParallel(t.Context(), s.client, Range{page: 1 + random.IntN(7)}, 2+random.IntN(8))
				if err != nil || !slices.Equal(got, keys) {
					t.Errorf("%d keys, %v; want %d", len(got), err, len(keys))
				}
			})
		})
	}
}

// TestListParallelUnderFaults: all that one worker survives.
func TestListParallelUnderFaults(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		keys := sorted(hashes(3000, ""))
		s.fill(keys)
		for _, action := range []s3test.Action{
			s3test.Status(503, "SlowDown"), s3test.Reset(), s3test.StatusHTML(200), s3test.CutAfter(300), s3test.Body200Error("InternalError"),
		} {
			s.fault(s3test.Fault{Op: "ListObjectsV2", Probability: 0.05, Action: action})
		}
		got, err := listedParallel(t.Context(), s.client, Range{page: 20}, 8)
		if err != nil || !slices.Equal(got, keys) {
			t.Errorf("%d keys, %v", len(got), err)
		}
	})
}

// TestListParallelFails: an error anywhere is the error of the whole, and what
// was delivered before it is a beginning.
func TestListParallelFails(t *testing.T) {
	for _, nth := range []int{1, 2, 5, 20, 60} {
		for name, c := range map[string]struct {
			action s3test.Action
			kind   error
		}{
			"refused":         {s3test.Status(403, "AccessDenied"), ErrAccessDenied},
			"not a listing":   {s3test.StatusHTML(200), ErrListing},
			"the first again": {nil, ErrListing},
		} {
			t.Run(fmt.Sprintf("%s, from request %d", name, nth), func(t *testing.T) {
				play(t, Config{}, func(t *testing.T, s *stage) {
					keys := sorted(hashes(3000, ""))
					s.fill(keys)
					if c.action == nil {
						if nth == 1 {
							return // is the first
						}
						c.action = pageWith(t, true, "token", keys[:20]...)
					}
					s.fault(s3test.Fault{Nth: nth, Times: s3test.Always, Action: c.action})
					got, err := listedParallel(t.Context(), s.client, Range{page: 20}, 8)
					wantError(t, err, c.kind, "list", "")
					if len(got) > len(keys) || !slices.Equal(got, keys[:len(got)]) || len(got) == len(keys) {
						t.Errorf("%d keys that are not a beginning", len(got))
					}
				})
			})
		}
	}
}

func TestListParallelCancelled(t *testing.T) {
	for _, at := range []int{1, 19, 20, 21, 700} {
		t.Run(fmt.Sprint("at key ", at), func(t *testing.T) {
			play(t, Config{}, func(t *testing.T, s *stage) {
				s.fill(hashes(3000, ""))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var last error
				n := 0
				for _, err := range s.client.ListParallel(ctx, Range{page: 20}, 8) {
					if last = err; err != nil {
						break
					}
					if n++; n == at {
						cancel()
					}
				}
				if last != context.Canceled {
					t.Errorf("%d keys, then %v", n, last)
				}
			})
		})
	}
}

// TestListParallelHeldUp: workers that wait for an answer end with the context.
func TestListParallelHeldUp(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.fill(hashes(3000, ""))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		s.fault(s3test.Fault{Nth: 20, Times: s3test.Always, Action: s3test.Stall()})
		if _, err := listedParallel(ctx, s.client, Range{page: 20}, 8); err != context.DeadlineExceeded {
			t.Errorf("error is %v", err)
		}
	})
}

// TestListParallelStopsAsking when the caller has seen enough.
func TestListParallelStopsAsking(t *testing.T) {
	for _, enough := range []int{1, 500} {
		play(t, Config{}, func(t *testing.T, s *stage) {
			s.fill(hashes(3000, ""))
			n := 0
			for _, err := range s.client.ListParallel(t.Context(), Range{page: 20}, 8) {
				if err != nil {
					t.Fatal(err)
				}
				if n++; n == enough {
					break
				}
			}
			// What was under way when the listing ended may still arrive.
			synctest.Wait()
			asked := s.Count("")
			time.Sleep(time.Minute)
			if s.Count("") != asked {
				t.Error("workers went on")
			}
		})
	}
}

// TestListParallelIsBounded: a caller who stops taking stops the workers.
func TestListParallelIsBounded(t *testing.T) {
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			play(t, Config{}, func(t *testing.T, s *stage) {
				const workers = 4
				keys := sorted(shape(1200))
				s.fill(keys)
				n := 0
				for _, err := range s.client.ListParallel(t.Context(), Range{page: 10}, workers) {
					if err != nil {
						t.Fatal(err)
					}
					n++
					if n%200 != 1 {
						continue
					}
					synctest.Wait()
					// Pages in vain are not held, and not counted here.
					if taken, asked := (n+9)/10, s.Count(""); asked > 2*(taken+2*(stride+1)*workers)+workers {
						t.Errorf("%d pages asked for when %d were taken", asked, taken)
					}
				}
			})
		})
	}
}

// TestListParallelWhileKeysChange: those that stay come once.
func TestListParallelWhileKeysChange(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		all := sorted(hashes(3000, ""))
		s.fill(all)
		var mu sync.Mutex
		random := rand.New(rand.NewPCG(7, 7))
		s.fault(s3test.Fault{Times: s3test.Always, Action: s3test.Chain(s3test.Delay(10*time.Millisecond), s3test.RunFirst(func() {
			mu.Lock()
			defer mu.Unlock()
			s.bucket.Put(fmt.Sprintf("%x-new", random.Uint64()), nil, s3test.Properties{})
			s.bucket.Delete(all[3*random.IntN(len(all)/3)])
		}))})
		got, err := listedParallel(t.Context(), s.client, Range{page: 20}, 1+7)
		if err != nil || !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != len(got) {
			t.Fatalf("%d keys, in order: %t, %v", len(got), slices.IsSorted(got), err)
		}
		for i, key := range all {
			if _, found := slices.BinarySearch(got, key); !found && i%3 != 0 {
				t.Errorf("%s was not listed", key)
			}
		}
	})
}

// BenchmarkList lists 100,000 keys with 10 ms a page, by one worker and by 16.
func BenchmarkList(b *testing.B) {
	s := s3test.Start(b)
	vault := s.CreateBucket(bucketName)
	for _, key := range hashes(100_000, "data/") {
		vault.Put(key, nil, s3test.Properties{})
	}
	s.Faults().Add(s3test.Fault{Times: s3test.Always, Action: s3test.Delay(10 * time.Millisecond)})
	client := mustNew(b, realConfig(s))
	for _, workers := range []int{1, 16} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				n := 0
				for _, err := range client.ListParallel(b.Context(), Range{}, workers) {
					if err != nil {
						b.Fatal(err)
					}
					n++
				}
				if n != 100_000 {
					b.Fatalf("%d keys", n)
				}
			}
			b.ReportMetric(100_000*float64(b.N)/b.Elapsed().Seconds(), "keys/s")
		})
	}
}
