package s3kloset

import (
	"bytes"
	"context"
	"io"
	"sync"

	"github.com/PlakarKorp/kloset/objects"
)

// stateahead fetches the states that the engine will ask for next. It opens a
// repository by reading the head of each state that it does not know, in the
// order in which they were listed, and then all of each: two round trips for
// every state, one after the other.
//
// A state is held until it has been opened twice and closed. It is safe for
// concurrent use.
type stateahead struct {
	fetch  func(ctx context.Context, id objects.MAC) ([]byte, error)
	budget int64 // bytes held at most
	most   int   // states fetched at a time

	ctx  context.Context // of the reads, which outlive the call that starts them
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu     sync.Mutex
	order  []listedState
	place  map[objects.MAC]int // in order
	ahead  map[objects.MAC]*heldState
	held   int64
	window int
	last   int // place that was asked for last; -1: none yet
	closed bool
}

type listedState struct {
	id   objects.MAC
	size int64
	uses int // how often it was read
}

// usesOfState is how often the engine opens a state that it does not know.
const usesOfState = 2

// heldState is a state that is being fetched, or has been.
type heldState struct {
	size  int64         // in the budget
	ready chan struct{} // closed when data and err are set
	data  []byte
	err   error
}

// firstAhead is how many states are fetched beside the first one that is asked
// for. The number doubles with each, so that a program that reads one state
// does not pay for many.
const firstAhead = 2

func newStateahead(budget int64, most int, fetch func(context.Context, objects.MAC) ([]byte, error)) *stateahead {
	a := &stateahead{fetch: fetch, budget: budget, most: most}
	a.ctx, a.stop = context.WithCancel(context.Background())
	return a
}

// close ends all reads and waits for them.
func (a *stateahead) close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.stop()
	a.wg.Wait()
}

// listed says which states there are, in the order in which they are read.
func (a *stateahead) listed(states []listedState) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.order, a.window, a.held, a.last = states, firstAhead, 0, -1
	a.ahead = make(map[objects.MAC]*heldState)
	a.place = make(map[objects.MAC]int, len(states))
	for i, s := range states {
		a.place[s.id] = i
	}
}

// forget drops a state that was deleted.
func (a *stateahead) forget(id objects.MAC) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.drop(id)
	delete(a.place, id)
}

// get opens a state, if it is one of those that were listed and fits into the
// budget; else served is false.
func (a *stateahead) get(ctx context.Context, id objects.MAC) (body io.ReadCloser, served bool, err error) {
	state := a.find(id)
	if state == nil {
		return nil, false, nil
	}
	select {
	case <-state.ready:
	case <-ctx.Done():
		return nil, true, ctx.Err()
	}
	if state.err != nil {
		return nil, true, state.err
	}
	used := sync.OnceFunc(func() { a.used(id) })
	return &stateReader{Reader: bytes.NewReader(state.data), close: used}, true, nil
}

// find returns a state, fetched or on its way, and starts those after it.
func (a *stateahead) find(id objects.MAC) *heldState {
	a.mu.Lock()
	defer a.mu.Unlock()
	i, ok := a.place[id]
	if !ok || a.closed {
		return nil
	}
	state := a.start(i)
	if state == nil {
		a.order[i].uses++ // the caller reads it in another way
		return nil
	}
	step := a.direction(i)
	for n, j := 0, i+step; n < a.window && j >= 0 && j < len(a.order); n, j = n+1, j+step {
		if a.order[j].uses < usesOfState && a.start(j) == nil {
			break
		}
	}
	a.window = min(a.window*2, a.most)
	return state
}

// direction tells which way the caller goes through the list: the engine goes
// forwards through one that was handed to it, which may have been turned round.
func (a *stateahead) direction(i int) int {
	last := a.last
	a.last = i
	if i < last || (last < 0 && i == len(a.order)-1) {
		return -1
	}
	return 1
}

// start fetches a state unless that has been done. It returns nil when the
// budget has no room.
func (a *stateahead) start(i int) *heldState {
	listed := a.order[i]
	if state := a.ahead[listed.id]; state != nil {
		return state
	}
	if a.held+listed.size > a.budget {
		return nil
	}
	state := &heldState{size: listed.size, ready: make(chan struct{})}
	a.ahead[listed.id] = state
	a.held += state.size
	a.wg.Add(1)
	go func() {
		defer a.wg.Done()
		data, err := a.fetch(a.ctx, listed.id)
		a.mu.Lock()
		defer a.mu.Unlock()
		state.data, state.err = data, err
		if err != nil && a.ahead[listed.id] == state {
			a.drop(listed.id) // whoever comes next tries again
		}
		close(state.ready)
	}()
	return state
}

func (a *stateahead) drop(id objects.MAC) {
	if state := a.ahead[id]; state != nil {
		delete(a.ahead, id)
		a.held -= state.size
	}
}

// used says that a state has been read.
func (a *stateahead) used(id objects.MAC) {
	a.mu.Lock()
	defer a.mu.Unlock()
	i, ok := a.place[id]
	if !ok {
		return
	}
	if a.order[i].uses++; a.order[i].uses >= usesOfState {
		a.drop(id)
	}
}

// stateReader notices that a state has been read.
type stateReader struct {
	*bytes.Reader
	close func()
}

func (r *stateReader) Close() error {
	r.close()
	return nil
}
