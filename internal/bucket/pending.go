package bucket

import (
	"context"
	"errors"
	"iter"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

type pendingAPI interface {
	ListMultipartUploads(context.Context, *s3.ListMultipartUploadsInput, ...func(*s3.Options)) (*s3.ListMultipartUploadsOutput, error)
}

// Pending is a multipart upload that was begun and neither completed nor
// aborted. Its parts are billed and show in no listing of objects.
type Pending struct {
	Key, ID string
	Begun   time.Time
}

// Pending lists the uploads whose keys begin with prefix.
func (c *Client) Pending(ctx context.Context, prefix string) iter.Seq2[Pending, error] {
	return func(yield func(Pending, error) bool) {
		in := &s3.ListMultipartUploadsInput{Bucket: &c.name, EncodingType: types.EncodingTypeUrl}
		if prefix != "" {
			in.Prefix = &prefix
		}
		for {
			page, err := c.pendingPage(ctx, in)
			if err != nil {
				yield(Pending{}, err)
				return
			}
			for _, u := range page.Uploads {
				key, err := decodeKey(page.EncodingType, aws.ToString(u.Key))
				if err != nil {
					yield(Pending{}, err)
					return
				}
				if !yield(Pending{Key: key, ID: aws.ToString(u.UploadId), Begun: aws.ToTime(u.Initiated)}, nil) {
					return
				}
			}
			if !aws.ToBool(page.IsTruncated) {
				return
			}
			if err := c.nextPending(in, page); err != nil {
				yield(Pending{}, err)
				return
			}
		}
	}
}

func (c *Client) pendingPage(ctx context.Context, in *s3.ListMultipartUploadsInput) (page *s3.ListMultipartUploadsOutput, err error) {
	err = c.call(ctx, "list uploads", aws.ToString(in.Prefix), func(ctx context.Context, opts ...func(*s3.Options)) (err error) {
		page, err = c.api.ListMultipartUploads(ctx, in, opts...)
		return err
	})
	if err == nil {
		err = ctx.Err()
	}
	return page, err
}

// nextPending moves to the next page, which must be another one.
func (c *Client) nextPending(in *s3.ListMultipartUploadsInput, page *s3.ListMultipartUploadsOutput) error {
	key, err := decodeKey(page.EncodingType, aws.ToString(page.NextKeyMarker))
	if err != nil {
		return err
	}
	id := page.NextUploadIdMarker
	if key == "" || key == aws.ToString(in.KeyMarker) && aws.ToString(id) == aws.ToString(in.UploadIdMarker) {
		return &OpError{Op: "list uploads", Bucket: c.name, Kind: ErrListing, Err: errors.New("page does not advance")}
	}
	in.KeyMarker, in.UploadIdMarker = &key, id
	return nil
}

func decodeKey(encoding types.EncodingType, key string) (string, error) {
	if encoding != types.EncodingTypeUrl {
		return key, nil
	}
	return url.QueryUnescape(key)
}

// Abort throws the parts of an upload away. One that is gone is no error.
func (c *Client) Abort(ctx context.Context, p Pending) error {
	return (&upload{client: c, key: p.Key, id: p.ID}).abort(ctx)
}
