package s3kloset

import (
	"testing"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// TestOverwrite restores over what is there, under each policy.
func TestOverwrite(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	body := []byte("as it was")
	original := s3test.Properties{ContentType: "text/original"}
	for _, key := range []string{"missing", "same", "retouched", "other"} {
		w.data.Put(key, body, original)
	}
	w.backup()

	for name, test := range map[string]struct {
		policy OverwritePolicy
		counts Counts
		puts   int
		old    []string // keys that are left alone
	}{
		"always": {Overwrite, Counts{Listed: 4, Stored: 4}, 4, nil},
		"never":  {SkipExisting, Counts{Listed: 4, Stored: 1, Skipped: 3}, 1, []string{"same", "retouched", "other"}},
		// An ETag says nothing of metadata.
		"if different": {OverwriteIfDifferent, Counts{Listed: 4, Stored: 2, Unchanged: 2}, 2, []string{"same", "retouched"}},
	} {
		t.Run(name, func(t *testing.T) {
			target := w.server.CreateBucket("target" + string(rune('0'+test.policy)))
			target.Put("same", body, original)
			target.Put("retouched", body, s3test.Properties{ContentType: "text/retouched"})
			target.Put("other", []byte("something else"), s3test.Properties{ContentType: "text/other"})
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
