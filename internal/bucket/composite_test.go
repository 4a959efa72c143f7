package bucket

import (
	"testing"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// TestComposite: however the bytes come, the result is what a server makes of
// the parts.
func TestComposite(t *testing.T) {
	server := s3test.New()
	objects := server.CreateBucket(bucketName)
	for _, size := range []int{0, 1, 99, 100, 101, 200, 250, 1000} {
		body := bytesOf(size, byte(size))
		sizes := []int64{}
		for left := size; left > 0 || len(sizes) == 0; left -= 100 {
			sizes = append(sizes, int64(min(left, 100)))
		}
		for _, algorithm := range []string{"CRC32", "CRC32C", "SHA1", "SHA256"} {
			want := objects.Put("k", body, s3test.Properties{}, s3test.InParts(sizes...), s3test.WithChecksum(algorithm))
			for _, step := range []int{1, 7, 100, 1000} {
				sum, ok := NewComposite(algorithm, 100)
				etag, _ := NewComposite("MD5", 100)
				if !ok {
					t.Fatalf("%s cannot be computed", algorithm)
				}
				for rest := body; len(rest) > 0; rest = rest[min(step, len(rest)):] {
					sum.Write(rest[:min(step, len(rest))])
					etag.Write(rest[:min(step, len(rest))])
				}
				if got := sum.Checksum(); got != want.Checksum.Value {
					t.Errorf("%s of %d bytes in steps of %d: %q, want %q", algorithm, size, step, got, want.Checksum.Value)
				}
				if got := etag.ETag(); got != want.ETag {
					t.Errorf("ETag of %d bytes in steps of %d: %q, want %q", size, step, got, want.ETag)
				}
			}
		}
	}
}

func TestCompositeOfWhatIsUnknown(t *testing.T) {
	if _, ok := NewComposite("XXHASH3", 100); ok {
		t.Error("an unknown algorithm can be computed")
	}
	if _, ok := NewComposite("CRC32", 0); ok {
		t.Error("parts of no bytes")
	}
	if _, ok := compositeOf("XXHASH3", nil); ok {
		t.Error("an unknown algorithm can be computed from parts")
	}
	if _, ok := compositeOf("CRC32", []string{"#"}); ok {
		t.Error("parts without a checksum")
	}
}
