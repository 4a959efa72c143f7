package s3kloset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"

	"github.com/PlakarKorp/kloset/objects"
	"github.com/PlakarKorp/kloset/resources"
	"github.com/PlakarKorp/kloset/snapshot/vfs"
	"github.com/s3kloset/s3kloset/internal/bucket"
	"golang.org/x/sync/errgroup"
)

// VerifyDepth is how closely Verify looks.
type VerifyDepth int

const (
	// VerifyList compares what the listing of the bucket tells: keys, sizes,
	// ETags and storage classes. It reads no object. It is the default.
	VerifyList VerifyDepth = iota
	// VerifyMetadata compares headers, user metadata and tags as well: two
	// requests for each object.
	VerifyMetadata
	// VerifyContent compares all that, and reads every object whose size is
	// the same. Of the snapshot it reads digests alone.
	VerifyContent
)

// VerifyOption sets one thing of a verification. A nil VerifyOption is
// skipped. An error wraps ErrInvalidOption.
type VerifyOption func(*verifyConfig) error

type verifyConfig struct{ depth VerifyDepth }

// WithDepth says how closely to look; the default is VerifyList.
func WithDepth(depth VerifyDepth) VerifyOption {
	return func(c *verifyConfig) error {
		if depth < VerifyList || depth > VerifyContent {
			return invalid("depth", "unknown depth %d", depth)
		}
		c.depth = depth
		return nil
	}
}

// Verify compares a snapshot, named as in Restore, with the objects at the
// location of a source, which may be another one than it was made from: paths
// count from the root of each. Nothing is restored. Objects that the source
// leaves out by its patterns are left out on both sides.
//
// Tags that may not be read are a warning and no error: all else of the object
// is compared, and a Difference of the kind DiffUnread says that they were not.
// Of a server that has no tags, those of the snapshot are missing.
//
// The differences come in no particular order, while the comparison goes on.
// An error that comes with a Key concerns that object alone; one without ends
// the comparison, and without one it was complete. The loop may be left at any
// time: nothing goes on behind it. The same loop a second time compares anew.
//
// Of an object that is in both, 8 bytes stay in memory; an object that the
// bucket lacks is overlooked with a probability of one in 10^19 for each of
// these.
func (r *Repository) Verify(ctx context.Context, snapshot string, src *Source, opts ...VerifyOption) iter.Seq2[Difference, error] {
	return func(yield func(Difference, error) bool) {
		if err := r.verify(ctx, snapshot, src, opts, yield); err != nil {
			yield(Difference{}, fmt.Errorf("verify: %w", err))
		}
	}
}

func (r *Repository) verify(ctx context.Context, name string, src *Source, opts []VerifyOption, yield func(Difference, error) bool) error {
	c := &verifyConfig{}
	if err := apply(c, opts); err != nil {
		return err
	}
	if src.closed.Load() {
		return fmt.Errorf("source %s: %w", src.bucket, ErrClosed)
	}
	op, err := r.begin(ctx)
	if err != nil {
		return err
	}
	defer op.end()
	v := &verification{operation: op, depth: c.depth, src: src, found: make(chan finding), seed: maphash.MakeSeed()}
	if err := v.open(name); err != nil {
		return op.explain(err)
	}
	return v.run(yield)
}

// verification is one run of Verify.
type verification struct {
	*operation
	depth VerifyDepth
	src   *Source
	walk  *walk // over the bucket

	root   string // of the snapshot's source, without a slash at its end
	files  int64  // in the snapshot
	tree   *vfs.Filesystem
	found  chan finding
	seed   maphash.Seed
	shared []uint64 // digests of the keys that are in both
}

// finding is what the loop of the caller gets.
type finding struct {
	Difference
	err error
}

func (v *verification) open(name string) error {
	id, err := v.resolve(name)
	if err != nil {
		return err
	}
	if _, err := v.distrust(); err != nil {
		return err
	}
	snap, err := v.load(id)
	if err != nil {
		return err
	}
	described := describe(snap.Header)
	v.root, v.files = strings.TrimSuffix(path.Clean("/"+described.Root), "/"), described.Objects
	if v.tree, err = snap.FilesystemWithCache(); err != nil {
		return fmt.Errorf("read snapshot %s: %w", described.ID, err)
	}
	return nil
}

// run hands findings to the caller until there are no more or it has enough.
func (v *verification) run(yield func(Difference, error) bool) error {
	ended := make(chan error, 1)
	go func() {
		defer close(v.found)
		ended <- v.compare()
	}()
	// Also when the caller's loop panics.
	defer func() {
		v.cancel(errOperationOver)
		for range v.found {
		}
	}()
	for f := range v.found {
		if !yield(f.Difference, f.err) {
			return nil
		}
	}
	return v.explain(<-ended)
}

// emit hands on what was found.
func (v *verification) emit(ctx context.Context, f finding) error {
	select {
	case v.found <- f:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (v *verification) differences(ctx context.Context, all []Difference) error {
	for _, d := range all {
		if err := v.emit(ctx, finding{Difference: d}); err != nil {
			return err
		}
	}
	return nil
}

// compare goes through the bucket, and then through what it lacks.
func (v *verification) compare() error {
	if err := v.compareBucket(); err != nil {
		return err
	}
	if int64(len(v.shared)) == v.files {
		return nil
	}
	return v.compareRest()
}

// readAhead is how many folders of the snapshot are read before they are
// needed, and listingReaders how many at a time.
const (
	readAhead      = 128
	listingReaders = 16
)

func (v *verification) compareBucket() error {
	v.tree.StartDirpackPrefetch(readAhead, listingReaders)
	defer v.tree.StopDirpackPrefetch()
	group, ctx := errgroup.WithContext(v.ctx)
	group.SetLimit(v.src.bucket.cfg.concurrency)
	v.walk = &walk{source: v.src, ctx: ctx, ledger: newLedger()}
	err := v.walk.list(ctx, func(o *object) error { return v.compareObject(ctx, group, o) })
	// The first failure ends the rest; its error is the one that tells why.
	if failed := group.Wait(); failed != nil {
		return failed
	}
	return err
}

// compareObject looks for an object in the snapshot and compares what the
// listing tells of it. What takes a request is done beside the next ones.
func (v *verification) compareObject(ctx context.Context, group *errgroup.Group, o *object) error {
	entry, err := v.find(o)
	if err != nil {
		return err
	}
	if entry == nil {
		return v.emit(ctx, finding{Difference: Difference{Key: o.entry.Key, Kind: DiffExtra}})
	}
	v.shared = append(v.shared, v.digest(o.entry.Key))
	known := ours(entry.ExtendedAttributes)
	meta, err := ParseMetadata(entry.ExtendedAttributes)
	if err != nil {
		return v.emit(ctx, finding{Difference{Key: o.entry.Key}, err})
	}
	d := &differ{key: o.entry.Key}
	d.entry(entry.Size(), meta, known, o.entry)
	if v.depth == VerifyList || v.depth == VerifyMetadata && !known {
		return v.differences(ctx, d.found)
	}
	group.Go(func() error { return v.compareClosely(ctx, o, entry, meta, known, d) })
	return nil
}

// find returns the entry of an object, nil if there is none. Whether the key
// is also a folder may have changed, and paths of other importers are literal.
func (v *verification) find(o *object) (*vfs.Entry, error) {
	source := strings.TrimSuffix(v.src.Root(), "/")
	forms := []string{
		v.root + strings.TrimPrefix(pathOfKey(o.entry.Key, false), source),
		v.root + strings.TrimPrefix(pathOfKey(o.entry.Key, true), source),
		v.root + "/" + v.src.bucket.below(o.entry.Key),
	}
	for i, form := range forms {
		if slices.Contains(forms[:i], form) || path.Clean("/"+form) != form {
			continue
		}
		entry, err := v.tree.GetEntryForBackup(form)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, v.diagnose(fmt.Errorf("read folder of %q: %w", form, err))
		}
		if key, err := v.keyOf(form, entry); err == nil && key == o.entry.Key {
			return entry, nil
		}
	}
	return nil, nil
}

// errNoObject is the error of entries that have no key.
var errNoObject = errors.New("not a regular file")

// keyOf is the key that an entry has in the bucket.
func (v *verification) keyOf(name string, entry *vfs.Entry) (string, error) {
	if !entry.Type().IsRegular() {
		return "", errNoObject
	}
	prefix, below := v.src.bucket.location.prefix, strings.TrimPrefix(name, v.root)
	if ours(entry.ExtendedAttributes) {
		return keyOfPath(prefix, below)
	}
	return literalKey(prefix, below)
}

func (v *verification) digest(key string) uint64 { return maphash.String(v.seed, key) }

// compareClosely asks the bucket for an object. A failure is one finding more,
// unless every other object would meet it too.
func (v *verification) compareClosely(ctx context.Context, o *object, entry *vfs.Entry, meta Metadata, known bool, d *differ) error {
	err := v.ask(ctx, o, entry, meta, known, d)
	switch {
	case err == nil:
		return v.differences(ctx, d.found)
	case ctx.Err() != nil:
		return ctx.Err()
	case isFatal(err) || v.guard.readFailure() != nil && !errors.Is(err, ErrDamaged):
		return err
	case errors.Is(err, errGone):
		return v.emit(ctx, finding{Difference: Difference{Key: o.entry.Key, Kind: DiffMissing}})
	}
	return v.emit(ctx, finding{Difference{Key: o.entry.Key}, err})
}

// ask compares metadata, and content where the size is the same: with the
// former that is one request for both.
func (v *verification) ask(ctx context.Context, o *object, entry *vfs.Entry, meta Metadata, known bool, d *differ) error {
	client, key := v.src.bucket.client, o.entry.Key
	read := v.depth == VerifyContent && entry.Size() == o.entry.Size
	var live bucket.Attributes
	err := settled(o, func(pin bucket.Pin) (err error) {
		if !read {
			live, err = client.Head(ctx, key, pin)
			return err
		}
		object, err := client.Get(ctx, key, pin)
		if err != nil {
			return err
		}
		defer object.Body.Close()
		live = object.Attributes
		return v.compareContent(entry, object.Body, d)
	})
	if err != nil {
		return v.walk.explain(ctx, o, err)
	}
	if v.depth == VerifyContent && !read {
		d.found = append(d.found, Difference{Key: key, Kind: DiffContent})
	}
	if !known {
		return nil
	}
	d.metadata(meta.canonical(), metadataOf(live).canonical())
	if v.src.bucket.cfg.source.tags == TagsNever {
		return nil
	}
	return v.askTags(ctx, o, meta, bucket.Pin{VersionID: live.VersionID}, d)
}

// askTags compares tags. Missing permission for them is a warning, as in a
// backup. A server that has none differs in those that the snapshot has.
func (v *verification) askTags(ctx context.Context, o *object, meta Metadata, pin bucket.Pin, d *differ) error {
	tags, err := v.src.bucket.client.Tags(ctx, o.entry.Key, pin)
	switch {
	case errors.Is(err, ErrAccessDenied):
		d.unread()
	case err == nil, errors.Is(err, errors.ErrUnsupported):
		d.tags(meta.Tags, tags)
	default:
		return v.walk.explain(ctx, o, err)
	}
	return nil
}

// compareContent reads a body and compares its digest with that of the file.
func (v *verification) compareContent(entry *vfs.Entry, body io.Reader, d *differ) error {
	raw, err := v.repo.GetBlobBytes(resources.RT_OBJECT, entry.Object)
	if err != nil {
		return v.diagnose(fmt.Errorf("read digest: %w", err))
	}
	object, err := objects.NewObjectFromBytes(raw)
	if err != nil {
		return v.diagnose(fmt.Errorf("read digest: %w", err))
	}
	digest := v.repo.GetMACHasher()
	if _, err := io.Copy(digest, body); err != nil {
		return err
	}
	if !bytes.Equal(digest.Sum(nil), object.ContentMAC[:]) {
		d.found = append(d.found, Difference{Key: d.key, Kind: DiffContent})
	}
	return nil
}

// compareRest finds the files that the bucket does not have.
func (v *verification) compareRest() error {
	slices.Sort(v.shared)
	return v.tree.WalkDir(v.root+"/", func(name string, entry *vfs.Entry, err error) error {
		if err != nil {
			return v.diagnose(fmt.Errorf("read folder %q: %w", name, err))
		}
		key, err := v.keyOf(name, entry)
		if errors.Is(err, errNoObject) {
			return v.ctx.Err() // a folder, or what a bucket cannot hold
		}
		if err != nil {
			return v.emit(v.ctx, finding{Difference{Key: name}, err})
		}
		if _, shared := slices.BinarySearch(v.shared, v.digest(key)); shared || !v.src.bucket.cfg.source.wants(v.src.bucket.below(key)) {
			return v.ctx.Err()
		}
		return v.emit(v.ctx, finding{Difference: Difference{Key: key, Kind: DiffMissing}})
	})
}
