package conformance

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/s3kloset/s3kloset/internal/s3test/sigv4"
)

// request is one request to the row's bucket. Its methods return changed copies. In its
// query, headers and body, {name} stands for a kept variable.
type request struct {
	method string
	bucket string // when it is not the row's
	key    string // raw bytes; empty for the bucket itself
	query  []parameter
	header []parameter
	body   string

	md5           bool // Content-MD5 is sent
	unknownLength bool // sent with Transfer-Encoding: chunked

	auth authentication
}

// parameter is a name with its value; values are escaped when they are sent.
type parameter struct{ name, value string }

// authentication is how a request departs from being signed correctly.
type authentication struct {
	anonymous bool
	accessKey string // when it is not the target's
	secretKey string
	token     string
	region    string
	skew      time.Duration // the signer's clock against ours
	presigned time.Duration // when positive, the signature is in the query
	payload   string        // what x-amz-content-sha256 says, when not the body's hash
	chunks    *chunking     // when the body is aws-chunked
}

func put(key, body string) request { return request{method: http.MethodPut, key: key, body: body} }
func get(key string) request       { return request{method: http.MethodGet, key: key} }
func head(key string) request      { return request{method: http.MethodHead, key: key} }
func remove(key string) request    { return request{method: http.MethodDelete, key: key} }

// post asks for a sub-resource, such as "uploads".
func post(key, query, body string) request {
	return request{method: http.MethodPost, key: key, body: body}.ask(query, "")
}

// list is ListObjectsV2 with encoding-type=url: without it some keys cannot be listed.
func list(pairs ...string) request {
	r := get("").ask("list-type", "2").ask("encoding-type", "url")
	for pair := range slices.Chunk(pairs, 2) {
		r = r.ask(pair[0], pair[1])
	}
	return r
}

// copyFrom is CopyObject of a key of the same bucket.
func copyFrom(source, key string) request {
	return put(key, "").with("x-amz-copy-source", "/{bucket}/"+sigv4.Escape(source, true))
}

// with adds a header.
func (r request) with(name, value string) request {
	r.header = append(slices.Clone(r.header), parameter{name, value})
	return r
}

// ask adds a query parameter.
func (r request) ask(name, value string) request {
	r.query = append(slices.Clone(r.query), parameter{name, value})
	return r
}

// in sends the request to another bucket, or to the service as a whole: in("/").
func (r request) in(bucket string) request {
	r.bucket = bucket
	return r
}

// unmeasured sends the body without telling its length.
func (r request) unmeasured() request {
	r.unknownLength = true
	return r
}

// withMD5 adds the Content-MD5 that some operations demand.
func (r request) withMD5() request {
	r.md5 = true
	return r
}

// String shows a request in the messages of failures.
func (r request) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q", r.method, r.key)
	for i, p := range r.query {
		fmt.Fprintf(&b, "%c%s=%s", "?&"[min(i, 1)], p.name, p.value)
	}
	for _, h := range r.header {
		fmt.Fprintf(&b, " %s: %q", h.name, h.value)
	}
	return b.String()
}

func (r request) unsigned() request {
	r.auth.anonymous = true
	return r
}

func (r request) signedBy(accessKey, secretKey string) request {
	r.auth.accessKey, r.auth.secretKey = accessKey, secretKey
	return r
}

func (r request) withToken(token string) request {
	r.auth.token = token
	return r
}

func (r request) signedFor(region string) request {
	r.auth.region = region
	return r
}

// skewed signs with a clock that is off by d.
func (r request) skewed(d time.Duration) request {
	r.auth.skew = d
	return r
}

// presigned puts the signature into the query, valid for d.
func (r request) presigned(d time.Duration) request {
	r.auth.presigned = d
	return r
}

// payload sets x-amz-content-sha256 to something else than the hash of the body.
func (r request) payload(hash string) request {
	r.auth.payload = hash
	return r
}

// chunked sends the body as aws-chunked.
func (r request) chunked(c chunking) request {
	r.auth.chunks = &c
	return r
}
