package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/s3kloset/s3kloset/internal/s3test"

	smithy "github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// TestCodes holds every answer that is an error to its category, to its code,
// and to whether it is asked for again.
func TestCodes(t *testing.T) {
	const final, passing = 1, DefaultRetries + 1
	for _, c := range []struct {
		status   int
		code     string
		kind     error // nil: none
		requests int
	}{
		{403, "AccessDenied", ErrAccessDenied, final},
		{403, "AllAccessDisabled", ErrAccessDenied, final},
		{403, "SomethingNew", ErrAccessDenied, final},
		{403, "InvalidAccessKeyId", ErrCredentials, final},
		{404, "XAdminUserNotFound", ErrCredentials, final},
		{403, "SignatureDoesNotMatch", ErrCredentials, final},
		{403, "RequestTimeTooSkewed", ErrCredentials, final},
		{400, "InvalidToken", ErrCredentials, final},
		{403, "InvalidTokenId", ErrCredentials, final},
		{401, "Unauthorized", ErrCredentials, final},
		{404, "NoSuchBucket", ErrBucketNotFound, final},
		{404, "NoSuchKey", ErrNotFound, final},
		{404, "NoSuchVersion", ErrNotFound, final},
		{412, "PreconditionFailed", nil, final}, // nothing is to be written
		{416, "InvalidRange", ErrInvalidRange, final},
		{403, "InvalidObjectState", ErrArchived, final},
		{301, "PermanentRedirect", ErrWrongRegion, final},
		{400, "AuthorizationHeaderMalformed", ErrWrongRegion, final},
		{400, "InvalidStorageClass", ErrStorageClass, final},
		{400, "MetadataTooLarge", ErrMetadata, final},
		{400, "InvalidTag", ErrMetadata, final},
		{403, "QuotaExceeded", ErrQuota, final},
		{507, "XMinioStorageFull", ErrQuota, final},
		{507, "SomethingNew", ErrQuota, final},
		{400, "EntityTooLarge", ErrTooLarge, final},
		{413, "SomethingNew", ErrTooLarge, final},
		{501, "NotImplemented", errors.ErrUnsupported, final},
		{405, "MethodNotAllowed", errors.ErrUnsupported, final},
		{400, "InvalidArgument", nil, final},
		{409, "BucketNotEmpty", nil, final},
		{503, "SlowDown", ErrThrottled, passing},
		{503, "ServiceUnavailable", ErrThrottled, passing},
		{429, "TooManyRequests", ErrThrottled, passing},
		{400, "RequestTimeout", nil, passing},
		{400, "BadDigest", ErrChecksum, passing},
		{400, "IncompleteBody", ErrBody, passing},
		{409, "OperationAborted", nil, passing},
		{500, "InternalError", nil, passing},
		{502, "BadGateway", nil, passing},
		{504, "GatewayTimeout", nil, passing},
	} {
		t.Run(fmt.Sprintf("%d %s", c.status, c.code), func(t *testing.T) {
			play(t, Config{}, func(t *testing.T, s *stage) {
				s.fault(s3test.Fault{Times: s3test.Always, Action: s3test.Status(c.status, c.code)})
				_, err := s.client.Tags(t.Context(), "k", Pin{})
				var failed *OpError
				if !errors.As(err, &failed) {
					t.Fatalf("error is %v", err)
				}
				if failed.Kind != c.kind || failed.Code != c.code || failed.Status != c.status {
					t.Errorf("kind %v, code %q, status %d; want kind %v", failed.Kind, failed.Code, failed.Status, c.kind)
				}
				if failed.Op != "get tags" || failed.Bucket != bucketName || failed.Key != "k" {
					t.Errorf("error does not say where: %v", err)
				}
				s.wantCount("GetObjectTagging", c.requests)
			})
		})
	}
}

// TestStatusesWithoutCode: proxies answer in HTML, and a HEAD has no body.
func TestStatusesWithoutCode(t *testing.T) {
	for status, kind := range map[int]error{
		401: ErrCredentials, 403: ErrAccessDenied, 404: ErrBucketNotFound, 429: ErrThrottled, 503: ErrThrottled, 507: ErrQuota,
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			play(t, Config{Retries: -1}, func(t *testing.T, s *stage) {
				s.fault(s3test.Fault{Times: s3test.Always, Action: s3test.StatusHTML(status)})
				_, err := listed(t.Context(), s.client, Range{})
				wantError(t, err, kind, "list", "")
			})
		})
	}
}

func TestHeadOfNothing(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		_, err := s.client.Head(t.Context(), "k", Pin{})
		wantError(t, err, ErrNotFound, "head", "k")
	})
}

func TestStandardErrors(t *testing.T) {
	for err, std := range map[error]error{
		ErrNotFound: fs.ErrNotExist, ErrAlreadyExists: fs.ErrExist, ErrAccessDenied: fs.ErrPermission,
	} {
		if wrapped := error(&OpError{Kind: err}); !errors.Is(wrapped, std) || !errors.Is(wrapped, err) {
			t.Errorf("%v is not %v", err, std)
		}
	}
	if errors.Is(&OpError{Kind: ErrBucketNotFound}, fs.ErrNotExist) {
		t.Error("a missing bucket passes for a missing object")
	}
}

// TestBareErrors: callers compare these.
func TestBareErrors(t *testing.T) {
	var c Client
	for _, err := range []error{nil, io.EOF} {
		if got := c.translate("get", "k", err); got != err {
			t.Errorf("%v becomes %v", err, got)
		}
	}
	for err, want := range map[error]error{
		fmt.Errorf("sdk: %w", context.Canceled):                                      context.Canceled,
		fmt.Errorf("sdk: %w", context.DeadlineExceeded):                              context.DeadlineExceeded,
		&aws.RequestCanceledError{Err: errors.New("somehow")}:                        context.Canceled,
		&smithyhttp.RequestSendError{Err: context.DeadlineExceeded}:                  context.DeadlineExceeded,
		&smithyhttp.RequestSendError{Err: &net.OpError{Op: "dial", Err: timedOut{}}}: nil,
	} {
		got := c.translate("get", "k", err)
		if want != nil && got != want {
			t.Errorf("%v becomes %v", err, got)
		}
		if want == nil && !errors.Is(got, ErrUnreachable) {
			t.Errorf("%v becomes %v, want unreachable", err, got)
		}
	}
	known := &OpError{Op: "put"}
	if got := c.translate("get", "k", fmt.Errorf("sdk: %w", known)); errors.Unwrap(got) != known {
		t.Errorf("known error becomes %v", got)
	}
}

// timedOut is what a dial fails with when it took too long; the one of net
// also passes for the end of a context.
type timedOut struct{}

func (timedOut) Error() string        { return "i/o timeout" }
func (timedOut) Timeout() bool        { return true }
func (timedOut) Is(target error) bool { return target == context.DeadlineExceeded }

func TestMessage(t *testing.T) {
	for want, err := range map[string]*OpError{
		`get "b" key "k": object does not exist`: {Op: "get", Bucket: "b", Key: "k", Kind: ErrNotFound},
		`list "b": 503 SlowDown: easy`: {Op: "list", Bucket: "b", Status: 503,
			Err: fmt.Errorf("ladder: %w", &smithy.GenericAPIError{Code: "SlowDown", Message: "easy"})},
		`list "b": InternalError`: {Op: "list", Bucket: "b", Err: &smithy.GenericAPIError{Code: "InternalError", Message: "InternalError"}},
		`list "b": 403 AccessDenied`: {Op: "list", Bucket: "b", Status: 403,
			Err: &smithy.GenericAPIError{Code: "AccessDenied", Message: "UnknownError"}}, // the SDK's word for no message
		`put "b" key "a\nb": dial: refused`: {Op: "put", Bucket: "b", Key: "a\nb",
			Err: fmt.Errorf("ladder: %w", &smithyhttp.RequestSendError{Err: errors.New("dial: refused")})},
	} {
		if got := err.Error(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

// FuzzTranslate: whatever a server says, its error has one category at most,
// the code as sent, and a message that names the operation.
func FuzzTranslate(f *testing.F) {
	for code := range kindOfCode {
		f.Add(403, code, "message", "key")
	}
	f.Add(503, "", "", "")
	f.Add(200, "InternalError", "try again", "a\xff")
	f.Fuzz(func(t *testing.T, status int, code, message, key string) {
		c := &Client{name: bucketName}
		err := c.translate("get", key, &smithyhttp.ResponseError{
			Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status, Header: http.Header{}}},
			Err:      &smithy.GenericAPIError{Code: code, Message: message},
		})
		var failed *OpError
		if !errors.As(err, &failed) || failed.Code != code || failed.Status != status || failed.Key != key {
			t.Fatalf("translated to %#v", err)
		}
		kind, known := kindOfCode[code]
		if known && failed.Kind != kind && !(kind == ErrNotFound && key == "" && failed.Kind == ErrBucketNotFound) {
			t.Errorf("%s is of kind %v", code, failed.Kind)
		}
		if !strings.HasPrefix(err.Error(), `get "`+bucketName+`"`) {
			t.Errorf("message is %s", err)
		}
		if isThrottle(err) != (failed.Kind == ErrThrottled) && !known {
			t.Errorf("throttled or not: %v", err)
		}
	})
}
