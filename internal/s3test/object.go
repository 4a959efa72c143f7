package s3test

import (
	"net/http"
	"strconv"
	"strings"
)

// httpTime is http.TimeFormat, which wants UTC.
const httpTime = http.TimeFormat

func (x *exchange) putObject() error {
	condition, err := x.writeCondition()
	if err != nil {
		return err
	}
	release, err := x.bucket.beginWrite(x.key, condition)
	if err != nil {
		return err
	}
	defer release()
	properties, err := x.properties()
	if err != nil {
		return err
	}
	p, err := x.readPayload(maxBodySize)
	if err != nil {
		return err
	}
	if err := x.checkProven(properties, p); err != nil {
		return err
	}
	v := &version{
		modified: x.server.now(), content: p.content, etag: hexMD5(p.md5), checksum: p.checksum, Properties: properties,
	}
	x.server.addDefaultChecksum(v)
	v.disguiseETag(x.server.settings.has(MD5ETags))
	if err := x.bucket.store(x.key, v, condition); err != nil {
		return err
	}
	x.setHeader("ETag", v.quotedETag())
	v.checksum.set(x.w.Header())
	x.setVersionID(v)
	x.setEncryption(v.Properties)
	return x.sendNothing(http.StatusOK)
}

func (s *Server) addDefaultChecksum(v *version) {
	if v.checksum.algorithm == nil && s.settings.defaultChecksum {
		v.checksum = fullChecksum(crc64NVME, v.content)
	}
}

// setVersionID names the version of an answer to a write: only buckets with versioning enabled have names to tell.
func (x *exchange) setVersionID(v *version) {
	if v.id != nullVersion {
		x.setHeader("x-amz-version-id", v.id)
	}
}

// version is the object version that the request names.
func (x *exchange) version() (*version, error) {
	id, err := x.versionID()
	if err != nil {
		return nil, err
	}
	v, err := x.bucket.find(x.key, id)
	if err != nil {
		return nil, err
	}
	if v.marker {
		return nil, markerRefusal(v)
	}
	return v, nil
}

func (x *exchange) versionID() (string, error) {
	if !x.query.Has("versionId") {
		return "", nil
	}
	id := x.query.Get("versionId")
	if id == "" {
		return "", failuref("InvalidArgument", "Version id cannot be the empty string").with("ArgumentName", "versionId")
	}
	return id, nil
}

// getObject answers HEAD as well, up to the body.
func (x *exchange) getObject() error {
	v, err := x.version()
	if err != nil {
		return err
	}
	if err := x.checkCustomerKey(v.Properties); err != nil {
		return err
	}
	if err := x.readCondition().check(v); err != nil {
		return err
	}
	if x.op == "GetObject" {
		if err := v.checkReadable(x.server); err != nil {
			return err
		}
	}
	part, err := x.part(v)
	if err != nil {
		return err
	}
	return x.sendObject(v, part)
}

func (x *exchange) sendObject(v *version, part extent) error {
	h := x.w.Header()
	x.setProperties(v.Properties)
	if v.illegible {
		x.setHeader("x-amz-tagging-count", "0")
	}
	h.Set("ETag", v.quotedETag())
	h.Set("Last-Modified", v.modified.Format(httpTime))
	h.Set("Accept-Ranges", "bytes")
	h.Set("Content-Length", strconv.FormatInt(part.size, 10))
	if x.bucket.isVersioned() {
		h.Set("x-amz-version-id", v.id)
	}
	x.setRestoration(v)
	if part.number > 0 && len(v.parts) > 0 {
		h.Set("x-amz-mp-parts-count", itoa(len(v.parts)))
	}
	if strings.EqualFold(x.header("X-Amz-Checksum-Mode"), "ENABLED") {
		part.checksum.set(h)
	}
	if err := x.override(); err != nil {
		return err
	}
	status := http.StatusOK
	if part.partial {
		if x.server.settings.has(PartialContent) {
			status = http.StatusPartialContent
		}
		h.Set("Content-Range", contentRange(part.offset, part.size, v.content.size))
	}
	x.w.WriteHeader(status)
	if x.op == "GetObject" {
		v.content.slice(part.offset, part.size).WriteTo(x.w)
	}
	return nil
}

func (b *Bucket) isVersioned() bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.versioning != ""
}

func (x *exchange) deleteObject() error {
	condition, err := x.writeCondition()
	if err != nil {
		return err
	}
	id, err := x.versionID()
	if err != nil {
		return err
	}
	bypass := strings.EqualFold(x.header("X-Amz-Bypass-Governance-Retention"), "true")
	done, err := x.bucket.remove(x.key, id, condition, bypass)
	if err != nil {
		return err
	}
	x.setHeader("x-amz-version-id", done.id)
	if done.marker {
		x.setHeader("x-amz-delete-marker", "true")
	}
	return x.sendNothing(http.StatusNoContent)
}
