package e2e_test

import (
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PlakarKorp/kloset/objects"
	"github.com/PlakarKorp/kloset/repository"
	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/e2e/server"
	"github.com/s3kloset/s3kloset/internal/klosettest"
	"github.com/s3kloset/s3kloset/internal/s3test"
	"github.com/s3kloset/s3kloset/internal/s3test/conformance"
)

// TestPlakarMaintenance removes a snapshot and the packfiles that only it needed, in
// a bucket with versions and in one without.
func TestPlakarMaintenance(t *testing.T) {
	t.Parallel()
	eachForPlakar(t, func(t *testing.T, at site) {
		for name, newBucket := range map[string]func(*testing.T) string{
			"versions":    at.newVersionedBucket,
			"no versions": func(t *testing.T) string { return at.newName(t, "repo") },
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				original, repo := at.newName(t, "original"), newBucket(t)
				at.fill(t, original, []exhibit{show("gone").holding(noise(1, 2*mib))})
				s := seed{newHome(t), at, original, []string{"kept"}}
				store := []string{"at", "@store"}
				s.home.add("source", "src", bucketFirst(at.server, original))
				s.home.add("store", "store", bucketFirst(at.server, repo+"/data"), []string{"create_bucket=true"})
				// A key costs each command two seconds, and changes nothing here.
				s.home.must("at", "@store", "create", "-plaintext")
				s.home.must("at", "@store", "backup", "@src")
				first := s.home.newest(store...)
				// The next snapshot has nothing in common with the first one: what they
				// shared would keep packfiles that are mostly not needed.
				if err := at.client.Delete(t.Context(), original, "gone"); err != nil {
					t.Fatal(err)
				}
				if err := at.client.Put(t.Context(), original, "kept", http.Header{}, noise(2, 2*mib)); err != nil {
					t.Fatal(err)
				}
				s.home.must("at", "@store", "backup", "@src")
				before := at.packfiles(t, repo)
				s.home.must("at", "@store", "rm", "-apply", first)

				// The first run marks what nobody needs, the second removes it.
				s.home.env = append(s.home.env, "PLAKAR_GRACEPERIOD=0s")
				s.home.must("at", "@store", "maintenance")
				s.home.must("at", "@store", "maintenance")
				after := at.packfiles(t, repo)
				if len(after) >= len(before) || len(after) == 0 {
					t.Errorf("packfiles before maintenance: %q, after it: %q", before, after)
				}
				if ids := s.home.snapshots(store...); len(ids) != 1 || slices.Contains(ids, first) {
					t.Errorf("snapshots are %q", ids)
				}
				s.home.must("at", "@store", "check")
				s.restore(s.home.newest(store...), store...)
				s.home.must("at", "@store", "backup", "@src")
				at.wantNoLocks(t, repo)
			})
		}
	})
}

// TestPlakarObjectLock keeps a store where nothing can be deleted for a day: backups, checks
// and restores are as ever, and maintenance says which packfiles it could not delete.
func TestPlakarObjectLock(t *testing.T) {
	t.Parallel()
	at, proxy := newSite(t, server.Shared(t, conformance.MinIO)).behindProxy(t)
	c := cell{at, proxy, newHome(t), at.newName(t, "original"), at.newLockedBucket(t)}
	at.fill(t, c.original, []exhibit{show("folder/large").holding(noise(1, 3*mib))})
	h := c.home
	h.add("source", "src", hostFirst(at.server, c.original))
	h.add("store", "store", hostFirst(at.server, c.repo+"/"+storeFolder), []string{"object_lock=GOVERNANCE:24h"})
	h.must("at", "@store", "create", "-plaintext")
	h.must("at", "@store", "backup", "@src")
	at.wantRetained(t, c.repo, s3kloset.Governance, 24*time.Hour) // and there is no lock of plakar's
	h.must("at", "@store", "check")

	c.replaceAll(t)
	before := at.packfiles(t, c.repo)
	h.env = append(h.env, "PLAKAR_GRACEPERIOD=0s")
	h.must("at", "@store", "maintenance") // marks
	c.succeeds(t, "failed to delete packfile", "at", "@store", "maintenance")
	if after := at.packfiles(t, c.repo); !slices.Equal(after, before) {
		t.Errorf("packfiles were %q, and are %q", before, after)
	}
	at.wantRetained(t, c.repo, s3kloset.Governance, 24*time.Hour)
	h.must("at", "@store", "check")
	restored := at.newName(t, "restored")
	h.add("destination", "dst", hostFirst(at.server, restored), []string{"create_bucket=true"})
	h.must("at", "@store", "restore", "-to", "@dst", h.newest("at", "@store"))
	at.compare(t, restored, c.original, []string{"other"})

	plain := at.newName(t, "plain")
	if err := at.client.CreateBucket(t.Context(), plain); err != nil {
		t.Fatal(err)
	}
	h.add("store", "plain", hostFirst(at.server, plain), []string{"object_lock=GOVERNANCE:24h"})
	h.fails("ObjectLockConfiguration", "at", "@plain", "create", "-plaintext")
	if keys := at.keys(t, plain); len(keys) != 0 {
		t.Errorf("a bucket without Object Lock has %q", keys)
	}
}

// TestPlakarInterruptedLocks interrupts a backup and a maintenance with Ctrl-C: plakar kills
// the plugin then, and its lock stays. Others are refused until it is ten minutes old, or
// until somebody who knows that nothing runs says so.
func TestPlakarInterruptedLocks(t *testing.T) {
	t.Parallel()
	c := newCell(t)
	backup, maintenance := []string{"at", "@store", "backup", "@src"}, []string{"at", "@store", "maintenance"}
	for _, test := range []struct {
		interrupted []string
		fault       s3test.Fault
		hindered    []string
		refusal     string
	}{
		{backup, s3test.Fault{Op: "PutObject", Key: "packfiles/*"}, maintenance, "repository is already locked"},
		{maintenance, s3test.Fault{Op: "ListObjectsV2", Match: packfilesListed}, backup, "already locked by maintenance"},
	} {
		t.Run(test.interrupted[2], func(t *testing.T) {
			h := c.home.of(t)
			if err := c.at.client.Put(t.Context(), c.original, "fresh", nil, []byte(test.interrupted[2])); err != nil {
				t.Fatal(err)
			}
			test.fault.Bucket, test.fault.Action = c.repo, s3test.Stall()
			h.interrupt(c.proxy.Faults(), test.fault, test.interrupted...)
			locks := c.at.locks(t, c.repo)
			if len(locks) != 1 {
				t.Fatalf("locks are %q", locks)
			}
			_, id, _ := strings.Cut(locks[0], "/")
			if shown := h.must("at", "@store", "diag", "locks"); !strings.Contains(shown, id) {
				t.Errorf("diag locks shows %q, not %s", shown, id)
			}
			h.fails(test.refusal, test.hindered...)
			lockless := *h
			lockless.env = append(slices.Clone(h.env), "PLAKAR_LOCKLESS=true")
			lockless.must(test.hindered...)
			c.age(t, id)
			h.must(test.hindered...)
			c.at.wantNoLocks(t, c.repo)
			h.must("at", "@store", "check")
		})
	}
}

// packfilesListed is the request that asks which packfiles there are.
func packfilesListed(r s3test.Request) bool { return r.Query.Get("prefix") == "packfiles/" }

// age puts a lock that is older than any that somebody keeps alive in the place of another.
func (c cell) age(t *testing.T, id string) {
	t.Helper()
	mac, err := hex.DecodeString(id)
	if err != nil {
		t.Fatal(err)
	}
	store := c.at.open(t, c.repo).Store()
	closeAtEnd(t, store)
	old := repository.NewExclusiveLock("here")
	old.Timestamp = old.Timestamp.Add(-repository.LOCK_TTL)
	if err := klosettest.OpenRepository(t, store, "").PutLock(t.Context(), objects.MAC(mac), old); err != nil {
		t.Fatal(err)
	}
}

// packfiles lists the packfiles in a bucket.
func (at site) packfiles(t *testing.T, bucket string) []string {
	t.Helper()
	return slices.DeleteFunc(at.keys(t, bucket), func(key string) bool { return !strings.Contains(key, "packfiles/") })
}
