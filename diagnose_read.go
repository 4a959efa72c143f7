package s3kloset

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/s3kloset/s3kloset/internal/bucket"
)

// specimen is an object that the checks look at: one of a source, or one that
// was written for the purpose.
type specimen struct {
	key  string
	pin  bucket.Pin
	size int64
	body []byte // nil when only the server knows
}

// pick takes the smallest object of the first page that has bytes and can be
// read.
func (x *doctor) pick() {
	if x.role != RoleSource {
		return
	}
	var best *bucket.Entry
	for i := range x.page.Entries {
		e := &x.page.Entries[i]
		if e.Size == 0 || asleep(*e) || best != nil && e.Size >= best.Size {
			continue
		}
		best = e
	}
	if best != nil {
		x.specimen = &specimen{key: best.Key, pin: bucket.Pin{ETag: best.ETag}, size: best.Size}
	}
}

// versioning tells whether the bucket keeps old versions.
func (x *doctor) versioning(ctx context.Context) Finding {
	state, err := x.probe.Versioning(ctx)
	x.versions = state != ""
	switch {
	case errors.Is(err, ErrAccessDenied):
		return x.unasked("whether the bucket keeps old versions", err)
	case errors.Is(err, errors.ErrUnsupported):
		return fine("the server keeps no old versions")
	case err != nil:
		return x.failed("asking for versioning", err)
	case state == "":
		return fine("the bucket keeps no old versions")
	case x.role == RoleSource:
		return fine("versions are %s: the newest one of each object is read", strings.ToLower(state))
	}
	return fine("versions are %s: what is overwritten or removed stays, and is billed, until a lifecycle rule expires it", strings.ToLower(state))
}

// unasked is the finding of a question that only the diagnosis asks.
func (x *doctor) unasked(what string, err error) Finding {
	f := untested("%s cannot be asked, which the role does not need", what)
	f.Err = err
	return f
}

// lock tells whether objects are locked, and whether locks can be recorded.
func (x *doctor) lock(ctx context.Context) Finding {
	lock, err := x.probe.BucketLock(ctx)
	switch {
	case errors.Is(err, ErrAccessDenied):
		return x.unasked("whether the bucket locks objects", err)
	case errors.Is(err, errors.ErrUnsupported):
		lock = bucket.BucketLock{}
	case err != nil:
		return x.failed("asking for object lock", err)
	}
	x.locks = lock.Mode != ""
	switch {
	case x.role == RoleSource && lock.Enabled:
		return x.readLock(ctx)
	case x.role == RoleDestination && x.bucket.cfg.destination.lock && !lock.Enabled:
		return broken("the bucket has no object lock to restore", "restore into a bucket with object lock, or without WithRestoredLock (restore_lock)")
	case x.role == RoleStore && x.bucket.cfg.store.lockMode != "" && !lock.Enabled:
		return broken("the bucket cannot lock objects", "keep the store in a bucket with object lock, or without WithObjectLock (object_lock)")
	case x.role == RoleStore && x.bucket.cfg.store.lockMode != "":
		return x.storeLock(ctx, lock)
	case lock.Mode != "":
		return locksAll(lock)
	case lock.Enabled:
		return fine("the bucket can lock objects, and locks none by itself")
	}
	return fine("the bucket has no object lock")
}

// readLock tells whether the locks of objects can be recorded: without the
// permission, answers leave them out.
func (x *doctor) readLock(ctx context.Context) Finding {
	key, version := x.absent(), ""
	if x.specimen != nil {
		key, version = x.specimen.key, x.specimen.pin.VersionID
	}
	err := x.probe.MayReadLock(ctx, key, version)
	switch {
	case err == nil, errors.Is(err, ErrNotFound):
		return fine("the bucket can lock objects, and their locks can be read")
	case errors.Is(err, ErrAccessDenied):
		f := x.refused("reading the locks of objects", err)
		f.Verdict, f.Remedy = VerdictDegraded, "snapshots are without them; to have them, "+f.Remedy
		return f
	}
	return x.failed("reading the locks of objects", err)
}

func locksAll(lock bucket.BucketLock) Finding {
	return degraded("the bucket locks each new object ("+lock.Mode+")", "nothing is written for the diagnosis, since it could not be removed")
}

// storeLock tells whether a store can lock its blobs, and see until when: the
// worst of what there is to say.
func (x *doctor) storeLock(ctx context.Context, lock bucket.BucketLock) Finding {
	all := []Finding{x.writeRetention(ctx)}
	if lock.Mode != "" {
		all = append(all, locksAll(lock))
	}
	all = append(all, x.readRetention(ctx))
	return slices.MaxFunc(all, func(a, b Finding) int { return cmp.Compare(a.Verdict, b.Verdict) })
}

// writeRetention tells whether a store may lock what it writes, by an upload
// that is begun with the lock and aborted: nothing is ever locked.
func (x *doctor) writeRetention(ctx context.Context) Finding {
	if err := x.probe.MayAbort(ctx, x.absent()); err != nil {
		f := untested("whether objects can be locked (s3:PutObjectRetention) is tried with an upload, which could not be aborted")
		f.Err = err
		return f
	}
	plain := x.scratch.encrypted(bucket.Write{})
	locked := plain
	locked.LockMode = string(x.bucket.cfg.store.lockMode)
	locked.LockUntil = time.Now().Add(max(x.bucket.cfg.store.lockPeriod, time.Minute)).UTC()
	key := x.scratch.key("locked")
	err := x.probe.TryUpload(ctx, key, smallBody, locked)
	if err == nil {
		return fine("the bucket can lock objects, what is written too, and their retention can be read")
	}
	if x.probe.TryUpload(ctx, key, smallBody, plain) != nil {
		f := untested("whether objects can be locked (s3:PutObjectRetention) is tried with an upload, and none can be begun")
		f.Err = err
		return f
	}
	f := x.failed("writing an object with a retention", err)
	if errors.Is(err, ErrAccessDenied) {
		x.wasAllowed(&f, "s3:PutObject")
	}
	return f
}

// readRetention tells whether a store can see until when its blobs are locked.
func (x *doctor) readRetention(ctx context.Context) Finding {
	err := x.probe.MayReadRetention(ctx, x.absent(), "")
	switch {
	case err == nil, errors.Is(err, ErrNotFound):
		return fine("the retention of objects can be read")
	case errors.Is(err, ErrAccessDenied):
		f := x.refused("reading the retention of objects", err)
		f.Verdict, f.Remedy = VerdictDegraded, "what is locked is said to be access denied, without a date; to have it, "+f.Remedy
		return f
	}
	return x.failed("reading the retention of objects", err)
}

// get reads an object.
func (x *doctor) get(ctx context.Context) Finding {
	if x.specimen == nil {
		return x.getNothing(ctx)
	}
	object, err := x.probe.Get(ctx, x.specimen.key, bucket.Pin{VersionID: x.specimen.pin.VersionID})
	if err != nil {
		return x.notRead(err)
	}
	defer object.Body.Close()
	x.specimen.pin = bucket.Pin{ETag: object.ETag, VersionID: object.VersionID}
	body, err := io.ReadAll(io.LimitReader(object.Body, fetchWhole))
	switch {
	case err != nil:
		return x.notRead(err)
	case x.specimen.body != nil && !bytes.Equal(body, x.specimen.body):
		return broken("the server returns other bytes than were written", "do not use this server").because(ErrChecksum)
	case object.Size > fetchWhole:
		return fine("the first MiB of %q was read", x.specimen.key)
	}
	return fine("%d bytes were read", len(body))
}

// notRead is the finding of an object that cannot be read.
func (x *doctor) notRead(err error) Finding {
	x.specimen = nil
	if x.role == RoleDestination && errors.Is(err, ErrAccessDenied) {
		if x.bucket.cfg.destination.overwrite == OverwriteIfDifferent {
			return x.refused("reading an object, to compare it,", err)
		}
		f := untested("reading is refused, which a destination does not need; what was written cannot be compared")
		f.Err = err
		return f
	}
	return x.failed("reading an object", err)
}

// getNothing asks for an object that is not there: who may not read gets
// another answer than who may.
func (x *doctor) getNothing(ctx context.Context) Finding {
	if x.role != RoleSource {
		return untested("there is no object to read")
	}
	_, err := x.probe.Range(ctx, x.absent(), bucket.Pin{}, 0, 1)
	switch {
	case errors.Is(err, ErrNotFound):
		return fine("reading is allowed; there is no object to try it on")
	case errors.Is(err, ErrAccessDenied) && x.contact != nil:
		// S3 hides what is missing from those who may not list.
		f := untested("who may not list cannot know whether an object that cannot be read is there")
		f.Err = err
		return f
	}
	return x.failed("reading an object", err)
}

// ranges reads a piece of an object.
func (x *doctor) ranges(ctx context.Context) Finding {
	if x.specimen == nil || x.specimen.size < 2 {
		return untested("there is no object to read a piece of")
	}
	answer, err := x.probe.Range(ctx, x.specimen.key, x.specimen.pin, 1, 1)
	switch {
	case err != nil:
		return x.failed("reading a piece of an object", err)
	case !answer.Honoured:
		return degraded("the server ignores ranges", "the piece is cut out of the whole object, which then travels each time")
	case x.specimen.body != nil && !bytes.Equal(answer.Body, x.specimen.body[1:2]):
		return broken("the server returns another piece than was asked for", "do not use this server").because(ErrInvalidRange)
	}
	return fine("pieces of objects can be read")
}

// checksums tells whether bytes are verified on their way in and out.
func (x *doctor) checksums(ctx context.Context) Finding {
	if x.specimen == nil {
		return untested("there is no object to look at")
	}
	a, err := x.probe.Head(ctx, x.specimen.key, bucket.Pin{VersionID: x.specimen.pin.VersionID})
	if err != nil {
		return x.failed("reading the headers of an object", err)
	}
	names := make([]string, len(a.Checksums))
	for i, sum := range a.Checksums {
		names[i] = sum.Algorithm
	}
	list := strings.Join(names, ", ")
	if x.role != RoleSource {
		return x.verifiedWrites(ctx, list)
	}
	if list == "" {
		return degraded("the object that was looked at has no checksum", "its bytes are checked by their number")
	}
	return fine("objects have checksums (%s), which reads verify", list)
}

// tags tells whether tags can be read, or written.
func (x *doctor) tags(ctx context.Context) Finding {
	if x.role == RoleDestination {
		return x.writtenTags(ctx)
	}
	if x.bucket.cfg.source.tags == TagsNever {
		return fine("tags are not asked for")
	}
	if x.probe.Quirks().NoTags {
		return degraded("the service has no tags", "they are not asked for")
	}
	key, pin := x.absent(), bucket.Pin{}
	if x.specimen != nil {
		key, pin = x.specimen.key, x.specimen.pin
	}
	// Those of the newest version are asked for with and without its name,
	// which are two permissions.
	_, err := x.probe.Tags(ctx, key, bucket.Pin{})
	if err == nil && pin.VersionID != "" {
		_, err = x.probe.Tags(ctx, key, pin)
	}
	switch {
	case err == nil, errors.Is(err, ErrNotFound):
		return fine("tags can be read")
	case errors.Is(err, errors.ErrUnsupported):
		return degraded("the server has no tags", "snapshots are without them; WithTagPolicy (tags) never saves the requests").because(err)
	case errors.Is(err, ErrAccessDenied):
		f := x.refused("reading the tags of objects", err)
		f.Remedy += ", or do without tags: WithTagPolicy (tags) never"
		return f
	}
	f := x.failed("reading the tags of an object", err)
	f.Remedy += ", or do without tags: WithTagPolicy (tags) never"
	return f
}

// listOrder tells whether listings are complete and in order.
func (x *doctor) listOrder(ctx context.Context) Finding {
	if x.role != RoleSource {
		return x.listWritten(ctx)
	}
	if x.contact != nil {
		return untested("there is no listing")
	}
	keys := keysOf(x.page)
	if len(keys) < 2 {
		return untested("there are not two keys to compare")
	}
	if !slices.IsSorted(keys) {
		return x.disorder(keys)
	}
	if x.page.More {
		next, err := x.probe.NextPage(ctx, x.page, x.bucket.key(""), 1)
		if err != nil {
			return x.failed("asking for the next page of a listing", err)
		}
		if len(next.Entries) > 0 && next.Entries[0].Key <= keys[len(keys)-1] {
			return broken("the second page of a listing does not continue the first", "do not use this server").because(ErrListing)
		}
	}
	after, err := x.probe.Page(ctx, x.bucket.key(""), keys[0], 1)
	switch {
	case err != nil:
		return x.failed("listing from a key on", err)
	case len(after.Entries) != 1 || after.Entries[0].Key != keys[1]:
		return x.ignoresAfter()
	}
	return fine("keys come in order of their bytes, from any key on")
}

func (x *doctor) disorder(keys []string) Finding {
	i := 1
	for keys[i-1] <= keys[i] {
		i++
	}
	detail := fmt.Sprintf("keys are out of order: %q comes after %q", keys[i], keys[i-1])
	if x.role == RoleSource && x.bucket.cfg.source.unordered {
		return degraded(detail, "the listing is taken as it comes, at one more request for each object")
	}
	remedy := "use another server: a repository needs listings in order"
	if x.role == RoleSource {
		remedy = "use WithUnorderedListing (unordered) with this server"
	}
	return broken(detail, remedy).because(ErrListing)
}

func (x *doctor) ignoresAfter() Finding {
	return degraded("the server does not list from a key on", "a listing that breaks off fails, and is not taken up where it was")
}

func keysOf(page bucket.Page) []string {
	keys := make([]string, len(page.Entries))
	for i, e := range page.Entries {
		keys[i] = e.Key
	}
	return keys
}

// listEncoding tells whether keys survive the XML of a listing.
func (x *doctor) listEncoding(context.Context) Finding {
	switch {
	case x.contact != nil:
		return untested("there is no listing")
	case !x.page.Encoded:
		return degraded("the server does not encode keys in listings", "keys are taken as they are; XML cannot carry those with control characters")
	}
	return fine("keys are listed url-encoded")
}

// classes tells what the storage classes of a source mean for reading, and
// whether a target takes the one that is asked for.
func (x *doctor) classes(ctx context.Context) Finding {
	if x.role != RoleSource {
		return x.writtenClass(ctx)
	}
	if x.contact != nil {
		return untested("there is no listing")
	}
	sleeping := 0
	for _, e := range x.page.Entries {
		if asleep(e) {
			sleeping++
		}
	}
	if sleeping > 0 {
		return degraded(fmt.Sprintf("%d of the first %d objects are in an archive class and cannot be read", sleeping, len(x.page.Entries)),
			"they are reported, one by one, unless they are restored first")
	}
	return fine("the objects that were looked at can be read at once")
}
