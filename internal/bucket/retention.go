package bucket

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

type retentionAPI interface {
	PutObjectRetention(context.Context, *s3.PutObjectRetentionInput, ...func(*s3.Options)) (*s3.PutObjectRetentionOutput, error)
	PutObjectLegalHold(context.Context, *s3.PutObjectLegalHoldInput, ...func(*s3.Options)) (*s3.PutObjectLegalHoldOutput, error)
}

// Retain keeps a version of an object from being deleted or replaced until a
// moment that must not be earlier than the one in force. An empty version is
// the current one.
func (c *Client) Retain(ctx context.Context, key, versionID, mode string, until time.Time) error {
	in := &s3.PutObjectRetentionInput{Bucket: &c.name, Key: &key, Retention: &types.ObjectLockRetention{
		Mode: types.ObjectLockRetentionMode(mode), RetainUntilDate: &until,
	}}
	if versionID != "" {
		in.VersionId = &versionID
	}
	return c.call(ctx, "retain", key, func(ctx context.Context, opts ...func(*s3.Options)) error {
		_, err := c.api.PutObjectRetention(ctx, in, opts...)
		return err
	})
}

// DeleteVersion removes one version of an object for good, where Delete only
// hides a versioned object behind a marker.
func (c *Client) DeleteVersion(ctx context.Context, key, versionID string) error {
	return c.call(ctx, "delete", key, func(ctx context.Context, opts ...func(*s3.Options)) error {
		_, err := c.api.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &c.name, Key: &key, VersionId: &versionID}, opts...)
		return err
	})
}
