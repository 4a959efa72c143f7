package klosettest

import (
	"strings"

	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/PlakarKorp/kloset/objects"
)

// configName is where a repository keeps its configuration.
const configName = "CONFIG"

// folders are where each resource lives. Packfiles and states are spread over
// folders named after their first byte, locks are not.
var folders = map[storage.StorageResource]struct {
	name   string
	spread bool
}{
	storage.StorageResourcePackfile: {"packfiles", true},
	storage.StorageResourceState:    {"states", true},
	storage.StorageResourceLock:     {"locks", false},
}

// resources lists the kinds of [folders] in a fixed order.
var resources = []storage.StorageResource{
	storage.StorageResourcePackfile,
	storage.StorageResourceState,
	storage.StorageResourceLock,
}

// unsupported are resources that no store has: the error-correcting ones, which
// are numbers without a use so far, and numbers without a name.
var unsupported = []storage.StorageResource{
	storage.StorageResourceUndefined,
	storage.StorageResourceECCPackfile,
	storage.StorageResourceECCState,
	storage.StorageResource(99),
}

// resourceName returns the name of a resource below the root of a repository:
// packfiles/HH/ID, states/HH/ID or locks/ID.
func resourceName(res storage.StorageResource, id objects.MAC) string {
	folder, hex := folders[res], id.FormatHex()
	if folder.spread {
		return folder.name + "/" + hex[:2] + "/" + hex
	}
	return folder.name + "/" + hex
}

// parseName undoes [resourceName]; ok is false for every other name.
func parseName(name string) (res storage.StorageResource, id objects.MAC, ok bool) {
	hex := name[strings.LastIndexByte(name, '/')+1:]
	if len(hex) != 2*len(id) || id.ParseHex(hex) != nil {
		return 0, id, false
	}
	for _, res := range resources {
		if resourceName(res, id) == name {
			return res, id, true
		}
	}
	return 0, id, false
}
