package bucket

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Tags asks for the tags of an object, or of the pinned version of it. They
// have no ETag: a change of tags alone does not change the object. Tags that
// the server cannot read are errors.ErrUnsupported.
func (c *Client) Tags(ctx context.Context, key string, pin Pin) (map[string]string, error) {
	if c.Quirks().NoTags {
		return nil, nil
	}
	in := &s3.GetObjectTaggingInput{Bucket: &c.name, Key: &key}
	if pin.VersionID != "" {
		in.VersionId = &pin.VersionID
	}
	tags, err := c.tags(ctx, key, in)
	if errors.Is(err, errIllegible) {
		tags, err = c.tags(ctx, key, in) // an answer may have been lost
	}
	if err == nil || errors.Is(err, errIllegible) {
		c.service.tags.settled.Store(true)
	}
	var refused *OpError
	if errors.Is(err, errIllegible) && errors.As(err, &refused) {
		refused.Kind = errors.ErrUnsupported
	}
	return tags, err
}

func (c *Client) tags(ctx context.Context, key string, in *s3.GetObjectTaggingInput) (tags map[string]string, err error) {
	err = c.call(ctx, "get tags", key, func(ctx context.Context, opts ...func(*s3.Options)) error {
		out, err := c.api.GetObjectTagging(ctx, in, opts...)
		if err != nil {
			return err
		}
		tags = make(map[string]string, len(out.TagSet))
		for _, tag := range out.TagSet {
			tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
		}
		return nil
	})
	return tags, err
}

// findsTags asks an unknown service for tags before it is given any: one that
// answers with the object would put them in its place.
func (c *Client) findsTags(ctx context.Context, key, versionID string) error {
	if !c.service.unknown.Load() || c.service.tags.settled.Load() {
		return nil
	}
	_, err := c.Tags(ctx, key, Pin{VersionID: versionID})
	if errors.Is(err, errors.ErrUnsupported) && !errors.Is(err, errIllegible) {
		return err
	}
	return nil
}

func (c *Client) putTags(ctx context.Context, key, versionID string, tags map[string]string) error {
	in := &s3.PutObjectTaggingInput{Bucket: &c.name, Key: &key, Tagging: &types.Tagging{}}
	if versionID != "" {
		in.VersionId = &versionID
	}
	for name, value := range tags {
		in.Tagging.TagSet = append(in.Tagging.TagSet, types.Tag{Key: aws.String(name), Value: aws.String(value)})
	}
	return c.call(ctx, "put tags", key, func(ctx context.Context, opts ...func(*s3.Options)) error {
		out, err := c.api.PutObjectTagging(ctx, in, opts...)
		if err != nil {
			return err
		}
		return tookPlace(out.ResultMetadata)
	})
}
