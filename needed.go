package s3kloset

import (
	"fmt"

	"github.com/PlakarKorp/kloset/objects"
)

// neededPackfiles are the packfiles that a snapshot refers to.
type neededPackfiles struct {
	snapshot  string
	packfiles []objects.MAC
}

// packfilesOf reads all listings of a snapshot, which are in hot packfiles.
func (op *operation) packfilesOf(name string) (needed neededPackfiles, err error) {
	id, err := op.resolve(name)
	if err != nil {
		return needed, err
	}
	snap, err := op.load(id)
	if err != nil {
		return needed, err
	}
	needed.snapshot = id.FormatHex()
	references, err := snap.ListPackfiles()
	if err != nil {
		return needed, fmt.Errorf("%w: snapshot %s: %w", ErrDamaged, needed.snapshot, err)
	}
	seen := make(map[objects.MAC]bool)
	for packfile, err := range references {
		// The engine goes on after an error, with a pointer to nothing.
		if err != nil {
			return needed, fmt.Errorf("%w: snapshot %s: %w", ErrDamaged, needed.snapshot, err)
		}
		if !seen[packfile] {
			seen[packfile] = true
			needed.packfiles = append(needed.packfiles, packfile)
		}
	}
	return needed, op.interrupted()
}
