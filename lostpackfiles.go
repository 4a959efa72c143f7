package s3kloset

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/PlakarKorp/kloset/objects"
	"github.com/PlakarKorp/kloset/repository"
)

// lostPackfiles are those that the state named and the store does not have. The
// local state forgets them; the engine then says "blob not found", and not where
// it was. It is safe for concurrent use.
type lostPackfiles struct {
	mu    sync.Mutex
	names map[objects.MAC]struct{}
}

func (l *lostPackfiles) note(id objects.MAC, lost bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !lost:
		delete(l.names, id)
	case l.names == nil:
		l.names = map[objects.MAC]struct{}{id: {}}
	default:
		l.names[id] = struct{}{}
	}
}

// explain adds their names to an error that they may be the reason of.
func (l *lostPackfiles) explain(err error) error {
	reasons := []error{ErrDamaged, ErrSnapshotNotFound, repository.ErrBlobNotFound, repository.ErrPackfileNotFound}
	if !slices.ContainsFunc(reasons, func(reason error) bool { return errors.Is(err, reason) }) {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.names) == 0 {
		return err
	}
	var names []string
	for id := range l.names {
		names = append(names, id.FormatHex())
	}
	slices.Sort(names)
	return &lostError{err, names}
}

// lostError is the error of a repository that lacks packfiles.
type lostError struct {
	err   error
	names []string
}

func (e *lostError) Error() string {
	shown, more := e.names, ""
	if len(shown) > failuresShown {
		shown, more = shown[:failuresShown], " and others"
	}
	return e.err.Error() + "; the store does not have packfile " + strings.Join(shown, ", ") + more
}

// Unwrap makes errors.Is find fs.ErrNotExist beside what there was.
func (e *lostError) Unwrap() []error { return []error{e.err, fs.ErrNotExist} }
