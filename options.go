package s3kloset

import (
	"fmt"
	"log/slog"
	"math"
	"strings"
	"time"

	"github.com/s3kloset/s3kloset/internal/bucket"
)

// Option sets one thing of a handle. New applies options in order, stops at
// the first that refuses its value, and checks the whole when all are applied.
// A nil Option is skipped.
type Option func(*config) error

// config is what the options add up to.
type config struct {
	where  place
	client bucket.Config

	memory      int64
	concurrency int
	partSize    int64 // 0: none was asked for
	progress    func(Progress)
	archive     ArchivePolicy
	encryption  Encryption    // of what is written
	thawPoll    time.Duration // first wait between looks at a copy on its way

	source      sourceConfig
	destination destinationConfig
	store       storeConfig
}

// place is where the bucket is, as far as options say.
type place struct {
	endpoint string
	port     int
	sts      *endpoint // that gives a role's keys; nil for that of AWS
	first    *bool     // the location begins with an endpoint, or does not
	tls      *bool
	bucket   string
	prefix   *string
}

// sourceConfig holds what only a Source looks at.
type sourceConfig struct {
	tags      TagPolicy
	include   []string
	exclude   []string
	unordered bool
	verifyMD5 bool
	cache     string // folder; "" for none
	rangeSize int64  // of the reads of large objects
}

// destinationConfig holds what only a Destination looks at.
type destinationConfig struct {
	overwrite    OverwritePolicy
	storageClass string
	createBucket bool
	markers      bool
	sourceParts  bool
	encryption   bool
	lock         bool
}

// storeConfig holds what only a Store looks at.
type storeConfig struct {
	storageClass string
	lockMode     LockMode
	lockPeriod   time.Duration
}

const (
	// DefaultConcurrency is how many requests a handle has in flight. At a round trip of 30 ms it asks for 2,000 small
	// objects a second, which is more than the engine takes on two processors,
	// and less than the 5,500 that S3 gives for a prefix:
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/optimizing-performance.html
	DefaultConcurrency = 64
	// DefaultMemory is the budget for buffers, in bytes.
	DefaultMemory = 256 << 20
	// minMemory holds two parts of the smallest size that S3 takes.
	minMemory = 2 * bucket.MinPartSize
	// maxConcurrency keeps a typing mistake from opening a million sockets.
	maxConcurrency = 4096
)

func defaultConfig() *config {
	c := &config{
		memory:      DefaultMemory,
		concurrency: DefaultConcurrency,
		thawPoll:    firstThawPoll,
		source:      sourceConfig{rangeSize: bucket.DefaultRangeSize},
		destination: destinationConfig{sourceParts: true},
	}
	c.client.Logger = slog.New(slog.DiscardHandler)
	return c
}

// invalid makes the error of an option. It must not get a secret.
func invalid(option, format string, args ...any) error {
	return fmt.Errorf("%w %s: %s", ErrInvalidOption, option, fmt.Sprintf(format, args...))
}

// # Where

// WithEndpoint names an S3-compatible service: host, host:port, or a URL that
// begins with http:// or https://. The location then begins with the bucket,
// unless it begins with the same host. The default is AWS, or the host in the
// location.
func WithEndpoint(endpoint string) Option {
	return func(c *config) error {
		if endpoint == "" {
			return invalid("endpoint", "it is empty")
		}
		c.where.endpoint = endpoint
		return nil
	}
}

// WithPort adds a port, from 1 to 65535, to an endpoint without one.
func WithPort(port int) Option {
	return func(c *config) error {
		if port < 1 || port > 65535 {
			return invalid("port", "%d is not from 1 to 65535", port)
		}
		c.where.port = port
		return nil
	}
}

// WithEndpointFirst says that the location is s3://HOST/BUCKET/PREFIX (true)
// or s3://BUCKET/PREFIX (false). Without it the host decides: one with a dot
// or a port, and localhost, is an endpoint.
func WithEndpointFirst(first bool) Option {
	return func(c *config) error { c.where.first = &first; return nil }
}

// WithBucket names the bucket. A location that begins with this name is
// s3://BUCKET/PREFIX even when the name has dots.
func WithBucket(name string) Option {
	return func(c *config) error {
		if name == "" {
			return invalid("bucket", "it is empty")
		}
		c.where.bucket = name
		return nil
	}
}

// WithPrefix replaces the prefix of the location. A prefix is a folder: "a/b"
// takes the object a/b and all objects below a/b/, never a/bc.
func WithPrefix(prefix string) Option {
	return func(c *config) error {
		folder := strings.TrimSuffix(prefix, "/")
		if strings.HasPrefix(prefix, "/") {
			return invalid("root", "%q begins with a slash", prefix)
		}
		if len(folder) > maxKey {
			return invalid("root", "it has %d bytes, at most %d are possible", len(folder), maxKey)
		}
		c.where.prefix = &folder
		return nil
	}
}

// WithRegion says where requests are signed for. The default is the region of
// an AWS host in the location, that of the AWS configuration when it is asked,
// else us-east-1. When the server names another region, that one is used.
func WithRegion(region string) Option {
	return func(c *config) error {
		if !isToken(region) { // it becomes a part of host names
			return invalid("region", "%q is no region", region)
		}
		c.client.Region = region
		return nil
	}
}

// WithTLS chooses between https, the default, and http.
func WithTLS(on bool) Option {
	return func(c *config) error { c.where.tls = &on; return nil }
}

// WithVirtualHost puts the bucket into the host name instead of the path, for
// services other than AWS that want it so. AWS always gets it where possible.
func WithVirtualHost(on bool) Option {
	return func(c *config) error { c.client.VirtualHost = on; return nil }
}

// WithDualstack uses the IPv6 endpoints of AWS.
func WithDualstack(on bool) Option {
	return func(c *config) error { c.client.Dualstack = on; return nil }
}

// WithFIPS uses the FIPS endpoints of AWS.
func WithFIPS(on bool) Option {
	return func(c *config) error { c.client.FIPS = on; return nil }
}

// WithAccelerate uses the transfer acceleration of AWS.
func WithAccelerate(on bool) Option {
	return func(c *config) error { c.client.Accelerate = on; return nil }
}

// # How

// WithConcurrency is how many requests of the handle are in flight, from their
// first byte to the head of the answer, 64 by default, from 1 to 4096. The bodies
// of answers come beside them, and the locks of a repository wait for nobody.
func WithConcurrency(n int) Option {
	return func(c *config) error {
		if n < 1 || n > maxConcurrency {
			return invalid("concurrency", "%d is not from 1 to %d", n, maxConcurrency)
		}
		c.concurrency = n
		return nil
	}
}

// WithMemoryLimit is the budget in bytes for the buffers of each Source,
// Destination or Store, 256 MiB by default and 10 MiB at the least. Two parts of
// an upload must fit into it.
func WithMemoryLimit(bytes int64) Option {
	return func(c *config) error {
		if bytes < minMemory {
			return invalid("memory", "%d bytes are less than %d", bytes, minMemory)
		}
		c.memory = bytes
		return nil
	}
}

// WithPartSize is the size in bytes of the parts of a multipart upload, from
// 5 MiB to 5 GiB as S3 wants. The default is 8 MiB, or half of the memory limit
// if that is less. It grows by itself for objects that would need more than
// 10,000 parts.
func WithPartSize(bytes int64) Option {
	return func(c *config) error {
		if bytes < bucket.MinPartSize || bytes > bucket.MaxSinglePut {
			return invalid("part_size", "%d is not from 5 MiB to 5 GiB", bytes)
		}
		c.partSize = bytes
		return nil
	}
}

// WithRequestRate caps the requests per second of the handle. The default is
// no cap; the handle slows down by itself when the server asks for it.
func WithRequestRate(perSecond float64) Option {
	return func(c *config) error {
		if !(perSecond > 0) || math.IsInf(perSecond, 0) { // NaN is not positive either
			return invalid("requests_per_second", "%v is not a positive number", perSecond)
		}
		c.client.RequestsPerSecond = perSecond
		return nil
	}
}

// WithBandwidth caps the body bytes per second of the handle, both directions
// together. The default is no cap.
func WithBandwidth(bytesPerSecond int64) Option {
	return func(c *config) error {
		if bytesPerSecond <= 0 {
			return invalid("bytes_per_second", "%d is not positive", bytesPerSecond)
		}
		c.client.BytesPerSecond = bytesPerSecond
		return nil
	}
}

// WithRequesterPays bills requests and transfer to us.
func WithRequesterPays(on bool) Option {
	return func(c *config) error { c.client.RequesterPays = on; return nil }
}

// WithExpectedBucketOwner fails requests to a bucket of another account.
func WithExpectedBucketOwner(account string) Option {
	return func(c *config) error {
		if account == "" || !isToken(account) {
			return invalid("expected_bucket_owner", "%q is no account", account)
		}
		c.client.ExpectedOwner = account
		return nil
	}
}

// WithCustomerKey encrypts and decrypts objects with a key of 32 bytes that
// the server does not keep (SSE-C).
func WithCustomerKey(key []byte) Option {
	return func(c *config) error {
		if len(key) != 32 {
			return invalid("sse_customer_key", "it has %d bytes, not 32", len(key))
		}
		c.client.SSECustomerKey = append([]byte(nil), key...)
		return nil
	}
}

// WithCustomerKeys asks lookup for the key of each object (SSE-C), by its whole
// key in the bucket: 32 bytes, or nil for an object that has none. It is asked
// with each request that reads or writes an object, from many goroutines at a
// time. Where it fails, that object fails with its error.
func WithCustomerKeys(lookup func(key string) ([]byte, error)) Option {
	return func(c *config) error {
		if lookup == nil {
			return invalid("customer keys", "the function is nil")
		}
		c.client.CustomerKeys = lookup
		return nil
	}
}

// WithBucketOwnerControl gives the owner of the bucket full control of what is
// written, by the ACL bucket-owner-full-control: without it, the owner of a
// bucket that still has ACLs cannot read what another account writes there.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/about-object-ownership.html
func WithBucketOwnerControl(on bool) Option {
	return func(c *config) error { c.client.OwnerControl = on; return nil }
}

// WithEncryption is how S3 encrypts the objects that are written: AES256
// (SSE-S3), or aws:kms and aws:kms:dsse with a key, or the account's default
// key when none is named. A bucket key, of aws:kms alone, saves requests to KMS.
// The default is that of the bucket.
func WithEncryption(e Encryption) Option {
	return func(c *config) error {
		switch {
		case e.Mode != "AES256" && e.Mode != "aws:kms" && e.Mode != "aws:kms:dsse":
			return invalid("sse", "%q is not AES256, aws:kms or aws:kms:dsse", e.Mode)
		case e.Mode == "AES256" && (e.KMSKeyID != "" || e.BucketKey):
			return invalid("sse", "AES256 has no KMS key")
		case e.Mode == "aws:kms:dsse" && e.BucketKey:
			return invalid("sse", "aws:kms:dsse has no bucket key")
		}
		c.encryption = e
		return nil
	}
}

// WithoutChecksums sends no x-amz-checksum headers, for services that refuse
// them. Writes are then checked by their ETag alone.
func WithoutChecksums(on bool) Option {
	return func(c *config) error { c.client.NoChecksums = on; return nil }
}

// WithLogger gets retries, resumed reads and the like at debug level. The
// default is silence. Errors that are returned are not logged.
func WithLogger(logger *slog.Logger) Option {
	return func(c *config) error {
		if logger == nil {
			return invalid("logger", "it is nil")
		}
		c.client.Logger = logger
		return nil
	}
}

// Progress is how far a run is.
type Progress struct {
	Counts
	Done bool // the last call of the run
}

// WithProgress is called, from one goroutine, a few times a second while a
// Source or a Destination runs, and once at its end. A slow callback delays
// only the next call.
func WithProgress(callback func(Progress)) Option {
	return func(c *config) error { c.progress = callback; return nil }
}

// WithStorageClass is the class that a Destination gives to all objects,
// instead of the one each had, and the class of a Store's cold packfiles. A
// Source does not look at it.
func WithStorageClass(class string) Option {
	return func(c *config) error {
		if class == "" || !isToken(class) {
			return invalid("storage_class", "%q is no class", class)
		}
		c.destination.storageClass = class
		c.store.storageClass = class
		return nil
	}
}

// isToken accepts the alphabet of the names of classes, regions and accounts of
// S3, and of those that other services have added.
func isToken(s string) bool {
	for _, r := range s {
		if (r < 'A' || r > 'Z') && (r < '0' || r > '9') && (r < 'a' || r > 'z') && r != '_' && r != '-' {
			return false
		}
	}
	return true
}
