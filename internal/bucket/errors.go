package bucket

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	smithy "github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// The categories a caller can branch on. Every error of this package wraps at
// most one of them next to its cause.
var (
	// ErrBucketNotFound reports that the bucket does not exist.
	ErrBucketNotFound = errors.New("bucket does not exist")
	// ErrNotFound reports that the object, version or upload does not exist.
	// It also satisfies errors.Is(err, fs.ErrNotExist).
	ErrNotFound = alias("object does not exist", fs.ErrNotExist)
	// ErrAlreadyExists reports that a conditional write found an object.
	// It also satisfies errors.Is(err, fs.ErrExist).
	ErrAlreadyExists = alias("object exists already", fs.ErrExist)
	// ErrAccessDenied reports that these credentials may not do this.
	// It also satisfies errors.Is(err, fs.ErrPermission).
	ErrAccessDenied = alias("access denied", fs.ErrPermission)
	// ErrCredentials reports that there are no credentials, or that the
	// server does not accept them: unknown key, wrong secret, expired token.
	ErrCredentials = errors.New("credentials not accepted")
	// ErrUnreachable reports that no answer came from the endpoint: name not
	// found, connection refused, TLS refused, time out.
	ErrUnreachable = errors.New("endpoint not reachable")
	// ErrWrongRegion reports that the bucket lives in another region.
	ErrWrongRegion = errors.New("bucket is in another region")
	// ErrInvalidRange reports a byte range outside of the object.
	ErrInvalidRange = errors.New("range outside of the object")
	// ErrChanged reports that the object is no longer the one that was asked
	// for: its ETag or version differs from the pinned one.
	ErrChanged = errors.New("object changed")
	// ErrArchived reports that the object must be restored from an archive
	// class before it can be read.
	ErrArchived = errors.New("object is archived")
	// ErrChecksum reports bytes that do not match their checksum.
	ErrChecksum = errors.New("checksum mismatch")
	// ErrBody reports a body with more or fewer bytes than announced.
	ErrBody = errors.New("body length mismatch")
	// ErrListing reports a listing that cannot be trusted: not an S3 answer,
	// not in order, not advancing, or cut.
	ErrListing = errors.New("listing is not trustworthy")
	// ErrStorageClass reports a storage class that the server refuses.
	ErrStorageClass = errors.New("storage class refused")
	// ErrMetadata reports metadata or tags that the server refuses.
	ErrMetadata = errors.New("metadata refused")
	// ErrQuota reports that the server has no room left for this account.
	ErrQuota = errors.New("storage quota used up")
	// ErrTooLarge reports an object that is larger than the server takes.
	ErrTooLarge = errors.New("object too large")
	// ErrThrottled reports that the server kept asking to slow down until
	// the retries were used up.
	ErrThrottled = errors.New("server asks to slow down")
	// ErrClosed reports the use of a closed handle.
	ErrClosed = errors.New("handle is closed")
)

// sentinel is an error that also answers to a standard one.
type sentinel struct {
	text string
	std  error
}

func alias(text string, std error) error { return &sentinel{text, std} }

func (s *sentinel) Error() string        { return s.text }
func (s *sentinel) Is(target error) bool { return target == s.std }

// OpError tells which operation failed on which object, and why. Both the
// category (one of the Err variables, where one fits) and the cause are found
// by errors.Is and errors.As.
type OpError struct {
	Op     string // what was tried, a verb: "get", "put", "list", ...
	Bucket string
	Key    string // key or prefix; empty for the bucket itself
	Kind   error  // category; nil when no category fits
	Code   string // error code of S3, such as NoSuchKey; may be empty
	Status int    // HTTP status; 0 when no answer came
	Err    error  // cause
}

func (e *OpError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q", e.Op, e.Bucket)
	if e.Key != "" {
		fmt.Fprintf(&b, " key %q", e.Key)
	}
	if e.Kind != nil {
		fmt.Fprintf(&b, ": %v%s", e.Kind, e.needs())
	}
	if text := e.cause(); text != "" {
		fmt.Fprintf(&b, ": %s", text)
	}
	return b.String()
}

// cause keeps the server's code and message and leaves out the SDK's ladder
// of operation names, request ids and attempts.
func (e *OpError) cause() string {
	if e.Err == nil {
		return ""
	}
	var api smithy.APIError
	if errors.As(e.Err, &api) {
		text := api.ErrorCode()
		if m := api.ErrorMessage(); m != "" && m != text && m != noMessage {
			text += ": " + m
		}
		if e.Status != 0 {
			text = fmt.Sprintf("%d %s", e.Status, text)
		}
		if AtSTS(e.Err) {
			text = "STS answers " + text
		}
		return text
	}
	var sent *smithyhttp.RequestSendError
	if errors.As(e.Err, &sent) {
		return sent.Err.Error()
	}
	return e.Err.Error()
}

// noMessage is what the SDK makes of a refusal without a message, as those of Ceph.
const noMessage = "UnknownError"

// Unwrap gives the category and the cause.
func (e *OpError) Unwrap() []error {
	errs := make([]error, 0, 2)
	if e.Kind != nil {
		errs = append(errs, e.Kind)
	}
	if e.Err != nil {
		errs = append(errs, e.Err)
	}
	return errs
}

// kindOfCode sorts the error codes of S3 and of servers like it.
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
var kindOfCode = map[string]error{
	"NoSuchBucket":                       ErrBucketNotFound,
	"NoSuchKey":                          ErrNotFound,
	"NoSuchVersion":                      ErrNotFound,
	"NoSuchUpload":                       ErrNotFound,
	"NotFound":                           ErrNotFound,
	"PreconditionFailed":                 ErrAlreadyExists,
	"BucketAlreadyExists":                ErrAlreadyExists,
	"AccessDenied":                       ErrAccessDenied,
	"Forbidden":                          ErrAccessDenied,
	"AllAccessDisabled":                  ErrAccessDenied,
	"AccountProblem":                     ErrAccessDenied,
	"InvalidAccessKeyId":                 ErrCredentials,
	"XAdminUserNotFound":                 ErrCredentials, // versitygw's word for an unknown key
	"SignatureDoesNotMatch":              ErrCredentials,
	"InvalidClientTokenId":               ErrCredentials, // STS's word for InvalidAccessKeyId
	"ExpiredToken":                       ErrCredentials,
	"InvalidToken":                       ErrCredentials,
	"InvalidTokenId":                     ErrCredentials, // MinIO's word for InvalidToken
	"TokenRefreshRequired":               ErrCredentials,
	"RequestTimeTooSkewed":               ErrCredentials,
	"InvalidSecurity":                    ErrCredentials,
	"PermanentRedirect":                  ErrWrongRegion,
	"AuthorizationHeaderMalformed":       ErrWrongRegion,
	"IllegalLocationConstraintException": ErrWrongRegion,
	"InvalidRange":                       ErrInvalidRange,
	"InvalidObjectState":                 ErrArchived,
	"ObjectNotInActiveTierError":         ErrArchived,
	"BadDigest":                          ErrChecksum,
	"InvalidDigest":                      ErrChecksum,
	"XAmzContentChecksumMismatch":        ErrChecksum, // MinIO's word for BadDigest
	"XAmzContentSHA256Mismatch":          ErrChecksum,
	"IncompleteBody":                     ErrBody,
	"InvalidStorageClass":                ErrStorageClass,
	"MetadataTooLarge":                   ErrMetadata,
	"RequestHeaderSectionTooLarge":       ErrMetadata, // versitygw's word for MetadataTooLarge
	"InvalidTag":                         ErrMetadata,
	"QuotaExceeded":                      ErrQuota, // Ceph's and versitygw's word
	"XMinioAdminBucketQuotaExceeded":     ErrQuota,
	"XMinioStorageFull":                  ErrQuota,
	"EntityTooLarge":                     ErrTooLarge,
	"NotImplemented":                     errors.ErrUnsupported,
	"MethodNotAllowed":                   errors.ErrUnsupported,
	"SlowDown":                           ErrThrottled,
	"ServiceUnavailable":                 ErrThrottled,
	"TooManyRequests":                    ErrThrottled,
	"RequestLimitExceeded":               ErrThrottled,
}

// translate makes an *OpError of an error of the SDK. Errors of the context
// and io.EOF stay themselves, since callers compare them; an *OpError is not
// wrapped twice.
func (c *Client) translate(op, key string, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	if cause := contextCause(err); cause != nil {
		return cause
	}
	var known *OpError
	if errors.As(err, &known) {
		return err
	}
	var limit *exhausted
	if errors.As(err, &limit) {
		return &OpError{Op: op, Bucket: c.name, Key: key, Kind: ErrBudget, Err: limit}
	}
	e := &OpError{Op: op, Bucket: c.name, Key: key, Err: err}
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) {
		e.Status = response.HTTPStatusCode()
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		e.Code = api.ErrorCode()
		e.Kind = kindOfCode[e.Code]
	}
	if e.Kind == nil {
		e.Kind = kindOfStatus(e.Status)
	}
	if e.Kind == ErrAlreadyExists && e.Status == http.StatusPreconditionFailed && op != "put" && op != "complete upload" {
		e.Kind = nil // nothing was to be written: Swift says this to who signs nothing
	}
	var header *headerError
	if errors.As(err, &header) {
		e.Kind, e.Err = ErrMetadata, header
	}
	if e.Kind == nil {
		e.Kind = kindOfTransport(err)
	}
	if e.Status != 0 && AtSTS(err) {
		// What STS refuses is no answer about an object: without keys every
		// other request would end so.
		e.Kind = ErrCredentials
	}
	// A HEAD has no body: its 404 cannot tell a bucket from an object.
	if key == "" && e.Kind == ErrNotFound {
		e.Kind = ErrBucketNotFound
	}
	return e
}

// AtSTS tells whether err is of STS, which was to give the keys to sign a
// request with.
func AtSTS(err error) bool {
	op := failedOperation(err)
	return op != nil && op.ServiceID == "STS" && op.OperationName != "GetCallerIdentity"
}

// failedOperation is the operation of the SDK that failed, and not the one that
// could not begin without it.
func failedOperation(err error) *smithy.OperationError {
	var failed *smithy.OperationError
	for op := failed; errors.As(err, &op); err = op.Err {
		failed = op
	}
	return failed
}

// contextCause tells whether err is the end of a context. The SDK wraps it in
// errors of its own. A dial that took too long also calls itself a deadline
// that was exceeded, but is none of the caller's.
func contextCause(err error) error {
	if isDial(err) {
		return nil
	}
	if errors.Is(err, context.Canceled) {
		return context.Canceled
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return context.DeadlineExceeded
	}
	var canceled *aws.RequestCanceledError
	if errors.As(err, &canceled) {
		return context.Canceled
	}
	return nil
}

func kindOfStatus(status int) error {
	switch status {
	case http.StatusNotFound:
		return ErrNotFound
	case http.StatusForbidden:
		return ErrAccessDenied
	case http.StatusUnauthorized:
		return ErrCredentials
	case http.StatusProxyAuthRequired:
		return ErrUnreachable
	case http.StatusPreconditionFailed:
		return ErrAlreadyExists
	case http.StatusRequestedRangeNotSatisfiable:
		return ErrInvalidRange
	case http.StatusMovedPermanently:
		return ErrWrongRegion
	case http.StatusNotImplemented, http.StatusMethodNotAllowed:
		return errors.ErrUnsupported
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		return ErrThrottled
	case http.StatusInsufficientStorage:
		return ErrQuota
	case http.StatusRequestEntityTooLarge:
		return ErrTooLarge
	}
	return nil
}

// kindOfTransport looks for the reasons why no answer came at all.
func kindOfTransport(err error) error {
	var (
		sent      *smithyhttp.RequestSendError
		dns       *net.DNSError
		op        *net.OpError
		authority x509.UnknownAuthorityError
	)
	switch {
	case errors.As(err, &sent), errors.As(err, &dns), errors.As(err, &op), errors.As(err, &authority):
		return ErrUnreachable
	case strings.Contains(err.Error(), "failed to refresh cached credentials"),
		strings.Contains(err.Error(), "get identity:"):
		// The SDK has no type for a chain of providers that found nothing.
		return ErrCredentials
	}
	return nil
}
