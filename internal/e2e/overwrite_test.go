package e2e_test

import (
	"slices"
	"testing"

	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/e2e/server"
	"github.com/s3kloset/s3kloset/internal/s3test/conformance"
)

// overwriting is a restore over a bucket that somebody has tampered with.
type overwriting struct {
	policy s3kloset.OverwritePolicy
	counts s3kloset.Counts
	wrote  []string // keys; what is there under all others stays
}

// overwritings: what is missing always comes back. An ETag says nothing of metadata, of tags,
// and of the class.
var overwritings = map[string]overwriting{
	"always":       {s3kloset.Overwrite, s3kloset.Counts{Listed: 8, Stored: 8}, keysOf(tampered)},
	"never":        {s3kloset.SkipExisting, s3kloset.Counts{Listed: 8, Stored: 1, Skipped: 7}, []string{"removed"}},
	"if-different": {s3kloset.OverwriteIfDifferent, s3kloset.Counts{Listed: 8, Stored: 3, Unchanged: 5}, []string{"grown", "overwritten", "removed"}},
}

// TestOverwriteOnRealServers restores over what was changed meanwhile, under each policy.
func TestOverwriteOnRealServers(t *testing.T) {
	t.Parallel()
	for _, name := range []conformance.Server{conformance.MinIO, conformance.Versity} {
		t.Run(string(name), func(t *testing.T) {
			at := newSite(t, server.Shared(t, name))
			original := at.newName(t, "original")
			at.fill(t, original, tampered)
			repo, err := s3kloset.CreateRepository(t.Context(), at.store(t, at.newName(t, "repo")), s3kloset.WithPlaintext())
			if err != nil {
				t.Fatal(err)
			}
			defer closeRepository(t, repo)
			if _, err := repo.Backup(t.Context(), at.open(t, original).Source()); err != nil {
				t.Fatal(err)
			}
			for name, o := range overwritings {
				t.Run(name, func(t *testing.T) { o.restore(t, at, repo, original) })
			}
		})
	}
}

func (o overwriting) restore(t *testing.T, at site, repo *s3kloset.Repository, original string) {
	target := at.newName(t, "target")
	at.fill(t, target, tampered)
	at.tamper(t, target)
	there := make(map[string]object)
	for _, key := range at.keys(t, target) {
		seen, err := at.look(t.Context(), target, key)
		if err != nil {
			t.Fatal(err)
		}
		there[key] = seen
	}
	through, proxy := at.behindProxy(t)
	report, err := repo.Restore(t.Context(), "", through.open(t, target,
		s3kloset.WithOverwrite(o.policy), s3kloset.WithSourceParts(true)).Destination())
	if err != nil {
		t.Fatal(err)
	}
	o.counts.Bytes = report.Bytes
	wantCounts(t, report.Counts, o.counts)
	if n := proxy.Count("PutObject") + proxy.Count("CompleteMultipartUpload"); n != len(o.wrote) {
		t.Errorf("%d objects were sent, not %d", n, len(o.wrote))
	}
	keys := append(keysOf(tampered), "added")
	slices.Sort(keys)
	if got := at.keys(t, target); !slices.Equal(got, keys) {
		t.Fatalf("keys are %q, not %q", got, keys)
	}
	for _, key := range keys {
		if slices.Contains(o.wrote, key) {
			if err := at.compareObject(t.Context(), target, original, key); err != nil {
				t.Errorf("%q is not restored: %v", key, err)
			}
			continue
		}
		now, err := at.look(t.Context(), target, key)
		if err == nil {
			err = now.unlike(there[key])
		}
		if err != nil {
			t.Errorf("%q is not left alone: %v", key, err)
		}
	}
}
