package s3kloset

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/PlakarKorp/kloset/connectors"
	"github.com/s3kloset/s3kloset/internal/s3test"
)

// TestAccountsThatDoNotAddUp are an error of every report, whatever else it says.
func TestAccountsThatDoNotAddUp(t *testing.T) {
	for _, c := range []Counts{
		{Listed: 1}, {Listed: 2, Stored: 1}, {Stored: 1}, {Listed: 1, Unchanged: 1, Skipped: 1}, {Listed: 3, Gone: 1, Failed: 1},
	} {
		o := Outcome{Counts: c}
		for name, err := range map[string]error{"outcome": o.Err(), "backup": (&BackupReport{Outcome: o}).Err(), "restore": (&RestoreReport{Outcome: o}).Err()} {
			if !errors.Is(err, ErrAccounting) {
				t.Errorf("%s of %+v: %v", name, c, err)
			}
		}
		if err := tolerate(o, 100); !errors.Is(err, ErrAccounting) {
			t.Errorf("tolerated %+v: %v", c, err)
		}
	}
	if err := (Outcome{Counts: Counts{Listed: 15, Stored: 1, Unchanged: 2, Skipped: 3, Gone: 9}}).Err(); err != nil {
		t.Error(err)
	}
}

// TestEngineThatForgets does not acknowledge what it has taken.
func TestEngineThatForgets(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	w.fill(3)
	for _, forgotten := range []string{"", "/dir00/file0001"} {
		records, results := make(chan *connectors.Record), make(chan *connectors.Result, 100)
		go func() {
			defer close(results)
			for record := range records {
				if record.Pathname != forgotten {
					results <- record.Ok()
				}
			}
		}()
		err := w.at("s3://data").Source().Import(t.Context(), records, results)
		if (forgotten == "") != (err == nil) || err != nil && !errors.Is(err, ErrAccounting) {
			t.Errorf("%q is forgotten: error %v", forgotten, err)
		}
	}
}

// TestEngineThatStopsReading acknowledges an object as if it had all of it.
func TestEngineThatStopsReading(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	w.fill(3)
	records, results := make(chan *connectors.Record), make(chan *connectors.Result, 100)
	go func() {
		defer close(results)
		for record := range records {
			if record.Reader != nil && !record.FileInfo.IsDir() {
				read := io.Reader(record.Reader)
				if record.Pathname == "/dir00/file0001" {
					read = io.LimitReader(read, 5)
				}
				_, _ = io.Copy(io.Discard, read)
				record.Close()
			}
			results <- record.Ok()
		}
	}()
	src := w.at("s3://data").Source()
	if err := src.Import(t.Context(), records, results); err != nil {
		t.Error(err)
	}
	o := src.Outcome()
	w.counts("import", o.Counts, Counts{Listed: 3, Stored: 2, Failed: 1})
	if err := o.Err(); !errors.Is(err, ErrIncomplete) || !errors.Is(err, ErrBody) {
		t.Errorf("error %v", err)
	}
}

// TestBodyOfAnotherLength: an object is replaced, and the server does not tell
// how long the new one is. Its bytes do not come under the size of the old one.
func TestBodyOfAnotherLength(t *testing.T) {
	for _, size := range []int{10, 3000} {
		quiet(t)
		w := newWorld(t)
		edition{number: 1, size: 1000}.put(w.data, "key", time.Now().Add(-time.Hour))
		w.server.Faults().Add(s3test.Fault{Op: "GetObject", Action: s3test.RunFirst(func() { edition{number: 2, size: size}.put(w.data, "key", time.Now()) })})
		w.server.Faults().Add(s3test.Fault{Op: "GetObject", Times: s3test.Always, Action: s3test.HTTP10()})
		report, err := w.repo.Backup(t.Context(), w.at("s3://data").Source())
		if !errors.Is(err, ErrBody) {
			t.Errorf("%d bytes: error %v", size, err)
		}
		w.counts("backup", report.Counts, Counts{Listed: 1, Failed: 1})
		if restored := w.restore(report.Snapshot.ID); restored.Len() > 0 {
			t.Errorf("%d bytes: restored %q", size, restored.Keys())
		}
	}
}

// TestWhatDegrades is counted under its kind, with its keys, and stored or failed.
func TestWhatDegrades(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	w.data.Put("plain", []byte("1"), s3test.Properties{})
	w.data.Put("hidden", []byte("2"), s3test.Properties{})
	for i := range 3 {
		w.data.Put(fmt.Sprint("cold", i), []byte("3"), s3test.Properties{StorageClass: "STANDARD_IA"})
	}
	w.data.Put("long", []byte("4"), s3test.Properties{Metadata: map[string]string{"k": strings.Repeat("v", maxUserMetadata)}})
	w.server.Faults().Add(s3test.Fault{Op: "GetObject", Key: "hidden", Action: s3test.SetHeader("X-Amz-Missing-Meta", "2")})
	backup := w.backupOf(w.at("s3://data"))
	w.counts("backup", backup.Counts, Counts{Listed: 6, Stored: 6})
	w.warned("backup", backup.Warnings, map[WarningKind]string{WarnMetadata: "1 [hidden]"})

	target := w.server.CreateBucket("target")
	w.server.Faults().Add(s3test.Fault{Op: "PutObject", Bucket: "target", Times: s3test.Always, Action: s3test.Status(400, "InvalidStorageClass"),
		Match: func(r s3test.Request) bool { return r.Header.Get("X-Amz-Storage-Class") != "" }})
	report, err := w.repo.Restore(t.Context(), "", w.at("s3://target", WithConcurrency(1)).Destination())
	if !errors.Is(err, ErrIncomplete) || !errors.Is(err, ErrMetadata) {
		t.Errorf("restore: %v", err)
	}
	w.counts("restore", report.Counts, Counts{Listed: 6, Stored: 5, Failed: 1})
	w.warned("restore", report.Warnings, map[WarningKind]string{WarnMetadata: "1 [long]", WarnStorageClass: "3 [cold0 cold1 cold2]"})
	if n := report.Requests["PutObject"]; n != 7 {
		t.Errorf("%d PUTs, want one for each object, and one that shows which class is refused", n)
	}
	if o, there := target.Get("long"); there {
		t.Errorf("stored with less: %+v", o.Properties)
	}
}

// warned compares warnings, written as their counts and keys.
func (w *world) warned(what string, got Warnings, want map[WarningKind]string) {
	w.Helper()
	if len(got) != len(want) {
		w.Errorf("%s: %d kinds of warnings, want %d", what, len(got), len(want))
	}
	for kind, warning := range got {
		if text := fmt.Sprint(warning.Count, " ", warning.Keys); text != want[kind] {
			w.Errorf("%s: %s of %s, want %q", what, kind, text, want[kind])
		}
	}
}

// TestListingThatRepeats: a key that a server without order lists twice is not
// two objects, and does not pass for two that were stored.
func TestListingThatRepeats(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	w.fill(3)
	w.server.Faults().Add(s3test.Fault{Op: "ListObjectsV2", Times: s3test.Always, Action: backwards(w.data, "dir00/file0001")})
	report, err := w.repo.Backup(t.Context(), w.at("s3://data", WithUnorderedListing(true)).Source())
	// Which of the two depends on whether the engine is done with the first one
	// when the second comes.
	if !errors.Is(err, ErrIncomplete) && !errors.Is(err, ErrAccounting) || report.Listed != 4 || report.Stored > 3 {
		t.Errorf("error %v, counts %+v", err, report.Counts)
	}
}
