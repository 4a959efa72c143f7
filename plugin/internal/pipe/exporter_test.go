package pipe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/PlakarKorp/kloset/connectors"
	"github.com/PlakarKorp/kloset/connectors/exporter"
	"github.com/PlakarKorp/kloset/location"
	"github.com/PlakarKorp/kloset/objects"
)

// fakeExporter does with each record what a function says, in order, and
// answers with what that returns.
type fakeExporter struct {
	exporter.Exporter
	take func(*connectors.Record) error
	end  func() error
}

func (f *fakeExporter) Origin() string              { return "origin" }
func (f *fakeExporter) Type() string                { return "type" }
func (f *fakeExporter) Root() string                { return "/" }
func (f *fakeExporter) Flags() location.Flags       { return 0 }
func (f *fakeExporter) Ping(context.Context) error  { return nil }
func (f *fakeExporter) Close(context.Context) error { return nil }

func (f *fakeExporter) Export(ctx context.Context, records <-chan *connectors.Record, results chan<- *connectors.Result) error {
	defer close(results)
	for record := range records {
		results <- record.Error(f.take(record))
	}
	if f.end != nil {
		return f.end()
	}
	return ctx.Err()
}

// restore does what Kloset's engine does with an exporter: it sends all records
// and collects the answers, by path.
func restore(t *testing.T, exp exporter.Exporter, records ...*connectors.Record) (map[string]error, error) {
	t.Helper()
	in := make(chan *connectors.Record)
	results := make(chan *connectors.Result)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	answers := make(map[string]error)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(in)
		for _, record := range records {
			select {
			case in <- record:
			case <-ctx.Done():
				return
			}
		}
	})
	wg.Go(func() {
		for result := range results {
			answers[result.Record.Pathname] = result.Err
		}
	})
	err := exp.Export(ctx, in, results)
	cancel() // the engine's sender hangs when its exporter gives up
	wg.Wait()
	return answers, err
}

func textFile(path, body string) *connectors.Record {
	return file(path, func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil })
}

// TestBodyEndsAtItsMark reads, closes and neglects bodies in every way that a
// retrying HTTP client might. The bytes of one must never end up in another.
func TestBodyEndsAtItsMark(t *testing.T) {
	long := strings.Repeat("long body ", 300_000) // 3 chunks
	again := func(r io.Reader) error {
		for range 3 {
			if n, err := r.Read(make([]byte, 8)); n != 0 || err == nil {
				return fmt.Errorf("%d bytes after the end, %v", n, err)
			}
		}
		return nil
	}
	ways := map[string]func(io.ReadCloser) (string, error){
		"whole": func(r io.ReadCloser) (string, error) {
			b, err := io.ReadAll(r)
			return string(b), err
		},
		"whole, and again": func(r io.ReadCloser) (string, error) {
			b, err := io.ReadAll(r)
			return string(b), errors.Join(err, again(r))
		},
		"whole, closed, and again": func(r io.ReadCloser) (string, error) {
			b, err := io.ReadAll(r)
			return string(b), errors.Join(err, r.Close(), r.Close(), again(r))
		},
		"a part, closed, and again": func(r io.ReadCloser) (string, error) {
			b := make([]byte, 5)
			n, err := io.ReadFull(r, b)
			if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
				err = nil
			}
			return string(b[:n]), errors.Join(err, r.Close(), again(r))
		},
		"nothing": func(io.ReadCloser) (string, error) { return "", nil },
		"nothing asked for": func(r io.ReadCloser) (string, error) {
			if n, err := r.Read(nil); n != 0 || err != nil && !errors.Is(err, io.EOF) {
				return "", fmt.Errorf("%d bytes, %w", n, err)
			}
			return "", nil
		},
	}
	for way, read := range ways {
		t.Run(way, func(t *testing.T) {
			bodies := map[string]string{"/a": "first", "/b": "", "/c": long, "/d": "x", "/e": "last"}
			got := make(map[string]string)
			exp := hostExporter(t, &fakeExporter{take: func(record *connectors.Record) error {
				if record.Reader == nil {
					return nil
				}
				body, err := read(record.Reader)
				got[record.Pathname] = body
				return err
			}})
			var records []*connectors.Record
			for _, path := range slices.Sorted(maps.Keys(bodies)) {
				records = append(records, textFile(path, bodies[path]))
			}
			records = append(records, folder("/f"))
			answers, err := restore(t, exp, records...)
			if err != nil {
				t.Fatal(err)
			}
			if len(answers) != len(records) {
				t.Errorf("%d answers for %d records", len(answers), len(records))
			}
			for path, want := range bodies {
				if answers[path] != nil {
					t.Errorf("%s: %v", path, answers[path])
				}
				switch {
				case strings.HasPrefix(way, "whole") && got[path] != want:
					t.Errorf("%s: got %d bytes, want %d", path, len(got[path]), len(want))
				case !strings.HasPrefix(want, got[path]):
					t.Errorf("%s: got %.20q, want a beginning of %.20q", path, got[path], want)
				}
			}
		})
	}
}

func folder(path string) *connectors.Record {
	return connectors.NewRecord(path, "", objects.FileInfo{Lname: path[1:], Lmode: 1<<31 | 0o755}, nil, nil)
}

// TestBodiesWaitNowhere keeps all bodies until the last record is there, as an
// exporter does that uploads several at a time.
func TestBodiesWaitNowhere(t *testing.T) {
	const n = 20
	taken := make(map[string][]byte)
	exp := hostExporter(t, &fakeExporter{take: func(record *connectors.Record) error {
		body, err := io.ReadAll(record.Reader) // not closed
		taken[record.Pathname] = body
		record.Reader = nil
		return err
	}})
	var records []*connectors.Record
	for i := range n {
		records = append(records, textFile(fmt.Sprintf("/f%02d", i), fmt.Sprint(i)))
	}
	if _, err := restore(t, exp, records...); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if path := fmt.Sprintf("/f%02d", i); !bytes.Equal(taken[path], fmt.Append(nil, i)) {
			t.Errorf("%s: %q", path, taken[path])
		}
	}
}

// TestCutBodyIsNoBody ends the stream where the repository could not be read.
func TestCutBodyIsNoBody(t *testing.T) {
	var bodyErr error
	exp := hostExporter(t, &fakeExporter{take: func(record *connectors.Record) error {
		_, bodyErr = io.ReadAll(record.Reader)
		return bodyErr
	}})
	lost := errors.New("packfile is lost")
	_, err := restore(t, exp, file("/f", func() (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(strings.NewReader("half"), iotest.ErrReader(lost))), nil
	}))
	if !errors.Is(err, lost) {
		t.Errorf("restore: %v, want %v", err, lost)
	}
	if !errors.Is(bodyErr, io.ErrUnexpectedEOF) {
		t.Errorf("the exporter saw %v, want %v", bodyErr, io.ErrUnexpectedEOF)
	}
}

// TestAnswersComeBeforeTheError fails some records, and the run at its end.
func TestAnswersComeBeforeTheError(t *testing.T) {
	const n = 100
	for range 20 { // the defect is a race
		exp := hostExporter(t, &fakeExporter{
			take: func(record *connectors.Record) error {
				if strings.HasSuffix(record.Pathname, "7") {
					return errors.New("bad \xff object")
				}
				return nil
			},
			end: func() error { return errors.New("10 objects failed") },
		})
		var records []*connectors.Record
		for i := range n {
			records = append(records, textFile(fmt.Sprintf("/f%d", i), "body"))
		}
		answers, err := restore(t, exp, records...)
		if err == nil || !strings.Contains(err.Error(), "10 objects failed") {
			t.Errorf("restore: %v", err)
		}
		if len(answers) != n {
			t.Fatalf("%d answers, want %d", len(answers), n)
		}
		for path, err := range answers {
			if bad := strings.HasSuffix(path, "7"); bad != (err != nil) || bad && err.Error() != "bad \ufffd object" {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
}

// TestRecordsArriveWhole compares what an exporter gets with what was sent.
func TestRecordsArriveWhole(t *testing.T) {
	sent := textFile("/folder/%2F", "body")
	sent.FileInfo.Lino = 1 << 63
	sent.ExtendedAttributes = []string{"s3.etag=x", "s3.meta.a=" + strings.Repeat("ü", 1000)}
	var got *connectors.Record
	exp := hostExporter(t, &fakeExporter{take: func(record *connectors.Record) error {
		got = record
		return nil
	}})
	if _, err := restore(t, exp, sent); err != nil {
		t.Fatal(err)
	}
	if got.Pathname != sent.Pathname || !got.FileInfo.Equal(&sent.FileInfo) || !slices.Equal(got.ExtendedAttributes, sent.ExtendedAttributes) {
		t.Errorf("got %+v, want %+v", got, sent)
	}
}
