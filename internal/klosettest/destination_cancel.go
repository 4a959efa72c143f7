package klosettest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
)

// cancelChecks are about an Export whose context ends. The engine itself reports
// a restore that was cut short as a success unless the exporter fails.
var cancelChecks = []check[DestinationHarness]{
	{"ExportCancelled", checkExportCancelled},
	{"ExportCancelledMidway", checkExportCancelledMidway},
	{"ExportCancelledAtTheEnd", checkExportCancelledAtTheEnd},
	{"ExportCancelledWhileReading", checkExportCancelledWhileReading},
	{"ExportCancelledWhileWaiting", checkExportCancelledWhileWaiting},
}

// scattered returns n small files and a large one among them.
func scattered(n int) []Entry {
	entries := []Entry{Folder("/")}
	for i := range n {
		entries = append(entries, File(fmt.Sprintf("/%03d", i), noise(uint64(i), 100*i)))
	}
	return append(entries, File("/large", noise(1, long())), File("/zz", nil))
}

func checkExportCancelled(t testing.TB, h DestinationHarness) {
	exp := h.exporter(t)
	exporting{capacity: 4}.run(cancelled(t), t, h.patience(), exp, packAll(t, scattered(20))).interrupted()
	h.wantFiles(t, h.again(t, exp), nil)
}

// checkExportCancelledMidway cancels after some answers. The engine may go on
// sending for a while, and may stop at once.
func checkExportCancelledMidway(t testing.TB, h DestinationHarness) {
	entries := scattered(100)
	for _, d := range []exporting{{capacity: 0}, {capacity: 8}, {capacity: 0, stops: true}, {capacity: 8, stops: true}} {
		ctx, cancel := context.WithCancel(t.Context())
		d.onAnswer = func(n int) {
			if n == 30 {
				cancel()
			}
		}
		exp := h.exporter(t)
		d.run(ctx, t, h.patience(), exp, packAll(t, entries)).interrupted()
		cancel()
		h.wantWhole(t, h.again(t, exp), entries)
	}
}

// checkExportCancelledAtTheEnd: all records that came have been answered well,
// and more might have come.
func checkExportCancelledAtTheEnd(t testing.TB, h DestinationHarness) {
	entries := scattered(20)[:20]
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	exp := h.exporter(t)
	last := File("/last", nil)
	// The body of the last record is asked for when the sending is over.
	parcels := append(packAll(t, entries), packBody(t, last, readerFunc(func([]byte) (int, error) {
		cancel()
		return 0, io.EOF
	})))
	exporting{capacity: 0}.run(ctx, t, h.patience(), exp, parcels).interrupted()
	h.wantWhole(t, h.again(t, exp), append(entries, last))
}

// checkExportCancelledWhileReading cancels in the middle of a body, which then
// fails, as the engine's does, or goes on.
func checkExportCancelledWhileReading(t testing.TB, h DestinationHarness) {
	for _, size := range []int{5000, long()} {
		for _, fails := range []bool{true, false} {
			ctx, cancel := context.WithCancel(t.Context())
			e := File("/file", noise(1, size))
			half := sync.OnceFunc(cancel)
			rest := readerFunc(func([]byte) (int, error) {
				half()
				if fails {
					return 0, ctx.Err()
				}
				return 0, io.EOF
			})
			body := io.MultiReader(bytes.NewReader(e.Body[:size/2]), rest, bytes.NewReader(e.Body[size/2:]))
			exp := h.exporter(t)
			entries := []Entry{Folder("/"), e}
			exporting{capacity: 2}.run(ctx, t, h.patience(), exp, []parcel{pack(t, entries[0]), packBody(t, e, body)}).interrupted()
			cancel()
			h.wantWhole(t, h.again(t, exp), entries)
		}
	}
}

// checkExportCancelledWhileWaiting: bodies that wait for a store end with the
// context, and so must the Export.
func checkExportCancelledWhileWaiting(t testing.TB, h DestinationHarness) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	waiting := readerFunc(func([]byte) (int, error) {
		cancel()
		<-ctx.Done()
		return 0, ctx.Err()
	})
	parcels := []parcel{pack(t, Folder("/"))}
	for i := range 50 {
		e := File(fmt.Sprintf("/%d", i), noise(uint64(i), 9*mib/(i+1)))
		parcels = append(parcels, packBody(t, e, waiting))
	}
	exp := h.exporter(t)
	exporting{capacity: 2}.run(ctx, t, h.patience(), exp, parcels).interrupted()
	h.wantFiles(t, h.again(t, exp), nil)
}
