package e2e_test

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/e2e/server"
	"github.com/s3kloset/s3kloset/internal/klosettest"
	"github.com/s3kloset/s3kloset/internal/s3test/conformance"
)

// move is a restore to another server than the one that was backed up.
type move struct {
	from, to conformance.Server
	warnings map[s3kloset.WarningKind][]string // keys in order
}

// otherClasses are what MinIO does not have.
var otherClasses = []string{"class/GLACIER_IR", "class/INTELLIGENT_TIERING", "class/ONEZONE_IA", "class/STANDARD_IA"}

// moves: our own server has every class. versitygw makes STANDARD of each, without a word.
var moves = []move{
	{from: conformance.MinIO, to: conformance.Versity},
	{from: conformance.Versity, to: conformance.MinIO},
	{from: conformance.S3Test, to: conformance.MinIO, warnings: map[s3kloset.WarningKind][]string{s3kloset.WarnStorageClass: otherClasses}},
	{from: conformance.S3Test, to: conformance.Versity},
}

// TestRestoreToAnotherServer takes the collection, as far as both keep it, from one server to
// another. What the target lacks is a warning of its kind, or known to be lost there; all else
// is as it was.
func TestRestoreToAnotherServer(t *testing.T) {
	t.Parallel()
	tool := buildProgram(t)
	for _, m := range moves {
		t.Run(string(m.from)+" to "+string(m.to), func(t *testing.T) {
			t.Parallel()
			from, to := newSite(t, server.Shared(t, m.from)), newSite(t, server.Shared(t, m.to))
			original, restored := from.newName(t, "original"), to.newName(t, "restored")
			keys := from.fill(t, original, m.cargo())
			said := tool.run(t, 0, slices.Concat(from.flags("-source-option"), from.flags("-store-option"), to.flags("-restore-option"), []string{
				"-plaintext", "-store", "s3://" + from.newName(t, "repo"), "-store-option", "create_bucket=true",
				"-source", "s3://" + original, "-restore", "s3://" + restored, "-restore-option", "create_bucket=true",
			})...)
			if said.Restore == nil {
				t.Fatalf("it says %+v", said)
			}
			wantFate(t, "backup", said.Backup.Outcome, keys, "")
			wantFate(t, "restore", said.Restore.Outcome, keys, "")
			m.judgeWarnings(t, said.Restore.Warnings)
			m.compare(t, from.objects(t, original), to.objects(t, restored))
		})
	}
}

// cargo is what both servers keep, and all classes.
func (m move) cargo() []exhibit {
	there := keysOf(collection(m.to))
	return slices.DeleteFunc(collection(m.from), func(e exhibit) bool {
		_, refused := e.refused[m.to]
		return refused && !slices.Contains(otherClasses, e.key) || !slices.Contains(there, e.key)
	})
}

func (m move) judgeWarnings(t *testing.T, got s3kloset.Warnings) {
	t.Helper()
	keys := make(map[s3kloset.WarningKind][]string)
	for kind, w := range got {
		keys[kind] = slices.Sorted(slices.Values(w.Keys))
		if w.Count != int64(len(w.Keys)) {
			t.Errorf("%s: %d objects, of which it names %q", kind, w.Count, w.Keys)
		}
	}
	if !maps.EqualFunc(keys, m.warnings, slices.Equal) {
		t.Errorf("warnings are %q, not %q", keys, m.warnings)
	}
}

func (m move) compare(t *testing.T, original, restored []klosettest.Object) {
	t.Helper()
	if len(original) != len(restored) {
		t.Fatalf("%d objects are restored of %d", len(restored), len(original))
	}
	for i, o := range original {
		if want := m.arrives(o); !reflect.DeepEqual(restored[i], want) {
			got := restored[i]
			got.Body, want.Body = nil, nil
			t.Errorf("restored is %+v, not %+v; bytes are the same: %v", got, want, reflect.DeepEqual(restored[i].Body, o.Body))
		}
	}
}

// arrives is an object as the target keeps it.
func (m move) arrives(o klosettest.Object) klosettest.Object {
	switch m.to {
	case conformance.MinIO: // forgets redirects, and an Expires that is no date
		o.WebsiteRedirect = ""
		if o.Expires == "0" {
			o.Expires = ""
		}
		if slices.Contains(otherClasses, o.Key) {
			o.StorageClass = ""
		}
	case conformance.Versity: // has one class, and makes folders of markers
		o.StorageClass = ""
		if strings.HasSuffix(o.Key, "/") {
			o.ContentType = "application/x-directory"
		}
	}
	return o
}

// TestRestoreOfWhatAnotherServerRefuses: what MinIO does not take fails by name, and nothing
// else with it.
func TestRestoreOfWhatAnotherServerRefuses(t *testing.T) {
	t.Parallel()
	from, to := newSite(t, server.Shared(t, conformance.S3Test)), newSite(t, server.Shared(t, conformance.MinIO))
	refused := map[string]error{ // nil: of no kind
		"metadata/two kilobytes": s3kloset.ErrMetadata, "tag/letters": s3kloset.ErrMetadata, "x//y": nil,
	}
	original, restored := from.newName(t, "original"), to.newName(t, "restored")
	from.fill(t, original, slices.DeleteFunc(collection(conformance.S3Test), func(e exhibit) bool {
		_, is := refused[e.key]
		return !is && !strings.HasPrefix(e.key, "header/")
	}))
	repo, err := s3kloset.CreateRepository(t.Context(), from.store(t, from.newName(t, "repo")), s3kloset.WithPlaintext())
	if err != nil {
		t.Fatal(err)
	}
	defer closeRepository(t, repo)
	if _, err := repo.Backup(t.Context(), from.open(t, original).Source()); err != nil {
		t.Fatal(err)
	}
	report, err := repo.Restore(t.Context(), "", to.open(t, restored, s3kloset.WithCreateBucket(true)).Destination())
	if !errors.Is(err, s3kloset.ErrIncomplete) || report.Failed != int64(len(refused)) {
		t.Fatalf("%+v, %v", report, err)
	}
	for _, f := range report.Failures {
		var failed *s3kloset.OpError
		want, is := refused[f.Key]
		if !is || want != nil && !errors.Is(f.Err, want) || !errors.As(f.Err, &failed) || failed.Key != f.Key || failed.Status != 400 {
			t.Errorf("%q failed with %v, want %v", f.Key, f.Err, want)
		}
	}
	whole := slices.DeleteFunc(from.objects(t, original), func(o klosettest.Object) bool {
		_, is := refused[o.Key]
		return is
	})
	move{from: conformance.S3Test, to: conformance.MinIO}.compare(t, whole, to.objects(t, restored))
	to.wantUploads(t, restored, 0)
}
