package bench_test

import (
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"syscall"

	"github.com/s3kloset/s3kloset/internal/klosettest"
)

// workload is a set of objects of one size.
type workload struct {
	name        string
	count, size int
}

var (
	small  = workload{"20000x1KiB", 20_000, 1 << 10}
	medium = workload{"200x4MiB", 200, 4 << 20}
	large  = workload{"1x1GiB", 1, 1 << 30}
)

func (w workload) key(i int) string { return fmt.Sprintf("dir%03d/object%06d", i/100, i) }

// body makes bytes that neither compress nor repeat.
func (w workload) body(i int) []byte {
	seed := [32]byte{byte(i), byte(i >> 8), byte(i >> 16), byte(w.size >> 10)}
	body := make([]byte, w.size)
	mathrand.NewChaCha8(seed).Read(body)
	return body
}

// entries is the workload as the engine alone gets it. The bodies are in a file
// that is mapped into memory: in the heap, they would let the collector of
// garbage wait until it is twice as large.
func (g *ground) entries(w workload) []klosettest.Entry {
	g.Helper()
	file := must[*os.File](g)(os.Create(filepath.Join(memoryDir(g), "bodies")))
	defer file.Close()
	for i := range w.count {
		must[int](g)(file.Write(w.body(i)))
	}
	bodies := must[[]byte](g)(syscall.Mmap(int(file.Fd()), 0, w.count*w.size, syscall.PROT_READ, syscall.MAP_SHARED))
	g.Cleanup(func() { syscall.Munmap(bodies) })
	all := make([]klosettest.Entry, w.count)
	for i := range all {
		all[i] = klosettest.File("/"+w.key(i), bodies[i*w.size:(i+1)*w.size:(i+1)*w.size])
	}
	return all
}
