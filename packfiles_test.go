package s3kloset

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/PlakarKorp/kloset/resources"
	"github.com/PlakarKorp/kloset/snapshot"
	"github.com/s3kloset/s3kloset/internal/klosettest"
	"github.com/s3kloset/s3kloset/internal/s3test"
)

// TestSnapshotThatIsNotWhole lacks what is in no packfile, in one that is gone, or in
// one that is marked for removal.
func TestSnapshotThatIsNotWhole(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	w.fill(5)
	w.backup()
	w.inside("", func(op *operation, snap *snapshot.Snapshot) {
		tree, err := snap.Filesystem()
		if err != nil {
			t.Fatal(err)
		}
		look := func(change func(*packfiles)) error {
			packs, err := op.listPackfiles()
			if err != nil {
				t.Fatal(err)
			}
			packs.current = true
			change(packs)
			_, err = packs.verify(tree)
			return err
		}
		if err := look(func(*packfiles) {}); err != nil {
			t.Errorf("whole: %v", err)
		}
		if err := look(func(packs *packfiles) { clear(packs.listed) }); !errors.Is(err, ErrDamaged) {
			t.Errorf("gone: %v, want ErrDamaged", err)
		}
		packs, err := op.listPackfiles()
		if err != nil {
			t.Fatal(err)
		}
		for id := range packs.listed {
			if err := op.state.PutColoured(resources.RT_PACKFILE, id, []byte{0}); err != nil {
				t.Fatal(err)
			}
			if ok, err := packs.has(id); ok || err != nil {
				t.Errorf("marked: %v, %v", ok, err)
			}
		}
	})
}

// TestBackupThatIsNotWhole: of a hard link whose attributes alone have changed the engine
// keeps the old entry by name, and stores no new one. Such a snapshot does not stay.
func TestBackupThatIsNotWhole(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	link := klosettest.File("/link", []byte("x"))
	link.Info.Lnlink = 2
	for _, attribute := range []string{"user.a", "user.b"} {
		link.Attributes = []string{attribute}
		report, err := w.repo.Backup(t.Context(), klosettest.NewMemImporter([]klosettest.Entry{link}))
		if first := attribute == "user.a"; errors.Is(err, ErrDamaged) == first || (err == nil) != first || (report.Snapshot.ID != "") != first {
			t.Errorf("%s: error %v, snapshot %q", attribute, err, report.Snapshot.ID)
		}
	}
	if list, err := w.repo.Snapshots(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("%d snapshots, error %v", len(list), err)
	}
	w.expectSound("")
}

// inRange tells whether a request asks for a range that holds an offset.
func inRange(h http.Header, offset int64) bool {
	var first, last int64
	n, _ := fmt.Sscanf(h.Get("Range"), "bytes=%d-%d", &first, &last)
	return n == 2 && first <= offset && offset <= last
}

// flipByteOfObject flips a bit at an offset of the object, whatever the range begins with.
func flipByteOfObject(offset int64) s3test.Action {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var first int64
			_, _ = fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &first)
			s3test.FlipBit(offset-first)(next).ServeHTTP(w, r)
		})
	}
}

// TestBitThatIsWrongOnTheWay out of the store: whoever reads a blob that turns out wrong
// asks for it again, once.
func TestBitThatIsWrongOnTheWay(t *testing.T) {
	const size = 3 * mib
	for name, read := range map[string]func(*Repository, *Destination) error{
		"restore": func(repo *Repository, target *Destination) error {
			_, err := repo.Restore(t.Context(), "", target)
			return err
		},
		"check": func(repo *Repository, _ *Destination) error { return repo.Check(t.Context(), "") },
	} {
		for times, want := range map[int]error{1: nil, s3test.Always: ErrDamaged} {
			t.Run(fmt.Sprintf("%s, %d times", name, times), func(t *testing.T) {
				quiet(t)
				v := newVault(t)
				v.fill(1, size)
				if _, err := createPlain(t, v.store(), WithCompression("LZ4")).Backup(t.Context(), v.source()); err != nil {
					t.Fatal(err)
				}
				repo, err := OpenRepository(t.Context(), v.store())
				if err != nil {
					t.Fatal(err)
				}
				defer repo.Close()
				v.server.Faults().Add(s3test.Fault{Op: "GetObject", Key: "repo/packfiles/*", Times: times, Action: flipByteOfObject(size / 2),
					Match: func(r s3test.Request) bool { return inRange(r.Header, size/2) }})
				target, bucket := v.target("target")
				if err := read(repo, target); want == nil && err != nil || want != nil && err == nil {
					t.Errorf("error %v, want %v", err, want)
				}
				v.server.Faults().VerifyAll(t)
				if name == "restore" && want == nil {
					sameObjects(t, v.data.Dump(), bucket.Dump())
				}
			})
		}
	}
}
