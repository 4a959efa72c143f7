package s3kloset

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/s3kloset/s3kloset/internal/bucket"
)

// scratch is a folder for the objects of a diagnosis. Every key is noted
// before it is written, so that also a write whose answer was lost, or that was
// cancelled half-way, is removed.
type scratch struct {
	probe      *bucket.Probe
	folder     string     // ends with a slash
	encryption Encryption // of what is written, as the role would write it
	// usable says that objects can be removed for good.
	usable bool
	noted  []string            // keys, in the order of writing
	made   map[string][]string // versions of a key, delete markers too
	denied map[string]bool     // keys that the server would not write
}

// scratchName begins the name of the folder.
const scratchName = ".s3kloset-"

// sweepTimeout is how long the clean-up may take.
const sweepTimeout = 30 * time.Second

func newScratch(probe *bucket.Probe, below string, encryption Encryption) *scratch {
	return &scratch{
		probe:      probe,
		folder:     below + scratchName + strings.ToLower(rand.Text()[:12]) + "/",
		encryption: encryption,
		made:       make(map[string][]string),
		denied:     make(map[string]bool),
	}
}

func (s *scratch) key(name string) string { return s.folder + name }

// note says that a key is about to be written.
func (s *scratch) note(key string) {
	if _, known := s.made[key]; !known {
		s.noted = append(s.noted, key)
		s.made[key] = nil
	}
}

// version says which version of a key was written.
func (s *scratch) version(key, id string) {
	if id != "" {
		s.made[key] = append(s.made[key], id)
	}
}

func (s *scratch) encrypted(w bucket.Write) bucket.Write {
	w.SSE, w.KMSKeyID, w.BucketKey = s.encryption.Mode, s.encryption.KMSKeyID, s.encryption.BucketKey
	return w
}

// put writes an object.
func (s *scratch) put(ctx context.Context, probe *bucket.Probe, name string, body []byte, w bucket.Write) (bucket.Written, error) {
	key := s.key(name)
	s.note(key)
	written, err := probe.Put(ctx, key, body, s.encrypted(w))
	var refused *OpError
	switch {
	case err == nil:
		s.version(key, written.VersionID)
	case errors.As(err, &refused) && refused.Status >= 400 && refused.Status < 500:
		s.denied[key] = true
	}
	return written, err
}

// sweep removes what was written, and whatever the server made of it. It
// returns what is left, and why.
func (s *scratch) sweep(ctx context.Context) (left []string, err error) {
	if len(s.noted) == 0 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sweepTimeout)
	defer cancel()
	for _, key := range s.noted {
		// A key that cannot be written may be one that cannot be removed.
		if failed := s.remove(ctx, key); failed != nil && !s.denied[key] {
			left, err = append(left, key), errors.Join(err, failed)
		}
	}
	// A server may have stored a key under another one.
	page, failed := s.probe.Page(ctx, s.folder, "", firstPage)
	if failed != nil {
		return left, err // who may not list believes the answers above
	}
	for _, entry := range page.Entries {
		if slices.Contains(left, entry.Key) {
			continue
		}
		if _, failed := s.probe.Remove(ctx, entry.Key, ""); failed != nil {
			left, err = append(left, entry.Key), errors.Join(err, failed)
		}
	}
	return left, err
}

// remove removes all versions of a key that are known, or the object if none
// are.
func (s *scratch) remove(ctx context.Context, key string) error {
	versions := s.made[key]
	if len(versions) == 0 {
		marker, err := s.probe.Remove(ctx, key, "")
		if err != nil || marker == "" {
			return err
		}
		_, err = s.probe.Remove(ctx, key, marker)
		return err
	}
	for _, version := range versions {
		if _, err := s.probe.Remove(ctx, key, version); err != nil {
			return err
		}
	}
	return nil
}

// cleanUp removes what the diagnosis wrote.
func (x *doctor) cleanUp(ctx context.Context) Finding {
	left, err := x.scratch.sweep(ctx)
	switch {
	case len(left) > 0:
		return degraded(fmt.Sprintf("%d objects of the diagnosis are left", len(left)),
			"remove the folder "+x.scratch.folder).because(err)
	case len(x.scratch.noted) == 0:
		return fine("nothing was written")
	}
	return fine("%d objects were written and removed", len(x.scratch.noted))
}
