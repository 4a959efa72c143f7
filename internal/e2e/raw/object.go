package raw

import (
	"context"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Put stores an object with one request. Header holds everything beside the bytes, tags
// included: x-amz-tagging.
func (c *Client) Put(ctx context.Context, bucket, key string, header http.Header, body []byte) error {
	_, err := c.Do(ctx, Request{Method: http.MethodPut, Bucket: bucket, Key: key, Header: header, Body: body})
	return err
}

// PutParts stores an object in parts, one after the other.
func (c *Client) PutParts(ctx context.Context, bucket, key string, header http.Header, parts ...[]byte) error {
	answer, err := c.Do(ctx, Request{Method: http.MethodPost, Bucket: bucket, Key: key, Header: header, Query: url.Values{"uploads": {""}}})
	if err != nil {
		return err
	}
	var begun struct{ UploadId string }
	if err := xml.Unmarshal(answer.Body, &begun); err != nil {
		return fmt.Errorf("begin upload of %q: %w", key, err)
	}
	var complete strings.Builder
	complete.WriteString("<CompleteMultipartUpload>")
	for i, part := range parts {
		number := strconv.Itoa(i + 1)
		answer, err := c.Do(ctx, Request{
			Method: http.MethodPut, Bucket: bucket, Key: key, Body: part,
			Query: url.Values{"partNumber": {number}, "uploadId": {begun.UploadId}},
		})
		if err != nil {
			return err
		}
		fmt.Fprintf(&complete, "<Part><PartNumber>%s</PartNumber><ETag>%s</ETag></Part>", number, answer.Header.Get("ETag"))
	}
	complete.WriteString("</CompleteMultipartUpload>")
	answer, err = c.Do(ctx, Request{
		Method: http.MethodPost, Bucket: bucket, Key: key, Body: []byte(complete.String()),
		Query: url.Values{"uploadId": {begun.UploadId}},
	})
	if err != nil {
		return err
	}
	// The root decides: an answer of 200 may hold an error.
	var completed struct {
		XMLName xml.Name `xml:"CompleteMultipartUploadResult"`
	}
	if err := xml.Unmarshal(answer.Body, &completed); err != nil {
		return fmt.Errorf("complete upload of %q: %.200q: %w", key, answer.Body, err)
	}
	return nil
}

// Get reads an object.
func (c *Client) Get(ctx context.Context, bucket, key string) (*Answer, error) {
	return c.Do(ctx, Request{Method: http.MethodGet, Bucket: bucket, Key: key})
}

// Head asks for the headers of an object, checksums included.
func (c *Client) Head(ctx context.Context, bucket, key string) (http.Header, error) {
	answer, err := c.Do(ctx, Request{
		Method: http.MethodHead, Bucket: bucket, Key: key,
		Header: http.Header{"X-Amz-Checksum-Mode": {"ENABLED"}},
	})
	if err != nil {
		return nil, err
	}
	return answer.Header, nil
}

// Tags returns the tags of an object.
func (c *Client) Tags(ctx context.Context, bucket, key string) (map[string]string, error) {
	answer, err := c.Do(ctx, Request{Method: http.MethodGet, Bucket: bucket, Key: key, Query: url.Values{"tagging": {""}}})
	if err != nil {
		return nil, err
	}
	var document struct {
		TagSet struct {
			Tag []struct{ Key, Value string }
		}
	}
	if err := xml.Unmarshal(answer.Body, &document); err != nil {
		return nil, fmt.Errorf("tags of %q: %w", key, err)
	}
	tags := make(map[string]string)
	for _, tag := range document.TagSet.Tag {
		tags[tag.Key] = tag.Value
	}
	return tags, nil
}

// Delete removes an object.
func (c *Client) Delete(ctx context.Context, bucket, key string) error {
	_, err := c.Do(ctx, Request{Method: http.MethodDelete, Bucket: bucket, Key: key})
	return err
}
