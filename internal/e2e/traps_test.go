package e2e_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/e2e/server"
	"github.com/s3kloset/s3kloset/internal/s3test"
	"github.com/s3kloset/s3kloset/internal/s3test/conformance"
)

// TestTrapBodiesWithoutChecksum: an SDK client that is made by hand sends no checksums.
// Whatever we send has one, that of the bytes.
func TestTrapBodiesWithoutChecksum(t *testing.T) {
	v := embark(t, server.Shared(t, conformance.S3Test))
	v.run(t)
	bodies := 0
	for _, r := range v.proxy.Requests() {
		if r.Op != "PutObject" && r.Op != "UploadPart" {
			continue
		}
		bodies++
		has := func(name string) bool { return strings.HasPrefix(name, checksumPrefix) }
		if !slices.ContainsFunc(slices.Collect(names(r.Header)), has) {
			t.Errorf("%s %q has no checksum", r.Op, r.Key)
		}
	}
	if bodies < 10 {
		t.Errorf("only %d bodies were sent", bodies)
	}
}

func names(h http.Header) func(func(string) bool) {
	return func(yield func(string) bool) {
		for name := range h {
			if !yield(name) {
				return
			}
		}
	}
}

// TestTrapListingThatIsNone: the SDK takes an empty answer, and a web page, for a bucket
// without objects. A backup of it would look like a success.
func TestTrapListingThatIsNone(t *testing.T) {
	for name, answer := range map[string]s3test.Action{
		"nothing":    s3test.RawBody(http.StatusOK, "application/xml", ""),
		"a web page": s3test.StatusHTML(http.StatusOK),
	} {
		t.Run(name, func(t *testing.T) {
			v := embark(t, server.Shared(t, conformance.S3Test))
			repo := v.newRepository(t)
			defer closeRepository(t, repo)
			v.proxy.Faults().Add(s3test.Fault{Op: "ListObjectsV2", Bucket: v.original, Times: s3test.Always, Action: answer})
			_, err := repo.Backup(t.Context(), v.sea.open(t, v.original).Source())
			if !errors.Is(err, s3kloset.ErrListing) {
				t.Errorf("backup of a listing that is %s: %v", name, err)
			}
			if snapshots, err := repo.Snapshots(t.Context()); err != nil || len(snapshots) > 0 {
				t.Errorf("there are snapshots: %+v, %v", snapshots, err)
			}
		})
	}
}

// TestTrapFlippedBitOfAnObject: the SDK does not verify what it streams in ranges. One bit
// that changes on the way to the repository fails the object.
func TestTrapFlippedBitOfAnObject(t *testing.T) {
	v := embarkWith(t, "summed", noise(40, 6*mib))
	repo := v.newRepository(t)
	defer closeRepository(t, repo)
	v.proxy.Faults().Add(s3test.Fault{Op: "GetObject", Bucket: v.original, Key: "summed", Action: s3test.FlipBit(4000)})
	report, err := repo.Backup(t.Context(), v.sea.open(t, v.original).Source())
	if !errors.Is(err, s3kloset.ErrIncomplete) || !errors.Is(err, s3kloset.ErrChecksum) {
		t.Fatalf("backup: %v", err)
	}
	if report.Failed != 1 || report.Failures[0].Key != "summed" || report.Stored != int64(len(cargo)) {
		t.Errorf("report is %+v", report)
	}
	v.proxy.Faults().VerifyAll(t)
}

// TestTrapFlippedBitOfAPackfile: nor does it verify ranges of packfiles. One bit that
// changes on the way out of the repository is noticed, and read again.
func TestTrapFlippedBitOfAPackfile(t *testing.T) {
	body := noise(40, 6*mib)
	v := embarkWith(t, "summed", body)
	repo := v.newRepository(t)
	defer closeRepository(t, repo)
	if _, err := repo.Backup(t.Context(), v.sea.open(t, v.original).Source()); err != nil {
		t.Fatal(err)
	}
	v.proxy.Faults().Add(s3test.Fault{
		// The middle of the only packfile of this length is of the body.
		Op: "GetObject", Bucket: v.repo, Key: "*/packfiles/*", Action: flipByteOfObject(3*mib + 1),
		Match: func(r s3test.Request) bool { return inRange(r.Header, 3*mib+1) },
	})
	if _, err := repo.Restore(t.Context(), "", v.destination(t).Destination()); err != nil {
		t.Fatal(err)
	}
	v.proxy.Faults().VerifyAll(t)
	v.shore.compare(t, v.restored, v.original, v.shore.keys(t, v.original))
}

// inRange tells whether a request asks for a range that holds an offset.
func inRange(h http.Header, offset int64) bool {
	var first, last int64
	n, _ := fmt.Sscanf(h.Get("Range"), "bytes=%d-%d", &first, &last)
	return n == 2 && first <= offset && offset <= last
}

// flipByteOfObject flips a bit at an offset of the object, whatever the range begins with:
// what lies at the beginning of an answer may be nothing that anybody needs.
func flipByteOfObject(offset int64) s3test.Action {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var first int64
			_, _ = fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &first)
			s3test.FlipBit(offset-first)(next).ServeHTTP(w, r)
		})
	}
}

// embarkWith adds an object with a checksum of its whole to the cargo.
func embarkWith(t *testing.T, key string, body []byte) *voyage {
	t.Helper()
	s := server.Shared(t, conformance.S3Test)
	v := embark(t, s)
	s.Fake.Bucket(v.original).Put(key, body, s3test.Properties{}, s3test.WithChecksum("CRC32C"))
	return v
}

// newRepository makes the repository of a voyage.
func (v *voyage) newRepository(t *testing.T) *s3kloset.Repository {
	t.Helper()
	repo, err := s3kloset.CreateRepository(t.Context(), v.sea.store(t, v.repo), s3kloset.WithPlaintext())
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

// TestTrapKeysThatXMLCannotHold: DeleteObjects names another key when one has a control
// character, and a listing without encoding cannot be read at all. Such an object is
// backed up, restored over a wrong one, and the wrong one is gone.
func TestTrapKeysThatXMLCannotHold(t *testing.T) {
	for _, name := range []conformance.Server{conformance.MinIO, conformance.S3Test} {
		t.Run(string(name), func(t *testing.T) {
			at := newSite(t, server.Shared(t, name))
			original, restored := at.newName(t, "original"), at.newName(t, "restored")
			keys := at.fill(t, original, []exhibit{show("c\x01tl"), show("c\ufffdtl"), show("x\ufffe")})
			at.fill(t, restored, []exhibit{show("c\x01tl").holding([]byte("wrong"))})
			at.thereAndBack(t, original, at.newName(t, "repo"), restored)
			at.compare(t, restored, original, keys)
		})
	}
}

// TestTrapObjectBesideItsFolder: a listing of MinIO does not look under a key that is an
// object, and versitygw refuses such a pair. What is listed is backed up, and no client can
// know of more.
func TestTrapObjectBesideItsFolder(t *testing.T) {
	server.Each(t, func(t *testing.T, s *server.Server) {
		at := newSite(t, s)
		original, restored := at.newName(t, "original"), at.newName(t, "restored")
		pair := []exhibit{show("a"), show("a/b").but(conformance.Versity, 409, "ObjectParentIsFile")}
		want := []string{"a", "a/b"}
		switch s.Name {
		case conformance.MinIO:
			at.fill(t, original, pair[:1])
			if _, err := pair[1].put(t.Context(), at, original); err != nil {
				t.Fatal(err)
			}
			want = want[:1]
		case conformance.Versity:
			at.fill(t, original, pair)
			want = want[:1]
		default:
			at.fill(t, original, pair)
		}
		at.thereAndBack(t, original, at.newName(t, "repo"), restored)
		at.compare(t, restored, original, want)
	})
}

// TestTrapArchivedObject: an archived object is listed like any other and cannot be read.
// The backup keeps all others, and says so.
func TestTrapArchivedObject(t *testing.T) {
	for _, name := range []conformance.Server{conformance.MiniS3, conformance.S3Test} {
		t.Run(string(name), func(t *testing.T) {
			at := newSite(t, server.Shared(t, name))
			original, restored, repoBucket := at.newName(t, "original"), at.newName(t, "restored"), at.newName(t, "repo")
			at.fill(t, original, []exhibit{show("a"), show("b", "x-amz-storage-class", "GLACIER"), show("c")})
			repo, err := s3kloset.CreateRepository(t.Context(), at.store(t, repoBucket), s3kloset.WithPlaintext())
			if err != nil {
				t.Fatal(err)
			}
			defer closeRepository(t, repo)
			report, err := repo.Backup(t.Context(), at.open(t, original).Source())
			if !errors.Is(err, s3kloset.ErrIncomplete) || !errors.Is(err, s3kloset.ErrArchived) {
				t.Fatalf("backup: %v", err)
			}
			if report.Failed != 1 || report.Failures[0].Key != "b" || report.Stored != 2 {
				t.Errorf("report is %+v", report)
			}
			if _, err := repo.Restore(t.Context(), "", at.open(t, restored, s3kloset.WithCreateBucket(true)).Destination()); err != nil {
				t.Fatal(err)
			}
			at.compare(t, restored, original, []string{"a", "c"})
		})
	}
}
