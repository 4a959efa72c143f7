package bucket

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// TestUploadGivesTheSameChecksum: an object in parts gets the checksum that it
// is expected to have, of the same kind.
func TestUploadGivesTheSameChecksum(t *testing.T) {
	body := bytesOf(250, 61)
	for _, test := range []struct {
		algorithm string
		how       s3test.PutOption
	}{
		{"CRC32", s3test.WithFullChecksum("CRC32")},
		{"CRC32C", s3test.WithFullChecksum("CRC32C")},
		{"CRC64NVME", s3test.WithFullChecksum("CRC64NVME")},
		{"CRC32", s3test.WithChecksum("CRC32")},
		{"CRC32C", s3test.WithChecksum("CRC32C")},
		{"SHA1", s3test.WithChecksum("SHA1")},
		{"SHA256", s3test.WithChecksum("SHA256")},
	} {
		t.Run(test.algorithm, func(t *testing.T) {
			play(t, Config{}, func(t *testing.T, s *stage) {
				want := s.bucket.Put("source", body, s3test.Properties{}, s3test.InParts(100, 100), test.how)
				written, err := s.inParts(t.Context(), body, Write{InParts: true, Expect: Checksum{
					Algorithm: test.algorithm, Value: want.Checksum.Value, Composite: want.Checksum.Type == typeComposite}})
				got := s.wantStored("k", body)
				if err != nil || got.Checksum != want.Checksum || got.ETag != want.ETag || written.ETag != want.ETag {
					t.Errorf("error %v, %+v, want %+v", err, got, want)
				}
				last := s.Requests()[s.count("")-1]
				if sent := last.Header.Get(checksumHeader(test.algorithm)); want.Checksum.Type == typeFull && sent != want.Checksum.Value {
					t.Errorf("%s sends the checksum %q for the server to compare, want %s", last.Op, sent, want.Checksum.Value)
				}
			}, smallParts)
		})
	}
}

// TestUploadOfFullChecksumsWithoutAnswer: a server that knows nothing of the
// kinds of checksums is not asked to compare one.
func TestUploadOfFullChecksumsWithoutAnswer(t *testing.T) {
	body := bytesOf(250, 62)
	expect := Checksum{Algorithm: "CRC32", Value: sumOf("CRC32", body)}
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.fault(s3test.Fault{Op: "CreateMultipartUpload", Action: s3test.SetHeader("x-amz-checksum-type", "")})
		s.fault(s3test.Fault{Op: "CompleteMultipartUpload", Action: s3test.RemoveElement("ChecksumCRC32")})
		if _, err := s.inParts(t.Context(), body, Write{Expect: expect}); err != nil {
			t.Error(err)
		}
		s.wantStored("k", body)
		for _, r := range s.Requests() {
			if r.Op == "CompleteMultipartUpload" && r.Header.Get("x-amz-checksum-crc32") != "" {
				t.Error("it was asked")
			}
		}
	}, smallParts)
}

// TestUploadWithoutTheChoiceOfChecksum: what matters is the object.
func TestUploadWithoutTheChoiceOfChecksum(t *testing.T) {
	body := bytesOf(250, 63)
	for _, code := range []string{"InvalidRequest", "InvalidArgument", "NotImplemented"} {
		play(t, Config{}, func(t *testing.T, s *stage) {
			s.fault(s3test.Fault{Op: "CreateMultipartUpload", Action: s3test.Status(http.StatusBadRequest, code),
				Match: func(r s3test.Request) bool { return r.Header.Get("x-amz-checksum-algorithm") == "CRC64NVME" }})
			expect := Checksum{Algorithm: "CRC64NVME", Value: sumOf("CRC64NVME", body)}
			if _, err := s.inParts(t.Context(), body, Write{Expect: expect}); err != nil {
				t.Error(err)
			}
			if got := s.wantStored("k", body); got.Checksum.Algorithm != defaultAlgorithm {
				t.Errorf("checksum %+v", got.Checksum)
			}
		}, smallParts)
	}
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.fault(s3test.Fault{Op: "CreateMultipartUpload", Action: s3test.Status(http.StatusBadRequest, "InvalidRequest")})
		var refused *OpError
		if _, err := s.inParts(t.Context(), body, Write{}); !errors.As(err, &refused) || refused.Code != "InvalidRequest" {
			t.Errorf("error %v", err)
		}
		s.wantNothing()
	}, smallParts)
}

// TestUploadOfOnePart: an object that was uploaded in one part has an ETag of
// parts.
func TestUploadOfOnePart(t *testing.T) {
	for _, size := range []int{0, 1, 99, 100} {
		play(t, Config{}, func(t *testing.T, s *stage) {
			body := bytesOf(size, 64)
			stream := bytes.NewReader(body)
			written, err := s.client.Upload(t.Context(), "k", stream, int64(size), Write{PartSize: 100, InParts: true})
			if err != nil || written.Parts != 1 || s.wantStored("k", body).ETag != written.ETag {
				t.Errorf("%d bytes: %+v, error %v", size, written, err)
			}
			if parts, ok := partsETag(written.ETag); !ok || parts != 1 {
				t.Errorf("ETag %q", written.ETag)
			}
		}, smallParts)
	}
}

// TestUploadExpectedParts: parts that do not add up to the checksum over them
// do not become an object.
func TestUploadExpectedParts(t *testing.T) {
	body := bytesOf(250, 65)
	other, _ := compositeOf("SHA256", []string{sumOf("SHA256", body)})
	play(t, Config{}, func(t *testing.T, s *stage) {
		expect := Checksum{Algorithm: "SHA256", Value: other, Composite: true}
		_, err := s.inParts(t.Context(), body, Write{InParts: true, Expect: expect})
		wantError(t, err, ErrChecksum, "complete upload", "k")
		s.wantNothing()
		// In other parts nothing can be said.
		if _, err := s.inParts(t.Context(), body, Write{Expect: expect}); err != nil {
			t.Error(err)
		}
		if got := s.wantStored("k", body); got.Checksum.Algorithm != "SHA256" {
			t.Errorf("checksum %+v", got.Checksum)
		}
	}, smallParts)
}

// TestCompletionChecksTheAnswer: what the server made of the parts is what was
// sent.
func TestCompletionChecksTheAnswer(t *testing.T) {
	body := bytesOf(250, 66)
	tests := map[string]struct {
		cfg    Config
		w      Write
		answer s3test.Action
		want   error
	}{
		"composite": {Config{}, Write{}, s3test.SetElement("ChecksumCRC32", "AAAAAA==-3"), ErrChecksum},
		"full": {Config{}, Write{Expect: Checksum{Algorithm: "CRC32", Value: sumOf("CRC32", body)}},
			s3test.SetElement("ChecksumCRC32", "AAAAAA=="), ErrChecksum},
		"full that nobody asked for": {Config{}, Write{}, s3test.SetElement("ChecksumCRC32", "AAAAAA=="), nil},
		"ETag": {Config{NoChecksums: true}, Write{},
			s3test.SetElement("ETag", `"`+fmt.Sprintf("%032d", 7)+`-3"`), ErrChecksum},
		"ETag of another kind":        {Config{NoChecksums: true}, Write{}, s3test.SetElement("ETag", `"seven"`), nil},
		"ETag of an encrypted object": {Config{NoChecksums: true}, Write{Attributes: Attributes{SSE: "aws:kms"}}, nil, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			play(t, test.cfg, func(t *testing.T, s *stage) {
				if test.answer != nil {
					s.fault(s3test.Fault{Op: "CompleteMultipartUpload", Action: test.answer})
				}
				written, err := s.inParts(t.Context(), body, test.w)
				if test.want == nil {
					if err != nil {
						t.Error(err)
					}
					if written.OpaqueETag != (test.w.SSE != "") {
						t.Errorf("opaque: %t", written.OpaqueETag)
					}
					return
				}
				wantError(t, err, test.want, "complete upload", "k")
			}, smallParts)
		})
	}
}
