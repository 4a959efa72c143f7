package klosettest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/PlakarKorp/kloset/objects"
)

// listChecks are about lists: complete, exact and in order.
var listChecks = []check[StoreHarness]{
	{"ListEmpty", checkListEmpty},
	{"ListOwnResources", checkListOwnResources},
	{"ListMany", checkListMany},
	{"ListForeignNames", checkListForeignNames},
	{"ListStatesOldestFirst", checkListStatesOldestFirst},
	{"ListCancelled", checkListCancelled},
}

func checkListEmpty(t testing.TB, h StoreHarness) {
	s := h.created(t)
	for _, res := range resources {
		wantList(t, s, res)
	}
}

func checkListOwnResources(t testing.TB, h StoreHarness) {
	s := h.created(t)
	want := make(map[storage.StorageResource][]objects.MAC)
	for i, res := range resources {
		for j := range 3 {
			id := name(uint64(i*10 + j))
			put(t, s, res, id, noise(1, 124))
			want[res] = append(want[res], id)
		}
		// One identifier may name a state and a lock: those of a backup do.
		put(t, s, res, name(99), noise(1, 124))
		want[res] = append(want[res], name(99))
	}
	for _, s := range []storage.Store{s, h.again(t, s)} {
		for res, ids := range want {
			wantList(t, s, res, ids...)
		}
	}
}

// checkListMany needs more than one page of a thousand.
func checkListMany(t testing.TB, h StoreHarness) {
	if h.Plant == nil {
		t.Log("not checked: the harness cannot plant objects")
		return
	}
	const many = 1005
	s := h.created(t)
	for _, res := range resources[1:] {
		ids := make([]objects.MAC, many)
		for i := range ids {
			ids[i] = name(uint64(i))
			h.Plant(t, s, resourceName(res, ids[i]), []byte{1})
		}
		wantList(t, s, res, ids...)
	}
}

// checkListForeignNames: garbage that is taken for a state makes the repository
// unusable for everybody.
func checkListForeignNames(t testing.TB, h StoreHarness) {
	if h.Plant == nil {
		t.Log("not checked: the harness cannot plant objects")
		return
	}
	s := h.created(t)
	want := make(map[storage.StorageResource][]objects.MAC)
	for i, res := range resources {
		id := name(uint64(i))
		put(t, s, res, id, noise(uint64(i), 124))
		want[res] = []objects.MAC{id}
	}
	for _, foreign := range foreignNames(name(7).FormatHex()) {
		h.Plant(t, s, foreign, []byte("foreign"))
	}
	for res, ids := range want {
		wantList(t, s, res, ids...)
	}
	for i, res := range resources {
		wantBody(t, s, res, name(uint64(i)), noise(uint64(i), 124))
	}
	wantConfig(t, s)
}

// foreignNames returns names that resemble those of the resource with the given
// 64 digits, none of which is one. Names that end in a slash are folder markers.
// Some services do not keep a file beside a folder of the same name: none of
// these asks for that.
func foreignNames(hex string) []string {
	names := []string{"README", "CONFIG.old", "config", "statesx/" + hex}
	for _, folder := range folders {
		dir := folder.name + "/"
		if folder.spread {
			names = append(names, dir+hex) // at the place of a lock
			dir += hex[:2] + "/"
			names = append(names, folder.name+"/ff/00"+hex[2:]) // in another's folder
		}
		names = append(names,
			folder.name+"/",
			folder.name+"/README",
			folder.name+"/zz/"+hex,
			"backup/"+dir+hex,
			dir+hex[:62],
			dir+hex+"00",
			dir+hex+".tmp",
			dir+"."+hex,
			dir+"X"+hex[1:],
			dir+hex[:63]+" ",
			dir+strings.ToUpper(hex),
			dir+"below/"+hex,
		)
	}
	return names
}

// checkListStatesOldestFirst: the engine merges states in the order of the list,
// and a removal that is merged before its addition breaks the next backup.
func checkListStatesOldestFirst(t testing.TB, h StoreHarness) {
	s := h.created(t)
	// Falling names, so that neither order of names is that of time.
	var want []objects.MAC
	for i, first := range []byte{0x80, 0xff, 0x40, 0x00, 0xc0} {
		id := name(uint64(i))
		id[0] = first
		if i > 0 && h.Tick != nil {
			h.Tick(t)
		}
		put(t, s, storage.StorageResourceState, id, noise(1, 124))
		want = append(want, id)
	}
	for _, s := range []storage.Store{s, h.again(t, s)} {
		if got := list(t, s, storage.StorageResourceState); !slices.Equal(got, want) {
			t.Errorf("states are listed as %x, were put as %x", got, want)
		}
	}
}

// checkListCancelled: a list that was cut short looks complete.
func checkListCancelled(t testing.TB, h StoreHarness) {
	s := h.created(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, res := range resources {
		put(t, s, res, name(1), noise(1, 124))
		if ids, err := s.List(ctx, res); !errors.Is(err, context.Canceled) {
			t.Errorf("list %s with a cancelled context: %d identifiers, error %v, want context.Canceled", res, len(ids), err)
		}
	}
}
