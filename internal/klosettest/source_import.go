package klosettest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/PlakarKorp/kloset/connectors"
)

// importChecks are about the course of an Import: channels, acknowledgements,
// readers and the ways it can end.
var importChecks = []check[SourceHarness]{
	{"Capacities", checkCapacities},
	{"WaitsForAcks", checkWaitsForAcks},
	{"UnopenedReaders", checkUnopenedReaders},
	{"HalfReadReaders", checkHalfReadReaders},
	{"AllReadersAtOnce", checkAllReadersAtOnce},
	{"ImportCancelled", checkImportCancelled},
	{"ImportCancelledMidway", checkImportCancelledMidway},
	{"ImportCancelledWhileReading", checkImportCancelledWhileReading},
	{"ConsumerStops", checkConsumerStops},
	{"CloseImporter", checkCloseImporter},
}

// checkCapacities: embedders leave MaxConcurrency at 0 and get channels without
// a buffer.
func checkCapacities(t testing.TB, h SourceHarness) {
	objs := strip(t, some(100), h.Losses)
	imp := h.importer(t, objs)
	for _, d := range []importing{{capacity: 0, workers: 1}, {capacity: 1, workers: 1}, {capacity: 8, workers: 8}, {capacity: 0, workers: 8}} {
		report(t, "import", diffBodies(objs, d.everything(t, h.patience(), imp)))
		imp = h.again(t, imp)
	}
}

// checkWaitsForAcks holds the acknowledgement of the first record back until all
// others are done: a record that is not acknowledged can still be opened.
func checkWaitsForAcks(t testing.TB, h SourceHarness) {
	objs := strip(t, some(20), h.Losses)
	// Not a sync.Once: that would hold up the other worker too.
	var held atomic.Bool
	closed, release := make(chan struct{}), make(chan struct{})
	run := importing{
		capacity: 2, workers: 2,
		visit: func(*connectors.Record) {
			if !held.Swap(true) {
				<-release
			}
		},
	}
	// The second worker sees the records closed while the first one waits.
	run.onEnd = sync.OnceFunc(func() { close(closed) })
	r := run.start(t.Context(), t, h.patience(), h.importer(t, objs))
	select {
	case <-closed:
	case <-time.After(h.patience()):
		t.Error("the records were not closed while one was not acknowledged")
	}
	select {
	case err := <-r.returned:
		t.Errorf("Import returned (error %v) before the last acknowledgement", err)
		close(release)
	case <-time.After(50 * time.Millisecond): // nothing tells that it does not return
		close(release)
		_, err := r.wait()
		must(t, "import", err)
	}
}

// checkUnopenedReaders is the importer's side of an incremental backup.
func checkUnopenedReaders(t testing.TB, h SourceHarness) {
	imp := h.importer(t, append(strip(t, some(50), h.Losses), Object{Key: "large", Body: noise(1, long())}))
	var before int
	if h.BodyReads != nil {
		before = h.BodyReads()
	}
	records, err := importing{capacity: 4, workers: 4, visit: func(rec *connectors.Record) {
		if rec.FileInfo.IsDir() {
			return
		}
		if err := rec.Close(); err != nil {
			t.Errorf("%s: close a reader that was not opened: %v", rec.Pathname, err)
		}
	}}.run(t.Context(), t, h.patience(), imp)
	must(t, "import", err)
	if files := countFiles(records); files != 51 {
		t.Errorf("got %d files, want 51", files)
	}
	if h.BodyReads != nil {
		if n := h.BodyReads() - before; n != 0 {
			t.Errorf("%d bodies were fetched and none was opened", n)
		}
	}
}

func countFiles(records []*connectors.Record) int {
	n := 0
	for _, rec := range records {
		if rec.FileInfo.Mode().IsRegular() {
			n++
		}
	}
	return n
}

// checkHalfReadReaders: the engine closes a reader at the first error of its own.
func checkHalfReadReaders(t testing.TB, h SourceHarness) {
	objs := strip(t, append(some(20), Object{Key: "large", Body: noise(1, long())}), h.Losses)
	imp := h.importer(t, objs)
	half := importing{capacity: 4, workers: 4, visit: func(rec *connectors.Record) {
		if rec.FileInfo.Mode().IsRegular() {
			if _, err := io.CopyN(io.Discard, rec.Reader, rec.FileInfo.Size()/2); err != nil {
				t.Errorf("%s: read the first half: %v", rec.Pathname, err)
			}
		}
	}}
	_, err := half.run(t.Context(), t, h.patience(), imp)
	must(t, "import", err)
	report(t, "import after that", diffBodies(objs, h.everything(t, h.again(t, imp), 4)))
}

// checkAllReadersAtOnce holds as many bodies open as there are workers.
func checkAllReadersAtOnce(t testing.TB, h SourceHarness) {
	const workers = 32
	objs := make([]Object, workers)
	for i := range objs {
		objs[i] = Object{Key: "large " + string(rune('A'+i)), Body: noise(uint64(i), 300_000)}
	}
	var all sync.WaitGroup
	all.Add(workers)
	var mu sync.Mutex
	var entries []Entry
	records, err := importing{capacity: workers, workers: workers, visit: func(rec *connectors.Record) {
		if !rec.FileInfo.Mode().IsRegular() {
			return
		}
		head := make([]byte, 1)
		_, err := io.ReadFull(rec.Reader, head)
		all.Done()
		all.Wait()
		tail, tailErr := io.ReadAll(rec.Reader)
		if err := errors.Join(err, tailErr); err != nil {
			t.Errorf("%s: read: %v", rec.Pathname, err)
		}
		mu.Lock()
		defer mu.Unlock()
		entries = append(entries, File(rec.Pathname, append(head, tail...)))
	}}.run(t.Context(), t, h.patience(), h.importer(t, objs))
	must(t, "import", err)
	if n := countFiles(records); n != workers {
		t.Fatalf("got %d files, want %d", n, workers)
	}
	report(t, "open at the same time", diffBodies(objs, entries))
}

func checkImportCancelled(t testing.TB, h SourceHarness) {
	imp := h.importer(t, strip(t, some(50), h.Losses))
	_, err := importing{capacity: 4, workers: 4}.run(cancelled(t), t, h.patience(), imp)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("import with a cancelled context: error %v, want context.Canceled", err)
	}
}

// checkImportCancelledMidway: an import that was cut short must not look
// complete.
func checkImportCancelledMidway(t testing.TB, h SourceHarness) {
	imp := h.importer(t, strip(t, some(300), h.Losses))
	for _, capacity := range []int{0, 4} {
		ctx, cancel := context.WithCancel(t.Context())
		var mu sync.Mutex
		n := 0
		records, err := importing{capacity: capacity, workers: 2, visit: func(rec *connectors.Record) {
			mu.Lock()
			defer mu.Unlock()
			if n++; n == 20 {
				cancel()
			}
		}}.run(ctx, t, h.patience(), imp)
		cancel()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("import cancelled after 20 of 300 objects (%d records): error %v, want context.Canceled", len(records), err)
		}
		imp = h.again(t, imp)
	}
}

// checkImportCancelledWhileReading: a body that was cut short must not look
// complete either.
func checkImportCancelledWhileReading(t testing.TB, h SourceHarness) {
	body := noise(1, long())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	visited := false
	_, err := importing{capacity: 1, workers: 1, visit: func(rec *connectors.Record) {
		if !rec.FileInfo.Mode().IsRegular() {
			return
		}
		visited = true
		if err := wholeOrError(rec.Reader, body, 1000, cancel); err != nil {
			t.Errorf("read cancelled after 1,000 bytes: %v", err)
		}
	}}.run(ctx, t, h.patience(), h.importer(t, []Object{{Key: "large", Body: body}}))
	if !visited {
		t.Error("the object did not come")
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("import cancelled while reading: error %v, want context.Canceled", err)
	}
}

// wholeOrError reads n bytes, calls then, and reads on. Either an error or the
// whole body is right.
func wholeOrError(rd io.Reader, want []byte, n int64, then func()) error {
	var got bytes.Buffer
	_, err := io.CopyN(&got, rd, n)
	then()
	if err == nil {
		_, err = got.ReadFrom(rd)
	}
	if line := diffBody(want, got.Bytes()); err == nil && line != "" {
		return errors.New("no error, but " + line)
	}
	return nil
}

// checkConsumerStops: nobody takes records any more, and the context ends.
func checkConsumerStops(t testing.TB, h SourceHarness) {
	imp := h.importer(t, strip(t, some(300), h.Losses))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	records, results := make(chan *connectors.Record), make(chan *connectors.Result)
	returned := async(func() error { return imp.Import(ctx, records, results) })
	for range 5 {
		select {
		case rec, ok := <-records:
			if !ok {
				t.Fatal("records closed after fewer than 5 of 300 objects")
			}
			rec.Close()
		case <-time.After(h.patience()):
			t.Fatalf("no record within %s", h.patience())
		}
	}
	cancel()
	close(results) // no record will be acknowledged any more
	err := within(t, h.patience(), "import without a consumer and cancelled", func() error { return <-returned })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("import without a consumer and cancelled: error %v, want context.Canceled", err)
	}
}

// checkCloseImporter closes as programs do on their way out: twice, and with a
// dead context.
func checkCloseImporter(t testing.TB, h SourceHarness) {
	imp := h.New(t, strip(t, some(5), h.Losses))
	h.everything(t, imp, 4)
	must(t, "close", imp.Close(cancelled(t)))
	must(t, "close again", imp.Close(t.Context()))
}
