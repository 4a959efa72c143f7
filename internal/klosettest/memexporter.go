package klosettest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/PlakarKorp/kloset/connectors"
	"github.com/PlakarKorp/kloset/connectors/exporter"
	"github.com/PlakarKorp/kloset/location"
)

// ErrSize is the error of a [MemExporter] for a body that is not as long as its
// record says.
var ErrSize = errors.New("klosettest: body is not as long as its record says")

// MemExporter is an exporter that keeps everything in memory, one record after
// the other. It may be exported to again; later entries replace earlier ones.
type MemExporter struct {
	mu      sync.Mutex
	entries map[string]Entry
}

var _ exporter.Exporter = (*MemExporter)(nil)

// NewMemExporter returns an empty exporter.
func NewMemExporter() *MemExporter {
	return &MemExporter{entries: make(map[string]Entry)}
}

// Entries returns what was exported, in no particular order. A file and a folder
// may share a path.
func (m *MemExporter) Entries() []Entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	entries := make([]Entry, 0, len(m.entries))
	for _, e := range m.entries {
		entries = append(entries, e)
	}
	return entries
}

// Origin implements exporter.Exporter.
func (m *MemExporter) Origin() string { return "memory" }

// Type implements exporter.Exporter.
func (m *MemExporter) Type() string { return "mem" }

// Root implements exporter.Exporter.
func (m *MemExporter) Root() string { return "/" }

// Flags implements exporter.Exporter.
func (m *MemExporter) Flags() location.Flags { return 0 }

// Ping implements exporter.Exporter.
func (m *MemExporter) Ping(ctx context.Context) error { return ctx.Err() }

// Close implements exporter.Exporter.
func (m *MemExporter) Close(context.Context) error { return nil }

// Export implements exporter.Exporter. After the context ends it stores nothing
// more, but it answers every record all the same. The error joins those of all
// records that failed.
func (m *MemExporter) Export(ctx context.Context, records <-chan *connectors.Record, results chan<- *connectors.Result) error {
	return oneByOne(ctx, records, results, m.store)
}

// oneByOne is an Export that stores one record after the other.
func oneByOne(ctx context.Context, records <-chan *connectors.Record, results chan<- *connectors.Result, store func(context.Context, *connectors.Record) error) error {
	defer close(results)
	var failed []error
	for rec := range records {
		err := store(ctx, rec)
		if err != nil && ctx.Err() == nil {
			failed = append(failed, fmt.Errorf("%s: %w", rec.Pathname, err))
		}
		results <- answer(rec, err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return errors.Join(failed...)
}

// answer closes the record and returns its result.
func answer(rec *connectors.Record, err error) *connectors.Result {
	if err != nil {
		return rec.Error(err)
	}
	return rec.Ok()
}

func (m *MemExporter) store(ctx context.Context, rec *connectors.Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if rec.Err != nil || rec.IsXattr {
		return rec.Err
	}
	e := Entry{Path: rec.Pathname, Info: rec.FileInfo, Target: rec.Target, Attributes: slices.Clone(rec.ExtendedAttributes)}
	if e.IsRegular() {
		body, err := io.ReadAll(rec.Reader)
		if err != nil {
			return err
		}
		if int64(len(body)) != e.Info.Size() {
			return fmt.Errorf("%w: got %d bytes, want %d", ErrSize, len(body), e.Info.Size())
		}
		e.Body = body
	}
	m.keep(e)
	return nil
}

func (m *MemExporter) keep(e Entry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries[e.Path+kind(e)] = e
}
