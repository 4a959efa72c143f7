package s3test

import (
	"maps"
	"slices"
	"strings"
)

func (x *exchange) listParts() error {
	limit, err := x.limit("max-parts", maxKeys)
	if err != nil {
		return err
	}
	marker, err := x.limit("part-number-marker", 1<<31-1)
	if err != nil {
		return err
	}
	if !x.query.Has("part-number-marker") {
		marker = 0
	}
	encode, encoding, err := x.encoding()
	if err != nil {
		return err
	}
	u, parts, err := x.partsAfter(marker)
	if err != nil {
		return err
	}
	truncated := len(parts) > limit
	parts = parts[:min(len(parts), limit)]
	return x.sendXML(newDocument("ListPartsResult", func(d *document) {
		d.text("Bucket", x.bucket.name)
		d.text("Key", encode(x.key))
		d.text("UploadId", u.id)
		owner(d, "Initiator")
		owner(d, "Owner")
		d.text("StorageClass", u.properties.StorageClass)
		d.number("PartNumberMarker", int64(marker))
		if len(parts) > 0 {
			d.number("NextPartNumberMarker", int64(parts[len(parts)-1].number))
		}
		d.number("MaxParts", int64(limit))
		d.optional("EncodingType", encoding)
		d.flag("IsTruncated", truncated)
		if u.algorithm != nil {
			d.text("ChecksumAlgorithm", u.algorithm.name)
			d.text("ChecksumType", u.kind)
		}
		for _, p := range parts {
			d.in("Part", func() { p.element(d) })
		}
	}))
}

func (p *part) element(d *document) {
	d.number("PartNumber", int64(p.number))
	d.text("LastModified", isoTime(p.modified))
	d.text("ETag", `"`+p.etag()+`"`)
	d.number("Size", p.content.size)
	if p.checksum.algorithm != nil {
		d.text(p.checksum.element(), p.checksum.value)
	}
}

func (x *exchange) partsAfter(marker int) (*upload, []*part, error) {
	x.bucket.mu.RLock()
	defer x.bucket.mu.RUnlock()
	u, err := x.upload()
	if err != nil {
		return nil, nil, err
	}
	var parts []*part
	for _, number := range slices.Sorted(maps.Keys(u.parts)) {
		if number > marker {
			parts = append(parts, u.parts[number])
		}
	}
	return u, parts, nil
}

func (x *exchange) listMultipartUploads() error {
	q := x.query
	limit, err := x.limit("max-uploads", maxKeys)
	if err != nil {
		return err
	}
	encode, encoding, err := x.encoding()
	if err != nil {
		return err
	}
	page, truncated := x.bucket.listUploads(q.Get("prefix"), q.Get("delimiter"), q.Get("key-marker"), q.Get("upload-id-marker"), limit)
	return x.sendXML(newDocument("ListMultipartUploadsResult", func(d *document) {
		d.text("Bucket", x.bucket.name)
		d.text("KeyMarker", encode(q.Get("key-marker")))
		d.text("UploadIdMarker", q.Get("upload-id-marker"))
		if truncated {
			last := page[len(page)-1]
			d.text("NextKeyMarker", encode(last.key))
			d.optional("NextUploadIdMarker", last.id())
		}
		d.text("Prefix", encode(q.Get("prefix")))
		d.optional("Delimiter", encode(q.Get("delimiter")))
		d.optional("EncodingType", encoding)
		d.number("MaxUploads", int64(limit))
		d.flag("IsTruncated", truncated)
		uploadElements(d, page, encode)
	}))
}

// listedUpload is an upload or, if that is nil, a common prefix of a listing.
type listedUpload struct {
	key    string
	upload *upload
}

func (l listedUpload) id() string {
	if l.upload == nil {
		return ""
	}
	return l.upload.id
}

func (b *Bucket) listUploads(prefix, delimiter, keyMarker, idMarker string, limit int) (page []listedUpload, truncated bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	past := idMarker == "" // the upload that the marker names has been passed
	for _, u := range b.sortedUploads() {
		if !strings.HasPrefix(u.key, prefix) || u.key < keyMarker {
			continue
		}
		if keyMarker != "" && u.key == keyMarker {
			skip := idMarker == "" || !past
			past = past || u.id == idMarker
			if skip {
				continue
			}
		}
		item := listedUpload{u.key, u}
		if common, ok := commonPrefix(u.key, prefix, delimiter); ok {
			if common == keyMarker || len(page) > 0 && page[len(page)-1].key == common {
				continue
			}
			item = listedUpload{key: common}
		}
		if len(page) == limit {
			return page, limit > 0
		}
		page = append(page, item)
	}
	return page, false
}

func uploadElements(d *document, page []listedUpload, encode func(string) string) {
	for _, item := range page {
		u := item.upload
		if u == nil {
			d.in("CommonPrefixes", func() { d.text("Prefix", encode(item.key)) })
			continue
		}
		d.in("Upload", func() {
			d.text("Key", encode(u.key))
			d.text("UploadId", u.id)
			owner(d, "Initiator")
			owner(d, "Owner")
			d.text("StorageClass", u.properties.StorageClass)
			d.text("Initiated", isoTime(u.initiated))
			if u.algorithm != nil {
				d.text("ChecksumAlgorithm", u.algorithm.name)
				d.text("ChecksumType", u.kind)
			}
		})
	}
}
