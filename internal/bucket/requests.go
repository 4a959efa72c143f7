package bucket

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// counters counts requests by operation.
type counters struct {
	mu     sync.Mutex
	counts map[string]int64
}

func (c *counters) add(operation string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = make(map[string]int64)
	}
	c.counts[operation]++
}

func (c *counters) snapshot() map[string]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.counts)
}

// countRequests counts each attempt, below the SDK's retry loop.
func (c *Client) countRequests(stack *middleware.Stack) error {
	return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("s3klosetCount",
		func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
			operation := awsmiddleware.GetOperationName(ctx)
			if err := c.pace.budget.request(ctx, operation); err != nil {
				return middleware.FinalizeOutput{}, middleware.Metadata{}, err
			}
			c.requests.add(operation)
			return next.HandleFinalize(ctx, in)
		}), "Retry", middleware.After)
}

// unsignedPayload saves hashing each body a second time, for the signature.
// It leaves the operations alone whose body the SDK signs otherwise.
func unsignedPayload(stack *middleware.Stack) error {
	if _, found := stack.Finalize.Get((*v4.ComputePayloadSHA256)(nil).ID()); !found {
		return nil
	}
	return v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware(stack)
}

// withHeader sets headers of one request, before it is signed. An empty value
// removes the header. A header that HTTP cannot carry is a *headerError.
func withHeader(header http.Header) func(*s3.Options) {
	return func(o *s3.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			return stack.Build.Add(setHeader("s3klosetHeader", header), middleware.After)
		})
	}
}

// withSum adds a checksum to one request.
func withSum(sum Checksum) func(*s3.Options) {
	return func(o *s3.Options) {
		if sum.Value == "" {
			return
		}
		header := http.Header{}
		header.Set(checksumHeader(sum.Algorithm), sum.Value)
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			return stack.Build.Add(setHeader("s3klosetChecksum", header), middleware.After)
		})
	}
}

func setHeader(id string, header http.Header) middleware.BuildMiddleware {
	return middleware.BuildMiddlewareFunc(id,
		func(ctx context.Context, in middleware.BuildInput, next middleware.BuildHandler) (middleware.BuildOutput, middleware.Metadata, error) {
			request, ok := in.Request.(*smithyhttp.Request)
			if !ok {
				return next.HandleBuild(ctx, in)
			}
			for name, values := range header {
				if err := checkHeader(name, values); err != nil {
					return middleware.BuildOutput{}, middleware.Metadata{}, err
				}
				if len(values) == 1 && values[0] == "" && !mayBeEmpty(name) {
					request.Header.Del(name)
					continue
				}
				request.Header[name] = values
			}
			return next.HandleBuild(ctx, in)
		})
}

// headerError reports a header that HTTP cannot carry. Left to the transport,
// it would look like a failed connection and be tried again.
type headerError struct {
	name  string
	value bool // the value is at fault, else the name
}

func (e *headerError) Error() string {
	if e.value {
		return fmt.Sprintf("value of header %q has characters that HTTP cannot carry", e.name)
	}
	return fmt.Sprintf("header name %q has characters that HTTP cannot carry", e.name)
}

// checkHeader holds a header to RFC 9110, sections 5.1 and 5.5.
func checkHeader(name string, values []string) error {
	const token = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	if name == "" || strings.Trim(name, token) != "" {
		return &headerError{name: name}
	}
	for _, value := range values {
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return &headerError{name: name, value: true}
		}
	}
	return nil
}

// keyedOperations read or write the body or headers of one object, and so need the
// customer's key when there is one. To complete an upload needs it where the
// parts have checksums, and always on MinIO and minis3.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html
var keyedOperations = map[string]bool{
	"GetObject": true, "HeadObject": true, "PutObject": true,
	"CreateMultipartUpload": true, "UploadPart": true, "CompleteMultipartUpload": true,
}

// standingHeaders adds what every request of this client carries.
func (c *Client) standingHeaders(stack *middleware.Stack) error {
	header := http.Header{}
	if c.cfg.RequesterPays {
		header.Set("X-Amz-Request-Payer", "requester")
	}
	if c.cfg.ExpectedOwner != "" {
		header.Set("X-Amz-Expected-Bucket-Owner", c.cfg.ExpectedOwner)
	}
	if c.cfg.OwnerControl && createsObject[stack.ID()] {
		header.Set("X-Amz-Acl", "bucket-owner-full-control")
	}
	if len(header) == 0 {
		return nil
	}
	return stack.Build.Add(setHeader("s3klosetStanding", header), middleware.After)
}

// createsObject are the operations that say who may use an object.
var createsObject = map[string]bool{"PutObject": true, "CreateMultipartUpload": true}

// encrypts tells whether customer's keys are in use.
func (cfg *Config) encrypts() bool { return len(cfg.SSECustomerKey) > 0 || cfg.CustomerKeys != nil }

// customerKey adds the customer's key of an object to the requests that need
// it.
func (c *Client) customerKey(key string) func(*s3.Options) {
	return func(o *s3.Options) {
		if !c.cfg.encrypts() {
			return
		}
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			if !keyedOperations[stack.ID()] {
				return nil
			}
			secret, err := c.cfg.keyOf(key)
			if err != nil || len(secret) == 0 {
				return err
			}
			return stack.Build.Add(setHeader("s3klosetCustomerKey", customerHeader(secret)), middleware.After)
		})
	}
}

// keyOf is the customer's key of an object, nil for none. Errors do not show
// it.
func (cfg *Config) keyOf(key string) ([]byte, error) {
	if cfg.CustomerKeys == nil {
		return cfg.SSECustomerKey, nil
	}
	secret, err := cfg.CustomerKeys(key)
	if err != nil {
		return nil, fmt.Errorf("find customer key: %w", err)
	}
	if len(secret) != 0 && len(secret) != customerKeySize {
		return nil, fmt.Errorf("customer key has %d bytes, not %d", len(secret), customerKeySize)
	}
	return secret, nil
}

// customerKeySize is the length of a key in bytes.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/ServerSideEncryptionCustomerKeys.html
const customerKeySize = 32

func customerHeader(key []byte) http.Header {
	sum := md5.Sum(key)
	return http.Header{
		"X-Amz-Server-Side-Encryption-Customer-Algorithm": {"AES256"},
		"X-Amz-Server-Side-Encryption-Customer-Key":       {base64.StdEncoding.EncodeToString(key)},
		"X-Amz-Server-Side-Encryption-Customer-Key-Md5":   {base64.StdEncoding.EncodeToString(sum[:])},
	}
}
