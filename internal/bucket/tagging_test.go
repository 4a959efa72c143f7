package bucket

import (
	"errors"
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

// TestTagsThatTheServerCannotRead: whoever asks Ceph for the tags that an upload
// was created with gets nothing, however often. An answer of somebody else is
// not taken for that.
func TestTagsThatTheServerCannotRead(t *testing.T) {
	upload := func(s *stage) {
		u := &upload{client: s.client, key: "k", w: Write{Tags: map[string]string{"a": "b"}}}
		if err := u.create(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
		p := &part{number: 1}
		u.parts = []*part{p}
		if err := u.sendPart(s.t.Context(), p, []byte("x")); err != nil {
			s.t.Fatal(err)
		}
		if _, err := u.complete(s.t.Context()); err != nil {
			s.t.Fatal(err)
		}
	}
	play(t, Config{Vendor: "aws"}, func(t *testing.T, s *stage) {
		upload(s)
		_, err := s.client.Tags(t.Context(), "k", Pin{})
		wantError(t, err, errors.ErrUnsupported, "get tags", "k")
		s.wantCount("GetObjectTagging", 2)
	}, s3test.WithoutFeature(s3test.UploadTags))

	play(t, Config{}, func(t *testing.T, s *stage) {
		s.bucket.Put("k", nil, s3test.Properties{Tags: map[string]string{"a": "b"}})
		s.fault(s3test.Fault{Op: "GetObjectTagging", Times: 2, Action: s3test.Status(200, "")})
		if tags, err := s.client.Tags(t.Context(), "k", Pin{}); err != nil || len(tags) != 1 {
			t.Errorf("%q, %v", tags, err)
		}
		s.wantCount("GetObjectTagging", 3)
	})
}
