package s3kloset

import (
	"flag"
	"os"
	"testing"

	"github.com/s3kloset/s3kloset/internal/klosettest"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if testing.Short() {
		newChunking = klosettest.ShortChunking
	}
	os.Exit(m.Run())
}
