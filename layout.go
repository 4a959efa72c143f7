package s3kloset

import (
	"errors"
	"fmt"
	"strings"

	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/PlakarKorp/kloset/objects"
)

// The names of a repository's objects are those of the existing S3 integration
// of plakar, so that each opens what the other wrote:
//
//	CONFIG            configuration of the repository
//	packfiles/HH/ID   HH is the first byte of ID, both in lower-case hex
//	states/HH/ID
//	locks/ID
const (
	configName = "CONFIG"
	// frozenSuffix marks the cold packfiles that the existing integration
	// writes for archive classes.
	frozenSuffix = ".frozen"
)

// folder is where the objects of a resource are, and whether they are spread
// over folders by their first byte.
func folder(resource storage.StorageResource) (name string, spread bool, err error) {
	switch resource {
	case storage.StorageResourcePackfile:
		return "packfiles/", true, nil
	case storage.StorageResourceState:
		return "states/", true, nil
	case storage.StorageResourceLock:
		return "locks/", false, nil
	}
	return "", false, fmt.Errorf("resource %s: %w", resource, errors.ErrUnsupported)
}

func (s *Store) keyOf(resource storage.StorageResource, id objects.MAC) (string, error) {
	name, spread, err := folder(resource)
	if err != nil {
		return "", err
	}
	hex := fmt.Sprintf("%x", id[:])
	if spread {
		name += hex[:2] + "/"
	}
	return s.bucket.key(name + hex), nil
}

// idOf reads the identifier from a key below a resource's folder. Only exact
// names count: whatever else lies there is not part of the repository.
func idOf(name string, spread bool) (id objects.MAC, ok bool) {
	if spread {
		hh, rest, found := strings.Cut(name, "/")
		if !found || !strings.HasPrefix(rest, hh) || len(hh) != 2 {
			return id, false
		}
		name = rest
	}
	if len(name) != 2*len(id) || name != strings.ToLower(name) {
		return id, false
	}
	return id, id.ParseHex(name) == nil
}
