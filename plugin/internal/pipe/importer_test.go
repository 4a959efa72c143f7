package pipe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"github.com/PlakarKorp/kloset/connectors"
	"github.com/PlakarKorp/kloset/connectors/importer"
	"github.com/PlakarKorp/kloset/location"
	"github.com/PlakarKorp/kloset/objects"
)

// fakeImporter imports as a function says.
type fakeImporter struct {
	importer.Importer
	flags    location.Flags
	closed   atomic.Bool
	importer func(ctx context.Context, records chan<- *connectors.Record, results <-chan *connectors.Result) error
}

func (f *fakeImporter) Origin() string              { return "origin" }
func (f *fakeImporter) Type() string                { return "type" }
func (f *fakeImporter) Root() string                { return "/root" }
func (f *fakeImporter) Flags() location.Flags       { return f.flags }
func (f *fakeImporter) Ping(context.Context) error  { return nil }
func (f *fakeImporter) Close(context.Context) error { f.closed.Store(true); return nil }

func (f *fakeImporter) Import(ctx context.Context, records chan<- *connectors.Record, results <-chan *connectors.Result) error {
	return f.importer(ctx, records, results)
}

func file(path string, open func() (io.ReadCloser, error)) *connectors.Record {
	info := objects.NewFileInfo(path[strings.LastIndexByte(path, '/')+1:], 1, 0o644, time.Unix(1, 2), 0, 3, 0, 0, 1)
	return connectors.NewRecord(path, "", info, []string{"s3.etag=x"}, open)
}

// engine does what Kloset's does with an importer: it takes records with some
// workers, reads the bodies, and acknowledges.
type engine struct {
	mu     sync.Mutex
	bodies map[string][]byte
	errs   map[string]error
	skip   bool // nothing is read
}

func (e *engine) run(t *testing.T, imp importer.Importer) error {
	t.Helper()
	e.bodies, e.errs = make(map[string][]byte), make(map[string]error)
	const workers = 2
	records := make(chan *connectors.Record, workers)
	results := make(chan *connectors.Result, workers)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for record := range records {
				e.take(record)
				results <- record.Ok()
			}
		})
	}
	go func() {
		wg.Wait()
		close(results)
	}()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return imp.Import(ctx, records, results)
}

func (e *engine) take(record *connectors.Record) {
	var body []byte
	err := record.Err
	if err == nil && !e.skip {
		body, err = io.ReadAll(record.Reader)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if err != nil {
		e.errs[record.Pathname] = err
		return
	}
	e.bodies[record.Pathname] = body
}

// TestFailedListingIsNoShortListing fails an import after some records. The
// host must never be told that this was the end.
func TestFailedListingIsNoShortListing(t *testing.T) {
	broken := errors.New("page 2 is broken")
	for range 50 { // the defect is a race
		imp := hostImporter(t, &fakeImporter{
			flags: location.FLAG_NEEDACK,
			importer: func(_ context.Context, records chan<- *connectors.Record, _ <-chan *connectors.Result) error {
				defer close(records)
				for i := range 3 {
					records <- file(fmt.Sprintf("/f%d", i), nil)
				}
				return broken
			},
		})
		err := (&engine{skip: true}).run(t, imp)
		if err == nil || !strings.Contains(err.Error(), broken.Error()) {
			t.Fatalf("import: %v, want %q", err, broken)
		}
	}
}

// TestVerdictComesBeforeTheEnd lets an importer judge by what the host did with
// its records.
func TestVerdictComesBeforeTheEnd(t *testing.T) {
	const n = 100
	for _, needAck := range []bool{true, false} {
		t.Run(fmt.Sprint("acknowledgements=", needAck), func(t *testing.T) {
			var read, acknowledged atomic.Int32 // by the host, and to the importer
			fake := &fakeImporter{}
			if needAck {
				fake.flags = location.FLAG_NEEDACK
			}
			fake.importer = func(_ context.Context, records chan<- *connectors.Record, results <-chan *connectors.Result) error {
				var wg sync.WaitGroup
				if (results != nil) != needAck {
					t.Errorf("results are %v", results)
				}
				if results != nil {
					wg.Go(func() {
						for range results {
							acknowledged.Add(1)
						}
					})
				}
				for i := range n {
					records <- file(fmt.Sprintf("/f%d", i), func() (io.ReadCloser, error) {
						read.Add(1)
						return io.NopCloser(strings.NewReader("x")), nil
					})
				}
				close(records)
				wg.Wait()
				if needAck && (read.Load() != n || acknowledged.Load() != n) {
					return fmt.Errorf("%d read, %d acknowledged", read.Load(), acknowledged.Load())
				}
				return errors.New("one of them was bad")
			}
			err := (&engine{}).run(t, hostImporter(t, fake))
			want := "one of them was bad"
			if !needAck {
				// Without acknowledgements there is nothing to wait for.
				read.Store(n)
			}
			if err == nil || !strings.Contains(err.Error(), want) || read.Load() != n {
				t.Errorf("import: %v after %d bodies, want %q", err, read.Load(), want)
			}
		})
	}
}

// TestBodies sends bodies that are hard to cut into chunks.
func TestBodies(t *testing.T) {
	large := bytes.Repeat([]byte("0123456789abcdef"), 5<<16+1) // 5 MiB and 16 bytes
	broken := errors.New("connection reset")
	cases := map[string]struct {
		body io.Reader
		want []byte
		err  string
	}{
		"/empty":          {body: strings.NewReader("")},
		"/large":          {body: bytes.NewReader(large), want: large},
		"/byte by byte":   {body: iotest.OneByteReader(strings.NewReader("slowly")), want: []byte("slowly")},
		"/nothing at all": {body: &hesitant{r: strings.NewReader("at last")}, want: []byte("at last")},
		"/data with end":  {body: iotest.DataErrReader(strings.NewReader("together")), want: []byte("together")},
		"/cut":            {body: io.MultiReader(strings.NewReader("half"), iotest.ErrReader(io.ErrUnexpectedEOF)), err: "unexpected EOF"},
		"/broken":         {body: io.MultiReader(bytes.NewReader(large), iotest.ErrReader(broken)), err: broken.Error()},
		"/unopened":       {err: "no such thing"},
	}
	fake := &fakeImporter{flags: location.FLAG_NEEDACK}
	fake.importer = func(_ context.Context, records chan<- *connectors.Record, results <-chan *connectors.Result) error {
		go func() {
			defer close(records)
			for path, c := range cases {
				records <- file(path, func() (io.ReadCloser, error) {
					if c.body == nil {
						return nil, errors.New("no such thing")
					}
					return io.NopCloser(c.body), nil
				})
			}
			records <- connectors.NewError("/error", errors.New("bad \xff text"))
		}()
		for range results {
		}
		return nil
	}
	var e engine
	if err := e.run(t, hostImporter(t, fake)); err != nil {
		t.Fatal(err)
	}
	for path, c := range cases {
		switch {
		case c.err != "" && (e.errs[path] == nil || !strings.Contains(e.errs[path].Error(), c.err)):
			t.Errorf("%s: %v, want an error with %q", path, e.errs[path], c.err)
		case c.err == "" && (e.errs[path] != nil || !bytes.Equal(e.bodies[path], c.want)):
			t.Errorf("%s: %d bytes, %v, want %d bytes", path, len(e.bodies[path]), e.errs[path], len(c.want))
		}
	}
	if err := e.errs["/error"]; err == nil || err.Error() != "bad \ufffd text" {
		t.Errorf("error record: %v", err)
	}
}

// hesitant returns nothing, without an error, before each read.
type hesitant struct {
	r     io.Reader
	ready bool
}

func (h *hesitant) Read(p []byte) (int, error) {
	if h.ready = !h.ready; h.ready {
		return 0, nil
	}
	return h.r.Read(p[:1])
}

// TestUnreadBodiesAreClosed counts the bodies that hold something when the host
// does not want them.
func TestUnreadBodiesAreClosed(t *testing.T) {
	const n = 20
	var closed atomic.Int32
	fake := &fakeImporter{flags: location.FLAG_NEEDACK}
	fake.importer = func(_ context.Context, records chan<- *connectors.Record, results <-chan *connectors.Result) error {
		go func() {
			defer close(records)
			for i := range n {
				record := file(fmt.Sprintf("/f%d", i), nil)
				record.Reader = closeFunc(func() { closed.Add(1) })
				records <- record
			}
		}()
		for range results {
		}
		return nil
	}
	imp := hostImporter(t, fake)
	if err := (&engine{skip: true}).run(t, imp); err != nil {
		t.Fatal(err)
	}
	if closed.Load() != n {
		t.Errorf("%d of %d bodies closed", closed.Load(), n)
	}
	if err := imp.Close(t.Context()); err != nil || !fake.closed.Load() {
		t.Errorf("close: %v, %v", err, fake.closed.Load())
	}
}

type closeFunc func()

func (f closeFunc) Read([]byte) (int, error) { return 0, io.EOF }
func (f closeFunc) Close() error             { f(); return nil }

// TestImportEndsWithTheHost takes the host away in the middle. The importer
// must be told, and nothing may go on.
func TestImportEndsWithTheHost(t *testing.T) {
	started, told := make(chan struct{}), make(chan error, 1)
	fake := &fakeImporter{flags: location.FLAG_NEEDACK}
	fake.importer = func(ctx context.Context, records chan<- *connectors.Record, _ <-chan *connectors.Result) error {
		defer close(records)
		close(started)
		<-ctx.Done()
		told <- ctx.Err()
		return ctx.Err()
	}
	imp := hostImporter(t, fake)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-started
		cancel()
	}()
	records, results := make(chan *connectors.Record), make(chan *connectors.Result)
	go func() {
		for range records {
		}
		close(results)
	}()
	if err := imp.Import(ctx, records, results); err == nil {
		t.Error("a cancelled import returned no error")
	}
	select {
	case err := <-told:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the importer was told %v", err)
		}
	case <-time.After(patience):
		t.Error("the importer was not told")
	}
}
