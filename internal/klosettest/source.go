package klosettest

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/PlakarKorp/kloset/connectors/importer"
)

// SourceHarness makes importers for [RunSource]. New is required. The suite
// closes every importer that it gets.
type SourceHarness struct {
	// New returns an importer of a bucket, or of a folder in a bucket, of its
	// own that holds exactly objs. Keys are relative to the folder.
	New func(t testing.TB, objs []Object) importer.Importer

	// Reopen returns another importer of the same place as imp. Without it, imp
	// is imported again.
	Reopen func(t testing.TB, imp importer.Importer) importer.Importer

	// Update makes the place of imp hold exactly objs; objects that do not
	// change are not written again. Without it, changes are not checked.
	Update func(t testing.TB, imp importer.Importer, objs []Object)

	// Keeps tells whether the service can hold an object of that key beside all
	// others that it keeps; without it, every one.
	Keeps func(key string) bool

	// Losses names the properties that the service cannot keep.
	Losses Losses

	// BodyReads returns how many bodies the service was asked for so far. With
	// it, an import that opens no reader must ask for none: leave it out where
	// bodies are fetched ahead.
	BodyReads func() int

	// Patience bounds every wait for something that should happen at once; 0
	// means 30 seconds.
	Patience time.Duration
}

// RunSource checks that importers keep the contract of importer.Importer and
// bring back every object of a bucket, one by one and under the real engine.
func RunSource(t *testing.T, h SourceHarness) {
	runChecks(t, h, h.patience(), sourceChecks)
}

var sourceChecks = slices.Concat(recordChecks, importChecks, sourceEngineChecks)

func (h SourceHarness) patience() time.Duration { return patienceOr(h.Patience) }

// importer returns an importer of a new bucket with the objects.
func (h SourceHarness) importer(t testing.TB, objs []Object) importer.Importer {
	t.Helper()
	imp := h.New(t, objs)
	closing(t, imp)
	return imp
}

// again returns an importer of the same bucket.
func (h SourceHarness) again(t testing.TB, imp importer.Importer) importer.Importer {
	t.Helper()
	if h.Reopen == nil {
		return imp
	}
	other := h.Reopen(t, imp)
	closing(t, other)
	return other
}

// hostile returns the objects with awkward keys that the service can hold, among
// some ordinary ones.
func (h SourceHarness) hostile(t testing.TB) []Object {
	t.Helper()
	keys := append(ordinaryKeys(), HostileKeys()...)
	keeps := kept(keys, h.Keeps)
	if left := len(keys) - len(keeps); left > 0 {
		t.Logf("the service does not keep %d of %d keys", left, len(keys))
	}
	return strip(t, decorate(keeps), h.Losses)
}

// everything imports and reads with the given MaxConcurrency.
func (h SourceHarness) everything(t testing.TB, imp importer.Importer, concurrency int) []Entry {
	t.Helper()
	return importing{capacity: concurrency, workers: concurrency}.everything(t, h.patience(), imp)
}

// some returns n small objects in a few folders.
func some(n int) []Object {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = "folder " + strconv.Itoa(i%7) + "/object " + strconv.Itoa(i)
	}
	return decorate(keys)
}

func quote(s string) string {
	if len(s) > 120 {
		return strconv.Quote(s[:120]) + "..."
	}
	return strconv.Quote(s)
}

// cancelled returns a context that has ended.
func cancelled(t testing.TB) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
