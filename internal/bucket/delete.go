package bucket

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Delete removes an object. An object that is not there is no error.
func (c *Client) Delete(ctx context.Context, key string) error {
	err := c.call(ctx, "delete", key, func(ctx context.Context, opts ...func(*s3.Options)) error {
		_, err := c.api.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &c.name, Key: &key}, opts...)
		return err
	})
	// Some servers answer 404, which S3 does not.
	if errors.Is(err, ErrNotFound) && !errors.Is(err, ErrBucketNotFound) {
		return nil
	}
	return err
}
