package e2e_test

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	fsimporter "github.com/PlakarKorp/integrations/fs/importer"
	"github.com/PlakarKorp/kloset/connectors"
	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/e2e/server"
	"github.com/s3kloset/s3kloset/internal/s3test/conformance"
)

// directoryFiles are the files of a directory. Each holds contentOf itself.
var directoryFiles = []string{"%", "%2F", "100%.txt", "a b+c", "sub/%25/deep", "sub/file", "\u00fc"}

// contentOf is what the file, or the object, of this name holds. Markers hold nothing.
func contentOf(name string) string {
	if strings.HasSuffix(name, "/") {
		return ""
	}
	return "content of " + path.Base(name)
}

// directory makes one with files, empty folders and links.
func directory(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	for _, name := range directoryFiles {
		file := filepath.Join(folder, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(contentOf(name)), 0o600); err != nil {
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
	return folder
}

// partOfDirectory is what is restored of it, and what that becomes.
type partOfDirectory struct {
	name   string
	path   string // what is restored
	prefix string
	opts   []s3kloset.Option
	keys   []string
	left   int64 // records that have no form as an object
}

// TestRestoreOfADirectory: what another importer has stored becomes objects as far as it
// can, and what cannot is counted. Names that look like our escapes mean themselves.
func TestRestoreOfADirectory(t *testing.T) {
	folder := directory(t)
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

	for _, name := range []conformance.Server{conformance.MinIO, conformance.Versity, conformance.S3Test} {
		t.Run(string(name), func(t *testing.T) {
			at := newSite(t, server.Shared(t, name))
			for _, part := range []partOfDirectory{
				{"all", folder, "", nil, directoryFiles, 5},
				{"all, with markers", folder, "", []s3kloset.Option{s3kloset.WithFolderMarkers(true)}, append([]string{"empty/", "sub/hollow/"}, directoryFiles...), 3},
				{"below a prefix", folder, "/into/here", nil, []string{
					"into/here/%", "into/here/%2F", "into/here/100%.txt", "into/here/a b+c", "into/here/sub/%25/deep", "into/here/sub/file", "into/here/\u00fc"}, 5},
				{"a folder", "sub", "", nil, []string{"%25/deep", "file"}, 2},
				{"a file", "sub/file", "", nil, []string{"file"}, 0},
				{"a link", "link", "", nil, nil, 1},
			} {
				t.Run(part.name, func(t *testing.T) { part.restore(t, at, repo, backup.Snapshot.ID) })
			}
		})
	}
}

func (p partOfDirectory) restore(t *testing.T, at site, repo *s3kloset.Repository, snapshot string) {
	name := at.newName(t, "directory")
	dst := at.open(t, name+p.prefix, append(p.opts, s3kloset.WithCreateBucket(true))...).Destination()
	report, err := repo.Restore(t.Context(), snapshot, dst, s3kloset.WithPath(p.path))
	if err != nil {
		t.Fatal(err)
	}
	stored := int64(len(p.keys))
	wantCounts(t, report.Counts, s3kloset.Counts{Listed: stored + p.left, Stored: stored, Skipped: p.left, Bytes: report.Bytes})
	if w := report.Warnings[s3kloset.WarnNotAnObject]; p.left > 0 && (w == nil || w.Count != p.left) {
		t.Errorf("warnings %v, want %d", report.Warnings, p.left)
	}
	keys := at.keys(t, name)
	want := slices.Sorted(slices.Values(p.keys))
	if slices.Sort(keys); !slices.Equal(keys, want) {
		t.Errorf("keys %q, want %q", keys, want)
	}
	for _, key := range keys {
		got, err := at.client.Get(t.Context(), name, key)
		if err != nil {
			t.Fatal(err)
		}
		if want := contentOf(key); string(got.Body) != want {
			t.Errorf("%q holds %q, not %q", key, got.Body, want)
		}
	}
}
