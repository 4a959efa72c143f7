package s3kloset

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"

	"github.com/s3kloset/s3kloset/internal/bucket"
	"github.com/s3kloset/s3kloset/internal/metacache"
)

// WithMetadataCache makes a Source remember, in a folder, the metadata of the
// objects that it has sent, in one file for each location. Objects that the
// listing shows unchanged then need no request of their own, besides what the
// tag policy asks for. A Repository gives the same to a Source by itself; this
// is for programs in which the Source does not see the previous snapshot, as
// the plugin of plakar.
//
// The folder is created. It may be shared by several processes, and deleted at
// any time. A file that is missing, damaged, or of another version is as good
// as none, and one that cannot be written is logged. The default is no cache.
func WithMetadataCache(dir string) Option {
	return func(c *config) error {
		if dir == "" {
			return invalid("metadata_cache", "it is empty")
		}
		c.source.cache = dir
		return nil
	}
}

// recollection is what a walk knows of objects before it asks the server: from
// the previous snapshot, from the cache on disk, or nothing.
type recollection struct {
	snapshot baseline
	cache    *metacache.Reader
	next     *metacache.Writer // the cache that this walk writes
}

// recollect opens what is known of a location. Whoever calls it calls close.
func (s *Source) recollect(previous baseline) recollection {
	r := recollection{snapshot: previous}
	if s.bucket.cfg.source.cache != "" && previous == nil {
		r.cache = metacache.Open(s.bucket.cachePath(), compareKeys)
	}
	return r
}

// cachePath is the file of a location. Whether tags are in it belongs to its
// name: entries without them must not be taken for objects without them.
func (b *Bucket) cachePath() string {
	sum := sha256.New()
	for _, s := range []string{b.origin(), b.location.prefix, fmt.Sprint(b.cfg.source.tags == TagsNever)} {
		fmt.Fprintf(sum, "%d:%s", len(s), s)
	}
	return filepath.Join(b.cfg.source.cache, hex.EncodeToString(sum.Sum(nil)[:16])+".s3meta")
}

// rewrite begins the cache for the next run. Without one the next run is
// slower, which is no reason to fail this one.
func (r *recollection) rewrite(b *Bucket) {
	if b.cfg.source.cache == "" {
		return
	}
	next, err := metacache.Create(b.cachePath())
	if err != nil {
		b.cfg.client.Logger.Warn("metadata cache cannot be written", "error", err)
		return
	}
	r.next = next
}

// recall returns the metadata of an object that the listing shows unchanged.
// Without a snapshot, keys must come in the order of a folderDecider.
func (r *recollection) recall(entry bucket.Entry, path string) (Metadata, bool) {
	if entry.ETag == "" {
		return Metadata{}, false
	}
	attributes, found := r.lookup(entry, path)
	if !found || !ours(attributes) {
		return Metadata{}, false
	}
	meta, err := ParseMetadata(attributes)
	return meta, err == nil && meta.ETag == entry.ETag && meta.StorageClass == entry.StorageClass
}

func (r *recollection) lookup(entry bucket.Entry, path string) ([]string, bool) {
	if r.snapshot != nil {
		info, attributes, found := r.snapshot.lookup(path)
		return attributes, found && info.Size() == entry.Size && info.ModTime().Equal(entry.LastModified)
	}
	if r.cache == nil {
		return nil, false
	}
	known, found := r.cache.Find(entry.Key)
	if !found || known.Size != entry.Size || !known.Modified.Equal(entry.LastModified) {
		return nil, false
	}
	return known.Attributes, true
}

// remember notes what was sent of an object, in the order of a folderDecider.
func (r *recollection) remember(o *object) {
	if r.next != nil {
		r.next.Add(&metacache.Entry{
			Key: o.entry.Key, Size: o.entry.Size, Modified: o.entry.LastModified, Attributes: o.meta.Attributes(),
		})
	}
}

// close ends the use of what was known, and makes what was remembered the
// knowledge of the next run, if this one is complete.
func (r *recollection) close(b *Bucket, complete bool) {
	if r.cache != nil {
		r.cache.Close()
	}
	switch {
	case r.next == nil:
	case !complete:
		r.next.Discard()
	default:
		if err := r.next.Commit(); err != nil {
			b.cfg.client.Logger.Warn("metadata cache was not written", "error", err)
		}
	}
}
