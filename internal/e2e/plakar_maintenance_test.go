package e2e_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
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
				s.maintain(repo, store...)
				s.maintain(repo, store...)
				after := at.packfiles(t, repo)
				if len(after) >= len(before) || len(after) == 0 {
					t.Errorf("packfiles before maintenance: %q, after it: %q", before, after)
				}
				if ids := s.home.snapshots(store...); len(ids) != 1 || slices.Contains(ids, first) {
					t.Errorf("snapshots are %q", ids)
				}
				s.home.must("at", "@store", "check")
				s.restore(s.home.newest(store...), store...)
				s.unlock(repo)
				s.home.must("at", "@store", "backup", "@src")
			})
		}
	})
}

// packfiles lists the packfiles in a bucket.
func (at site) packfiles(t *testing.T, bucket string) []string {
	t.Helper()
	return slices.DeleteFunc(at.keys(t, bucket), func(key string) bool { return !strings.Contains(key, "packfiles/") })
}
