package s3kloset

import "time"

// progressEvery is the time between two reports of progress.
const progressEvery = 200 * time.Millisecond

// follow reports the ledger to callback until stop is called. stop waits for
// the last report.
func follow(callback func(Progress), l *ledger) (stop func()) {
	if callback == nil {
		return func() {}
	}
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(progressEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				callback(Progress{Counts: l.snapshot()})
			case <-quit:
				callback(Progress{Counts: l.snapshot(), Done: true})
				return
			}
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}
