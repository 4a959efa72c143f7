package s3kloset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/PlakarKorp/kloset/connectors"
	"github.com/s3kloset/s3kloset/internal/bucket"
)

// delivery is a body on its way to becoming an object. run enters it once in
// the accounts, whatever happens.
type delivery struct {
	export *export
	key    string
	meta   Metadata
	body   io.Reader
	size   int64
	cut    cut
}

// deliver finds the key and the metadata of a record. Only records of a Source
// have escaped paths; all others are literal.
func (e *export) deliver(record *connectors.Record) (*delivery, error) {
	if record.Err != nil {
		return nil, record.Err
	}
	d := &delivery{export: e, size: record.FileInfo.Size()}
	var err error
	prefix := e.destination.bucket.location.prefix
	if ours(record.ExtendedAttributes) {
		if d.key, err = keyOfPath(prefix, record.Pathname); err == nil {
			d.meta, err = ParseMetadata(record.ExtendedAttributes)
		}
	} else {
		d.key, err = literalKey(prefix, record.Pathname)
	}
	if err != nil {
		return nil, err
	}
	if record.Reader == nil {
		return nil, fmt.Errorf("%w: record has no body", ErrBody)
	}
	d.body = record.Reader
	return d, nil
}

// marker is the empty object that stands for an empty folder.
func (e *export) marker(folder string) (*delivery, error) {
	key, err := literalKey(e.destination.bucket.location.prefix, folder)
	return &delivery{export: e, key: key + "/", body: bytes.NewReader(nil)}, err
}

// fate is what became of an object that did not fail.
type fate int

const (
	stored fate = iota
	unchanged
	skipped
)

// run writes the object, unless the policy leaves alone what is there, and
// enters what became of it.
func (d *delivery) run(ctx context.Context) error {
	fate, err := d.place(ctx)
	switch ledger := d.export.ledger; {
	case err != nil:
		ledger.failed(d.key, err)
	case fate == unchanged:
		ledger.unchanged()
	case fate == skipped:
		ledger.skipped()
	default:
		ledger.stored(d.size)
	}
	return err
}

func (d *delivery) place(ctx context.Context) (fate, error) {
	fate, err := d.look(ctx)
	if fate != stored || err != nil {
		return fate, err
	}
	over := d.meta.limits()
	if len(over) > 0 {
		d.warn(WarnMetadata)
	}
	target := d.export.destination.bucket
	d.cut = d.cutting(target.cfg)
	written, err := target.client.Upload(ctx, d.key, d.body, d.size, d.write(target.cfg))
	switch {
	case errors.Is(err, ErrAlreadyExists) && d.policy() == SkipExisting:
		return skipped, nil
	case errors.Is(err, ErrMetadata) && len(over) > 0:
		return stored, fmt.Errorf("%w (%w)", err, errors.Join(over...))
	case err != nil:
		return stored, err
	}
	d.compare(written)
	return stored, nil
}

func (d *delivery) policy() OverwritePolicy {
	return d.export.destination.bucket.cfg.destination.overwrite
}

func (d *delivery) warn(kind WarningKind) { d.export.ledger.warn(kind, d.key) }

// look applies the policies that look before they write, and spare the body.
func (d *delivery) look(ctx context.Context) (fate, error) {
	policy := d.policy()
	if policy == Overwrite || policy == OverwriteIfDifferent && d.meta.ETag == "" {
		return stored, nil
	}
	there, err := d.export.destination.bucket.client.Head(ctx, d.key, bucket.Pin{})
	switch {
	case errors.Is(err, ErrNotFound):
		return stored, nil
	case errors.Is(err, ErrAccessDenied) && policy == SkipExisting:
		return stored, nil // the condition of the write asks once more
	case err != nil:
		return stored, err
	case policy == SkipExisting:
		return skipped, nil
	case there.ETag == d.meta.ETag && there.Size == d.size:
		return unchanged, nil
	}
	return stored, nil
}

// compare notes in what the object differs from the one that it was.
func (d *delivery) compare(written bucket.Written) {
	if refused := written.ClassRefused; refused != "" {
		d.export.refused.Store(refused, true)
		d.warn(WarnStorageClass)
	}
	if written.TagsRefused {
		d.export.tagless.Store(true)
		d.warn(WarnTags)
	}
	if d.meta.ETag == "" {
		return // it was none
	}
	asked := d.export.destination.bucket.cfg.destination.sourceParts
	if !d.cut.same {
		if asked && written.ETag != d.meta.ETag {
			d.warn(WarnETag)
		}
		return
	}
	opaque := written.OpaqueETag || strings.HasPrefix(d.meta.Encryption.Mode, "aws:kms")
	if !opaque && bucket.DifferentMD5(d.meta.ETag, written.ETag) {
		d.warn(WarnETag)
	}
}

// write says how the object is stored.
func (d *delivery) write(cfg *config) bucket.Write {
	meta := d.meta
	w := bucket.Write{
		Attributes: bucket.Attributes{
			ContentType: meta.ContentType, CacheControl: meta.CacheControl, ContentDisposition: meta.ContentDisposition,
			ContentEncoding: meta.ContentEncoding, ContentLanguage: meta.ContentLanguage,
			Expires: meta.Expires, WebsiteRedirect: meta.WebsiteRedirect,
			User: meta.User, StorageClass: d.class(cfg),
		},
		Tags:          d.tags(),
		Expect:        d.expected(),
		IfNoneMatch:   cfg.destination.overwrite == SkipExisting,
		Guards:        true,
		ClassFallback: cfg.destination.storageClass == "",
		TagFallback:   true,
		InParts:       d.cut.inParts,
		PartSize:      d.cut.size,
		Parallel:      cfg.concurrency,
		Memory:        d.export.memory,
	}
	w.SSE, w.KMSKeyID, w.BucketKey = cfg.encryption.Mode, cfg.encryption.KMSKeyID, cfg.encryption.BucketKey
	if cfg.destination.encryption && meta.Encryption.Mode != "" {
		w.SSE, w.KMSKeyID, w.BucketKey = meta.Encryption.Mode, meta.Encryption.KMSKeyID, meta.Encryption.BucketKey
	}
	if cfg.destination.lock {
		if meta.Lock.Until.After(time.Now()) {
			w.LockMode, w.LockUntil = meta.Lock.Mode, meta.Lock.Until
		}
		if meta.Lock.LegalHold {
			w.LegalHold = "ON"
		}
	}
	return w
}

// class is the storage class to ask for. One that was refused before is not
// asked for again.
func (d *delivery) class(cfg *config) string {
	if class := cfg.destination.storageClass; class != "" {
		return class
	}
	if _, refused := d.export.refused.Load(d.meta.StorageClass); refused {
		d.warn(WarnStorageClass)
		return ""
	}
	return d.meta.StorageClass
}

// tags are those to ask for: none where the target has shown that it has none.
func (d *delivery) tags() map[string]string {
	if len(d.meta.Tags) > 0 && d.export.tagless.Load() {
		d.warn(WarnTags)
		return nil
	}
	return d.meta.Tags
}

// expected is the checksum that the bytes must have: one over all of them, or
// one over the checksums of the parts.
func (d *delivery) expected() (expect bucket.Checksum) {
	for _, sum := range d.meta.Checksums {
		switch sum := bucket.Checksum(sum); {
		case sum.Computable():
			return sum
		case sum.Composite:
			expect = sum
		}
	}
	return expect
}
