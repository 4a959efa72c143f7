package s3kloset

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/PlakarKorp/kloset/connectors"
	"github.com/PlakarKorp/kloset/objects"
	"github.com/s3kloset/s3kloset/internal/s3test"
)

// TestOverwrite restores over what is there, under each policy.
func TestOverwrite(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	body := []byte("as it was")
	original := s3test.Properties{ContentType: "text/original"}
	for _, key := range []string{"missing", "same", "retouched", "other", "alike"} {
		w.data.Put(key, body, original)
	}
	w.backup()

	for name, test := range map[string]struct {
		policy OverwritePolicy
		counts Counts
		puts   int
		old    []string // keys that are left alone
	}{
		"always": {Overwrite, Counts{Listed: 5, Stored: 5}, 5, nil},
		"never":  {SkipExisting, Counts{Listed: 5, Stored: 1, Skipped: 4}, 1, []string{"same", "retouched", "other", "alike"}},
		// An ETag says nothing of metadata.
		"if different": {OverwriteIfDifferent, Counts{Listed: 5, Stored: 3, Unchanged: 2}, 3, []string{"same", "retouched"}},
	} {
		t.Run(name, func(t *testing.T) {
			target := w.server.CreateBucket("target" + string(rune('0'+test.policy)))
			target.Put("same", body, original)
			target.Put("retouched", body, s3test.Properties{ContentType: "text/retouched"})
			target.Put("other", []byte("something else"), s3test.Properties{ContentType: "text/other"})
			target.Put("alike", []byte("as it is!"), original) // of the same size
			there := make(map[string]s3test.Object)
			for _, o := range target.Dump() {
				there[o.Key] = o
			}
			w.server.ResetRequests()
			report, err := w.repo.Restore(t.Context(), "", w.at("s3://"+target.Name(), WithOverwrite(test.policy)).Destination())
			if err != nil {
				t.Fatal(err)
			}
			w.counts(name, report.Counts, test.counts)
			puts := 0
			for _, r := range w.server.Requests() {
				if _, ours := w.data.Get(r.Key); ours && r.Op == "PutObject" {
					puts++
				}
			}
			if puts != test.puts {
				t.Errorf("%d objects were sent, want %d", puts, test.puts)
			}
			want := w.data.Dump()
			for i, o := range want {
				for _, key := range test.old {
					if o.Key == key {
						want[i] = there[key]
					}
				}
			}
			sameObjects(t, want, target.Dump())
		})
	}
}

// TestOverwriteRace: an object that appears after the look, and before the write,
// is not replaced by who must not.
func TestOverwriteRace(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	w.data.Put("key", []byte("restored"), s3test.Properties{})
	w.backup()
	target := w.server.CreateBucket("target")
	w.server.Faults().Add(s3test.Fault{Op: "PutObject", Bucket: "target", Action: s3test.RunFirst(func() {
		target.Put("key", []byte("of another"), s3test.Properties{})
	})})
	report, err := w.repo.Restore(t.Context(), "", w.at("s3://target", WithOverwrite(SkipExisting)).Destination())
	if err != nil {
		t.Fatal(err)
	}
	w.server.Faults().VerifyAll(t)
	w.counts("restore", report.Counts, Counts{Listed: 1, Skipped: 1})
	if o, _ := target.Get("key"); string(o.Body) != "of another" {
		t.Errorf("the object is %q", o.Body)
	}
}

// TestOverwriteRaceWithoutConditions: the server ignores the condition of the write. It is
// looked once more, just before the write.
func TestOverwriteRaceWithoutConditions(t *testing.T) {
	quiet(t)
	w := newWorldOn(t, s3test.Start(t, s3test.WithoutFeature(s3test.ConditionalWrites)))
	w.data.Put("key", []byte("restored"), s3test.Properties{})
	w.backup()
	target := w.server.CreateBucket("target")
	w.server.Faults().Add(s3test.Fault{Op: "HeadObject", Bucket: "target", Key: "key", Nth: 2, Action: s3test.RunFirst(func() {
		target.Put("key", []byte("of another"), s3test.Properties{})
	})})
	report, err := w.repo.Restore(t.Context(), "", w.at("s3://target", WithOverwrite(SkipExisting)).Destination())
	if err != nil {
		t.Fatal(err)
	}
	w.server.Faults().VerifyAll(t)
	w.counts("restore", report.Counts, Counts{Listed: 1, Skipped: 1})
	if o, _ := target.Get("key"); string(o.Body) != "of another" {
		t.Errorf("the object is %q", o.Body)
	}
}

// TestOverwriteUnseen: what may not be looked at is not written over by who writes only
// what differs. Who writes only what is missing has the condition of the write.
func TestOverwriteUnseen(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	w.data.Put("key", []byte("restored"), s3test.Properties{})
	w.backup()
	target := w.server.CreateBucket("target")
	target.Put("key", []byte("of another"), s3test.Properties{})
	w.server.Faults().Add(s3test.Fault{Op: "HeadObject", Bucket: "target", Times: s3test.Always, Action: s3test.Status(403, "")})
	for policy, want := range map[OverwritePolicy]Counts{OverwriteIfDifferent: {Listed: 1, Failed: 1}, SkipExisting: {Listed: 1, Skipped: 1}} {
		report, err := w.repo.Restore(t.Context(), "", w.at("s3://target", WithOverwrite(policy)).Destination())
		if failed := want.Failed > 0; errors.Is(err, ErrAccessDenied) != failed || (err != nil) != failed {
			t.Errorf("policy %v: error %v", policy, err)
		}
		w.counts("restore", report.Counts, want)
		if o, _ := target.Get("key"); string(o.Body) != "of another" {
			t.Errorf("policy %v: the object is %q", policy, o.Body)
		}
	}
	w.server.Faults().VerifyAll(t)
}

// TestRestoreOfOtherBytes: a body that has not the checksum of its record does not become
// an object, whole or in parts.
func TestRestoreOfOtherBytes(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	body := bytes.Repeat([]byte("0123456789abcdef"), 6*mib/16)
	whole := w.data.Put("whole", body[:100], s3test.Properties{}, s3test.WithChecksum("SHA256"))
	parts := w.data.Put("parts", body, s3test.Properties{}, s3test.InParts(5*mib), s3test.WithChecksum("SHA256"))
	for name, o := range map[string]s3test.Object{"whole": whole, "parts": parts} {
		for _, damaged := range []bool{false, true} {
			meta := Metadata{ETag: o.ETag, Checksums: []Checksum{{Algorithm: "SHA256", Value: o.Checksum.Value, Composite: name == "parts"}}}
			if name == "parts" {
				meta.Parts = PartLayout{Count: 2, Size: 5 * mib}
			}
			sent := bytes.Clone(body[:len(o.Body)])
			if damaged {
				sent[50] ^= 1
			}
			target := w.server.CreateBucket(fmt.Sprint(name, "-", damaged))
			records, results := make(chan *connectors.Record, 1), make(chan *connectors.Result, 1)
			records <- connectors.NewRecord("/key", "", objects.NewFileInfo("key", int64(len(sent)), fileMode, time.Now(), 0, 0, 0, 0, 1),
				meta.Attributes(), func() (io.ReadCloser, error) { return wholeBody(sent), nil })
			close(records)
			err := w.at("s3://"+target.Name()).Destination().Export(t.Context(), records, results)
			if errors.Is(err, ErrChecksum) != damaged || (err != nil) != damaged {
				t.Errorf("%s, damaged %v: error %v", name, damaged, err)
			}
			if _, there := target.Get("key"); there == damaged || target.Uploads() > 0 {
				t.Errorf("%s, damaged %v: stored %v, %d uploads left", name, damaged, there, target.Uploads())
			}
		}
	}
}
