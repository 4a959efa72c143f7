package e2e_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/s3kloset/s3kloset/internal/e2e/server"
	"github.com/s3kloset/s3kloset/internal/s3test"
	"github.com/s3kloset/s3kloset/internal/s3test/conformance"
)

// resting are the names in a repository that nobody uses at the moment.
var resting = regexp.MustCompile(`^(CONFIG|(packfiles|states)/([0-9a-f]{2})/([0-9a-f]{2})[0-9a-f]{62})$`)

// wantLayout demands that a store has the documented names, one of each kind at least, and
// nothing else.
func wantLayout(t *testing.T, keys []string) {
	t.Helper()
	kinds := make(map[string]bool)
	for _, key := range keys {
		name, below := strings.CutPrefix(key, "backups/one/")
		m := resting.FindStringSubmatch(name)
		if !below || m == nil || m[3] != m[4] {
			t.Errorf("store holds %q", key)
			continue
		}
		kinds[m[1][:6]] = true
	}
	if len(kinds) != 3 {
		t.Errorf("store lacks a kind: %q", keys)
	}
}

// TestLockIsInTheStore looks into the store while a backup reads.
func TestLockIsInTheStore(t *testing.T) {
	v := embark(t, server.Shared(t, conformance.S3Test))
	lock := regexp.MustCompile(`^backups/one/locks/[0-9a-f]{64}$`)
	v.proxy.Faults().Add(s3test.Fault{
		Op: "GetObject", Bucket: v.original,
		Action: s3test.RunFirst(func() {
			keys, err := v.shore.client.Keys(t.Context(), v.repo)
			if err != nil || !slices.ContainsFunc(keys, lock.MatchString) {
				t.Errorf("no lock among %q, %v", keys, err)
			}
		}),
	})
	v.run(t)
	v.proxy.Faults().VerifyAll(t)
	v.wantTidy(t)
	wantLayout(t, v.shore.keys(t, v.repo))
}
