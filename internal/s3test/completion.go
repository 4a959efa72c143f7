package s3test

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/xml"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// completion is the body of CompleteMultipartUpload.
type completion struct {
	Parts []completedPart `xml:"Part"`
}

type completedPart struct {
	PartNumber int
	ETag       string
	Checksums  []checksumElement `xml:",any"`
}

// sums tells whether checksums of parts are listed.
func (c completion) sums() bool {
	return slices.ContainsFunc(c.Parts, func(p completedPart) bool { return len(p.Checksums) > 0 })
}

type checksumElement struct {
	XMLName xml.Name
	Value   string `xml:",chardata"`
}

func (x *exchange) completeMultipartUpload() error {
	condition, err := x.writeCondition()
	if err != nil {
		return err
	}
	release, err := x.bucket.beginWrite(x.key, condition)
	if err != nil {
		return err
	}
	defer release()
	whole, err := declaredChecksum(x.r.Header)
	if err != nil {
		return err
	}
	// The checksum header of this operation is the object's, not the document's.
	if whole.algorithm != nil {
		x.r.Header.Del(whole.header())
	}
	body, err := x.readDocument()
	if err != nil {
		return err
	}
	var wanted completion
	if err := parseXML(body, "CompleteMultipartUpload", &wanted); err != nil {
		return err
	}
	if !x.server.settings.has(CompletionSums) && wanted.sums() {
		return failure("MalformedXML")
	}
	v, err := x.complete(wanted, whole, condition)
	if err != nil {
		return err
	}
	x.setVersionID(v)
	x.setEncryption(v.Properties)
	etag := v.quotedETag()
	if !x.server.settings.has(CompletionETags) {
		etag = ""
	}
	return x.sendXML(newDocument("CompleteMultipartUploadResult", func(d *document) {
		d.text("Location", "http://"+x.r.Host+"/"+x.bucket.name+"/"+encodeKey(x.key))
		d.text("Bucket", x.bucket.name)
		d.text("Key", x.key)
		d.text("ETag", etag)
		v.checksum.elements(d)
	}))
}

// complete turns the upload into an object. Assembling happens outside of the lock; the upload is looked up again
// when the object is put in its place.
func (x *exchange) complete(wanted completion, whole checksum, condition writeCondition) (*version, error) {
	u, parts, finished, err := x.snapshotUpload()
	if err != nil {
		return nil, err
	}
	if finished != nil {
		return x.repeatCompletion(finished, wanted, condition)
	}
	if err := x.checkUploadType(u); err != nil {
		return nil, err
	}
	if err := x.checkUploadKey(u); err != nil {
		return nil, err
	}
	chosen, err := u.choose(parts, wanted, x.server.settings.minPartSize)
	if err != nil {
		return nil, err
	}
	v, err := x.assemble(u, chosen, whole)
	if err != nil {
		return nil, err
	}
	return v, x.finish(u, v, condition)
}

func (x *exchange) snapshotUpload() (u *upload, parts map[int]*part, finished *version, err error) {
	b := x.bucket
	b.mu.RLock()
	defer b.mu.RUnlock()
	if v := b.finished.versions[x.query.Get("uploadId")]; v != nil {
		return nil, nil, v, nil
	}
	if u, err = x.upload(); err != nil {
		return nil, nil, nil, err
	}
	return u, maps.Clone(u.parts), nil, nil
}

// repeatCompletion answers a Complete that succeeded before: the answer may have been lost.
func (x *exchange) repeatCompletion(v *version, wanted completion, condition writeCondition) (*version, error) {
	b := x.bucket
	b.mu.RLock()
	defer b.mu.RUnlock()
	current := b.current(x.key)
	if current == nil || current.id != v.id || current.etag != v.etag || len(wanted.Parts) != len(v.parts) {
		return nil, failure("NoSuchUpload").with("UploadId", x.query.Get("uploadId"))
	}
	return v, condition.check(current)
}

func (x *exchange) checkUploadType(u *upload) error {
	kind := strings.ToUpper(x.header("X-Amz-Checksum-Type"))
	if kind != "" && u.kind != "" && kind != u.kind {
		return failuref("InvalidRequest", "The upload was created using the %s checksum mode. The complete request must use the same checksum mode.", u.kind)
	}
	return nil
}

// checkUploadKey demands the key of SSE-C again, as AWS does for parts with checksums, and MinIO for all.
func (x *exchange) checkUploadKey(u *upload) error {
	if u.properties.CustomerKeyMD5 == "" {
		return nil
	}
	return x.checkCustomerKey(u.properties)
}

func (x *exchange) assemble(u *upload, parts []*part, whole checksum) (*version, error) {
	v := &version{modified: u.initiated, illegible: u.illegible, Properties: u.properties}
	v.join(parts)
	if v.content.size > maxObjectSize {
		return nil, failure("EntityTooLarge")
	}
	if size := x.header("X-Amz-Mp-Object-Size"); size != "" && size != strconv.FormatInt(v.content.size, 10) {
		return nil, failuref("InvalidRequest", "The provided 'x-amz-mp-object-size' header value %s does not match what was computed: %d", size, v.content.size)
	}
	v.checksum = u.wholeChecksum(v, parts)
	if u.algorithm == nil {
		x.server.addDefaultChecksum(v)
	}
	v.disguiseETag(x.server.settings.has(MD5ETags))
	return v, x.checkWhole(whole, v)
}

// join makes one content and one entity tag of the parts.
func (v *version) join(parts []*part) {
	tags := md5.New()
	for _, p := range parts {
		tags.Write(p.md5[:])
		v.parts = append(v.parts, storedPart{p.number, v.content.size, p.content.size, p.checksum})
		v.content.append(p.content)
	}
	v.etag = hex.EncodeToString(tags.Sum(nil)) + "-" + itoa(len(parts))
}

// checkWhole compares the object's checksum with the one that the client computed.
func (x *exchange) checkWhole(whole checksum, v *version) error {
	if whole.algorithm == nil {
		return nil
	}
	computed := v.checksum
	if computed.algorithm != whole.algorithm {
		computed = fullChecksum(whole.algorithm, v.content)
	}
	bare, _, _ := strings.Cut(computed.value, "-")
	if whole.value != computed.value && whole.value != bare {
		return failuref("BadDigest", "The %s you specified did not match the calculated checksum.", strings.ToLower(whole.name))
	}
	return nil
}

// finish puts the object in its place and ends the upload, or does neither.
func (x *exchange) finish(u *upload, v *version, condition writeCondition) error {
	b := x.bucket
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.uploads[u.id] != u {
		return failure("NoSuchUpload").with("UploadId", u.id)
	}
	if err := b.storeLocked(u.key, v, condition); err != nil {
		return err
	}
	delete(b.uploads, u.id)
	b.finished.add(u.id, v)
	return nil
}
