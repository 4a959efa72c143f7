package bucket

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// PartLayout tells how many parts a multipart object has and how large the
// first one is. An object that was not uploaded in parts has none.
func (c *Client) PartLayout(ctx context.Context, key string, pin Pin) (count int, size int64, err error) {
	return c.headPart(ctx, key, pin, 1)
}

// EvenParts tells whether all parts of an object but the last have the size of
// the first. It asks for each of them, until one differs.
func (c *Client) EvenParts(ctx context.Context, key string, pin Pin, count int, size int64) (bool, error) {
	for number := 2; number < count; number++ {
		_, other, err := c.headPart(ctx, key, pin, number)
		if err != nil || other != size {
			return false, err
		}
	}
	return true, ctx.Err()
}

// headPart asks for one part, counting from 1. The answer says how many there are.
func (c *Client) headPart(ctx context.Context, key string, pin Pin, number int) (count int, size int64, err error) {
	in := &s3.HeadObjectInput{Bucket: &c.name, Key: &key, PartNumber: aws.Int32(int32(number))}
	pin.apply(&in.VersionId, &in.IfMatch)
	err = c.call(ctx, "head part", key, func(ctx context.Context, opts ...func(*s3.Options)) error {
		out, err := c.api.HeadObject(ctx, in, opts...)
		if err != nil {
			return err
		}
		answer, err := answered(out.ResultMetadata)
		if err == nil {
			a := attributesOf(answer.Header)
			count, size = a.PartCount, a.Size
			err = c.differs("head part", key, pin, a.ETag)
		}
		return err
	})
	return count, size, changed(err, pin)
}
