package s3test

import "strings"

var knownAttributes = []string{"ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"}

func (x *exchange) getObjectAttributes() error {
	wanted, err := x.wantedAttributes()
	if err != nil {
		return err
	}
	v, err := x.version()
	if err != nil {
		return err
	}
	if err := x.checkCustomerKey(v.Properties); err != nil {
		return err
	}
	limit, err := x.headerLimit("X-Amz-Max-Parts", maxKeys)
	if err != nil {
		return err
	}
	marker, err := x.headerLimit("X-Amz-Part-Number-Marker", 0)
	if err != nil {
		return err
	}
	x.setHeader("Last-Modified", v.modified.Format(httpTime))
	x.setVersionOf(v)
	return x.sendXML(newDocument("GetObjectAttributesResponse", func(d *document) {
		if wanted["ETag"] {
			d.text("ETag", v.etag)
		}
		if wanted["Checksum"] && v.checksum.algorithm != nil {
			d.in("Checksum", func() { v.checksum.elements(d) })
		}
		if wanted["ObjectParts"] && len(v.parts) > 0 {
			d.in("ObjectParts", func() { v.partElements(d, marker, limit) })
		}
		if wanted["StorageClass"] {
			d.text("StorageClass", v.StorageClass)
		}
		if wanted["ObjectSize"] {
			d.number("ObjectSize", v.content.size)
		}
	}))
}

func (x *exchange) wantedAttributes() (map[string]bool, error) {
	wanted := make(map[string]bool)
	for name := range strings.SplitSeq(x.header("X-Amz-Object-Attributes"), ",") {
		wanted[strings.TrimSpace(name)] = true
	}
	known := 0
	for _, name := range knownAttributes {
		if wanted[name] {
			known++
		}
	}
	if known == 0 || known != len(wanted) {
		return nil, failuref("InvalidArgument", "Invalid attribute name specified.").with("ArgumentName", "x-amz-object-attributes")
	}
	return wanted, nil
}

// partElements lists the parts themselves only if they have checksums of their own, as S3 does.
func (v *version) partElements(d *document, marker, limit int) {
	d.number("PartsCount", int64(len(v.parts)))
	if v.checksum.algorithm == nil {
		return
	}
	parts := v.parts
	for len(parts) > 0 && parts[0].number <= marker {
		parts = parts[1:]
	}
	truncated := len(parts) > limit
	parts = parts[:min(len(parts), limit)]
	d.number("PartNumberMarker", int64(marker))
	if len(parts) > 0 {
		d.number("NextPartNumberMarker", int64(parts[len(parts)-1].number))
	}
	d.number("MaxParts", int64(limit))
	d.flag("IsTruncated", truncated)
	for _, p := range parts {
		d.in("Part", func() {
			d.number("PartNumber", int64(p.number))
			d.number("Size", p.size)
			if p.checksum.algorithm != nil {
				d.text(p.checksum.element(), p.checksum.value)
			}
		})
	}
}
