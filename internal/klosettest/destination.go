package klosettest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PlakarKorp/kloset/connectors/exporter"
)

// DestinationHarness makes exporters for [RunDestination]. New and Objects are
// required. The suite closes every exporter that it gets.
type DestinationHarness struct {
	// New returns an exporter to a bucket, or to a folder in a bucket, of its own
	// that holds nothing.
	New func(t testing.TB) exporter.Exporter

	// Reopen returns another exporter to the same place as exp. Without it, exp
	// is used again.
	Reopen func(t testing.TB, exp exporter.Exporter) exporter.Exporter

	// Objects reads everything that is in the place of exp, in any order. Keys
	// are relative to the folder. What is neither a file nor comes from an
	// object, such as a folder, is left out.
	Objects func(t testing.TB, exp exporter.Exporter) []Object

	// Keeps tells whether the service can hold an object of that key beside all
	// others that it keeps; without it, every one.
	Keeps func(key string) bool

	// Losses names the properties that the service cannot keep. Only
	// [RunRoundTrip] looks at it.
	Losses Losses

	// Patience bounds every wait for something that should happen at once; 0
	// means 30 seconds.
	Patience time.Duration
}

// RunDestination checks that exporters keep the contract of exporter.Exporter and
// store what they are given whole or not at all, one by one and under the real
// engine. Records of this suite come from no object, so their paths are literal.
func RunDestination(t *testing.T, h DestinationHarness) {
	runChecks(t, h, h.patience(), destinationChecks)
}

var destinationChecks = slices.Concat(answerChecks, bodyChecks, placeChecks, cancelChecks, destinationEngineChecks)

func (h DestinationHarness) patience() time.Duration { return patienceOr(h.Patience) }

// exporter returns an exporter to a new place.
func (h DestinationHarness) exporter(t testing.TB) exporter.Exporter {
	t.Helper()
	exp := h.New(t)
	closing(t, exp)
	return exp
}

// again returns an exporter to the same place.
func (h DestinationHarness) again(t testing.TB, exp exporter.Exporter) exporter.Exporter {
	t.Helper()
	if h.Reopen == nil {
		return exp
	}
	other := h.Reopen(t, exp)
	closing(t, other)
	return other
}

// wantFiles fails t unless the place holds the files of the entries and nothing
// else.
func (h DestinationHarness) wantFiles(t testing.TB, exp exporter.Exporter, entries []Entry) {
	t.Helper()
	report(t, "destination", diffObjects(filesOf(entries), h.plain(t, exp), nil))
}

// wantWhole fails t if the place holds anything but some of the entries' files,
// each of them whole.
func (h DestinationHarness) wantWhole(t testing.TB, exp exporter.Exporter, entries []Entry) {
	t.Helper()
	bodies := make(map[string][]byte)
	for _, o := range filesOf(entries) {
		bodies[o.Key] = o.Body
	}
	for _, o := range h.plain(t, exp) {
		if body, known := bodies[o.Key]; !known {
			t.Errorf("%s is there and should not be", quote(o.Key))
		} else if line := diffBody(body, o.Body); line != "" {
			t.Errorf("%s is there in part: %s", quote(o.Key), line)
		}
	}
}

// plain returns the objects of a place by key and body alone.
func (h DestinationHarness) plain(t testing.TB, exp exporter.Exporter) []Object {
	t.Helper()
	objs := h.Objects(t, exp)
	plain := make([]Object, len(objs))
	for i, o := range objs {
		plain[i] = Object{Key: o.Key, Body: o.Body}
	}
	return plain
}

// filesOf returns the objects that the files among the entries become.
func filesOf(entries []Entry) []Object {
	var objs []Object
	for _, e := range entries {
		if e.IsRegular() {
			objs = append(objs, Object{Key: strings.TrimPrefix(e.Path, "/"), Body: e.Body})
		}
	}
	return objs
}
