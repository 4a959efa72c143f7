package s3kloset

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/PlakarKorp/kloset/objects"
	"github.com/s3kloset/s3kloset/internal/klosettest"
	"github.com/s3kloset/s3kloset/internal/s3test"
)

// traffic counts the requests that wait for the head of an answer, but for those
// of locks.
type traffic struct {
	http.RoundTripper
	now, peak atomic.Int64
}

func (t *traffic) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.Contains(r.URL.Path, "/locks/") {
		return t.RoundTripper.RoundTrip(r)
	}
	n := t.now.Add(1)
	defer t.now.Add(-1)
	for peak := t.peak.Load(); n > peak && !t.peak.CompareAndSwap(peak, n); peak = t.peak.Load() {
	}
	return t.RoundTripper.RoundTrip(r)
}

// TestConcurrency: each handle of a run has as many requests in flight as it may,
// whatever it is for.
func TestConcurrency(t *testing.T) {
	quiet(t)
	const most = 3
	w := newWorldOn(t, s3test.Start(t, s3test.WithLatency(10*time.Millisecond)))
	faults := w.server.Faults()
	faults.Add(s3test.Fault{Op: "GetObject", Bucket: "data", Times: most, Action: s3test.Gather(most)})
	faults.Add(s3test.Fault{Op: "PutObject", Bucket: "restored", Times: most, Action: s3test.Gather(most)})
	w.fill(40)
	w.data.Put("in parts", make([]byte, 21<<20), s3test.Properties{})
	w.server.CreateBucket("backups")
	w.server.CreateBucket("restored")
	var counted []*traffic
	limited := func(location string) *Bucket {
		own := &traffic{RoundTripper: &http.Transport{}}
		counted = append(counted, own)
		t.Cleanup(own.RoundTripper.(*http.Transport).CloseIdleConnections)
		return w.at(location, WithConcurrency(most), WithTransport(own), WithPartSize(5<<20))
	}
	store := limited("s3://backups").Store()
	w.repo = createPlain(t, store)
	w.backupOf(limited("s3://data"))
	if _, err := w.repo.Restore(t.Context(), "", limited("s3://restored").Destination()); err != nil {
		t.Fatal(err)
	}
	w.same(w.data, w.server.Bucket("restored"))
	// The engine writes as many packfiles at a time as it has processors.
	faults.Add(s3test.Fault{Op: "PutObject", Bucket: "backups", Times: most, Action: s3test.Gather(most)})
	var wg sync.WaitGroup
	for i := range most {
		wg.Go(func() {
			if _, err := store.Put(t.Context(), storage.StorageResourcePackfile, objects.MAC{byte(i)}, strings.NewReader("packfile")); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for i, role := range []string{"store", "source", "destination"} {
		if peak := counted[i].peak.Load(); peak != most {
			t.Errorf("the %s had %d requests in flight, and may have %d", role, peak, most)
		}
	}
}

// TestCaps of requests and of bytes hold a whole run back. That they are no slower
// than they say is shown where time can be held: internal/bucket.
func TestCaps(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	w.fill(40)
	w.data.Put("large", make([]byte, 3<<20), s3test.Properties{})
	for name, test := range map[string]struct {
		cap  Option
		want time.Duration // what is left when a second has gone for nothing
	}{
		"requests": {WithRequestRate(20), time.Second}, // 42 of them
		"bytes":    {WithBandwidth(1 << 20), 2 * time.Second},
	} {
		repo := createPlain(t, klosettest.NewMemStore())
		begin := time.Now()
		if _, err := repo.Backup(t.Context(), w.at("s3://data", test.cap).Source()); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if took := time.Since(begin); took < test.want {
			t.Errorf("%s: the backup took %v, want %v at least", name, took, test.want)
		}
	}
}
