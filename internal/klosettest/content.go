package klosettest

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/PlakarKorp/kloset/objects"
)

const (
	kib = 1 << 10
	mib = 1 << 20
)

// long is the size of a body that is cut into parts, of 8 MiB or so each: into three, and
// into two with -short.
func long() int {
	if testing.Short() {
		return 10 * mib
	}
	return 20 * mib
}

// random returns a generator for a check and logs its seed, so that a failure
// can be repeated by putting the seed into the harness.
func random(t testing.TB, seed uint64) *rand.Rand {
	t.Helper()
	for seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d", seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// noise returns n bytes that depend on the seed alone and do not compress.
func noise(seed uint64, n int) []byte {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	b := make([]byte, n)
	rand.NewChaCha8(key).Read(b)
	return b
}

// name returns an identifier that differs for each n and whose bytes are spread
// like those of a real one.
func name(n uint64) objects.MAC {
	return objects.MAC(noise(n^0x6b6c6f736574, len(objects.MAC{})))
}

// decorate returns one object for each key, with distinct bodies of various
// small sizes and with every kind of property among them.
func decorate(keys []string) []Object {
	objs := make([]Object, len(keys))
	for i, key := range keys {
		o := Object{
			Key:  key,
			Body: append(fmt.Appendf(nil, "%d: %q\n", i, key), noise(uint64(i), i*7%300)...),
		}
		if i%2 == 0 {
			o.ContentType = "text/plain; charset=utf-8"
			o.Metadata = map[string]string{"origin": fmt.Sprintf("check %d", i), "empty-looking": "-"}
		}
		if i%3 == 0 {
			o.CacheControl = "max-age=3600, public"
			o.Tags = map[string]string{"team": "storage", "number": fmt.Sprint(i), "a b": "c d/e=f"}
		}
		if i%5 == 0 {
			o.ContentDisposition = `attachment; filename="report 1.txt"`
			o.ContentLanguage = "de, en"
			o.Expires = "Thu, 01 Jan 2037 00:00:00 GMT"
		}
		if i%7 == 0 {
			o.ContentEncoding = "br"
			o.WebsiteRedirect = "/elsewhere?x=1"
		}
		if i%8 == 0 {
			o.Metadata = map[string]string{"greeting": "gr\u00fc\u00dfe \u4e16\u754c", "plain": "x"}
		}
		if i%11 == 0 {
			o.StorageClass = "STANDARD_IA"
		}
		objs[i] = o
	}
	return objs
}
