package klosettest

import (
	"context"
	"sync/atomic"

	"github.com/PlakarKorp/kloset/connectors"
	"github.com/PlakarKorp/kloset/connectors/importer"
	"github.com/PlakarKorp/kloset/location"
)

// MemImporter is an importer of entries in memory. It may be imported any number
// of times, also at once.
type MemImporter struct {
	entries []Entry
	opened  atomic.Int64
	onOpen  func(n int) // called with the number of bodies opened so far
}

var _ importer.Importer = (*MemImporter)(nil)

// NewMemImporter returns an importer of the given entries, in their order. It
// keeps the slice: a change shows in the next Import.
func NewMemImporter(entries []Entry) *MemImporter {
	return &MemImporter{entries: entries}
}

// Opened returns how many bodies have been opened so far.
func (m *MemImporter) Opened() int { return int(m.opened.Load()) }

// Origin implements importer.Importer.
func (m *MemImporter) Origin() string { return "memory" }

// Type implements importer.Importer.
func (m *MemImporter) Type() string { return "mem" }

// Root implements importer.Importer.
func (m *MemImporter) Root() string { return "/" }

// Flags implements importer.Importer.
func (m *MemImporter) Flags() location.Flags { return location.FLAG_NEEDACK }

// Ping implements importer.Importer.
func (m *MemImporter) Ping(ctx context.Context) error { return ctx.Err() }

// Close implements importer.Importer.
func (m *MemImporter) Close(context.Context) error { return nil }

// Import implements importer.Importer. It returns when every record has been
// acknowledged, or with the context's error.
func (m *MemImporter) Import(ctx context.Context, records chan<- *connectors.Record, results <-chan *connectors.Result) error {
	acked := make(chan struct{})
	go func() {
		defer close(acked)
		for {
			select {
			case _, ok := <-results:
				if !ok {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	err := m.send(ctx, records)
	close(records)
	<-acked
	if err == nil {
		err = ctx.Err()
	}
	return err
}

func (m *MemImporter) send(ctx context.Context, records chan<- *connectors.Record) error {
	for _, e := range m.entries {
		if err := ctx.Err(); err != nil {
			return err // select picks at random when both are ready
		}
		select {
		case records <- e.record(m.open):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (m *MemImporter) open() {
	n := int(m.opened.Add(1))
	if m.onOpen != nil {
		m.onOpen(n)
	}
}
