package bucket

import (
	"bytes"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"strings"
)

// Checksum is one checksum of an object as S3 states it.
type Checksum struct {
	Algorithm string // CRC32, CRC32C, CRC64NVME, SHA1, SHA256, ...
	Value     string // base64; with "-N" behind it for a composite one
	Composite bool   // of the checksums of the parts, not of the bytes
}

// defaultAlgorithm is sent with writes unless the object is known to have
// another one.
const defaultAlgorithm = "CRC32"

// algorithms that can be computed here, the cheapest first.
var algorithms = []struct {
	name string
	make func() hash.Hash
}{
	{"CRC32C", func() hash.Hash { return crc32.New(castagnoli) }},
	{"CRC32", func() hash.Hash { return crc32.NewIEEE() }},
	{"CRC64NVME", func() hash.Hash { return crc64.New(nvmeTable) }},
	{"SHA1", sha1.New},
	{"SHA256", sha256.New},
	{"SHA512", sha512.New},
	{"MD5", md5.New},
}

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	// nvmeTable is the reversed polynomial of CRC-64/NVME.
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity.html
	nvmeTable = crc64.MakeTable(0x9a6c9329ac4bc9b5)
)

// newHash is nil for an algorithm that cannot be computed here.
func newHash(algorithm string) hash.Hash {
	for _, a := range algorithms {
		if a.name == algorithm {
			return a.make()
		}
	}
	return nil
}

func checksumHeader(algorithm string) string {
	return "X-Amz-Checksum-" + strings.ToLower(algorithm)
}

func encodeSum(h hash.Hash) string { return base64.StdEncoding.EncodeToString(h.Sum(nil)) }

// sumOf is the checksum of one buffer; "" for an unknown algorithm.
func sumOf(algorithm string, body []byte) string {
	h := newHash(algorithm)
	if h == nil {
		return ""
	}
	h.Write(body)
	return encodeSum(h)
}

// Computable tells whether the checksum can be verified while the whole
// object is read.
func (c Checksum) Computable() bool { return !c.Composite && newHash(c.Algorithm) != nil }

// cheapest picks the checksum that a read verifies: one is enough.
func cheapest(sums []Checksum) (Checksum, bool) {
	for _, a := range algorithms {
		for _, sum := range sums {
			if sum.Algorithm == a.name && sum.Computable() {
				return sum, true
			}
		}
	}
	return Checksum{}, false
}

// md5ETag tells whether an ETag has the form of the MD5 of a body. S3 promises
// that it is one only for plain and SSE-S3 objects of a single part.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
func md5ETag(etag string) ([]byte, bool) {
	sum, err := hex.DecodeString(etag)
	return sum, err == nil && len(sum) == md5.Size
}

// partsETag tells whether an ETag has the form of the MD5 over the MD5s of
// parts, and of how many.
func partsETag(etag string) (parts int, ok bool) {
	sum, count, dashed := strings.Cut(etag, "-")
	_, ok = md5ETag(sum)
	parts = atoi(count)
	return parts, ok && dashed && parts > 0
}

// PartCount is the number of parts that an ETag tells of; 0 is none.
func PartCount(etag string) int {
	if parts, ok := partsETag(etag); ok {
		return parts
	}
	return 0
}

// DifferentMD5 tells whether two ETags have the form of MD5s over the same
// number of parts and differ.
func DifferentMD5(a, b string) bool {
	_, whole := md5ETag(a)
	_, other := md5ETag(b)
	if whole && other {
		return a != b
	}
	parts, ok := partsETag(a)
	same, okToo := partsETag(b)
	return ok && okToo && parts == same && a != b
}

// sameMD5 tells whether etag is the MD5 of body; known is false when the ETag
// does not have that form.
func sameMD5(etag string, body []byte) (same, known bool) {
	want, known := md5ETag(etag)
	if !known {
		return false, false
	}
	got := md5.Sum(body)
	return bytes.Equal(want, got[:]), true
}
