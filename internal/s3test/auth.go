package s3test

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/s3kloset/s3kloset/internal/s3test/sigv4"
)

// ownerID is the canonical user that owns everything, accountID the account of that user.
const (
	ownerID   = "5375726520656e6f7567682c207468697320697320616e206f776e6572212121"
	ownerName = "s3test"
	accountID = "000011112222"
)

const maxSkew = 15 * time.Minute

// authenticate finds out who sent the request. Requests without a signature pass; authorize decides about them.
func (x *exchange) authenticate() error {
	signature, err := sigv4.Parse(x.r)
	switch {
	case errors.Is(err, sigv4.ErrUnsigned):
		return nil
	case errors.Is(err, sigv4.ErrUnsupported):
		return failuref("InvalidRequest", "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.")
	case err != nil && x.query.Has("X-Amz-Algorithm"):
		return failuref("AuthorizationQueryParametersError", "%v", err)
	case err != nil:
		return failuref("AuthorizationHeaderMalformed", "%v", err)
	}
	x.server.mu.RLock()
	credentials, known := x.server.keys[signature.AccessKey]
	x.server.mu.RUnlock()
	if !known {
		return failure("InvalidAccessKeyId").with("AWSAccessKeyId", signature.AccessKey)
	}
	if err := x.checkScope(signature); err != nil {
		return err
	}
	if signature.Verify(x.r, credentials.SecretKey) != nil {
		return failure("SignatureDoesNotMatch").with("AWSAccessKeyId", signature.AccessKey)
	}
	if unsigned := signature.UnsignedHeaders(x.r.Header); len(unsigned) > 0 {
		return failuref("AccessDenied", "There were headers present in the request which were not signed.").
			with("HeadersNotSigned", strings.Join(unsigned, ", "))
	}
	if err := x.checkToken(signature, credentials); err != nil {
		return err
	}
	x.signature, x.secret = signature, credentials.SecretKey
	if signature.Presigned {
		x.hoist()
	}
	return x.checkPayloadHash()
}

func (x *exchange) checkScope(s *sigv4.Signature) error {
	now := x.server.clock.Now().UTC()
	if s.Presigned && !now.Before(s.Time.Add(s.Expires)) {
		return failuref("AccessDenied", "Request has expired").
			with("X-Amz-Expires", itoa(int(s.Expires/time.Second))).
			with("Expires", s.Time.Add(s.Expires).Format(time.RFC3339)).
			with("ServerTime", now.Format(time.RFC3339))
	}
	tooOld := !s.Presigned && now.Sub(s.Time) > maxSkew
	if tooOld || s.Time.Sub(now) > maxSkew {
		return failure("RequestTimeTooSkewed").
			with("RequestTime", s.Time.Format(sigv4.TimeFormat)).
			with("ServerTime", now.Format(time.RFC3339)).
			with("MaxAllowedSkewMilliseconds", itoa(int(maxSkew/time.Millisecond)))
	}
	if s.Scope.Region != x.server.Region() {
		refusal := failuref("AuthorizationHeaderMalformed", "The authorization header is malformed; the region %q is wrong; expecting %q",
			s.Scope.Region, x.server.Region()).
			with("Region", x.server.Region())
		if !x.server.settings.has(RegionHeader) {
			return refusal
		}
		return refusal.withHeader("x-amz-bucket-region", x.server.Region())
	}
	return nil
}

func (x *exchange) checkToken(s *sigv4.Signature, c Credentials) error {
	if s.SessionToken != c.SessionToken {
		return failure("InvalidToken")
	}
	if !c.Expires.IsZero() && !x.server.clock.Now().Before(c.Expires) {
		return failure("ExpiredToken")
	}
	return nil
}

// hoist makes headers of the x-amz-* parameters of a presigned request: signers move them into the query.
func (x *exchange) hoist() {
	for name, values := range x.query {
		lower := strings.ToLower(name)
		if strings.HasPrefix(lower, "x-amz-") && !signingParameters[lower] && x.r.Header.Get(name) == "" {
			x.r.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
}

var signingParameters = map[string]bool{
	"x-amz-algorithm": true, "x-amz-credential": true, "x-amz-date": true, "x-amz-expires": true,
	"x-amz-signedheaders": true, "x-amz-signature": true, "x-amz-security-token": true,
}

func (x *exchange) checkPayloadHash() error {
	switch hash := x.signature.PayloadHash; hash {
	case sigv4.UnsignedPayload, sigv4.StreamingUnsignedTrailer, sigv4.StreamingSigned, sigv4.StreamingSignedTrailer:
		return nil
	default:
		if !isHexSHA256(hash) {
			return failuref("InvalidArgument", "x-amz-content-sha256 must be %s, %s, or a valid sha256 value.",
				sigv4.UnsignedPayload, sigv4.StreamingSigned)
		}
		return nil
	}
}

func isHexSHA256(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}

// authorize decides whether the request may be served.
func (x *exchange) authorize() error {
	if owner := x.header("X-Amz-Expected-Bucket-Owner"); owner != "" && owner != accountID {
		return failure("AccessDenied")
	}
	if x.signature != nil {
		return x.charge(x.bucket)
	}
	if x.bucket == nil || x.bucket.requesterPays() || !x.bucket.isPublic() || !publicOperations[x.op] {
		return failure("AccessDenied")
	}
	return nil
}

// charge makes the requester pay where the bucket wants that, which the requester must have agreed to.
func (x *exchange) charge(b *Bucket) error {
	if b == nil || !b.requesterPays() {
		return nil
	}
	if x.header("X-Amz-Request-Payer") != "requester" {
		return failure("AccessDenied")
	}
	x.setHeader("x-amz-request-charged", "requester")
	return nil
}

// publicOperations is what a public bucket lets anybody do.
var publicOperations = map[string]bool{
	"GetObject": true, "HeadObject": true, "GetObjectTagging": true, "GetObjectAttributes": true,
	"ListObjects": true, "ListObjectsV2": true, "ListObjectVersions": true,
	"HeadBucket": true, "GetBucketLocation": true,
}
