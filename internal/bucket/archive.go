package bucket

import (
	"context"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// ArchiveState tells whether the bytes of an object can be read.
type ArchiveState int

const (
	// Readable is every object outside of the archive classes.
	Readable ArchiveState = iota
	// Archived is an object that must be thawed before it is read.
	Archived
	// Thawing is one for which that has been asked.
	Thawing
	// Thawed is one that can be read for some days.
	Thawed
)

// InArchive tells the storage classes whose objects cannot be read at once.
// INTELLIGENT_TIERING is not among them: its archive tiers show only in the
// headers of each object.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-class-intro.html
func InArchive(class string) bool { return class == "GLACIER" || class == "DEEP_ARCHIVE" }

// Archive reads the state from the headers of an answer.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
func (a Attributes) Archive() ArchiveState {
	if !InArchive(a.StorageClass) && a.ArchiveStatus == "" {
		return Readable
	}
	switch {
	case strings.Contains(a.Restore, `ongoing-request="true"`):
		return Thawing
	case strings.Contains(a.Restore, `ongoing-request="false"`):
		return Thawed
	}
	return Archived
}

// Thaw asks for a readable copy of an archived object, for a number of days.
// It returns when the request is taken, which is hours before the copy is
// there. Asking for one that is under way, or there, is no error.
func (c *Client) Thaw(ctx context.Context, key string, a Attributes, tier string, days int) error {
	in := &s3.RestoreObjectInput{Bucket: &c.name, Key: &key, RestoreRequest: &types.RestoreRequest{
		GlacierJobParameters: &types.GlacierJobParameters{Tier: types.Tier(tier)},
	}}
	if a.VersionID != "" {
		in.VersionId = &a.VersionID
	}
	if a.ArchiveStatus == "" {
		// INTELLIGENT_TIERING moves the object itself, and takes no days.
		in.RestoreRequest.Days = aws.Int32(int32(days))
	}
	err := c.call(ctx, "thaw", key, func(ctx context.Context, opts ...func(*s3.Options)) error {
		_, err := c.api.RestoreObject(ctx, in, opts...)
		return err
	})
	var failed *OpError
	if errors.As(err, &failed) && failed.Code == "RestoreAlreadyInProgress" {
		return nil
	}
	return err
}
