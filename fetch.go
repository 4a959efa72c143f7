package s3kloset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/s3kloset/s3kloset/internal/bucket"
)

// fetchWhole is the size up to which a body is fetched before the engine asks
// for it. The engine reads with few workers, each of which would wait a round
// trip for every small object.
const fetchWhole = 1 << 20

// changeTries bounds how often an object that changes under us is looked at
// again before it is given up.
const changeTries = 4

// nullVersion is the version of what is written while versions are not kept,
// and the only one that is ever overwritten: "Working with objects in a
// versioning-suspended bucket", Amazon S3 User Guide.
const nullVersion = "null"

// errGone marks an object that was deleted after it was listed.
var errGone = errors.New("object was deleted meanwhile")

// recognize tells whether the object is the one that was seen last, and
// describes it by what is known of that. It costs no request.
func (w *walk) recognize(o *object) bool {
	meta, known := w.known.recall(o.entry, o.path)
	if known {
		o.describe(meta)
	}
	return known
}

// refreshTags asks for the tags of an unchanged object: they leave no trace in
// the listing.
func (w *walk) refreshTags(ctx context.Context, o *object) error {
	meta := o.meta.clone()
	if err := w.tags(ctx, o, &meta); err != nil {
		return err
	}
	o.describe(meta)
	return nil
}

// prepare finds out what the record must say.
func (w *walk) prepare(ctx context.Context, o *object) error {
	return settled(o, func(pin bucket.Pin) error {
		o.dropBody()
		return w.look(ctx, o, pin)
	})
}

// settled looks at the listed state of an object. If it is no longer in that
// state, or changes while it is looked at, it is looked at anew, whatever state
// it is in: new bytes with new metadata.
func settled(o *object, look func(bucket.Pin) error) error {
	err := look(bucket.Pin{ETag: o.entry.ETag, Size: o.entry.Size, Sized: true})
	for try := 0; errors.Is(err, ErrChanged) && try < changeTries; try++ {
		err = look(bucket.Pin{})
	}
	return err
}

// look describes the pinned state of the object. For a body that is fetched
// ahead that takes one GET, which answers with all headers; else a HEAD.
func (w *walk) look(ctx context.Context, o *object, pin bucket.Pin) error {
	if o.release != nil {
		return w.fetch(ctx, o, pin)
	}
	attributes, err := w.source.bucket.client.Head(ctx, o.entry.Key, pin)
	if err == nil && attributes.Archive() == bucket.Archived {
		err = w.unarchive(ctx, o, attributes, fmt.Errorf("%q: %w", o.entry.Key, ErrArchived))
	}
	if err != nil {
		return w.explain(ctx, o, err)
	}
	return w.adopt(ctx, o, attributes, true)
}

// fetch opens the object, and takes a small one into memory.
func (w *walk) fetch(ctx context.Context, o *object, pin bucket.Pin) error {
	got, err := w.get(ctx, o, pin)
	if errors.Is(err, ErrArchived) {
		if err = w.unarchive(ctx, o, bucket.Attributes{}, err); err == nil {
			got, err = w.get(ctx, o, pin)
		}
	}
	if err != nil {
		return w.explain(ctx, o, err)
	}
	o.body = got.Body
	if err := w.adopt(ctx, o, got.Attributes, got.Size > w.source.bucket.cfg.source.rangeSize); err != nil {
		return err
	}
	return w.confirm(ctx, o, got.Attributes)
}

func (w *walk) get(ctx context.Context, o *object, pin bucket.Pin) (*bucket.Object, error) {
	whole := pin.Sized && pin.Size <= fetchWhole
	if !whole {
		// A stream outlives the stage that opens it.
		ctx = w.ctx
	}
	got, err := w.read(ctx, o.entry.Key, pin)
	if err != nil {
		return nil, err
	}
	if whole || got.Size >= 0 && got.Size <= fetchWhole {
		err = takeWhole(got)
	}
	return got, err
}

// confirm makes sure that the tags, which are asked for after the bytes and
// have no ETag to pin them by, belong to the same state of the object. A
// version has only one, and bytes that are read later are pinned then.
func (w *walk) confirm(ctx context.Context, o *object, a bucket.Attributes) error {
	tagged := len(o.meta.Tags) > 0 || a.TagCount > 0
	versioned := a.VersionID != "" && a.VersionID != nullVersion
	if !tagged || versioned || w.source.bucket.cfg.source.tags == TagsNever {
		return nil
	}
	now, err := w.source.bucket.client.Head(ctx, o.entry.Key, bucket.Pin{ETag: a.ETag})
	if err != nil {
		return w.explain(ctx, o, err)
	}
	if !now.LastModified.Equal(a.LastModified) {
		return fmt.Errorf("%q: %w", o.entry.Key, ErrChanged)
	}
	return nil
}

// read opens an object. Large ones come over several connections, as far ahead
// as the budget allows.
func (w *walk) read(ctx context.Context, key string, pin bucket.Pin) (*bucket.Object, error) {
	client, cfg := w.source.bucket.client, w.source.bucket.cfg
	if pin.Sized && pin.Size <= cfg.source.rangeSize {
		return client.Get(ctx, key, pin)
	}
	return client.GetParallel(ctx, key, pin, bucket.Parallel{
		RangeSize: cfg.source.rangeSize, Streams: min(bucket.DefaultStreams, cfg.concurrency), Memory: w.memory,
	})
}

// takeWhole replaces the connection by its bytes.
func takeWhole(got *bucket.Object) error {
	defer got.Body.Close()
	// One byte more than there can be, to get at the verdict on the bytes,
	// which comes with the end of the body.
	body := make([]byte, 0, max(got.Size, 0)+1)
	for {
		n, err := got.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case err == io.EOF:
			got.Body, got.Size = wholeBody(body), int64(len(body))
			return nil
		case err != nil:
			return err
		case len(body) == cap(body):
			body = append(body, 0)[:len(body)]
		}
	}
}

// adopt describes the object by what the server answered. Some servers count
// tags in the answer to GET and not in that to HEAD: then they are asked for.
func (w *walk) adopt(ctx context.Context, o *object, a bucket.Attributes, byHead bool) error {
	if a.Size >= 0 {
		o.entry.Size = a.Size
	}
	if a.ETag != o.entry.ETag {
		o.entry.LastModified = a.LastModified.UTC()
	}
	meta := metadataOf(a)
	pin := bucket.Pin{ETag: a.ETag, VersionID: a.VersionID}
	if err := w.layout(ctx, o, &meta, pin); err != nil {
		return err
	}
	if (a.TagCount > 0 || byHead) && w.source.bucket.cfg.source.tags != TagsNever {
		if err := w.tags(ctx, o, &meta); err != nil {
			return err
		}
	}
	if a.MissingMeta > 0 {
		w.ledger.warn(WarnMetadata, o.entry.Key)
	}
	o.describe(meta)
	return nil
}

// tags puts the tags of the object into meta. Missing permission for them is a
// warning: it concerns all objects, and the rest of them is worth keeping.
func (w *walk) tags(ctx context.Context, o *object, meta *Metadata) error {
	tags, err := w.source.bucket.client.Tags(ctx, o.entry.Key, bucket.Pin{VersionID: meta.VersionID})
	switch {
	case errors.Is(err, ErrAccessDenied), errors.Is(err, errors.ErrUnsupported):
		w.ledger.warn(WarnTags, o.entry.Key)
	case err != nil:
		return w.explain(ctx, o, err)
	default:
		meta.Tags = tags
	}
	return nil
}

// layout asks how a multipart object was cut, which its ETag gives away.
func (w *walk) layout(ctx context.Context, o *object, meta *Metadata, pin bucket.Pin) error {
	if !strings.Contains(meta.ETag, "-") {
		return nil
	}
	count, size, err := w.source.bucket.client.PartLayout(ctx, o.entry.Key, pin)
	switch {
	case err == nil && count > 0:
		meta.Parts = PartLayout{Count: count, Size: size}
	case errors.Is(err, ErrChanged):
		return err
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	}
	// A server that does not tell loses nothing of the object: the layout
	// only serves to get the same ETag again.
	return nil
}

// explain finds out what a missing object means.
func (w *walk) explain(ctx context.Context, o *object, err error) error {
	if errors.Is(err, ErrNotFound) && !errors.Is(err, ErrBucketNotFound) {
		return w.explainMissing(ctx, o.entry.Key, err)
	}
	return err
}

// explainMissing asks the listing again. An object that is still in it is not
// gone but unreadable under this key, which must not pass for a deletion.
func (w *walk) explainMissing(ctx context.Context, key string, missing error) error {
	again := bucket.Range{Prefix: key, Most: 1}
	if w.source.bucket.cfg.source.unordered {
		// It may come last, and the prefix may have to be a folder.
		again = bucket.Range{Prefix: key[:strings.LastIndexByte(key, '/')+1], Unordered: true}
	}
	for entry, err := range w.source.bucket.client.List(ctx, again) {
		if err != nil {
			return err
		}
		if entry.Key == key {
			return fmt.Errorf("listed but cannot be read: %w", missing)
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := w.explainMisread(ctx, key, missing); err != nil {
		return err
	}
	return fmt.Errorf("%w: %w", errGone, missing)
}

// misread turns a key back that a server wrote as it is, without an encoding,
// and that therefore was read as another one.
var misread = strings.NewReplacer(" ", "+", "\n", "\r")

// explainMisread asks for the object that a misread key stands for, which must
// not pass for a deletion either.
func (w *walk) explainMisread(ctx context.Context, key string, missing error) error {
	if strings.ContainsRune(key, utf8.RuneError) {
		// Servers in Go write it for each character that XML cannot hold.
		return fmt.Errorf("%q cannot be read, and may be listed in place of a key that a listing without an encoding cannot hold: %w", key, missing)
	}
	meant := misread.Replace(key)
	if meant == key {
		return nil
	}
	_, err := w.source.bucket.client.Head(ctx, meant, bucket.Pin{})
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("%q cannot be read, and may be listed in place of %q: %w", key, meant, missing)
}

// metadataOf is what a snapshot keeps of the headers of an object.
func metadataOf(a bucket.Attributes) Metadata {
	m := Metadata{
		ContentType: a.ContentType, CacheControl: a.CacheControl, ContentDisposition: a.ContentDisposition,
		ContentEncoding: a.ContentEncoding, ContentLanguage: a.ContentLanguage,
		Expires: a.Expires, WebsiteRedirect: a.WebsiteRedirect,
		User:         a.User,
		StorageClass: a.StorageClass,
		ETag:         a.ETag,
		VersionID:    a.VersionID,
		Encryption:   Encryption{Mode: a.SSE, KMSKeyID: a.KMSKeyID, BucketKey: a.BucketKey},
		Lock:         Lock{Mode: a.LockMode, Until: a.LockUntil, LegalHold: a.LegalHold == "ON"},
	}
	for _, sum := range a.Checksums {
		m.Checksums = append(m.Checksums, Checksum(sum))
	}
	return m
}

// appetite estimates whether the engine will read an object that we know
// nothing of. It may know the object from a snapshot that we do not see, and a
// body that is fetched ahead is wasted: so the first objects cost a HEAD each,
// unless there is reason to think that all are new, and what the engine does
// with them decides. The first that it does not read refutes any such reason.
type appetite struct {
	mu    sync.Mutex
	new   int // unknown objects read in a row
	known int // objects that a cache knew and the engine read, in a row
}

// enoughRead is how many objects in a row must have been read before bodies
// are fetched ahead. One that is not read starts the count anew.
const enoughRead = 16

func (a *appetite) eager() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.new >= enoughRead
}

// readsKnown tells that the engine reads what our cache takes for unchanged,
// because it writes to another repository than last time.
func (a *appetite) readsKnown() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.known >= enoughRead
}

func (a *appetite) observe(known, read bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	streak := &a.new
	if known {
		streak = &a.known
	}
	if *streak++; !read {
		*streak = 0
	}
}
