package bucket

import (
	"errors"
	"net/http"
	"testing"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// TestThawTwice: what is under way, or there, is asked for again without an
// error; the refusal of anything else is one.
func TestThawTwice(t *testing.T) {
	play(t, Config{Retries: -1}, func(t *testing.T, s *stage) {
		s.bucket.Put("k", []byte("bytes"), s3test.Properties{StorageClass: "GLACIER"})
		thaw := func() error {
			a, err := s.client.Head(t.Context(), "k", Pin{})
			if err != nil {
				t.Fatal(err)
			}
			return s.client.Thaw(t.Context(), "k", a, "Standard", 3)
		}
		for _, want := range []int{http.StatusAccepted, http.StatusConflict, http.StatusOK} {
			if want == http.StatusOK {
				s.bucket.FinishRestore("k")
			}
			if err := thaw(); err != nil {
				t.Errorf("thaw that is answered with %d: %v", want, err)
			}
			all := s.Requests()
			if last := all[len(all)-1]; last.Op != "RestoreObject" || last.Status != want {
				t.Errorf("%s answered %d, want %d", last.Op, last.Status, want)
			}
		}
		s.fault(s3test.Fault{Op: "RestoreObject", Action: s3test.Status(409, "OperationAborted")})
		var failed *OpError
		if err := thaw(); !errors.As(err, &failed) || failed.Code != "OperationAborted" || failed.Op != "thaw" {
			t.Errorf("another conflict: %v", err)
		}
		s.bucket.Put("readable", []byte("bytes"), s3test.Properties{})
		err := s.client.Thaw(t.Context(), "readable", Attributes{}, "Standard", 3)
		wantError(t, err, ErrArchived, "thaw", "readable")
	})
}
