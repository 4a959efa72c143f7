package s3test

import (
	"fmt"
	"net/url"
	"strings"
)

// copySource is the object that x-amz-copy-source names.
type copySource struct {
	bucket  *Bucket
	key     string
	version *version
}

// source finds the source and checks what the request demands of it.
func (x *exchange) source() (*copySource, error) {
	path, query, _ := strings.Cut(x.header("X-Amz-Copy-Source"), "?")
	// S3 decodes it like a form: a plus sign that means itself must be written "%2B".
	path, err := url.QueryUnescape(path)
	if err != nil {
		return nil, failuref("InvalidArgument", "Invalid copy source encoding")
	}
	bucket, key, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	id, ok := strings.CutPrefix(query, "versionId=")
	if key == "" || query != "" && (!ok || id == "") {
		return nil, failuref("InvalidArgument", "Invalid copy source object key")
	}
	s := &copySource{bucket: x.server.Bucket(bucket), key: key}
	if s.bucket == nil {
		return nil, failure("NoSuchBucket").with("BucketName", bucket)
	}
	if err := x.charge(s.bucket); err != nil {
		return nil, err
	}
	if s.version, err = s.bucket.find(key, id); err != nil {
		return nil, err
	}
	if s.version.marker {
		return nil, failuref("InvalidRequest", "The source of a copy request may not specifically refer to a delete marker by version id.")
	}
	return s, x.checkSource(s)
}

func (x *exchange) checkSource(s *copySource) error {
	if err := x.matchCustomerKey(s.version.Properties, "X-Amz-Copy-Source-Server-Side-Encryption-Customer-"); err != nil {
		return err
	}
	if err := x.sourceCondition().check(s.version); err != nil {
		return err
	}
	if err := s.version.checkReadable(x.server); err != nil {
		if x.server.settings.archivedCopyState {
			return err
		}
		return failure("ObjectNotInActiveTierError")
	}
	return nil
}

// sourceRange is stricter than Range: both ends must be given and lie within the source.
func (x *exchange) sourceRange(c content) (content, error) {
	header := x.header("X-Amz-Copy-Source-Range")
	if header == "" {
		return c, nil
	}
	var first, last int64
	if n, err := fmt.Sscanf(header, "bytes=%d-%d", &first, &last); n != 2 || err != nil ||
		header != fmt.Sprintf("bytes=%d-%d", first, last) || first < 0 || first > last {
		return c, failuref("InvalidArgument", "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the zero-based offsets of the first and last bytes to copy")
	}
	if last >= c.size {
		return c, failuref("InvalidArgument", "Range specified is not valid for source object of size: %d", c.size).
			with("ArgumentName", "x-amz-copy-source-range").with("ArgumentValue", header)
	}
	return c.slice(first, last-first+1), nil
}
