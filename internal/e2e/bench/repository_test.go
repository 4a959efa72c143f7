package bench_test

import (
	"os"
	"testing"

	fsstore "github.com/PlakarKorp/integrations/fs/storage"
	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/s3kloset/s3kloset"
)

// memoryDir is a new folder whose files are in memory, where the system has
// that, and belong to no process. It is removed at the end.
func memoryDir(b testing.TB) string {
	b.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "s3kloset-bench-")
	if err != nil {
		return b.TempDir()
	}
	b.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// nearStore is a store in a local folder, as a fast disk would be.
func (g *ground) nearStore(dir string) storage.Store {
	g.Helper()
	return must[storage.Store](g)(fsstore.NewStore(g.Context(), "fs", map[string]string{"location": "fs://" + dir + "/repository"}))
}

// repositoryIn makes an empty repository. The engine works on one object at a
// time, as plakar's default is on two processors.
func (g *ground) repositoryIn(store storage.Store) *s3kloset.Repository {
	g.Helper()
	repo := must[*s3kloset.Repository](g)(s3kloset.CreateRepository(g.Context(), store,
		s3kloset.WithPlaintext(), s3kloset.WithEngineConcurrency(1)))
	g.Cleanup(func() { repo.Close() })
	return repo
}

// repository makes an empty repository that is near.
func (g *ground) repository() *s3kloset.Repository {
	g.Helper()
	return g.repositoryIn(g.nearStore(memoryDir(g)))
}

// withRepository lends an empty repository that is near, of which nothing is
// left afterwards.
func (g *ground) withRepository(use func(*s3kloset.Repository)) {
	g.Helper()
	dir := memoryDir(g)
	defer os.RemoveAll(dir)
	repo := must[*s3kloset.Repository](g)(s3kloset.CreateRepository(g.Context(), g.nearStore(dir),
		s3kloset.WithPlaintext(), s3kloset.WithEngineConcurrency(1)))
	defer repo.Close()
	use(repo)
}
