package bucket

import (
	"context"
	"errors"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// decoder undoes the encoding of the keys of a page. S3 writes a plus for a
// space; with a server that writes %20 for it, a plus can only be one.
func (c *Client) decoder(page *s3.ListObjectsV2Output) func(string) (string, error) {
	if page.EncodingType != types.EncodingTypeUrl {
		return plainKey
	}
	if left := *c.service.readings.Load(); len(left) < len(readings) {
		return left[0].decode
	}
	for i := range page.Contents {
		if strings.Contains(aws.ToString(page.Contents[i].Key), "%20") {
			return url.PathUnescape
		}
	}
	return url.QueryUnescape
}

func plainKey(key string) (string, error) { return key, nil }

// reading is a way to read the keys of a page that is said to be encoded.
type reading struct {
	name   string
	decode func(string) (string, error)
}

// readings are the ways that services are known to encode keys; the rows of
// Ceph, DigitalOcean and SeaweedFS name sources.
var readings = []reading{
	{"as S3 does", url.QueryUnescape},
	{"but for the plus", url.PathUnescape},
	{unencoded, plainKey},
}

const unencoded = "not at all"

// readsListing finds out how an unknown service encodes the keys of listings,
// when a page can be read in more than one way, by asking for the same page as
// plain text. It tells whether the page has to be asked for again.
func (c *Client) readsListing(ctx context.Context, in *s3.ListObjectsV2Input, page *s3.ListObjectsV2Output) (again bool) {
	if page.EncodingType != types.EncodingTypeUrl || !c.service.unknown.Load() {
		return false
	}
	if !unanimous(*c.service.readings.Load(), page) {
		c.service.listing.ask(ctx, func() error { return c.compareListings(ctx, in, page) })
	}
	return c.Quirks().NoListEncoding
}

// unanimous tells whether a page has the same keys in whatever way it is read.
func unanimous(ways []reading, page *s3.ListObjectsV2Output) bool {
	return !slices.ContainsFunc(page.Contents, func(o types.Object) bool {
		first, err := ways[0].decode(aws.ToString(o.Key))
		return slices.ContainsFunc(ways, func(way reading) bool {
			key, fails := way.decode(aws.ToString(o.Key))
			return err != nil || fails != nil || key != first
		})
	})
}

// compareListings compares a page with the same one in plain text, and keeps
// the ways of reading that lead from the one to the other. The question stays
// open while more are left that agree on all pages so far. There is no answer
// when the bucket changed meanwhile, or a key does not survive as plain text in
// XML.
func (c *Client) compareListings(ctx context.Context, in *s3.ListObjectsV2Input, page *s3.ListObjectsV2Output) error {
	ways := *c.service.readings.Load()
	if unanimous(ways, page) { // since somebody else asked
		return errOpen
	}
	there, err := c.plainListing(ctx, in)
	if err != nil {
		return err
	}
	left := slices.DeleteFunc(slices.Clone(ways), func(way reading) bool { return !way.leads(page, there) })
	if len(left) == 0 {
		return errors.New("listings do not match")
	}
	c.service.readings.Store(&left)
	if len(left) > 1 {
		return errOpen
	}
	c.cfg.Logger.Debug("found out how keys of listings are encoded", "bucket", c.name, "encoding", left[0].name)
	c.service.learn(func(q *Quirks) { q.NoListEncoding = left[0].name == unencoded })
	return nil
}

// plainAttempts are those at a page in plain text. A server that cannot write one
// of its keys in XML may answer 500 each time (Swift), and the listing waits.
const plainAttempts = 3

// plainListing asks for the keys of a page without any encoding.
func (c *Client) plainListing(ctx context.Context, in *s3.ListObjectsV2Input) (map[string]bool, error) {
	request := *in
	request.EncodingType = ""
	var page *s3.ListObjectsV2Output
	err := c.call(ctx, "list", aws.ToString(in.Prefix), func(ctx context.Context, opts ...func(*s3.Options)) (err error) {
		attemptsOf(ctx).ownsCuts.Store(true)
		few := func(o *s3.Options) { o.Retryer = retry.AddWithMaxAttempts(o.Retryer, plainAttempts) }
		page, err = c.listObjects(ctx, &request, append(opts, few)...)
		return err
	})
	if err != nil {
		return nil, err
	}
	if page.EncodingType != "" {
		return nil, errors.New("encoded without being asked")
	}
	keys := make(map[string]bool, len(page.Contents))
	for i := range page.Contents {
		keys[aws.ToString(page.Contents[i].Key)] = true
	}
	return keys, nil
}

// leads tells whether the keys of a page, read in this way, are those that are
// there.
func (r reading) leads(page *s3.ListObjectsV2Output, there map[string]bool) bool {
	read := make(map[string]bool, len(there))
	for i := range page.Contents {
		key, err := r.decode(aws.ToString(page.Contents[i].Key))
		if err != nil {
			return false
		}
		read[key] = true
	}
	return maps.Equal(read, there)
}
