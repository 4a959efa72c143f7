package s3kloset

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestMetadataLimits(t *testing.T) {
	tags := func(n int) map[string]string {
		m := map[string]string{}
		for i := range n {
			m[strings.Repeat("k", i+1)] = "v"
		}
		return m
	}
	for _, test := range []struct {
		name string
		m    Metadata
		want []limitError
	}{
		{"nothing", Metadata{}, nil},
		{"full", fullMetadata(), nil},
		{"metadata at the limit", Metadata{User: map[string]string{"k": strings.Repeat("v", 2047)}}, nil},
		{"metadata over", Metadata{User: map[string]string{"k": strings.Repeat("v", 2000), "name": strings.Repeat("\u00e9", 22)}},
			[]limitError{{"bytes of user metadata", "", 2049, 2048}}},
		{"ten tags", Metadata{Tags: tags(10)}, nil},
		{"eleven tags", Metadata{Tags: tags(11)}, []limitError{{"tags", "", 11, 10}}},
		{"long tag", Metadata{Tags: map[string]string{strings.Repeat("\u00e9", 128): strings.Repeat("\u6f22", 256)}}, nil},
		{"emoji are two", Metadata{Tags: map[string]string{strings.Repeat("😀", 64): strings.Repeat("😀", 128)}}, nil},
		{"tag key and value over", Metadata{Tags: map[string]string{"a": "", strings.Repeat("😀", 65): strings.Repeat("v", 257)}},
			[]limitError{
				{"characters in the key", strings.Repeat("😀", 65), 130, 128},
				{"characters in the value", strings.Repeat("😀", 65), 257, 256},
			}},
	} {
		var got []limitError
		for _, err := range test.m.limits() {
			var over *limitError
			if !errors.As(err, &over) {
				t.Fatalf("%s: %v is no limitError", test.name, err)
			}
			got = append(got, *over)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: got %+v, want %+v", test.name, got, test.want)
		}
	}
}
