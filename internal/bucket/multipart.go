package bucket

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"
)

// abortTimeout is how long the clean-up of a failed upload may take. Parts
// that stay behind are billed.
const abortTimeout = 15 * time.Second

// strayDelays are the waits before an upload is aborted once more, where the
// answer to a part is missing: the server may still be at it, and store it after
// all. S3 then keeps and bills it; other servers have the upload again.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_AbortMultipartUpload.html
var strayDelays = []time.Duration{50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond}

// upload is one multipart upload.
type upload struct {
	client *Client
	key    string
	id     string
	w      Write
	sums   partSums
	whole  bool              // the server compares a checksum over all bytes
	opaque bool              // ETags are no MD5s
	bare   bool              // the completion names no checksums of parts
	late   map[string]string // tags for when there is an object
	parts  []*part
}

// part is one uploaded part. It belongs to the goroutine that uploads it, and
// to the upload once that has ended.
type part struct {
	number int32
	etag   string
	sum    string
	stray  bool // it was sent, and nobody knows what became of it
}

// multipart stores a stream of more than one part. The upload is aborted
// unless it completes, also when the context has ended.
func (c *Client) multipart(ctx context.Context, key string, source *sizedStream, first buffer, w Write) (written Written, err error) {
	u := &upload{client: c, key: key, w: w, sums: c.partSumsFor(w.Expect)}
	if err := u.begin(ctx); err != nil {
		first.release()
		return Written{}, err
	}
	defer func() {
		if err == nil {
			return
		}
		if left := u.abort(ctx); left != nil {
			err = errors.Join(err, left)
		}
	}()
	if err := u.send(ctx, source, first); err != nil {
		return Written{}, c.translate("put", key, err)
	}
	if err := source.verify(); err != nil {
		return Written{}, err
	}
	if err := u.verify(); err != nil {
		return Written{}, err
	}
	written, err = u.completeSummed(ctx)
	if errors.Is(err, errors.ErrUnsupported) && u.w.ConditionFallback && u.w.conditional() {
		u.w.IfNoneMatch, u.w.IfMatch = false, ""
		written, err = u.complete(ctx)
	}
	written.Size, written.OpaqueETag = source.total, u.opaque
	return written.conceding(w, u.w), err
}

// begin creates the upload, and does without what the server refuses: the
// choice of a checksum, and where that is allowed a storage class or tags.
func (u *upload) begin(ctx context.Context) error {
	u.w = u.w.firstTry(u.client.Quirks())
	for {
		err := u.createSummed(ctx)
		if u.sums.refused(err) {
			u.sums = plainSums
			continue
		}
		less, again := u.w.without(err)
		if !again {
			return err
		}
		u.w = less
	}
}

// createSummed creates the upload, with checksums where the service takes them.
func (u *upload) createSummed(ctx context.Context) error {
	wanted := u.sums
	return u.client.withChecksums(func(with bool) error {
		u.sums = partSums{}
		if with {
			u.sums = wanted
		}
		return u.create(ctx)
	})
}

// create begins the upload. An upload whose id never arrived could not be aborted.
func (u *upload) create(ctx context.Context) error {
	header, lateTags := u.headers()
	u.sums.ask(header)
	in := &s3.CreateMultipartUploadInput{Bucket: &u.client.name, Key: &u.key}
	err := u.client.call(ctx, "create upload", u.key, func(ctx context.Context, opts ...func(*s3.Options)) error {
		out, err := u.client.api.CreateMultipartUpload(ctx, in, append(opts, withHeader(header), withGrace)...)
		if err != nil {
			return err
		}
		answer, err := answered(out.ResultMetadata)
		if err == nil {
			u.id = aws.ToString(out.UploadId)
			u.whole = u.sums.promised(answer.Header)
			u.opaque = u.client.opaqueETags(answer.Header)
		}
		return err
	})
	u.late = lateTags
	if err == nil && u.id == "" {
		err = &OpError{Op: "create upload", Bucket: u.client.name, Key: u.key, Err: errors.New("answer without an upload id")}
	}
	return err
}

// send reads part after part and uploads up to w.Parallel of them at a time.
func (u *upload) send(ctx context.Context, source *sizedStream, next buffer) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(u.w.Parallel)
	read := u.startParts(ctx, group, source, next)
	failed := group.Wait()
	// A reader that failed is the cause; a reader that was cancelled is not.
	if failed != nil && (read == nil || contextCause(read) != nil) {
		return failed
	}
	return read
}

func (u *upload) startParts(ctx context.Context, group *errgroup.Group, source *sizedStream, next buffer) error {
	for number := int32(1); ; number++ {
		current, last := next, source.exhausted()
		p := &part{number: number}
		u.parts = append(u.parts, p)
		group.Go(func() error {
			defer current.release()
			return u.sendPart(ctx, p, current.bytes)
		})
		if last {
			return nil
		}
		if number == u.w.maxParts {
			return source.refuse(ErrTooLarge, "more than %d parts of %d bytes", number, u.w.PartSize)
		}
		var err error
		if next, err = source.part(ctx, u.w); err != nil {
			return err
		}
	}
}

func (u *upload) sendPart(ctx context.Context, p *part, body []byte) error {
	c, sum := u.client, u.sums.of(body)
	if err := c.pace.spend(ctx, len(body)); err != nil {
		return err
	}
	in := &s3.UploadPartInput{Bucket: &c.name, Key: &u.key, UploadId: &u.id, PartNumber: &p.number,
		ContentLength: aws.Int64(int64(len(body)))}
	err := c.call(ctx, "put part", u.key, func(ctx context.Context, opts ...func(*s3.Options)) error {
		p.stray, in.Body = true, bytes.NewReader(body)
		out, err := c.api.UploadPart(ctx, in, append(opts, withSum(sum))...)
		if err != nil {
			return err
		}
		answer, err := answered(out.ResultMetadata)
		if err != nil {
			return err
		}
		p.etag, p.sum = trimETag(answer.Header.Get("Etag")), sum.Value
		return c.checkStored(u.key, answer.Header, sum, body)
	})
	p.stray = p.stray && err != nil && !isAnswered(err)
	return err
}

// isAnswered tells whether an error came from the server.
func isAnswered(err error) bool {
	var failed *OpError
	return errors.As(err, &failed) && failed.Status != 0
}

// completeSummed names the checksums of the parts in the completion. An unknown
// service that finds no sense in it is asked to make the object without: the
// parts have had their checksums all the same.
func (u *upload) completeSummed(ctx context.Context) (Written, error) {
	u.bare = u.client.Quirks().BareCompletion
	written, err := u.complete(ctx)
	if u.bare || !u.client.service.unknown.Load() || !refusesPartSums(err) || !u.summed() {
		return written, err
	}
	u.bare = true
	bare, again := u.complete(ctx)
	if refusesPartSums(again) {
		return Written{}, err
	}
	if again == nil {
		u.client.cfg.Logger.Debug("service refuses checksums of parts in completions", "bucket", u.client.name)
		u.client.service.learn(func(q *Quirks) { q.BareCompletion = true })
	}
	return bare, again
}

// summed tells whether the parts have checksums to name.
func (u *upload) summed() bool {
	return slices.ContainsFunc(u.parts, func(p *part) bool { return p.sum != "" })
}

// complete makes an object of the parts. When the answer of a first attempt
// was lost, the upload is gone at the second: the object then decides.
func (u *upload) complete(ctx context.Context) (Written, error) {
	c := u.client
	in := &s3.CompleteMultipartUploadInput{Bucket: &c.name, Key: &u.key, UploadId: &u.id,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: u.completed()}}
	u.w.conditions(&in.IfNoneMatch, &in.IfMatch)
	header := http.Header{}
	if u.whole {
		header.Set("X-Amz-Checksum-Type", typeFull)
		header.Set(checksumHeader(u.sums.algorithm), u.w.Expect.Value)
	}
	written := Written{Parts: len(u.parts)}
	var tried int32
	err := c.call(ctx, "complete upload", u.key, func(ctx context.Context, opts ...func(*s3.Options)) error {
		out, err := c.api.CompleteMultipartUpload(ctx, in, append(opts, withHeader(header))...)
		tried = attemptsOf(ctx).count.Load()
		if err != nil {
			return err
		}
		written.ETag, written.VersionID = trimETag(aws.ToString(out.ETag)), aws.ToString(out.VersionId)
		return u.checkCompleted(out)
	})
	if tried > 1 && (errors.Is(err, ErrNotFound) || errors.Is(err, ErrAlreadyExists)) {
		if there, headErr := c.Head(ctx, u.key, Pin{}); headErr == nil && u.made(there) {
			written.ETag, written.VersionID, err = there.ETag, there.VersionID, nil
		}
	}
	if err != nil {
		return Written{}, changed(err, Pin{ETag: u.w.IfMatch})
	}
	if written.ETag == "" {
		// Ceph answers with an empty one. Who may not read has to do without.
		if there, err := c.Head(ctx, u.key, Pin{VersionID: written.VersionID}); err == nil {
			written.ETag = there.ETag
		}
	}
	return written, u.restoreLost(ctx, &written)
}

// made tells whether an object is one of these parts: by its ETag, or where
// that is no MD5, by its checksum.
func (u *upload) made(there Attributes) bool {
	if want, known := u.etag(); known && there.ETag == want {
		return true
	}
	for _, sum := range there.Checksums {
		if want, known := u.told(sum.Value); known && sum.Algorithm == u.sums.algorithm && sum.Value == want {
			return true
		}
	}
	return false
}

func (u *upload) completed() []types.CompletedPart {
	parts := make([]types.CompletedPart, len(u.parts))
	for i, p := range u.parts {
		parts[i] = types.CompletedPart{PartNumber: &p.number, ETag: aws.String(quoteETag(p.etag))}
		if !u.bare {
			u.sums.enter(&parts[i], p.sum)
		}
	}
	return parts
}

// verify compares the parts with the checksum over them that is expected.
func (u *upload) verify() error {
	if !u.w.expectsParts() || u.w.Expect.Algorithm != u.sums.algorithm {
		return nil
	}
	if got, ok := u.composite(); ok && got != u.w.Expect.Value {
		return u.wrong("%s of the parts is %s, expected is %s", u.sums.algorithm, got, u.w.Expect.Value)
	}
	return nil
}

// checkCompleted compares what the server says it made of the parts with what
// was sent: by the checksum where it tells one, else by the ETag where that is
// made of MD5s.
func (u *upload) checkCompleted(out *s3.CompleteMultipartUploadOutput) error {
	answer, err := answered(out.ResultMetadata)
	if err != nil {
		return err
	}
	u.opaque = u.opaque || u.client.opaqueETags(answer.Header)
	if told := u.sums.stored(out); told != "" {
		want, known := u.told(told)
		if known && told != want {
			return u.wrong("server made an object with %s %s, sent was %s", u.sums.algorithm, told, want)
		}
		if known {
			return nil
		}
	}
	want, known := u.etag()
	got := trimETag(aws.ToString(out.ETag))
	if _, ofParts := partsETag(got); known && ofParts && !u.opaque && got != want {
		return u.wrong("server made an object with ETag %q of the parts, which have %q", got, want)
	}
	return nil
}

// told is what a checksum in the answer must be. Without the number of parts
// behind it, it is over all bytes, of which only the caller may know one.
func (u *upload) told(sum string) (want string, known bool) {
	if strings.Contains(sum, "-") {
		return u.composite()
	}
	return u.w.Expect.Value, u.whole
}

func (u *upload) wrong(format string, args ...any) error {
	return &OpError{Op: "complete upload", Bucket: u.client.name, Key: u.key, Kind: ErrChecksum, Err: fmt.Errorf(format, args...)}
}

// composite is the checksum over those of the parts.
func (u *upload) composite() (string, bool) {
	sums := make([]string, len(u.parts))
	for i, p := range u.parts {
		sums[i] = p.sum
	}
	return compositeOf(u.sums.algorithm, sums)
}

// etag is what S3 makes of the parts: the MD5 of their MD5s and their number.
func (u *upload) etag() (string, bool) {
	all := md5.New()
	for _, p := range u.parts {
		sum, ok := md5ETag(p.etag)
		if !ok {
			return "", false
		}
		all.Write(sum)
	}
	return fmt.Sprintf("%s-%d", hex.EncodeToString(all.Sum(nil)), len(u.parts)), true
}

// abort throws the parts away, those that come late too. The context of the
// upload may have ended.
func (u *upload) abort(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	err := u.abortOnce(ctx)
	if !slices.ContainsFunc(u.parts, func(p *part) bool { return p.stray }) {
		return err
	}
	for _, delay := range strayDelays {
		if err != nil || sleep(ctx, delay) != nil {
			return err
		}
		err = u.abortOnce(ctx)
	}
	return err
}

func (u *upload) abortOnce(ctx context.Context) error {
	c := u.client
	err := c.call(ctx, "abort upload", u.key, func(ctx context.Context, opts ...func(*s3.Options)) error {
		_, err := c.api.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
			Bucket: &c.name, Key: &u.key, UploadId: &u.id}, opts...)
		return err
	})
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}
