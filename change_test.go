package s3kloset

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"testing"
	"time"

	"github.com/PlakarKorp/kloset/connectors"
	"github.com/s3kloset/s3kloset/internal/s3test"
)

// edition is one state of an object: body, metadata and tags all tell its number.
type edition struct {
	number int
	size   int
	tags   int // number that the tags tell, if they were changed by themselves
}

func (e edition) body() []byte {
	pattern := fmt.Appendf(nil, "%08d;", e.number)
	return bytes.Repeat(pattern, e.size/len(pattern)+1)[:e.size]
}

func (e edition) properties() s3test.Properties {
	number := fmt.Sprint(e.number)
	return s3test.Properties{
		ContentType: "text/" + number,
		Metadata:    map[string]string{"number": number},
		Tags:        map[string]string{"number": fmt.Sprint(cmp.Or(e.tags, e.number))},
	}
}

// withRangeSize makes objects large that are larger than this.
func withRangeSize(n int64) Option {
	return func(c *config) error { c.source.rangeSize = n; return nil }
}

func (e edition) put(b *s3test.Bucket, key string, at time.Time) {
	b.Put(key, e.body(), e.properties(), s3test.ModifiedAt(at))
}

// is tells whether the object is in this state, whole.
func (e edition) is(o s3test.Object) bool {
	want := e.properties()
	return bytes.Equal(o.Body, e.body()) && o.ContentType == want.ContentType &&
		maps.Equal(o.Metadata, want.Metadata) && maps.Equal(o.Tags, want.Tags)
}

// TestObjectsThatChange: whatever happens to an object while it is backed up,
// the snapshot has one of its states, or the report says why not.
func TestObjectsThatChange(t *testing.T) {
	const small, large = 1000, 5 << 19
	const huge = 3 << 20 // more ranges than are asked for before the engine reads
	type fate int
	const (
		before  fate = iota // the state that was listed
		after               // the one that came later
		gone                // neither, because it was deleted
		changed             // the one that came later, or neither and a failure that is ErrChanged
		lost                // neither, and a failure that is ErrNotFound: part of it had been read
	)
	tests := []struct {
		name   string
		size   int // of the listed state
		op     string
		nth    int
		change func(b *s3test.Bucket, listed time.Time)
		want   fate
		kept   fate // in a bucket with versions
	}{
		{"overwritten before it is read, same size and second", small, "GetObject", 1, func(b *s3test.Bucket, listed time.Time) {
			edition{number: 2, size: small}.put(b, "key", listed)
		}, after, after},
		{"overwritten before it is read, other size", small, "GetObject", 1, func(b *s3test.Bucket, listed time.Time) {
			edition{number: 2, size: 3 * small}.put(b, "key", listed.Add(time.Hour))
		}, after, after},
		{"overwritten by a large one before it is read", small, "GetObject", 1, func(b *s3test.Bucket, listed time.Time) {
			edition{number: 2, size: large}.put(b, "key", listed.Add(time.Hour))
		}, after, after},
		{"deleted before it is read", small, "GetObject", 1, func(b *s3test.Bucket, _ time.Time) { b.Delete("key") }, gone, gone},
		{"deleted and created again", small, "GetObject", 1, func(b *s3test.Bucket, listed time.Time) {
			b.Delete("key")
			edition{number: 2, size: small}.put(b, "key", listed)
		}, after, after},
		{"overwritten before its tags are read", small, "GetObjectTagging", 1, func(b *s3test.Bucket, listed time.Time) {
			edition{number: 2, size: small}.put(b, "key", listed)
		}, after, before},
		{"deleted before its tags are read", small, "GetObjectTagging", 1, func(b *s3test.Bucket, _ time.Time) { b.Delete("key") }, gone, before},
		{"overwritten in the middle of ranges", large, "GetObject", 2, func(b *s3test.Bucket, listed time.Time) {
			edition{number: 2, size: large}.put(b, "key", listed)
		}, changed, before},
		{"shortened in the middle of ranges", large, "GetObject", 2, func(b *s3test.Bucket, listed time.Time) {
			edition{number: 2, size: small}.put(b, "key", listed.Add(time.Hour))
		}, changed, before},
		{"deleted in the middle of ranges", huge, "GetObject", 10, func(b *s3test.Bucket, _ time.Time) { b.Delete("key") }, lost, before},
	}
	quiet(t)
	for _, test := range tests {
		for _, versions := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/versions %v", test.name, versions), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.data.SetVersioning(versions)
				listed := time.Now().Add(-time.Hour).Truncate(time.Second)
				edition{number: 1, size: test.size}.put(w.data, "key", listed)
				edition{number: 7, size: small}.put(w.data, "other", listed)
				w.server.Faults().Add(s3test.Fault{Op: test.op, Key: "key", Nth: test.nth, Action: s3test.RunFirst(func() { test.change(w.data, listed) })})

				report, err := w.repo.Backup(t.Context(), w.at("s3://data", withRangeSize(1<<18)).Source())
				w.server.Faults().VerifyAll(t)
				want := test.want
				if versions {
					want = test.kept
				}
				restored := w.server.CreateBucket("restored")
				if _, err := w.repo.Restore(t.Context(), "", w.at("s3://restored").Destination()); err != nil {
					t.Fatal(err)
				}
				got, there := restored.Get("key")
				if other, _ := restored.Get("other"); !(edition{number: 7, size: small}).is(other) {
					t.Errorf("the other object is %+v", other.Properties)
				}
				switch want {
				case before, after:
					w.counts("backup", report.Counts, Counts{Listed: 2, Stored: 2})
					if now, _ := w.data.Get("key"); err != nil || !there || want == before && !(edition{number: 1, size: test.size}).is(got) || want == after && !(edition{number: 2, size: len(now.Body)}).is(got) {
						t.Errorf("error %v; restored %v: %d bytes, %.9q, %+v", err, there, len(got.Body), got.Body, got.Properties)
					}
				case gone:
					w.counts("backup", report.Counts, Counts{Listed: 2, Stored: 1, Gone: 1})
					if err != nil || there || report.Warnings[WarnGone] == nil {
						t.Errorf("error %v, restored %v, warnings %v", err, there, report.Warnings)
					}
				case changed:
					if now, _ := w.data.Get("key"); err == nil && (edition{number: 2, size: len(now.Body)}).is(got) {
						break
					}
					w.counts("backup", report.Counts, Counts{Listed: 2, Stored: 1, Failed: 1})
					if !errors.Is(err, ErrIncomplete) || !errors.Is(err, ErrChanged) || there {
						t.Errorf("error %v, restored %v", err, there)
					}
				case lost:
					w.counts("backup", report.Counts, Counts{Listed: 2, Stored: 1, Failed: 1})
					if !errors.Is(err, ErrIncomplete) || !errors.Is(err, ErrNotFound) || there {
						t.Errorf("error %v, restored %v", err, there)
					}
				}
				// Whatever it was, the next backup has the state that there is now.
				w.server.Faults().Clear()
				next := w.backup()
				w.same(w.data, w.restore(next.Snapshot.ID))
			})
		}
	}
}

// TestTagsThatChange: of an object that stays as it is they may be the old or
// the new ones, and a backup that already has it sees them too.
func TestTagsThatChange(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	listed := time.Now().Add(-time.Hour).Truncate(time.Second)
	edition{number: 1, size: 100}.put(w.data, "key", listed)
	for number := range 3 {
		tags := map[string]string{"number": fmt.Sprint(number)}
		w.server.Faults().Add(s3test.Fault{Op: "GetObjectTagging", Key: "key", Action: s3test.RunFirst(func() { w.data.SetTags("key", tags) })})
		report := w.backup()
		w.server.Faults().VerifyAll(t)
		w.counts("backup", report.Counts, Counts{Listed: 1, Stored: 1})
		w.same(w.data, w.restore(report.Snapshot.ID))
	}
	// Unchanged by the listing, and overwritten before its tags are read.
	w.server.Faults().Add(s3test.Fault{Op: "GetObjectTagging", Key: "key", Action: s3test.RunFirst(func() { edition{number: 9, size: 100}.put(w.data, "key", listed) })})
	report, err := w.repo.Backup(t.Context(), w.at("s3://data").Source())
	w.server.Faults().VerifyAll(t)
	if err != nil && !errors.Is(err, ErrChanged) {
		t.Errorf("error %v", err)
	}
	if err == nil {
		w.same(w.data, w.restore(report.Snapshot.ID))
	}
}

// TestObjectThatChangesBeforeItIsRead: its record is out, and only bytes of the state that
// the record describes may follow.
func TestObjectThatChangesBeforeItIsRead(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	const size = 1000
	listed := time.Now().Add(-time.Hour).Truncate(time.Second)
	edition{number: 1, size: size}.put(w.data, "key", listed)
	w.server.Faults().Add(s3test.Fault{Op: "GetObject", Key: "key", Action: s3test.RunFirst(func() { edition{number: 2, size: size}.put(w.data, "key", listed) })})
	records, results := make(chan *connectors.Record), make(chan *connectors.Result, 100)
	go func() {
		defer close(results)
		for record := range records {
			if record.Reader != nil && !record.FileInfo.IsDir() {
				if n, err := io.Copy(io.Discard, record.Reader); !errors.Is(err, ErrChanged) {
					t.Errorf("read %d bytes, error %v", n, err)
				}
				record.Close()
			}
			results <- record.Ok()
		}
	}()
	src := w.at("s3://data").Source()
	if err := src.Import(t.Context(), records, results); err != nil {
		t.Error(err)
	}
	w.server.Faults().VerifyAll(t)
	w.counts("import", src.Outcome().Counts, Counts{Listed: 1, Failed: 1})
}

// TestSameBytesWithOtherTags: an object is written again with the bytes that it has, and so
// with its ETag, before its tags are read. They belong to the new headers.
func TestSameBytesWithOtherTags(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	listed := time.Now().Add(-time.Hour).Truncate(time.Second)
	was := edition{number: 1, size: 100}
	was.put(w.data, "key", listed)
	w.server.Faults().Add(s3test.Fault{Op: "GetObjectTagging", Key: "key", Action: s3test.RunFirst(func() {
		w.data.Put("key", was.body(), edition{number: 2}.properties(), s3test.ModifiedAt(listed.Add(time.Minute)))
	})})
	report := w.backup()
	w.server.Faults().VerifyAll(t)
	w.same(w.data, w.restore(report.Snapshot.ID))
}

// TestTagsThatCannotBeRead fail the object, unless it is for want of a permission: it would
// come back without them.
func TestTagsThatCannotBeRead(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	edition{number: 1, size: 100}.put(w.data, "key", time.Now().Add(-time.Hour))
	w.server.Faults().Add(s3test.Fault{Op: "GetObjectTagging", Key: "key", Times: s3test.Always, Action: s3test.Status(400, "InvalidRequest")})
	report, err := w.repo.Backup(t.Context(), w.at("s3://data").Source())
	w.server.Faults().VerifyAll(t)
	if !errors.Is(err, ErrIncomplete) {
		t.Errorf("error %v", err)
	}
	w.counts("backup", report.Counts, Counts{Listed: 1, Failed: 1})
}
