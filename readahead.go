package s3kloset

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/PlakarKorp/kloset/objects"
)

const (
	// pageSize is the grain of the cache, and the least that is read of a
	// packfile: at the latencies of S3 it costs no more than one byte.
	pageSize = 64 << 10
	// maxSpan bounds a single read, and so does an eighth of the budget. Longer
	// ones gain nothing over several beside each other.
	maxSpan = 8 << 20
	// spansAhead is how many reads run ahead of one that goes through a
	// packfile in order.
	spansAhead = 3
	// stepsUp is how many more, shorter ones there are at the beginning of a
	// packfile, where somebody waits for each of them.
	stepsUp = 3
	// aheadFrom is the length from which reads are worth being made ahead.
	aheadFrom = 512 << 10
	// thrift is the part of the bytes read that must have been wanted, or
	// reads become shorter: one in three.
	thrift = 3
)

// readahead serves the ranges that the engine asks for, a few hundred bytes
// to some MiB each, out of larger pieces of the packfiles.
//
// The first read of a packfile is small. Reads double as long as most of what
// they brought is wanted, and shrink when it is not; those of someone who goes
// through a packfile in order are made ahead. A packfile after one of which most
// was wanted is read ahead at once. Who knows what will be asked for can say so,
// and nothing is guessed there. It is safe for concurrent use.
type readahead struct {
	fetch  fetchRange
	budget int64 // bytes held at most, buffers for the next reads included

	ctx  context.Context // of the reads, which serve more than one caller
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu      sync.Mutex
	packs   map[objects.MAC]*pack
	recent  *list.List // of *span, the one used last at the front
	held    int64
	due     int64 // bytes of what was announced and not looked into yet
	spare   spareBuffers
	latest  *pack // the one that was met last
	first   int64 // window of the next packfile
	longest int64 // size of the longest packfile whose end was seen; 0: of none
	closed  bool
}

// fetchRange reads from an offset of a packfile until the buffer is full or the
// packfile ends, which is no error unless nothing was read.
type fetchRange func(ctx context.Context, id objects.MAC, offset int64, buffer []byte) (int, error)

// pack is what is known of a packfile.
type pack struct {
	id      objects.MAC
	pages   map[int64]*span
	window  int64 // pages of the next read
	next    int64 // where the last range ended
	end     int64 // size of the packfile; -1: not seen yet
	started int64 // pages of all reads
	fetched int64 // pages of the reads that somebody looked into
	touched int64 // pages that somebody looked into
}

// span is one read of consecutive pages.
type span struct {
	pack    *pack
	first   int64 // number of its first page
	touched []bool
	used    bool
	place   *list.Element
	pins    int // callers that wait for it, or copy from it

	announced bool       // and no guess
	due       *itinerary // who announced it, until it is looked into: it stays

	ready chan struct{} // closed when data and err are set
	data  []byte
	err   error

	buffer []byte // behind data, for another read when this one is not needed any more
}

func (s *span) pages() int64  { return int64(len(s.touched)) }
func (s *span) offset() int64 { return s.first * pageSize }
func (s *span) length() int64 { return s.pages() * pageSize }

func newReadahead(budget int64, fetch fetchRange) *readahead {
	r := &readahead{fetch: fetch, budget: budget, packs: make(map[objects.MAC]*pack), recent: list.New(), first: 1}
	r.ctx, r.stop = context.WithCancel(context.Background())
	return r
}

// close ends all reads and waits for them.
func (r *readahead) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.stop()
	r.wg.Wait()
}

// forget drops what is held of a packfile.
func (r *readahead) forget(id objects.MAC) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.packs[id]
	if p == nil {
		return
	}
	delete(r.packs, id)
	for _, s := range p.pages {
		r.drop(s)
	}
}

// forgetAll drops what is held.
func (r *readahead) forgetAll() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, p := range r.packs {
		delete(r.packs, id)
		for _, s := range p.pages {
			r.drop(s)
		}
	}
}

// get returns a range of a packfile, less where the packfile ends. When the
// budget has no room for it, served is false. The body must be closed, or read to
// its end: until then it takes of the budget.
func (r *readahead) get(ctx context.Context, id objects.MAC, offset, length int64) (body io.ReadCloser, served bool, err error) {
	spans := r.pin(id, offset, length)
	if spans == nil {
		return nil, false, nil
	}
	piece := &packfileRange{owner: r, ctx: ctx, spans: spans, offset: offset, left: length}
	if err := piece.await(); err != nil {
		piece.Close()
		if err == io.EOF {
			err = fmt.Errorf("packfile %x: offset %d: %w", id, offset, ErrInvalidRange)
		}
		return nil, true, err
	}
	return piece, true, nil
}

// expect begins to read a range of a packfile that somebody will ask for, as far
// as there is room: what was announced and not looked into yet takes half of the
// budget. It returns how many bytes are settled.
func (r *readahead) expect(by *itinerary, id objects.MAC, offset, length int64) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || length <= 0 {
		return length
	}
	p := r.packs[id]
	if p == nil {
		p = &pack{id: id, pages: make(map[int64]*span), window: r.first, end: -1}
		r.packs[id] = p
	}
	page, end := offset/pageSize, (offset+length-1)/pageSize+1
	if p.end >= 0 {
		end = min(end, (p.end+pageSize-1)/pageSize)
	}
	for page < end {
		s := p.pages[page]
		if s == nil {
			count := min(end-page, r.maxWindow())
			if r.due+count*pageSize > r.budget/2 {
				break
			}
			if s = r.start(p, page, count); s == nil {
				break
			}
			s.announced, s.due = true, by
			r.due += s.length()
		}
		page = s.first + s.pages()
	}
	if page >= end {
		return length
	}
	return max(0, page*pageSize-offset)
}

// lapse makes what somebody announced and nobody looked into something like the
// rest: it will not be asked for.
func (r *readahead) lapse(by *itinerary) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for e := r.recent.Front(); e != nil; e = e.Next() {
		if s := e.Value.(*span); s.due == by {
			r.settle(s)
		}
	}
}

// settle enters that a read has been looked into, or will not be.
func (r *readahead) settle(s *span) {
	if s.due != nil {
		s.due = nil
		r.due -= s.length()
	}
}

// roomAhead tells whether n bytes may be read that nobody has asked for yet. A
// guess must not push out what is not used yet.
func (r *readahead) roomAhead(n int64) bool {
	return r.held+n <= r.budget/2 || r.evictable(n)
}

// pin finds the reads that hold a range, and starts those that are missing.
func (r *readahead) pin(id objects.MAC, offset, length int64) []*span {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	p := r.packs[id]
	if p == nil {
		p = r.meet(id)
	}
	opening := p.started == 0
	first, last := offset/pageSize, (offset+length-1)/pageSize
	// Who asks for much at once goes through something large.
	p.window = max(p.window, min(last-first+1, r.maxWindow()))
	if p.end >= 0 {
		// What lies after the end would be asked for page by page.
		last = max(first, min(last, (p.end-1)/pageSize))
	}
	inOrder := offset >= p.next-pageSize && offset <= p.next+pageSize
	p.next = offset + length
	var spans []*span
	for page := first; page <= last; {
		s := p.pages[page]
		if s == nil {
			p.adapt(r.maxWindow())
			count := max(last-page+1, p.window)
			if opening && p.window > 1 {
				count = last - page + 1 // somebody waits: the rest is read ahead
			}
			s = r.start(p, page, count)
		}
		if s == nil {
			r.release(spans...)
			return nil
		}
		s.pins++
		r.recent.MoveToFront(s.place)
		spans = append(spans, s)
		r.settle(s)
		s.touch(page, last)
		page = s.first + s.pages()
	}
	switch {
	case p.window*pageSize < aheadFrom:
	case spans[len(spans)-1].announced: // so is what follows, or nobody wants it
	case opening:
		r.runAhead(p, last+1, spansAhead+stepsUp, max(last-first+1, aheadFrom/pageSize))
	case inOrder:
		r.runAhead(p, last+1, spansAhead, p.window)
	}
	return spans
}

// meet begins with a packfile. Reads are as long as those of the one before were
// in the end, when most of them was wanted; when it was not, they get shorter
// from one packfile to the next.
func (r *readahead) meet(id objects.MAC) *pack {
	if before := r.latest; before != nil {
		if before.touched*thrift >= before.started {
			r.first = max(r.first, before.window)
		} else {
			r.first = max(r.first/4, 1)
		}
	}
	p := &pack{id: id, pages: make(map[int64]*span), window: r.first, end: -1}
	r.packs[id], r.latest = p, p
	return p
}

// maxWindow is the most pages of a read that is longer than what is asked for.
func (r *readahead) maxWindow() int64 { return max(min(maxSpan, r.budget/8)/pageSize, 1) }

// adapt sets the length of the next read by what became of the others.
func (p *pack) adapt(most int64) {
	switch {
	case p.fetched == 0:
	case p.touched*thrift >= p.fetched:
		p.window = min(p.window*2, most)
	default:
		p.window = max(p.window/2, 1)
	}
}

// touch enters that pages were looked into.
func (s *span) touch(from, to int64) {
	if !s.used {
		s.used = true
		s.pack.fetched += s.pages()
	}
	for page := max(from, s.first); page <= min(to, s.first+s.pages()-1); page++ {
		if !s.touched[page-s.first] {
			s.touched[page-s.first] = true
			s.pack.touched++
		}
	}
}

// runAhead starts so many reads after a page, as far as they are not there. They
// are as long as the window; the first one may be shorter, and each is then
// twice as long as the one before.
func (r *readahead) runAhead(p *pack, page int64, reads int, shortest int64) {
	for range reads {
		if end := r.likelyEnd(p); end >= 0 && page*pageSize >= end {
			return
		}
		s := p.pages[page]
		if s == nil {
			p.adapt(r.maxWindow())
			count := min(shortest, p.window)
			if !r.roomAhead(count * pageSize) {
				return
			}
			if s = r.start(p, page, count); s == nil {
				return
			}
		}
		shortest *= 2
		page = s.first + s.pages()
	}
}

// likelyEnd is where a packfile ends, -1 if it may be anywhere. As long as it is
// not known, no guess goes beyond the longest one that was met: most are as long.
func (r *readahead) likelyEnd(p *pack) int64 {
	if p.end < 0 && p.next <= r.longest && r.longest > 0 {
		return r.longest
	}
	return p.end
}

// start reads up to count pages from one that is missing. It returns nil when
// the budget does not allow it.
func (r *readahead) start(p *pack, page, count int64) *span {
	n := int64(1)
	for n < count && p.pages[page+n] == nil && (p.end < 0 || (page+n)*pageSize < p.end) {
		n++
	}
	if !r.makeRoom(n * pageSize) {
		return nil
	}
	s := &span{pack: p, first: page, touched: make([]bool, n), ready: make(chan struct{})}
	for i := range n {
		p.pages[page+i] = s
	}
	s.place = r.recent.PushFront(s)
	p.started += n
	r.held += s.length()
	s.pins++
	s.buffer = r.spare.take(s.length())
	r.spare.shrink(r.budget - r.held)
	r.wg.Go(func() {
		n, err := r.fetch(r.ctx, p.id, s.offset(), s.buffer)
		r.done(s, s.buffer[:n], err)
	})
	return s
}

// done publishes a read. One that failed is tried again by whoever comes next.
func (r *readahead) done(s *span, data []byte, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.data, s.err = data, err
	switch {
	case err != nil:
		if errors.Is(err, ErrInvalidRange) && (s.pack.end < 0 || s.offset() < s.pack.end) {
			s.pack.end = s.offset() // or before
		}
		r.drop(s)
	case int64(len(data)) < s.length():
		s.pack.end = s.offset() + int64(len(data))
		r.longest = max(r.longest, s.pack.end)
	}
	r.release(s)
	close(s.ready)
}

// makeRoom evicts what was not used for longest until n more bytes fit.
func (r *readahead) makeRoom(n int64) bool {
	for e := r.recent.Back(); e != nil && r.held+n > r.budget; {
		s := e.Value.(*span)
		e = e.Prev()
		if s.pins == 0 && s.due == nil {
			if !s.used {
				s.pack.fetched += s.pages() // a guess that was wrong
			}
			r.drop(s)
		}
	}
	return r.held+n <= r.budget
}

// evictable tells whether n bytes could be had from reads that were used.
func (r *readahead) evictable(n int64) bool {
	for e := r.recent.Back(); e != nil && n > 0; e = e.Prev() {
		if s := e.Value.(*span); s.pins == 0 && s.used {
			n -= s.length()
		}
	}
	return n <= 0
}

// drop takes a read out of the cache. Those who wait for it keep it.
func (r *readahead) drop(s *span) {
	if s.place == nil {
		return
	}
	r.recent.Remove(s.place)
	s.place = nil
	r.settle(s)
	r.held -= s.length()
	for i := range s.pages() {
		if s.pack.pages[s.first+i] == s {
			delete(s.pack.pages, s.first+i)
		}
	}
	r.reclaim(s)
}

// unpin says that somebody needs these reads no more.
func (r *readahead) unpin(spans ...*span) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.release(spans...)
}

func (r *readahead) release(spans ...*span) {
	for _, s := range spans {
		s.pins--
		r.reclaim(s)
	}
}

// reclaim keeps the buffer of a read that is neither in the cache nor looked at.
func (r *readahead) reclaim(s *span) {
	if s.place == nil && s.pins == 0 && s.buffer != nil {
		r.spare.put(s.buffer)
		s.buffer, s.data = nil, nil
		r.spare.shrink(r.budget - r.held)
	}
}
