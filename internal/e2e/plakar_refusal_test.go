package e2e_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// TestPlakarNamesMistakes configures sources, destinations and stores wrongly. Each is
// named, ends with an error and changes nothing.
func TestPlakarNamesMistakes(t *testing.T) {
	t.Parallel()
	eachForPlakar(t, func(t *testing.T, at site) {
		h := newHome(t)
		original, repo := at.newName(t, "original"), at.newName(t, "repo")
		at.fill(t, original, bundle(at.server.Name))
		h.add("source", "src", hostFirst(at.server, original))
		h.add("store", "store", hostFirst(at.server, repo), []string{"create_bucket=true"})
		h.must("at", "@store", "create", "-plaintext")
		h.must("at", "@store", "backup", "@src")
		snapshot := h.newest("at", "@store")
		content := func() string {
			return strings.Join(at.keys(t, original), "\n") + strings.Join(at.keys(t, repo), "\n")
		}
		before := content()

		closed := hostFirst(at.server, original)
		closed[0] = "s3://" + closedPort(t) + "/" + original
		for name, test := range map[string]struct {
			config []string
			why    string
			store  string // why a store says no, if for another reason
		}{
			"wrong-secret":   {append(hostFirst(at.server, original), "secret_access_key=wrong"), "SignatureDoesNotMatch", ""},
			"unknown-access": {append(hostFirst(at.server, original), "access_key=nobody"), "InvalidAccessKeyId", ""},
			"unknown-key":    {append(hostFirst(at.server, original), "acces_key=typo"), "acces_key", ""},
			"missing-bucket": {hostFirst(at.server, "no-such-bucket"), "NoSuchBucket", ""},
			"closed-port":    {append(closed, "retries=0"), "connection refused", ""},
			"class":          {append(hostFirst(at.server, original), "storage_class=COLD STORAGE"), "storage_class", ""},
			"archive-class":  {append(hostFirst(at.server, original), "storage_class=DEEP_ARCHIVE"), "", "storage_class"},
		} {
			t.Run(name, func(t *testing.T) {
				h := h.of(t)
				for _, kind := range []string{"source", "destination", "store"} {
					h.add(kind, name, test.config)
				}
				if test.why != "" {
					h.fails(test.why, "at", "@store", "backup", "@"+name)
					h.fails(test.why, "at", "@store", "restore", "-to", "@"+name, snapshot)
				}
				if test.store == "" {
					test.store = test.why
				}
				h.fails(test.store, "at", "@"+name, "create", "-plaintext")
				if after := content(); after != before {
					t.Errorf("there was %s\nand is %s", before, after)
				}
			})
		}
		if ids := h.snapshots("at", "@store"); len(ids) != 1 {
			t.Errorf("there are snapshots %q, not 1", ids)
		}
	})
}

// fillWithMany creates a bucket with objects object0000 and so on.
func (at site) fillWithMany(t *testing.T, bucket string, n int) {
	t.Helper()
	if err := at.client.CreateBucket(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	const side = 8
	var wg sync.WaitGroup
	for first := range side {
		wg.Go(func() {
			for i := first; i < n; i += side {
				if err := at.client.Put(t.Context(), bucket, fmt.Sprintf("object%04d", i), nil, []byte{byte(i)}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestPlakarLosesNothingInSilence backs up what cannot be read whole.
func TestPlakarLosesNothingInSilence(t *testing.T) {
	t.Parallel()
	eachForPlakar(t, func(t *testing.T, shore site) {
		at, proxy := shore.behindProxy(t)
		h := newHome(t)
		h.must("create", "-plaintext")
		original := at.newName(t, "original")
		at.fillWithMany(t, original, 1200) // two pages
		h.add("source", "src", hostFirst(at.server, original))
		faults := proxy.Faults()
		denied := func(op, bucket, key string, nth int) s3test.Fault {
			return s3test.Fault{Op: op, Bucket: bucket, Key: key, Nth: nth, Times: s3test.Always, Action: s3test.Status(403, "AccessDenied")}
		}
		for name, test := range map[string]struct {
			fault s3test.Fault
			whys  []string
		}{
			"second page": {denied("ListObjectsV2", original, "", 3), []string{"AccessDenied"}},
			"object":      {denied("GetObject", original, "object0700", 1), []string{"/object0700: ", "AccessDenied", "on_failure=keep"}},
		} {
			t.Run(name, func(t *testing.T) {
				h := h.of(t)
				faults.Add(test.fault)
				defer faults.Clear()
				got := h.plakar("backup", "@src")
				faults.VerifyAll(t)
				for _, why := range test.whys {
					if got.status == 0 || !strings.Contains(got.stdout+got.stderr, why) {
						t.Errorf("the backup succeeds, or does not say %q: %v", why, got)
					}
				}
				if ids := h.snapshots(); len(ids) != 0 {
					t.Errorf("there are snapshots %q", ids)
				}
			})
		}

		faults.Add(denied("GetObject", original, "object0700", 1))
		got := h.plakar("backup", "-o", "on_failure=keep", "@src")
		faults.VerifyAll(t)
		if got.status != 0 || !strings.Contains(got.stderr, "object0700") {
			t.Errorf("a backup that keeps what it has: %v", got)
		}
		faults.Clear()
		restored := at.newName(t, "restored")
		h.add("destination", "dst", hostFirst(at.server, restored), []string{"create_bucket=true"})
		h.must("restore", "-to", "@dst", h.newest())
		if n := len(at.keys(t, restored)); n != 1199 {
			t.Errorf("%d objects were restored, not 1199", n)
		}

		faults.Add(denied("PutObject", restored, "object0800", 1))
		h.fails("/object0800: ", "restore", "-to", "@dst", h.newest())
		faults.VerifyAll(t)
	})
}
