package s3test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestIndex compares an index with a sorted list of its keys while both change.
func TestIndex(t *testing.T) {
	const seed = 1
	random := rand.New(rand.NewPCG(seed, seed))
	var ix index
	var keys []string
	for round := range 16000 {
		// It grows at first, then shrinks, so that blocks split and go away.
		key := fmt.Sprintf("%04x", random.IntN(1<<13))
		i, found := slices.BinarySearch(keys, key)
		if got := ix.get(key) != nil; got != found {
			t.Fatalf("round %d: key %s is there: %t, want %t", round, key, got, found)
		}
		if grow := round < 8000; grow == (random.IntN(4) > 0) {
			ix.ensure(key)
			if !found {
				keys = slices.Insert(keys, i, key)
			}
		} else {
			ix.remove(key)
			if found {
				keys = slices.Delete(keys, i, i+1)
			}
		}
		if round%1000 == 0 {
			checkIndex(t, &ix, keys, random)
		}
	}
	for _, key := range slices.Clone(keys) {
		ix.remove(key)
	}
	checkIndex(t, &ix, nil, random)
}

func checkIndex(t *testing.T, ix *index, keys []string, random *rand.Rand) {
	t.Helper()
	var got []string
	for e := range ix.all() {
		got = append(got, e.key)
	}
	if !slices.Equal(got, keys) || ix.count != len(keys) {
		t.Fatalf("%d keys are %d keys and a count of %d", len(keys), len(got), ix.count)
	}
	for _, block := range ix.blocks {
		if len(block) == 0 || len(block) >= blockSize {
			t.Fatalf("a block of %d entries", len(block))
		}
	}
	start := fmt.Sprintf("%04x", random.IntN(1<<13))
	i, _ := slices.BinarySearch(keys, start)
	p := ix.seek(start)
	for _, want := range keys[i:] {
		if e := ix.at(p); e == nil || e.key != want {
			t.Fatalf("after %s comes %v, want %s", start, e, want)
		}
		p = ix.next(p)
	}
	if e := ix.at(p); e != nil {
		t.Fatalf("after the last key comes %s", e.key)
	}
}

func TestAfterPrefix(t *testing.T) {
	for prefix, want := range map[string]string{"a/": "a0", "a\xff": "b", "a\xff\xff": "b", "\xff": "", "": "", "z\x00": "z\x01"} {
		if got, ok := afterPrefix(prefix); got != want || ok != (want != "") {
			t.Errorf("after %q comes %q, %t", prefix, got, ok)
		}
	}
}
