package klosettest

import (
	"context"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/PlakarKorp/kloset/connectors"
	"github.com/PlakarKorp/kloset/connectors/importer"
)

// importing runs an importer the way the engine does: workers take records,
// acknowledge each, and close the results when the records are closed and done
// with; when the context ends they stop, and the records are drained.
type importing struct {
	// capacity is that of both channels; the engine's MaxConcurrency is capacity
	// and number of workers in one.
	capacity, workers int

	// visit is called for each record before it is acknowledged, from all
	// workers. By default nothing is opened.
	visit func(*connectors.Record)

	// onEnd is called by every worker that sees the records closed.
	onEnd func()
}

// importRun is an Import under way.
type importRun struct {
	importing
	t        testing.TB
	patience time.Duration

	ctx      context.Context
	records  chan *connectors.Record
	results  chan *connectors.Result
	returned <-chan error
	finished chan struct{} // the workers are done, results is closed
	giveUp   chan struct{} // the check has failed

	mu   sync.Mutex
	seen []*connectors.Record
}

// start begins an Import. The caller must wait.
func (d importing) start(ctx context.Context, t testing.TB, patience time.Duration, imp importer.Importer) *importRun {
	r := &importRun{
		importing: d, t: t, patience: patience, ctx: ctx,
		records:  make(chan *connectors.Record, d.capacity),
		results:  make(chan *connectors.Result, d.capacity),
		finished: make(chan struct{}),
		giveUp:   make(chan struct{}),
	}
	var wg sync.WaitGroup
	for range max(1, d.workers) {
		wg.Go(r.work)
	}
	go func() {
		defer close(r.finished)
		defer close(r.results)
		wg.Wait()
		r.drain()
	}()
	r.returned = async(func() error { return imp.Import(ctx, r.records, r.results) })
	return r
}

func (r *importRun) work() {
	for {
		select {
		case <-r.ctx.Done():
			return
		case <-r.giveUp:
			return
		case rec, ok := <-r.records:
			if !ok {
				if r.onEnd != nil {
					r.onEnd()
				}
				return
			}
			if !r.done(rec) {
				return
			}
		}
	}
}

// done visits and acknowledges a record.
func (r *importRun) done(rec *connectors.Record) bool {
	r.mu.Lock()
	r.seen = append(r.seen, rec)
	r.mu.Unlock()
	if r.visit != nil {
		r.visit(rec)
	}
	select {
	case r.results <- rec.Ok():
		return true
	case <-r.giveUp:
		return false
	}
}

// drain takes what is left and sees the channel closed.
func (r *importRun) drain() {
	for {
		select {
		case _, ok := <-r.records:
			if !ok {
				return
			}
		case <-r.giveUp:
			return
		}
	}
}

// wait returns the records in the order of their arrival, which with one worker
// is the order of their sending, and Import's error. It fails the test at once
// if Import does not return or the records are not closed.
func (r *importRun) wait() ([]*connectors.Record, error) {
	r.t.Helper()
	timeout := time.NewTimer(r.patience)
	defer timeout.Stop()
	select {
	case err := <-r.returned:
		go func() {
			for range r.results { // so do unread results not block the workers
			}
		}()
		select {
		case <-r.finished:
			return r.seen, err
		case <-timeout.C:
			close(r.giveUp)
			r.t.Fatalf("Import returned (error %v) and did not close records within %s", err, r.patience)
		}
	case <-timeout.C:
		close(r.giveUp)
		r.t.Fatalf("Import did not return within %s", r.patience)
	}
	return nil, nil
}

// run is start and wait.
func (d importing) run(ctx context.Context, t testing.TB, patience time.Duration, imp importer.Importer) ([]*connectors.Record, error) {
	t.Helper()
	return d.start(ctx, t, patience, imp).wait()
}

// everything imports all records and reads all files, and fails the test if
// anything goes wrong. The entries are in the order of their arrival.
func (d importing) everything(t testing.TB, patience time.Duration, imp importer.Importer) []Entry {
	t.Helper()
	var mu sync.Mutex
	bodies := make(map[*connectors.Record][]byte)
	d.visit = func(rec *connectors.Record) {
		if rec.Err != nil || rec.IsXattr || !rec.FileInfo.Mode().IsRegular() {
			return
		}
		body, err := io.ReadAll(rec.Reader)
		if err != nil {
			t.Errorf("%s: read: %v", quote(rec.Pathname), err)
		}
		mu.Lock()
		defer mu.Unlock()
		bodies[rec] = body
	}
	records, err := d.run(t.Context(), t, patience, imp)
	must(t, "import", err)
	entries := make([]Entry, 0, len(records))
	for _, rec := range records {
		if rec.Err != nil || rec.IsXattr {
			t.Errorf("%s: unwanted record: error %v, attribute record %t", quote(rec.Pathname), rec.Err, rec.IsXattr)
			continue
		}
		e := entryOf(rec)
		e.Body = bodies[rec]
		entries = append(entries, e)
	}
	return entries
}

func entryOf(rec *connectors.Record) Entry {
	return Entry{Path: rec.Pathname, Info: rec.FileInfo, Target: rec.Target, Attributes: slices.Clone(rec.ExtendedAttributes)}
}

// diffBodies compares the bodies of all objects with those of all files, whatever
// the files are called, and returns one line for each that has no partner.
func diffBodies(objs []Object, entries []Entry) []string {
	files := make(map[string][]string)
	for _, e := range entries {
		if e.IsRegular() {
			files[string(e.Body)] = append(files[string(e.Body)], e.Path)
		}
	}
	var lines []string
	for _, o := range objs {
		paths := files[string(o.Body)]
		if len(paths) == 0 {
			lines = append(lines, "no file holds the body of "+quote(o.Key))
			continue
		}
		files[string(o.Body)] = paths[1:]
	}
	for _, paths := range files {
		for _, p := range paths {
			lines = append(lines, "file "+quote(p)+" holds the body of no object")
		}
	}
	slices.Sort(lines)
	return lines
}

// spy is an importer that counts how many of the inner one's bodies are opened.
type spy struct {
	importer.Importer
	mu     sync.Mutex
	opened []string
	onOpen func() // called for each body that is opened
}

// Import implements importer.Importer.
func (s *spy) Import(ctx context.Context, records chan<- *connectors.Record, results <-chan *connectors.Result) error {
	inner := make(chan *connectors.Record)
	forwarded := make(chan struct{})
	go func() {
		defer close(forwarded)
		defer close(records)
		for rec := range inner {
			if rec.Reader != nil {
				rec.Reader = &spyReader{ReadCloser: rec.Reader, opened: sync.OnceFunc(func() { s.note(rec.Pathname) })}
			}
			records <- rec // the engine drains this channel whatever happens
		}
	}()
	err := s.Importer.Import(ctx, inner, results)
	<-forwarded
	return err
}

func (s *spy) note(pathname string) {
	s.mu.Lock()
	s.opened = append(s.opened, pathname)
	s.mu.Unlock()
	if s.onOpen != nil {
		s.onOpen()
	}
}

type spyReader struct {
	io.ReadCloser
	opened func()
}

func (r *spyReader) Read(p []byte) (int, error) {
	r.opened()
	return r.ReadCloser.Read(p)
}
