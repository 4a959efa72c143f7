package bucket

import (
	"maps"
	"testing"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// TestAnswersThatAreCut: a document that came in part is asked for again, and
// what it was the answer to is not done twice.
func TestAnswersThatAreCut(t *testing.T) {
	tags := map[string]string{"a": "1"}
	for name, cut := range map[string]s3test.Action{
		"at once": s3test.CutAfter(20), "late": s3test.CutAfter(150), "reset": s3test.ResetAfter(20), "length too": s3test.HalfBody(),
	} {
		for _, op := range []string{"CreateMultipartUpload", "CompleteMultipartUpload", "GetObjectTagging"} {
			t.Run(op+" "+name, func(t *testing.T) {
				play(t, Config{Vendor: "aws"}, func(t *testing.T, s *stage) {
					s.fault(s3test.Fault{Op: op, Action: cut})
					if _, err := s.inParts(t.Context(), make([]byte, 250), Write{Tags: tags}); err != nil {
						t.Fatal(err)
					}
					got, err := s.client.Tags(t.Context(), "k", Pin{})
					if err != nil || !maps.Equal(got, tags) {
						t.Errorf("tags are %v, %v", got, err)
					}
					s.wantCount(op, 2)
					if o, ok := s.bucket.Get("k"); !ok || len(o.Body) != 250 {
						t.Errorf("object is %v of %d bytes", ok, len(o.Body))
					}
				}, smallParts)
			})
		}
	}
}
