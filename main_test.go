package s3kloset

import (
	"flag"
	"os"
	"testing"

	"github.com/PlakarKorp/kloset/connectors/storage"

	"github.com/s3kloset/s3kloset/internal/klosettest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		engineConfiguration = shortConfiguration
	}
	os.Exit(m.Run())
}

// shortConfiguration is one without compression, and with short chunks. LZ4 takes a block of
// 4 MiB for each chunk, however short, from a pool that the race detector empties at random:
// half of the time of all tests went into making and marking them. Tests of compression ask
// for one, and at full size all repositories have it.
func shortConfiguration() *storage.Configuration {
	short := storage.NewConfiguration()
	short.Chunking = *klosettest.ShortChunking()
	short.Compression = nil
	return short
}
