package s3kloset

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/s3kloset/s3kloset/internal/bucket"
)

// Bucket is a handle on a bucket, or on a folder of it. It is safe for
// concurrent use, and so are the values made from it.
type Bucket struct {
	cfg      *config
	client   *bucket.Client
	location location
}

// New makes a handle on a location, s3://BUCKET/PREFIX or
// s3://HOST[:PORT]/BUCKET/PREFIX. It validates everything and makes no request:
// that the bucket exists shows with the first use, or with Ping.
//
// Errors wrap ErrInvalidLocation or ErrInvalidOption.
func New(location string, opts ...Option) (*Bucket, error) {
	cfg, where, err := resolve(location, opts)
	if err != nil {
		return nil, err
	}
	client, err := bucket.New(cfg.client)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidOption, err)
	}
	return &Bucket{cfg: cfg, client: client, location: where}, nil
}

// resolve brings together what location and options say, and checks it. It
// reads no files.
func resolve(text string, opts []Option) (*config, location, error) {
	cfg, err := configure(opts)
	if err != nil {
		return nil, location{}, err
	}
	where, err := cfg.locate(text)
	if err != nil {
		return nil, location{}, err
	}
	if len(where.params) > 0 {
		// What the caller says in code wins over the location.
		params, err := paramOptions(where.params)
		if err != nil {
			return nil, location{}, err
		}
		if cfg, err = configure(append(params, opts...)); err != nil {
			return nil, location{}, err
		}
		if where, err = cfg.locate(text); err != nil {
			return nil, location{}, err
		}
	}
	return cfg, where, cfg.settle(&where)
}

func configure(opts []Option) (*config, error) {
	cfg := defaultConfig()
	for _, opt := range opts {
		if opt == nil {
			continue
		}
		if err := opt(cfg); err != nil {
			return nil, err
		}
	}
	return cfg, nil
}

// locate reads the location. The endpoint of the program's own configuration
// counts where neither the location nor another option names a host.
func (c *config) locate(text string) (location, error) {
	hint := c.where.hint()
	where, err := parseLocation(text, hint)
	if err != nil || c.client.AWS == nil || where.namesHost() {
		return where, err
	}
	if hint.endpoint = bucket.EndpointOf(*c.client.AWS); hint.endpoint == "" {
		return where, nil
	}
	return parseLocation(text, hint)
}

// hint is what options say about the meaning of the location.
func (p place) hint() locationHint {
	return locationHint{endpoint: p.endpoint, bucket: p.bucket, endpointFirst: p.first}
}

// settle brings options and location together and checks the whole.
func (c *config) settle(where *location) error {
	if c.where.prefix != nil {
		where.prefix = *c.where.prefix
	}
	endpoint, err := c.where.url(where)
	if err != nil {
		return err
	}
	c.client.Endpoint = endpoint
	c.client.Credentials.STSEndpoint = c.where.stsURL()
	c.client.Name = where.bucket
	c.client.Concurrency = c.concurrency
	c.client.Dualstack = c.client.Dualstack || where.dualstack
	c.client.FIPS = c.client.FIPS || where.fips
	if c.client.Region == "" {
		c.client.Region = where.region
	}
	return c.validate()
}

// validate checks what concerns more than one option, in any order of them.
func (c *config) validate() error {
	creds := c.client.Credentials
	if creds.Anonymous && (creds.Keys.AccessKey != "" || creds.Keys.SecretKey != "" || creds.Provider != nil || creds.Profile != "" || creds.RoleARN != "") {
		return invalid("anonymous", "it excludes all other credentials")
	}
	if creds.Keys.AccessKey == "" && creds.Keys.SecretKey != "" {
		return invalid("access_key", "it is missing beside secret_access_key")
	}
	if creds.Keys.AccessKey != "" && creds.Keys.SecretKey == "" {
		return invalid("secret_access_key", "it is missing beside access_key")
	}
	if creds.Keys.SessionToken != "" && creds.Keys.AccessKey == "" {
		return invalid("session_token", "it needs an access_key")
	}
	if creds.ExternalID != "" && creds.RoleARN == "" {
		return invalid("external_id", "it needs a role_arn")
	}
	if creds.RoleARN == "" && creds.SessionName != "" {
		return invalid("role_session_name", "it needs a role_arn")
	}
	if creds.RoleARN == "" && creds.Duration != 0 {
		return invalid("role_duration", "it needs a role_arn")
	}
	if creds.RoleARN == "" && creds.STSEndpoint != "" {
		return invalid("sts_endpoint", "it needs a role_arn")
	}
	if err := c.validateAccessPoint(); err != nil {
		return err
	}
	if c.client.Endpoint != "" && (c.client.Dualstack || c.client.FIPS || c.client.Accelerate) {
		return invalid("endpoint", "dualstack, fips and accelerate are of AWS alone")
	}
	if c.client.ClientKey != "" && c.client.ClientCert == "" {
		return invalid("client_key", "it needs a client_cert")
	}
	if c.client.ClientCert != "" && strings.HasPrefix(c.client.Endpoint, "http://") {
		return invalid("client_cert", "without TLS nobody asks for it")
	}
	if c.client.Transport != nil && (c.client.CAFile != "" || c.client.InsecureSkipVerify || c.client.ClientCert != "" || c.client.Proxy != nil) {
		return invalid("transport", "it brings its own TLS settings and proxy")
	}
	customerKeys := len(c.client.SSECustomerKey) > 0 || c.client.CustomerKeys != nil
	if len(c.client.SSECustomerKey) > 0 && c.client.CustomerKeys != nil {
		return invalid("sse_customer_key", "it excludes a function that finds keys")
	}
	if customerKeys && strings.HasPrefix(c.client.Endpoint, "http://") && !isLoopback(c.client.Endpoint) {
		return invalid("sse_customer_key", "it must not travel without TLS")
	}
	if c.source.cache != "" && c.source.unordered {
		return invalid("metadata_cache", "it needs a listing in the order of keys")
	}
	if c.store.lockMode != "" && c.client.NoChecksums {
		return invalid("object_lock", "it needs checksums: S3 refuses to lock objects that are sent without")
	}
	if customerKeys && c.encryption.Mode != "" {
		return invalid("sse", "it excludes a customer key")
	}
	if c.encryption.BucketKey && c.encryption.Mode != "aws:kms" {
		return invalid("sse_bucket_key", "it needs sse to be aws:kms")
	}
	if times, cold := retrievals[c.store.storageClass]; cold && c.archive.action == archiveRestore && times[c.archive.tier] == 0 {
		return invalid("archive", "class %s has no tier %s", c.store.storageClass, c.archive.tier)
	}
	if c.partSize == 0 {
		c.partSize = min(bucket.DefaultPartSize, c.memory/2)
	}
	if c.partSize > c.memory/2 {
		return invalid("part_size", "two parts of %d bytes do not fit into %d bytes of memory", c.partSize, c.memory)
	}
	return nil
}

// url makes the URL of the endpoint that the location and the options agree
// on: "" for AWS, where the hosts follow from region and bucket.
func (p place) url(where *location) (string, error) {
	scheme := where.scheme
	if scheme == "" {
		scheme = "https"
		if p.tls != nil && !*p.tls {
			scheme = "http"
		}
	}
	if p.tls != nil && *p.tls != (scheme == "https") {
		return "", invalid("use_tls", "it contradicts the scheme of the endpoint")
	}
	if where.endpoint == "" {
		return "", p.checkAWS(scheme)
	}
	u := url.URL{Scheme: scheme, Host: where.endpoint}
	if port := strconv.Itoa(p.port); p.port != 0 && u.Port() != port {
		if u.Port() != "" {
			return "", invalid("port", "the endpoint has another one")
		}
		u.Host += ":" + port
	}
	return u.String(), nil
}

// stsURL makes the URL of the endpoint that gives a role's keys: "" for that of
// AWS. Its scheme is its own, or that of the options.
func (p place) stsURL() string {
	if p.sts == nil {
		return ""
	}
	scheme := p.sts.scheme
	if scheme == "" {
		scheme = "https"
		if p.tls != nil && !*p.tls {
			scheme = "http"
		}
	}
	return scheme + "://" + p.sts.address()
}

// checkAWS refuses what would go unnoticed where the SDK knows the endpoint.
func (p place) checkAWS(scheme string) error {
	if scheme != "https" {
		return invalid("use_tls", "AWS is used with TLS only")
	}
	if p.port != 0 && p.port != 443 {
		return invalid("port", "AWS listens on 443 only")
	}
	return nil
}

func isLoopback(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || (ip != nil && ip.IsLoopback())
}

// Source reads the objects of the location into a snapshot.
func (b *Bucket) Source() *Source { return newSource(b) }

// Destination writes the objects of a snapshot below the location.
func (b *Bucket) Destination() *Destination { return newDestination(b) }

// Store keeps a Kloset repository below the location.
func (b *Bucket) Store() *Store { return newStore(b) }

// Ping asks whether the bucket is there and may be listed with these
// credentials.
func (b *Bucket) Ping(ctx context.Context) error { return b.client.Ping(ctx) }

// Requests counts the HTTP requests of the handle so far by S3 operation,
// retries included.
func (b *Bucket) Requests() map[string]int64 { return b.client.Requests() }

// Close lets go of connections. Values made from the handle fail with
// ErrClosed afterwards.
func (b *Bucket) Close() error {
	b.client.Close()
	return nil
}

// String is the location, without secrets.
func (b *Bucket) String() string { return b.location.String() }

// GoString is the location: %#v shows no more of a handle.
func (b *Bucket) GoString() string { return fmt.Sprintf("s3kloset.Bucket(%q)", b.location) }

// origin names the service and the bucket. Together with the root it
// identifies a source from one backup to the next.
func (b *Bucket) origin() string {
	host := "s3.amazonaws.com"
	if u, err := url.Parse(b.cfg.client.Endpoint); err == nil && u.Host != "" {
		host = u.Host
	}
	return host + "/" + b.location.bucket
}

// root is the path of the location's folder.
func (b *Bucket) root() string { return prefixPath(b.location.prefix) }

// folder is what the keys below the prefix begin with.
func (b *Bucket) folder() string {
	if b.location.prefix == "" {
		return ""
	}
	return b.location.prefix + "/"
}

// key joins names below the prefix.
func (b *Bucket) key(name string) string { return b.folder() + name }

// holds tells whether a key is in the folder of the location, or is its name.
func (b *Bucket) holds(key string) bool {
	prefix := b.location.prefix
	return prefix == "" || key == prefix || strings.HasPrefix(key, prefix+"/")
}

// below is what comes after the prefix in a key.
func (b *Bucket) below(key string) string {
	return strings.TrimPrefix(strings.TrimPrefix(key, b.location.prefix), "/")
}

// isFatal tells errors that every other object of a run would meet too.
func isFatal(err error) bool {
	return errors.Is(err, ErrBucketNotFound) || errors.Is(err, ErrCredentials) || errors.Is(err, ErrClosed) ||
		errors.Is(err, ErrBudget)
}
