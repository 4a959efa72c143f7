package s3test

import (
	"maps"
	"slices"
	"time"
)

// Object is an object version or a delete marker as the bucket keeps it. It is a copy but for Body, which must not be
// changed.
type Object struct {
	Key          string
	Body         []byte
	ETag         string // without quotes
	VersionID    string // "null" where versioning was not enabled
	LastModified time.Time
	Checksum     Checksum
	PartSizes    []int64 // of a multipart object
	Marker       bool    // a delete marker: it has nothing but a key, a version and a time
	Properties
}

// Checksum is the checksum of a stored object; the zero value is none.
type Checksum struct {
	Algorithm string // such as "CRC32"
	Value     string // base64, with "-N" if composite
	Type      string // "FULL_OBJECT" or "COMPOSITE"
}

// object is the public form of a version. The bucket's lock is held, or the version cannot change.
func (b *Bucket) object(key string, v *version) Object {
	o := Object{
		Key: key, Body: v.content.bytes(), ETag: v.etag, VersionID: v.id, LastModified: v.modified, Marker: v.marker,
	}
	if v.checksum.algorithm != nil {
		o.Checksum = Checksum{v.checksum.name, v.checksum.value, v.checksum.kind}
	}
	for _, p := range v.parts {
		o.PartSizes = append(o.PartSizes, p.size)
	}
	if v.marker {
		return o
	}
	o.Properties = *v.Properties.clone()
	for name, value := range o.Metadata {
		o.Metadata[name] = b.server.settings.metadataStyle.decode(value)
	}
	return o
}

// Get returns the current version of an object. There is none if the newest version is a delete marker.
func (b *Bucket) Get(key string) (Object, bool) {
	b.mu.RLock()
	v := b.current(key)
	b.mu.RUnlock()
	if v == nil {
		return Object{}, false
	}
	return b.object(key, v), true
}

// Delete removes an object as a client would: in a bucket with versions it adds a delete marker.
func (b *Bucket) Delete(key string) {
	// Without an id and a condition nothing can refuse it.
	b.remove(key, "", writeCondition{}, true)
}

// DeleteVersion removes one version for good, locked or not.
func (b *Bucket) DeleteVersion(key, id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.index.get(key)
	if e == nil {
		return
	}
	e.versions = slices.DeleteFunc(e.versions, func(v *version) bool { return v.id == id })
	if len(e.versions) == 0 {
		b.index.remove(key)
	}
}

// SetTags changes the tags of the current version. It panics if there is none.
func (b *Bucket) SetTags(key string, tags map[string]string) {
	b.mustUpdate(key, func(v *version) {
		if v.Tags = maps.Clone(tags); len(tags) == 0 {
			v.Tags = nil
		}
	})
}

func (b *Bucket) mustUpdate(key string, change func(*version)) {
	_, err := b.update(key, "", func(v *version) error {
		change(v)
		return nil
	})
	if err != nil {
		panic("s3test: " + err.Error())
	}
}

// Len returns how many keys the bucket has, those hidden by delete markers included.
func (b *Bucket) Len() int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.index.count
}

// Keys returns the keys of all current objects, in byte order.
func (b *Bucket) Keys() []string {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var keys []string
	for e := range b.index.all() {
		if !e.latest().marker {
			keys = append(keys, e.key)
		}
	}
	return keys
}

// Dump returns all current objects in byte order of their keys, to compare two buckets.
func (b *Bucket) Dump() []Object {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var objects []Object
	for e := range b.index.all() {
		if v := e.latest(); !v.marker {
			objects = append(objects, b.object(e.key, v))
		}
	}
	return objects
}

// Versions returns all versions and delete markers, by key in byte order and newest first.
func (b *Bucket) Versions() []Object {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var objects []Object
	for e := range b.index.all() {
		for _, v := range slices.Backward(e.versions) {
			objects = append(objects, b.object(e.key, v))
		}
	}
	return objects
}
