package bucket

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithy "github.com/aws/smithy-go"
)

// probeAPI is the part of the SDK's client that only a Probe uses.
type probeAPI interface {
	Options() s3.Options
	GetBucketVersioning(context.Context, *s3.GetBucketVersioningInput, ...func(*s3.Options)) (*s3.GetBucketVersioningOutput, error)
	GetObjectLockConfiguration(context.Context, *s3.GetObjectLockConfigurationInput, ...func(*s3.Options)) (*s3.GetObjectLockConfigurationOutput, error)
	GetObjectLegalHold(context.Context, *s3.GetObjectLegalHoldInput, ...func(*s3.Options)) (*s3.GetObjectLegalHoldOutput, error)
}

// Probe asks a server what it can do and what it allows, in raw answers that
// a Client would repair, refuse, or repeat until it likes them. It shares
// credentials, connections, pace and counts with the client it is made from.
//
// It is for one goroutine.
type Probe struct {
	*Client
	of   *Client
	seen *witness
}

// probeRetries is how often a probe repeats an attempt. Whoever asks for a
// diagnosis wants to see a shaky server, and not to wait for it.
const probeRetries = 1

// Probe makes a probe.
func (c *Client) Probe() *Probe {
	options := c.api.Options()
	quirks := c.cfg.quirks
	// What an ETag is, whoever reads the object back will see.
	quirks.OpaqueETags = quirks.OpaqueETags || c.service.unknown.Load()
	quick := &Client{name: c.name, cfg: c.cfg, service: takenAs(quirks), pace: c.pace, release: func() {}}
	quick.cfg.Retries = probeRetries
	quick.region.Store(c.region.Load())
	quick.closed.Store(c.closed.Load())
	seen := &witness{inner: options.HTTPClient}
	quick.api = s3.New(options, func(o *s3.Options) {
		o.Retryer = newRetryer(quick, options.Credentials)
		o.HTTPClient = seen
	})
	return &Probe{Client: quick, seen: seen, of: c}
}

// SendsChecksums tells whether writes of this probe carry checksum headers.
func (p *Probe) SendsChecksums() bool { return !p.noChecksums() }

// Adapts tells whether the client that this probe was made from asks an unknown
// service for its differences, and then works around them.
func (p *Probe) Adapts() bool { return p.of.service.unknown.Load() }

// AdaptsTo tells whether that client goes on without checksums after an error.
func (p *Probe) AdaptsTo(err error) bool { return p.Adapts() && mayRefuseChecksums(err) }

// CompletesBare tells whether that client completes uploads without the checksums
// of their parts after an error.
func (p *Probe) CompletesBare(err error) bool { return p.Adapts() && refusesPartSums(err) }

// WithoutChecksums is a probe whose writes carry no checksum headers.
func (p *Probe) WithoutChecksums() *Probe {
	bare := &Client{name: p.name, cfg: p.cfg, api: p.api, service: p.service, pace: p.pace, release: p.release}
	bare.cfg.NoChecksums = true
	bare.region.Store(p.region.Load())
	return &Probe{Client: bare, seen: p.seen, of: p.of}
}

// Contact is what the first answer told beside its content.
type Contact struct {
	Answered bool   // any answer came, of whatever kind
	Server   string // the Server header
	TLS      string // version of the protocol; "" for none
	// Skew is how far the server's clock is ahead of ours. It is known to a
	// second, if Dated.
	Skew  time.Duration
	Dated bool
}

// Contact tells how the server was met.
func (p *Probe) Contact() Contact { return p.seen.contact() }

// witness looks at the answers of an HTTP client.
type witness struct {
	inner aws.HTTPClient

	mu  sync.Mutex
	met Contact
}

func (w *witness) Do(request *http.Request) (*http.Response, error) {
	asked := time.Now()
	response, err := w.inner.Do(request)
	if err == nil {
		w.note(response, asked, time.Now())
	}
	return response, err
}

func (w *witness) note(response *http.Response, asked, answered time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.met.Answered {
		return
	}
	w.met.Answered = true
	w.met.Server = response.Header.Get("Server")
	if response.TLS != nil {
		w.met.TLS = tls.VersionName(response.TLS.Version)
	}
	if date, err := http.ParseTime(response.Header.Get("Date")); err == nil {
		// The header has whole seconds: on average half of one is missing.
		ours := asked.Add(answered.Sub(asked) / 2)
		w.met.Skew, w.met.Dated = date.Add(time.Second/2).Sub(ours), true
	}
}

func (w *witness) contact() Contact {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.met
}

// Page is one page of a listing as the server sent it.
type Page struct {
	Entries []Entry
	Encoded bool // keys came url-encoded, as was asked
	More    bool
	token   string
}

// Page asks for a page of at most n keys that begin with prefix, after a key
// if one is given. It believes anything that is a listing.
func (p *Probe) Page(ctx context.Context, prefix, after string, n int) (Page, error) {
	in := &s3.ListObjectsV2Input{}
	if after != "" {
		in.StartAfter = &after
	}
	return p.page(ctx, in, prefix, n)
}

// NextPage asks for what comes after a page, by its token.
func (p *Probe) NextPage(ctx context.Context, last Page, prefix string, n int) (Page, error) {
	return p.page(ctx, &s3.ListObjectsV2Input{ContinuationToken: &last.token}, prefix, n)
}

func (p *Probe) page(ctx context.Context, in *s3.ListObjectsV2Input, prefix string, n int) (Page, error) {
	in.Bucket, in.EncodingType, in.MaxKeys = &p.name, p.Quirks().listEncoding(), aws.Int32(int32(n))
	if prefix != "" {
		in.Prefix = &prefix
	}
	var out *s3.ListObjectsV2Output
	err := p.call(ctx, "list", prefix, func(ctx context.Context, opts ...func(*s3.Options)) (err error) {
		attemptsOf(ctx).ownsCuts.Store(true)
		out, err = p.listObjects(ctx, in, opts...)
		return err
	})
	distrust := func(why error) error {
		return &OpError{Op: "list", Bucket: p.name, Key: prefix, Kind: ErrListing, Err: why}
	}
	switch {
	case isCut(err):
		return Page{}, distrust(errNoListing)
	case err != nil:
		return Page{}, err
	case out.IsTruncated == nil:
		return Page{}, distrust(errors.New("answer is not a listing"))
	}
	page := Page{
		Encoded: out.EncodingType == types.EncodingTypeUrl,
		More:    aws.ToBool(out.IsTruncated),
		token:   aws.ToString(out.NextContinuationToken),
	}
	decode := p.decoder(out)
	for i := range out.Contents {
		entry, err := entryOf(&out.Contents[i], decode)
		if err != nil {
			return Page{}, distrust(err)
		}
		page.Entries = append(page.Entries, entry)
	}
	return page, nil
}

// Versioning is the state of the bucket: "Enabled", "Suspended", or "" when it
// never had versions.
func (p *Probe) Versioning(ctx context.Context) (string, error) {
	var state string
	err := p.call(ctx, "get versioning", "", func(ctx context.Context, opts ...func(*s3.Options)) error {
		out, err := p.api.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &p.name}, opts...)
		if err == nil {
			state = string(out.Status)
		}
		return err
	})
	return state, err
}

// BucketLock is the object lock of a bucket.
type BucketLock struct {
	Enabled bool
	Mode    string // that every new object gets; "" for none
}

// BucketLock asks for the object lock of the bucket. One that has none is no
// error.
func (p *Probe) BucketLock(ctx context.Context) (BucketLock, error) {
	var lock BucketLock
	err := p.call(ctx, "get object lock", "", func(ctx context.Context, opts ...func(*s3.Options)) error {
		out, err := p.api.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: &p.name}, opts...)
		if err != nil || out.ObjectLockConfiguration == nil {
			return err
		}
		configuration := out.ObjectLockConfiguration
		lock.Enabled = configuration.ObjectLockEnabled == types.ObjectLockEnabledEnabled
		if configuration.Rule != nil && configuration.Rule.DefaultRetention != nil {
			lock.Mode = string(configuration.Rule.DefaultRetention.Mode)
		}
		return nil
	})
	switch {
	case hasCode(err, "ObjectLockConfigurationNotFoundError"):
		return BucketLock{}, nil
	case isCut(err):
		// A listing, from a server that does not know the question: what a key
		// holds may not be XML.
		return BucketLock{}, &OpError{Op: "get object lock", Bucket: p.name, Kind: errors.ErrUnsupported, Err: err}
	}
	return lock, err
}

// MayReadLock tells whether retention and legal hold of an object may be read:
// an answer to GET leaves them out without a word when not.
func (p *Probe) MayReadLock(ctx context.Context, key, versionID string) error {
	err := p.MayReadRetention(ctx, key, versionID)
	if err == nil {
		err = p.call(ctx, "get legal hold", key, func(ctx context.Context, opts ...func(*s3.Options)) error {
			_, err := p.api.GetObjectLegalHold(ctx, &s3.GetObjectLegalHoldInput{Bucket: &p.name, Key: &key, VersionId: versionOf(versionID)}, opts...)
			return err
		})
	}
	if isUnlocked(err) {
		return nil
	}
	return err
}

// MayReadRetention is MayReadLock for those who have no legal holds.
func (p *Probe) MayReadRetention(ctx context.Context, key, versionID string) error {
	err := p.call(ctx, "get retention", key, func(ctx context.Context, opts ...func(*s3.Options)) error {
		_, err := p.api.GetObjectRetention(ctx, &s3.GetObjectRetentionInput{Bucket: &p.name, Key: &key, VersionId: versionOf(versionID)}, opts...)
		return err
	})
	if isUnlocked(err) {
		return nil
	}
	return err
}

// versionOf is the version of a request, nil for the newest.
func versionOf(id string) *string {
	if id == "" {
		return nil
	}
	return &id
}

// isUnlocked tells the answer for an object that may have a lock and has none.
func isUnlocked(err error) bool {
	return hasCode(err, "NoSuchObjectLockConfiguration") || hasCode(err, "ObjectLockConfigurationNotFoundError")
}

func hasCode(err error, code string) bool {
	var api smithy.APIError
	return errors.As(err, &api) && api.ErrorCode() == code
}

// RangeAnswer is what came of a ranged GET.
type RangeAnswer struct {
	Honoured bool // the range that was asked for, and no more
	Body     []byte
}

// Range reads length bytes from offset, and nothing beyond them from a server
// that sends more.
func (p *Probe) Range(ctx context.Context, key string, pin Pin, offset, length int64) (RangeAnswer, error) {
	in := &s3.GetObjectInput{Bucket: &p.name, Key: &key, Range: aws.String(fmt.Sprintf("bytes=%d-%d", offset, offset+length-1))}
	if pin.VersionID != "" {
		in.VersionId = &pin.VersionID
	}
	var answer RangeAnswer
	err := p.call(ctx, "get", key, func(ctx context.Context, opts ...func(*s3.Options)) error {
		out, err := p.api.GetObject(ctx, in, opts...)
		if err != nil {
			return err
		}
		defer out.Body.Close()
		raw, err := answered(out.ResultMetadata)
		if err != nil {
			return err
		}
		_, answer.Honoured = span{offset, length}.sentIn(raw)
		answer.Body, err = io.ReadAll(io.LimitReader(out.Body, length))
		return err
	})
	return answer, err
}

// PutDamaged stores bytes with the checksum of other bytes, which a server
// that verifies refuses. refused is false when it took them.
func (p *Probe) PutDamaged(ctx context.Context, key string) (refused bool, err error) {
	body := []byte("these are not the bytes of the checksum")
	header := http.Header{checksumHeader(defaultAlgorithm): {sumOf(defaultAlgorithm, []byte("of other bytes"))}}
	in := &s3.PutObjectInput{Bucket: &p.name, Key: &key, ContentLength: aws.Int64(int64(len(body)))}
	err = p.call(ctx, "put", key, func(ctx context.Context, opts ...func(*s3.Options)) error {
		in.Body = bytes.NewReader(body)
		// A refusal that is wanted is not repeated.
		once := func(o *s3.Options) { o.Retryer = aws.NopRetryer{} }
		_, err := p.api.PutObject(ctx, in, append(opts, withHeader(header), once)...)
		return err
	})
	var failed *OpError
	if errors.As(err, &failed) && failed.Status == http.StatusBadRequest {
		return true, nil
	}
	return false, err
}

// Remove removes an object, or one version of it for good. In a bucket with
// versions the first adds a delete marker, whose version it returns.
func (p *Probe) Remove(ctx context.Context, key, versionID string) (marker string, err error) {
	in := &s3.DeleteObjectInput{Bucket: &p.name, Key: &key}
	if versionID != "" {
		in.VersionId = &versionID
	}
	err = p.call(ctx, "delete", key, func(ctx context.Context, opts ...func(*s3.Options)) error {
		out, err := p.api.DeleteObject(ctx, in, opts...)
		if err == nil && versionID == "" && aws.ToBool(out.DeleteMarker) {
			marker = aws.ToString(out.VersionId)
		}
		return err
	})
	if errors.Is(err, ErrNotFound) && !errors.Is(err, ErrBucketNotFound) {
		err = nil
	}
	return marker, err
}

// MayAbort tells whether a multipart upload could be aborted, by the example
// of one that does not exist.
func (p *Probe) MayAbort(ctx context.Context, key string) error {
	err := (&upload{client: p.Client, key: key, id: noUpload}).abort(ctx)
	var failed *OpError
	// Servers that check the form of the id call it a bad argument.
	if errors.As(err, &failed) && failed.Status == http.StatusBadRequest {
		return nil
	}
	return err
}

// noUpload is the id of no upload.
const noUpload = "s3kloset-no-such-upload"

// TryUpload begins a multipart upload, sends one part, and aborts it: a write
// that leaves nothing behind, also where it asks for a lock.
func (p *Probe) TryUpload(ctx context.Context, key string, body []byte, w Write) (err error) {
	u := &upload{client: p.Client, key: key, w: w, sums: p.partSumsFor(Checksum{})}
	if err := u.create(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, u.abort(ctx)) }()
	first := &part{number: 1}
	if err := u.sendPart(ctx, first, body); err != nil {
		return err
	}
	if first.etag == "" {
		return fmt.Errorf("put part %q: answer without an ETag", key)
	}
	return nil
}
