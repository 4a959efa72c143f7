package bucket

import (
	"errors"
	"maps"
	"testing"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// TestForeignAnswers: a success that is not S3's is none. It is tried again; if
// it stays, there is an error and nothing that looks stored, or without tags.
func TestForeignAnswers(t *testing.T) {
	tags := map[string]string{"k": "v"}
	body := bytesOf(250, 1)
	operations := map[string]func(t *testing.T, s *stage) error{
		"PutObject": func(t *testing.T, s *stage) error {
			_, err := s.client.Put(t.Context(), "new", body, Write{})
			return err
		},
		"UploadPart": func(t *testing.T, s *stage) error {
			_, err := s.inParts(t.Context(), body, Write{})
			return err
		},
		"CompleteMultipartUpload": func(t *testing.T, s *stage) error {
			_, err := s.inParts(t.Context(), body, Write{})
			return err
		},
		"GetObjectTagging": func(t *testing.T, s *stage) error {
			got, err := s.client.Tags(t.Context(), "tagged", Pin{})
			if err == nil && !maps.Equal(got, tags) {
				t.Errorf("tags are %q", got)
			}
			return err
		},
	}
	for name, answer := range map[string]s3test.Action{
		"nothing":    s3test.RawBody(200, "application/xml", ""),
		"a web page": s3test.StatusHTML(200),
		"other XML":  s3test.RawBody(200, "application/xml", "<Other/>"),
	} {
		for op, do := range operations {
			t.Run(op+" "+name, func(t *testing.T) {
				play(t, Config{}, func(t *testing.T, s *stage) {
					s.bucket.Put("tagged", nil, s3test.Properties{Tags: tags})
					s.fault(s3test.Fault{Op: op, Action: answer})
					if err := do(t, s); err != nil {
						t.Errorf("once: %v", err)
					}
					for _, key := range []string{"new", "k"} {
						s.bucket.Delete(key)
					}
					s.fault(s3test.Fault{Op: op, Times: s3test.Always, Action: answer})
					err := do(t, s)
					var failed *OpError
					if !errors.Is(err, errForeign) || !errors.As(err, &failed) {
						t.Errorf("always: %v", err)
					}
					if n := len(s.bucket.Keys()); n != 1 {
						t.Errorf("%d objects, want the tagged one", n)
					}
				}, smallParts)
			})
		}
	}
}
