package s3kloset

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/s3kloset/s3kloset/internal/bucket"
)

// DifferenceKind names what differs. The set grows with new versions.
type DifferenceKind string

// The kinds of differences between a snapshot and a bucket.
const (
	// DiffMissing is an object of the snapshot that the bucket does not have.
	DiffMissing DifferenceKind = "missing"
	// DiffExtra is an object of the bucket that the snapshot does not have.
	DiffExtra DifferenceKind = "extra"
	// DiffSize is another number of bytes.
	DiffSize DifferenceKind = "size"
	// DiffETag is another ETag. Objects that were uploaded in other parts
	// differ in it while their bytes are the same.
	DiffETag DifferenceKind = "etag"
	// DiffClass is another storage class.
	DiffClass DifferenceKind = "class"
	// DiffMetadata is a header, or an entry of the user metadata, with
	// another value, or that one side does not have.
	DiffMetadata DifferenceKind = "metadata"
	// DiffTags is the same for a tag.
	DiffTags DifferenceKind = "tags"
	// DiffContent is other bytes.
	DiffContent DifferenceKind = "content"
	// DiffUnread is no difference but a warning, what WarnTags is in a backup:
	// the Property "tags" was not compared, because these credentials may not
	// read it. All else of the object was.
	DiffUnread DifferenceKind = "unread"
)

// Difference is one way in which an object of a bucket is not what it is in a
// snapshot.
type Difference struct {
	Key      string         `json:"key"` // in the bucket
	Kind     DifferenceKind `json:"kind"`
	Property string         `json:"property,omitempty"` // a header, meta.NAME, or the key of a tag; tags for DiffUnread
	Snapshot string         `json:"snapshot,omitempty"` // what the snapshot has; "" for nothing
	Bucket   string         `json:"bucket,omitempty"`   // what the bucket has
}

// String is a line for people.
func (d Difference) String() string {
	text := fmt.Sprintf("%q: %s", d.Key, d.Kind)
	if d.Property != "" {
		text += " " + d.Property
	}
	if d.Snapshot != "" || d.Bucket != "" {
		text += fmt.Sprintf(": %q in the snapshot, %q in the bucket", d.Snapshot, d.Bucket)
	}
	return text
}

// differ collects the differences of one object.
type differ struct {
	key   string
	found []Difference
}

func (d *differ) compare(kind DifferenceKind, property, snapshot, bucket string) {
	if snapshot != bucket {
		d.found = append(d.found, Difference{Key: d.key, Kind: kind, Property: property, Snapshot: snapshot, Bucket: bucket})
	}
}

// entry compares what a listing tells. Only sources of this package keep more
// than the size; a server that tells no ETag differs in none.
func (d *differ) entry(size int64, meta Metadata, known bool, live bucket.Entry) {
	d.compare(DiffSize, "", strconv.FormatInt(size, 10), strconv.FormatInt(live.Size, 10))
	if !known {
		return
	}
	if meta.ETag != "" && live.ETag != "" {
		d.compare(DiffETag, "", meta.ETag, live.ETag)
	}
	d.compare(DiffClass, "", className(meta.StorageClass), className(live.StorageClass))
}

func className(class string) string {
	if class == "" {
		return "STANDARD"
	}
	return class
}

// comparedHeaders are the properties that a restore brings back as they were.
// Identity, encryption and locks are not among them: they are another bucket's
// own.
var comparedHeaders = []string{
	"s3.content-type", "s3.cache-control", "s3.content-disposition", "s3.content-encoding", "s3.content-language",
	"s3.expires", "s3.website-redirect",
}

func (d *differ) metadata(meta, live Metadata) {
	for _, name := range comparedHeaders {
		field := textAttributes[name]
		d.compare(DiffMetadata, strings.TrimPrefix(name, attributePrefix), *field(&meta), *field(&live))
	}
	d.entries(DiffMetadata, "meta.", meta.User, live.User)
}

func (d *differ) tags(tags, live map[string]string) { d.entries(DiffTags, "", tags, live) }

// unread says that tags were not compared.
func (d *differ) unread() {
	d.found = append(d.found, Difference{Key: d.key, Kind: DiffUnread, Property: "tags"})
}

func (d *differ) entries(kind DifferenceKind, prefix string, snapshot, live map[string]string) {
	names := make(map[string]bool)
	for name := range snapshot {
		names[name] = true
	}
	for name := range live {
		names[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		was, had := snapshot[name]
		is, has := live[name]
		if was != is || had != has {
			d.found = append(d.found, Difference{Key: d.key, Kind: kind, Property: prefix + name, Snapshot: was, Bucket: is})
		}
	}
}
