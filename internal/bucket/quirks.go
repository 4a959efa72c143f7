package bucket

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Quirks are what sets a service apart from S3, as far as it changes what this
// package does. The zero value is S3 itself, and what an unknown service is
// taken for until questions have told more; refusals have fall-backs.
type Quirks struct {
	Vendor string // the name for Config.Vendor
	// hosts are the endpoints of the service. {region} stands for a label that
	// is the region to sign for, * for any labels.
	hosts []string
	// server is how the service begins the Server header of its answers, in
	// lower case; "" is not known.
	server string
	// asked says that the versions in use differ, and that the service is asked
	// what one without a row is.
	asked bool

	Region      string // to sign for where nothing else says one
	VirtualHost bool   // wants the bucket in the host name

	NoChecksums    bool  // does not know x-amz-checksum-* headers
	BareCompletion bool  // takes parts with checksums, and no completion that names them
	OpaqueETags    bool  // ETags look like the MD5 of the bytes and are not
	NoTags         bool  // objects have no tags
	NoConditions   bool  // ignores conditions of writes
	NoListEncoding bool  // encodes keys of listings in ways of its own
	NoUploadTags   bool  // loses the tags that an upload in parts is created with
	NoUploadLocks  bool  // loses the lock that it is created with
	MaxParts       int32 // of an upload; 0 is 10,000
	// RewritesEncoding says that something on the way changes the header
	// Accept-Encoding, which must then not be signed.
	RewritesEncoding bool
}

// vendors is the table. Each row names where its facts are from; a service
// whose differences this package has no need to know has a row all the same,
// for its name and its region.
var vendors = []Quirks{
	// https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html for
	// the listing, https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
	// for parts, and for conditions
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
	{Vendor: "aws"},

	// https://github.com/minio/minio/blob/master/docs/minio-limits.md, and what
	// it calls itself is in
	// https://github.com/minio/minio/blob/master/cmd/api-headers.go
	// No differences that matter here, as our conformance tests tell.
	{Vendor: "minio", server: "minio"},

	// https://github.com/versity/versitygw/wiki has the operations. Its name, and
	// that no differences matter here, is what our conformance tests tell.
	{Vendor: "versitygw", server: "versitygw"},

	// Measured on 16.2.15 (Pacific): it encodes keys in listings as S3 does, and
	// without that sends XML that no parser takes when a key has a control
	// character; ignores If-None-Match where versions are kept and at the end of
	// uploads, and takes no If-Match with an ETag in quotes for true; loses tags
	// and locks of uploads; computes no checksum; and does not tell the parts of
	// an object. Newer ones differ: https://github.com/ceph/s3-tests/issues/583
	// for conditions, https://github.com/ceph/ceph/pull/49457 for tags; older ones
	// do in listings:
	// https://github.com/rclone/rclone/blob/master/backend/s3/provider/Ceph.yaml
	// Its name, since Reef, is in https://github.com/ceph/ceph/pull/50510
	{Vendor: "ceph", server: "ceph object gateway", asked: true},

	// https://developers.cloudflare.com/r2/api/s3/api/ for region and tags;
	// https://github.com/s3tools/s3cmd/issues/1273 and
	// https://github.com/rclone/rclone/blob/master/backend/s3/provider/Cloudflare.yaml
	// for the ETags of parts.
	{Vendor: "r2", hosts: []string{"*.r2.cloudflarestorage.com"}, Region: "auto", NoTags: true, OpaqueETags: true},

	// https://www.backblaze.com/apidocs/s3-copy-object says that
	// x-amz-tagging is rejected, https://www.backblaze.com/apidocs/s3-put-object
	// where the region is.
	{Vendor: "b2", hosts: []string{"s3.{region}.backblazeb2.com"}, NoTags: true},

	// https://docs.wasabi.com/docs/december-2023-apis for tags, and
	// https://github.com/rclone/rclone/blob/master/backend/s3/provider/Wasabi.yaml
	// for endpoints.
	{Vendor: "wasabi", hosts: []string{"s3.{region}.wasabisys.com", "s3.wasabisys.com"}},

	// https://www.scaleway.com/en/docs/object-storage/api-cli/multipart-uploads/
	{Vendor: "scaleway", hosts: []string{"s3.{region}.scw.cloud"}, MaxParts: 1000},

	// https://support.us.ovhcloud.com/hc/en-us/articles/4605467875603 for
	// limits, https://www.mintlify.com/ovh/docs/storage/object-storage for
	// endpoints, and for conditions
	// https://docs.ovhcloud.com/it/guides/storage-and-backup/object-storage/s3-conditional-writes
	{Vendor: "ovh", hosts: []string{"s3.{region}.io.cloud.ovh.net", "s3.{region}.perf.cloud.ovh.net"}},

	// https://docs.hetzner.com/storage/object-storage/supported-actions/, and
	// https://docs.hetzner.com/storage/object-storage/faq/general says that it is
	// made of Ceph.
	{Vendor: "hetzner", hosts: []string{"{region}.your-objectstorage.com"}, asked: true},

	// https://github.com/rclone/rclone/blob/master/backend/s3/provider/DigitalOcean.yaml
	// for the listing; https://docs.digitalocean.com/products/spaces/reference/s3-compatibility/
	// and that it is made of Ceph: https://www.digitalocean.com/community/pages/spaces_update
	{Vendor: "digitalocean", hosts: []string{"{region}.digitaloceanspaces.com"}, NoListEncoding: true, asked: true},

	// https://github.com/aws/aws-sdk-go-v2/issues/1816 and
	// https://github.com/benbjohnson/litestream/issues/1386 for the signature,
	// https://github.com/bacalhau-project/bacalhau/pull/3040 for checksums,
	// https://github.com/aws/aws-sdk-java-v2/pull/6055 for conditions;
	// https://docs.cloud.google.com/storage/docs/reference-headers lists all
	// headers that it knows, and none for tags.
	{Vendor: "gcs", hosts: []string{"storage.googleapis.com", "storage.*.googleapis.com"},
		NoChecksums: true, NoTags: true, NoConditions: true, RewritesEncoding: true},

	// https://cloud.ibm.com/docs/cloud-object-storage?topic=cloud-object-storage-compatibility-api
	// has all operations, and none for tags.
	{Vendor: "ibm", hosts: []string{"s3.{region}.cloud-object-storage.appdomain.cloud"}, NoTags: true},

	// https://garagehq.deuxfleurs.fr/documentation/reference-manual/s3-compatibility
	{Vendor: "garage", NoTags: true},

	// https://github.com/rclone/rclone/blob/master/backend/s3/provider/SeaweedFS.yaml
	// for the listing. Conditions of writes came with
	// https://github.com/seaweedfs/seaweedfs/pull/7154
	{Vendor: "seaweedfs", NoListEncoding: true},

	// https://storj.dev/dcs/api/s3/s3-compatibility
	{Vendor: "storj", hosts: []string{"gateway.storjshare.io", "gateway.*.storjshare.io"}},

	// https://tigrisdata.com/docs/sdks/s3/aws-go-sdk/
	{Vendor: "tigris", hosts: []string{"t3.storage.dev", "fly.storage.tigris.dev"}, Region: "auto", VirtualHost: true},
}

// Vendors are the names that Config.Vendor may have.
func Vendors() []string {
	names := make([]string, len(vendors))
	for i, v := range vendors {
		names[i] = v.Vendor
	}
	return names
}

// quirksOf finds the row of a vendor, or that of an endpoint if no vendor is
// named.
func quirksOf(vendor, endpoint string) (Quirks, error) {
	if vendor == "" {
		return detect(endpoint), nil
	}
	for _, v := range vendors {
		if v.Vendor == vendor {
			v.Region = firstOf(v.regionIn(hostOf(endpoint)), v.Region)
			return v, nil
		}
	}
	return Quirks{}, fmt.Errorf("vendor %q is none of %s", vendor, strings.Join(Vendors(), ", "))
}

// detect knows services by their hosts. Those that people run themselves have
// none.
func detect(endpoint string) Quirks {
	if endpoint == "" {
		return vendors[0]
	}
	host := hostOf(endpoint)
	for _, v := range vendors {
		for _, pattern := range v.hosts {
			if region, ok := matchHost(pattern, host); ok {
				v.Region = firstOf(region, v.Region)
				return v
			}
		}
	}
	return Quirks{}
}

func (q Quirks) regionIn(host string) string {
	for _, pattern := range q.hosts {
		if region, ok := matchHost(pattern, host); ok {
			return region
		}
	}
	return ""
}

func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}

func hostOf(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return ""
	}
	return strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
}

// matchHost compares a host with a pattern, label by label.
func matchHost(pattern, host string) (region string, ok bool) {
	wants, labels := strings.Split(pattern, "."), strings.Split(host, ".")
	for len(wants) > 0 {
		if wants[0] == "*" {
			if len(labels) < len(wants) {
				return "", false
			}
			// The star takes what the rest of the pattern leaves, at least one.
			labels = labels[len(labels)-len(wants)+1:]
			wants = wants[1:]
			continue
		}
		if len(labels) == 0 || labels[0] == "" {
			return "", false
		}
		switch {
		case wants[0] == "{region}":
			region = labels[0]
		case wants[0] != labels[0]:
			return "", false
		}
		wants, labels = wants[1:], labels[1:]
	}
	return region, len(labels) == 0
}

// Quirks are those of the service of this client.
func (c *Client) Quirks() Quirks { return *c.service.quirks.Load() }

// partSize is the size of the parts of an object of size bytes, such that they
// are not more than the service takes.
func (q Quirks) partSize(size, wanted int64) int64 {
	parts := partSizeFor(size, wanted)
	if q.MaxParts == 0 {
		return parts
	}
	// partSizeFor counts on MaxParts of them.
	return max(parts, partSizeFor(size*MaxParts/int64(q.MaxParts), wanted))
}

// look does what a service does not that ignores the conditions of writes: it
// looks whether they hold, and takes them away. Another writer may come
// between, which only the service could prevent.
func (c *Client) look(ctx context.Context, key string, w Write) (Write, error) {
	if !w.conditional() || w.Guards && c.keepsConditions(ctx, key) || !c.Quirks().NoConditions {
		return w, nil
	}
	there, err := c.Head(ctx, key, Pin{})
	missing := errors.Is(err, ErrNotFound) && !errors.Is(err, ErrBucketNotFound)
	switch {
	case err != nil && !missing:
		return w, err
	case w.IfNoneMatch && !missing:
		return w, &OpError{Op: "put", Bucket: c.name, Key: key, Kind: ErrAlreadyExists}
	case w.IfMatch != "" && (missing || there.ETag != w.IfMatch):
		return w, &OpError{Op: "put", Bucket: c.name, Key: key, Kind: ErrChanged}
	}
	w.IfNoneMatch, w.IfMatch = false, ""
	return w, nil
}

// leaveEncoding takes Accept-Encoding out of requests before they are signed.
// Our transport adds none. One is added, unsigned, where bodies are read: they
// would come decoded otherwise, and not as they are stored.
// https://docs.cloud.google.com/storage/docs/transcoding
func (q Quirks) leaveEncoding(o *s3.Options) {
	if !q.RewritesEncoding {
		return
	}
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		remove := func(h http.Header) { h.Del("Accept-Encoding") }
		add := func(h http.Header) { h.Set("Accept-Encoding", "gzip") }
		err := stack.Finalize.Insert(changeHeader("s3klosetNoEncoding", remove), "Signing", middleware.Before)
		if err != nil || stack.ID() != "GetObject" {
			return err
		}
		return stack.Finalize.Insert(changeHeader("s3klosetEncoding", add), "Signing", middleware.After)
	})
}

func changeHeader(id string, change func(http.Header)) middleware.FinalizeMiddleware {
	return middleware.FinalizeMiddlewareFunc(id,
		func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
			if request, ok := in.Request.(*smithyhttp.Request); ok {
				change(request.Header)
			}
			return next.HandleFinalize(ctx, in)
		})
}

// listEncoding is how keys of listings are asked for.
func (q Quirks) listEncoding() types.EncodingType {
	if q.NoListEncoding {
		return ""
	}
	return types.EncodingTypeUrl
}

// over is a row as it holds for a client that was made before it was known.
func (q Quirks) over(made Quirks) Quirks {
	q.Region = made.Region
	return q
}

// applyQuirks lets the service decide what the caller has not.
func (cfg *Config) applyQuirks() error {
	quirks, err := quirksOf(cfg.Vendor, cfg.Endpoint)
	if err != nil {
		return err
	}
	cfg.quirks = quirks
	cfg.NoChecksums = cfg.NoChecksums || quirks.NoChecksums
	cfg.VirtualHost = cfg.VirtualHost || quirks.VirtualHost
	if cfg.Region == "" {
		cfg.Region = quirks.Region
	}
	return nil
}
