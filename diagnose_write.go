package s3kloset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/s3kloset/s3kloset/internal/bucket"
)

// smallBody is what small objects of a diagnosis hold.
var smallBody = bytes.Repeat([]byte("s3kloset diagnosis\n"), 32)

// noChecksums is the remedy for servers that refuse our checksums.
const noChecksums = "send none: WithoutChecksums (no_checksums)"

// checkedByETag is how writes are verified without checksums.
const checkedByETag = "writes are checked by their ETag, where that is an MD5"

// refusesChecksums is the finding of a server that refuses them in objects or
// parts, and takes these without.
func (x *doctor) refusesChecksums(what string, err error) Finding {
	detail := "the server refuses " + what + " with checksum headers"
	if x.probe.CompletesBare(err) {
		return degraded("the server makes no object of parts whose checksums are listed",
			"they are left out of the list once that has shown; objects are checked by their ETag, where that is an MD5").because(err)
	}
	if x.probe.AdaptsTo(err) {
		return degraded(detail, "none are sent once that has shown; "+checkedByETag).because(err)
	}
	return broken(detail, noChecksums).because(err)
}

// remove tells whether objects can be removed, before there are any. It
// decides whether any may be written.
func (x *doctor) remove(ctx context.Context) Finding {
	key := x.absent()
	// To remove a version that is not there changes nothing.
	_, purge := x.probe.Remove(ctx, key, "null")
	if x.versions && purge != nil {
		f := untested("to remove a version is refused, and without that each trial would leave one behind")
		f.Err = purge
		return f
	}
	marker, err := x.probe.Remove(ctx, key, "")
	if marker != "" {
		// The bucket has versions, and would not say so when asked.
		x.versions = true
		x.scratch.note(key)
		x.scratch.version(key, marker)
	}
	x.scratch.usable = err == nil && !x.locks && (!x.versions || purge == nil)
	switch {
	case err == nil:
		return fine("objects can be removed")
	case x.role == RoleDestination && errors.Is(err, ErrAccessDenied):
		f := untested("removing is refused, which a destination does not need; so nothing is written but an upload that is aborted")
		f.Err = err
		return f
	}
	return x.failed("removing an object", err)
}

// put writes an object, or as much of one as leaves no trace.
func (x *doctor) put(ctx context.Context) Finding {
	if !x.scratch.usable {
		return x.putNothing(ctx)
	}
	_, err := x.scratch.put(ctx, x.probe, "object", smallBody, bucket.Write{})
	if err != nil && !errors.Is(err, ErrAccessDenied) && !x.bucket.cfg.client.NoChecksums {
		bare := x.probe.WithoutChecksums()
		if _, again := x.scratch.put(ctx, bare, "object", smallBody, bucket.Write{}); again == nil {
			x.probe = bare
			x.wrote()
			return x.refusesChecksums("objects", err)
		}
	}
	if err != nil {
		return x.failed("writing an object", err)
	}
	x.wrote()
	return x.writtenEncryption(ctx)
}

// writtenEncryption tells whether objects get the encryption that is asked for:
// some servers ignore it without a word.
func (x *doctor) writtenEncryption(ctx context.Context) Finding {
	written := fine("objects can be written")
	mode := x.bucket.cfg.encryption.Mode
	if mode == "" {
		return written
	}
	a, f := x.head(ctx, "object")
	if f != nil || a.SSE == mode {
		return written // who may not read cannot know
	}
	return degraded("objects can be written, and the server does not say that it encrypts them by "+mode,
		"give the server its keys, or ask for no encryption: WithEncryption (sse)")
}

// wrote makes the first object the one that others look at.
func (x *doctor) wrote() {
	x.specimen = &specimen{key: x.scratch.key("object"), size: int64(len(smallBody)), body: smallBody}
}

// putNothing begins an upload and aborts it.
func (x *doctor) putNothing(ctx context.Context) Finding {
	if err := x.probe.MayAbort(ctx, x.absent()); err != nil {
		f := untested("nothing can be written without a trace")
		f.Err = err
		return f
	}
	if err := x.probe.TryUpload(ctx, x.scratch.key("upload"), smallBody, bucket.Write{}); err != nil {
		return x.failed("writing an object", err)
	}
	return fine("objects can be written, by an upload that was aborted")
}

// unwritten is the finding of a check that needs an object of its own.
func (x *doctor) unwritten() (Finding, bool) {
	if x.specimen != nil || x.scratch.usable && x.found[CheckPut].Verdict == VerdictOK {
		return Finding{}, false
	}
	return untested("no objects are written"), true
}

// head reads the headers of an object of our own. Who may not read gets a
// finding instead.
func (x *doctor) head(ctx context.Context, name string) (bucket.Attributes, *Finding) {
	a, err := x.probe.Head(ctx, x.scratch.key(name), bucket.Pin{})
	if err == nil {
		return a, nil
	}
	f := x.failed("reading the headers of an object", err)
	if errors.Is(err, ErrAccessDenied) && x.role == RoleDestination {
		f = untested("the server takes them; reading is refused, so that nothing can be compared")
		f.Err = err
	}
	return a, &f
}

// listWritten lists objects of our own in small pages. The order of their
// names is one that servers get wrong which sort by folders or ignore case.
func (x *doctor) listWritten(ctx context.Context) Finding {
	if f, skip := x.unwritten(); skip {
		return f
	}
	want := []string{"order/A", "order/a!", "order/a/x", "order/b"}
	for _, name := range []string{"order/b", "order/a/x", "order/A", "order/a!"} {
		if _, err := x.scratch.put(ctx, x.probe, name, nil, bucket.Write{}); err != nil {
			return x.failed("writing an object", err)
		}
	}
	folder := x.scratch.key("order/")
	page, err := x.probe.Page(ctx, folder, "", 3)
	keys := keysOf(page)
	for tries := 0; err == nil && page.More && tries < len(want); tries++ {
		page, err = x.probe.NextPage(ctx, page, folder, 3)
		keys = append(keys, keysOf(page)...)
	}
	for i := range want {
		want[i] = x.scratch.key(want[i])
	}
	switch {
	case err != nil:
		return x.failed("listing", err)
	case !slices.Equal(slices.Sorted(slices.Values(keys)), want):
		return broken(fmt.Sprintf("%d objects were written, %d are listed", len(want), len(keys)),
			"do not use this server: its listings are not complete").because(ErrListing)
	case !slices.Equal(keys, want):
		return x.disorder(keys)
	}
	after, err := x.probe.Page(ctx, folder, want[1], 1)
	switch {
	case err != nil:
		return x.failed("listing from a key on", err)
	case len(after.Entries) != 1 || after.Entries[0].Key != want[2]:
		return x.ignoresAfter()
	}
	return fine("keys come complete, in order of their bytes, from any key on")
}

// oddKeys are keys that S3 takes and that servers with a file system under
// them may not.
var oddKeys = []string{"a//b", "folder/", "key", "key/below", "plus+percent%2Fand&<é"}

// keys tells which keys cannot be restored.
func (x *doctor) keys(ctx context.Context) Finding {
	if f, skip := x.unwritten(); skip {
		return f
	}
	var refused, taken []string
	var cause error
	for _, name := range oddKeys {
		if _, err := x.scratch.put(ctx, x.probe, "keys/"+name, nil, bucket.Write{}); err != nil {
			refused, cause = append(refused, strconv.Quote(name)), err
		} else {
			taken = append(taken, name)
		}
	}
	var lost []string
	if page, err := x.probe.Page(ctx, x.scratch.key("keys/"), "", firstPage); err == nil {
		listed := keysOf(page)
		for _, name := range taken {
			if !slices.Contains(listed, x.scratch.key("keys/"+name)) {
				lost = append(lost, strconv.Quote(name))
			}
		}
	}
	return oddities(refused, lost, cause)
}

// oddities is the finding about keys that a server refuses, and those that it
// takes and does not list.
func oddities(refused, lost []string, cause error) Finding {
	var details, remedies []string
	if len(lost) > 0 {
		details = append(details, "the server takes keys such as "+strings.Join(lost, ", ")+" and does not list them")
		remedies = append(remedies, "do not restore objects with such keys to this server")
	}
	if len(refused) > 0 {
		details = append(details, "the server refuses keys such as "+strings.Join(refused, ", "))
		remedies = append(remedies, "objects with refused keys are reported, one by one")
	}
	if len(details) == 0 {
		return fine("keys that are not paths can be stored")
	}
	return degraded(strings.Join(details, "; "), strings.Join(remedies, "; ")).because(cause)
}

// verifiedWrites tells whether a server compares bytes with their checksum,
// and whether it keeps it.
func (x *doctor) verifiedWrites(ctx context.Context, kept string) Finding {
	const reads = "reads are checked by the number of bytes"
	if x.bucket.cfg.client.NoChecksums {
		return degraded("no checksums are sent, as the option says", checkedByETag+", "+reads)
	}
	if !x.probe.SendsChecksums() {
		return degraded("the server takes no checksums", checkedByETag+", "+reads)
	}
	key := x.scratch.key("damaged")
	x.scratch.note(key)
	refused, err := x.probe.PutDamaged(ctx, key)
	switch {
	case err != nil:
		return x.failed("writing an object with a checksum", err)
	case !refused:
		return degraded("the server takes bytes that do not match their checksum", checkedByETag)
	case kept == "":
		return degraded("the server verifies checksums and does not keep them", reads)
	}
	return fine("the server verifies checksums and keeps them (%s)", kept)
}

// metadata tells whether headers and user metadata come back.
func (x *doctor) metadata(ctx context.Context) Finding {
	if f, skip := x.unwritten(); skip {
		return f
	}
	sent := bucket.Attributes{
		ContentType: "text/x-s3kloset", CacheControl: "max-age=60", ContentDisposition: `attachment; filename="a b"`,
		ContentEncoding: "identity", ContentLanguage: "fr", Expires: "Thu, 01 Jan 2032 00:00:00 GMT",
		WebsiteRedirect: "/elsewhere", User: map[string]string{"s3kloset": "a  b"},
	}
	_, refused := x.scratch.put(ctx, x.probe, "metadata", nil, bucket.Write{Attributes: sent})
	if refused != nil {
		sent.WebsiteRedirect = "" // the header that most services do without
		_, err := x.scratch.put(ctx, x.probe, "metadata", nil, bucket.Write{Attributes: sent})
		if err != nil || errors.Is(refused, ErrAccessDenied) {
			return x.failed("writing an object with metadata", refused)
		}
	}
	got, f := x.head(ctx, "metadata")
	if f != nil {
		return *f
	}
	return lostMetadata(sent, got, refused)
}

// lostMetadata is the finding about what a server makes of metadata, after it
// has refused a redirect, if it has.
func lostMetadata(sent, got bucket.Attributes, refused error) Finding {
	var lost, details, remedies []string
	for _, h := range []struct{ name, sent, got string }{
		{"Content-Type", sent.ContentType, got.ContentType},
		{"Cache-Control", sent.CacheControl, got.CacheControl},
		{"Content-Disposition", sent.ContentDisposition, got.ContentDisposition},
		{"Content-Encoding", sent.ContentEncoding, got.ContentEncoding},
		{"Content-Language", sent.ContentLanguage, got.ContentLanguage},
		{"Expires", sent.Expires, got.Expires},
		{"x-amz-website-redirect-location", sent.WebsiteRedirect, got.WebsiteRedirect},
	} {
		if h.sent != h.got {
			lost = append(lost, h.name)
		}
	}
	if !maps.Equal(sent.User, got.User) {
		lost = append(lost, "x-amz-meta-*")
	}
	if refused != nil {
		details = append(details, "the server refuses website redirects")
		remedies = append(remedies, "objects that have one are reported, one by one")
	}
	if len(lost) > 0 {
		details = append(details, "the server changes or loses "+strings.Join(lost, ", "))
		remedies = append(remedies, "objects are restored without; their snapshots keep it")
	}
	if len(details) == 0 {
		return fine("headers and user metadata come back as they were")
	}
	return degraded(strings.Join(details, "; "), strings.Join(remedies, "; ")).because(refused)
}

// writtenTags tells whether an object can be written with its tags.
func (x *doctor) writtenTags(ctx context.Context) Finding {
	if f, skip := x.unwritten(); skip {
		return f
	}
	tags := map[string]string{"s3kloset": "a diagnosis"}
	_, err := x.scratch.put(ctx, x.probe, "tags", nil, bucket.Write{Tags: tags})
	switch {
	case errors.Is(err, ErrAccessDenied):
		f := x.refused("writing an object with tags", err)
		x.wasAllowed(&f, "s3:PutObject") // without tags
		return f
	case errors.Is(err, errors.ErrUnsupported):
		return degraded("the server has no tags", "objects are restored without them, each with a warning that is counted").because(err)
	case err != nil:
		return x.failed("writing an object with tags", err)
	}
	a, f := x.head(ctx, "tags")
	if f != nil {
		return *f
	}
	if a.TagCount == len(tags) {
		return fine("objects can be written with their tags")
	}
	if got, err := x.probe.Tags(ctx, x.scratch.key("tags"), bucket.Pin{}); err == nil && maps.Equal(got, tags) {
		return fine("objects can be written with their tags, which reads do not announce")
	}
	return degraded("the server takes tags and drops them", "objects are restored without; their snapshots keep them")
}

// lookedAt is what is done where conditions of writes are ignored.
const lookedAt = "what is there is looked at before a write; two writers at once are not told apart"

// conditional tells whether a write can be made to fail when there is an
// object.
func (x *doctor) conditional(ctx context.Context) Finding {
	if f, skip := x.unwritten(); skip {
		return f
	}
	if x.probe.Quirks().NoConditions {
		return degraded("the service ignores conditions of writes", lookedAt)
	}
	_, err := x.scratch.put(ctx, x.probe, "once", nil, bucket.Write{IfNoneMatch: true})
	if err == nil {
		_, err = x.scratch.put(ctx, x.probe, "once", smallBody, bucket.Write{IfNoneMatch: true})
	}
	detail := "the server writes over what is there, although it is told not to"
	switch {
	case errors.Is(err, ErrAlreadyExists):
		return fine("of two writers of one key, only the first succeeds")
	case errors.Is(err, errors.ErrUnsupported):
		detail = "the server has no conditional writes"
	case err != nil:
		return x.failed("writing on a condition", err)
	}
	return x.unconditional(detail).because(err)
}

// unconditional is the finding of a server that cannot keep a writer from
// replacing what another one has written.
func (x *doctor) unconditional(detail string) Finding {
	switch {
	case x.role == RoleStore:
		return degraded(detail, "a repository is looked for before one is made; two that are made at once are not told apart")
	case x.bucket.cfg.destination.overwrite == SkipExisting && x.probe.Adapts():
		return degraded(detail, lookedAt)
	case x.bucket.cfg.destination.overwrite == SkipExisting:
		return broken(detail, "use another policy than SkipExisting (overwrite=never) with this server")
	}
	return fine("%s, and this policy has no need of it", detail)
}

// multipart tells whether large objects can be written.
func (x *doctor) multipart(ctx context.Context) Finding {
	if err := x.probe.MayAbort(ctx, x.absent()); err != nil {
		return x.failed("aborting an upload", err)
	}
	if f, skip := x.unwritten(); skip {
		if put := x.found[CheckPut]; put.Verdict == VerdictOK {
			if f := x.uploads(ctx); f.Verdict != VerdictOK {
				return f
			}
			return fine("uploads can be begun and aborted")
		}
		return f
	}
	err := x.large(ctx, x.probe)
	if err == nil {
		return x.uploads(ctx)
	}
	if !errors.Is(err, ErrAccessDenied) && !x.bucket.cfg.client.NoChecksums && x.large(ctx, x.probe.WithoutChecksums()) == nil {
		return x.refusesChecksums("parts", err)
	}
	return x.failed("writing an object in parts", err)
}

// uploads tells whether a store finds those that were broken off: parts cost, and
// no other listing shows them.
func (x *doctor) uploads(ctx context.Context) Finding {
	if x.role != RoleStore {
		return fine("objects can be written in parts")
	}
	for _, err := range x.probe.Pending(ctx, x.bucket.key("")) {
		switch {
		case errors.Is(err, ErrAccessDenied):
			f := x.refused("listing uploads", err)
			f.Verdict, f.Remedy = VerdictDegraded, "what is left of uploads that were broken off stays; for Store.CleanUp to find it, "+f.Remedy
			return f
		case errors.Is(err, errors.ErrUnsupported):
			return degraded("uploads that were broken off cannot be listed", "Store.CleanUp finds none; let a lifecycle rule abort them").because(err)
		case err != nil:
			return x.failed("listing uploads", err)
		}
		break // there are some, and they can be seen
	}
	return fine("objects can be written in parts, and what is left of them found")
}

// large writes an object of two parts.
func (x *doctor) large(ctx context.Context, probe *bucket.Probe) error {
	body := bytes.Repeat([]byte{'x'}, bucket.MinPartSize+1)
	key := x.scratch.key("large")
	x.scratch.note(key)
	written, err := probe.Upload(ctx, key, bytes.NewReader(body), int64(len(body)), x.scratch.encrypted(bucket.Write{PartSize: bucket.MinPartSize}))
	if err == nil {
		x.scratch.version(key, written.VersionID)
	}
	return err
}

// writtenClass tells whether the target takes the storage class that is asked
// for.
func (x *doctor) writtenClass(ctx context.Context) Finding {
	class := x.bucket.cfg.store.storageClass
	if x.role == RoleDestination {
		class = x.bucket.cfg.destination.storageClass
	}
	if class == "" {
		return fine("no class is asked for")
	}
	if f, skip := x.unwritten(); skip {
		return f
	}
	_, err := x.scratch.put(ctx, x.probe, "class", nil, bucket.Write{Attributes: bucket.Attributes{StorageClass: class}})
	var failed *OpError
	switch {
	case errors.Is(err, ErrStorageClass), errors.As(err, &failed) && failed.Status == http.StatusBadRequest:
		return broken("the server refuses the class "+class, "ask for another class, or for none: WithStorageClass (storage_class)").because(err)
	case err != nil:
		return x.failed("writing an object of the class "+class, err)
	}
	a, f := x.head(ctx, "class")
	if f != nil {
		return *f
	}
	if a.StorageClass != class && (class != "STANDARD" || a.StorageClass != "") {
		return degraded("the server takes the class "+class+" and does not say that it keeps it", "objects are in whatever class it has")
	}
	return fine("objects are kept in the class %s", class)
}
