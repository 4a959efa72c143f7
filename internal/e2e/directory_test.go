package e2e_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	fsimporter "github.com/PlakarKorp/integrations/fs/importer"
	"github.com/PlakarKorp/kloset/connectors"
	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/e2e/server"
	"github.com/s3kloset/s3kloset/internal/s3test/conformance"
)

// TestRestoreOfADirectory: what another importer has stored becomes objects as far as it
// can, and what cannot is counted. Names that look like our escapes mean themselves.
func TestRestoreOfADirectory(t *testing.T) {
	folder := t.TempDir()
	files := []string{"%", "%2F", "100%.txt", "a b+c", "sub/%25/deep", "sub/file", "\u00fc"}
	for _, name := range files {
		name = filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte("content of "+filepath.Base(name)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, empty := range []string{"empty", "sub/hollow"} {
		if err := os.Mkdir(filepath.Join(folder, empty), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"link": "sub/file", "sub/folder": "../empty", "nowhere": "/none"} {
		if err := os.Symlink(to, filepath.Join(folder, link)); err != nil {
			t.Fatal(err)
		}
	}
	src, err := fsimporter.NewFSImporter(t.Context(), &connectors.Options{MaxConcurrency: 2, Hostname: "host"}, "fs", map[string]string{"location": "fs://" + folder})
	if err != nil {
		t.Fatal(err)
	}
	repo, err := s3kloset.CreateRepository(t.Context(), storeOnDisk(t), s3kloset.WithPlaintext())
	if err != nil {
		t.Fatal(err)
	}
	defer closeRepository(t, repo)
	backup, err := repo.Backup(t.Context(), src)
	if err != nil {
		t.Fatal(err)
	}
	wantCounts(t, backup.Counts, s3kloset.Counts{Listed: 10, Stored: 10, Bytes: backup.Bytes})

	s := server.Shared(t, conformance.S3Test)
	at := newSite(t, s)
	for _, test := range []struct {
		name   string
		path   string // what is restored
		prefix string
		opts   []s3kloset.Option
		keys   []string
		left   int64 // records that have no form as an object
	}{
		{"all", folder, "", nil, files, 5},
		{"all, with markers", folder, "", []s3kloset.Option{s3kloset.WithFolderMarkers(true)}, append([]string{"empty/", "sub/hollow/"}, files...), 3},
		{"below a prefix", folder, "/into/here", nil, []string{
			"into/here/%", "into/here/%2F", "into/here/100%.txt", "into/here/a b+c", "into/here/sub/%25/deep", "into/here/sub/file", "into/here/\u00fc"}, 5},
		{"a folder", "sub", "", nil, []string{"%25/deep", "file"}, 2},
		{"a file", "sub/file", "", nil, []string{"file"}, 0},
		{"a link", "link", "", nil, nil, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			name := at.newName(t, "directory")
			dst := at.open(t, name+test.prefix, append(test.opts, s3kloset.WithCreateBucket(true))...).Destination()
			report, err := repo.Restore(t.Context(), backup.Snapshot.ID, dst, s3kloset.WithPath(test.path))
			if err != nil {
				t.Fatal(err)
			}
			stored := int64(len(test.keys))
			wantCounts(t, report.Counts, s3kloset.Counts{Listed: stored + test.left, Stored: stored, Skipped: test.left, Bytes: report.Bytes})
			if w := report.Warnings[s3kloset.WarnNotAnObject]; test.left > 0 && (w == nil || w.Count != test.left) {
				t.Errorf("warnings %v, want %d", report.Warnings, test.left)
			}
			keys, err := at.client.Keys(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			want := slices.Sorted(slices.Values(test.keys))
			if slices.Sort(keys); !slices.Equal(keys, want) {
				t.Errorf("keys %q, want %q", keys, want)
			}
		})
	}
}
