package s3kloset

import (
	"slices"
	"strings"

	"github.com/s3kloset/s3kloset/internal/bucket"
)

// WithVendor says whose service the endpoint is, where the host does not tell:
// aws, minio, versitygw, ceph, r2, b2, wasabi, scaleway, ovh, hetzner,
// digitalocean, gcs, ibm, garage, seaweedfs, storj or tigris. What each does in
// another way than S3 is then taken into account from the first request on.
// Without it a known host decides, or the Server header of MinIO, versitygw and
// Ceph since Reef.
//
// A service that is unknown, or whose versions differ as those of Ceph do (ceph,
// digitalocean and hetzner), is asked, once for a handle and when an answer first
// depends on it: for a page of keys in plain text, when keys could be read in
// more than one way; for a write without the checksum that it refused; for the
// bytes that it gave an ETag that is not their MD5; with SkipExisting, for a
// write that must fail, to a key that is removed if it does not; before an
// upload of more than 1,000 parts, for one with the highest number in an upload
// that is aborted; and after an upload in parts with tags or a lock, whether the
// object has them: where they are lost on the way, each object gets them then. It is taken for S3 where it gives no answer. The name aws
// takes any service for S3, and asks nothing.
func WithVendor(name string) Option {
	return func(c *config) error {
		if !slices.Contains(bucket.Vendors(), name) {
			return invalid("vendor", "%q is none of %s", name, strings.Join(bucket.Vendors(), ", "))
		}
		c.client.Vendor = name
		return nil
	}
}
