package conformance

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"hash/crc64"
	"slices"
	"strings"
)

// algorithm is one of S3's checksum algorithms, computed by the standard library.
type algorithm struct {
	name string // as in x-amz-checksum-algorithm
	sum  func(data string) []byte
	crc  bool // which can be of a full multipart object
}

// header is the name of the header that carries the checksum.
func (a algorithm) header() string { return "x-amz-checksum-" + strings.ToLower(a.name) }

// of returns the checksum of data as S3 writes it.
func (a algorithm) of(data string) string { return base64.StdEncoding.EncodeToString(a.sum(data)) }

// composite returns the checksum of a multipart object as a whole: that of the parts' own.
func (a algorithm) composite(parts ...string) string {
	var sums strings.Builder
	for _, p := range parts {
		sums.Write(a.sum(p))
	}
	return fmt.Sprintf("%s-%d", a.of(sums.String()), len(parts))
}

var algorithms = []algorithm{
	{"CRC32", func(s string) []byte {
		return binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(s)))
	}, true},
	{"CRC32C", func(s string) []byte {
		return binary.BigEndian.AppendUint32(nil, crc32.Checksum([]byte(s), crc32.MakeTable(crc32.Castagnoli)))
	}, true},
	{"CRC64NVME", func(s string) []byte {
		return binary.BigEndian.AppendUint64(nil, crc64.Checksum([]byte(s), crc64.MakeTable(0x9a6c9329ac4bc9b5)))
	}, true},
	{"SHA1", func(s string) []byte { b := sha1.Sum([]byte(s)); return b[:] }, false},
	{"SHA256", func(s string) []byte { b := sha256.Sum256([]byte(s)); return b[:] }, false},
}

// crc32sum is the algorithm that most rows need just one of.
var crc32sum = algorithms[0]

// etag is the ETag of an object that was put in one piece.
func etag(data string) string {
	sum := md5.Sum([]byte(data))
	return `"` + hex.EncodeToString(sum[:]) + `"`
}

// multipartETag is the ETag of an object that was put in parts.
func multipartETag(parts ...string) string {
	var sums []byte
	for _, p := range parts {
		sum := md5.Sum([]byte(p))
		sums = append(sums, sum[:]...)
	}
	whole := md5.Sum(sums)
	return fmt.Sprintf(`"%s-%d"`, hex.EncodeToString(whole[:]), len(parts))
}

func sorted(keys []string) []string { return slices.Sorted(slices.Values(keys)) }
