package s3kloset

import (
	"errors"
	"fmt"

	"github.com/PlakarKorp/kloset/snapshot/vfs"
)

// reckoning settles the accounts of a backup with what is in the snapshot.
// The engine acknowledges every record alike, stored or not, and calls a run
// with errors a success; its list of errors and the entries that are there
// tell.
type reckoning struct {
	Outcome
	entries int64 // in the snapshot, without folders
	errors  int64 // in the engine's list
	keyed   bool  // paths are object keys
}

// errUnaccounted is the failure of objects that the engine neither stored nor
// reported.
var errUnaccounted = errors.New("taken by the engine, and not in the snapshot")

// addErrors adds the engine's errors, except for those that are in the
// accounts already.
func (r *reckoning) addErrors(tree *vfs.Filesystem, in *intake) error {
	more := in.more
	for item, err := range tree.Errors("/") {
		if err != nil {
			return fmt.Errorf("read the list of errors: %w", err)
		}
		r.errors++
		if _, known := in.failed[item.Name]; known {
			continue
		}
		if more > 0 {
			more--
			continue
		}
		entry, err := tree.GetEntryNoFollow(item.Name)
		r.add(item.Name, errors.New(item.Error), err == nil && !entry.IsDir())
	}
	return nil
}

// add enters a path that failed without being in the accounts. There may be
// an entry all the same: then one of its attributes is missing.
func (r *reckoning) add(path string, err error, entry bool) {
	switch {
	case entry:
		r.entries--
		r.retract(1)
	case r.Stored+r.Unchanged > r.entries:
		r.retract(1)
	default:
		r.Listed++ // a folder: it was not counted
	}
	r.fail(1, path, err)
}

// close looks for objects that nobody has heard of again.
func (r *reckoning) close() {
	if missing := r.Stored + r.Unchanged - r.entries; missing > 0 {
		r.retract(missing)
		r.fail(missing, "", fmt.Errorf("%d objects: %w", missing, errUnaccounted))
	}
}

// retract takes back that n objects are in the snapshot.
func (r *reckoning) retract(n int64) {
	stored := min(n, r.Stored)
	r.Stored -= stored
	r.Unchanged -= n - stored
}

func (r *reckoning) fail(n int64, path string, err error) {
	r.Failed += n
	if r.keyed {
		if key, err := keyOfPath("", path); err == nil {
			path = key
		}
	}
	if len(r.Failures) < failuresKept {
		r.Failures = append(r.Failures, Failure{Key: path, Err: err})
	}
}
