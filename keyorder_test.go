package s3kloset

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestCompareKeys: the order in which keys are decided does not depend on
// which other keys there are.
func TestCompareKeys(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		keys := make([]string, random.IntN(12)+1)
		for i := range keys {
			key := make([]byte, random.IntN(5)+1)
			for j := range key {
				key[j] = "a!./0\xff"[random.IntN(6)]
			}
			keys[i] = string(key)
		}
		slices.Sort(keys)
		keys = slices.Compact(keys)
		var d folderDecider[int]
		var released []string
		for _, key := range keys {
			for _, r := range d.add(key, 0) {
				released = append(released, r.key)
			}
		}
		for _, r := range d.finish() {
			released = append(released, r.key)
		}
		if sorted := slices.SortedFunc(slices.Values(keys), compareKeys); !slices.Equal(released, sorted) {
			t.Fatalf("decided %q, sorted %q", released, sorted)
		}
	}
}
