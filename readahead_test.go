package s3kloset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/PlakarKorp/kloset/objects"
)

// packfileServer is what a readahead fetches from.
type packfileServer struct {
	data    []byte
	fetches atomic.Int64
	bytes   atomic.Int64
	fail    atomic.Int64 // fetches that fail before one succeeds
}

var errFetch = errors.New("fetch failed")

func newPackfileServer(size int) *packfileServer {
	data := make([]byte, size)
	random := rand.NewChaCha8([32]byte{1})
	random.Read(data)
	return &packfileServer{data: data}
}

func (s *packfileServer) fetch(ctx context.Context, _ objects.MAC, offset int64, buffer []byte) (int, error) {
	s.fetches.Add(1)
	if s.fail.Add(-1) >= 0 {
		return 0, errFetch
	}
	if offset >= int64(len(s.data)) {
		return 0, ErrInvalidRange
	}
	n := copy(buffer, s.data[offset:])
	s.bytes.Add(int64(n))
	return n, ctx.Err()
}

func (s *packfileServer) want(offset, length int64) []byte {
	return s.data[offset:min(offset+length, int64(len(s.data)))]
}

func startReadahead(t *testing.T, budget int64, s *packfileServer) *readahead {
	t.Helper()
	r := newReadahead(budget, s.fetch)
	t.Cleanup(r.close)
	return r
}

// demand reads a range and holds it to the bytes of the server.
func demand(t *testing.T, r *readahead, s *packfileServer, offset, length int64) {
	t.Helper()
	body, served, err := r.get(context.Background(), objects.MAC{1}, offset, length)
	if !served || err != nil {
		t.Fatalf("get(%d, %d): served %v, %v", offset, length, served, err)
	}
	got, err := io.ReadAll(body)
	if err != nil || !bytes.Equal(got, s.want(offset, length)) {
		t.Fatalf("get(%d, %d): %d wrong bytes, %v", offset, length, len(got), err)
	}
}

func TestReadaheadSequential(t *testing.T) {
	const size = 64<<20 + 12345
	s := newPackfileServer(size)
	r := startReadahead(t, 64<<20, s)
	// The engine asks for a little more than it needs, on both sides.
	for offset := int64(0); offset < size; offset += 1000 {
		demand(t, r, s, max(offset-17, 0), 1100)
	}
	if n := s.fetches.Load(); n > 24 {
		t.Errorf("%d reads for a packfile of 64 MiB", n)
	}
	if read := s.bytes.Load(); read > size {
		t.Errorf("read %d bytes of %d: some were read twice", read, size)
	}
}

func TestReadaheadBackwards(t *testing.T) {
	const size = 8 << 20
	s := newPackfileServer(size)
	r := startReadahead(t, 64<<20, s)
	for offset := int64(size - 1000); offset >= 0; offset -= 1000 {
		demand(t, r, s, offset, 1000)
	}
	if read := s.bytes.Load(); read > size {
		t.Errorf("read %d bytes of %d: some were read twice", read, size)
	}
}

func TestReadaheadRandom(t *testing.T) {
	const size, reads = 256 << 20, 300
	s := newPackfileServer(size)
	r := startReadahead(t, 64<<20, s)
	random := rand.New(rand.NewPCG(1, 2))
	for range reads {
		demand(t, r, s, random.Int64N(size-500), 500)
	}
	// Each read needs one page, two at a border; no more than three times
	// that may be read, and the doubling that led to this insight.
	if read, most := s.bytes.Load(), int64(reads*pageSize*(thrift+1)); read > most {
		t.Errorf("read %d bytes for %d scattered ranges, more than %d", read, reads, most)
	}
}

// demandOf is demand of one of many packfiles, which are all the same.
func demandOf(t *testing.T, r *readahead, id byte, offset, length int64) {
	t.Helper()
	body, served, err := r.get(t.Context(), objects.MAC{id}, offset, length)
	if !served || err != nil {
		t.Fatalf("packfile %d: served %v, %v", id, served, err)
	}
	body.Close()
}

// TestReadaheadFromPackfileToPackfile: who has gone through one in order waits
// at the next for what it asked for, and for nothing else.
func TestReadaheadFromPackfileToPackfile(t *testing.T) {
	const size, packs, chunk = 20 << 20, 10, 1 << 20
	s := newPackfileServer(size)
	r := startReadahead(t, 128<<20, s)
	through := func(id byte) (reads int64) {
		before := s.fetches.Load()
		for offset := int64(0); offset < size; offset += chunk {
			demandOf(t, r, id, offset, chunk)
			if offset == 0 && id > 0 {
				r.mu.Lock()
				p := r.packs[objects.MAC{id}]
				if first := p.pages[0]; first.length() != chunk || p.started*pageSize < size/2 {
					t.Errorf("packfile %d: the first read is of %d bytes, all are of %d", id, first.length(), p.started*pageSize)
				}
				r.mu.Unlock()
			}
		}
		return s.fetches.Load() - before
	}
	through(0)
	for id := byte(1); id < packs; id++ {
		if n := through(id); n > 6 {
			t.Errorf("%d reads of packfile %d", n, id)
		}
	}
	if read := s.bytes.Load(); read > packs*size {
		t.Errorf("read %d bytes of %d", read, packs*size)
	}
}

// TestReadaheadUnlearns: who wants little of each packfile, after it has gone
// through some in order, does not go on reading all of them.
func TestReadaheadUnlearns(t *testing.T) {
	const size, packs = 20 << 20, 100
	s := newPackfileServer(size)
	r := startReadahead(t, 128<<20, s)
	for offset := int64(0); offset < size; offset += pageSize {
		demandOf(t, r, 0, offset, pageSize)
	}
	before := s.bytes.Load()
	for id := byte(1); id < packs; id++ {
		demandOf(t, r, id, 5<<20, 1000)
	}
	r.wg.Wait()
	if read := s.bytes.Load() - before; read > 3*size {
		t.Errorf("read %d bytes of %d packfiles for 1000 bytes of each", read, packs-1)
	}
}

// TestReadaheadExpected: what was announced is read once, when it is announced, and
// nothing beside it.
func TestReadaheadExpected(t *testing.T) {
	const size, packs, from, to, chunk = 20 << 20, 5, 3 << 20, 15 << 20, 1 << 20
	s := newPackfileServer(size)
	r := startReadahead(t, 128<<20, s)
	for id := byte(0); id < packs; id++ {
		if r.expect(&itinerary{}, objects.MAC{id}, from, to-from) != to-from {
			t.Fatalf("packfile %d: no room beside %d bytes", id, r.held)
		}
	}
	r.wg.Wait()
	fetched := s.fetches.Load()
	for id := byte(0); id < packs; id++ {
		for offset := int64(from); offset < to; offset += chunk {
			demandOf(t, r, id, offset, chunk)
		}
	}
	r.wg.Wait()
	if n := s.fetches.Load(); n != fetched || n > 2*packs {
		t.Errorf("%d reads, %d of them ahead", n, fetched)
	}
	if read := s.bytes.Load(); read != packs*(to-from) {
		t.Errorf("read %d bytes of %d", read, packs*(to-from))
	}
}

// TestReadaheadExpectsWithinMeans: what was announced takes half of the budget, and
// stays there until it is used or lapses.
func TestReadaheadExpectsWithinMeans(t *testing.T) {
	const size, budget, stride = 64 << 20, 16 << 20, 1 << 20
	s := newPackfileServer(size)
	r := startReadahead(t, budget, s)
	var announced int64
	by, other := &itinerary{found: 1}, &itinerary{found: 2}
	announce := func() (n int) {
		for ; announced < size && r.expect(by, objects.MAC{1}, announced, stride) == stride; announced += stride {
			n++
		}
		return n
	}
	if n := announce(); n != budget/2/stride {
		t.Fatalf("%d MiB announced within a budget of 16", n)
	}
	// Others, who go through much more than there is room for, push nothing out.
	for offset := int64(0); offset < size; offset += pageSize {
		demandOf(t, r, 2, offset, 1000)
	}
	r.wg.Wait()
	before := s.bytes.Load()
	demand(t, r, s, 0, budget/2)
	if more := s.bytes.Load() - before; more != 0 {
		t.Errorf("%d bytes were read again", more)
	}
	if n := announce(); n != budget/2/stride {
		t.Errorf("%d MiB announced after half of the budget was used", n)
	}
	if n := announce(); n != 0 {
		t.Errorf("%d MiB announced, and nothing was used", n)
	}
	r.lapse(other)
	if n := announce(); n != 0 {
		t.Errorf("%d MiB announced after somebody else's lapsed", n)
	}
	r.lapse(by)
	if n := announce(); n != budget/2/stride {
		t.Errorf("%d MiB announced after the others lapsed", n)
	}
	if r.held+r.spare.bytes > budget {
		t.Errorf("%d bytes held and %d spare, more than %d", r.held, r.spare.bytes, budget)
	}
}

// TestReadaheadForgetsPlans: a packfile of which much was announced once is later read
// like any other, with reads that grow.
func TestReadaheadForgetsPlans(t *testing.T) {
	const size, budget, chunk = 20 << 20, 16 << 20, 100_000
	s := newPackfileServer(size)
	r := startReadahead(t, budget, s)
	by := &itinerary{}
	for at := int64(0); at < size; at += 1 << 20 {
		r.expect(by, objects.MAC{1}, at, 1<<20)
		demand(t, r, s, at, 1<<20)
	}
	r.lapse(by)
	for offset := int64(0); offset < size; offset += chunk { // everything else goes
		demandOf(t, r, 2, offset, chunk)
	}
	r.wg.Wait()
	before := s.fetches.Load()
	for offset := int64(0); offset < size; offset += chunk {
		demand(t, r, s, offset, chunk)
	}
	if n := s.fetches.Load() - before; n > 40 {
		t.Errorf("%d reads of a packfile of 20 MiB", n)
	}
}

// TestReadaheadStrides: each stride of an itinerary is one read, wherever it begins.
func TestReadaheadStrides(t *testing.T) {
	const size, strides = 64 << 20, 3
	for _, start := range []int64{0, 1, engineMargin, 1<<20 + 12345} {
		s := newPackfileServer(size)
		r := startReadahead(t, DefaultMemory/4, s)
		i := newItinerary(readaheadOnly{r}, nil, nil)
		i.legs = []leg{{objects.MAC{1}, start, start + strides*stride, 0, strides * stride}}
		i.advance(0)
		r.wg.Wait()
		if n := s.fetches.Load(); n != strides || len(i.legs) > 0 {
			t.Errorf("from %d: %d reads for %d strides", start, n, strides)
		}
	}
}

// TestReadaheadExpectsInPieces: a budget that is smaller than what is announced at a
// time is no reason to read anything twice.
func TestReadaheadExpectsInPieces(t *testing.T) {
	const size, budget, chunk = 64 << 20, 8 << 20, 1 << 20
	s := newPackfileServer(size)
	r := startReadahead(t, budget, s)
	c := newChart(t)
	for at := int64(0); at < size-chunk; at += chunk {
		c.put(t, 1, at, chunk, chunk)
	}
	i := newItinerary(readaheadOnly{r}, c.mergedState, c.chunks)
	i.advance(0)
	r.mu.Lock()
	if due := r.due; due == 0 || due > budget/2 {
		t.Errorf("%d bytes are announced within a budget of %d", due, budget)
	}
	r.mu.Unlock()
	for read := int64(0); read < size-chunk; read += chunk {
		i.advance(read)
		demand(t, r, s, read+int64(storage.STORAGE_HEADER_SIZE), chunk)
	}
	i.end()
	r.wg.Wait()
	if got := s.bytes.Load(); got > size+size/20 {
		t.Errorf("read %d bytes of %d", got, size)
	}
	if r.due != 0 {
		t.Errorf("%d bytes are due at the end", r.due)
	}
}

// readaheadOnly is a store that is nothing else.
type readaheadOnly struct{ *readahead }

// TestReadaheadShortAnswer: a server that sends less of a range than there is, and then
// more of the next one, is not believed.
func TestReadaheadShortAnswer(t *testing.T) {
	s := newPackfileServer(4 * pageSize)
	r := newReadahead(64<<20, func(ctx context.Context, id objects.MAC, offset int64, buffer []byte) (int, error) {
		n, err := s.fetch(ctx, id, offset, buffer)
		if offset == 0 {
			n -= 100
		}
		return n, err
	})
	t.Cleanup(r.close)
	for page := range int64(2) {
		r.expect(&itinerary{}, objects.MAC{1}, page*pageSize, pageSize)
	}
	r.wg.Wait()
	r.mu.Lock()
	r.packs[objects.MAC{1}].end = -1 // nobody has noticed yet
	r.mu.Unlock()
	body, _, err := r.get(t.Context(), objects.MAC{1}, 0, 2*pageSize)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(body); err != nil || !bytes.Equal(got, s.want(0, pageSize-100)) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

// TestReadaheadLends: a body holds on to its bytes, whatever else is read, until it
// is closed. Then it gives none.
func TestReadaheadLends(t *testing.T) {
	const size, budget, length = 24 << 20, 8 << 20, 300_000
	s := newPackfileServer(size)
	r := startReadahead(t, budget, s)
	open := func(offset int64) io.ReadCloser {
		body, served, err := r.get(t.Context(), objects.MAC{1}, offset, length)
		if !served || err != nil {
			t.Fatal(served, err)
		}
		return body
	}
	evict := func() {
		for offset := int64(10 << 20); offset < size; offset += 100_000 {
			demand(t, r, s, offset, 100_000)
		}
	}
	body, early := open(0), open(length)
	got := make([]byte, length)
	if _, err := io.ReadFull(body, got[:1000]); err != nil {
		t.Fatal(err)
	}
	if err := early.Close(); err != nil {
		t.Fatal(err)
	}
	evict()
	if _, err := io.ReadFull(body, got[1000:]); err != nil || !bytes.Equal(got, s.want(0, length)) {
		t.Errorf("wrong bytes after others were read, or %v", err)
	}
	if n, err := body.Read(got); n != 0 || err != io.EOF {
		t.Errorf("%d bytes after the end, %v", n, err)
	}
	if n, err := early.Read(got); n != 0 || !errors.Is(err, fs.ErrClosed) {
		t.Errorf("%d bytes after Close, %v", n, err)
	}
	evict()
	r.mu.Lock()
	defer r.mu.Unlock()
	for e := r.recent.Front(); e != nil; e = e.Next() {
		if s := e.Value.(*span); s.pins != 0 {
			t.Errorf("the read at %d is pinned %d times", s.offset(), s.pins)
		}
	}
	if r.held+r.spare.bytes > budget {
		t.Errorf("%d bytes held and %d spare, more than %d", r.held, r.spare.bytes, budget)
	}
}

func TestReadaheadEnd(t *testing.T) {
	for _, size := range []int{1, pageSize - 1, pageSize, pageSize + 1, 3 * pageSize} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			s := newPackfileServer(size)
			r := startReadahead(t, 64<<20, s)
			demand(t, r, s, 0, int64(size))
			demand(t, r, s, int64(size-1), 10*pageSize)
			for _, offset := range []int64{int64(size), int64(size) + 5*pageSize} {
				if _, _, err := r.get(context.Background(), objects.MAC{1}, offset, 10); !errors.Is(err, ErrInvalidRange) {
					t.Errorf("offset %d: %v, want ErrInvalidRange", offset, err)
				}
			}
		})
	}
}

// A range far past a known end is not asked for page by page.
func TestReadaheadPastTheEnd(t *testing.T) {
	s := newPackfileServer(1000)
	r := startReadahead(t, 64<<20, s)
	demand(t, r, s, 0, 2000)
	demand(t, r, s, 500, 100<<20)
	if n := s.fetches.Load(); n != 1 {
		t.Errorf("%d reads of a packfile of 1000 bytes", n)
	}
}

func TestReadaheadForgetsFailures(t *testing.T) {
	s := newPackfileServer(1 << 20)
	s.fail.Store(1)
	r := startReadahead(t, 64<<20, s)
	if _, _, err := r.get(context.Background(), objects.MAC{1}, 0, 10); !errors.Is(err, errFetch) {
		t.Fatalf("error is %v, want that of the fetch", err)
	}
	demand(t, r, s, 0, 10)
}

func TestReadaheadForget(t *testing.T) {
	s := newPackfileServer(1 << 20)
	r := startReadahead(t, 64<<20, s)
	demand(t, r, s, 0, 10)
	r.forget(objects.MAC{1})
	demand(t, r, s, 0, 10)
	if n := s.fetches.Load(); n != 2 {
		t.Errorf("%d reads, want 2: the packfile was forgotten in between", n)
	}
}

func TestReadaheadBudget(t *testing.T) {
	const budget = 1 << 20
	s := newPackfileServer(16 << 20)
	r := startReadahead(t, budget, s)
	if _, served, _ := r.get(context.Background(), objects.MAC{1}, 0, 2*budget); served {
		t.Error("a range larger than the budget was taken into memory")
	}
	for offset := int64(0); offset < int64(len(s.data)); offset += 10_000 {
		demand(t, r, s, offset, 10_000)
		r.mu.Lock()
		held := r.held
		r.mu.Unlock()
		if held > budget {
			t.Fatalf("%d bytes held, more than %d", held, budget)
		}
	}
}

func TestReadaheadConcurrent(t *testing.T) {
	const budget = 4 << 20
	s := newPackfileServer(32 << 20)
	r := startReadahead(t, budget, s)
	var wg sync.WaitGroup
	by := &itinerary{}
	for worker := range 8 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(worker), 7))
			offset := random.Int64N(16 << 20)
			for range 500 {
				length := 1 + random.Int64N(100_000)
				if worker%2 == 0 {
					offset = random.Int64N(int64(len(s.data)) - length)
				}
				body, served, err := r.get(context.Background(), objects.MAC{1}, offset, length)
				if err != nil {
					t.Errorf("get: %v", err)
					return
				}
				if !served {
					continue // no room beside the others
				}
				most := length
				if worker%3 == 0 {
					most = random.Int64N(length) // and closed early
				}
				got, err := io.ReadAll(io.LimitReader(body, most))
				if body.Close(); err != nil || !bytes.Equal(got, s.want(offset, length)[:len(got)]) || int64(len(got)) < min(most, int64(len(s.want(offset, length)))) {
					t.Errorf("get(%d, %d): %d wrong bytes, %v", offset, length, len(got), err)
					return
				}
				if worker == 1 {
					r.expect(by, objects.MAC{1}, random.Int64N(31<<20), 1<<20)
				}
				if worker == 3 && random.IntN(50) == 0 {
					r.lapse(by)
				}
				offset = (offset + length) % (31 << 20)
			}
		})
	}
	wg.Wait()
}

func TestReadaheadCancelled(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	r := newReadahead(1<<20, func(context.Context, objects.MAC, int64, []byte) (int, error) {
		close(entered)
		<-release
		return 10, nil
	})
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error)
	go func() {
		_, _, err := r.get(ctx, objects.MAC{1}, 0, 10)
		result <- err
	}()
	<-entered
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v, want context.Canceled", err)
	}
	close(release)
	r.close()
	if _, served, _ := r.get(context.Background(), objects.MAC{1}, 0, 10); served {
		t.Error("served after close")
	}
}

// BenchmarkReadahead reads a packfile blob by blob, from memory: what is left
// is the cost of the cache.
func BenchmarkReadahead(b *testing.B) {
	const size, blob = 64 << 20, 1500
	pack := make([]byte, size)
	r := newReadahead(32<<20, func(_ context.Context, _ objects.MAC, offset int64, buffer []byte) (int, error) {
		return copy(buffer, pack[offset:]), nil
	})
	defer r.close()
	b.ReportAllocs()
	b.SetBytes(blob)
	offset := int64(0)
	for b.Loop() {
		body, served, err := r.get(b.Context(), objects.MAC{1}, offset, blob)
		if err != nil || !served {
			b.Fatal(served, err)
		}
		body.Close()
		if offset += blob; offset > size-blob {
			offset = 0
		}
	}
}
