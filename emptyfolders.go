package s3kloset

import (
	"io/fs"

	"github.com/PlakarKorp/kloset/connectors"
)

// emptyFolders notices folders with nothing in them: the engine sends a folder
// before its content, depth first.
type emptyFolders struct{ pending string }

// next takes a record and returns the folder that it shows to be empty.
func (f *emptyFolders) next(record *connectors.Record) (string, bool) {
	folder, empty := f.pending, f.pending != "" && !isInside(record.Pathname, f.pending)
	f.pending = ""
	isFolder := record.Err == nil && !record.IsXattr && record.FileInfo.Mode()&fs.ModeDir != 0
	if isFolder && record.Pathname != "/" {
		f.pending = record.Pathname
	}
	return folder, empty
}

// finish returns the last folder when nothing came after it.
func (f *emptyFolders) finish() (string, bool) { return f.pending, f.pending != "" }
