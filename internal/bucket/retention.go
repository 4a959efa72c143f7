package bucket

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

type retentionAPI interface {
	GetObjectRetention(context.Context, *s3.GetObjectRetentionInput, ...func(*s3.Options)) (*s3.GetObjectRetentionOutput, error)
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
	if err := c.findsRetention(ctx, key, in.VersionId); err != nil {
		return err
	}
	return c.call(ctx, "retain", key, func(ctx context.Context, opts ...func(*s3.Options)) error {
		out, err := c.api.PutObjectRetention(ctx, in, opts...)
		if err != nil {
			return err
		}
		return tookPlace(out.ResultMetadata)
	})
}

// findsRetention asks an unknown service for a retention before it is given one:
// one that answers with the object would put it in its place.
func (c *Client) findsRetention(ctx context.Context, key string, version *string) error {
	if !c.service.unknown.Load() || c.service.retention.settled.Load() {
		return nil
	}
	err := c.call(ctx, "get retention", key, func(ctx context.Context, opts ...func(*s3.Options)) error {
		_, err := c.api.GetObjectRetention(ctx, &s3.GetObjectRetentionInput{Bucket: &c.name, Key: &key, VersionId: version}, opts...)
		return err
	})
	if errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if err == nil || isUnlocked(err) {
		c.service.retention.settled.Store(true)
	}
	return nil
}

// DeleteVersion removes one version of an object for good, where Delete only
// hides a versioned object behind a marker.
func (c *Client) DeleteVersion(ctx context.Context, key, versionID string) error {
	return c.call(ctx, "delete", key, func(ctx context.Context, opts ...func(*s3.Options)) error {
		_, err := c.api.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &c.name, Key: &key, VersionId: &versionID}, opts...)
		return err
	})
}
