package s3kloset

import (
	"fmt"
	"maps"
	"slices"
	"unicode/utf16"
)

// What S3 takes, from the S3 user guide: "Working with object metadata" and
// "Categorizing your objects using tags".
const (
	// maxUserMetadata bounds the bytes of all names, without x-amz-meta-, and values.
	maxUserMetadata = 2048
	maxTags         = 10
	// Tags are counted in UTF-16 code units, as S3 keeps them.
	maxTagKey   = 128
	maxTagValue = 256
)

// limitError says that a property of an object is more than S3 takes.
type limitError struct {
	property string // what of the object, see limits
	tag      string // the key of the tag that it is about, if any
	size     int
	limit    int
}

func (e *limitError) Error() string {
	text := fmt.Sprintf("%d %s, S3 takes %d", e.size, e.property, e.limit)
	if e.tag != "" {
		text = fmt.Sprintf("tag %q: %s", e.tag, text)
	}
	return text
}

// limits returns a *limitError for everything that is more than S3 takes.
// Other servers may take more, or less.
func (m Metadata) limits() []error {
	var over []error
	check := func(property, tag string, size, limit int) {
		if size > limit {
			over = append(over, &limitError{property: property, tag: tag, size: size, limit: limit})
		}
	}
	size := 0
	for key, value := range m.User {
		size += len(key) + len(value)
	}
	check("bytes of user metadata", "", size, maxUserMetadata)
	check("tags", "", len(m.Tags), maxTags)
	for _, key := range slices.Sorted(maps.Keys(m.Tags)) {
		check("characters in the key", key, codeUnits(key), maxTagKey)
		check("characters in the value", key, codeUnits(m.Tags[key]), maxTagValue)
	}
	return over
}

func codeUnits(s string) int {
	n := 0
	for _, r := range s {
		n += max(1, utf16.RuneLen(r))
	}
	return n
}
