package klosettest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"testing"
	"time"

	"github.com/PlakarKorp/kloset/connectors"
	"github.com/PlakarKorp/kloset/connectors/exporter"
	"github.com/PlakarKorp/kloset/objects"
)

// answerChecks are about the course of an Export: channels, answers, and records
// that are no files.
var answerChecks = []check[DestinationHarness]{
	{"Identity", checkDestinationIdentity},
	{"NoRecords", checkNoRecords},
	{"Answers", checkAnswers},
	{"OneBodyAtATime", checkOneBodyAtATime},
	{"SlowAnswers", checkSlowAnswers},
	{"ManyRecords", checkManyRecords},
	{"ErrorRecords", checkErrorRecords},
	{"AttributeRecords", checkAttributeRecords},
	{"NotFiles", checkNotFiles},
	{"CloseExporter", checkCloseExporter},
}

func checkDestinationIdentity(t testing.TB, h DestinationHarness) {
	exp := h.exporter(t)
	identity := func(exp exporter.Exporter) [3]string { return [3]string{exp.Type(), exp.Origin(), exp.Root()} }
	before := identity(exp)
	if before[0] == "" || before[1] == "" {
		t.Errorf("type %q and origin %q must not be empty", before[0], before[1])
	}
	if !cleanRoot(exp.Root()) {
		t.Errorf("root %q is not absolute and clean", exp.Root())
	}
	must(t, "ping", exp.Ping(t.Context()))
	x := exporting{capacity: 8}.run(t.Context(), t, h.patience(), exp, packAll(t, Tree()[:5]))
	wantAnswers(t, x.complete(), nil)
	for _, exp := range []exporter.Exporter{exp, h.again(t, exp)} {
		if after := identity(exp); after != before {
			t.Errorf("type, origin, root were %q, after an export they are %q", before, after)
		}
	}
}

// checkNoRecords exports nothing at all, and nothing but the root that the engine
// always sends.
func checkNoRecords(t testing.TB, h DestinationHarness) {
	for _, entries := range [][]Entry{nil, {Folder("/")}} {
		exp := h.exporter(t)
		x := exporting{capacity: 2}.run(t.Context(), t, h.patience(), exp, packAll(t, entries))
		wantAnswers(t, x.complete(), nil)
		h.wantFiles(t, exp, nil)
	}
}

// checkAnswers: embedders leave MaxConcurrency at 0 and get channels without a
// buffer.
func checkAnswers(t testing.TB, h DestinationHarness) {
	entries := Tree()
	for _, capacity := range []int{0, 1, 16} {
		exp := h.exporter(t)
		x := exporting{capacity: capacity}.run(t.Context(), t, h.patience(), exp, packAll(t, entries))
		wantAnswers(t, x.complete(), nil)
		h.wantFiles(t, exp, entries)
	}
}

// checkOneBodyAtATime: over the pipe to a plugin the next record comes after the
// body of the one before.
func checkOneBodyAtATime(t testing.TB, h DestinationHarness) {
	entries := append(Tree(), File("/large", noise(1, long())), File("/last", []byte("end")))
	exp := h.exporter(t)
	x := exporting{capacity: 2, serial: true}.run(t.Context(), t, h.patience(), exp, packAll(t, entries))
	wantAnswers(t, x.complete(), nil)
	h.wantFiles(t, exp, entries)
}

// checkSlowAnswers lets the answers pile up: whoever reads them may have to print
// each one.
func checkSlowAnswers(t testing.TB, h DestinationHarness) {
	entries := Tree()
	exp := h.exporter(t)
	slow := exporting{capacity: 0, onAnswer: func(int) { time.Sleep(time.Millisecond) }}
	x := slow.run(t.Context(), t, h.patience(), exp, packAll(t, entries))
	wantAnswers(t, x.complete(), nil)
	h.wantFiles(t, exp, entries)
}

// checkManyRecords sends more than anybody has buffers for.
func checkManyRecords(t testing.TB, h DestinationHarness) {
	entries := []Entry{Folder("/")}
	for i := range 200 {
		folder := fmt.Sprintf("/folder %03d", i)
		entries = append(entries, Folder(folder), File(folder+"/file", fmt.Appendln(nil, i)))
		for j := range 50 {
			entries = append(entries, Folder(fmt.Sprintf("%s/%02d", folder, j)))
		}
	}
	exp := h.exporter(t)
	x := exporting{capacity: 8}.run(t.Context(), t, h.patience(), exp, packAll(t, entries))
	wantAnswers(t, x.complete(), nil)
	h.wantFiles(t, exp, entries)
}

// checkErrorRecords: what could not be read is not restored, and that is a
// failure.
func checkErrorRecords(t testing.TB, h DestinationHarness) {
	entries := []Entry{Folder("/"), File("/a", []byte("a")), File("/b", []byte("b"))}
	parcels := append(packAll(t, entries), parcel{rec: connectors.NewError("/lost", errBroken)})
	exp := h.exporter(t)
	x := exporting{capacity: 4}.run(t.Context(), t, h.patience(), exp, parcels)
	wantAnswers(t, x.complete(), errBroken, "/lost (error)")
	if !errors.Is(x.err, errBroken) {
		t.Errorf("Export returned error %v, want that of the error record", x.err)
	}
	h.wantFiles(t, exp, entries)
}

// checkAttributeRecords: they come after all files. Nothing has to become of
// them, and nothing may become a file.
func checkAttributeRecords(t testing.TB, h DestinationHarness) {
	entries := []Entry{Folder("/"), File("/a", []byte("a")), File("/b", []byte("b"))}
	parcels := packAll(t, entries)
	for _, name := range []string{"user.comment", "", "with/slash"} {
		for _, pathname := range []string{"/a", "/", "/nowhere"} {
			g := newGuard(t, pathname+" "+name, bytes.NewReader([]byte("value")))
			parcels = append(parcels, parcel{body: g, rec: &connectors.Record{
				Reader: g, Pathname: pathname, IsXattr: true, XattrName: name, XattrType: objects.AttributeExtended,
			}})
		}
	}
	exp := h.exporter(t)
	x := exporting{capacity: 4}.run(t.Context(), t, h.patience(), exp, parcels)
	wantAnswers(t, x.complete(), nil)
	h.wantFiles(t, exp, entries)
}

// checkNotFiles: the readers of what is no file panic in the engine when they are
// read. A destination may refuse links and devices, and must not turn them into
// files.
func checkNotFiles(t testing.TB, h DestinationHarness) {
	special := func(pathname string, mode fs.FileMode) Entry {
		e := File(pathname, nil)
		e.Info.Lmode = mode | 0o644
		return e
	}
	files := []Entry{File("/folder/a", []byte("a")), File("/z", []byte("z"))}
	entries := append([]Entry{
		Folder("/"), Folder("/folder"), Folder("/folder/empty"),
		Symlink("/link", "folder/a"), Symlink("/dangling", "../../nowhere"), Symlink("/folder/loop", "loop"),
		special("/pipe", fs.ModeNamedPipe), special("/socket", fs.ModeSocket),
		special("/disk", fs.ModeDevice), special("/tty", fs.ModeDevice|fs.ModeCharDevice), special("/odd", fs.ModeIrregular),
	}, files...)
	exp := h.exporter(t)
	x := exporting{capacity: 4}.run(t.Context(), t, h.patience(), exp, packAll(t, entries))
	for name, err := range x.complete() {
		for _, e := range files {
			if name == e.Path && err != nil {
				t.Errorf("%s: answer %v, want none", name, err)
			}
		}
	}
	h.wantFiles(t, exp, files)
}

// checkCloseExporter closes as programs do on their way out: twice, and with a
// dead context. An Export after that must still let the engine go.
func checkCloseExporter(t testing.TB, h DestinationHarness) {
	exp := h.New(t)
	x := exporting{capacity: 4}.run(t.Context(), t, h.patience(), exp, packAll(t, Tree()[:5]))
	wantAnswers(t, x.complete(), nil)
	must(t, "close", exp.Close(cancelled(t)))
	must(t, "close again", exp.Close(t.Context()))
	exporting{capacity: 4}.run(t.Context(), t, h.patience(), exp, packAll(t, Tree())).complete()
}
