package bucket

import (
	"bytes"
	"context"
	"encoding/xml"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Region is the region that requests are signed for.
func (c *Client) Region() string {
	if region := c.region.Load(); region != nil {
		return *region
	}
	return c.cfg.Region
}

func (c *Client) regional() func(*s3.Options) {
	region := c.region.Load()
	return func(o *s3.Options) {
		if region != nil {
			o.Region = *region
		}
	}
}

// goesOn tells whether a refused call is worth another run: it was for another
// region, which is signed for from here on, or its keys had expired and there
// are others.
func (c *Client) goesOn(ctx context.Context, refusal error) bool {
	region := otherRegion(refusal)
	if region == "" && namesNothing(refusal) {
		if c.hasOtherKeys(ctx, refusal) {
			return true
		}
		region = c.askForReason(ctx)
		if region == "" {
			return c.hasOtherKeys(ctx, refusal)
		}
	}
	if region == "" || region == c.Region() {
		return false
	}
	c.cfg.Logger.Debug("bucket is in another region", "bucket", c.name, "region", region)
	c.region.Store(&region)
	return true
}

// hasOtherKeys tells whether the keys have changed since a request was signed.
func (c *Client) hasOtherKeys(ctx context.Context, refusal error) bool {
	used := signedWith(refusal)
	if used == "" {
		return false
	}
	keys, err := c.api.Options().Credentials.Retrieve(ctx)
	return err == nil && used != signature(keys.AccessKeyID, keys.SessionToken)
}

// regionHeader is where refusals name the region.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html
const regionHeader = "X-Amz-Bucket-Region"

// otherRegion reads the region from a refusal.
func otherRegion(err error) string {
	response := responseOf(err)
	if response == nil || !refusesRegion(response.StatusCode) {
		return ""
	}
	return response.Header.Get(regionHeader)
}

func refusesRegion(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusTemporaryRedirect, http.StatusBadRequest, http.StatusForbidden:
		return true
	}
	return false
}

// namesNothing tells an answer to a HEAD that could be about the region or about
// keys that have expired: it has no document that says so.
func namesNothing(err error) bool {
	response := responseOf(err)
	return response != nil && response.Request != nil && response.Request.Method == http.MethodHead &&
		(response.StatusCode == http.StatusMovedPermanently || response.StatusCode == http.StatusBadRequest)
}

// askForReason makes a request whose refusal has a document, which the retries
// act on if it is about the keys, and returns the region that it names.
func (c *Client) askForReason(ctx context.Context) string {
	_, err := c.api.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &c.name, Prefix: &c.cfg.Prefix, MaxKeys: aws.Int32(1)})
	return otherRegion(err)
}

// maxRefusal is far more than a document has that refuses a request.
const maxRefusal = 64 << 10

// readRegion copies the region that a refusal names only in its document to the
// header, where it survives the SDK.
func readRegion(stack *middleware.Stack) error {
	return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("s3klosetRegion",
		func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
			out, metadata, err := next.HandleDeserialize(ctx, in)
			if response, ok := out.RawResponse.(*smithyhttp.Response); ok && err == nil &&
				refusesRegion(response.StatusCode) && response.Header.Get(regionHeader) == "" {
				copyRegion(response.Response)
			}
			return out, metadata, err
		}), middleware.After)
}

func copyRegion(response *http.Response) {
	read, err := io.ReadAll(io.LimitReader(response.Body, maxRefusal))
	rest := io.Reader(response.Body)
	if err != nil {
		rest = failingReader{err}
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(read), rest), response.Body}
	var refusal struct{ Code, Region string }
	if xml.Unmarshal(read, &refusal) == nil && kindOfCode[refusal.Code] == ErrWrongRegion && refusal.Region != "" {
		response.Header.Set(regionHeader, refusal.Region)
	}
}

// failingReader goes on with the error that a body broke off with.
type failingReader struct{ err error }

func (r failingReader) Read([]byte) (int, error) { return 0, r.err }
