package s3kloset

import (
	"errors"
	"io/fs"
	"log/slog"
	"slices"

	"github.com/PlakarKorp/kloset/objects"
	"github.com/PlakarKorp/kloset/snapshot/vfs"
)

// parent is the baseline of an incremental backup. It shares the engine's own
// cache of the previous snapshot: the engine reads ahead for it, one listing
// of a folder at a time, and looks at the same entries soon afterwards, so
// that a lookup here costs no request of its own.
type parent struct {
	tree   *vfs.Filesystem
	logger *slog.Logger
}

func (p *parent) lookup(path string) (objects.FileInfo, []string, bool) {
	entry := p.entry(path)
	if entry == nil {
		return objects.FileInfo{}, nil, false
	}
	// The engine sorts the attributes of a record in place.
	return entry.FileInfo, slices.Clone(entry.ExtendedAttributes), true
}

// entry is nil where there is none, or none that can be read. It is shared
// with the engine and must not be changed.
func (p *parent) entry(path string) *vfs.Entry {
	entry, err := p.tree.GetEntryForBackup(path)
	switch {
	case err == nil:
		return entry
	case !errors.Is(err, fs.ErrNotExist):
		p.logger.Warn("entry of the previous snapshot is not readable", "path", path, "error", err)
	}
	return nil
}
