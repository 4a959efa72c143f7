package s3test

import (
	"slices"
	"testing"
)

// TestEveryRouteLeadsSomewhere also means that a request which passed the router cannot end in a nil call.
func TestEveryRouteLeadsSomewhere(t *testing.T) {
	named := Operations()
	for _, op := range named {
		if operations[op] == nil && documentOperations[op] == nil {
			t.Errorf("nothing performs %s", op)
		}
	}
	for op := range operations {
		if !slices.Contains(named, op) {
			t.Errorf("no route leads to %s", op)
		}
	}
	for feature, ops := range featureOperations {
		for _, op := range ops {
			if !slices.Contains(named, op) {
				t.Errorf("the feature %q names %s, which there is not", feature, op)
			}
		}
	}
}
