package s3kloset

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// WarningKind names what a warning is about. The set grows with new versions.
type WarningKind string

// The kinds of warnings: things that a run could not do as asked, and that do
// not make it incomplete.
const (
	// WarnGone counts objects that were listed and deleted before they were read.
	WarnGone WarningKind = "gone"
	// WarnStorageClass counts objects that the target would not store in
	// their class; they are in the target's default class.
	WarnStorageClass WarningKind = "storage-class"
	// WarnMetadata counts objects whose metadata or tags exceed what S3 takes, or
	// of whose metadata S3 hides a part from HTTP (x-amz-missing-meta).
	WarnMetadata WarningKind = "metadata"
	// WarnETag counts restored objects whose ETag is not the one that they had,
	// where it should be: they went up in the same parts and ETags on both
	// sides look like MD5s. Then the ETags of one side are none, as those of
	// SSE-C, or the bytes were damaged before they came into the snapshot.
	// With WithSourceParts it also counts those whose parts could not be the same,
	// or are not known and were guessed wrong.
	WarnETag WarningKind = "etag"
	// WarnNotAnObject counts records that have no form as an object: symbolic
	// links, devices, and folders that no marker was asked for.
	WarnNotAnObject WarningKind = "not-an-object"
	// WarnTags counts objects whose tags may not be read, or were not restored
	// because the target has no tags.
	WarnTags WarningKind = "tags"
	// WarnArchived counts archived objects that were left out as asked.
	WarnArchived WarningKind = "archived"
	// WarnUnverified counts objects with checksums none of which can be computed
	// here: their algorithm is not known, or the sizes of their parts are not.
	WarnUnverified WarningKind = "unverified"
)

// examplesKept is how many keys a warning remembers. It bounds memory, nothing else.
const examplesKept = 10

// failuresKept is how many failures a report remembers in full; all are counted.
const failuresKept = 1000

// Warning counts what happened to how many objects.
type Warning struct {
	Count int64    `json:"count"`
	Keys  []string `json:"keys"` // the first ones
}

// Warnings holds a warning for each kind that occurred.
type Warnings map[WarningKind]*Warning

func (w Warnings) add(kind WarningKind, key string) {
	warning := w[kind]
	if warning == nil {
		warning = &Warning{}
		w[kind] = warning
	}
	warning.Count++
	if len(warning.Keys) < examplesKept {
		warning.Keys = append(warning.Keys, key)
	}
}

func (w Warnings) clone() Warnings {
	c := make(Warnings, len(w))
	for kind, warning := range w {
		c[kind] = &Warning{Count: warning.Count, Keys: slices.Clone(warning.Keys)}
	}
	return c
}

// Failure is one object that was not stored or not restored.
type Failure struct {
	Key string // object key; the path for a record that has none; empty for objects that a run did not reach
	Err error
}

func (f Failure) text() string {
	if f.Key == "" {
		return f.Err.Error()
	}
	return fmt.Sprintf("%q: %v", f.Key, f.Err)
}

// MarshalJSON writes the error as its text.
func (f Failure) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Key   string `json:"key"`
		Error string `json:"error"`
	}{f.Key, f.Err.Error()})
}

// Counts says what became of the objects of a run. They add up:
// Listed = Stored + Unchanged + Skipped + Gone + Failed.
type Counts struct {
	Listed    int64 `json:"listed"`    // objects seen
	Stored    int64 `json:"stored"`    // read and written
	Unchanged int64 `json:"unchanged"` // known from before, not transferred
	Skipped   int64 `json:"skipped"`   // left out by a rule of the caller
	Gone      int64 `json:"gone"`      // deleted between listing and reading
	Failed    int64 `json:"failed"`
	Bytes     int64 `json:"bytes"` // body bytes of stored objects
}

func (c Counts) sum() int64 { return c.Stored + c.Unchanged + c.Skipped + c.Gone + c.Failed }

func (c Counts) check() error {
	if sum := c.sum(); sum != c.Listed {
		return fmt.Errorf("%w: %d listed, %d accounted for", ErrAccounting, c.Listed, sum)
	}
	return nil
}

// Outcome is what a Source or a Destination says of a run. It is a copy.
type Outcome struct {
	Counts
	Warnings Warnings  `json:"warnings,omitempty"`
	Failures []Failure `json:"failures,omitempty"` // the first 1,000 of Counts.Failed
	// Requests counts the HTTP requests by S3 operation, retries included.
	Requests map[string]int64 `json:"requests,omitempty"`
}

// plus adds the accounts of another part of the same run.
func (o Outcome) plus(more Outcome) Outcome {
	o.Listed += more.Listed
	o.Stored += more.Stored
	o.Unchanged += more.Unchanged
	o.Skipped += more.Skipped
	o.Gone += more.Gone
	o.Failed += more.Failed
	o.Bytes += more.Bytes
	o.Failures = append(o.Failures, more.Failures...)
	o.Failures = o.Failures[:min(len(o.Failures), failuresKept)]
	return o
}

// settle enters the objects that a run had seen and not dealt with when it
// ended early: they failed, and err is why. A run that came to its end has
// none; if it has, nil leaves the counts wrong for check to find.
func (o *Outcome) settle(err error) {
	left := o.Listed - o.sum()
	if err == nil || left <= 0 {
		return
	}
	o.Failed += left
	if len(o.Failures) < failuresKept {
		o.Failures = append(o.Failures, Failure{Err: fmt.Errorf("%d objects were not dealt with: %w", left, err)})
	}
}

// withdraw takes back the failures of a run that ended early which are nothing
// but that end: settle names it once for all of them. A bare error of a context
// is one; the failure of a request names its key.
func (o *Outcome) withdraw() {
	kept := slices.DeleteFunc(o.Failures, func(f Failure) bool {
		return f.Err == context.Canceled || f.Err == context.DeadlineExceeded
	})
	o.Failed -= int64(len(o.Failures) - len(kept))
	o.Failures = kept
}

// Err is nil for a run that lost nothing. Otherwise it wraps ErrIncomplete
// and every failure that was kept, for errors.Is and errors.As.
func (o Outcome) Err() error {
	if err := o.check(); err != nil {
		return err
	}
	if o.Failed == 0 {
		return nil
	}
	return &failureList{what: ErrIncomplete, count: o.Failed, failures: o.Failures}
}

// BackupReport tells what a backup did. Without a snapshot, the one in the
// report has no ID, nothing was kept: the counts then tell how far the run came.
type BackupReport struct {
	Outcome
	Snapshot Snapshot      `json:"snapshot"`
	Parent   string        `json:"parent,omitempty"` // snapshot that this one was compared with
	Duration time.Duration `json:"duration_ns"`
	err      error
}

// Err is the error that Backup returned. Failures that WithTolerance allowed
// are an error here.
func (r *BackupReport) Err() error { return first(r.err, r.Outcome.Err()) }

// RestoreReport tells what a restore did.
type RestoreReport struct {
	Outcome
	Snapshot Snapshot      `json:"snapshot"`
	Duration time.Duration `json:"duration_ns"`
	err      error
}

// Err is the error that Restore returned.
func (r *RestoreReport) Err() error { return first(r.err, r.Outcome.Err()) }

// failureList is the error of what went wrong with several objects.
type failureList struct {
	what     error // ErrIncomplete or ErrDamaged
	count    int64
	failures []Failure // the first ones
}

// failuresShown is how many failures the text of the error names.
const failuresShown = 5

func (e *failureList) Error() string {
	text := fmt.Sprintf("%v: %d failed", e.what, e.count)
	for i, f := range e.failures {
		if i == failuresShown {
			text += fmt.Sprintf("; and %d more", e.count-failuresShown)
			break
		}
		text += "; " + f.text()
	}
	return text
}

func (e *failureList) Unwrap() []error {
	errs := make([]error, 0, len(e.failures)+1)
	errs = append(errs, e.what)
	for _, f := range e.failures {
		errs = append(errs, f.Err)
	}
	return errs
}
