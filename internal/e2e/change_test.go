package e2e_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/e2e/server"
	"github.com/s3kloset/s3kloset/internal/s3test"
	"github.com/s3kloset/s3kloset/internal/s3test/conformance"
)

// edition is one state of an object: its body, its headers and its tags all tell the number.
func edition(number, size int) exhibit {
	pattern := fmt.Appendf(nil, "%08d;", number)
	return show("victim",
		"Content-Type", fmt.Sprintf("text/%d", number),
		"x-amz-meta-number", fmt.Sprint(number),
		"x-amz-tagging", fmt.Sprintf("number=%d", number),
	).holding(bytes.Repeat(pattern, size/len(pattern)+1)[:size])
}

// fate is what becomes of an object that changes while it is backed up.
type fate int

const (
	before   fate = iota // the state that was listed is stored
	after                // the one that came later is
	gone                 // neither: it was deleted
	replaced             // the one that came later, or neither and ErrChanged
	lost                 // neither: it was deleted, perhaps after a part of it had been read
)

// change happens to an object right before a request for it is answered.
type change struct {
	name    string
	size    int // of the state that is listed
	op      string
	nth     int
	deleted bool // first
	put     int  // size of the state that comes then; 0 for none
	want    fate
	kept    fate // in a bucket with versions
}

// Ranges have 8 MiB, see WithConcurrency.
const littleBody, largeBody = 1000, 20 * mib

var changes = []change{
	{name: "overwritten by one of the same size", size: littleBody, op: "GetObject", nth: 1, put: littleBody, want: after, kept: after},
	{name: "overwritten by a longer one", size: littleBody, op: "GetObject", nth: 1, put: 3 * littleBody, want: after, kept: after},
	{name: "overwritten by a large one", size: littleBody, op: "GetObject", nth: 1, put: largeBody, want: after, kept: after},
	{name: "deleted", size: littleBody, op: "GetObject", nth: 1, deleted: true, want: gone, kept: gone},
	{name: "deleted and created again", size: littleBody, op: "GetObject", nth: 1, deleted: true, put: littleBody, want: after, kept: after},
	{name: "overwritten before its tags are read", size: littleBody, op: "GetObjectTagging", nth: 1, put: littleBody, want: after, kept: before},
	{name: "deleted before its tags are read", size: littleBody, op: "GetObjectTagging", nth: 1, deleted: true, want: gone, kept: before},
	{name: "overwritten in the middle of ranges", size: largeBody, op: "GetObject", nth: 2, put: largeBody, want: replaced, kept: before},
	{name: "shortened in the middle of ranges", size: largeBody, op: "GetObject", nth: 2, put: littleBody, want: replaced, kept: before},
	{name: "deleted in the middle of ranges", size: largeBody, op: "GetObject", nth: 2, deleted: true, want: lost, kept: before},
}

// TestObjectsThatChangeOnRealServers: whatever happens to an object while it is backed up, the
// snapshot has one of its states, whole, or the report says why not.
func TestObjectsThatChangeOnRealServers(t *testing.T) {
	t.Parallel()
	for _, name := range []conformance.Server{conformance.MinIO, conformance.Versity} {
		t.Run(string(name), func(t *testing.T) {
			at := newSite(t, server.Shared(t, name))
			for _, c := range changes {
				t.Run(c.name, func(t *testing.T) {
					bucket := at.newName(t, "changing")
					at.fill(t, bucket, nil)
					c.meet(t, at, bucket, c.want)
				})
				t.Run(c.name+", with versions", func(t *testing.T) { c.meet(t, at, at.newVersionedBucket(t), c.kept) })
			}
		})
	}
}

func (c change) meet(t *testing.T, at site, bucket string, want fate) {
	t.Parallel()
	for _, e := range []exhibit{edition(1, c.size), show("witness", "x-amz-meta-a", "1")} {
		if _, err := e.put(t.Context(), at, bucket); err != nil {
			t.Fatal(err)
		}
	}
	listed := at.victim(t, bucket)
	through, proxy := at.behindProxy(t)
	proxy.Faults().Add(s3test.Fault{Op: c.op, Key: "victim", Nth: c.nth, Action: s3test.RunFirst(func() { c.happen(t, at, bucket) })})
	repo, err := s3kloset.CreateRepository(t.Context(), storeOnDisk(t), s3kloset.WithPlaintext())
	if err != nil {
		t.Fatal(err)
	}
	defer closeRepository(t, repo)

	report, err := repo.Backup(t.Context(), through.open(t, bucket).Source())
	proxy.Faults().VerifyAll(t)
	restored := at.newName(t, "restored")
	if _, err := repo.Restore(t.Context(), "", at.open(t, restored, s3kloset.WithCreateBucket(true)).Destination()); err != nil {
		t.Fatal(err)
	}
	if err := at.compareObject(t.Context(), restored, bucket, "witness"); err != nil {
		t.Error(err)
	}
	there := slices.Contains(at.keys(t, restored), "victim")
	wantState := func(state object) {
		t.Helper()
		wantCounts(t, report.Counts, s3kloset.Counts{Listed: 2, Stored: 2, Bytes: report.Bytes})
		if err != nil || !there {
			t.Fatalf("restored %v, error %v", there, err)
		}
		if err := at.victim(t, restored).unlike(state); err != nil {
			t.Errorf("what was restored is not the state: %v", err)
		}
	}
	wantNone := func(want s3kloset.Counts, kind error) {
		t.Helper()
		want.Bytes = report.Bytes
		wantCounts(t, report.Counts, want)
		if there || !errors.Is(err, kind) || (err == nil) != (kind == nil) {
			t.Errorf("restored %v, error %v, not %v", there, err, kind)
		}
	}
	missed := s3kloset.Counts{Listed: 2, Stored: 1, Failed: 1}
	switch {
	case want == before:
		wantState(listed)
	case want == after || want == replaced && err == nil:
		wantState(at.victim(t, bucket))
	case want == replaced:
		wantNone(missed, s3kloset.ErrChanged)
	case want == lost && err != nil:
		wantNone(missed, s3kloset.ErrNotFound)
	default:
		wantNone(s3kloset.Counts{Listed: 2, Stored: 1, Gone: 1}, nil)
	}
	c.recover(t, at, repo, bucket)
}

// happen makes the change.
func (c change) happen(t *testing.T, at site, bucket string) {
	if c.deleted {
		if err := at.client.Delete(t.Context(), bucket, "victim"); err != nil {
			t.Error(err)
		}
	}
	if c.put > 0 {
		if _, err := edition(2, c.put).put(t.Context(), at, bucket); err != nil {
			t.Error(err)
		}
	}
}

// recover demands that the next backup has what there is now.
func (c change) recover(t *testing.T, at site, repo *s3kloset.Repository, bucket string) {
	t.Helper()
	report, err := repo.Backup(t.Context(), at.open(t, bucket).Source())
	if err != nil {
		t.Fatal(err)
	}
	restored := at.newName(t, "restored")
	if _, err := repo.Restore(t.Context(), report.Snapshot.ID, at.open(t, restored, s3kloset.WithCreateBucket(true)).Destination()); err != nil {
		t.Fatal(err)
	}
	keys := at.keys(t, bucket)
	if got := at.keys(t, restored); !slices.Equal(got, keys) {
		t.Fatalf("restored were %q, not %q", got, keys)
	}
	at.compare(t, restored, bucket, keys)
}

// victim is the object that changes, as it is now.
func (at site) victim(t *testing.T, bucket string) object {
	t.Helper()
	seen, err := at.look(t.Context(), bucket, "victim")
	if err != nil {
		t.Fatal(err)
	}
	return seen
}
