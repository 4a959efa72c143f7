package klosettest

import (
	"context"
	"errors"
	"io"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/PlakarKorp/kloset/connectors"
	"github.com/PlakarKorp/kloset/connectors/importer"
	"github.com/PlakarKorp/kloset/location"
)

func TestRunSourceBites(t *testing.T) {
	bites(t, sourceChecks, slices.Concat(oddIdentities(), oddEntries(), oddRecords(), oddImports()))
}

// sourceBreakage is a breakage of the importer that broken makes.
func sourceBreakage(check, fault, finds string, broken func(objs []Object) importer.Importer) breakage[SourceHarness] {
	h := SourceHarness{
		New:      func(_ testing.TB, objs []Object) importer.Importer { return broken(objs) },
		Patience: patienceFor(finds),
	}
	if strings.HasPrefix(check, "Engine") {
		// The engine takes its time for each file.
		h.Keeps = func(key string) bool { return slices.Contains(ordinaryKeys(), key) }
	}
	return breakage[SourceHarness]{check, fault, finds, h}
}

// oddImporter is an importer that differs from the inner one where a field is
// set.
type oddImporter struct {
	importer.Importer
	flags  func() location.Flags
	root   func() string
	origin func() string
	ping   func() error
	close  func() error
	run    importFunc
}

type importFunc func(context.Context, chan<- *connectors.Record, <-chan *connectors.Result) error

func (o *oddImporter) Flags() location.Flags {
	if o.flags != nil {
		return o.flags()
	}
	return o.Importer.Flags()
}

func (o *oddImporter) Root() string {
	if o.root != nil {
		return o.root()
	}
	return o.Importer.Root()
}

func (o *oddImporter) Origin() string {
	if o.origin != nil {
		return o.origin()
	}
	return o.Importer.Origin()
}

func (o *oddImporter) Ping(ctx context.Context) error {
	if o.ping != nil {
		return o.ping()
	}
	return o.Importer.Ping(ctx)
}

func (o *oddImporter) Close(ctx context.Context) error {
	if o.close != nil {
		return o.close()
	}
	return o.Importer.Close(ctx)
}

func (o *oddImporter) Import(ctx context.Context, records chan<- *connectors.Record, results <-chan *connectors.Result) error {
	if o.run != nil {
		return o.run(ctx, records, results)
	}
	return o.Importer.Import(ctx, records, results)
}

func memImporter(objs []Object) *MemImporter { return NewMemImporter(EntriesOf(objs)) }

func oddIdentities() []breakage[SourceHarness] {
	odd := func(fault, finds string, change func(*oddImporter)) breakage[SourceHarness] {
		return sourceBreakage("Identity", fault, finds, func(objs []Object) importer.Importer {
			o := &oddImporter{Importer: memImporter(objs)}
			change(o)
			return o
		})
	}
	fails := func() error { return errBroken }
	second := func() func() error {
		var calls atomic.Int64
		return func() error {
			if calls.Add(1) > 1 {
				return errBroken
			}
			return nil
		}
	}
	return []breakage[SourceHarness]{
		odd("no acknowledgements", "FLAG_NEEDACK", func(o *oddImporter) { o.flags = func() location.Flags { return 0 } }),
		odd("unclean root", "not absolute and clean", func(o *oddImporter) { o.root = func() string { return "/x/" } }),
		odd("no origin", "must not be empty", func(o *oddImporter) { o.origin = func() string { return "" } }),
		odd("no ping", errBroken.Error(), func(o *oddImporter) { o.ping = fails }),
		odd("origin changes", "after an import they are", func(o *oddImporter) {
			var calls atomic.Int64
			o.origin = func() string { return strings.Repeat("x", int(calls.Add(1))) }
		}),
		sourceBreakage("CloseImporter", "closes once", errBroken.Error(), func(objs []Object) importer.Importer {
			return &oddImporter{Importer: memImporter(objs), close: second()}
		}),
		sourceBreakage("CloseImporter", "leaves a goroutine", "left behind", func(objs []Object) importer.Importer {
			return &oddImporter{Importer: memImporter(objs), close: func() error {
				go func() { select {} }()
				return nil
			}}
		}),
	}
}

// oddEntries are importers that work and say the wrong thing.
func oddEntries() []breakage[SourceHarness] {
	odd := func(check, fault, finds string, change func([]Entry) []Entry) breakage[SourceHarness] {
		return sourceBreakage(check, fault, finds, func(objs []Object) importer.Importer {
			return NewMemImporter(change(EntriesOf(objs)))
		})
	}
	// each changes every file.
	each := func(check, fault, finds string, change func(*Entry)) breakage[SourceHarness] {
		return odd(check, fault, finds, func(entries []Entry) []Entry {
			for i := range entries {
				if entries[i].IsRegular() {
					change(&entries[i])
				}
			}
			return entries
		})
	}
	without := func(drop func(Entry) bool) func([]Entry) []Entry {
		return func(entries []Entry) []Entry { return slices.DeleteFunc(entries, drop) }
	}
	plus := func(extra ...Entry) func([]Entry) []Entry {
		return func(entries []Entry) []Entry { return append(entries, extra...) }
	}
	isFolder := func(e Entry) bool { return e.Info.IsDir() && e.Path != "/" }
	return []breakage[SourceHarness]{
		odd("EmptyBucket", "a file from nowhere", "has the file", plus(File("/x", nil))),
		odd("Paths", "relative", "not absolute", plus(File("x", nil))),
		odd("Paths", "slash at the end", "not clean", plus(File("/x/", nil))),
		odd("Paths", "empty component", "not clean", plus(File("/twice//x", nil))),
		odd("Paths", "twice", "two records", plus(File("/README.md", nil))),
		odd("Paths", "file in a file", "where the engine loses it", plus(File("/README.md/x", nil))),
		odd("Paths", "file far in a file", "where the engine loses it", plus(File("/README.md/x/y/z", nil))),
		odd("Paths", "not UTF-8", "not UTF-8", plus(File("/\xfe", nil))),
		odd("Paths", "root is a file", "root is not a folder", plus(Entry{Path: "/", Info: File("/", nil).Info})),
		odd("Paths", "other name", "the last component is", plus(Entry{Path: "/here", Info: File("/there", nil).Info})),
		sourceBreakage("Paths", "outside the root", "outside the root", func(objs []Object) importer.Importer {
			return &oddImporter{Importer: memImporter(objs), root: func() string { return "/docs" }}
		}),
		odd("Folders", "no folders", "no folder record", without(isFolder)),
		odd("Folders", "folders last", "no folder record", func(entries []Entry) []Entry {
			slices.SortStableFunc(entries, func(a, b Entry) int { return strings.Compare(kind(a), kind(b)) })
			return entries
		}),
		odd("Folders", "a link", "neither file nor folder", plus(Symlink("/link", "README.md"))),
		each("FileInfo", "links", "2 links", func(e *Entry) { e.Info.Lnlink = 2 }),
		each("FileInfo", "attributes not UTF-8", "is not UTF-8", func(e *Entry) { e.Attributes = append(e.Attributes, "x=\xff") }),
		each("FileInfo", "other size", "the body has", func(e *Entry) { e.Info.Lsize++ }),
		each("FileInfo", "no time", "time 0001", func(e *Entry) { e.Info.LmodTime = time.Time{} }),
		each("FileInfo", "no mode", "could not be read", func(e *Entry) { e.Info.Lmode = 0 }),
		odd("Bodies", "an object is missing", "no file holds the body of", without(func(e Entry) bool { return e.Path == "/README.md" })),
		odd("Bodies", "an object is there twice", "holds the body of no object", func(entries []Entry) []Entry {
			again := entries[len(entries)-1]
			again.Path += " again"
			return append(entries, again)
		}),
		each("Bodies", "cut short", "no file holds the body of", func(e *Entry) {
			if len(e.Body) > mib {
				e.Body = e.Body[:mib]
			}
		}),
		odd("EmptyObjects", "nothing is nothing", "no file holds the body of", without(func(e Entry) bool { return e.IsRegular() && len(e.Body) == 0 })),
		each("OrdinaryKeys", "encoded", "no file .../", func(e *Entry) {
			e.Path = path.Join(path.Dir(e.Path), "@"+path.Base(e.Path))
			e.Info.Lname = path.Base(e.Path)
		}),
		each("AttributesChangeFileInfo", "only the body counts", "have equal file infos", func(e *Entry) { e.Info.Lino = 0 }),
	}
}

// oddRecords are importers whose records break what the engine relies on.
func oddRecords() []breakage[SourceHarness] {
	// each changes the records of files on their way.
	each := func(check, fault, finds string, change func(context.Context, *connectors.Record)) breakage[SourceHarness] {
		return sourceBreakage(check, fault, finds, func(objs []Object) importer.Importer {
			return changing(memImporter(objs), change)
		})
	}
	replace := func(wrap func(io.ReadCloser) io.ReadCloser) func(context.Context, *connectors.Record) {
		return func(_ context.Context, rec *connectors.Record) { rec.Reader = wrap(rec.Reader) }
	}
	var imports atomic.Uint64
	shared := make([]string, 1)
	var fetched atomic.Int64
	ahead := each("UnopenedReaders", "fetches ahead", "were fetched and none was opened",
		func(context.Context, *connectors.Record) { fetched.Add(1) })
	ahead.harness.BodyReads = func() int { return int(fetched.Load()) }
	return []breakage[SourceHarness]{
		ahead,
		each("AttributesAreOwn", "one list for all", "is shared", func(_ context.Context, rec *connectors.Record) { rec.ExtendedAttributes = shared }),
		each("SecondImportIsEqual", "numbers all files", "file info", func(_ context.Context, rec *connectors.Record) { rec.FileInfo.Lino = imports.Add(1) }),
		each("EngineIncremental", "numbers all files", "read again", func(_ context.Context, rec *connectors.Record) { rec.FileInfo.Lino = imports.Add(1) }),
		each("EngineBackup", "cannot read one", ErrUnstored.Error(), func(_ context.Context, rec *connectors.Record) {
			if rec.Pathname == "/README.md" {
				rec.Reader = ownClose{Reader: breaking(nil, func() error { return errBroken })}
			}
		}),
		each("UnopenedReaders", "closes only what is open", errBroken.Error(),
			replace(func(rd io.ReadCloser) io.ReadCloser { return ownClose{rd, func() error { return errBroken }} })),
		each("ImportCancelledWhileReading", "ends quietly", "no error, but", func(ctx context.Context, rec *connectors.Record) {
			rd := rec.Reader
			rec.Reader = ownClose{Reader: readerFunc(func(p []byte) (int, error) {
				if ctx.Err() != nil {
					return 0, io.EOF
				}
				return rd.Read(p)
			})}
		}),
		budgeted("AllReadersAtOnce", "four at a time", 4),
		budgeted("HalfReadReaders", "only the end of a body makes room", 10),
	}
}

// changing is an importer that changes the records of files on their way.
func changing(inner importer.Importer, change func(context.Context, *connectors.Record)) importer.Importer {
	return &oddImporter{Importer: inner, run: func(ctx context.Context, records chan<- *connectors.Record, results <-chan *connectors.Result) error {
		offered := make(chan *connectors.Record)
		var wg sync.WaitGroup
		wg.Go(func() {
			defer close(records)
			for rec := range offered {
				if rec.FileInfo.Mode().IsRegular() {
					change(ctx, rec)
				}
				records <- rec
			}
		})
		err := inner.Import(ctx, offered, results)
		wg.Wait()
		return err
	}}
}

// budgeted is an importer of which only so many bodies can be open that have
// not been read to the end.
func budgeted(check, fault string, open int) breakage[SourceHarness] {
	return sourceBreakage(check, fault, "did not return", func(objs []Object) importer.Importer {
		budget := make(chan struct{}, open)
		return changing(memImporter(objs), func(_ context.Context, rec *connectors.Record) {
			take := sync.OnceFunc(func() { budget <- struct{}{} })
			give := sync.OnceFunc(func() { <-budget })
			rd := rec.Reader
			rec.Reader = ownClose{Reader: readerFunc(func(p []byte) (int, error) {
				take()
				n, err := rd.Read(p)
				if err == io.EOF {
					give()
				}
				return n, err
			})}
		})
	})
}

// ownClose is a reader with a Close of its own; nil does nothing.
type ownClose struct {
	io.Reader
	close func() error
}

func (c ownClose) Close() error {
	if c.close == nil {
		return nil
	}
	return c.close()
}

// oddImports are importers that get the course of an Import wrong.
func oddImports() []breakage[SourceHarness] {
	odd := func(check, fault, finds string, run func(*MemImporter) importFunc) breakage[SourceHarness] {
		return sourceBreakage(check, fault, finds, func(objs []Object) importer.Importer {
			m := memImporter(objs)
			return &oddImporter{Importer: m, run: run(m)}
		})
	}
	unmoved := func(m *MemImporter) importFunc {
		return func(ctx context.Context, records chan<- *connectors.Record, results <-chan *connectors.Result) error {
			return m.Import(context.WithoutCancel(ctx), records, results)
		}
	}
	return []breakage[SourceHarness]{
		odd("Capacities", "drops what nobody waits for", "no file holds the body of", func(m *MemImporter) importFunc {
			return func(_ context.Context, records chan<- *connectors.Record, results <-chan *connectors.Result) error {
				for _, e := range m.entries {
					select {
					case records <- e.record(m.open):
					default:
					}
				}
				close(records)
				for range results {
				}
				return nil
			}
		}),
		odd("Capacities", "never closes its records", "did not close records", func(m *MemImporter) importFunc {
			return func(ctx context.Context, records chan<- *connectors.Record, results <-chan *connectors.Result) error {
				go func() {
					for range results {
					}
				}()
				return m.send(ctx, records)
			}
		}),
		odd("Capacities", "does not read acknowledgements", "did not return", func(m *MemImporter) importFunc {
			return func(ctx context.Context, records chan<- *connectors.Record, _ <-chan *connectors.Result) error {
				defer close(records)
				return m.send(ctx, records)
			}
		}),
		odd("WaitsForAcks", "returns at once", "before the last acknowledgement", func(m *MemImporter) importFunc {
			return func(ctx context.Context, records chan<- *connectors.Record, results <-chan *connectors.Result) error {
				go func() {
					for range results {
					}
				}()
				defer close(records)
				return m.send(ctx, records)
			}
		}),
		odd("WaitsForAcks", "keeps the records open", "were not closed", func(m *MemImporter) importFunc {
			return func(ctx context.Context, records chan<- *connectors.Record, results <-chan *connectors.Result) error {
				var wg sync.WaitGroup
				wg.Go(func() {
					for range m.entries {
						<-results
					}
				})
				err := m.send(ctx, records)
				wg.Wait()
				close(records)
				return err
			}
		}),
		odd("ImportCancelled", "goes on", "want context.Canceled", unmoved),
		odd("ImportCancelledMidway", "goes on", "want context.Canceled", unmoved),
		odd("ImportCancelledMidway", "takes it for the end", "want context.Canceled", func(m *MemImporter) importFunc {
			return func(ctx context.Context, records chan<- *connectors.Record, results <-chan *connectors.Result) error {
				if err := m.Import(ctx, records, results); !errors.Is(err, context.Canceled) {
					return err
				}
				return nil
			}
		}),
		odd("ConsumerStops", "sends without looking", "no end after", unmoved),
		odd("EngineCancelled", "does not survive a cancellation", errBroken.Error(), func(m *MemImporter) importFunc {
			var cancelled atomic.Bool
			return func(ctx context.Context, records chan<- *connectors.Record, results <-chan *connectors.Result) error {
				if cancelled.Load() {
					close(records)
					return errBroken
				}
				err := m.Import(ctx, records, results)
				cancelled.Store(err != nil)
				return err
			}
		}),
	}
}
