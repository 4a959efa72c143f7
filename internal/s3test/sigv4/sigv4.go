// Package sigv4 signs and verifies S3 requests with AWS Signature Version 4, on the standard library alone.
//
// It knows the header form, the presigned form and the signatures of aws-chunked bodies. Both directions share one
// canonical form: the request target as it is on the wire, percent-decoded once and encoded again the way S3 does, so
// that keys such as "a//b", "./x" or "\xff" keep their bytes.
//
// Signing and verifying keep no state; all functions may be called concurrently.
package sigv4

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"
)

// Algorithm is the only signing algorithm that the package speaks.
const Algorithm = "AWS4-HMAC-SHA256"

// Values of x-amz-content-sha256 that are no hash.
const (
	UnsignedPayload          = "UNSIGNED-PAYLOAD"
	StreamingUnsignedTrailer = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
	StreamingSigned          = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	StreamingSignedTrailer   = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
)

// EmptyPayload is the hash of a body without bytes.
const EmptyPayload = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// TimeFormat is the form of X-Amz-Date.
const TimeFormat = "20060102T150405Z"

const (
	dateFormat = "20060102"
	service    = "s3"
	terminator = "aws4_request"
)

var (
	// ErrUnsigned says that a request carries no signature at all.
	ErrUnsigned = errors.New("request is not signed")
	// ErrUnsupported says that a request is signed with something else than [Algorithm].
	ErrUnsupported = errors.New("signing algorithm is not supported")
	// ErrMalformed says that a signature cannot be read.
	ErrMalformed = errors.New("signature is malformed")
	// ErrMismatch says that a signature was not made with the given secret for this request.
	ErrMismatch = errors.New("signature does not match")
)

// Credentials is what a client signs with. SessionToken is empty for long-term keys.
type Credentials struct {
	AccessKey    string
	SecretKey    string
	SessionToken string
}

// Scope is where and when a signature is valid.
type Scope struct {
	Date    string // YYYYMMDD
	Region  string
	Service string
}

func (s Scope) String() string {
	return s.Date + "/" + s.Region + "/" + s.Service + "/" + terminator
}

// Signature is one request's signature, as it was made or parsed.
type Signature struct {
	AccessKey     string
	Scope         Scope
	Time          time.Time
	Presigned     bool
	Expires       time.Duration // presigned form only
	SignedHeaders []string      // lower case, sorted
	PayloadHash   string        // hex SHA-256 or one of the constants
	SessionToken  string
	Value         string // hex
}

func (s *Signature) compute(canonical, secret string) string {
	toSign := Algorithm + "\n" + s.Time.Format(TimeFormat) + "\n" + s.Scope.String() + "\n" + hexSHA256(canonical)
	return hex.EncodeToString(hmacSHA256(s.key(secret), toSign))
}

func (s *Signature) key(secret string) []byte {
	key := hmacSHA256([]byte("AWS4"+secret), s.Scope.Date)
	key = hmacSHA256(key, s.Scope.Region)
	key = hmacSHA256(key, s.Scope.Service)
	return hmacSHA256(key, terminator)
}

func hmacSHA256(key []byte, data string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(data))
	return h.Sum(nil)
}

func hexSHA256(data string) string {
	sum := sha256.Sum256([]byte(data))
	return hex.EncodeToString(sum[:])
}
