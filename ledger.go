package s3kloset

import (
	"slices"
	"sync"
)

// ledger keeps the accounts of one run: each object is entered once when it
// is seen and once more when its fate is known. It is safe for concurrent use.
type ledger struct {
	mu       sync.Mutex
	counts   Counts
	warnings Warnings
	failures []Failure
}

func newLedger() *ledger { return &ledger{warnings: Warnings{}} }

func (l *ledger) update(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
}

func (l *ledger) listed()    { l.update(func() { l.counts.Listed++ }) }
func (l *ledger) unchanged() { l.update(func() { l.counts.Unchanged++ }) }
func (l *ledger) skipped()   { l.update(func() { l.counts.Skipped++ }) }

func (l *ledger) stored(bytes int64) {
	l.update(func() {
		l.counts.Stored++
		l.counts.Bytes += bytes
	})
}

func (l *ledger) gone(key string) {
	l.update(func() {
		l.counts.Gone++
		l.warnings.add(WarnGone, key)
	})
}

func (l *ledger) failed(key string, err error) {
	l.update(func() {
		l.counts.Failed++
		if len(l.failures) < failuresKept {
			l.failures = append(l.failures, Failure{Key: key, Err: err})
		}
	})
}

func (l *ledger) warn(kind WarningKind, key string) {
	l.update(func() { l.warnings.add(kind, key) })
}

// outcome copies the accounts. requests may be nil.
func (l *ledger) outcome(requests map[string]int64) Outcome {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Outcome{
		Counts:   l.counts,
		Warnings: l.warnings.clone(),
		Failures: slices.Clone(l.failures),
		Requests: requests,
	}
}

// snapshot copies the counts alone.
func (l *ledger) snapshot() Counts {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts
}
