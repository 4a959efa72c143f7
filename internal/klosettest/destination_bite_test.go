package klosettest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/PlakarKorp/kloset/connectors"
	"github.com/PlakarKorp/kloset/connectors/exporter"
)

func TestRunDestinationBites(t *testing.T) {
	all := slices.Concat(oddExporters(), oddExports(), oddStorings(), oddEnds())
	for i := range all {
		all[i].harness.Patience = patienceFor(all[i].finds)
	}
	bites(t, destinationChecks, all)
}

// oddExporter is an exporter in memory that differs where a field is set.
type oddExporter struct {
	*MemExporter
	origin func() string
	root   func() string
	ping   func() error
	close  func() error
	run    exportFunc
}

type exportFunc func(context.Context, <-chan *connectors.Record, chan<- *connectors.Result) error

func (o *oddExporter) Origin() string {
	if o.origin != nil {
		return o.origin()
	}
	return o.MemExporter.Origin()
}

func (o *oddExporter) Root() string {
	if o.root != nil {
		return o.root()
	}
	return o.MemExporter.Root()
}

func (o *oddExporter) Ping(ctx context.Context) error {
	if o.ping != nil {
		return o.ping()
	}
	return o.MemExporter.Ping(ctx)
}

func (o *oddExporter) Close(ctx context.Context) error {
	if o.close != nil {
		return o.close()
	}
	return o.MemExporter.Close(ctx)
}

func (o *oddExporter) Export(ctx context.Context, records <-chan *connectors.Record, results chan<- *connectors.Result) error {
	if o.run != nil {
		return o.run(ctx, records, results)
	}
	return o.MemExporter.Export(ctx, records, results)
}

// oddDestination is a harness of exporters that change has had its way with.
func oddDestination(change func(*oddExporter)) DestinationHarness {
	return DestinationHarness{
		New: func(testing.TB) exporter.Exporter {
			o := &oddExporter{MemExporter: NewMemExporter()}
			change(o)
			return o
		},
		Objects: func(_ testing.TB, exp exporter.Exporter) []Object { return ObjectsOf(exp.(*oddExporter).Entries()) },
	}
}

// running is an exporter with another Export.
func running(run func(*MemExporter) exportFunc) DestinationHarness {
	return oddDestination(func(o *oddExporter) { o.run = run(o.MemExporter) })
}

// storing is an exporter that does something else with each record.
func storing(store func(context.Context, *MemExporter, *connectors.Record) error) DestinationHarness {
	return running(func(m *MemExporter) exportFunc {
		return func(ctx context.Context, records <-chan *connectors.Record, results chan<- *connectors.Result) error {
			return oneByOne(ctx, records, results, func(ctx context.Context, rec *connectors.Record) error { return store(ctx, m, rec) })
		}
	})
}

// storingFiles is storing of files alone.
func storingFiles(store func(context.Context, *MemExporter, *connectors.Record) error) DestinationHarness {
	return storing(func(ctx context.Context, m *MemExporter, rec *connectors.Record) error {
		if rec.Err == nil && !rec.IsXattr && rec.FileInfo.Mode().IsRegular() {
			return store(ctx, m, rec)
		}
		return m.store(ctx, rec)
	})
}

func oddExporters() []breakage[DestinationHarness] {
	var opened atomic.Int64
	return []breakage[DestinationHarness]{
		{"Identity", "no origin", "must not be empty", oddDestination(func(o *oddExporter) { o.origin = func() string { return "" } })},
		{"Identity", "relative root", "not absolute and clean", oddDestination(func(o *oddExporter) { o.root = func() string { return "x" } })},
		{"Identity", "no ping", errBroken.Error(), oddDestination(func(o *oddExporter) { o.ping = func() error { return errBroken } })},
		{"Identity", "another origin each time", "after an export they are", oddDestination(func(o *oddExporter) {
			o.origin = func() string { return fmt.Sprint("number ", opened.Add(1)) }
		})},
		{"CloseExporter", "closes once", errBroken.Error(), oddDestination(func(o *oddExporter) {
			var closed atomic.Bool
			o.close = func() error {
				if closed.Swap(true) {
					return errBroken
				}
				return nil
			}
		})},
		{"CloseExporter", "leaves a goroutine", "left behind", oddDestination(func(o *oddExporter) {
			o.close = func() error {
				go func() { select {} }()
				return nil
			}
		})},
	}
}

// oddExports get the course of an Export wrong.
func oddExports() []breakage[DestinationHarness] {
	// answering is an exporter that answers in another way.
	answering := func(answers func(rec *connectors.Record, result *connectors.Result, results chan<- *connectors.Result)) DestinationHarness {
		return running(func(m *MemExporter) exportFunc {
			return func(ctx context.Context, records <-chan *connectors.Record, results chan<- *connectors.Result) error {
				defer close(results)
				for rec := range records {
					err := m.store(ctx, rec)
					answers(rec, answer(rec, err), results)
				}
				return nil
			}
		})
	}
	return []breakage[DestinationHarness]{
		{"NoRecords", "leaves the results open", "closing the results: no end", running(func(m *MemExporter) exportFunc {
			return func(ctx context.Context, records <-chan *connectors.Record, _ chan<- *connectors.Result) error {
				for rec := range records {
					rec.Ok()
				}
				return nil
			}
		})},
		{"NoRecords", "a mark of its own", "should not be", running(func(m *MemExporter) exportFunc {
			return func(ctx context.Context, records <-chan *connectors.Record, results chan<- *connectors.Result) error {
				m.keep(File("/.mark", nil))
				return m.Export(ctx, records, results)
			}
		})},
		{"Answers", "returns at once", "before it had taken all records", running(func(*MemExporter) exportFunc {
			return func(_ context.Context, _ <-chan *connectors.Record, results chan<- *connectors.Result) error {
				close(results)
				return errBroken
			}
		})},
		{"Answers", "never returns", "Export: no end", running(func(m *MemExporter) exportFunc {
			return func(context.Context, <-chan *connectors.Record, chan<- *connectors.Result) error { select {} }
		})},
		{"Answers", "not to folders", "0 answers to 1 records", answering(func(rec *connectors.Record, result *connectors.Result, results chan<- *connectors.Result) {
			if !rec.FileInfo.IsDir() {
				results <- result
			}
		})},
		{"Answers", "twice", "2 answers to 1 records", answering(func(_ *connectors.Record, result *connectors.Result, results chan<- *connectors.Result) {
			results <- result
			results <- result
		})},
		{"Answers", "without the record", "repeats no record", answering(func(_ *connectors.Record, result *connectors.Result, results chan<- *connectors.Result) {
			results <- &connectors.Result{Err: result.Err}
		})},
		{"Answers", "closes no body", "closed 0 times", running(func(m *MemExporter) exportFunc {
			return func(ctx context.Context, records <-chan *connectors.Record, results chan<- *connectors.Result) error {
				defer close(results)
				for rec := range records {
					results <- &connectors.Result{Record: *rec, Err: m.store(ctx, rec)}
				}
				return nil
			}
		})},
		{"Answers", "closes bodies twice", "closed 2 times", answering(func(rec *connectors.Record, result *connectors.Result, results chan<- *connectors.Result) {
			rec.Close()
			results <- result
		})},
		{"Answers", "fails for nothing", "0 answers have one", running(func(m *MemExporter) exportFunc {
			return func(ctx context.Context, records <-chan *connectors.Record, results chan<- *connectors.Result) error {
				return errors.Join(m.Export(ctx, records, results), errBroken)
			}
		})},
		{"OneBodyAtATime", "waits for all records", "Export: no end", running(func(m *MemExporter) exportFunc {
			return func(ctx context.Context, records <-chan *connectors.Record, results chan<- *connectors.Result) error {
				var all []*connectors.Record
				for rec := range records {
					all = append(all, rec)
				}
				again := make(chan *connectors.Record, len(all))
				for _, rec := range all {
					again <- rec
				}
				close(again)
				return m.Export(ctx, again, results)
			}
		})},
		{"SlowAnswers", "to those who wait alone", "0 answers to 1 records", answering(func(_ *connectors.Record, result *connectors.Result, results chan<- *connectors.Result) {
			select {
			case results <- result:
			default:
			}
		})},
		{"ErrorRecords", "says nothing of it", "the engine looks at the former only", answering(func(_ *connectors.Record, result *connectors.Result, results chan<- *connectors.Result) {
			results <- result
		})},
	}
}

// oddStorings do the wrong thing with records.
func oddStorings() []breakage[DestinationHarness] {
	type store = func(context.Context, *MemExporter, *connectors.Record) error
	// cut stores no more than so many bytes, and is content.
	cut := func(most int64) DestinationHarness {
		return storingFiles(func(_ context.Context, m *MemExporter, rec *connectors.Record) error {
			body, err := io.ReadAll(io.LimitReader(rec.Reader, most))
			m.keep(File(rec.Pathname, body))
			return err
		})
	}
	// partly stores what came of a body, whatever the error.
	var partly store = func(_ context.Context, m *MemExporter, rec *connectors.Record) error {
		body, err := io.ReadAll(rec.Reader)
		m.keep(File(rec.Pathname, body))
		return err
	}
	// renaming stores files under other paths.
	renaming := func(rename func(string) string) DestinationHarness {
		return storingFiles(func(ctx context.Context, m *MemExporter, rec *connectors.Record) error {
			renamed := *rec
			renamed.Pathname = rename(rec.Pathname)
			return m.store(ctx, &renamed)
		})
	}
	// reading stores files that it reads in its own way.
	reading := func(read func(io.Reader) ([]byte, error)) DestinationHarness {
		return storingFiles(func(_ context.Context, m *MemExporter, rec *connectors.Record) error {
			body, err := read(rec.Reader)
			if err == nil && int64(len(body)) != rec.FileInfo.Size() {
				err = ErrSize
			}
			if err == nil {
				m.keep(File(rec.Pathname, body))
			}
			return err
		})
	}
	has := func(m *MemExporter, pathname string) (found Entry, ok bool) {
		for _, e := range m.Entries() {
			if e.Path == pathname {
				return e, true
			}
		}
		return Entry{}, false
	}
	var seen atomic.Int64
	var last atomic.Pointer[[]byte]
	return []breakage[DestinationHarness]{
		{"ManyRecords", "a thousand and no more", "is missing", storing(func(ctx context.Context, m *MemExporter, rec *connectors.Record) error {
			if seen.Add(1) > 1000 {
				return nil
			}
			return m.store(ctx, rec)
		})},
		{"ErrorRecords", "an empty file instead", "should not be", storing(func(ctx context.Context, m *MemExporter, rec *connectors.Record) error {
			if rec.Err != nil {
				m.keep(File(rec.Pathname, nil))
			}
			return m.store(ctx, rec)
		})},
		{"AttributeRecords", "refused", "want none", storing(func(ctx context.Context, m *MemExporter, rec *connectors.Record) error {
			if rec.IsXattr {
				return errBroken
			}
			return m.store(ctx, rec)
		})},
		{"AttributeRecords", "become files", "should not be", storing(func(ctx context.Context, m *MemExporter, rec *connectors.Record) error {
			if rec.IsXattr {
				m.keep(File(rec.Pathname+":"+rec.XattrName, nil))
				return nil
			}
			return m.store(ctx, rec)
		})},
		{"NotFiles", "read", "that is no file was read", storing(func(ctx context.Context, m *MemExporter, rec *connectors.Record) error {
			if !rec.FileInfo.Mode().IsRegular() {
				rec.Reader.Read(make([]byte, 1))
			}
			return m.store(ctx, rec)
		})},
		{"NotFiles", "links become files", "should not be", storing(func(ctx context.Context, m *MemExporter, rec *connectors.Record) error {
			if rec.FileInfo.Mode()&fs.ModeSymlink != 0 {
				m.keep(File(rec.Pathname, []byte(rec.Target)))
				return nil
			}
			return m.store(ctx, rec)
		})},
		{"Sizes", "cut at a part", "body: got", cut(5 * mib)},
		{"SmallOnesAroundALargeOne", "somebody else's body", "body: got", storingFiles(func(_ context.Context, m *MemExporter, rec *connectors.Record) error {
			body, err := io.ReadAll(rec.Reader)
			stored := body
			if other := last.Swap(&body); other != nil && len(*other) > mib {
				stored = *other
			}
			m.keep(File(rec.Pathname, stored))
			return err
		})},
		{"OddReaders", "takes nothing for the end", "want none", reading(func(rd io.Reader) (body []byte, err error) {
			p := make([]byte, 512)
			for n := 1; n > 0 && err == nil; {
				n, err = rd.Read(p)
				body = append(body, p[:n]...)
			}
			if err == io.EOF {
				err = nil
			}
			return body, err
		})},
		{"OddReaders", "loses what comes with the end", "want none", reading(func(rd io.Reader) (body []byte, err error) {
			p := make([]byte, 512)
			for {
				n, err := rd.Read(p)
				if err == io.EOF {
					return body, nil
				}
				if err != nil {
					return nil, err
				}
				body = append(body, p[:n]...)
			}
		})},
		{"BrokenBodies", "keeps what came", "body: got", storingFiles(partly)},
		{"BrokenBodies", "reads once more", "read after the end of the body", storingFiles(func(_ context.Context, m *MemExporter, rec *connectors.Record) error {
			if _, err := io.ReadAll(rec.Reader); err == nil {
				return nil
			}
			_, err := io.ReadAll(rec.Reader)
			return err
		})},
		{"BrokenBodies", "says something else", "want " + errBroken.Error(), storingFiles(func(ctx context.Context, m *MemExporter, rec *connectors.Record) error {
			if m.store(ctx, rec) != nil {
				return io.ErrUnexpectedEOF
			}
			return nil
		})},
		{"UnopenableBodies", "an empty file instead", "should not be", storingFiles(partly)},
		{"ShortBodies", "does not count", "want an error: true", storingFiles(partly)},
		{"LongBodies", "reads what was announced", "want an error: true", storingFiles(func(_ context.Context, m *MemExporter, rec *connectors.Record) error {
			body, err := io.ReadAll(io.LimitReader(rec.Reader, rec.FileInfo.Size()))
			if err == nil {
				m.keep(File(rec.Pathname, body))
			}
			return err
		})},
		{"HostilePaths", "decodes", "is missing", renaming(func(p string) string { return strings.ReplaceAll(p, "%2F", "/") })},
		{"HostilePaths", "one form of letters", "is missing", renaming(strings.ToLower)},
		{"ForeignAttributes", "refuses what it does not know", "want none", storing(func(ctx context.Context, m *MemExporter, rec *connectors.Record) error {
			if len(rec.ExtendedAttributes) > 0 {
				return errBroken
			}
			return m.store(ctx, rec)
		})},
		{"FileBesideFolder", "one name, one thing", "want none", storingFiles(func(ctx context.Context, m *MemExporter, rec *connectors.Record) error {
			if _, taken := has(m, rec.Pathname); taken {
				return fs.ErrExist
			}
			return m.store(ctx, rec)
		})},
		{"SamePathTwice", "appends", "is neither of the two", storingFiles(func(_ context.Context, m *MemExporter, rec *connectors.Record) error {
			body, err := io.ReadAll(rec.Reader)
			e, _ := has(m, rec.Pathname)
			m.keep(File(rec.Pathname, append(e.Body, body...)))
			return err
		})},
		{"ExportAgain", "keeps the older", "body: got", storingFiles(func(ctx context.Context, m *MemExporter, rec *connectors.Record) error {
			if _, there := has(m, rec.Pathname); there {
				return nil
			}
			return m.store(ctx, rec)
		})},
		{"ExportAgain", "clears the place", "is missing", running(func(m *MemExporter) exportFunc {
			return func(ctx context.Context, records <-chan *connectors.Record, results chan<- *connectors.Result) error {
				clear(m.entries)
				return m.Export(ctx, records, results)
			}
		})},
		{"EngineRestore", "cut at a part", "body: got", cut(mib)},
		{"EngineRestoreBelow", "another folder", "is missing", renaming(func(p string) string { return "/restored" + p })},
		{"EngineStoreFails", "keeps what came", "want that of the store", storingFiles(func(ctx context.Context, m *MemExporter, rec *connectors.Record) error {
			partly(ctx, m, rec)
			return nil
		})},
	}
}

// oddEnds do not end as they should when the context does.
func oddEnds() []breakage[DestinationHarness] {
	unmoved := running(func(m *MemExporter) exportFunc {
		return func(ctx context.Context, records <-chan *connectors.Record, results chan<- *connectors.Result) error {
			return m.Export(context.WithoutCancel(ctx), records, results)
		}
	})
	content := running(func(m *MemExporter) exportFunc {
		return func(ctx context.Context, records <-chan *connectors.Record, results chan<- *connectors.Result) error {
			if err := m.Export(ctx, records, results); !errors.Is(err, context.Canceled) {
				return err
			}
			return nil
		}
	})
	partly := storingFiles(func(_ context.Context, m *MemExporter, rec *connectors.Record) error {
		body, err := io.ReadAll(rec.Reader)
		m.keep(File(rec.Pathname, body))
		return err
	})
	twice := running(func(m *MemExporter) exportFunc {
		return func(ctx context.Context, records <-chan *connectors.Record, results chan<- *connectors.Result) error {
			defer close(results)
			for rec := range records {
				result := answer(rec, m.store(ctx, rec))
				results <- result
				if ctx.Err() != nil {
					results <- result
				}
			}
			return ctx.Err()
		}
	})
	const demand = "want context.Canceled"
	return []breakage[DestinationHarness]{
		{"ExportCancelled", "goes on", demand, unmoved},
		{"ExportCancelled", "is content", demand, content},
		{"ExportCancelledMidway", "goes on", demand, unmoved},
		{"ExportCancelledMidway", "is content", demand, content},
		{"ExportCancelledMidway", "answers twice", "2 answers to one record", twice},
		{"ExportCancelledAtTheEnd", "goes on", demand, unmoved},
		{"ExportCancelledWhileReading", "is content", demand, content},
		{"ExportCancelledWhileReading", "keeps what came", "is there in part", partly},
		{"ExportCancelledWhileWaiting", "is content", demand, content},
		{"ExportCancelledWhileWaiting", "keeps what came", "should not be", partly},
		{"EngineCancelled", "is content", demand, content},
	}
}
