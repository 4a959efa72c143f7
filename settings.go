package s3kloset

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/s3kloset/s3kloset/internal/bucket"
)

// setting is one key of the key=value form of the options.
type setting struct {
	key    string
	option string // name of the Option that it stands for; "" for none
	secret bool   // not allowed in a location
	parse  func(value string) (Option, error)
	help   string
}

// settings are all keys that FromConfig takes. The README's table is checked
// against it.
var settings = []setting{
	{"location", "", true, ignored, "where; the argument of New"},
	{"bucket", "WithBucket", false, text(WithBucket), "name of the bucket, where the location leaves doubt"},
	{"endpoint", "WithEndpoint", false, text(WithEndpoint), "host[:port] or URL of an S3-compatible service"},
	{"port", "WithPort", false, number(WithPort), "port of the endpoint"},
	{"endpoint_first", "WithEndpointFirst", false, boolean(WithEndpointFirst), "the location begins with the endpoint"},
	{"root", "WithPrefix", false, text(WithPrefix), "prefix, instead of that of the location"},
	{"region", "WithRegion", false, text(WithRegion), "region that requests are signed for"},
	{"vendor", "WithVendor", false, text(WithVendor), "whose service the endpoint is, where the host does not tell"},
	{"use_tls", "WithTLS", false, boolean(WithTLS), "https (default true) or http"},
	{"virtual_host", "WithVirtualHost", false, boolean(WithVirtualHost), "bucket in the host name"},
	{"dualstack", "WithDualstack", false, boolean(WithDualstack), "IPv6 endpoints of AWS"},
	{"fips", "WithFIPS", false, boolean(WithFIPS), "FIPS endpoints of AWS"},
	{"accelerate", "WithAccelerate", false, boolean(WithAccelerate), "transfer acceleration of AWS"},
	{"tls_insecure_no_verify", "WithInsecureSkipVerify", false, boolean(WithInsecureSkipVerify), "accept any certificate"},
	{"ca_file", "WithCAFile", false, text(WithCAFile), "PEM file of trusted certificates"},
	{"client_cert", "WithClientCertificate", false, clientCert, "PEM file of the certificate to show to the server"},
	{"client_key", "WithClientCertificate", false, clientKey, "PEM file of its key (default the file of `client_cert`)"},
	{"proxy", "WithProxy", true, text(WithProxy), "URL of a proxy, or none (default that of the environment)"},

	{"access_key", "WithCredentials", true, accessKey, "access key id"},
	{"secret_access_key", "WithCredentials", true, secretKey, "secret access key"},
	{"session_token", "WithCredentials", true, sessionToken, "session token"},
	{"profile", "WithProfile", false, text(WithProfile), "profile of the shared AWS configuration"},
	{"role_arn", "WithAssumeRole", false, roleARN, "role to assume"},
	{"external_id", "WithAssumeRole", true, externalID, "external id of the role"},
	{"role_session_name", "WithRoleSessionName", false, text(WithRoleSessionName), "name of the role's session"},
	{"role_duration", "WithRoleDuration", false, duration(WithRoleDuration), "life of the role's keys, renewed in time (default 15m)"},
	{"sts_endpoint", "WithSTSEndpoint", false, text(WithSTSEndpoint), "host[:port] or URL of the STS that gives the role's keys (default that of AWS)"},
	{"anonymous", "WithAnonymous", false, boolean(WithAnonymous), "sign no requests"},
	{"requester_pays", "WithRequesterPays", false, boolean(WithRequesterPays), "requests are billed to us"},
	{"expected_bucket_owner", "WithExpectedBucketOwner", false, text(WithExpectedBucketOwner), "account that must own the bucket"},
	{"bucket_owner_full_control", "WithBucketOwnerControl", false, boolean(WithBucketOwnerControl), "give the bucket's owner full control of written objects"},
	{"sse_customer_key", "WithCustomerKey", true, customerKey, "SSE-C key: 32 bytes, or their base64 or hex"},

	{"sse", "WithEncryption", false, sse, "encryption of written objects: AES256, aws:kms or aws:kms:dsse, and :KEY of the latter two"},
	{"sse_bucket_key", "WithEncryption", false, bucketKey, "one KMS request for many objects, with aws:kms"},

	{"concurrency", "WithConcurrency", false, number(WithConcurrency), "requests in flight, each until its answer begins (default 64)"},
	{"memory", "WithMemoryLimit", false, size(WithMemoryLimit), "budget for buffers (default 256MiB)"},
	{"part_size", "WithPartSize", false, size(WithPartSize), "multipart part size (default 8MiB)"},
	{"requests_per_second", "WithRequestRate", false, fraction(WithRequestRate), "cap on requests"},
	{"bytes_per_second", "WithBandwidth", false, size(WithBandwidth), "cap on body bytes"},
	{"max_requests", "WithMaxRequests", false, number64(WithMaxRequests), "requests that the handle may make (default no limit)"},
	{"max_bytes", "WithMaxBytes", false, size(WithMaxBytes), "body bytes that it may move (default no limit)"},
	{"retries", "WithRetries", false, number(WithRetries), "repeated attempts (default 9)"},
	{"idle_timeout", "WithIdleTimeout", false, duration(WithIdleTimeout), "longest silence (default 60s)"},
	{"no_checksums", "WithoutChecksums", false, boolean(WithoutChecksums), "send no checksum headers"},

	{"storage_class", "WithStorageClass", false, text(WithStorageClass), "class of restored objects, or of cold packfiles"},
	{"tags", "WithTagPolicy", false, oneOf("tags", WithTagPolicy, map[string]TagPolicy{
		"always": TagsAlways, "on-change": TagsOnChange, "never": TagsNever}), "always (default), on-change or never"},
	{"metadata_cache", "WithMetadataCache", false, text(WithMetadataCache), "folder that remembers unchanged objects"},
	{"verify_md5", "WithVerifyMD5", false, boolean(WithVerifyMD5), "compare bodies with ETags that are MD5s"},
	{"include", "WithInclude", false, commaList(WithInclude), "comma-separated patterns of keys to back up"},
	{"exclude", "WithExclude", false, commaList(WithExclude), "comma-separated patterns of keys to leave out"},
	{"unordered", "WithUnorderedListing", false, boolean(WithUnorderedListing), "server lists keys in any order"},
	{"archive", "WithArchive", false, archive, "archived objects: fail (default), skip, or TIER:DAYS to restore them, such as Standard:7"},
	{"overwrite", "WithOverwrite", false, oneOf("overwrite", WithOverwrite, map[string]OverwritePolicy{
		"always": Overwrite, "never": SkipExisting, "if-different": OverwriteIfDifferent}), "always (default), never or if-different"},
	{"object_lock", "WithObjectLock", false, objectLock, "retention of a store's blobs: MODE:PERIOD, such as COMPLIANCE:720h"},
	{"create_bucket", "WithCreateBucket", false, boolean(WithCreateBucket), "make a missing bucket"},
	{"folder_markers", "WithFolderMarkers", false, boolean(WithFolderMarkers), "write empty folders as objects"},
	{"source_parts", "WithSourceParts", false, boolean(WithSourceParts), "restore objects in the parts that they had, for the same ETag (the default), or in parts of `part_size`"},
	{"restore_encryption", "WithRestoredEncryption", false, boolean(WithRestoredEncryption), "restore encryption modes"},
	{"restore_lock", "WithRestoredLock", false, boolean(WithRestoredLock), "restore object locks"},

	{"passphrase", "", true, ignored, "the engine's; not looked at"},
	{"passphrase_cmd", "", true, ignored, "the engine's; not looked at"},
}

// FromConfig makes options of the key=value form that plakar keeps for sources,
// destinations and stores. Unknown keys and wrong values are ErrInvalidOption,
// and the error names the key. The keys location and passphrase are accepted
// and left to the caller and to the engine.
func FromConfig(config map[string]string) ([]Option, error) {
	return optionsOf(config, func(setting) bool { return true })
}

// paramOptions makes options of the query of a location. Secrets have no place
// there: locations are printed, logged and stored.
func paramOptions(params map[string]string) ([]Option, error) {
	opts, err := optionsOf(params, func(s setting) bool { return !s.secret })
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidLocation, err)
	}
	return opts, nil
}

func optionsOf(config map[string]string, allowed func(setting) bool) ([]Option, error) {
	opts := make([]Option, 0, len(config))
	for _, key := range slices.Sorted(maps.Keys(config)) {
		i := slices.IndexFunc(settings, func(s setting) bool { return s.key == key })
		if i < 0 {
			return nil, invalid(strconv.Quote(key), "unknown key")
		}
		if !allowed(settings[i]) {
			return nil, invalid(key, "it does not belong into a location")
		}
		opt, err := settings[i].parse(config[key])
		if err != nil {
			return nil, invalid(key, "%v", err)
		}
		opts = append(opts, opt)
	}
	return opts, nil
}

func ignored(string) (Option, error) { return nil, nil }

func text(with func(string) Option) func(string) (Option, error) {
	return func(value string) (Option, error) { return with(value), nil }
}

func boolean(with func(bool) Option) func(string) (Option, error) {
	return func(value string) (Option, error) {
		on, err := strconv.ParseBool(strings.ToLower(value))
		if err != nil {
			return nil, fmt.Errorf("%q is neither true nor false", value)
		}
		return with(on), nil
	}
}

func number(with func(int) Option) func(string) (Option, error) {
	return func(value string) (Option, error) {
		n, err := strconv.Atoi(value)
		if err != nil {
			return nil, fmt.Errorf("%q is no number", value)
		}
		return with(n), nil
	}
}

func number64(with func(int64) Option) func(string) (Option, error) {
	return func(value string) (Option, error) {
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is no number", value)
		}
		return with(n), nil
	}
}

func fraction(with func(float64) Option) func(string) (Option, error) {
	return func(value string) (Option, error) {
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is no number", value)
		}
		return with(n), nil
	}
}

func duration(with func(time.Duration) Option) func(string) (Option, error) {
	return func(value string) (Option, error) {
		d, err := time.ParseDuration(value)
		if err != nil {
			return nil, fmt.Errorf("%q is no duration such as 90s", value)
		}
		return with(d), nil
	}
}

// units of sizes, the longest names first.
var units = []struct {
	name string
	unit int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9},
	{"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {"B", 1},
}

func size(with func(int64) Option) func(string) (Option, error) {
	return func(value string) (Option, error) {
		digits, unit := value, int64(1)
		for _, u := range units {
			if number, ok := strings.CutSuffix(value, u.name); ok {
				digits, unit = strings.TrimSpace(number), u.unit
				break
			}
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n < 0 || n > (1<<62)/unit {
			return nil, fmt.Errorf("%q is no size such as 64MiB", value)
		}
		return with(n * unit), nil
	}
}

func commaList(with func(...string) Option) func(string) (Option, error) {
	return func(value string) (Option, error) { return with(splitPatterns(value)...), nil }
}

// splitPatterns splits at commas, but for those of {a,b}, [,] and \, which are
// parts of a pattern.
func splitPatterns(text string) []string {
	var patterns []string
	start, braces, class, escaped := 0, 0, false, false
	for i, c := range []byte(text) {
		switch {
		case escaped:
			escaped = false
		case c == '\\':
			escaped = true
		case c == '[':
			class = true
		case c == ']':
			class = false
		case class:
		case c == '{':
			braces++
		case c == '}':
			braces--
		case c == ',' && braces <= 0:
			patterns = append(patterns, text[start:i])
			start = i + 1
		}
	}
	return append(patterns, text[start:])
}

func oneOf[T any](key string, with func(T) Option, values map[string]T) func(string) (Option, error) {
	return func(value string) (Option, error) {
		policy, ok := values[value]
		if !ok {
			return nil, fmt.Errorf("%q is none of %s", value, strings.Join(slices.Sorted(maps.Keys(values)), ", "))
		}
		return with(policy), nil
	}
}

// archive reads fail, skip, or the tier and days of ArchiveRestore.
func archive(value string) (Option, error) {
	switch value {
	case "fail":
		return WithArchive(ArchiveFail), nil
	case "skip":
		return WithArchive(ArchiveSkip), nil
	}
	tier, text, _ := strings.Cut(value, ":")
	days, err := strconv.Atoi(text)
	if err != nil {
		return nil, fmt.Errorf("%q is neither fail, skip, nor TIER:DAYS", value)
	}
	return WithArchive(ArchiveRestore(ArchiveTier(tier), days)), nil
}

// objectLock reads a mode and a period.
func objectLock(value string) (Option, error) {
	mode, text, _ := strings.Cut(value, ":")
	period, err := time.ParseDuration(text)
	if err != nil {
		return nil, fmt.Errorf("%q is not MODE:PERIOD such as COMPLIANCE:720h", value)
	}
	return WithObjectLock(LockMode(mode), period), nil
}

// sse reads an encryption mode, and for KMS the key after it. Modes and keys
// have colons of their own.
func sse(value string) (Option, error) {
	mode, key := value, ""
	for _, kms := range []string{"aws:kms:dsse", "aws:kms"} {
		if value == kms {
			break // aws:kms:dsse is a mode, and not aws:kms with a key named dsse
		}
		if id, ok := strings.CutPrefix(value, kms+":"); ok {
			mode, key = kms, id
			break
		}
	}
	return WithEncryption(Encryption{Mode: mode, KMSKeyID: key}), nil
}

// The parts of one Option that have keys of their own are brought together
// here; validate checks that they are complete.

// errEmpty refuses an empty value where it would mean to use what the
// environment has instead, which nobody asked for.
var errEmpty = errors.New("it is empty")

func accessKey(value string) (Option, error) {
	if value == "" {
		return nil, errEmpty
	}
	return func(c *config) error { c.client.Credentials.Keys.AccessKey = value; return nil }, nil
}

func secretKey(value string) (Option, error) {
	if value == "" {
		return nil, errEmpty
	}
	return func(c *config) error { c.client.Credentials.Keys.SecretKey = bucket.Secret(value); return nil }, nil
}

func sessionToken(value string) (Option, error) {
	return func(c *config) error { c.client.Credentials.Keys.SessionToken = bucket.Secret(value); return nil }, nil
}

func roleARN(value string) (Option, error) {
	return func(c *config) error { return WithAssumeRole(value, c.client.Credentials.ExternalID)(c) }, nil
}

// bucketKey is a part of the encryption, whose mode is read before it.
func bucketKey(value string) (Option, error) {
	return boolean(func(on bool) Option {
		return func(c *config) error { c.encryption.BucketKey = on; return nil }
	})(value)
}

func externalID(value string) (Option, error) {
	return func(c *config) error { c.client.Credentials.ExternalID = value; return nil }, nil
}

func clientCert(value string) (Option, error) {
	return func(c *config) error { return WithClientCertificate(value, c.client.ClientKey)(c) }, nil
}

func clientKey(value string) (Option, error) {
	if value == "" {
		return nil, errEmpty
	}
	return func(c *config) error { c.client.ClientKey = value; return nil }, nil
}

// customerKey takes the key itself, or its base64 or hex form. Errors must not
// show it.
func customerKey(value string) (Option, error) {
	if len(value) == 32 {
		return WithCustomerKey([]byte(value)), nil
	}
	if key, err := base64.StdEncoding.DecodeString(value); err == nil && len(key) == 32 {
		return WithCustomerKey(key), nil
	}
	if key, err := hexKey(value); err == nil {
		return WithCustomerKey(key), nil
	}
	return nil, fmt.Errorf("it is not 32 bytes, nor their base64 or hex form")
}

func hexKey(value string) ([]byte, error) {
	key, err := hex.DecodeString(value)
	if err == nil && len(key) != 32 {
		err = hex.ErrLength
	}
	return key, err
}
