package klosettest

import (
	"testing"

	"github.com/PlakarKorp/kloset/connectors/importer"
)

// memSources is the harness of [MemImporter].
func memSources() SourceHarness {
	return SourceHarness{
		New: func(_ testing.TB, objs []Object) importer.Importer { return NewMemImporter(EntriesOf(objs)) },
	}
}

func TestMemImporter(t *testing.T) { RunSource(t, memSources()) }
