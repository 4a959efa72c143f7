package s3test

import (
	"strings"
	"time"
)

const maxCopySize = 5 << 30

func (x *exchange) copyObject() error {
	condition, err := x.writeCondition()
	if err != nil {
		return err
	}
	s, err := x.source()
	if err != nil {
		return err
	}
	if s.version.content.size > maxCopySize {
		return failuref("InvalidRequest", "The specified copy source is larger than the maximum allowable size for a copy source: %d", maxCopySize)
	}
	properties, err := x.copiedProperties(s)
	if err != nil {
		return err
	}
	v := &version{
		modified: x.server.now(), content: s.version.content, checksum: s.version.checksum, Properties: properties,
		etag: hexMD5(s.version.content.md5()),
	}
	if err := x.copiedChecksum(v); err != nil {
		return err
	}
	v.disguiseETag(x.server.settings.has(MD5ETags))
	if err := x.bucket.store(x.key, v, condition); err != nil {
		return err
	}
	if s.bucket.isVersioned() {
		x.setHeader("x-amz-copy-source-version-id", s.version.id)
	}
	x.setVersionID(v)
	x.setEncryption(properties)
	return x.sendXML(newDocument("CopyObjectResult", func(d *document) {
		d.text("LastModified", isoTime(v.modified))
		d.text("ETag", v.quotedETag())
		v.checksum.elements(d)
	}))
}

// copiedProperties follows the directives: metadata and tags are the source's or the request's, everything else is the
// request's.
func (x *exchange) copiedProperties(s *copySource) (*Properties, error) {
	replace, err := x.directive("X-Amz-Metadata-Directive")
	if err != nil {
		return nil, err
	}
	retag, err := x.directive("X-Amz-Tagging-Directive")
	if err != nil {
		return nil, err
	}
	p := s.version.Properties.clone()
	if replace {
		p = new(Properties)
		p.Tags = s.version.Properties.clone().Tags
		if err := x.readMetadata(p); err != nil {
			return nil, err
		}
	}
	if retag {
		p.Tags = nil
		if err := x.readTagging(p); err != nil {
			return nil, err
		}
	}
	p.WebsiteRedirect = x.header("X-Amz-Website-Redirect-Location")
	p.ACL, p.LockMode, p.LockUntil, p.LegalHold = "", "", time.Time{}, false
	if err := x.readAttributes(p); err != nil {
		return nil, err
	}
	return p, x.checkSelfCopy(s, p, replace)
}

// directive reads COPY, which is the default, or REPLACE.
func (x *exchange) directive(header string) (replace bool, err error) {
	switch value := x.header(header); value {
	case "", "COPY":
		return false, nil
	case "REPLACE":
		return true, nil
	default:
		return false, failuref("InvalidArgument", "Unknown %s.", strings.ToLower(header)).with("ArgumentValue", value)
	}
}

// checkSelfCopy refuses to copy an object onto itself if nothing would change.
func (x *exchange) checkSelfCopy(s *copySource, p *Properties, replace bool) error {
	old := s.version.Properties
	same := s.bucket == x.bucket && s.key == x.key && !replace &&
		p.StorageClass == old.StorageClass && p.Encryption == old.Encryption && p.CustomerKeyMD5 == old.CustomerKeyMD5 &&
		p.WebsiteRedirect == old.WebsiteRedirect
	current, err := x.bucket.find(x.key, "")
	if same && err == nil && current == s.version {
		return failuref("InvalidRequest", "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
	}
	return nil
}

// copiedChecksum computes the checksum that the request asks for. A composite one cannot stay: the copy has no parts.
func (x *exchange) copiedChecksum(v *version) error {
	name := strings.ToUpper(x.header("X-Amz-Checksum-Algorithm"))
	switch {
	case name != "":
		a := algorithmNamed(name)
		if a == nil {
			return failuref("InvalidRequest", "Checksum algorithm provided is unsupported.")
		}
		v.checksum = fullChecksum(a, v.content)
	case v.checksum.algorithm != nil:
		v.checksum = fullChecksum(v.checksum.algorithm, v.content)
	default:
		x.server.addDefaultChecksum(v)
	}
	return nil
}

func (x *exchange) uploadPartCopy() error {
	number, err := x.partNumber()
	if err != nil {
		return err
	}
	u, err := x.peekUpload()
	if err != nil {
		return err
	}
	if err := x.checkCustomerKey(u.properties); err != nil {
		return err
	}
	s, err := x.source()
	if err != nil {
		return err
	}
	c, err := x.sourceRange(s.version.content)
	if err != nil {
		return err
	}
	p := &part{number: number, modified: x.server.now(), content: c, md5: c.md5()}
	if err := u.takeChecksum(p); err != nil {
		return err
	}
	if err := x.putPart(p); err != nil {
		return err
	}
	if s.bucket.isVersioned() {
		x.setHeader("x-amz-copy-source-version-id", s.version.id)
	}
	return x.sendXML(newDocument("CopyPartResult", func(d *document) {
		d.text("LastModified", isoTime(p.modified))
		d.text("ETag", `"`+p.etag()+`"`)
		if p.checksum.algorithm != nil {
			d.text(p.checksum.element(), p.checksum.value)
		}
	}))
}
