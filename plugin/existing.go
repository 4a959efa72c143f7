package main

import (
	"maps"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/s3kloset/s3kloset"
)

// existingClasses are those that the existing integration takes, in any case.
var existingClasses = []string{
	"STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA",
	"INTELLIGENT_TIERING", "GLACIER", "GLACIER_IR", "DEEP_ARCHIVE",
}

// translate puts what a config map for the existing S3 integration of plakar
// says into the words of s3kloset.FromConfig, where the two differ:
//
//   - Empty values are no values.
//   - A class may be in lower case.
//   - With virtual_host the location begins with BUCKET.HOST.
//   - A root that begins with a slash is /BUCKET/FOLDER.
//
// All else is kept. The caller's map is not changed.
func translate(config map[string]string) (map[string]string, error) {
	c := maps.Clone(config)
	for _, key := range []string{"endpoint", "port", "region", "root", "sse_customer_key"} {
		if value, ok := c[key]; ok && value == "" {
			delete(c, key)
		}
	}
	if class := strings.ToUpper(c["storage_class"]); slices.Contains(existingClasses, class) {
		c["storage_class"] = class
	}
	if isTrue(c["virtual_host"]) {
		splitHost(c)
	}
	return c, splitRoot(c)
}

// splitHost takes the bucket out of the host of the location. Which part of it
// is the bucket, endpoint or bucket tell; else it is the first label. Hosts of
// AWS are left to s3kloset.New, which knows them.
func splitHost(c map[string]string) {
	address, ok := strings.CutPrefix(c["location"], "s3://")
	name := address
	if end := strings.IndexAny(address, "/?"); end >= 0 {
		name = address[:end]
	}
	if _, told := c["endpoint_first"]; !ok || told || strings.Contains(name, ".amazonaws.") {
		return
	}
	if _, err := netip.ParseAddrPort(name); err == nil {
		return
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return
	}
	bucket, host := c["bucket"], bareHost(c["endpoint"])
	switch {
	case host != "":
		bucket, ok = strings.CutSuffix(name, "."+host)
	case bucket != "":
		host, ok = strings.CutPrefix(name, bucket+".")
	default:
		bucket, host, ok = strings.Cut(name, ".")
	}
	// No bucket has a name as short as that of s3.example.com.
	if !ok || host == "" || len(bucket) < 3 {
		return
	}
	c["location"] = "s3:///" + bucket + strings.TrimPrefix(address, name)
	if c["endpoint"] == "" {
		c["endpoint"] = host
	}
}

// bareHost is the host[:port] of an endpoint.
func bareHost(endpoint string) string {
	if _, address, ok := strings.Cut(endpoint, "://"); ok {
		endpoint = address
	}
	return strings.Trim(endpoint, "./")
}

// splitRoot takes the bucket out of a root. A root that names another bucket
// than the location is refused: later versions of the existing integration take
// it for a folder, so that nobody can say what it means.
func splitRoot(c map[string]string) error {
	root := c["root"]
	if !strings.HasPrefix(root, "/") {
		return nil
	}
	delete(c, "root")
	folder := strings.Trim(root, "/")
	if folder == "" {
		return nil
	}
	first, rest, _ := strings.Cut(folder, "/")
	bucket, located, ok := placeOf(c)
	switch {
	case !ok:
		c["bucket"], c["root"] = first, rest
	case first == bucket:
		c["root"] = rest
	case "/"+folder != located:
		return refuse("root", "%q begins with a slash and so with a bucket, but the location names the bucket %q; write %q for a folder of it", root, bucket, folder)
	}
	return nil
}

// placeOf is the bucket and the folder that a location names, if it names one.
func placeOf(c map[string]string) (bucket, folder string, ok bool) {
	place := make(map[string]string)
	for _, key := range []string{"endpoint", "port", "endpoint_first", "bucket", "use_tls"} {
		if value, ok := c[key]; ok {
			place[key] = value
		}
	}
	opts, err := s3kloset.FromConfig(place)
	if err != nil {
		return "", "", false // and an error of parse, too
	}
	b, err := s3kloset.New(c["location"], opts...)
	if err != nil {
		return "", "", false
	}
	defer b.Close()
	source := b.Source()
	return path.Base(source.Origin()), source.Root(), true
}
