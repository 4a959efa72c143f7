package s3test

import (
	"net/http"
	"strings"
	"time"
)

// readCondition is what GET and HEAD, and the source of a copy, can demand.
type readCondition struct {
	match, noneMatch               string
	modifiedSince, unmodifiedSince string
	prefix                         string // of the headers' names
	copying                        bool   // a source of a copy: there is no 304
}

func (x *exchange) readCondition() readCondition {
	return readCondition{
		match: x.header("If-Match"), noneMatch: x.header("If-None-Match"),
		modifiedSince: x.header("If-Modified-Since"), unmodifiedSince: x.header("If-Unmodified-Since"),
	}
}

func (x *exchange) sourceCondition() readCondition {
	const prefix = "x-amz-copy-source-"
	return readCondition{
		match: x.header(prefix + "If-Match"), noneMatch: x.header(prefix + "If-None-Match"),
		modifiedSince: x.header(prefix + "If-Modified-Since"), unmodifiedSince: x.header(prefix + "If-Unmodified-Since"),
		prefix: prefix, copying: true,
	}
}

// check applies the precedence of RFC 9110: entity tags beat dates.
func (c readCondition) check(v *version) error {
	if c.match != "" {
		if !matchesETag(c.match, v.etag) {
			return c.failed("If-Match")
		}
	} else if t, err := http.ParseTime(c.unmodifiedSince); err == nil && v.modified.After(t) {
		return c.failed("If-Unmodified-Since")
	}
	if c.noneMatch != "" {
		if matchesETag(c.noneMatch, v.etag) {
			return c.notModified("If-None-Match", v)
		}
		return nil
	}
	if t, err := http.ParseTime(c.modifiedSince); err == nil && !v.modified.After(t) {
		return c.notModified("If-Modified-Since", v)
	}
	return nil
}

func (c readCondition) failed(header string) error {
	return failure("PreconditionFailed").with("Condition", c.prefix+header)
}

func (c readCondition) notModified(header string, v *version) error {
	if c.copying {
		return c.failed(header)
	}
	return failure("NotModified").
		withHeader("ETag", v.quotedETag()).
		withHeader("Last-Modified", v.modified.Format(httpTime))
}

// matchesETag looks for an entity tag in a list of them; clients write them with quotes and without.
func matchesETag(list, etag string) bool {
	for tag := range strings.SplitSeq(list, ",") {
		tag = strings.TrimSpace(tag)
		if tag == "*" || strings.Trim(tag, `"`) == etag {
			return true
		}
	}
	return false
}

// writeCondition is what a write can demand of the current version.
type writeCondition struct {
	match       string // an entity tag or "*"
	noneMatch   bool   // there must be none
	conditional bool
	// For deletes: what the version must be like beside its tag. Zero values demand nothing.
	size     *int64
	modified time.Time
}

func (x *exchange) writeCondition() (writeCondition, error) {
	match, noneMatch := x.header("If-Match"), x.header("If-None-Match")
	if match == "" && noneMatch == "" || !x.server.settings.has(ConditionalWrites) {
		return writeCondition{}, nil
	}
	if noneMatch != "" && (noneMatch != "*" || match != "") || x.op == "DeleteObject" && noneMatch != "" {
		return writeCondition{}, failure("NotImplemented").with("Header", "If-None-Match")
	}
	return writeCondition{match: match, noneMatch: noneMatch == "*", conditional: true}, nil
}

// check is for writes: an object that is not there cannot match.
func (c writeCondition) check(current *version) error {
	switch {
	case c.noneMatch && current != nil:
		return failure("PreconditionFailed").with("Condition", "If-None-Match")
	case c.match != "" && current == nil:
		return failure("NoSuchKey")
	case c.match != "" && !matchesETag(c.match, current.etag):
		return failure("PreconditionFailed").with("Condition", "If-Match")
	}
	return nil
}

// checkDelete is for deletes, which find nothing wrong with an object that is gone.
func (c writeCondition) checkDelete(current *version) error {
	if current == nil {
		return nil
	}
	if c.size != nil && *c.size != current.content.size {
		return failure("PreconditionFailed").with("Condition", "Size")
	}
	if !c.modified.IsZero() && !c.modified.Equal(current.modified) {
		return failure("PreconditionFailed").with("Condition", "LastModifiedTime")
	}
	return c.check(current)
}

// beginWrite notes a conditional write that is under way. With [WithConflicts] a second one of the same key is
// refused until the first one is done.
func (b *Bucket) beginWrite(key string, c writeCondition) (release func(), err error) {
	if !c.conditional || !b.server.settings.conflicts {
		return func() {}, nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.writing[key] > 0 {
		return nil, failure("ConditionalRequestConflict").with("Condition", "If-None-Match").with("Key", key)
	}
	b.writing[key]++
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.writing, key)
	}, nil
}
