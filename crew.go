package s3kloset

import (
	"context"
	"sync"
)

// crew runs tasks on a bounded number of goroutines that stay until all is done.
// A request of the SDK needs a stack of 32 KiB, and a goroutine that is made for
// one request grows it step by step, copying all of it each time: for a small
// object that takes as long as a fifth of all else that we do for the request.
//
// Only its owner calls Go and Wait.
type crew struct {
	tasks   chan func() error
	size    int
	started int
	cancel  context.CancelFunc
	workers sync.WaitGroup

	failure sync.Once
	err     error
}

// newCrew makes a crew of at most size workers. The context ends when a task
// fails, and at the end of Wait.
func newCrew(ctx context.Context, size int) (*crew, context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	return &crew{tasks: make(chan func() error), size: size, cancel: cancel}, ctx
}

// Go has a task run, and waits for a worker if all of them are busy.
func (c *crew) Go(task func() error) {
	if c.started < c.size {
		select {
		case c.tasks <- task:
		default:
			c.started++
			c.workers.Go(func() { c.work(task) })
		}
		return
	}
	c.tasks <- task
}

func (c *crew) work(task func() error) {
	for more := true; more; task, more = <-c.tasks {
		if err := task(); err != nil {
			c.failure.Do(func() {
				c.err = err
				c.cancel()
			})
		}
	}
}

// Wait returns the first error when all tasks have ended.
func (c *crew) Wait() error {
	close(c.tasks)
	c.workers.Wait()
	c.cancel()
	return c.err
}
