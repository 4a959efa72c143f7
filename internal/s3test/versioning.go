package s3test

import (
	"net/http"
	"slices"
	"strings"
)

func (x *exchange) getBucketVersioning() error {
	x.bucket.mu.RLock()
	status := x.bucket.versioning
	x.bucket.mu.RUnlock()
	return x.sendXML(newDocument("VersioningConfiguration", func(d *document) { d.optional("Status", status) }))
}

func (x *exchange) putBucketVersioning() error {
	body, err := x.readDocument()
	if err != nil {
		return err
	}
	var wanted struct {
		Status    string
		MfaDelete string
	}
	if err := parseXML(body, "VersioningConfiguration", &wanted); err != nil {
		return err
	}
	if wanted.MfaDelete == "Enabled" {
		return failuref("NotImplemented", "MFA delete is not implemented.")
	}
	if wanted.Status != versioningEnabled && wanted.Status != versioningSuspended {
		return failure("IllegalVersioningConfigurationException")
	}
	b := x.bucket
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lock.enabled && wanted.Status == versioningSuspended {
		return failuref("InvalidBucketState", "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed.")
	}
	b.versioning = wanted.Status
	return x.sendNothing(http.StatusOK)
}

// SetVersioning enables or suspends versioning. A bucket starts with neither.
func (b *Bucket) SetVersioning(on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.versioning = versioningSuspended
	if on {
		b.versioning = versioningEnabled
	}
}

// listedVersion is a version or, if that is nil, a common prefix of a listing.
type listedVersion struct {
	key     string
	version *version
	latest  bool
}

// versionSelection is what a listing of versions is asked for. It goes on after the version idMarker of the key
// keyMarker, or after that key if idMarker is "".
type versionSelection struct {
	selection
	keyMarker, idMarker string
}

// listVersions walks over all versions, newest first, keys in byte order.
func (b *Bucket) listVersions(s versionSelection) (page []listedVersion, truncated bool) {
	start, ok := s.start()
	if s.limit == 0 || !ok {
		return nil, false
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	for p := b.index.seek(start); ; {
		e := b.index.at(p)
		if e == nil || !strings.HasPrefix(e.key, s.prefix) {
			return page, false
		}
		common, isCommon := commonPrefix(e.key, s.prefix, s.delimiter)
		if !isCommon {
			for _, v := range s.remaining(e) {
				if len(page) == s.limit {
					return page, true
				}
				page = append(page, listedVersion{e.key, v, v == e.latest()})
			}
			p = b.index.next(p)
			continue
		}
		if len(page) == s.limit {
			return page, true
		}
		page = append(page, listedVersion{key: common})
		next, ok := afterPrefix(common)
		if !ok {
			return page, false
		}
		p = b.index.seek(next)
	}
}

// remaining is the versions of an entry that come after the marker, newest first.
func (s versionSelection) remaining(e *entry) []*version {
	versions := slices.Clone(e.versions)
	slices.Reverse(versions)
	if e.key != s.keyMarker || s.keyMarker == "" {
		return versions
	}
	if s.idMarker == "" {
		return nil
	}
	for i, v := range versions {
		if v.id == s.idMarker {
			return versions[i+1:]
		}
	}
	// The version of the marker is gone. Its age is in its id; a null version's is not, and nothing may be lost.
	serial, ok := versionSerial(s.idMarker)
	if !ok {
		return versions
	}
	return slices.DeleteFunc(versions, func(v *version) bool { return v.serial > serial })
}

func (x *exchange) listObjectVersions() error {
	q := x.query
	limit, err := x.limit("max-keys", maxKeys)
	if err != nil {
		return err
	}
	encode, encoding, err := x.encoding()
	if err != nil {
		return err
	}
	keyMarker, idMarker := q.Get("key-marker"), q.Get("version-id-marker")
	if idMarker != "" && keyMarker == "" {
		return failuref("InvalidArgument", "A version-id marker cannot be specified without a key marker.").
			with("ArgumentName", "version-id-marker")
	}
	if _, ok := versionSerial(idMarker); !ok && idMarker != "" && idMarker != nullVersion {
		return failuref("InvalidArgument", "Invalid version id specified").with("ArgumentName", "version-id-marker")
	}
	sel := versionSelection{
		selection{prefix: q.Get("prefix"), delimiter: q.Get("delimiter"), after: keyMarker,
			limit: min(limit, x.server.settings.pageSize)}, keyMarker, idMarker,
	}
	if common, ok := commonPrefixOf(keyMarker, sel.prefix, sel.delimiter); ok && common == keyMarker {
		sel.rolled = true
	}
	page, truncated := x.bucket.listVersions(sel)
	return x.sendXML(newDocument("ListVersionsResult", func(d *document) {
		d.text("Name", x.bucket.name)
		d.text("Prefix", encode(sel.prefix))
		d.text("KeyMarker", encode(keyMarker))
		d.text("VersionIdMarker", idMarker)
		if truncated {
			last := page[len(page)-1]
			d.text("NextKeyMarker", encode(last.key))
			if last.version != nil {
				d.text("NextVersionIdMarker", last.version.id)
			}
		}
		d.number("MaxKeys", int64(limit))
		d.optional("Delimiter", encode(sel.delimiter))
		d.optional("EncodingType", encoding)
		d.flag("IsTruncated", truncated)
		x.versionListElements(d, page, encode)
	}))
}

// versionListElements interleaves versions and delete markers, as they are ordered.
func (x *exchange) versionListElements(d *document, page []listedVersion, encode func(string) string) {
	restores := strings.Contains(x.header("X-Amz-Optional-Object-Attributes"), "RestoreStatus")
	for _, item := range page {
		v := item.version
		if v == nil {
			continue
		}
		element := "Version"
		if v.marker {
			element = "DeleteMarker"
		}
		d.in(element, func() {
			d.text("Key", encode(item.key))
			d.text("VersionId", v.id)
			d.flag("IsLatest", item.latest)
			if v.marker {
				d.text("LastModified", isoTime(v.modified))
			} else {
				x.versionElements(d, v, restores)
			}
			owner(d, "Owner")
		})
	}
	for _, item := range page {
		if item.version == nil {
			d.in("CommonPrefixes", func() { d.text("Prefix", encode(item.key)) })
		}
	}
}
