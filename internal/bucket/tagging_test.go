package bucket

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

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

// TestTagsOfAServerThatOverlooksThem: it answers with the object, whose bytes are
// no tags even where they look like it, and would take tags for the object.
func TestTagsOfAServerThatOverlooksThem(t *testing.T) {
	without := s3test.WithoutFeature(s3test.Asides)
	document := []byte("<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>")
	play(t, Config{}, func(t *testing.T, s *stage) {
		for key, body := range map[string][]byte{"bytes": bytesOf(100, 3), "document": document, "empty": nil} {
			s.bucket.Put(key, body, s3test.Properties{})
			_, err := s.client.Tags(t.Context(), key, Pin{})
			wantError(t, err, errors.ErrUnsupported, "get tags", key)
		}
		s.wantCount("GetObjectTagging", 3)
	}, without)

	many := make(map[string]string)
	for i := range 10 {
		many[fmt.Sprint(i)] = strings.Repeat("\u00fc", 250) // too long for a header
	}
	play(t, Config{}, func(t *testing.T, s *stage) {
		written, err := s.client.Put(t.Context(), "k", []byte("bytes"), Write{Tags: many, TagFallback: true})
		if err != nil || !written.TagsRefused {
			t.Errorf("%+v, %v", written, err)
		}
		s.wantStored("k", []byte("bytes"))
		s.wantCount("PutObjectTagging", 0)
		_, err = s.client.Put(t.Context(), "k", []byte("bytes"), Write{Tags: many})
		wantError(t, err, errors.ErrUnsupported, "get tags", "k")
	}, without)
	// Nobody else is asked, but all are watched.
	play(t, Config{Vendor: "minio"}, func(t *testing.T, s *stage) {
		_, err := s.client.Put(t.Context(), "k", []byte("bytes"), Write{Tags: many, TagFallback: true})
		if err == nil || !strings.Contains(err.Error(), "in the place of the object") {
			t.Errorf("no error of lost bytes: %v", err)
		}
		s.wantCount("GetObjectTagging", 0)
	}, without)
	play(t, Config{}, func(t *testing.T, s *stage) {
		if _, err := s.client.Put(t.Context(), "k", []byte("bytes"), Write{Tags: many}); err != nil {
			t.Error(err)
		}
		if got, err := s.client.Tags(t.Context(), "k", Pin{}); err != nil || !maps.Equal(got, many) {
			t.Errorf("%d tags, %v", len(got), err)
		}
	})
}

// TestRetainOnAServerThatOverlooksIt: the retention would take the object's place.
func TestRetainOnAServerThatOverlooksIt(t *testing.T) {
	until := time.Now().Add(time.Hour)
	without := s3test.WithoutFeature(s3test.Asides)
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.mustPut("k", "bytes")
		wantError(t, s.client.Retain(t.Context(), "k", "", "GOVERNANCE", until), errors.ErrUnsupported, "get retention", "k")
		s.wantStored("k", []byte("bytes"))
	}, without)
	play(t, Config{Vendor: "minio"}, func(t *testing.T, s *stage) {
		s.mustPut("k", "bytes")
		if err := s.client.Retain(t.Context(), "k", "", "GOVERNANCE", until); err == nil || !strings.Contains(err.Error(), "in the place of the object") {
			t.Errorf("no error of lost bytes: %v", err)
		}
	}, without)
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.bucket.EnableObjectLock()
		for _, key := range []string{"a", "b"} {
			s.mustPut(key, "bytes")
			if err := s.client.Retain(t.Context(), key, "", "GOVERNANCE", until); err != nil {
				t.Error(err)
			}
		}
		s.wantCount("GetObjectRetention", 1)
		s.wantCount("PutObjectRetention", 2)
	})
}
