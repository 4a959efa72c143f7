package klosettest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/PlakarKorp/kloset/connectors"
)

// bodyChecks are about the bytes of files.
var bodyChecks = []check[DestinationHarness]{
	{"Sizes", checkSizes},
	{"SmallOnesAroundALargeOne", checkSmallAroundLarge},
	{"OddReaders", checkOddReaders},
	{"BrokenBodies", checkBrokenBodies},
	{"UnopenableBodies", checkUnopenableBodies},
	{"ShortBodies", checkShortBodies},
	{"LongBodies", checkLongBodies},
}

// store exports the entries, after which all must be there.
func (h DestinationHarness) store(t testing.TB, entries []Entry) {
	t.Helper()
	exp := h.exporter(t)
	x := exporting{capacity: 8}.run(t.Context(), t, h.patience(), exp, packAll(t, entries))
	wantAnswers(t, x.complete(), nil)
	must(t, "export", x.err)
	h.wantFiles(t, exp, entries)
}

func checkSizes(t testing.TB, h DestinationHarness) {
	entries := []Entry{Folder("/")}
	for i, size := range []int{0, 1, 124, mib - 1, mib, mib + 1, 5 * mib, 5*mib + 1, 8*mib - 1, 8 * mib, 8*mib + 1, 16 * mib, long() + 3} {
		entries = append(entries, File(fmt.Sprintf("/%d bytes", size), noise(uint64(i), size)))
	}
	h.store(t, entries)
}

// checkSmallAroundLarge: many bodies are on their way while a large one is.
func checkSmallAroundLarge(t testing.TB, h DestinationHarness) {
	entries := []Entry{Folder("/")}
	for i := range 200 {
		if i == 20 {
			entries = append(entries, File("/large", noise(1, 2*long())))
		}
		entries = append(entries, File(fmt.Sprintf("/%d", i), noise(uint64(1000+i), i*31)))
	}
	h.store(t, entries)
}

func checkOddReaders(t testing.TB, h DestinationHarness) {
	for _, odd := range oddReaders {
		entries := []Entry{Folder("/")}
		parcels := packAll(t, entries)
		for i, size := range []int{0, 1, 5000, 300_000} {
			e := File(fmt.Sprintf("/%d bytes", size), noise(uint64(i), size))
			entries = append(entries, e)
			parcels = append(parcels, packBody(t, e, odd.wrap(bytes.NewReader(e.Body))))
		}
		exp := h.exporter(t)
		x := exporting{capacity: 4}.run(t.Context(), t, h.patience(), exp, parcels)
		wantAnswers(t, x.complete(), nil)
		report(t, odd.name, diffObjects(filesOf(entries), h.plain(t, exp), nil))
	}
}

// delivery is a file whose body does not come as announced.
type delivery struct {
	entry Entry
	body  io.Reader
}

// refuses exports files that are good and deliveries that are not, to a place
// that holds an older file of each name. The deliveries must fail and leave the
// older files alone. It returns the Export and the errors of the answers.
func (h DestinationHarness) refuses(t testing.TB, deliveries []delivery) (*exported, map[string]error) {
	t.Helper()
	old := []Entry{Folder("/")}
	now := []Entry{Folder("/"), File("/first", []byte("first")), File("/last", noise(1, 70_000))}
	parcels := packAll(t, now)
	for i, d := range deliveries {
		// Every other one has no older file.
		if i%2 == 0 {
			old = append(old, File(d.entry.Path, []byte("older")))
		}
		parcels = slices.Insert(parcels, len(parcels)-1, packBody(t, d.entry, d.body))
	}
	exp := h.exporter(t)
	exporting{capacity: 4}.run(t.Context(), t, h.patience(), exp, packAll(t, old)).complete()
	exp = h.again(t, exp)
	x := exporting{capacity: 4}.run(t.Context(), t, h.patience(), exp, parcels)
	outcome := x.complete()
	h.wantFiles(t, exp, append(old, now...))
	if x.err == nil {
		t.Error("Export: no error")
	}
	return x, outcome
}

func labels(deliveries []delivery) []string {
	var names []string
	for _, d := range deliveries {
		names = append(names, d.entry.Path)
	}
	return names
}

// checkBrokenBodies: a file whose body breaks off must not appear, also when all
// of its bytes have come.
func checkBrokenBodies(t testing.TB, h DestinationHarness) {
	var deliveries []delivery
	for i, size := range []int{0, 1, 5000, 9 * mib, long()} {
		for _, at := range []int{0, size / 2, size} {
			e := File(fmt.Sprintf("/%d of %d", at, size), noise(uint64(i), size))
			deliveries = append(deliveries, delivery{e, breaking(e.Body[:at], func() error { return errBroken })})
			if size == 0 {
				break
			}
		}
	}
	x, outcome := h.refuses(t, deliveries)
	wantAnswers(t, outcome, errBroken, labels(deliveries)...)
	if !errors.Is(x.err, errBroken) {
		t.Errorf("Export returned error %v, want that of the bodies", x.err)
	}
}

// checkUnopenableBodies uses the engine's own reader, whose Close fails too.
func checkUnopenableBodies(t testing.TB, h DestinationHarness) {
	entries := []Entry{Folder("/"), File("/a", []byte("a")), File("/z", []byte("z"))}
	parcels := packAll(t, entries)
	for _, size := range []int{0, 5000, long()} {
		e := File(fmt.Sprintf("/lost %d", size), nil)
		e.Info.Lsize = int64(size)
		rec := connectors.NewRecord(e.Path, "", e.Info, nil, func() (io.ReadCloser, error) { return nil, errBroken })
		parcels = append(parcels, parcel{rec: rec})
	}
	exp := h.exporter(t)
	x := exporting{capacity: 4}.run(t.Context(), t, h.patience(), exp, parcels)
	wantAnswers(t, x.complete(), errBroken, "/lost 0", "/lost 5000", fmt.Sprintf("/lost %d", long()))
	h.wantFiles(t, exp, entries)
}

// wantRefused fails t unless exactly the deliveries were answered with an error,
// of any kind.
func wantRefused(t testing.TB, outcome map[string]error, deliveries []delivery) {
	t.Helper()
	refused := labels(deliveries)
	for name, err := range outcome {
		if should := slices.Contains(refused, name); should != (err != nil) {
			t.Errorf("%s: answer %v, want an error: %t", quote(name), err, should)
		}
	}
}

// checkShortBodies: over a broken pipe a body can end early without an error.
func checkShortBodies(t testing.TB, h DestinationHarness) {
	var deliveries []delivery
	for i, size := range []int{1, 5000, 8 * mib, long()} {
		for _, short := range []int{1, (size + 1) / 2, size} {
			e := File(fmt.Sprintf("/%d less than %d", short, size), noise(uint64(i), size))
			deliveries = append(deliveries, delivery{e, bytes.NewReader(e.Body[:size-short])})
			if size == 1 {
				break
			}
		}
	}
	_, outcome := h.refuses(t, deliveries)
	wantRefused(t, outcome, deliveries)
}

func checkLongBodies(t testing.TB, h DestinationHarness) {
	var deliveries []delivery
	for i, size := range []int{0, 1, 5000, 8 * mib, long()} {
		for _, long := range []int{1, mib} {
			e := File(fmt.Sprintf("/%d more than %d", long, size), noise(uint64(i), size))
			deliveries = append(deliveries, delivery{e, bytes.NewReader(noise(uint64(i), size+long))})
		}
	}
	_, outcome := h.refuses(t, deliveries)
	wantRefused(t, outcome, deliveries)
}
