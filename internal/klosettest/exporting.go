package klosettest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/PlakarKorp/kloset/connectors"
	"github.com/PlakarKorp/kloset/connectors/exporter"
)

// parcel is a record on its way to an exporter.
type parcel struct {
	rec  *connectors.Record
	body *guard // nil for a record without a reader
}

// pack makes a parcel of an entry. Its body is that of the entry, and nobody's
// to read if the entry is no file.
func pack(t testing.TB, e Entry) parcel {
	if !e.IsRegular() {
		return packBody(t, e, nil)
	}
	return packBody(t, e, bytes.NewReader(e.Body))
}

// packBody makes a parcel of an entry with another body.
func packBody(t testing.TB, e Entry, body io.Reader) parcel {
	g := newGuard(t, e.Path, body)
	return parcel{body: g, rec: &connectors.Record{
		Reader: g, Pathname: e.Path, Target: e.Target, FileInfo: e.Info,
		ExtendedAttributes: slices.Clone(e.Attributes),
	}}
}

func packAll(t testing.TB, entries []Entry) []parcel {
	parcels := make([]parcel, len(entries))
	for i, e := range entries {
		parcels[i] = pack(t, e)
	}
	return parcels
}

// label names a record as people and [exported] tell records apart.
func label(rec *connectors.Record) string {
	switch {
	case rec.Err != nil:
		return rec.Pathname + " (error)"
	case rec.IsXattr:
		return rec.Pathname + " (attribute " + rec.XattrName + ")"
	default:
		return rec.Pathname + kind(Entry{Info: rec.FileInfo})
	}
}

// exporting runs an exporter the way the engine does: one goroutine sends all
// records and waits for no answer, another one reads the answers until their
// channel is closed.
type exporting struct {
	// capacity is that of both channels, in the engine twice its MaxConcurrency.
	capacity int

	// serial sends a record when the body of the one before has been read or
	// closed, as happens on the pipe to a plugin.
	serial bool

	// stops ends the sending with the context, as the engine does every so often.
	stops bool

	// onAnswer is called with the number of answers so far.
	onAnswer func(n int)
}

// exported is what came of an Export.
type exported struct {
	t       testing.TB
	parcels []parcel
	answers []*connectors.Result
	err     error
}

// run is one Export. It fails the test at once if the Export does not return,
// does not take all records or does not close the results.
func (d exporting) run(ctx context.Context, t testing.TB, patience time.Duration, exp exporter.Exporter, parcels []parcel) *exported {
	t.Helper()
	x := &exported{t: t, parcels: parcels}
	records, results := make(chan *connectors.Record, d.capacity), make(chan *connectors.Result, d.capacity)
	giveUp, ended := make(chan struct{}), false
	defer func() {
		close(giveUp)
		for _, p := range parcels {
			if !ended && p.body != nil {
				p.body.abandon()
			}
		}
	}()
	var sent atomic.Bool
	go func() {
		d.send(ctx, records, parcels, giveUp)
		sent.Store(true)
		close(records)
	}()
	answered := async(func() error {
		for {
			select {
			case answer, ok := <-results:
				if !ok {
					return nil
				}
				x.answers = append(x.answers, answer)
				if d.onAnswer != nil {
					d.onAnswer(len(x.answers))
				}
			case <-giveUp:
				return nil
			}
		}
	})
	x.err = within(t, patience, "Export", func() error { return exp.Export(ctx, records, results) })
	if !sent.Load() || len(records) > 0 {
		t.Fatalf("Export returned (error %v) before it had taken all records: the engine's sender would wait for ever", x.err)
	}
	must(t, "results", within(t, patience, "closing the results", func() error { return <-answered }))
	ended = true
	return x
}

func (d exporting) send(ctx context.Context, records chan<- *connectors.Record, parcels []parcel, giveUp <-chan struct{}) {
	for _, p := range parcels {
		if d.stops && ctx.Err() != nil {
			return
		}
		select {
		case records <- p.rec:
		case <-giveUp:
			return
		}
		if d.serial && p.body != nil && p.body.body != nil {
			select {
			case <-p.body.settled:
			case <-giveUp:
				return
			}
		}
	}
}

// complete checks the answers of an Export that went to its end: one for each
// record, each a copy of it, and Export fails if one of them did. Every reader
// is closed once. It returns the error of each answer by its record's label.
func (x *exported) complete() map[string]error {
	x.t.Helper()
	var lines []string
	answered := x.counted()
	want := make(map[string]int)
	for _, p := range x.parcels {
		want[label(p.rec)]++
		if p.body == nil {
			continue
		}
		if n := p.body.retire(); n != 1 {
			lines = append(lines, fmt.Sprintf("%s: closed %d times, want once", quote(label(p.rec)), n))
		}
	}
	for name, n := range want {
		if got := len(answered[name]); got != n {
			lines = append(lines, fmt.Sprintf("%s: %d answers to %d records", quote(name), got, n))
		}
	}
	report(x.t, "records", lines)
	outcome := make(map[string]error)
	failed := 0
	for name, errs := range answered {
		if outcome[name] = errors.Join(errs...); outcome[name] != nil {
			failed++
		}
	}
	if (x.err != nil) != (failed > 0) {
		x.t.Errorf("Export returned error %v and %d answers have one: the engine looks at the former only", x.err, failed)
	}
	return outcome
}

// interrupted checks an Export that was cut short: its error is that of the
// context, no record is answered twice and no reader is closed twice.
func (x *exported) interrupted() {
	x.t.Helper()
	if !errors.Is(x.err, context.Canceled) {
		x.t.Errorf("Export was cancelled: error %v, want context.Canceled", x.err)
	}
	for name, errs := range x.counted() {
		if len(errs) > 1 {
			x.t.Errorf("%s: %d answers to one record", quote(name), len(errs))
		}
	}
	for _, p := range x.parcels {
		if p.body == nil {
			continue
		}
		if n := p.body.retire(); n > 1 {
			x.t.Errorf("%s: closed %d times", quote(label(p.rec)), n)
		}
	}
}

// counted returns the errors of all answers by the label of their record, and
// fails the test for answers to nothing and answers that do not repeat their
// record.
func (x *exported) counted() map[string][]error {
	x.t.Helper()
	sent := make(map[string][]*connectors.Record)
	for _, p := range x.parcels {
		sent[label(p.rec)] = append(sent[label(p.rec)], p.rec)
	}
	answered := make(map[string][]error)
	for _, answer := range x.answers {
		if answer == nil {
			x.t.Error("an answer is nil")
			continue
		}
		name := label(&answer.Record)
		if !slices.ContainsFunc(sent[name], func(rec *connectors.Record) bool { return rec.FileInfo.Equal(&answer.Record.FileInfo) }) {
			x.t.Errorf("an answer repeats no record: %s, file info %+v", quote(name), answer.Record.FileInfo)
			continue
		}
		answered[name] = append(answered[name], answer.Err)
	}
	return answered
}

// wantAnswers fails the test unless exactly the named records were answered with
// an error that wraps want.
func wantAnswers(t testing.TB, outcome map[string]error, want error, failed ...string) {
	t.Helper()
	var lines []string
	for name, err := range outcome {
		switch should := slices.Contains(failed, name); {
		case should && !errors.Is(err, want):
			lines = append(lines, fmt.Sprintf("%s: answer %v, want %v", quote(name), err, want))
		case !should && err != nil:
			lines = append(lines, fmt.Sprintf("%s: answer %v, want none", quote(name), err))
		}
	}
	slices.Sort(lines)
	report(t, "answers", lines)
}
