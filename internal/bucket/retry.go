package bucket

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	smithy "github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// DefaultRetries is how often an attempt is repeated. With the delays below
// that rides out about a minute of trouble.
const DefaultRetries = 9

const (
	firstDelay = 100 * time.Millisecond
	maxDelay   = 20 * time.Second
	// maxRetryAfter bounds what a server can make us wait.
	maxRetryAfter = 60 * time.Second
	// coldDialRetries is for an endpoint that has never answered: most likely
	// it is mistyped or down, and the user waits for that message.
	coldDialRetries = 2
)

// retryer is our policy for the SDK: bounded attempts, full jitter, no shared
// quota. The SDK's own quota never refills while everything fails, and turns a
// burst of 503 into lost objects.
type retryer struct {
	client      *Client
	credentials *aws.CredentialsCache  // nil: cannot be refreshed
	answered    atomic.Bool            // the endpoint has answered at least once
	refused     atomic.Pointer[string] // the keys that were given up last
}

var _ aws.RetryerV2 = (*retryer)(nil)

func newRetryer(c *Client, credentials aws.CredentialsProvider) *retryer {
	cache, _ := credentials.(*aws.CredentialsCache)
	return &retryer{client: c, credentials: cache}
}

func (r *retryer) MaxAttempts() int { return max(0, r.client.cfg.Retries) + 1 }

func (r *retryer) IsErrorRetryable(err error) bool {
	if contextCause(err) != nil {
		return false
	}
	if isExpired(err) {
		// Asked for once more; a second refusal comes back as an error,
		// since the provider then has nothing better.
		if r.credentials == nil {
			return false
		}
		r.renew(err)
		return true
	}
	if response := responseOf(err); response != nil {
		r.answered.Store(true)
	}
	return retryable(err)
}

// renew gives up the keys that a refused request was signed with. All requests
// in flight are refused at the same time: only the first may do it, the others
// would give up the new ones.
func (r *retryer) renew(refusal error) {
	keys := signedWith(refusal)
	if keys != "" && r.MaxAttempts() > 1 {
		if last := r.refused.Swap(&keys); last != nil && *last == keys {
			return
		}
	}
	r.credentials.Invalidate()
}

// signedWith tells the keys of a refused request from others; it is empty if
// they are not known.
func signedWith(refusal error) string {
	response := responseOf(refusal)
	if response == nil || response.Request == nil {
		return ""
	}
	_, credential, _ := strings.Cut(response.Request.Header.Get("Authorization"), "Credential=")
	key, _, found := strings.Cut(credential, "/")
	if !found {
		return ""
	}
	return signature(key, response.Request.Header.Get("X-Amz-Security-Token"))
}

// signature is what tells keys apart: some services renew the token alone.
func signature(accessKey, token string) string { return accessKey + " " + token }

// retryable is the list of what may pass; all else is final.
func retryable(err error) bool {
	if isFinalTransport(err) || errors.Is(err, errIllegible) {
		return false
	}
	var marked interface{ RetryableError() bool }
	if errors.As(err, &marked) && marked.RetryableError() {
		return true
	}
	var api smithy.APIError
	if errors.As(err, &api) && passingCodes[api.ErrorCode()] {
		return true
	}
	if isCut(err) {
		return true
	}
	if response := responseOf(err); response != nil {
		return passingStatus(response.StatusCode)
	}
	var sent *smithyhttp.RequestSendError
	if errors.As(err, &sent) {
		return true
	}
	var timeout net.Error
	return errors.As(err, &timeout)
}

// passingCodes are worth another attempt whatever their status: also a 200
// may carry them (CopyObject, CompleteMultipartUpload).
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
var passingCodes = map[string]bool{
	"InternalError": true, "InternalServerError": true, "ServiceUnavailable": true, "SlowDown": true,
	"RequestTimeout": true, "RequestTimeoutException": true, "OperationAborted": true,
	"ConditionalRequestConflict": true, "TooManyRequests": true, "RequestLimitExceeded": true,
	"Throttling": true, "ThrottlingException": true, "BandwidthLimitExceeded": true,
	"BadDigest": true, "XAmzContentChecksumMismatch": true, "XAmzContentSHA256Mismatch": true, // damaged on the way
	"IncompleteBody": true,
}

func passingStatus(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// isFinalTransport knows the failures that repeat themselves.
func isFinalTransport(err error) bool {
	var (
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		invalid   x509.CertificateInvalidError
		verify    *tls.CertificateVerificationError
		record    tls.RecordHeaderError
		alert     tls.AlertError
	)
	return errors.As(err, &authority) || errors.As(err, &hostname) || errors.As(err, &invalid) ||
		errors.As(err, &verify) || errors.As(err, &record) || errors.As(err, &alert) ||
		errors.Is(err, http.ErrSchemeMismatch) || errors.Is(err, errProxyAuth) || refusedBySOCKS(err) || RefusesCertificate(err)
}

// certificateAlerts are how a server refuses the certificate of a client, or
// that there is none.
// https://www.rfc-editor.org/rfc/rfc8446#section-6.2
var certificateAlerts = []tls.AlertError{
	42,  // bad_certificate
	43,  // unsupported_certificate
	44,  // certificate_revoked
	45,  // certificate_expired
	46,  // certificate_unknown
	48,  // unknown_ca
	49,  // access_denied
	116, // certificate_required
}

// RefusesCertificate tells whether err is a server's refusal of Config.ClientCert,
// or that there is none. It compares texts, because the type that crypto/tls has
// for alerts of the peer is exported for QUIC only.
func RefusesCertificate(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error" &&
		slices.ContainsFunc(certificateAlerts, func(a tls.AlertError) bool { return op.Err.Error() == a.Error() })
}

// isCut tells whether an answer says that all is well and could not be read:
// its connection broke in the middle of the document, or it is none of S3's.
func isCut(err error) bool {
	response := responseOf(err)
	var api smithy.APIError
	return response != nil && response.StatusCode/100 == 2 && !errors.As(err, &api)
}

func isExpired(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	return api.ErrorCode() == "ExpiredToken" || api.ErrorCode() == "TokenRefreshRequired"
}

func isThrottle(err error) bool {
	var api smithy.APIError
	if errors.As(err, &api) && kindOfCode[api.ErrorCode()] == ErrThrottled {
		return true
	}
	response := responseOf(err)
	return response != nil && kindOfStatus(response.StatusCode) == ErrThrottled
}

func isDial(err error) bool {
	var op *net.OpError
	var dns *net.DNSError
	return (errors.As(err, &op) && (op.Op == "dial" || op.Op == "proxyconnect" || op.Op == socksConnect)) || errors.As(err, &dns)
}

// GetRetryToken refuses the retries that MaxAttempts alone would allow.
func (r *retryer) GetRetryToken(ctx context.Context, err error) (func(error) error, error) {
	attempt := attemptsOf(ctx).count.Load()
	switch {
	case isExpired(err) && attemptsOf(ctx).expired.Swap(true):
		r.refused.Store(nil) // what came may be the same again: let the next request ask
		return nil, errNoRetry
	case isDial(err) && !r.answered.Load() && attempt > coldDialRetries:
		return nil, errNoRetry
	case isCut(err) && attemptsOf(ctx).ownsCuts.Load():
		return nil, errNoRetry
	}
	return keepToken, nil
}

var errNoRetry = errors.New("not tried again")

func keepToken(error) error { return nil }

func (r *retryer) GetInitialToken() func(error) error { return keepToken }

// GetAttemptToken waits for the pace of the client before each attempt.
func (r *retryer) GetAttemptToken(ctx context.Context) (func(error) error, error) {
	attemptsOf(ctx).count.Add(1)
	if err := r.client.pace.wait(ctx); err != nil {
		return nil, err
	}
	return func(err error) error {
		if err == nil {
			r.answered.Store(true)
		}
		return nil
	}, nil
}

// RetryDelay takes what the server asks for, else exponential backoff with
// full jitter. A throttled attempt slows the whole client down.
func (r *retryer) RetryDelay(attempt int, err error) (time.Duration, error) {
	delay := backoff(attempt)
	if asked, ok := retryAfter(err); ok {
		delay = asked
	}
	if isThrottle(err) {
		r.client.pace.slowDown(delay)
	}
	if isExpired(err) {
		delay = 0
	}
	r.client.cfg.Logger.Debug("attempt failed, trying again", "bucket", r.client.name, "delay", delay, "reason", briefly(err))
	return delay, nil
}

// backoff doubles from firstDelay to maxDelay and takes a random part of it,
// at least half, so that clients spread and yet do let go.
func backoff(attempt int) time.Duration {
	limit := min(firstDelay<<min(max(attempt, 0), 16), maxDelay)
	return limit/2 + rand.N(limit/2+1)
}

// retryAfter reads the header in seconds or as a date.
func retryAfter(err error) (time.Duration, bool) {
	response := responseOf(err)
	if response == nil {
		return 0, false
	}
	value := response.Header.Get("Retry-After")
	if value == "" {
		return 0, false
	}
	if seconds, err := strconv.ParseFloat(value, 64); err == nil && seconds >= 0 {
		return time.Duration(min(seconds, maxRetryAfter.Seconds()) * float64(time.Second)), true
	}
	if at, err := http.ParseTime(value); err == nil {
		return min(max(time.Until(at), 0), maxRetryAfter), true
	}
	return 0, false
}

// responseOf is the answer that an error came with, nil when there was none.
// For a request that was never answered the SDK makes up one without a status.
func responseOf(err error) *smithyhttp.Response {
	var response *smithyhttp.ResponseError
	if err == nil || !errors.As(err, &response) || response.Response == nil || response.Response.Response == nil {
		return nil
	}
	if response.Response.StatusCode == 0 {
		return nil
	}
	return response.Response
}

func briefly(err error) string {
	e := &OpError{Err: err}
	if response := responseOf(err); response != nil {
		e.Status = response.StatusCode
	}
	return e.cause()
}

// attempts counts within one operation. It travels in the context.
type attempts struct {
	count    atomic.Int32
	expired  atomic.Bool
	ownsCuts atomic.Bool // whoever asked deals with answers that were cut
}

type attemptsKey struct{}

func withAttempts(ctx context.Context) (context.Context, *attempts) {
	a := new(attempts)
	return context.WithValue(ctx, attemptsKey{}, a), a
}

func attemptsOf(ctx context.Context) *attempts {
	if a, ok := ctx.Value(attemptsKey{}).(*attempts); ok {
		return a
	}
	return new(attempts)
}

// sleep waits for d, or less when the context ends.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
