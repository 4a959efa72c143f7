package bucket

import (
	"errors"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// partSums says which checksums the parts of an upload carry, and what the
// server makes of them. The zero value is none.
type partSums struct {
	algorithm string
	full      bool // one over all bytes; else one over those of the parts
}

const (
	typeFull      = "FULL_OBJECT"
	typeComposite = "COMPOSITE"
)

// partAlgorithms are those of uploads in parts, and which kinds of checksum
// S3 makes of each.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html
var partAlgorithms = map[string]struct {
	full, composite bool
	ofPart          func(*types.CompletedPart) **string
	ofAnswer        func(*s3.CompleteMultipartUploadOutput) *string
}{
	"CRC32": {true, true,
		func(p *types.CompletedPart) **string { return &p.ChecksumCRC32 },
		func(o *s3.CompleteMultipartUploadOutput) *string { return o.ChecksumCRC32 }},
	"CRC32C": {true, true,
		func(p *types.CompletedPart) **string { return &p.ChecksumCRC32C },
		func(o *s3.CompleteMultipartUploadOutput) *string { return o.ChecksumCRC32C }},
	"CRC64NVME": {true, false,
		func(p *types.CompletedPart) **string { return &p.ChecksumCRC64NVME },
		func(o *s3.CompleteMultipartUploadOutput) *string { return o.ChecksumCRC64NVME }},
	"SHA1": {false, true,
		func(p *types.CompletedPart) **string { return &p.ChecksumSHA1 },
		func(o *s3.CompleteMultipartUploadOutput) *string { return o.ChecksumSHA1 }},
	"SHA256": {false, true,
		func(p *types.CompletedPart) **string { return &p.ChecksumSHA256 },
		func(o *s3.CompleteMultipartUploadOutput) *string { return o.ChecksumSHA256 }},
}

// plainSums are those that every server with checksums knows.
var plainSums = partSums{algorithm: defaultAlgorithm}

// partSumsFor gives an object the kind of checksum that it is expected to have.
func (c *Client) partSumsFor(expect Checksum) partSums {
	known := partAlgorithms[expect.Algorithm]
	switch {
	case c.noChecksums():
		return partSums{}
	case expect.Value == "":
		return plainSums
	case expect.Composite && known.composite, !expect.Composite && known.full:
		return partSums{algorithm: expect.Algorithm, full: !expect.Composite}
	}
	return plainSums
}

// ask is what the creation of an upload says.
func (s partSums) ask(header http.Header) {
	if s.algorithm == "" {
		return
	}
	header.Set("X-Amz-Checksum-Algorithm", s.algorithm)
	if s != plainSums {
		header.Set("X-Amz-Checksum-Type", s.kind())
	}
}

func (s partSums) kind() string {
	if s.full {
		return typeFull
	}
	return typeComposite
}

// promised tells whether the server will compare a checksum over all bytes.
// One that does not know of them ignores the wish.
func (s partSums) promised(answer http.Header) bool {
	return s.full && answer.Get("X-Amz-Checksum-Type") == typeFull
}

// refused tells whether an error may be about the choice of the checksum.
func (s partSums) refused(err error) bool {
	var failed *OpError
	if s == plainSums || s.algorithm == "" || !errors.As(err, &failed) {
		return false
	}
	switch failed.Code {
	case "InvalidRequest", "InvalidArgument", "NotImplemented":
		return true
	}
	return false
}

// of is the checksum of a part.
func (s partSums) of(body []byte) Checksum {
	if s.algorithm == "" {
		return Checksum{}
	}
	return Checksum{Algorithm: s.algorithm, Value: sumOf(s.algorithm, body)}
}

// enter puts the checksum of a part into the completion.
func (s partSums) enter(p *types.CompletedPart, sum string) {
	if sum != "" {
		*partAlgorithms[s.algorithm].ofPart(p) = &sum
	}
}

// stored is the checksum of the object as the completion tells it, "" if it
// does not.
func (s partSums) stored(out *s3.CompleteMultipartUploadOutput) string {
	if s.algorithm == "" {
		return ""
	}
	return aws.ToString(partAlgorithms[s.algorithm].ofAnswer(out))
}
