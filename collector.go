package s3kloset

import (
	"context"
	"errors"

	"github.com/PlakarKorp/kloset/connectors"
)

// collector follows the acknowledgements of the engine.
type collector struct {
	done chan struct{}
	quit chan struct{}
}

// collect settles each acknowledged record, until results is closed.
func (w *walk) collect(results <-chan *connectors.Result) collector {
	c := collector{done: make(chan struct{}), quit: make(chan struct{})}
	if results == nil {
		close(c.done)
		return c
	}
	go func() {
		defer close(c.done)
		for {
			select {
			case result, ok := <-results:
				if !ok {
					return
				}
				w.settle(result.Record.Pathname)
			case <-c.quit:
				return
			}
		}
	}()
	return c
}

// wait returns when the engine has acknowledged everything.
func (c collector) wait(ctx context.Context) error {
	select {
	case <-c.done:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// abandon stops following; the engine drains what is left by itself.
func (c collector) abandon() {
	close(c.quit)
	<-c.done
}

// settle enters the fate of an acknowledged object. Acknowledgements do not
// tell it: what was read of the body does.
func (w *walk) settle(path string) {
	w.mu.Lock()
	o := w.inflight[path]
	delete(w.inflight, path)
	w.mu.Unlock()
	if o == nil {
		return // a folder, or an object that was counted as failed
	}
	w.appetite.observe(o.known, o.opened.Load())
	switch fate := o.fate(); {
	case fate == nil && !o.opened.Load():
		w.ledger.unchanged()
	case fate == nil:
		w.ledger.stored(o.read.Load())
	case errors.Is(fate, errGone):
		w.ledger.gone(o.entry.Key)
	default:
		w.ledger.failed(o.entry.Key, fate)
	}
	o.discard()
}
