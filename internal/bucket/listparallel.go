package bucket

import (
	"cmp"
	"context"
	"iter"
	"math"
	"slices"
	"sort"
	"sync"
)

const (
	// stride is how many pages a worker shall find between the place where it
	// starts and the one where the next worker does. Where a piece ends, half
	// a page is listed in vain; but much longer pieces have to be held longer.
	stride = 4
	// worthSplit is how many pages a piece must have left to be divided.
	worthSplit = 3
	// sample is which part of the keys is looked at to learn their alphabets.
	sample = 16
)

// ListParallel is List with up to workers pages asked for at a time: the same
// entries in the same order, and the same guards.
//
// It divides the range while it lists it, so that the workers stay close to the
// place that is being delivered: where folders begin, which it asks for, one
// question for scoutEvery pages at most, and at places that it guesses from the
// keys it has seen. A wrong guess costs a request. Pages that wait for their turn are
// bounded: 2 * (stride + 1) * workers of them are in memory at most. A bucket of one
// page costs one request, and no more workers start than there were pages
// before.
//
// The order of the server must be that of bytes: Unordered ranges are listed
// one page after the other.
func (c *Client) ListParallel(ctx context.Context, r Range, workers int) iter.Seq2[Entry, error] {
	if workers <= 1 || r.Unordered || (r.Most > 0 && r.Most <= pageSize) {
		return c.List(ctx, r)
	}
	return func(yield func(Entry, error) bool) {
		l := newParallelList(ctx, c, r, workers)
		defer l.stop()
		sent := 0
		for {
			page, err := l.take()
			if err != nil {
				yield(Entry{}, err)
				return
			}
			if page == nil {
				return
			}
			for _, entry := range page {
				if r.Until != "" && entry.Key >= r.Until {
					return
				}
				if !yield(entry, nil) {
					return
				}
				if sent++; sent == r.Most {
					return
				}
			}
		}
	}
}

// parallelList is one listing by several workers.
type parallelList struct {
	client  *Client
	rng     Range
	workers int
	ctx     context.Context
	cancel  context.CancelFunc
	wg      sync.WaitGroup

	mu      sync.Mutex
	changed sync.Cond // of all below
	pieces  []*listPiece
	keys    keyspace
	folders folders
	listed  int // pages so far
	credit  int // how many guesses may be open: pages so far, less those asked for in vain
	held    int // pages that wait for their turn
	running int // workers that wait for an answer
	scouts  int // those of them that asked for folders
	err     error
}

// listPiece is a part of the range, listed by one worker at a time.
type listPiece struct {
	lister *lister
	from   string // only keys after this one
	until  string // and up to this one; "" is no bound
	at     string // nothing is left to list up to here
	near   density
	guess  int       // place of the guess that made the piece; -1: none, or judged
	limit  int       // place of the guess that is its end; -1: none
	within int       // pages with keys since that end was guessed
	since  int       // pages since a known folder began
	trail  []step    // the last pages
	around []string  // some keys of the last one
	pages  [][]Entry // that wait for their turn

	running bool
	done    bool // listed up to its end
}

// step is a page that a piece has listed: where it begins, and how long it is.
type step struct {
	first string
	keys  int
}

func newParallelList(ctx context.Context, c *Client, r Range, workers int) *parallelList {
	l := &parallelList{client: c, rng: r, workers: workers, keys: keyspace{prefix: r.Prefix}, folders: folders{prefix: r.Prefix}}
	l.changed.L = &l.mu
	l.ctx, l.cancel = context.WithCancel(ctx)
	l.wg.Go(l.watch)
	l.pieces = []*listPiece{l.piece(r.After, r.Until, density{}, -1)}
	for range workers {
		l.wg.Go(l.work)
	}
	return l
}

func (l *parallelList) piece(from, until string, near density, guess int) *listPiece {
	r := Range{Prefix: l.rng.Prefix, After: from, page: l.rng.page}
	return &listPiece{lister: &lister{client: l.client, rng: r, last: from}, from: from, until: until, at: from,
		near: near, guess: guess, limit: -1}
}

// watch wakes those who wait when the context ends.
func (l *parallelList) watch() {
	<-l.ctx.Done()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changed.Broadcast()
}

// stop ends the workers and waits for them.
func (l *parallelList) stop() {
	l.cancel()
	l.wg.Wait()
}

// take waits for the next page in order. It is nil after the last one.
func (l *parallelList) take() ([]Entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if l.err != nil {
			return nil, l.err
		}
		if err := l.ctx.Err(); err != nil {
			return nil, err
		}
		if len(l.pieces) == 0 {
			return nil, nil
		}
		switch first := l.pieces[0]; {
		case len(first.pages) > 0:
			page := first.pages[0]
			first.pages = slices.Delete(first.pages, 0, 1)
			l.held--
			l.changed.Broadcast()
			return page, nil
		case first.done:
			l.pieces = slices.Delete(l.pieces, 0, 1)
			l.folders.forget(first.at)
			l.changed.Broadcast()
		default:
			l.changed.Wait()
		}
	}
}

func (l *parallelList) work() {
	for task := l.pick(); task != nil; task = l.pick() {
		task()
	}
}

// pick waits for something to do. It is nil when there will be nothing more.
func (l *parallelList) pick() (task func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		if l.err != nil || l.ctx.Err() != nil || !slices.ContainsFunc(l.pieces, func(p *listPiece) bool { return !p.done }) {
			return nil
		}
		if task := l.choose(); task != nil {
			l.running++
			return task
		}
		l.changed.Wait()
	}
}

// choose finds the piece of work nearest to the place of delivery: a piece
// that nobody lists, the far end of one that somebody does, or a question for
// folders where there are none known to divide it by. What is delivered next
// never waits for room, and what is near finds some when the far end has none.
func (l *parallelList) choose() (task func()) {
	before := 0 // pages that are held, or under way, ahead of a piece
	for i, p := range l.pieces {
		next := i == 0 && len(p.pages) == 0 && !p.running
		room := before < l.lookahead() && l.held+l.running < 2*l.lookahead()
		switch {
		case p.done:
		case !p.running && (room || next):
			return l.list(p)
		case !room:
			return nil
		case p.running && l.running <= l.credit:
			if folder, after, ok := l.unknown(p); ok {
				return l.scout(folder, after)
			}
			if far := l.split(p); far != nil {
				l.pieces = slices.Insert(l.pieces, i+1, far)
				return l.list(far)
			}
		}
		before += len(p.pages)
		if p.running {
			before++
		}
	}
	return nil
}

// lookahead is how many pages may come before one that is asked for.
func (l *parallelList) lookahead() int { return (stride + 1) * l.workers }

// list is the task of listing one page of a piece.
func (l *parallelList) list(p *listPiece) func() {
	p.running = true
	return func() {
		page, err := p.lister.next(l.ctx)
		l.put(p, page, err)
	}
}

// unknown names the folder to ask about, and from where on, when too little is
// known of the folders in a piece for all workers.
func (l *parallelList) unknown(p *listPiece) (folder, after string, ok bool) {
	after = p.at
	if ahead := l.folders.between(p.at, p.until); len(ahead) > 0 {
		if each, known := l.folders.each(); !known || each*float64(len(ahead)) > float64(l.workers) {
			return "", "", false
		}
		after = ahead[len(ahead)-1]
	}
	if l.folders.tried*scoutEvery > l.listed {
		return "", "", false
	}
	folder, ok = l.folders.ask(after, p.until, p.around)
	return folder, after, ok
}

// scout is the task of asking for the folders in a folder. The listing goes on
// without an answer: whoever may not ask loses time and no key.
func (l *parallelList) scout(folder, after string) func() {
	l.folders.asking(folder)
	l.scouts++
	return func() {
		names, more, err := l.client.subfolders(l.ctx, folder, after, cmp.Or(l.rng.page, pageSize))
		l.mu.Lock()
		defer l.mu.Unlock()
		defer l.changed.Broadcast()
		l.running--
		l.scouts--
		l.folders.tell(folder, names, more && err == nil)
	}
}

// split cuts the far end off a piece, or gives nil when there is too little
// left, or nothing known to divide it by.
func (l *parallelList) split(p *listPiece) *listPiece {
	at, place := l.border(p)
	if at <= p.at || (p.until != "" && at >= p.until) {
		return nil
	}
	far := l.piece(at, p.until, p.near, place)
	far.limit, far.within = p.limit, p.within
	p.until, p.limit, p.within = at, place, 0
	return far
}

// border is where to divide a piece: where a folder begins, or inside of one
// that is much larger than a piece shall be. The latter is a guess at some place
// of the keys; -1 is none. It is "" where too little is left.
func (l *parallelList) border(p *listPiece) (at string, place int) {
	ahead := l.folders.between(p.at, p.until)
	each, known := l.folders.each()
	// Folders are not all of one size: this one may be larger than most.
	small := known && each <= 2*stride && float64(p.since) <= 2*each+1
	switch {
	case small && l.folders.has(p.until) && each*float64(len(ahead)+1) < stride+worthSplit,
		small && len(ahead) == 0 && l.scouts > 0: // an answer is better than a guess
		return "", -1
	case !small || len(ahead) == 0:
		if at, place = l.guess(p); l.folders.allow(p.at, at, p.until) {
			return at, place
		}
	}
	if len(ahead) == 0 {
		return "", -1
	}
	if !known {
		return ahead[0], -1
	}
	return ahead[min(len(ahead), max(1, int(math.Round(stride/each))))-1], -1
}

// guess is where a piece may be divided by what its keys look like, and the
// place of the keys that it guesses at. It is "" where too little is left.
func (l *parallelList) guess(p *listPiece) (at string, place int) {
	near := l.keys.promising(p.near)
	left := l.keys.pages(p.at, p.until, near)
	if left < worthSplit {
		return "", -1
	}
	at, ok := l.keys.ahead(p.at, near, min(stride, left/2))
	if !ok {
		return "", -1
	}
	return at, near.place
}

// put takes the page that a worker got for a piece.
func (l *parallelList) put(p *listPiece, page []Entry, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.changed.Broadcast()
	p.running = false
	l.running--
	if p.done {
		// Others found out that it has no keys: one gap is one mistake.
		p.guess = -1
		l.judge(p, false)
		return
	}
	if err != nil {
		if l.err == nil {
			l.err = err
			l.cancel()
		}
		return
	}
	l.listed++
	before := p.at
	l.learn(p, page)
	inside := page
	if p.until != "" {
		inside = page[:sort.Search(len(page), func(i int) bool { return page[i].Key > p.until })]
	}
	if len(inside) > 0 {
		p.pages = append(p.pages, inside)
		p.at = inside[len(inside)-1].Key
		p.within++
		l.held++
		if l.folders.pass(before, p.at, float64(len(inside))/float64(p.lister.want())) > 0 {
			p.since = 0
		}
		p.since++
	}
	l.judge(p, len(inside) > 0)
	if len(inside) == 0 && p.limit >= 0 && p.within == 0 {
		// The end was guessed into a gap, hardly beyond what was known.
		l.keys.tell(p.limit, false)
	}
	if len(inside) < len(page) {
		p.done = true
		l.skip(p, page[len(inside)].Key)
	}
	if p.lister.done {
		p.done = true
		l.end(p, p.lister.last)
	}
}

// judge counts whether a page was asked for in vain.
func (l *parallelList) judge(p *listPiece, found bool) {
	if p.guess >= 0 {
		l.keys.tell(p.guess, found)
		p.guess = -1
	}
	if found {
		l.credit = min(l.credit+1, 2*l.workers)
	} else {
		l.credit = max(l.credit-1, 0)
	}
}

// learn looks at the keys of a page, those beyond the piece too.
func (l *parallelList) learn(p *listPiece, page []Entry) {
	if len(page) == 0 {
		return
	}
	first, last := page[0].Key, page[len(page)-1].Key
	keys := make([]string, 0, len(page)/sample+2)
	for i := 0; i < len(page); i += sample {
		keys = append(keys, page[i].Key)
	}
	p.around = append(keys, last)
	l.keys.observe(p.around...)
	// Over several pages it shows how far folders reach. One page alone may be
	// all of a folder, and tell nothing of the next one.
	p.trail = append(p.trail, step{first, len(page)})
	p.trail = p.trail[max(0, len(p.trail)-stride):]
	count := 0
	for _, s := range p.trail {
		count += s.keys
	}
	near := l.keys.density(p.trail[0].first, last, count, p.lister.want())
	if near.span > 0 && (len(p.trail) > 1 || p.near.span == 0 || near.place <= p.near.place) {
		p.near = near
	}
}

// skip passes over what lies between a piece and the first key after it:
// other pieces there are empty.
func (l *parallelList) skip(p *listPiece, next string) {
	l.keys.observe(next)
	for _, q := range l.pieces[slices.Index(l.pieces, p)+1:] {
		if q.done {
			continue
		}
		if q.until != "" && q.until < next {
			q.done = true
			continue
		}
		if len(q.pages) == 0 && q.at == q.from {
			q.at = max(q.at, next)
			q.near = p.near
		}
		return
	}
}

// end marks the pieces after the last key of all: they are empty, too.
func (l *parallelList) end(p *listPiece, last string) {
	for _, q := range l.pieces[slices.Index(l.pieces, p)+1:] {
		q.done = q.done || q.from >= last
	}
}
