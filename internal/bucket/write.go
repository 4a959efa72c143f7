package bucket

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Write says what to store beside the bytes.
type Write struct {
	Attributes                   // headers; Size, ETag and the like are not looked at
	Tags       map[string]string // at most 10

	IfNoneMatch bool   // ErrAlreadyExists when there is an object
	IfMatch     string // ErrChanged unless the object has this ETag

	// Expect is a checksum that the bytes must have. It travels with them, so
	// that the server verifies it too, and the object gets it; with parts,
	// which have checksums of their own, it is compared before they become an
	// object. A composite one is looked at only with InParts, otherwise it is
	// the algorithm that the parts get.
	Expect Checksum

	// ClassFallback stores an object in the default class of the bucket when
	// the server refuses its StorageClass.
	ClassFallback bool

	// TagFallback stores an object without its tags where the service has none.
	TagFallback bool

	// InParts uploads in parts also what fits into one, since that shows in
	// the ETag.
	InParts bool

	// Guards says that IfNoneMatch or IfMatch guards what somebody else may have
	// written: an unknown service is then asked first whether it looks at them.
	Guards bool

	// ConditionFallback stores an object without IfNoneMatch and IfMatch where
	// the service has no conditions, and so over whatever is there.
	ConditionFallback bool

	PartSize int64   // of a multipart upload; 0 is DefaultPartSize
	Parallel int     // parts at a time; 0 is 1
	Memory   *Memory // budget of the part buffers; nil is none

	maxParts int32 // MaxParts; tests lower it
}

// Written is what the server says of a stored object.
type Written struct {
	ETag      string
	VersionID string
	Size      int64
	Parts     int // 0 for a single PUT
	// OpaqueETag tells that the ETag is not made of MD5s.
	OpaqueETag bool
	// ClassRefused is the storage class that the server did not take.
	ClassRefused string
	// TagsRefused tells that the object had to do without its tags.
	TagsRefused bool
	// ConditionRefused tells that no condition was looked at.
	ConditionRefused bool
}

// Limits of S3.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
const (
	MinPartSize   = 5 << 20
	MaxParts      = 10_000
	MaxSinglePut  = 5 << 30
	MaxObjectSize = 5 << 40
)

// DefaultPartSize balances memory against the number of requests.
const DefaultPartSize = 8 << 20

// maxTagHeader is how long the header with the tags may be: S3 takes 8 KB of
// headers in all. Longer tags go in a request of their own after the object.
// https://docs.aws.amazon.com/AmazonS3/latest/API/RESTCommonRequestHeaders.html
const maxTagHeader = 4 << 10

// Put stores body with one request, and repeats it as often as needed: a body
// in memory can be sent again. The answer is checked against the bytes.
func (c *Client) Put(ctx context.Context, key string, body []byte, w Write) (Written, error) {
	w, err := c.look(ctx, key, w)
	if err != nil {
		return Written{}, err
	}
	less := w.firstTry(c.Quirks())
	for {
		written, err := c.put(ctx, key, body, less)
		next, again := less.without(err)
		if !again {
			return written.conceding(w, less), err
		}
		less = next
	}
}

// expectsParts tells whether Expect is over the checksums of these parts.
func (w Write) expectsParts() bool {
	return w.InParts && w.Expect.Composite && w.Expect.Value != ""
}

// firstTry leaves out what the service is known not to have.
func (w Write) firstTry(q Quirks) Write {
	if q.NoTags && w.TagFallback {
		w.Tags = nil
	}
	return w
}

// without leaves out what the server refused, where that is allowed.
func (w Write) without(err error) (less Write, again bool) {
	switch {
	case w.ClassFallback && w.StorageClass != "" && mayRefuseClass(err):
		w.StorageClass = ""
	case w.ConditionFallback && w.conditional() && errors.Is(err, errors.ErrUnsupported):
		w.IfNoneMatch, w.IfMatch = false, ""
	case w.TagFallback && len(w.Tags) > 0 && errors.Is(err, errors.ErrUnsupported):
		w.Tags = nil
	default:
		return w, false
	}
	return w, true
}

// mayRefuseClass tells refusals that are, or can be, about a storage class: Ceph
// says of one that it does not have that an argument is invalid, and not which.
func mayRefuseClass(err error) bool {
	var refused *OpError
	return errors.Is(err, ErrStorageClass) || errors.As(err, &refused) && refused.Code == "InvalidArgument"
}

// conditional tells whether the write depends on what is there.
func (w Write) conditional() bool { return w.IfNoneMatch || w.IfMatch != "" }

// conceding notes what was asked for and left out.
func (written Written) conceding(asked, less Write) Written {
	if asked.StorageClass != less.StorageClass {
		written.ClassRefused = asked.StorageClass
	}
	written.TagsRefused = written.TagsRefused || len(asked.Tags) > len(less.Tags)
	written.ConditionRefused = asked.conditional() && !less.conditional()
	return written
}

func (c *Client) put(ctx context.Context, key string, body []byte, w Write) (Written, error) {
	sum, err := c.checksumFor(key, body, w.Expect)
	if err != nil {
		return Written{}, err
	}
	header, lateTags := w.headers()
	in := &s3.PutObjectInput{Bucket: &c.name, Key: &key, ContentLength: aws.Int64(int64(len(body)))}
	w.conditions(&in.IfNoneMatch, &in.IfMatch)
	if err := c.pace.spend(ctx, len(body)); err != nil {
		return Written{}, err
	}
	var answer http.Header
	var tried int32
	err = c.withChecksums(func(with bool) error {
		if !with {
			sum = Checksum{}
		}
		return c.call(ctx, "put", key, func(ctx context.Context, opts ...func(*s3.Options)) error {
			in.Body = bytes.NewReader(body)
			out, err := c.api.PutObject(ctx, in, append(opts, withHeader(header), withSum(sum))...)
			tried = attemptsOf(ctx).count.Load()
			if err != nil {
				return err
			}
			raw, err := answered(out.ResultMetadata)
			if err == nil {
				answer = raw.Header
			}
			return err
		})
	})
	written := Written{ETag: trimETag(answer.Get("Etag")), VersionID: answer.Get("X-Amz-Version-Id"), Size: int64(len(body)),
		OpaqueETag: c.opaqueETags(answer)}
	if w.IfNoneMatch && tried > 1 && errors.Is(err, ErrAlreadyExists) {
		// The answer to our own first attempt may have been lost.
		written, err = c.oursAlready(ctx, key, body, err)
	} else if err == nil {
		err = c.checkStored(key, answer, sum, body)
		if errors.Is(err, errNotMD5) && c.etagsLie(ctx, key, Pin{ETag: written.ETag, VersionID: written.VersionID}, body) {
			written.OpaqueETag, err = true, nil
		}
	}
	if err != nil {
		return Written{}, changed(err, Pin{ETag: w.IfMatch})
	}
	err = c.tagLate(ctx, key, &written, w, lateTags)
	return written, err
}

// tagLate gives an object that is there the tags that its headers had no room for.
func (c *Client) tagLate(ctx context.Context, key string, written *Written, w Write, tags map[string]string) error {
	if len(tags) == 0 {
		return nil
	}
	err := c.findsTags(ctx, key, written.VersionID)
	if err == nil {
		err = c.putTags(ctx, key, written.VersionID, tags)
	}
	if w.TagFallback && errors.Is(err, errors.ErrUnsupported) {
		written.TagsRefused, err = true, nil
	}
	return err
}

// headers are those of the request, and the tags that do not fit into them.
func (w Write) headers() (http.Header, map[string]string) {
	if len(encodeTags(w.Tags)) > maxTagHeader {
		return w.Attributes.header(nil), w.Tags
	}
	return w.Attributes.header(w.Tags), nil
}

func (w Write) conditions(ifNoneMatch, ifMatch **string) {
	if w.IfNoneMatch {
		*ifNoneMatch = aws.String("*")
	}
	if w.IfMatch != "" {
		*ifMatch = aws.String(quoteETag(w.IfMatch))
	}
}

// checksumFor computes what travels with the bytes, and refuses bytes that
// are not the expected ones.
func (c *Client) checksumFor(key string, body []byte, expect Checksum) (Checksum, error) {
	sum := Checksum{Algorithm: defaultAlgorithm}
	if expect.Value != "" && expect.Computable() {
		sum.Algorithm = expect.Algorithm
	} else {
		expect = Checksum{}
		if c.noChecksums() {
			return Checksum{}, nil
		}
	}
	sum.Value = sumOf(sum.Algorithm, body)
	if expect.Value != "" && expect.Value != sum.Value {
		return Checksum{}, &OpError{Op: "put", Bucket: c.name, Key: key, Kind: ErrChecksum,
			Err: fmt.Errorf("%s of the bytes is %s, expected is %s", sum.Algorithm, sum.Value, expect.Value)}
	}
	if c.noChecksums() {
		return Checksum{}, nil
	}
	return sum, nil
}

// checkStored compares what the server says it stored with what was sent: by
// the checksum where it repeats it, else by the ETag where that is an MD5.
func (c *Client) checkStored(key string, answer http.Header, sum Checksum, body []byte) error {
	etag := trimETag(answer.Get("Etag"))
	if sum.Value != "" {
		if echo := answer.Get(checksumHeader(sum.Algorithm)); echo != "" {
			if echo == sum.Value {
				return nil
			}
			return &OpError{Op: "put", Bucket: c.name, Key: key, Kind: ErrChecksum,
				Err: fmt.Errorf("server stored bytes with %s %s, sent were %s", sum.Algorithm, echo, sum.Value)}
		}
	}
	if c.opaqueETags(answer) {
		return nil
	}
	if same, known := sameMD5(etag, body); known && !same {
		return &OpError{Op: "put", Bucket: c.name, Key: key, Kind: ErrChecksum,
			Err: fmt.Errorf("server stored bytes with ETag %q, %w", etag, errNotMD5)}
	}
	return nil
}

var errNotMD5 = errors.New("which is not their MD5")

// opaqueETags tells answers in which an ETag is no MD5.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
func (c *Client) opaqueETags(answer http.Header) bool {
	return c.OpaqueETags(answer.Get("X-Amz-Server-Side-Encryption"))
}

// OpaqueETags tells whether the ETags of objects in an encryption mode are no
// MD5s.
func (c *Client) OpaqueETags(sse string) bool {
	return c.Quirks().OpaqueETags || c.cfg.encrypts() || (sse != "" && sse != "AES256")
}

// oursAlready decides after a refused conditional write whether the object
// that is there is the one that we sent.
func (c *Client) oursAlready(ctx context.Context, key string, body []byte, refused error) (Written, error) {
	there, err := c.Head(ctx, key, Pin{})
	if err != nil || there.Size != int64(len(body)) {
		return Written{}, refused
	}
	if same, known := sameMD5(there.ETag, body); known && same {
		return Written{ETag: there.ETag, VersionID: there.VersionID, Size: there.Size}, nil
	}
	for _, sum := range there.Checksums {
		if sum.Computable() && sumOf(sum.Algorithm, body) == sum.Value {
			return Written{ETag: there.ETag, VersionID: there.VersionID, Size: there.Size}, nil
		}
	}
	return Written{}, refused
}

// Upload stores a stream: with one request when it fits into a part, else in
// parts that are uploaded beside each other. size is the announced length, -1
// when it is unknown; a stream that is longer or shorter is ErrBody, and
// nothing is stored. The stream is not read again after its end, and not
// closed. Peak memory is (Parallel + 1) parts, less where Memory says so.
func (c *Client) Upload(ctx context.Context, key string, stream io.Reader, size int64, w Write) (Written, error) {
	w, err := c.look(ctx, key, w)
	if err != nil {
		return Written{}, err
	}
	c.countsParts(ctx, key, partsOf(size, w.PartSize))
	w.PartSize = c.Quirks().partSize(size, w.PartSize)
	w.Parallel = max(w.Parallel, 1)
	w.maxParts = cmp.Or(w.maxParts, c.Quirks().MaxParts, MaxParts)
	if w.Memory == nil {
		w.Memory = NewMemory(w.PartSize * int64(w.Parallel+1))
	}
	source := &sizedStream{stream: stream, left: size, unknown: size < 0, refuse: func(kind error, format string, args ...any) error {
		return &OpError{Op: "put", Bucket: c.name, Key: key, Kind: kind, Err: fmt.Errorf(format, args...)}
	}}
	if w.Expect.Value != "" && w.Expect.Computable() {
		source.want, source.hash = w.Expect, newHash(w.Expect.Algorithm)
	}
	first, err := source.part(ctx, w)
	if err != nil {
		return Written{}, c.translate("put", key, err)
	}
	if source.exhausted() && !w.InParts {
		defer first.release()
		return c.Put(ctx, key, first.bytes, w)
	}
	return c.multipart(ctx, key, source, first, w)
}

// partSizeFor grows the part size so that the parts of a large object do not
// exceed the number that S3 takes.
func partSizeFor(size, wanted int64) int64 {
	if wanted <= 0 {
		wanted = DefaultPartSize
	}
	const grain = 1 << 20
	if least := (size + MaxParts - 1) / MaxParts; least > wanted {
		return (least + grain - 1) / grain * grain
	}
	return wanted
}

// partsOf is how many parts an object of a size has; 0 when it is not known.
func partsOf(size, wanted int64) int64 {
	each := partSizeFor(size, wanted)
	return (max(size, 0) + each - 1) / each
}

// sizedStream cuts a stream into parts and holds it to its announced length.
type sizedStream struct {
	stream  io.Reader
	left    int64
	unknown bool
	total   int64
	ended   bool      // the stream has said io.EOF, and is not asked again
	ahead   []byte    // read, and belongs to the next part
	hash    hash.Hash // of all bytes; nil: nothing to compare with
	want    Checksum
	refuse  func(kind error, format string, args ...any) error
}

// buffer is one part in memory.
type buffer struct {
	bytes   []byte
	release func()
}

// exhausted tells whether there is no further part. A reader may give its last
// byte and the end at once: the byte is then still ahead.
func (s *sizedStream) exhausted() bool { return s.ended && len(s.ahead) == 0 }

// part reads the next part and, with it, whether it is the last one.
func (s *sizedStream) part(ctx context.Context, w Write) (buffer, error) {
	length := w.PartSize
	if !s.unknown {
		length = min(length, s.left)
	}
	release, err := w.Memory.Acquire(ctx, length)
	if err != nil {
		return buffer{}, err
	}
	body, err := s.fill(ctx, length)
	if err != nil {
		release()
		return buffer{}, err
	}
	return buffer{body, release}, nil
}

func (s *sizedStream) fill(ctx context.Context, length int64) ([]byte, error) {
	capacity := length
	if s.unknown {
		// Most streams of unknown length are short; grow into the part.
		capacity = min(length, 64<<10)
	}
	body := append(make([]byte, 0, max(capacity, int64(len(s.ahead)))), s.ahead...)
	s.ahead = nil
	for int64(len(body)) < length && !s.ended {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if len(body) == cap(body) {
			grown := make([]byte, len(body), min(int64(cap(body))*4, length))
			copy(grown, body)
			body = grown
		}
		n, err := s.read(body[len(body):min(int64(cap(body)), length)])
		body = body[:len(body)+n]
		if err != nil {
			return nil, err
		}
	}
	s.left -= int64(len(body))
	s.total += int64(len(body))
	if s.hash != nil {
		s.hash.Write(body)
	}
	return body, s.peek(ctx)
}

// verify compares the bytes of the whole stream with their checksum.
func (s *sizedStream) verify() error {
	if s.hash == nil {
		return nil
	}
	if got := encodeSum(s.hash); got != s.want.Value {
		return s.refuse(ErrChecksum, "%s of the bytes is %s, expected is %s", s.want.Algorithm, got, s.want.Value)
	}
	return nil
}

// peek looks one byte ahead, since a part must know whether it is the last.
func (s *sizedStream) peek(ctx context.Context) error {
	if !s.unknown && s.left > 0 {
		if s.ended {
			return s.refuse(ErrBody, "body ended %d bytes early", s.left)
		}
		return nil
	}
	one := make([]byte, 1)
	for !s.ended {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := s.read(one)
		if err != nil {
			return err
		}
		if n == 0 {
			continue
		}
		if !s.unknown {
			return s.refuse(ErrBody, "body is longer than the announced %d bytes", s.total)
		}
		s.ahead = one
		return nil
	}
	return nil
}

// read reads once, and remembers the end.
func (s *sizedStream) read(p []byte) (int, error) {
	n, err := s.stream.Read(p)
	if err == io.EOF {
		s.ended = true
		return n, nil
	}
	return n, err
}
