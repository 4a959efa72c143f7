package s3test

import (
	"encoding/binary"
	"encoding/hex"
	"math/bits"
	"math/rand/v2"
	"slices"
	"time"
)

const (
	nullVersion         = "null"
	versioningEnabled   = "Enabled"
	versioningSuspended = "Suspended"
)

// version is one version of an object, or a delete marker. It is never changed once it is in a bucket: an update puts
// a changed copy in its place, so that readers need no lock.
type version struct {
	id       string
	serial   uint64 // order of arrival
	marker   bool
	modified time.Time // whole seconds
	content  content
	etag     string // without quotes
	checksum checksum
	parts    []storedPart // of a multipart object
	restore  restoration
	// illegible is what Ceph makes of the tags of an upload: they count as none, and whoever asks for them gets nothing.
	illegible bool
	*Properties
}

// storedPart is what remains of a part when its upload is complete.
type storedPart struct {
	number   int
	offset   int64
	size     int64
	checksum checksum
}

func (v *version) quotedETag() string { return `"` + v.etag + `"` }

// newVersionID makes an id that tells the version's age to the server, and nothing to its clients.
func newVersionID(serial uint64) string {
	salt := rand.Uint64()
	id := binary.BigEndian.AppendUint64(nil, salt)
	return hex.EncodeToString(binary.BigEndian.AppendUint64(id, serial^scramble(salt)))
}

// versionSerial is what newVersionID was told.
func versionSerial(id string) (serial uint64, ok bool) {
	raw, err := hex.DecodeString(id)
	if err != nil || len(raw) != 16 {
		return 0, false
	}
	return binary.BigEndian.Uint64(raw[8:]) ^ scramble(binary.BigEndian.Uint64(raw)), true
}

// scramble makes the halves of an id look unrelated.
func scramble(salt uint64) uint64 { return bits.RotateLeft64(salt*0x9e3779b97f4a7c15, 31) }

// current is the newest version of a key, or nil if there is none or it is a marker. The bucket's lock is held.
func (b *Bucket) current(key string) *version {
	e := b.index.get(key)
	if e == nil || e.latest().marker {
		return nil
	}
	return e.latest()
}

// store makes v the newest version of key, if the condition holds at this moment.
func (b *Bucket) store(key string, v *version, c writeCondition) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.storeLocked(key, v, c)
}

func (b *Bucket) storeLocked(key string, v *version, c writeCondition) error {
	if b.gone {
		return failure("NoSuchBucket").with("BucketName", b.name)
	}
	if err := c.check(b.current(key)); err != nil {
		return err
	}
	if err := b.lock.apply(v, b.server.now()); err != nil {
		return err
	}
	b.insert(key, v)
	return nil
}

// insert makes v the newest version of key. Without versioning it replaces the null version.
func (b *Bucket) insert(key string, v *version) {
	e := b.index.ensure(key)
	v.serial = b.server.serial.Add(1)
	v.id = newVersionID(v.serial)
	if b.versioning != versioningEnabled {
		v.id = nullVersion
		e.versions = slices.DeleteFunc(e.versions, func(old *version) bool { return old.id == nullVersion })
	}
	e.versions = append(e.versions, v)
}

// find returns the version that a request names: the newest one if id is "".
func (b *Bucket) find(key, id string) (*version, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.findLocked(key, id)
}

func (b *Bucket) findLocked(key, id string) (*version, error) {
	e := b.index.get(key)
	if id == "" {
		return newest(e, key)
	}
	if e != nil {
		for _, v := range e.versions {
			if v.id == id {
				return v, nil
			}
		}
	}
	return nil, failure("NoSuchVersion").with("Key", key).with("VersionId", id)
}

func newest(e *entry, key string) (*version, error) {
	if e == nil {
		return nil, failure("NoSuchKey").with("Key", key)
	}
	v := e.latest()
	if v.marker {
		return nil, failure("NoSuchKey").with("Key", key).
			withHeader("x-amz-delete-marker", "true").
			withHeader("x-amz-version-id", v.id)
	}
	return v, nil
}

// update puts a copy of the version, changed by change, in its place.
func (b *Bucket) update(key, id string, change func(*version) error) (*version, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	old, err := b.findObject(key, id)
	if err != nil {
		return nil, err
	}
	changed := *old
	properties := *old.Properties
	changed.Properties = &properties
	if err := change(&changed); err != nil {
		return nil, err
	}
	e := b.index.get(key)
	e.versions[slices.Index(e.versions, old)] = &changed
	return &changed, nil
}

// findObject is findLocked for operations that cannot have a delete marker.
func (b *Bucket) findObject(key, id string) (*version, error) {
	v, err := b.findLocked(key, id)
	if err != nil {
		return nil, err
	}
	if v.marker {
		return nil, markerRefusal(v)
	}
	return v, nil
}

func markerRefusal(v *version) error {
	return failure("MethodNotAllowed").with("Method", "GET").with("ResourceType", "DeleteMarker").
		withHeader("Allow", "DELETE").
		withHeader("x-amz-delete-marker", "true").
		withHeader("Last-Modified", v.modified.Format(httpTime))
}

// deletion is what came of a delete.
type deletion struct {
	id     string // of the version that was removed or of the marker that was added; "" without versioning
	marker bool   // a marker was added or removed
}

// remove deletes as DeleteObject does: without an id it hides a versioned key behind a marker, with one it removes
// that version for good. What is not there is deleted already.
func (b *Bucket) remove(key, id string, c writeCondition, bypass bool) (deletion, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := c.checkDelete(b.current(key)); err != nil {
		return deletion{}, err
	}
	if id != "" {
		return b.removeVersion(key, id, bypass)
	}
	if b.versioning == "" {
		b.index.remove(key)
		return deletion{}, nil
	}
	v := &version{marker: true, modified: b.server.now(), Properties: new(Properties)}
	b.insert(key, v)
	return deletion{v.id, true}, nil
}

func (b *Bucket) removeVersion(key, id string, bypass bool) (deletion, error) {
	done := deletion{id: id}
	e := b.index.get(key)
	if e == nil {
		return done, nil
	}
	i := slices.IndexFunc(e.versions, func(v *version) bool { return v.id == id })
	if i < 0 {
		return done, nil
	}
	v := e.versions[i]
	if err := v.checkUnlocked(b.server.now(), bypass); err != nil {
		return done, err
	}
	done.marker = v.marker
	if e.versions = slices.Delete(e.versions, i, i+1); len(e.versions) == 0 {
		b.index.remove(key)
	}
	return done, nil
}
