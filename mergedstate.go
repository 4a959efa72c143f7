package s3kloset

import (
	"cmp"
	"iter"
	"slices"
	"sync"

	"github.com/PlakarKorp/kloset/caching"
	"github.com/PlakarKorp/kloset/objects"
	"github.com/PlakarKorp/kloset/resources"
)

// mergedState is the engine's database of what a store holds. The engine
// merges a state location by location, each in a transaction of its own, which
// takes longer than all the rest of opening a repository: here they are written
// many at a time. Whoever reads them, and the mark that a state is merged, finds
// them all written.
type mergedState struct {
	*caching.SQLState

	mu      sync.Mutex
	batch   caching.StateBatch
	written int   // deltas that went through batches
	failed  error // of a batch that a reader had to write: for whoever merges
}

const (
	// deltasAtOnce is how many locations are written in a transaction: 200 KB.
	deltasAtOnce = 1024
	// deltasInBatches is how many go through batches in the life of a session.
	// The engine remembers each of these in a map that nobody reads, 40 to 80
	// bytes for one, so that this takes 40 MB at most; more are written one by one.
	deltasInBatches = 1 << 19
)

var _ caching.StateCache = (*mergedState)(nil)

func newMergedState(folder string) (*mergedState, error) {
	state, err := caching.NewSQLState(folder, false)
	if err != nil {
		return nil, err
	}
	return &mergedState{SQLState: state, batch: state.NewBatch()}, nil
}

// PutDelta implements caching.StateCache.
func (m *mergedState) PutDelta(kind resources.Type, blob, packfile objects.MAC, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.written >= deltasInBatches {
		if err := m.flush(); err != nil {
			return err
		}
		return m.SQLState.PutDelta(kind, blob, packfile, data)
	}
	m.written++
	// The engine uses its buffer again.
	if err := m.batch.PutDelta(kind, blob, packfile, slices.Clone(data)); err != nil {
		return err
	}
	if m.failed == nil && m.batch.Count() < deltasAtOnce {
		return nil
	}
	return m.flush()
}

// flush writes what waits, and returns what has failed since the last time.
func (m *mergedState) flush() error {
	err := m.failed
	m.failed = nil
	if m.batch.Count() == 0 {
		return err
	}
	if failed := m.batch.Commit(); failed != nil {
		m.batch = m.SQLState.NewBatch()
		err = cmp.Or(err, failed)
	}
	return err
}

// settle makes what waits visible to readers, which have no error to return.
func (m *mergedState) settle() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failed = m.flush()
}

// PutState implements caching.StateCache: it marks a state as merged.
func (m *mergedState) PutState(id objects.MAC, data []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.flush(); err != nil {
		return err
	}
	return m.SQLState.PutState(id, data)
}

// GetDelta implements caching.StateCache.
func (m *mergedState) GetDelta(kind resources.Type, blob objects.MAC) iter.Seq2[objects.MAC, []byte] {
	m.settle()
	return m.SQLState.GetDelta(kind, blob)
}

// GetDeltasByType implements caching.StateCache.
func (m *mergedState) GetDeltasByType(kind resources.Type) iter.Seq2[objects.MAC, []byte] {
	m.settle()
	return m.SQLState.GetDeltasByType(kind)
}

// GetDeltas implements caching.StateCache.
func (m *mergedState) GetDeltas() iter.Seq2[objects.MAC, []byte] {
	m.settle()
	return m.SQLState.GetDeltas()
}

// DelDelta implements caching.StateCache.
func (m *mergedState) DelDelta(kind resources.Type, blob, packfile objects.MAC) error {
	m.settle()
	return m.SQLState.DelDelta(kind, blob, packfile)
}
