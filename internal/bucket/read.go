package bucket

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Pin names the one state of an object that is wanted. The zero value takes
// whatever is there.
type Pin struct {
	ETag      string // without quotes
	VersionID string
	Size      int64 // checked when Sized
	Sized     bool

	// kept is the version of this state, read by name once another one has
	// taken its place: naming it takes a permission of its own.
	kept string
}

// pinned is the state that was answered, as what is asked next must have it.
func (p Pin) pinned(a Attributes) Pin {
	return Pin{ETag: cmp.Or(p.ETag, a.ETag), VersionID: p.VersionID, kept: a.VersionID}
}

// apply asks for the pinned state. A version alone does not name one: what has
// the version "null" is overwritten.
func (p Pin) apply(versionID, ifMatch **string) {
	if p.VersionID != "" {
		*versionID = &p.VersionID
	}
	if p.ETag != "" {
		*ifMatch = aws.String(quoteETag(p.ETag))
	}
}

// Object is an object that is being read. Body must be closed.
type Object struct {
	Attributes
	Body io.ReadCloser
}

// readTries bounds how often a read is resumed without a byte of progress in
// between, and how often an answer of the wrong length is asked for again.
const readTries = 5

// Get opens an object for reading. The error of a missing, changed or archived
// object comes at once, not with the first Read.
//
// The body resumes at its offset after a broken or short connection, always
// with the ETag of the first answer, so that bytes of two states never mix. It
// ends with io.EOF only when all bytes came and, where the object has a checksum
// that can be computed, they match it; otherwise with ErrBody, ErrChecksum or
// ErrChanged.
func (c *Client) Get(ctx context.Context, key string, pin Pin) (*Object, error) {
	return insist(ctx, func() (*Object, error) { return c.open(ctx, key, pin) })
}

// insist opens an object again when the answer had the wrong length.
func insist(ctx context.Context, open func() (*Object, error)) (object *Object, err error) {
	for try := range readTries {
		if try > 0 {
			if err := sleep(ctx, backoff(try)); err != nil {
				return nil, err
			}
		}
		if object, err = open(); err == nil || !errors.Is(err, ErrBody) {
			return object, err
		}
	}
	return nil, err
}

func (c *Client) open(ctx context.Context, key string, pin Pin) (*Object, error) {
	attributes, body, err := c.fetch(ctx, key, pin, 0, -1)
	if err != nil {
		return nil, err
	}
	if pin.Sized && attributes.Size >= 0 && attributes.Size != pin.Size {
		body.Close()
		return nil, &OpError{Op: "get", Bucket: c.name, Key: key, Kind: ErrBody,
			Err: fmt.Errorf("answer announces %d bytes of %d", attributes.Size, pin.Size)}
	}
	size := attributes.Size
	if size < 0 && pin.Sized {
		size = pin.Size
	}
	r := &reader{
		ctx: ctx, client: c, key: key, size: size, body: body,
		pin: pin.pinned(attributes),
	}
	if sum, ok := cheapest(attributes.Checksums); ok {
		r.want, r.hash = sum, newHash(sum.Algorithm)
	}
	return &Object{Attributes: attributes, Body: r}, nil
}

// GetRange reads length bytes from offset, or to the end of the object when
// length is negative. Fewer bytes than asked for come only at the end of the
// object. The body resumes like that of Get; a part has no checksum.
func (c *Client) GetRange(ctx context.Context, key string, pin Pin, offset, length int64) (*Object, error) {
	if length == 0 || offset < 0 {
		return nil, &OpError{Op: "get", Bucket: c.name, Key: key, Kind: ErrInvalidRange,
			Err: fmt.Errorf("%d bytes from %d", length, offset)}
	}
	return insist(ctx, func() (*Object, error) {
		attributes, body, err := c.fetch(ctx, key, pin, offset, length)
		if err != nil {
			return nil, err
		}
		r := &reader{
			ctx: ctx, client: c, key: key, start: offset, size: attributes.Size, body: body,
			pin: pin.pinned(attributes),
		}
		return &Object{Attributes: attributes, Body: r}, nil
	})
}

// Head asks for the attributes alone.
func (c *Client) Head(ctx context.Context, key string, pin Pin) (Attributes, error) {
	in := &s3.HeadObjectInput{Bucket: &c.name, Key: &key}
	pin.apply(&in.VersionId, &in.IfMatch)
	var attributes Attributes
	err := c.call(ctx, "head", key, func(ctx context.Context, opts ...func(*s3.Options)) error {
		out, err := c.api.HeadObject(ctx, in, append(opts, withHeader(askChecksum))...)
		if err != nil {
			return err
		}
		answer, err := answered(out.ResultMetadata)
		if err == nil {
			attributes = attributesOf(answer.Header)
			err = c.differs("head", key, pin, attributes.ETag)
		}
		return err
	})
	return attributes, changed(err, pin)
}

// askChecksum makes S3 tell the checksums. The SDK's own switch for it would
// also verify them, which our reader does, across resumed connections too.
var askChecksum = http.Header{"X-Amz-Checksum-Mode": {"ENABLED"}}

// fetch makes one GET, whole (offset 0, length -1) or ranged, and checks that
// the answer is what was asked for. The Size of the attributes is that of the
// body.
func (c *Client) fetch(ctx context.Context, key string, pin Pin, offset, length int64) (Attributes, io.ReadCloser, error) {
	attributes, body, err := c.fetchOnce(ctx, key, pin, offset, length)
	if pin.kept != "" && pin.VersionID == "" && (errors.Is(err, ErrChanged) || errors.Is(err, ErrNotFound)) {
		pin.VersionID = pin.kept
		if attributes, body, kept := c.fetchOnce(ctx, key, pin, offset, length); kept == nil {
			return attributes, body, nil
		}
	}
	return attributes, body, err
}

func (c *Client) fetchOnce(ctx context.Context, key string, pin Pin, offset, length int64) (Attributes, io.ReadCloser, error) {
	in := &s3.GetObjectInput{Bucket: &c.name, Key: &key}
	pin.apply(&in.VersionId, &in.IfMatch)
	wanted := span{offset, length}
	if !wanted.whole() {
		in.Range = aws.String(wanted.header())
	}
	var (
		attributes Attributes
		body       io.Reader
		conn       io.Closer
	)
	err := c.call(ctx, "get", key, func(ctx context.Context, opts ...func(*s3.Options)) error {
		out, err := c.api.GetObject(ctx, in, append(opts, withHeader(askChecksum))...)
		if err != nil {
			return err
		}
		answer, err := answered(out.ResultMetadata)
		if err == nil {
			attributes, conn = attributesOf(answer.Header), out.Body
			body, err = c.accept(key, pin, wanted, answer, &attributes, out.Body)
		}
		if err != nil {
			out.Body.Close()
		}
		return err
	})
	if err != nil {
		return Attributes{}, nil, changed(err, pin)
	}
	return attributes, &stream{c.pace.meter(ctx, body), conn}, nil
}

// stream is a body, and the connection that it comes from.
type stream struct {
	io.Reader
	io.Closer
}

// accept refuses the bytes of another state or of another place.
func (c *Client) accept(key string, pin Pin, wanted span, answer *smithyhttp.Response, a *Attributes, body io.Reader) (io.Reader, error) {
	refuse := func(kind error, format string, args ...any) error {
		return &OpError{Op: "get", Bucket: c.name, Key: key, Kind: kind, Err: fmt.Errorf(format, args...)}
	}
	if err := c.differs("get", key, pin, a.ETag); err != nil {
		return nil, err
	}
	if wanted.whole() {
		return body, nil
	}
	size, sent := wanted.sentIn(answer)
	switch {
	case sent:
		a.Size, a.Checksums = size, nil
		return body, nil
	case answer.StatusCode == http.StatusPartialContent:
		return nil, refuse(ErrInvalidRange, "answer has the range %q, wanted is %s", answer.Header.Get("Content-Range"), wanted.header())
	case a.Size >= 0 && wanted.offset >= a.Size:
		return nil, refuse(ErrInvalidRange, "offset %d of %d bytes", wanted.offset, a.Size)
	}
	// The range was ignored: the whole object comes.
	a.Checksums = nil
	if a.Size >= 0 {
		a.Size = wanted.within(a.Size)
	}
	if _, err := io.CopyN(io.Discard, body, wanted.offset); err != nil {
		return nil, refuse(ErrBody, "body ended before offset %d: %w", wanted.offset, err)
	}
	if wanted.length >= 0 {
		body = io.LimitReader(body, wanted.length)
	}
	return body, nil
}

// differs refuses the answer of a server that ignored the pin.
func (c *Client) differs(op, key string, pin Pin, etag string) error {
	refuse := func(kind error, format string, args ...any) error {
		return &OpError{Op: op, Bucket: c.name, Key: key, Kind: kind, Err: fmt.Errorf(format, args...)}
	}
	switch {
	case pin.ETag == "" || etag == pin.ETag:
		return nil
	case etag == "":
		// Not S3 answers, but something between: a login page, say.
		return refuse(ErrBody, "answer has no ETag")
	}
	return refuse(ErrChanged, "ETag is %q, not %q", etag, pin.ETag)
}

// answered is the raw answer behind an output of the SDK.
func answered(metadata middleware.Metadata) (*smithyhttp.Response, error) {
	answer, ok := awsmiddleware.GetRawResponse(metadata).(*smithyhttp.Response)
	if !ok || answer.Response == nil {
		return nil, errors.New("answer without headers")
	}
	return answer, nil
}

// changed turns the refusal of an If-Match into ErrChanged. S3 answers 412; a
// server that answers 404 to a pinned version speaks of an object that is gone.
func changed(err error, pin Pin) error {
	var failed *OpError
	if pin.ETag != "" && errors.As(err, &failed) && failed.Status == http.StatusPreconditionFailed {
		failed.Kind = ErrChanged
	}
	return err
}

func quoteETag(etag string) string { return `"` + etag + `"` }
