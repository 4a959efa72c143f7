package bucket

import (
	"maps"
	"testing"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

func TestTags(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.bucket.SetVersioning(true)
		want := map[string]string{"a": "b c+d", "é": "", "k=:/@": "v"}
		old := s.bucket.Put("k", nil, s3test.Properties{Tags: want})
		s.bucket.Put("k", nil, s3test.Properties{})
		if got, err := s.client.Tags(t.Context(), "k", Pin{}); err != nil || len(got) != 0 {
			t.Errorf("%q, %v", got, err)
		}
		if got, err := s.client.Tags(t.Context(), "k", Pin{VersionID: old.VersionID}); err != nil || !maps.Equal(got, want) {
			t.Errorf("%q, %v", got, err)
		}
		_, err := s.client.Tags(t.Context(), "missing", Pin{})
		wantError(t, err, ErrNotFound, "get tags", "missing")
		s.wantCount("GetObjectTagging", 3)
	})
}

func TestTagsOfAServerWithoutThem(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.bucket.Put("k", nil, s3test.Properties{})
		_, err := s.client.Tags(t.Context(), "k", Pin{})
		wantError(t, err, kindOfCode["NotImplemented"], "get tags", "k")
		s.wantCount("", 1)
	}, s3test.WithoutFeature(s3test.Tagging))
}
