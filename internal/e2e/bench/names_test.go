package bench_test

import (
	"fmt"

	"github.com/PlakarKorp/kloset/objects"
)

// storageID is the name of a blob in a store.
type storageID = objects.MAC

// stateKey is the documented key of a state.
func stateKey(id storageID) string { return fmt.Sprintf("states/%x/%x", id[:1], id[:]) }
