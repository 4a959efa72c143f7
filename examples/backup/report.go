package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/s3kloset/s3kloset"
)

// result is what a run has to say, whether it succeeded or not.
type result interface {
	conclude(error)
	text(*printer)
}

// verdict is how a run ended.
type verdict struct {
	OK    bool   `json:"ok"`
	Error string `json:"error,omitempty"`
}

func (v *verdict) conclude(err error) {
	v.OK = err == nil
	if err != nil {
		v.Error = err.Error()
	}
}

// write writes the report of a run that ended with err, nil for a good one.
func write(w io.Writer, r result, err error, asJSON bool) error {
	r.conclude(err)
	if asJSON {
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		return e.Encode(r)
	}
	p := &printer{w: bufio.NewWriter(w)}
	r.text(p)
	return p.w.Flush()
}

// toolReport is what the tool did. The parts that it was not asked for, or did
// not come to, are missing.
type toolReport struct {
	verdict
	Store         string                  `json:"store"`
	Created       bool                    `json:"created,omitempty"` // the repository
	Backup        *s3kloset.BackupReport  `json:"backup,omitempty"`
	Snapshots     []s3kloset.Snapshot     `json:"snapshots,omitempty"`
	Checked       string                  `json:"checked,omitempty"` // snapshot
	Restore       *s3kloset.RestoreReport `json:"restore,omitempty"`
	Verified      *verification           `json:"verified,omitempty"`
	StoreRequests map[string]int64        `json:"store_requests,omitempty"`
	Duration      time.Duration           `json:"duration_ns"`

	listed bool // the snapshots, of which there may be none
}

func (r *toolReport) text(p *printer) {
	if r.Created {
		p.line("store", "%s, created", r.Store)
	} else {
		p.line("store", "%s", r.Store)
	}
	p.backup("backup", r.Backup)
	if r.listed {
		p.snapshots(r.Snapshots)
	}
	if r.Checked != "" {
		p.line("check", "snapshot %s is sound", r.Checked)
	}
	p.restore("restore", r.Restore)
	p.verification(r.Verified)
	p.requests("store requests", r.StoreRequests)
	p.line("time", "%s", short(r.Duration))
}

// printer writes reports for people: a name to the left, what there is to say
// of it to the right. Its writer remembers errors.
type printer struct{ w *bufio.Writer }

func (p *printer) line(name, format string, args ...any) {
	fmt.Fprintf(p.w, "%-16s%s\n", name, fmt.Sprintf(format, args...))
}

func (p *printer) backup(name string, r *s3kloset.BackupReport) {
	switch {
	case r == nil:
		return
	case r.Snapshot.ID == "":
		p.line(name, "no snapshot")
	case r.Parent == "":
		p.line(name, "snapshot %s, the first of this source", r.Snapshot.ID)
	default:
		p.line(name, "snapshot %s, compared with %.8s", r.Snapshot.ID, r.Parent)
	}
	p.outcome(r.Outcome, r.Duration)
}

func (p *printer) restore(name string, r *s3kloset.RestoreReport) {
	if r == nil {
		return
	}
	p.line(name, "snapshot %s of %s", r.Snapshot.ID, r.Snapshot.Time.Local().Format(time.DateTime))
	p.outcome(r.Outcome, r.Duration)
}

func (p *printer) outcome(o s3kloset.Outcome, d time.Duration) {
	p.line("", "%d objects: %d stored (%s), %d unchanged, %d skipped, %d gone, %d failed; %s",
		o.Listed, o.Stored, size(o.Bytes), o.Unchanged, o.Skipped, o.Gone, o.Failed, short(d))
	p.requests("  requests", o.Requests)
	p.warnings(o.Warnings)
	p.failures(o.Failures, o.Failed)
}

func (p *printer) warnings(all s3kloset.Warnings) {
	for _, kind := range slices.Sorted(maps.Keys(all)) {
		w := all[kind]
		p.line("  warning", "%s: %d objects: %s", kind, w.Count, quoted(w.Keys, w.Count))
	}
}

// failures lists those that are known of so many.
func (p *printer) failures(list []s3kloset.Failure, count int64) {
	for _, f := range list {
		if f.Key == "" {
			p.line("  FAILED", "%v", f.Err)
			continue
		}
		p.line("  FAILED", "%q: %v", f.Key, withoutKey(f))
	}
	if more := count - int64(len(list)); more > 0 {
		p.line("  FAILED", "and %d more", more)
	}
}

// withoutKey is the error of a failure for a line that begins with the key.
func withoutKey(f s3kloset.Failure) error {
	if op, ok := f.Err.(*s3kloset.OpError); ok && op.Key == f.Key {
		short := *op
		short.Key = ""
		return &short
	}
	return f.Err
}

func (p *printer) requests(name string, counts map[string]int64) {
	if len(counts) == 0 {
		return
	}
	p.line(name, "%s", requests(counts))
}

func (p *printer) snapshots(list []s3kloset.Snapshot) {
	if len(list) == 0 {
		p.line("snapshots", "none")
	}
	for i, s := range list {
		name := ""
		if i == 0 {
			name = "snapshots"
		}
		p.line(name, "%.8s  %s  %8d objects  %10s  %s:%s%s", s.ID, s.Time.Local().Format(time.DateTime),
			s.Objects, size(s.Bytes), s.SourceType, s.Origin, s.Root)
	}
}

// requests names operations in order, with their counts.
func requests(counts map[string]int64) string {
	var texts []string
	for _, operation := range slices.Sorted(maps.Keys(counts)) {
		texts = append(texts, fmt.Sprintf("%s %d", operation, counts[operation]))
	}
	return strings.Join(texts, ", ")
}

// quoted lists the keys that are known of so many.
func quoted(keys []string, count int64) string {
	var texts []string
	for _, key := range keys {
		texts = append(texts, fmt.Sprintf("%q", key))
	}
	if more := count - int64(len(keys)); more > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(texts, ", ")
}

// short is a duration to three digits or so.
func short(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}

// size writes a number of bytes with a unit.
func size(bytes int64) string {
	if bytes < 1<<10 {
		return fmt.Sprintf("%d B", bytes)
	}
	value, unit := float64(bytes)/(1<<10), 0
	for value >= 1<<10 {
		value, unit = value/(1<<10), unit+1
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTPE"[unit])
}
