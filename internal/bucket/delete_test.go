package bucket

import (
	"testing"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

func TestDelete(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.fill([]string{"a", "b", "a/b", "\x01\xff"})
		for _, key := range []string{"a", "\x01\xff", "a", "missing"} {
			if err := s.client.Delete(t.Context(), key); err != nil {
				t.Errorf("%q: %v", key, err)
			}
		}
		if got := s.bucket.Keys(); len(got) != 2 || got[0] != "a/b" || got[1] != "b" {
			t.Errorf("left are %q", got)
		}
	})
}

func TestDeleteOnOddServers(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.fault(s3test.Fault{Op: "DeleteObject", Action: s3test.Status(404, "NoSuchKey")})
		if err := s.client.Delete(t.Context(), "k"); err != nil {
			t.Errorf("a missing object: %v", err)
		}
		s.fault(s3test.Fault{Op: "DeleteObject", Action: s3test.Status(404, "NoSuchBucket")})
		wantError(t, s.client.Delete(t.Context(), "k"), ErrBucketNotFound, "delete", "k")
		s.fault(s3test.Fault{Op: "DeleteObject", Action: s3test.Status(403, "AccessDenied")})
		wantError(t, s.client.Delete(t.Context(), "k"), ErrAccessDenied, "delete", "k")
	})
}

// TestDeleteLostAnswer: the second attempt finds nothing, which is fine.
func TestDeleteLostAnswer(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.fill([]string{"k"})
		s.fault(s3test.Fault{Op: "DeleteObject", Action: s3test.LoseAnswer()})
		if err := s.client.Delete(t.Context(), "k"); err != nil {
			t.Error(err)
		}
		s.wantCount("DeleteObject", 2)
	})
}
