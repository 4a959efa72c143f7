package s3test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const maxKeyLength = 1024

// target is what a request is about: the operation by its name in the S3 API, and what it is applied to.
type target struct {
	op     string
	bucket string
	key    string // raw bytes
	query  url.Values
}

// parseTarget reads the target from the request line. It never cleans: "/b/a//./b" names the key "a//./b". What can
// be known of a refused request is returned with the error.
func parseTarget(r *http.Request, domain string) (target, error) {
	path, rawQuery, _ := strings.Cut(originForm(r.RequestURI), "?")
	var t target
	if !strings.HasPrefix(path, "/") {
		return t, failure("InvalidURI")
	}
	path = path[1:]
	t.bucket = hostBucket(r.Host, domain)
	if t.bucket == "" {
		t.bucket, path, _ = strings.Cut(path, "/")
	}
	var err error
	if t.bucket, err = url.PathUnescape(t.bucket); err != nil {
		return t, failure("InvalidURI")
	}
	if t.key, err = url.PathUnescape(path); err != nil {
		return t, failure("InvalidURI")
	}
	if t.query, err = parseQuery(rawQuery); err != nil {
		return t, err
	}
	if t.bucket == "" && t.key != "" {
		return t, failure("InvalidBucketName")
	}
	t.op, err = t.operation(r)
	if len(t.key) > maxKeyLength && err == nil {
		err = failure("KeyTooLongError").with("Size", itoa(len(t.key))).with("MaxSizeAllowed", itoa(maxKeyLength))
	}
	return t, err
}

// originForm drops scheme and host, which clients send to proxies.
func originForm(uri string) string {
	for _, scheme := range []string{"http://", "https://"} {
		if rest, ok := strings.CutPrefix(uri, scheme); ok {
			_, path, _ := strings.Cut(rest, "/")
			return "/" + path
		}
	}
	return uri
}

// hostBucket is the bucket of a virtual-host style request, or "".
func hostBucket(host, domain string) string {
	if domain == "" {
		return ""
	}
	if colon := strings.LastIndexByte(host, ':'); colon >= 0 {
		host = host[:colon]
	}
	bucket, ok := strings.CutSuffix(host, "."+domain)
	if !ok {
		return ""
	}
	return bucket
}

// parseQuery is stricter than url.ParseQuery, which lets the first of several values win.
func parseQuery(raw string) (url.Values, error) {
	query := make(url.Values)
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(rawName)
		if err != nil {
			return query, failure("InvalidURI")
		}
		value, err := url.QueryUnescape(rawValue)
		if err != nil {
			return query, failure("InvalidURI")
		}
		if query.Has(name) {
			return query, failuref("InvalidArgument", "The query parameter %s is given twice.", name)
		}
		query.Set(name, value)
	}
	return query, nil
}

// level is what a request is applied to.
type level int

const (
	onService level = iota
	onBucket
	onObject
)

func (t *target) level() level {
	switch {
	case t.bucket == "":
		return onService
	case t.key == "":
		return onBucket
	}
	return onObject
}

// route says which operation a method, a set of query flags and x-amz-copy-source mean, and what the query may say
// beyond the flags.
type route struct {
	level  level
	method string
	flags  string
	op     string
	params string
	copies bool // x-amz-copy-source is present
}

const overrides = " response-cache-control response-content-disposition response-content-encoding" +
	" response-content-language response-content-type response-expires"

// routes is searched in order: a route with flags stands before those with fewer.
var routes = append(documentRoutes(), []route{
	{level: onService, method: "GET", op: "ListBuckets", params: "prefix max-buckets continuation-token bucket-region"},

	{level: onBucket, method: "GET", flags: "list-type", op: "ListObjectsV2",
		params: "prefix delimiter max-keys start-after continuation-token fetch-owner encoding-type"},
	{level: onBucket, method: "GET", flags: "versions", op: "ListObjectVersions",
		params: "prefix delimiter max-keys key-marker version-id-marker encoding-type"},
	{level: onBucket, method: "GET", flags: "uploads", op: "ListMultipartUploads",
		params: "prefix delimiter max-uploads key-marker upload-id-marker encoding-type"},
	{level: onBucket, method: "GET", flags: "location", op: "GetBucketLocation"},
	{level: onBucket, method: "GET", flags: "versioning", op: "GetBucketVersioning"},
	{level: onBucket, method: "PUT", flags: "versioning", op: "PutBucketVersioning"},
	{level: onBucket, method: "GET", flags: "object-lock", op: "GetObjectLockConfiguration"},
	{level: onBucket, method: "PUT", flags: "object-lock", op: "PutObjectLockConfiguration"},
	{level: onBucket, method: "GET", flags: "policyStatus", op: "GetBucketPolicyStatus"},
	{level: onBucket, method: "GET", flags: "acl", op: "GetBucketAcl"},
	{level: onBucket, method: "PUT", flags: "acl", op: "PutBucketAcl"},
	{level: onBucket, method: "POST", flags: "delete", op: "DeleteObjects"},
	{level: onBucket, method: "GET", op: "ListObjects", params: "prefix delimiter max-keys marker encoding-type"},
	{level: onBucket, method: "PUT", op: "CreateBucket"},
	{level: onBucket, method: "HEAD", op: "HeadBucket"},
	{level: onBucket, method: "DELETE", op: "DeleteBucket"},

	{level: onObject, method: "POST", flags: "uploads", op: "CreateMultipartUpload"},
	{level: onObject, method: "PUT", flags: "partNumber uploadId", op: "UploadPartCopy", copies: true},
	{level: onObject, method: "PUT", flags: "partNumber uploadId", op: "UploadPart"},
	{level: onObject, method: "GET", flags: "uploadId", op: "ListParts", params: "max-parts part-number-marker encoding-type"},
	{level: onObject, method: "POST", flags: "uploadId", op: "CompleteMultipartUpload"},
	{level: onObject, method: "DELETE", flags: "uploadId", op: "AbortMultipartUpload"},
	{level: onObject, method: "GET", flags: "tagging", op: "GetObjectTagging", params: "versionId"},
	{level: onObject, method: "PUT", flags: "tagging", op: "PutObjectTagging", params: "versionId"},
	{level: onObject, method: "DELETE", flags: "tagging", op: "DeleteObjectTagging", params: "versionId"},
	{level: onObject, method: "GET", flags: "acl", op: "GetObjectAcl", params: "versionId"},
	{level: onObject, method: "PUT", flags: "acl", op: "PutObjectAcl", params: "versionId"},
	{level: onObject, method: "GET", flags: "retention", op: "GetObjectRetention", params: "versionId"},
	{level: onObject, method: "PUT", flags: "retention", op: "PutObjectRetention", params: "versionId"},
	{level: onObject, method: "GET", flags: "legal-hold", op: "GetObjectLegalHold", params: "versionId"},
	{level: onObject, method: "PUT", flags: "legal-hold", op: "PutObjectLegalHold", params: "versionId"},
	{level: onObject, method: "GET", flags: "attributes", op: "GetObjectAttributes", params: "versionId"},
	{level: onObject, method: "POST", flags: "restore", op: "RestoreObject", params: "versionId"},
	{level: onObject, method: "GET", op: "GetObject", params: "versionId partNumber" + overrides},
	{level: onObject, method: "HEAD", op: "HeadObject", params: "versionId partNumber" + overrides},
	{level: onObject, method: "PUT", op: "CopyObject", copies: true},
	{level: onObject, method: "PUT", op: "PutObject"},
	{level: onObject, method: "DELETE", op: "DeleteObject", params: "versionId"},
}...)

// Operations returns the names of all operations that the server knows, as in the S3 API.
func Operations() []string {
	var names []string
	for _, r := range routes {
		names = append(names, r.op)
	}
	return names
}

// operation finds the route. A query that no route explains is refused: to ignore an unknown flag would make an empty
// bucket out of "GET ?inventory-of-next-year".
func (t *target) operation(r *http.Request) (string, error) {
	methodKnown := false
	for _, route := range routes {
		if route.level != t.level() || route.method != r.Method {
			continue
		}
		methodKnown = true
		if !hasFlags(t.query, route.flags) || route.copies && r.Header.Get("X-Amz-Copy-Source") == "" {
			continue
		}
		if unknown := t.unexplained(route); unknown != "" {
			return route.op, failure("NotImplemented").with("Query", unknown)
		}
		return route.op, nil
	}
	if methodKnown {
		return "", failure("NotImplemented")
	}
	return "", failure("MethodNotAllowed")
}

func hasFlags(query url.Values, flags string) bool {
	for flag := range strings.FieldsSeq(flags) {
		if !query.Has(flag) {
			return false
		}
	}
	return true
}

// unexplained is the first query parameter that the route does not know.
func (t *target) unexplained(route route) string {
	presigned := t.query.Has("X-Amz-Signature")
	known := strings.Fields("x-id " + route.flags + " " + route.params)
	for name := range t.query {
		signing := presigned && strings.HasPrefix(strings.ToLower(name), "x-amz-")
		if !signing && !slices.Contains(known, name) {
			return name
		}
	}
	return ""
}
