package raw

import (
	"context"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
)

// CreateBucket makes a bucket.
func (c *Client) CreateBucket(ctx context.Context, bucket string) error {
	_, err := c.Do(ctx, Request{Method: http.MethodPut, Bucket: bucket})
	return err
}

// Keys lists all keys of a bucket, in the order and as the server gives them.
func (c *Client) Keys(ctx context.Context, bucket string) ([]string, error) {
	var keys []string
	query := url.Values{"list-type": {"2"}, "encoding-type": {"url"}}
	for {
		answer, err := c.Do(ctx, Request{Method: http.MethodGet, Bucket: bucket, Query: query})
		if err != nil {
			return nil, err
		}
		var page struct {
			EncodingType          string
			IsTruncated           bool
			NextContinuationToken string
			Contents              []struct{ Key string }
		}
		if err := xml.Unmarshal(answer.Body, &page); err != nil {
			return nil, fmt.Errorf("list %q: %w", bucket, err)
		}
		for _, entry := range page.Contents {
			key := entry.Key
			if page.EncodingType == "url" {
				if key, err = url.QueryUnescape(key); err != nil {
					return nil, fmt.Errorf("list %q: key %q: %w", bucket, entry.Key, err)
				}
			}
			keys = append(keys, key)
		}
		if !page.IsTruncated {
			return keys, nil
		}
		if page.NextContinuationToken == "" {
			return nil, fmt.Errorf("list %q: a page is cut and has no token", bucket)
		}
		query.Set("continuation-token", page.NextContinuationToken)
	}
}

// Uploads lists the keys of multipart uploads that were begun and neither completed nor
// aborted.
func (c *Client) Uploads(ctx context.Context, bucket string) ([]string, error) {
	answer, err := c.Do(ctx, Request{Method: http.MethodGet, Bucket: bucket, Query: url.Values{"uploads": {""}}})
	if err != nil {
		return nil, err
	}
	var list struct {
		Upload []struct{ Key string }
	}
	if err := xml.Unmarshal(answer.Body, &list); err != nil {
		return nil, fmt.Errorf("list uploads of %q: %w", bucket, err)
	}
	var keys []string
	for _, upload := range list.Upload {
		keys = append(keys, upload.Key)
	}
	return keys, nil
}
