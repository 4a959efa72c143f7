package s3kloset

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// ErrInvalidMetadata reports an s3.* attribute of a snapshot that is not one
// that this package writes.
var ErrInvalidMetadata = errors.New("invalid metadata attribute")

// Metadata is what S3 knows of an object beside its key, bytes, size and time.
// The zero value of a field means that the object has no such property.
//
// In a snapshot it is the list that Attributes returns, in the
// ExtendedAttributes of the object's record. Header values are kept byte for
// byte as the server sent them.
type Metadata struct {
	ContentType        string
	CacheControl       string
	ContentDisposition string
	ContentEncoding    string // without aws-chunked, which is of the transfer
	ContentLanguage    string
	Expires            string // any text, not only dates
	WebsiteRedirect    string

	User map[string]string // x-amz-meta-*, names without that prefix
	Tags map[string]string

	StorageClass string // "" is STANDARD

	ETag      string
	VersionID string
	Checksums []Checksum
	Parts     PartLayout

	Encryption Encryption
	Lock       Lock

	// Other holds attributes of names that begin with s3. and that this
	// version does not know, as they stand in the snapshot.
	Other []string
}

// Checksum is a checksum that S3 keeps with an object.
type Checksum struct {
	Algorithm string // as S3 writes it: CRC32, CRC32C, CRC64NVME, SHA1, SHA256
	Value     string // base64; with -N for a composite one of N parts
	Composite bool   // over the checksums of the parts, not over the bytes
}

// PartLayout says how an object was uploaded in parts. Count is 0 for an
// object that was not.
type PartLayout struct {
	Count int
	Size  int64 // bytes of each part but the last; 0 when not known
}

// Encryption is how the server encrypts an object.
type Encryption struct {
	Mode      string // AES256, aws:kms, aws:kms:dsse
	KMSKeyID  string
	BucketKey bool
}

// Lock is the object lock of an object.
type Lock struct {
	Mode      string    // GOVERNANCE, COMPLIANCE
	Until     time.Time // in UTC, year 0 to 9999
	LegalHold bool
}

// Attributes returns the metadata as a sorted list of strings s3.NAME=VALUE,
// all valid UTF-8. A property that the object does not have is left out, but
// s3.etag is always there: it marks the records whose paths pathOfKey wrote.
//
//	s3.content-type, s3.cache-control, s3.content-disposition,
//	s3.content-encoding, s3.content-language, s3.expires,
//	s3.website-redirect, s3.storage-class, s3.version-id, s3.etag,
//	s3.sse, s3.sse-kms-key-id, s3.lock-mode      the value
//	s3.meta.KEY, s3.tag.KEY                      the value
//	s3.checksum.ALGORITHM                        the value, then ;full or ;composite
//	s3.parts                                     COUNT;SIZE
//	s3.sse-bucket-key                            true
//	s3.lock-until                                RFC 3339, in UTC
//	s3.legal-hold                                ON
//
// KEY and ALGORITHM have =, %, control characters and bytes that are not
// valid UTF-8 written as %XX. A value that is not valid UTF-8 comes as
// s3.NAME%=VALUE, with % and each invalid byte written as %XX.
func (m Metadata) Attributes() []string {
	m = m.canonical()
	list := slices.Clone(m.Other)
	list = append(list, attribute(attributeETag, m.ETag))
	for name, field := range textAttributes {
		if value := *field(&m); value != "" && name != attributeETag {
			list = append(list, attribute(name, value))
		}
	}
	for name, format := range typedAttributes {
		if value := format.text(&m); value != "" {
			list = append(list, attribute(name, value))
		}
	}
	for key, value := range m.User {
		list = append(list, attribute(familyUser+encodeName(key), value))
	}
	for key, value := range m.Tags {
		list = append(list, attribute(familyTag+encodeName(key), value))
	}
	for _, sum := range m.Checksums {
		list = append(list, attribute(familyChecksum+encodeName(sum.Algorithm), sum.text()))
	}
	slices.Sort(list)
	return list
}

// ParseMetadata undoes Attributes. Attributes whose names do not begin with
// s3. are ignored, unknown names that do are kept in Other. A known name with
// a malformed value, or one that comes twice, is an ErrInvalidMetadata. The
// order of the list does not matter.
func ParseMetadata(attributes []string) (Metadata, error) {
	var m Metadata
	seen := map[string]bool{}
	for _, a := range attributes {
		if !strings.HasPrefix(a, attributePrefix) {
			continue
		}
		if err := m.parseAttribute(a, seen); err != nil {
			return Metadata{}, err
		}
	}
	return m.canonical(), nil
}

const (
	attributePrefix = "s3."
	attributeETag   = "s3.etag"
	familyUser      = "s3.meta."
	familyTag       = "s3.tag."
	familyChecksum  = "s3.checksum."
)

// textAttributes are the properties whose value is any text.
var textAttributes = map[string]func(*Metadata) *string{
	"s3.content-type":        func(m *Metadata) *string { return &m.ContentType },
	"s3.cache-control":       func(m *Metadata) *string { return &m.CacheControl },
	"s3.content-disposition": func(m *Metadata) *string { return &m.ContentDisposition },
	"s3.content-encoding":    func(m *Metadata) *string { return &m.ContentEncoding },
	"s3.content-language":    func(m *Metadata) *string { return &m.ContentLanguage },
	"s3.expires":             func(m *Metadata) *string { return &m.Expires },
	"s3.website-redirect":    func(m *Metadata) *string { return &m.WebsiteRedirect },
	"s3.storage-class":       func(m *Metadata) *string { return &m.StorageClass },
	attributeETag:            func(m *Metadata) *string { return &m.ETag },
	"s3.version-id":          func(m *Metadata) *string { return &m.VersionID },
	"s3.sse":                 func(m *Metadata) *string { return &m.Encryption.Mode },
	"s3.sse-kms-key-id":      func(m *Metadata) *string { return &m.Encryption.KMSKeyID },
	"s3.lock-mode":           func(m *Metadata) *string { return &m.Lock.Mode },
}

// typedAttribute converts between a property and its text, which is empty
// when the object does not have the property.
type typedAttribute struct {
	text  func(*Metadata) string
	parse func(*Metadata, string) (ok bool)
}

var typedAttributes = map[string]typedAttribute{
	"s3.parts": {
		text:  func(m *Metadata) string { return m.Parts.text() },
		parse: func(m *Metadata, value string) bool { return m.Parts.parse(value) },
	},
	"s3.lock-until": {
		text:  func(m *Metadata) string { return formatTime(m.Lock.Until) },
		parse: func(m *Metadata, value string) bool { return parseTime(&m.Lock.Until, value) },
	},
	"s3.sse-bucket-key": flagAttribute("true", func(m *Metadata) *bool { return &m.Encryption.BucketKey }),
	"s3.legal-hold":     flagAttribute("ON", func(m *Metadata) *bool { return &m.Lock.LegalHold }),
}

func flagAttribute(word string, field func(*Metadata) *bool) typedAttribute {
	return typedAttribute{
		text: func(m *Metadata) string {
			if *field(m) {
				return word
			}
			return ""
		},
		parse: func(m *Metadata, value string) bool {
			*field(m) = true
			return value == word
		},
	}
}

// attribute writes one entry of the list. An encoded name never ends in %, so
// the mark of an escaped value cannot be part of the name.
func attribute(name, value string) string {
	if utf8.ValidString(value) {
		return name + "=" + value
	}
	return name + "%=" + percentEncode(value, nil)
}

// cutAttribute undoes attribute.
func cutAttribute(a string) (name, value string, ok bool) {
	name, value, ok = strings.Cut(a, "=")
	if base, escaped := strings.CutSuffix(name, "%"); ok && escaped {
		name = base
		value, ok = percentDecode(value)
	}
	return name, value, ok && attribute(name, value) == a
}

func encodeName(name string) string {
	return percentEncode(name, func(c byte) bool { return c == '=' || c < ' ' || c == 0x7f })
}

func decodeName(encoded string) (name string, ok bool) {
	name, ok = percentDecode(encoded)
	return name, ok && encodeName(name) == encoded
}

// attributeName is the name under which a is known or unknown, even when the
// rest of it is malformed.
func attributeName(a string) string {
	name, _, _ := strings.Cut(a, "=")
	return strings.TrimSuffix(name, "%")
}

func knownAttribute(name string) bool {
	return textAttributes[name] != nil || typedAttributes[name].parse != nil || attributeFamily(name) != ""
}

func attributeFamily(name string) string {
	for _, family := range []string{familyUser, familyTag, familyChecksum} {
		if strings.HasPrefix(name, family) {
			return family
		}
	}
	return ""
}

func (m *Metadata) parseAttribute(a string, seen map[string]bool) error {
	name := attributeName(a)
	if !utf8.ValidString(a) {
		return fmt.Errorf("%w %q: not valid UTF-8", ErrInvalidMetadata, name)
	}
	if !knownAttribute(name) {
		m.Other = append(m.Other, a)
		return nil
	}
	_, value, ok := cutAttribute(a)
	if !ok {
		return fmt.Errorf("%w %q: malformed", ErrInvalidMetadata, name)
	}
	if seen[name] {
		return fmt.Errorf("%w %q: more than once", ErrInvalidMetadata, name)
	}
	seen[name] = true
	if !m.set(name, value) {
		// The value is not shown: it may be somebody's data.
		return fmt.Errorf("%w %q: malformed", ErrInvalidMetadata, name)
	}
	return nil
}

func (m *Metadata) set(name, value string) (ok bool) {
	if field := textAttributes[name]; field != nil {
		*field(m) = value
		return true
	}
	if typed := typedAttributes[name]; typed.parse != nil {
		return typed.parse(m, value)
	}
	family := attributeFamily(name)
	key, ok := decodeName(name[len(family):])
	if !ok {
		return false
	}
	switch family {
	case familyUser:
		setEntry(&m.User, key, value)
	case familyTag:
		setEntry(&m.Tags, key, value)
	case familyChecksum:
		sum, ok := parseChecksum(key, value)
		m.Checksums = append(m.Checksums, sum)
		return ok
	}
	return true
}

func setEntry(m *map[string]string, key, value string) {
	if *m == nil {
		*m = map[string]string{}
	}
	(*m)[key] = value
}

func (c Checksum) text() string {
	if c.Composite {
		return c.Value + ";composite"
	}
	return c.Value + ";full"
}

func parseChecksum(algorithm, text string) (c Checksum, ok bool) {
	value, full := strings.CutSuffix(text, ";full")
	if full {
		return Checksum{Algorithm: algorithm, Value: value}, true
	}
	value, ok = strings.CutSuffix(text, ";composite")
	return Checksum{Algorithm: algorithm, Value: value, Composite: true}, ok
}

func (p PartLayout) text() string {
	if p.Count == 0 {
		return ""
	}
	return fmt.Sprintf("%d;%d", p.Count, p.Size)
}

func (p *PartLayout) parse(text string) (ok bool) {
	count, size, _ := strings.Cut(text, ";")
	// An overflow shows when the numbers are written again.
	p.Count, _ = strconv.Atoi(count)
	p.Size, _ = strconv.ParseInt(size, 10, 64)
	return p.Count > 0 && p.Size >= 0 && p.text() == text
}

func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

func parseTime(t *time.Time, text string) (ok bool) {
	parsed, err := time.Parse(time.RFC3339Nano, text)
	*t = parsed
	return err == nil && formatTime(parsed) == text
}

// canonical is the form that comes out of ParseMetadata: of two values that
// say the same, one.
func (m Metadata) canonical() Metadata {
	m = m.clone()
	m.ContentEncoding = withoutChunking(m.ContentEncoding)
	if m.StorageClass == "STANDARD" {
		m.StorageClass = "" // some servers say so, most say nothing
	}
	if len(m.User) == 0 {
		m.User = nil
	}
	if len(m.Tags) == 0 {
		m.Tags = nil
	}
	if m.Parts.Count <= 0 {
		m.Parts = PartLayout{}
	}
	m.Parts.Size = max(0, m.Parts.Size)
	m.Lock.Until = m.Lock.Until.UTC().Round(0)
	m.Checksums = canonicalChecksums(m.Checksums)
	m.Other = slices.DeleteFunc(m.Other, func(a string) bool {
		return !strings.HasPrefix(a, attributePrefix) || !utf8.ValidString(a) || knownAttribute(attributeName(a))
	})
	slices.Sort(m.Other)
	if len(m.Other) == 0 {
		m.Other = nil
	}
	return m
}

// canonicalChecksums sorts by algorithm. S3 keeps one checksum of each; the
// first one counts, because a name cannot be in the list twice.
func canonicalChecksums(sums []Checksum) []Checksum {
	if len(sums) == 0 {
		return nil
	}
	slices.SortStableFunc(sums, func(a, b Checksum) int { return strings.Compare(a.Algorithm, b.Algorithm) })
	return slices.CompactFunc(sums, func(a, b Checksum) bool { return a.Algorithm == b.Algorithm })
}

// withoutChunking removes aws-chunked, which tells how a body was sent. Some
// servers keep it with the object, and a restore that sent it as part of the
// header would be taken for a chunked upload.
func withoutChunking(encoding string) string {
	chunking := func(coding string) bool {
		return strings.EqualFold(strings.TrimSpace(coding), "aws-chunked")
	}
	codings := strings.Split(encoding, ",")
	if !slices.ContainsFunc(codings, chunking) {
		return encoding
	}
	return strings.TrimSpace(strings.Join(slices.DeleteFunc(codings, chunking), ","))
}

// clone returns a copy that shares nothing with m.
func (m Metadata) clone() Metadata {
	m.User = maps.Clone(m.User)
	m.Tags = maps.Clone(m.Tags)
	m.Checksums = slices.Clone(m.Checksums)
	m.Other = slices.Clone(m.Other)
	return m
}

// fingerprint is the Lino of the object's FileInfo: see digestAttributes.
func (m Metadata) fingerprint() uint64 {
	return digestAttributes(m.Attributes())
}

// digestAttributes is a digest of a list of attributes: the first 8 bytes,
// big endian, of the SHA-256 over each string with its length before it as 8
// bytes, big endian. It must never change, or every object would be read
// again. The engine keeps the entry of the previous snapshot when FileInfo is
// equal, and breaks the snapshot when the lists then differ: hence a hash for
// which nobody can make two lists collide by the header values they choose.
// It takes a microsecond or two.
func digestAttributes(list []string) uint64 {
	var framed []byte
	for _, a := range list {
		framed = binary.BigEndian.AppendUint64(framed, uint64(len(a)))
		framed = append(framed, a...)
	}
	sum := sha256.Sum256(framed)
	return binary.BigEndian.Uint64(sum[:])
}

// ours tells whether the record with these attributes was written by this
// package, so that its path is one of pathOfKey.
func ours(attributes []string) bool {
	return slices.ContainsFunc(attributes, func(a string) bool {
		return strings.Contains(a, "=") && attributeName(a) == attributeETag
	})
}
