// Package bucket speaks S3: it lists, reads and writes the objects of one
// bucket. It is the only package of the module that knows the AWS SDK.
//
// What it adds to the SDK is what a backup needs. Listings are believed only
// when they are ordered, advancing answers of S3. Reads are pinned to one
// version of the object, resume after a broken connection, and are verified.
// Writes are buffered, so that they can be repeated, and checked. Errors carry
// a category that errors.Is finds. Retries are bounded, honour Retry-After, and
// slow the whole client down when the server asks for it.
package bucket

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// api is the part of the SDK's client that this package uses.
type api interface {
	probeAPI
	retentionAPI
	pendingAPI
	HeadBucket(context.Context, *s3.HeadBucketInput, ...func(*s3.Options)) (*s3.HeadBucketOutput, error)
	CreateBucket(context.Context, *s3.CreateBucketInput, ...func(*s3.Options)) (*s3.CreateBucketOutput, error)
	ListObjectsV2(context.Context, *s3.ListObjectsV2Input, ...func(*s3.Options)) (*s3.ListObjectsV2Output, error)
	GetObject(context.Context, *s3.GetObjectInput, ...func(*s3.Options)) (*s3.GetObjectOutput, error)
	HeadObject(context.Context, *s3.HeadObjectInput, ...func(*s3.Options)) (*s3.HeadObjectOutput, error)
	PutObject(context.Context, *s3.PutObjectInput, ...func(*s3.Options)) (*s3.PutObjectOutput, error)
	DeleteObject(context.Context, *s3.DeleteObjectInput, ...func(*s3.Options)) (*s3.DeleteObjectOutput, error)
	GetObjectTagging(context.Context, *s3.GetObjectTaggingInput, ...func(*s3.Options)) (*s3.GetObjectTaggingOutput, error)
	PutObjectTagging(context.Context, *s3.PutObjectTaggingInput, ...func(*s3.Options)) (*s3.PutObjectTaggingOutput, error)
	RestoreObject(context.Context, *s3.RestoreObjectInput, ...func(*s3.Options)) (*s3.RestoreObjectOutput, error)
	CreateMultipartUpload(context.Context, *s3.CreateMultipartUploadInput, ...func(*s3.Options)) (*s3.CreateMultipartUploadOutput, error)
	UploadPart(context.Context, *s3.UploadPartInput, ...func(*s3.Options)) (*s3.UploadPartOutput, error)
	CompleteMultipartUpload(context.Context, *s3.CompleteMultipartUploadInput, ...func(*s3.Options)) (*s3.CompleteMultipartUploadOutput, error)
	AbortMultipartUpload(context.Context, *s3.AbortMultipartUploadInput, ...func(*s3.Options)) (*s3.AbortMultipartUploadOutput, error)
}

// Client works on one bucket. It is safe for concurrent use.
type Client struct {
	name     string
	cfg      Config
	api      api
	service  *service
	region   atomic.Pointer[string] // found out from the server; nil: as configured
	requests counters
	pace     *pace
	turns    turns
	expect   expectation
	closed   atomic.Bool
	release  func() // closes idle connections
}

// Name is the name of the bucket.
func (c *Client) Name() string { return c.name }

// Requests counts the HTTP requests so far by S3 operation, retries included.
func (c *Client) Requests() map[string]int64 { return c.requests.snapshot() }

// Close lets go of idle connections. Operations fail with ErrClosed afterwards.
func (c *Client) Close() {
	if !c.closed.Swap(true) {
		c.release()
	}
}

// Ping asks whether the bucket is there and may be used. It lists one key,
// because only an answer with a body tells a wrong secret from a missing
// permission. Who may not list, as the writer of a drop box, is asked again
// with a HEAD, which any permission for the bucket's objects can answer.
func (c *Client) Ping(ctx context.Context) error {
	var err error
	for _, err = range c.List(ctx, Range{Prefix: c.cfg.Prefix, Most: 1}) {
	}
	var refused *OpError
	if errors.As(err, &refused) && refused.Kind == ErrAccessDenied && c.exists(ctx) {
		return nil
	}
	return err
}

// exists asks for the bucket alone.
func (c *Client) exists(ctx context.Context) bool {
	return nil == c.call(ctx, "head", "", func(ctx context.Context, opts ...func(*s3.Options)) error {
		_, err := c.api.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &c.name}, opts...)
		return err
	})
}

// Create makes the bucket. A bucket that this account owns already is no error.
func (c *Client) Create(ctx context.Context) error {
	err := c.call(ctx, "create bucket", "", func(ctx context.Context, opts ...func(*s3.Options)) error {
		_, err := c.api.CreateBucket(ctx, &s3.CreateBucketInput{
			Bucket:                    &c.name,
			CreateBucketConfiguration: locationConstraint(c.cfg.Region),
		}, opts...)
		return err
	})
	var failed *OpError
	if errors.As(err, &failed) && failed.Code == "BucketAlreadyOwnedByYou" {
		return nil
	}
	return err
}

// call runs one operation of the SDK. It translates the error, and when the
// server names another region it goes on there, once for the life of the client.
func (c *Client) call(ctx context.Context, op, key string, run func(context.Context, ...func(*s3.Options)) error) error {
	if c.closed.Load() {
		return &OpError{Op: op, Bucket: c.name, Key: key, Kind: ErrClosed}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, _ = withAttempts(ctx)
	err := run(ctx, c.regional(), c.customerKey(key))
	if c.goesOn(ctx, err) {
		err = run(ctx, c.regional(), c.customerKey(key))
	}
	if isDial(err) && ctx.Err() != nil {
		return ctx.Err()
	}
	return c.translate(op, key, err)
}

func (c *Client) String() string { return fmt.Sprintf("bucket %q", c.name) }

// Format keeps the configuration, and the secrets in it, out of every verb.
func (c *Client) Format(f fmt.State, _ rune) { fmt.Fprint(f, c.String()) }
