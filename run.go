package s3kloset

import (
	"github.com/PlakarKorp/kloset/connectors/exporter"
	"github.com/PlakarKorp/kloset/connectors/importer"
	"github.com/PlakarKorp/kloset/objects"
)

// baseline is the snapshot that a backup is compared with. It is safe for
// concurrent use while Import runs, and no longer than that.
type baseline interface {
	// lookup returns what the snapshot holds at a path of the engine. The
	// slice belongs to the caller. An entry that cannot be read is reported
	// as absent: the object is then read again, which is never wrong.
	lookup(path string) (info objects.FileInfo, attributes []string, found bool)
}

// backupRun is what a source of this package is told about the run ahead.
type backupRun struct {
	// previous is nil for a first backup: everything is new.
	previous baseline
	// forbidden is the folder of a repository on a local disk. The engine
	// drops the paths in it without a word. Empty means that there is none.
	forbidden string
	// failFast says that the first object that fails shall end the run.
	failFast bool
}

// backupSource is an importer that keeps accounts of its own.
type backupSource interface {
	importer.Importer
	// begin is called once before each Import.
	begin(run backupRun)
	// outcome is called once Import has returned.
	outcome() Outcome
}

// restoreTarget is an exporter that keeps accounts of its own.
type restoreTarget interface {
	exporter.Exporter
	// outcome is called once Export has returned.
	outcome() Outcome
}
