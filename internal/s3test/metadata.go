package s3test

import (
	"mime"
	"strings"
)

// readMetadata reads what CopyObject replaces with x-amz-metadata-directive: REPLACE.
func (x *exchange) readMetadata(p *Properties) error {
	for name, field := range p.systemHeaders() {
		*field = x.header(name)
	}
	p.ContentEncoding = withoutAWSChunked(p.ContentEncoding)
	if p.ContentType == "" {
		p.ContentType = defaultContentType
	}
	if r := p.WebsiteRedirect; r != "" && !strings.HasPrefix(r, "/") && !strings.HasPrefix(r, "http://") && !strings.HasPrefix(r, "https://") {
		return failuref("InvalidArgument", "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.")
	}
	size := 0
	for name, values := range x.r.Header {
		name, ok := strings.CutPrefix(strings.ToLower(name), metadataPrefix)
		if !ok {
			continue
		}
		if p.Metadata == nil {
			p.Metadata = make(map[string]string)
		}
		p.Metadata[name] = strings.Join(values, ",")
		size += len(name) + len(x.server.settings.metadataStyle.decode(p.Metadata[name]))
	}
	if size > maxUserMetadata {
		return failure("MetadataTooLarge").with("Size", itoa(size)).with("MaxSizeAllowed", itoa(maxUserMetadata))
	}
	return nil
}

func (x *exchange) setMetadata(metadata map[string]string) {
	missing := 0
	for name, value := range metadata {
		value = x.server.settings.metadataStyle.encode(value)
		if !validHeader(name, value) {
			missing++
			continue
		}
		// Assigned, not set: S3 sends these names in lower case.
		x.w.Header()[metadataPrefix+name] = []string{value}
	}
	if missing > 0 {
		x.setHeader(missingMetadata, itoa(missing))
	}
}

// validHeader says whether HTTP can carry a metadatum; those that came by other ways may have any bytes.
func validHeader(name, value string) bool {
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r)
	})
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func (s MetadataStyle) encode(value string) string {
	if s == RawUTF8 || isASCII(value) {
		return value
	}
	return mime.QEncoding.Encode("UTF-8", value)
}

// decode is what the value means: encoded words may stand for text outside ASCII.
func (s MetadataStyle) decode(value string) string {
	if s == RawUTF8 {
		return value
	}
	decoded, err := new(mime.WordDecoder).DecodeHeader(value)
	if err != nil {
		return value
	}
	return decoded
}
