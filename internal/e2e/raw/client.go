package raw

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/s3kloset/s3kloset/internal/s3test/sigv4"
)

// Client sends signed requests to one server, each exactly once. It is safe for
// concurrent use.
type Client struct {
	Endpoint  string // http://HOST:PORT
	Region    string
	AccessKey string
	SecretKey string
	HTTP      *http.Client
}

// Request is one request. The key goes over the wire with every byte as it is.
type Request struct {
	Method string
	Bucket string
	Key    string // empty for the bucket itself
	Query  url.Values
	Header http.Header
	Body   []byte
}

// Answer is an answer that has been read to its end.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

// Error is an answer of 300 and more.
type Error struct {
	Request Request
	Status  int
	Code    string // of the error document; empty when there is none
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s %q/%q?%s: %d %s", e.Request.Method, e.Request.Bucket, e.Request.Key,
		e.Request.Query.Encode(), e.Status, e.Code)
}

// Do sends a request. An answer of 300 and more is an *Error.
func (c *Client) Do(ctx context.Context, r Request) (*Answer, error) {
	req, err := c.request(ctx, r)
	if err != nil {
		return nil, err
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("%s %q: read answer: %w", r.Method, r.Key, err)
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		var document struct{ Code string }
		_ = xml.Unmarshal(body, &document) // a HEAD has none
		return nil, &Error{r, resp.StatusCode, document.Code}
	}
	return &Answer{resp.StatusCode, resp.Header, body}, nil
}

func (c *Client) request(ctx context.Context, r Request) (*http.Request, error) {
	address := c.Endpoint + "/" + r.Bucket
	if r.Key != "" {
		address += "/" + sigv4.Escape(r.Key, true)
	}
	if len(r.Query) > 0 {
		// A plus stands for a space in forms only, and is signed as what it is.
		address += "?" + strings.ReplaceAll(r.Query.Encode(), "+", "%20")
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, address, bytes.NewReader(r.Body))
	if err != nil {
		return nil, err
	}
	for name, values := range r.Header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	// Transparent decompression would hide what the server has.
	req.Header.Set("Accept-Encoding", "identity")
	sum := sha256.Sum256(r.Body)
	credentials := sigv4.Credentials{AccessKey: c.AccessKey, SecretKey: c.SecretKey}
	sigv4.Sign(req, credentials, c.Region, hex.EncodeToString(sum[:]), time.Now())
	return req, nil
}
