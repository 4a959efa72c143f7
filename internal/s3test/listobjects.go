package s3test

import "strings"

func (x *exchange) listObjectsV2() error {
	q := x.query
	if q.Get("list-type") != "2" {
		return failure("InvalidArgument").with("ArgumentName", "list-type")
	}
	limit, err := x.limit("max-keys", maxKeys)
	if err != nil {
		return err
	}
	encode, encoding, err := x.encoding()
	if err != nil {
		return err
	}
	if q.Has("continuation-token") && q.Get("continuation-token") == "" {
		return failuref("InvalidArgument", "The continuation token provided is incorrect").with("ArgumentName", "continuation-token")
	}
	token, err := x.openToken()
	if err != nil {
		return err
	}
	sel := selection{prefix: q.Get("prefix"), delimiter: q.Get("delimiter"), after: token.key, rolled: token.rolled,
		limit: min(limit, x.server.settings.pageSize)}
	if token.key == "" {
		sel.after = q.Get("start-after")
	}
	page, truncated := x.bucket.list(sel)
	return x.sendXML(newDocument("ListBucketResult", func(d *document) {
		d.text("Name", x.bucket.name)
		d.text("Prefix", encode(sel.prefix))
		if q.Has("continuation-token") {
			d.text("ContinuationToken", q.Get("continuation-token"))
		}
		if truncated {
			d.text("NextContinuationToken", x.tokenAfter(page))
		}
		d.optional("StartAfter", encode(q.Get("start-after")))
		d.number("KeyCount", int64(len(page)))
		d.number("MaxKeys", int64(limit))
		d.optional("Delimiter", encode(sel.delimiter))
		d.optional("EncodingType", encoding)
		d.flag("IsTruncated", truncated)
		x.objectElements(d, page, encode, q.Get("fetch-owner") == "true")
	}))
}

func (x *exchange) listObjects() error {
	q := x.query
	limit, err := x.limit("max-keys", maxKeys)
	if err != nil {
		return err
	}
	encode, encoding, err := x.encoding()
	if err != nil {
		return err
	}
	sel := selection{prefix: q.Get("prefix"), delimiter: q.Get("delimiter"), after: q.Get("marker"), limit: min(limit, x.server.settings.pageSize)}
	// A marker that is a common prefix comes from NextMarker: what it stands for has been listed.
	if common, ok := commonPrefixOf(sel.after, sel.prefix, sel.delimiter); ok && common == sel.after {
		sel.rolled = true
	}
	page, truncated := x.bucket.list(sel)
	return x.sendXML(newDocument("ListBucketResult", func(d *document) {
		d.text("Name", x.bucket.name)
		d.text("Prefix", encode(sel.prefix))
		d.text("Marker", encode(sel.after))
		if truncated && sel.delimiter != "" {
			d.text("NextMarker", encode(page[len(page)-1].key))
		}
		d.number("MaxKeys", int64(limit))
		d.optional("Delimiter", encode(sel.delimiter))
		d.optional("EncodingType", encoding)
		d.flag("IsTruncated", truncated)
		x.objectElements(d, page, encode, true)
	}))
}

func commonPrefixOf(key, prefix, delimiter string) (string, bool) {
	if !strings.HasPrefix(key, prefix) {
		return "", false
	}
	return commonPrefix(key, prefix, delimiter)
}

func (x *exchange) objectElements(d *document, page []listed, encode func(string) string, withOwner bool) {
	restores := strings.Contains(x.header("X-Amz-Optional-Object-Attributes"), "RestoreStatus")
	for _, item := range page {
		if item.version == nil {
			continue
		}
		d.in("Contents", func() {
			d.text("Key", encode(item.key))
			x.versionElements(d, item.version, restores)
			if withOwner {
				owner(d, "Owner")
			}
		})
	}
	for _, item := range page {
		if item.version == nil {
			d.in("CommonPrefixes", func() { d.text("Prefix", encode(item.key)) })
		}
	}
}

// versionElements is what all listings tell of an object.
func (x *exchange) versionElements(d *document, v *version, restores bool) {
	d.text("LastModified", isoTime(v.modified))
	d.text("ETag", v.quotedETag())
	if v.checksum.algorithm != nil {
		d.text("ChecksumAlgorithm", v.checksum.name)
		d.text("ChecksumType", v.checksum.kind)
	}
	d.number("Size", v.content.size)
	d.text("StorageClass", v.StorageClass)
	if restores {
		v.restoreStatus(d, x.server.clock.Now())
	}
}
