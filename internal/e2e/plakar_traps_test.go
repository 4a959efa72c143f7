package e2e_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/e2e/server"
	"github.com/s3kloset/s3kloset/internal/s3test"
	"github.com/s3kloset/s3kloset/internal/s3test/conformance"
)

// cell is a store that plakar uses through a proxy, which breaks it.
type cell struct {
	at       site
	proxy    *s3test.Proxy
	home     *home
	original string
	repo     string
}

// newCell makes a store with a snapshot of a large object.
func newCell(t *testing.T) cell {
	t.Helper()
	shore := newSite(t, server.Shared(t, conformance.MinIO))
	at, proxy := shore.behindProxy(t)
	c := cell{at, proxy, newHome(t), at.newName(t, "original"), at.newName(t, "repo")}
	at.fill(t, c.original, []exhibit{show("folder/large").holding(noise(1, 3*mib))})
	c.home.add("source", "src", hostFirst(at.server, c.original))
	c.home.add("store", "store", hostFirst(at.server, c.repo), []string{"create_bucket=true"})
	c.home.must("at", "@store", "create", "-plaintext")
	c.home.must("at", "@store", "backup", "@src")
	return c
}

// refuse lets the server deny requests, until the subtest ends.
func (c cell) refuse(t *testing.T, fault s3test.Fault) {
	t.Helper()
	fault.Times, fault.Action = s3test.Always, s3test.Status(403, "AccessDenied")
	c.proxy.Faults().Add(fault)
	t.Cleanup(c.proxy.Faults().Clear)
}

// succeeds runs a command that says what went wrong, and yet exits with 0.
func (c cell) succeeds(t *testing.T, complaint string, args ...string) {
	t.Helper()
	got := c.home.of(t).plakar(args...)
	c.proxy.Faults().VerifyAll(t)
	if got.status != 0 {
		t.Errorf("plakar %s fails now: then the docs must not say that it does not, and say %v", strings.Join(args, " "), got)
	}
	if !strings.Contains(got.stdout+got.stderr, complaint) {
		t.Errorf("plakar %s does not say %q: %v", strings.Join(args, " "), complaint, got)
	}
}

// statesListed is the request that asks which states there are.
func statesListed(r s3test.Request) bool { return r.Query.Get("prefix") == "states/" }

// TestTrapPlakarSucceeds: plakar exits with 0 in cases where it has not done what it was
// told to do. A plugin sees a request that fails, and cannot make plakar fail for it.
func TestTrapPlakarSucceeds(t *testing.T) {
	t.Parallel()
	c := newCell(t)
	snapshot := c.home.newest("at", "@store")

	t.Run("states cannot be listed", func(t *testing.T) {
		// The plugin itself lists them when a store is opened, and makes plakar fail.
		c.refuse(t, s3test.Fault{Op: "ListObjectsV2", Bucket: c.repo, Match: statesListed})
		c.home.of(t).fails("s3:ListBucket", "at", "@store", "backup", "@src")
		c.proxy.Faults().VerifyAll(t)
		c.proxy.Faults().Clear()
		c.refuse(t, s3test.Fault{Op: "ListObjectsV2", Bucket: c.repo, Match: statesListed, Nth: 2})
		c.succeeds(t, "s3:ListBucket", "at", "@store", "backup", "@src")
	})
	t.Run("a folder cannot be read", func(t *testing.T) {
		c.restoreNothing(t, snapshot)
	})
	t.Run("a digest cannot be made", func(t *testing.T) {
		c.refuse(t, s3test.Fault{Op: "GetObject", Bucket: c.repo, Key: "packfiles/*"})
		c.succeeds(t, "", "at", "@store", "digest", snapshot+":/folder/large")
	})
	t.Run("a snapshot cannot be synchronized", func(t *testing.T) {
		peer := c.at.newName(t, "peer")
		c.home.of(t).add("store", "peer", hostFirst(c.at.server, peer), []string{"create_bucket=true"})
		c.home.of(t).must("at", "@peer", "create", "-plaintext")
		c.refuse(t, s3test.Fault{Op: "PutObject", Bucket: peer, Key: "states/*"})
		c.succeeds(t, "failed to synchronize snapshot "+snapshot, "at", "@store", "sync", "to", "@peer")
		c.proxy.Faults().Clear()
		c.succeeds(t, "0 snapshots synchronized", "at", "@store", "sync", "to", "@peer")
		if states := c.at.keys(t, peer); slices.ContainsFunc(states, func(key string) bool { return strings.HasPrefix(key, "states/") }) {
			t.Errorf("the peer has states: %q", states)
		}
	})
	t.Run("a lock cannot be deleted", func(t *testing.T) {
		c.refuse(t, s3test.Fault{Op: "DeleteObject", Bucket: c.repo, Key: "locks/*"})
		c.succeeds(t, "could not close store", "at", "@store", "backup", "@src")
		c.dropLocks(t)
	})
	t.Run("a packfile cannot be deleted", c.keepPackfile)
	t.Run("a state cannot be read", func(t *testing.T) {
		before := c.home.of(t).snapshots("at", "@store")
		c.writeElsewhere(t)
		c.refuse(t, s3test.Fault{Op: "GetObject", Bucket: c.repo, Key: "states/*"})
		for _, command := range [][]string{{"backup", "@src"}, {"check"}, {"ls"}} {
			c.succeeds(t, "s3:GetObject", append([]string{"at", "@store"}, command...)...)
		}
		c.proxy.Faults().Clear()
		if after := c.home.of(t).snapshots("at", "@store"); len(after) != len(before)+1 {
			t.Errorf("there were snapshots %q and one by the SDK, and are %q", before, after)
		}
	})
}

// restoreNothing refuses one packfile after the other. Where the snapshot itself cannot be
// read, plakar fails; where a folder cannot, it restores nothing of it, and does not.
func (c cell) restoreNothing(t *testing.T, snapshot string) {
	restored := c.at.newName(t, "restored")
	c.home.of(t).add("destination", restored, hostFirst(c.at.server, restored), []string{"create_bucket=true"})
	silent := 0
	for _, packfile := range c.at.packfiles(t, c.repo) {
		c.refuse(t, s3test.Fault{Op: "GetObject", Bucket: c.repo, Key: packfile})
		got := c.home.of(t).plakar("at", "@store", "restore", "-to", "@"+restored, snapshot)
		c.proxy.Faults().VerifyAll(t)
		c.proxy.Faults().Clear()
		if !strings.Contains(got.stdout+got.stderr, "s3:GetObject") {
			t.Errorf("without %s: %v", packfile, got)
		}
		if keys, _ := c.at.client.Keys(t.Context(), restored); got.status == 0 && len(keys) == 0 {
			silent++
		}
	}
	if silent == 0 {
		t.Error("plakar does not restore nothing and succeed any more: then the docs must not say so")
	}
	got := c.home.of(t).plakar("at", "@store", "check", snapshot)
	if got.status != 0 {
		t.Errorf("the store is not what it was: %v", got)
	}
	c.refuse(t, s3test.Fault{Op: "GetObject", Bucket: c.repo, Key: "packfiles/*"})
	c.home.of(t).fails("", "at", "@store", "check", snapshot) // as the docs advise
}

// keepPackfile removes a snapshot, and refuses to delete what only it needed. The packfile
// is tried again: the next maintenance takes it for one that nobody knows.
func (c cell) keepPackfile(t *testing.T) {
	c.home.env = append(c.home.env, "PLAKAR_GRACEPERIOD=0s")
	c.home = c.home.of(t)
	c.replaceAll(t)
	before := c.at.packfiles(t, c.repo)
	c.home.must("at", "@store", "maintenance") // marks
	c.refuse(t, s3test.Fault{Op: "DeleteObject", Bucket: c.repo, Key: "packfiles/*"})
	c.succeeds(t, "failed to delete packfile", "at", "@store", "maintenance")
	c.proxy.Faults().Clear()
	if after := c.at.packfiles(t, c.repo); !slices.Equal(after, before) {
		t.Errorf("packfiles were %q, and are %q", before, after)
	}
	c.home.must("at", "@store", "maintenance")
	c.home.must("at", "@store", "maintenance")
	if after := c.at.packfiles(t, c.repo); len(after) >= len(before) || len(after) == 0 {
		t.Errorf("packfiles were %q, and are %q", before, after)
	}
	c.home.must("at", "@store", "check")
}

// replaceAll makes a snapshot that has nothing in common with those before, and removes them.
func (c cell) replaceAll(t *testing.T) {
	t.Helper()
	old := c.home.snapshots("at", "@store")
	if err := c.at.client.Delete(t.Context(), c.original, "folder/large"); err != nil {
		t.Fatal(err)
	}
	if err := c.at.client.Put(t.Context(), c.original, "other", nil, noise(2, 2*mib)); err != nil {
		t.Fatal(err)
	}
	c.home.must("at", "@store", "backup", "@src")
	for _, id := range old {
		c.home.must("at", "@store", "rm", "-apply", id)
	}
}

// writeElsewhere makes a snapshot of which this home has no state yet.
func (c cell) writeElsewhere(t *testing.T) {
	t.Helper()
	store := c.at.open(t, c.repo).Store()
	closeAtEnd(t, store)
	repo, err := s3kloset.OpenRepository(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	defer closeRepository(t, repo)
	if _, err := repo.Backup(t.Context(), c.at.open(t, c.original).Source()); err != nil {
		t.Fatal(err)
	}
}

// dropLocks deletes all locks.
func (c cell) dropLocks(t *testing.T) {
	t.Helper()
	c.proxy.Faults().Clear()
	locks := c.at.locks(t, c.repo)
	if len(locks) == 0 {
		t.Error("there are no locks")
	}
	for _, key := range locks {
		if err := c.at.client.Delete(t.Context(), c.repo, key); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTrapPlakarLostState: a state that cannot be put fails the backup, and plakar goes on as
// if it were there. On this machine all looks well then; no other one can read the next
// snapshot. The plugin says what helps: without its cache, plakar knows what there is.
func TestTrapPlakarLostState(t *testing.T) {
	t.Parallel()
	c := newCell(t)
	if err := c.at.client.Put(t.Context(), c.original, "fresh", nil, noise(5, 2*mib)); err != nil {
		t.Fatal(err)
	}
	c.refuse(t, s3test.Fault{Op: "PutObject", Bucket: c.repo, Key: "states/*"})
	c.home.fails("remove the cache of plakar (~/.cache/plakar)", "at", "@store", "backup", "@src")
	c.proxy.Faults().VerifyAll(t)
	c.proxy.Faults().Clear()
	c.home.must("at", "@store", "backup", "@src")
	c.home.must("at", "@store", "check")
	if n, err := c.checkElsewhere(t); n != 2 || !errors.Is(err, s3kloset.ErrDamaged) {
		t.Errorf("plakar stores what it only believed to be stored: then the docs must not say otherwise, and say %d, %v", n, err)
	}

	damaged := c.home.newest("at", "@store")
	c.home.forget()
	c.home.must("at", "@store", "rm", "-apply", damaged)
	c.home.must("at", "@store", "backup", "@src")
	if n, err := c.checkElsewhere(t); n != 2 || err != nil {
		t.Errorf("after the cache was removed: %d snapshots, %v", n, err)
	}
}

// checkElsewhere checks the snapshots as a machine sees them that has no state of its own.
func (c cell) checkElsewhere(t *testing.T) (n int, err error) {
	t.Helper()
	store := c.at.open(t, c.repo).Store()
	closeAtEnd(t, store)
	repo, err := s3kloset.OpenRepository(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	defer closeRepository(t, repo)
	snapshots, err := repo.Snapshots(t.Context())
	for _, snapshot := range snapshots {
		err = errors.Join(err, repo.Check(t.Context(), snapshot.ID))
	}
	return len(snapshots), err
}
