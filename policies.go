package s3kloset

import (
	"github.com/bmatcuk/doublestar/v4"
)

// TagPolicy says when a Source asks for the tags of an object that is
// unchanged otherwise. Tags can change without a trace in the listing.
type TagPolicy int

const (
	// TagsAlways asks for each object at each backup: one request an object.
	// It is the default, since it misses nothing.
	TagsAlways TagPolicy = iota
	// TagsOnChange asks only for objects that are read.
	TagsOnChange
	// TagsNever stores no tags.
	TagsNever
)

// WithTagPolicy says when tags are asked for; the default is TagsAlways.
func WithTagPolicy(policy TagPolicy) Option {
	return func(c *config) error {
		if policy < TagsAlways || policy > TagsNever {
			return invalid("tags", "unknown policy %d", policy)
		}
		c.source.tags = policy
		return nil
	}
}

// OverwritePolicy says what a Destination does where there is an object.
type OverwritePolicy int

const (
	// Overwrite replaces the object. It is the default.
	Overwrite OverwritePolicy = iota
	// SkipExisting leaves it, and counts the new one as skipped.
	SkipExisting
	// OverwriteIfDifferent leaves an object of the same size and ETag, and
	// counts it as unchanged; metadata is not compared.
	OverwriteIfDifferent
)

// WithOverwrite says what happens to objects that exist at the destination.
func WithOverwrite(policy OverwritePolicy) Option {
	return func(c *config) error {
		if policy < Overwrite || policy > OverwriteIfDifferent {
			return invalid("overwrite", "unknown policy %d", policy)
		}
		c.destination.overwrite = policy
		return nil
	}
}

// WithInclude makes a Source take only keys that match one of the patterns.
// Patterns are matched against the key below the prefix: * stands for any
// characters but /, ** for any folders, ? for one character, {a,b} for
// alternatives. Skipped keys cost no request.
func WithInclude(patterns ...string) Option {
	return func(c *config) error { return addPatterns("include", &c.source.include, patterns) }
}

// WithExclude makes a Source leave out keys that match one of the patterns,
// also where they are included. See WithInclude for their form.
func WithExclude(patterns ...string) Option {
	return func(c *config) error { return addPatterns("exclude", &c.source.exclude, patterns) }
}

// WithVerifyMD5 makes a Source compare bodies with ETags, too, where those are
// MD5s: of objects that no KMS key or key of the customer encrypts, in one part
// or in parts of one size. A body that differs fails with ErrChecksum. Checksums
// that an object has are compared anyway; the default is to leave it at that.
func WithVerifyMD5(on bool) Option {
	return func(c *config) error { c.source.verifyMD5 = on; return nil }
}

func addPatterns(option string, to *[]string, patterns []string) error {
	for _, p := range patterns {
		if p == "" || !doublestar.ValidatePattern(p) {
			return invalid(option, "%q is no pattern", p)
		}
	}
	*to = append(*to, patterns...)
	return nil
}

// wants tells whether a key below the prefix passes the patterns.
func (c sourceConfig) wants(key string) bool {
	return (len(c.include) == 0 || matchesAny(c.include, key)) && !matchesAny(c.exclude, key)
}

func matchesAny(patterns []string, key string) bool {
	for _, p := range patterns {
		if doublestar.MatchUnvalidated(p, key) {
			return true
		}
	}
	return false
}

// WithUnorderedListing accepts a server that lists keys in another order than
// that of their bytes, as directory buckets do. Each object then costs one
// more request, which asks whether its key is also a folder.
func WithUnorderedListing(on bool) Option {
	return func(c *config) error { c.source.unordered = on; return nil }
}

// WithCreateBucket lets a Destination and the creation of a repository make
// the bucket when it is missing.
func WithCreateBucket(on bool) Option {
	return func(c *config) error { c.destination.createBucket = on; return nil }
}

// WithFolderMarkers makes a Destination write an empty object "folder/" for
// each empty folder of a snapshot, such as those of a file system.
func WithFolderMarkers(on bool) Option {
	return func(c *config) error { c.destination.markers = on; return nil }
}

// WithSourceParts says whether a Destination uploads each object in the parts
// that it was uploaded in first, so that it gets the same ETag. One that had no
// parts goes up whole. Each part must fit into the memory limit. An object for
// which that is not possible, because its parts are not known or differ in size,
// is uploaded in parts of WithPartSize, and counted as WarnETag. The default is
// true; false means WithPartSize for all.
func WithSourceParts(on bool) Option {
	return func(c *config) error { c.destination.sourceParts = on; return nil }
}

// WithRestoredEncryption makes a Destination ask for the encryption mode and
// KMS key that each object had. The default is that of the target bucket.
func WithRestoredEncryption(on bool) Option {
	return func(c *config) error { c.destination.encryption = on; return nil }
}

// WithRestoredLock makes a Destination put back the object lock that each
// object had, where its date has not passed. The target must allow it.
func WithRestoredLock(on bool) Option {
	return func(c *config) error { c.destination.lock = on; return nil }
}
