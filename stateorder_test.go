package s3kloset

import (
	"slices"
	"testing"
	"time"

	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/PlakarKorp/kloset/objects"
	"github.com/s3kloset/s3kloset/internal/s3test"
)

// TestOrderOfStates: oldest first for everybody but the engine, which merges
// siblings from the end of the list and must see them in order of time.
func TestOrderOfStates(t *testing.T) {
	v := newVault(t)
	var oldest []objects.MAC
	for i, first := range []byte{0x80, 0xff, 0x00} {
		id := objects.MAC{first, byte(i)}
		v.vault.Put("repo/states/"+id.FormatHex()[:2]+"/"+id.FormatHex(), nil, s3test.Properties{},
			s3test.ModifiedAt(time.Now().Add(time.Duration(i-10)*time.Minute)))
		oldest = append(oldest, id)
	}
	newest := slices.Clone(oldest)
	slices.Reverse(newest)

	direct, registered := v.store(), v.store()
	registered.forEngine = true
	for name, c := range map[string]struct {
		store storage.Store
		want  []objects.MAC
	}{
		"direct":                   {direct, oldest},
		"registered":               {registered, newest},
		"direct in a facade":       {newGuard(direct), newest},
		"registered in the facade": {newGuard(registered), newest},
	} {
		ids, err := c.store.List(t.Context(), storage.StorageResourceState)
		if err != nil || !slices.Equal(ids, c.want) {
			t.Errorf("%s: %x, %v, want %x", name, ids, err, c.want)
		}
	}
}
