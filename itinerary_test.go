package s3kloset

import (
	"bytes"
	"context"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/PlakarKorp/kloset/connectors"
	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/PlakarKorp/kloset/objects"
	"github.com/PlakarKorp/kloset/repository/state"
	"github.com/PlakarKorp/kloset/resources"
	"github.com/s3kloset/s3kloset/internal/klosettest"
)

// toldStore notes what it is told that will be read, and what is.
type toldStore struct {
	*klosettest.MemStore
	full func(expected int) bool // no room for this one

	mu       sync.Mutex
	expected []packfileExtent
	calls    int
	lapsed   int
	read     []packfileExtent
}

type packfileExtent struct {
	packfile objects.MAC
	from, to int64
}

func (s *toldStore) expect(_ *itinerary, packfile objects.MAC, offset, length int64) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.full != nil && s.full(s.calls) {
		return 0
	}
	s.expected = append(s.expected, packfileExtent{packfile, offset, offset + length})
	return length
}

func (s *toldStore) lapse(*itinerary) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lapsed++
}

func (s *toldStore) Get(ctx context.Context, res storage.StorageResource, id objects.MAC, rg *storage.Range) (io.ReadCloser, error) {
	if res == storage.StorageResourcePackfile && rg != nil && rg.Length > 512<<10 { // contents, and no listings
		s.mu.Lock()
		s.read = append(s.read, packfileExtent{id, int64(rg.Offset), int64(rg.Offset) + int64(rg.Length)})
		s.mu.Unlock()
	}
	return s.MemStore.Get(ctx, res, id, rg)
}

// foretold tells whether all of a range was announced.
func (s *toldStore) foretold(want packfileExtent) bool {
	at := want.from
	for _, e := range slices.SortedFunc(slices.Values(s.expected), func(a, b packfileExtent) int { return int(a.from - b.from) }) {
		if e.packfile == want.packfile && e.from <= at {
			at = max(at, e.to)
		}
	}
	return at >= want.to
}

func randomBody(seed byte, n int) []byte {
	body := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(body)
	return body
}

// winding is a body that the engine does not read in one go: parts of it come
// again, and some parts are zeros.
func winding() []byte {
	block := randomBody(3, 2<<20)
	return slices.Concat(block, make([]byte, 1<<20), randomBody(4, 4<<20), block)
}

// exporting does something with each record.
func exporting(fn func(*connectors.Record) error) exportFunc {
	return exportFunc{klosettest.NewMemExporter(), func(_ context.Context, records <-chan *connectors.Record, results chan<- *connectors.Result) error {
		defer close(results)
		for record := range records {
			if err := fn(record); err != nil {
				results <- record.Error(err)
			} else {
				results <- record.Ok()
			}
		}
		return nil
	}}
}

// TestItineraryOfTheEngine: all that the engine reads of a body was announced.
func TestItineraryOfTheEngine(t *testing.T) {
	body := winding()
	store := &toldStore{MemStore: klosettest.NewMemStore()}
	repo := createPlain(t, store)
	if _, err := repo.Backup(t.Context(), klosettest.NewMemImporter([]klosettest.Entry{klosettest.File("/winding", body)})); err != nil {
		t.Fatal(err)
	}
	restore := func(limit int64) (got []byte) {
		t.Helper()
		store.expected, store.read, store.lapsed = nil, nil, 0
		if _, err := repo.Restore(t.Context(), "", exporting(func(r *connectors.Record) (err error) {
			if r.Pathname == "/winding" {
				got, err = io.ReadAll(io.LimitReader(r.Reader, limit))
			}
			return err
		})); err != nil {
			t.Fatal(err)
		}
		return got
	}
	if !bytes.Equal(restore(math.MaxInt64), body) {
		t.Error("the body is not what it was")
	}
	store.wantForetold(t, int64(len(body)))
	if restore(1000); store.lapsed == 0 {
		t.Error("nothing lapsed, although the reader has given up")
	}
}

// wantForetold demands that all that was read of a body was announced, and once.
func (s *toldStore) wantForetold(t *testing.T, size int64) {
	t.Helper()
	if len(s.read) < 2 || len(s.expected) == 0 {
		t.Fatalf("%d reads, %d announced", len(s.read), len(s.expected))
	}
	for _, read := range s.read {
		if !s.foretold(read) {
			t.Errorf("nobody announced %d to %d of packfile %x", read.from, read.to, read.packfile[:4])
		}
	}
	var announced int64
	for _, e := range s.expected {
		announced += e.to - e.from - 2*engineMargin
	}
	if announced > size {
		t.Errorf("%d bytes announced for a body of %d", announced, size)
	}
	if s.lapsed != 1 {
		t.Errorf("the end of the body was told %d times", s.lapsed)
	}
}

// chart is a state that knows where chunks are.
type chart struct {
	*mergedState
	chunks []objects.Chunk
}

func newChart(t *testing.T) *chart {
	t.Helper()
	merged, err := newMergedState(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return &chart{mergedState: merged}
}

// put makes a chunk of some length the next one of the object.
func (c *chart) put(t *testing.T, packfile byte, offset, stored, length int64) {
	t.Helper()
	id := objects.MAC{1, byte(len(c.chunks)), byte(len(c.chunks) >> 8)}
	c.chunks = append(c.chunks, objects.Chunk{ContentMAC: id, Length: uint32(length)})
	entry := state.DeltaEntry{Type: resources.RT_CHUNK, Blob: id, Location: state.Location{
		Packfile: objects.MAC{packfile}, Offset: uint64(offset), Length: uint32(stored),
	}}
	if err := c.PutPackfile(entry.Location.Packfile, []byte{0}); err != nil {
		t.Fatal(err)
	}
	if err := c.PutDelta(resources.RT_CHUNK, id, entry.Location.Packfile, entry.ToBytes()); err != nil {
		t.Fatal(err)
	}
}

func TestItineraryLegs(t *testing.T) {
	const mib = 1 << 20
	var (
		extent = func(packfile byte, from, to int64) packfileExtent {
			header := int64(storage.STORAGE_HEADER_SIZE)
			return packfileExtent{objects.MAC{packfile}, max(0, from+header-engineMargin), to + header + engineMargin}
		}
		put = func(packfile byte, n, offset, stored int64) func(*testing.T, *chart) {
			return func(t *testing.T, c *chart) {
				for i := range n {
					c.put(t, packfile, offset+i*stored, stored, mib)
				}
			}
		}
	)
	tests := map[string]struct {
		parts []func(*testing.T, *chart)
		want  []packfileExtent
	}{
		"nothing": {nil, nil},
		"one after the other": {
			[]func(*testing.T, *chart){put(1, 20, 0, mib)},
			[]packfileExtent{extent(1, 0, stride), extent(1, stride, 2*stride), extent(1, 2*stride, 20*mib)},
		},
		"packed small": {
			[]func(*testing.T, *chart){put(1, 20, 5*mib, mib/4)},
			[]packfileExtent{extent(1, 5*mib, 10*mib)},
		},
		"in two packfiles": {
			[]func(*testing.T, *chart){put(1, 3, 2*mib, mib), put(2, 9, 0, mib)},
			[]packfileExtent{extent(1, 2*mib, 5*mib), extent(2, 0, stride), extent(2, stride, 9*mib)},
		},
		"with gaps": {
			[]func(*testing.T, *chart){put(1, 1, 0, mib), put(1, 1, mib+detour, mib), put(1, 1, 2*mib+2*detour+1, mib)},
			[]packfileExtent{extent(1, 0, mib+detour+mib), extent(1, 2*mib+2*detour+1, 3*mib+2*detour+1)},
		},
		"back again": {
			[]func(*testing.T, *chart){put(1, 2, 10*mib, mib), put(1, 1, 0, mib)},
			[]packfileExtent{extent(1, 10*mib, 12*mib), extent(1, 0, mib)},
		},
		"the same again": {
			[]func(*testing.T, *chart){put(1, 1, 0, mib), put(1, 1, 0, mib), put(1, 1, 0, mib)},
			[]packfileExtent{extent(1, 0, mib)},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c, store := newChart(t), &toldStore{}
			for _, put := range test.parts {
				put(t, c)
			}
			i := newItinerary(store, c.mergedState, c.chunks)
			i.advance(0)
			if !slices.Equal(store.expected, test.want) {
				t.Errorf("announced\n%v, want\n%v", store.expected, test.want)
			}
		})
	}
}

// TestItineraryKeepsPace: the store is told of what comes soon, and not again of what
// was read while it had no room.
func TestItineraryKeepsPace(t *testing.T) {
	const size = 400 << 20
	c := newChart(t)
	for at := int64(0); at < size; at += 1 << 20 {
		c.put(t, byte(at/(20<<20)), at%(20<<20), 1<<20, 1<<20)
	}
	full := false
	store := &toldStore{full: func(int) bool { return full }}
	i := newItinerary(store, c.mergedState, c.chunks)
	at := func(e packfileExtent) int64 { return int64(e.packfile[0])*(20<<20) + e.from }
	for read := int64(0); read < size; read += 32 << 10 {
		full = read >= size/4 && read < size/2
		told := len(store.expected)
		i.advance(read)
		for _, e := range store.expected[told:] {
			if from, to := at(e), at(e)+e.to-e.from; to <= read || from > read+foresight+stride {
				t.Fatalf("at %d, told of %d to %d", read, from, to)
			}
		}
		if ahead := min(read+foresight, size) - at(store.expected[len(store.expected)-1]); !full && ahead > 2*stride {
			t.Fatalf("at %d, not told of the last %d bytes ahead", read, ahead)
		}
	}
	var all int64
	for _, e := range store.expected {
		all += e.to - e.from - 2*engineMargin
	}
	const passed = size/4 - foresight // before there was room again
	if all > size-passed+2*stride || all < size-passed-2*stride {
		t.Errorf("told of %d bytes of %d, %d of which were read before there was room", all, size, passed)
	}
}

// TestItineraryAvoidsMarkedPackfiles: the engine does not read from a packfile that is
// marked for removal, and to begin with one could thaw it.
func TestItineraryAvoidsMarkedPackfiles(t *testing.T) {
	c, store := newChart(t), &toldStore{}
	c.put(t, 1, 0, 1<<20, 1<<20)
	c.put(t, 2, 0, 1<<20, 1<<20)
	if err := c.PutColoured(resources.RT_PACKFILE, objects.MAC{1}, []byte{0}); err != nil {
		t.Fatal(err)
	}
	newItinerary(store, c.mergedState, c.chunks).advance(0)
	if len(store.expected) != 1 || store.expected[0].packfile != (objects.MAC{2}) {
		t.Errorf("announced %v", store.expected)
	}
}

// TestItineraryEnds: one that has ended announces nothing, and it ends with the operation
// when nobody closes the reader.
func TestItineraryEnds(t *testing.T) {
	c, store := newChart(t), &toldStore{}
	c.put(t, 1, 0, 1<<20, 1<<20)
	lapsed := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	op := &operation{
		session: &session{state: c.mergedState}, ctx: ctx,
		owner: &Repository{store: lapsing{store, func() { close(lapsed) }}},
	}
	i := op.planRead(&objects.Object{Chunks: c.chunks}, foreseenFrom)
	cancel()
	<-lapsed
	i.advance(0)
	if len(store.expected) != 0 {
		t.Errorf("announced %v", store.expected)
	}
}

// lapsing calls a function when an itinerary ends.
type lapsing struct {
	*toldStore
	fn func()
}

func (l lapsing) lapse(*itinerary) { l.fn() }
