package e2e_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/e2e/server"
	"github.com/s3kloset/s3kloset/internal/s3test"
	"github.com/s3kloset/s3kloset/internal/s3test/conformance"
)

// plakarServers are those that plakar meets: a real one, and the one that keeps all keys.
var plakarServers = []conformance.Server{conformance.MinIO, conformance.S3Test}

// eachForPlakar runs a subtest for each of them, on the shared instances.
func eachForPlakar(t *testing.T, run func(t *testing.T, at site)) {
	t.Helper()
	eachOf(t, plakarServers, run)
}

func eachOf(t *testing.T, servers []conformance.Server, run func(t *testing.T, at site)) {
	t.Helper()
	for _, name := range servers {
		t.Run(string(name), func(t *testing.T) {
			t.Parallel()
			run(t, newSite(t, server.Shared(t, name)))
		})
	}
}

// luggage is what plakar carries: one of each kind, and few large bodies, which the road
// without it has.
func luggage(name conformance.Server) []exhibit {
	return slices.Concat(headers(), metadata(), tags(), classes(), checksums(), keys(name), []exhibit{
		show("size/0").holding(nil),
		show("size/1").holding([]byte{0}),
		show("size/streamed").holding(noise(3, mib+1)),
		show("size/in parts", "Content-Type", "video/mp4").inParts(noise(7, 5*mib), noise(8, 1)),
	})
}

// TestPlakarSeed types what a new user of plakar types, from the first source to the
// maintenance of a store.
func TestPlakarSeed(t *testing.T) {
	t.Parallel()
	eachOf(t, append(slices.Clone(plakarServers), conformance.MiniS3), func(t *testing.T, at site) {
		original := at.newName(t, "collection")
		keys := at.fill(t, original, luggage(at.server.Name))
		at, proxy := at.behindProxy(t)
		s := seed{newHome(t), at, original, keys}

		s.home.must("create")
		s.home.add("source", "src", bucketFirst(at.server, original))
		tagged, inParts := s.special()
		s.costs(proxy, map[string]int{
			"GetObject":        len(keys),
			"GetObjectTagging": tagged,
			"HeadObject":       tagged + inParts, // are these its tags still? how large are its parts?
		}, func() { s.home.must("backup", "@src") })
		s.restore(s.home.newest())

		repo := at.newName(t, "repo")
		s.home.add("store", "store", bucketFirst(at.server, repo+"/path/to/data"), []string{"create_bucket=true"})
		s.home.must("at", "@store", "create")
		s.home.must("at", "@store", "backup", "@src")
		s.read("at", "@store")
		s.again(proxy, "at", "@store")
		s.home.must("at", "@store", "maintenance")
		at.wantNoLocks(t, repo)
		s.restore(s.home.newest("at", "@store"), "at", "@store")
		s.openWithSDK(repo+"/path/to/data", 3)
	})
}

// TestPlakarOpensSDKRepository backs up with the SDK and restores with plakar.
func TestPlakarOpensSDKRepository(t *testing.T) {
	t.Parallel()
	eachForPlakar(t, func(t *testing.T, at site) {
		original, repo := at.newName(t, "collection"), at.newName(t, "repo")
		keys := at.fill(t, original, slices.Concat(headers(), tags(), keys(at.server.Name)))
		store := at.open(t, repo+"/by/sdk", s3kloset.WithCreateBucket(true)).Store()
		closeAtEnd(t, store)
		made, err := s3kloset.CreateRepository(t.Context(), store, s3kloset.WithPassphrase(passphrase))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := made.Backup(t.Context(), at.open(t, original).Source()); err != nil {
			t.Fatal(err)
		}
		closeRepository(t, made)

		s := seed{newHome(t), at, original, keys}
		s.home.add("store", "sdk", hostFirst(at.server, repo+"/by/sdk"), []string{"passphrase=" + string(passphrase)})
		s.read("at", "@sdk")
		s.restore(s.home.newest("at", "@sdk"), "at", "@sdk")
		s.home.add("source", "src", hostFirst(at.server, original))
		s.home.must("at", "@sdk", "backup", "@src")
		s.continueWithSDK(repo+"/by/sdk", s.home.newest("at", "@sdk"))
		s.openWithSDK(repo+"/by/sdk", 3)
	})
}

// seed is a home, a bucket that is backed up from it, and its keys.
type seed struct {
	home     *home
	at       site
	original string
	keys     []string
}

// restore restores a snapshot into a bucket that is made for it, and compares. at says
// which repository it is in.
func (s seed) restore(id string, at ...string) {
	t := s.home.t
	t.Helper()
	restored := s.at.newName(t, "restored")
	s.home.add("destination", restored, hostFirst(s.at.server, restored), []string{"create_bucket=true"})
	s.home.must(append(slices.Clone(at), "restore", "-to", "@"+restored, id)...)
	s.at.compare(t, restored, s.original, s.keys)
}

// read asks a repository in all ways that change nothing.
func (s seed) read(at ...string) {
	t := s.home.t
	t.Helper()
	run := func(args ...string) string { return s.home.must(append(slices.Clone(at), args...)...) }
	id := s.home.newest(at...)
	const key = "tag/ten"
	if !slices.Contains(s.keys, key) {
		t.Fatalf("there is no %s", key)
	}
	if got := run("ls", id+":/tag"); !strings.Contains(got, "ten") {
		t.Errorf("ls: %s", got)
	}
	if got := run("cat", id+":/"+key); got != "bytes of "+key {
		t.Errorf("cat: %q", got)
	}
	run("check")
	run("check", id)
}

// again backs the bucket up as it is, and then with one object overwritten, one gone, and
// one that has other tags. What has not changed is known from the cache of metadata: it
// costs one question, that for its tags.
func (s *seed) again(proxy *s3test.Proxy, at ...string) {
	t := s.home.t
	t.Helper()
	backUp := func() { s.home.must(append(slices.Clone(at), "backup", "@src")...) }
	s.costs(proxy, map[string]int{"GetObjectTagging": len(s.keys)}, backUp)

	const changed, gone, retagged = "size/0", "size/1", "tag/ten"
	s.at.retag(t, s.original, retagged, [2]string{"again", "1"})
	if _, err := show(changed, "x-amz-meta-a", "b").put(t.Context(), s.at, s.original); err != nil {
		t.Fatal(err)
	}
	if err := s.at.client.Delete(t.Context(), s.original, gone); err != nil {
		t.Fatal(err)
	}
	s.keys = slices.DeleteFunc(s.keys, func(key string) bool { return key == gone })
	s.costs(proxy, map[string]int{
		"GetObject":        2, // the engine reads again what has other tags
		"GetObjectTagging": len(s.keys) - 1,
	}, backUp)
	if n := len(s.home.snapshots(at...)); n != 3 {
		t.Errorf("there are %d snapshots, not 3", n)
	}
}

// costs demands that something makes exactly these requests for the objects of the original.
func (s seed) costs(proxy *s3test.Proxy, want map[string]int, do func()) {
	t := s.home.t
	t.Helper()
	before := len(proxy.Requests())
	do()
	got := make(map[string]int)
	for _, r := range proxy.Requests()[before:] {
		if r.Bucket == s.original && r.Key != "" {
			got[r.Op]++
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("the requests for objects were %v, not %v", got, want)
	}
}

// special counts the objects that have tags, and those that were uploaded in parts.
func (s seed) special() (tagged, inParts int) {
	t := s.home.t
	t.Helper()
	for _, key := range s.keys {
		header, err := s.at.client.Head(t.Context(), s.original, key)
		if err != nil {
			t.Fatal(err)
		}
		if header.Get("X-Amz-Tagging-Count") != "" {
			tagged++
		}
		if strings.Contains(header.Get("Etag"), "-") {
			inParts++
		}
	}
	return tagged, inParts
}

// continueWithSDK backs the original up with the SDK. The snapshot of plakar is its parent:
// the sources are the same, and no object is asked for again but for its tags.
func (s seed) continueWithSDK(location, parent string) {
	t := s.home.t
	t.Helper()
	store := s.at.open(t, location).Store()
	closeAtEnd(t, store)
	repo, err := s3kloset.OpenRepository(t.Context(), store, s3kloset.WithPassphrase(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	defer closeRepository(t, repo)
	report, err := repo.Backup(t.Context(), s.at.open(t, s.original).Source())
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(report.Parent, parent) || report.Unchanged != int64(len(s.keys)) {
		t.Errorf("of %d objects, %d are as in %s, want all as in %s", len(s.keys), report.Unchanged, report.Parent, parent)
	}
	if report.Requests["GetObject"] != 0 || report.Requests["HeadObject"] != 0 {
		t.Errorf("requests are %v", report.Requests)
	}
}

// openWithSDK opens the repository at a location with the facade of the SDK, checks all
// snapshots, of which there are n, and restores the newest.
func (s seed) openWithSDK(location string, n int) {
	t := s.home.t
	t.Helper()
	store := s.at.open(t, location).Store()
	closeAtEnd(t, store)
	repo, err := s3kloset.OpenRepository(t.Context(), store, s3kloset.WithPassphrase(passphrase))
	if err != nil {
		t.Fatal(err)
	}
	defer closeRepository(t, repo)
	snapshots, err := repo.Snapshots(t.Context())
	if err != nil || len(snapshots) != n {
		t.Fatalf("snapshots are %+v, %v", snapshots, err)
	}
	for _, snapshot := range snapshots {
		if err := repo.Check(t.Context(), snapshot.ID); err != nil {
			t.Error(err)
		}
	}
	restored := s.at.newName(t, "restored")
	target := s.at.open(t, restored, s3kloset.WithCreateBucket(true)).Destination()
	if _, err := repo.Restore(t.Context(), snapshots[0].ID, target); err != nil {
		t.Fatal(err)
	}
	s.at.compare(t, restored, s.original, s.keys)
}
