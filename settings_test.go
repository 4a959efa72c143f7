package s3kloset

import (
	"encoding/base64"
	"errors"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// settingTest says of one key what it takes, what Option that is, and what it
// refuses.
type settingTest struct {
	key  string
	good map[string]Option
	bad  []string
}

const thirtyTwo = "0123456789abcdef0123456789abcdef"

var (
	badBools   = []string{"", "yes", "no", "on", "2", "true ", "\x00"}
	badNumbers = []string{"", " 1", "1 ", "1e3", "0x10", "1.5", "one", "99999999999999999999", "\x00"}
	badSizes   = []string{"", "-1", "MiB", "1.5GiB", "64 mib", "64MB/s", "0x40", "9223372036854775807GiB", "99999999999999999999", "1\x00"}
)

func bools(with func(bool) Option) map[string]Option {
	return map[string]Option{"true": with(true), "True": with(true), "1": with(true), "false": with(false), "0": with(false)}
}

// credential is the Option of a part of WithCredentials, which needs the others.
func credential(set func(*config)) Option {
	return func(c *config) error { set(c); return nil }
}

var settingTests = []settingTest{
	{"location", map[string]Option{"s3://anything": nil, "": nil}, nil},
	{"bucket", map[string]Option{"my-bucket": WithBucket("my-bucket")}, []string{"", "a", "a/b", "a b", "..", "127.0.0.1"}},
	{"endpoint", map[string]Option{
		"minio:9000": WithEndpoint("minio:9000"), "https://minio": WithEndpoint("https://minio")},
		[]string{"", "ftp://minio", "minio/path", "a@minio", "minio:port", "http://"}},
	{"port", map[string]Option{"9000": WithPort(9000)}, append([]string{"0", "-1", "65536"}, badNumbers...)},
	{"endpoint_first", bools(WithEndpointFirst), badBools},
	{"root", map[string]Option{"a/b": WithPrefix("a/b"), "a/b/": WithPrefix("a/b"), "": WithPrefix("")}, []string{"/", "/a", strings.Repeat("a", 1025)}},
	{"region", map[string]Option{"eu-west-3": WithRegion("eu-west-3"), "": WithRegion("")}, []string{"a b", "a.b", "a/b", "é", "\n"}},
	{"vendor", map[string]Option{"minio": WithVendor("minio"), "r2": WithVendor("r2")}, []string{"", "MinIO", "amazon", "none"}},
	{"use_tls", bools(WithTLS), badBools},
	{"virtual_host", bools(WithVirtualHost), badBools},
	{"dualstack", bools(WithDualstack), badBools},
	{"fips", bools(WithFIPS), badBools},
	{"accelerate", bools(WithAccelerate), badBools},
	{"tls_insecure_no_verify", bools(WithInsecureSkipVerify), badBools},
	{"ca_file", map[string]Option{"ca.pem": WithCAFile("ca.pem")}, []string{"", "/no/such/file"}},

	{"client_cert", map[string]Option{"cert.pem": WithClientCertificate("cert.pem", "")}, []string{"", "/no/such/file"}},
	{"client_key", map[string]Option{"key.pem": credential(func(c *config) { c.client.ClientKey = "key.pem" })}, []string{"", "key.pem"}},
	{"proxy", map[string]Option{"none": WithProxy("none"), "http://u:p@proxy:3128": WithProxy("http://u:p@proxy:3128"), "socks5://[::1]": WithProxy("socks5://[::1]")},
		[]string{"", "proxy:3128", "://p4ssw0rd", "http://u:p4ssw0rd@h/p", "http://u:p4ssw0rd@h h"}},

	{"access_key", map[string]Option{"AKIA": credential(func(c *config) { c.client.Credentials.Keys.AccessKey = "AKIA" })}, []string{"", "AKIA"}},
	{"secret_access_key", map[string]Option{"s3cr3t": credential(func(c *config) { c.client.Credentials.Keys.SecretKey = "s3cr3t" })},
		[]string{"", "s3cr3t"}},
	{"session_token", map[string]Option{
		"t0k3n": credential(func(c *config) { c.client.Credentials.Keys.SessionToken = "t0k3n" }), "": credential(func(*config) {})},
		[]string{"t0k3n"}},
	{"profile", map[string]Option{"work": WithProfile("work")}, []string{"", "no-such-profile"}},
	{"role_arn", map[string]Option{"arn:aws:iam::1:role/r": WithAssumeRole("arn:aws:iam::1:role/r", "")}, []string{"", "role/r"}},
	{"external_id", map[string]Option{
		"id": credential(func(c *config) { c.client.Credentials.ExternalID = "id" }), "": credential(func(*config) {})}, []string{"id"}},
	{"role_session_name", map[string]Option{"me@host": WithRoleSessionName("me@host")}, []string{"", "a", "a b", "me", strings.Repeat("a", 65)}},
	{"role_duration", map[string]Option{"1h": WithRoleDuration(time.Hour)}, []string{"", "1", "10m", "13h", "1h"}},
	{"sts_endpoint", map[string]Option{
		"minio:9000": WithSTSEndpoint("minio:9000"), "https://minio": WithSTSEndpoint("https://minio")},
		[]string{"", "ftp://minio", "minio/path", "a@minio", "http://", "s3.eu-west-3.amazonaws.com", "minio:9000"}},
	{"anonymous", bools(WithAnonymous), badBools},
	{"requester_pays", bools(WithRequesterPays), badBools},
	{"expected_bucket_owner", map[string]Option{"123456789012": WithExpectedBucketOwner("123456789012")}, []string{"", "a b", "1\r\n2"}},
	{"bucket_owner_full_control", bools(WithBucketOwnerControl), badBools},
	{"sse_customer_key", map[string]Option{
		thirtyTwo: WithCustomerKey([]byte(thirtyTwo)),
		base64.StdEncoding.EncodeToString([]byte(thirtyTwo)): WithCustomerKey([]byte(thirtyTwo)),
		strings.Repeat("61", 32):                             WithCustomerKey([]byte(strings.Repeat("a", 32)))},
		[]string{"", "short", strings.Repeat("x", 33), strings.Repeat("61", 31), strings.Repeat("zz", 32), base64.StdEncoding.EncodeToString(make([]byte, 31))}},
	{"sse", map[string]Option{
		"AES256":                         WithEncryption(Encryption{Mode: "AES256"}),
		"aws:kms":                        WithEncryption(Encryption{Mode: "aws:kms"}),
		"aws:kms:arn:aws:kms:x:1:key/id": WithEncryption(Encryption{Mode: "aws:kms", KMSKeyID: "arn:aws:kms:x:1:key/id"}),
		"aws:kms:dsse":                   WithEncryption(Encryption{Mode: "aws:kms:dsse"}),
		"aws:kms:dsse:id":                WithEncryption(Encryption{Mode: "aws:kms:dsse", KMSKeyID: "id"})},
		[]string{"", "aes256", "AES256:id", "aws", "kms"}},
	{"sse_bucket_key", map[string]Option{
		"true": credential(func(c *config) { c.encryption.BucketKey = true }), "false": credential(func(*config) {})}, append([]string{"true"}, badBools...)},

	{"concurrency", map[string]Option{"1": WithConcurrency(1), "4096": WithConcurrency(4096)}, append([]string{"0", "-1", "4097"}, badNumbers...)},
	{"memory", map[string]Option{
		"10485760": WithMemoryLimit(10 << 20), "64MiB": WithMemoryLimit(64 << 20), "64 MiB": WithMemoryLimit(64 << 20), "64M": WithMemoryLimit(64 << 20),
		"1GiB": WithMemoryLimit(1 << 30), "64MB": WithMemoryLimit(64e6), "65536KiB": WithMemoryLimit(64 << 20), "20000000B": WithMemoryLimit(20e6)},
		append([]string{"0", "9MiB"}, badSizes...)},
	{"part_size", map[string]Option{"5MiB": WithPartSize(5 << 20), "16MiB": WithPartSize(16 << 20)}, append([]string{"0", "4MiB", "6GiB", "200MiB"}, badSizes...)},
	{"requests_per_second", map[string]Option{"0.5": WithRequestRate(0.5), "100": WithRequestRate(100), "1e3": WithRequestRate(1000)},
		[]string{"", "0", "-1", "NaN", "nan", "Inf", "+Inf", "-Inf", "1e400", "fast", "1,5"}},
	{"bytes_per_second", map[string]Option{"1": WithBandwidth(1), "10MiB": WithBandwidth(10 << 20)}, append([]string{"0"}, badSizes...)},
	{"max_requests", map[string]Option{"1": WithMaxRequests(1), "10000000000": WithMaxRequests(1e10)}, append([]string{"0", "-1"}, badNumbers...)},
	{"max_bytes", map[string]Option{"1": WithMaxBytes(1), "10GiB": WithMaxBytes(10 << 30)}, append([]string{"0"}, badSizes...)},
	{"retries", map[string]Option{"0": WithRetries(0), "3": WithRetries(3)}, append([]string{"-1"}, badNumbers...)},
	{"idle_timeout", map[string]Option{"90s": WithIdleTimeout(90 * time.Second), "2m30s": WithIdleTimeout(150 * time.Second)},
		[]string{"", "0", "0s", "-1s", "90", "1d", "ninety"}},
	{"no_checksums", bools(WithoutChecksums), badBools},

	{"storage_class", map[string]Option{"STANDARD_IA": WithStorageClass("STANDARD_IA")}, []string{"", "A B", "GLACIER\n"}},
	{"metadata_cache", map[string]Option{"folder": WithMetadataCache("folder")}, []string{""}},
	{"verify_md5", bools(WithVerifyMD5), badBools},
	{"tags", map[string]Option{"always": WithTagPolicy(TagsAlways), "on-change": WithTagPolicy(TagsOnChange), "never": WithTagPolicy(TagsNever)},
		[]string{"", "Always", "sometimes", "0"}},
	{"include", map[string]Option{"*.jpg": WithInclude("*.jpg"), "a/**,b/*": WithInclude("a/**", "b/*"),
		"*.{jpg,png},x": WithInclude("*.{jpg,png}", "x"), "[,]": WithInclude("[,]"), `a\,b`: WithInclude(`a\,b`)},
		[]string{"", ",", "a,", "[a", "{a,b", `a\`}},
	{"exclude", map[string]Option{"tmp/**": WithExclude("tmp/**")}, []string{"", ",", "[a"}},
	{"unordered", bools(WithUnorderedListing), badBools},
	{"archive", map[string]Option{"fail": WithArchive(ArchiveFail), "skip": WithArchive(ArchiveSkip), "Bulk:7": WithArchive(ArchiveRestore(TierBulk, 7))},
		[]string{"", "restore", "Bulk", "Bulk:", "Bulk:0", "Bulk:-1", "Bulk:x", "Quick:7", "bulk:7"}},
	{"overwrite", map[string]Option{"always": WithOverwrite(Overwrite), "never": WithOverwrite(SkipExisting), "if-different": WithOverwrite(OverwriteIfDifferent)},
		[]string{"", "true", "ALWAYS"}},
	{"object_lock", map[string]Option{"COMPLIANCE:720h": WithObjectLock(Compliance, 720*time.Hour), "GOVERNANCE:1m": WithObjectLock(Governance, time.Minute)},
		[]string{"", "COMPLIANCE", "COMPLIANCE:", "COMPLIANCE:30", "COMPLIANCE:0s", "COMPLIANCE:-1h", "compliance:1h", "LEGAL:1h", ":1h"}},
	{"create_bucket", bools(WithCreateBucket), badBools},
	{"folder_markers", bools(WithFolderMarkers), badBools},
	{"source_parts", bools(WithSourceParts), badBools},
	{"restore_encryption", bools(WithRestoredEncryption), badBools},
	{"restore_lock", bools(WithRestoredLock), badBools},

	{"passphrase", map[string]Option{"anything": nil, "": nil}, nil},
	{"passphrase_cmd", map[string]Option{"anything": nil, "": nil}, nil},
}

func TestSettingTestsAreComplete(t *testing.T) {
	var tested, want []string
	for _, test := range settingTests {
		tested = append(tested, test.key)
	}
	for _, s := range settings {
		want = append(want, s.key)
	}
	slices.Sort(tested)
	slices.Sort(want)
	if !slices.Equal(tested, want) {
		t.Errorf("the keys with tests are not those of the settings: %q, want %q", tested, want)
	}
}

// Each key is the Option that it says to be, and no other.
func TestSettingsAreOptions(t *testing.T) {
	for _, test := range settingTests {
		for value, want := range test.good {
			opts, err := FromConfig(map[string]string{test.key: value})
			if err != nil {
				t.Errorf("%s=%q: %v", test.key, value, err)
				continue
			}
			got, gotErr := configure(opts)
			if want, wantErr := configure([]Option{want}); gotErr != nil || wantErr != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s=%q: got another configuration than from the Option (%v, %v)", test.key, value, gotErr, wantErr)
			}
		}
	}
}

// Each key refuses wrong values with an error that names it, in New at the
// latest. Where the value is a secret, the error does not show it.
func TestSettingsRefuse(t *testing.T) {
	server := s3test.Start(t)
	isolate(t)
	for _, test := range settingTests {
		i := slices.IndexFunc(settings, func(s setting) bool { return s.key == test.key })
		for _, value := range test.bad {
			b, err := handleFromConfig(map[string]string{"location": "s3://location-bucket", test.key: value})
			if b != nil || !errors.Is(err, ErrInvalidOption) && !errors.Is(err, ErrInvalidLocation) {
				t.Errorf("%s=%q: got %v, %v, want an error", test.key, value, b, err)
				continue
			}
			if !strings.Contains(err.Error(), test.key) {
				t.Errorf("%s=%q: the error %q does not name the key", test.key, value, err)
			}
			if settings[i].secret && len(value) > 3 && strings.Contains(err.Error(), value) {
				t.Errorf("%s=%q: the error %q shows the value", test.key, value, err)
			}
		}
	}
	if n := server.Count(""); n > 0 {
		t.Errorf("%d requests were made", n)
	}
}

// handleFromConfig is what the registries of Kloset do.
func handleFromConfig(config map[string]string) (*Bucket, error) {
	opts, err := FromConfig(config)
	if err != nil {
		return nil, err
	}
	return New(config["location"], opts...)
}

func TestUnknownKeysAreRefused(t *testing.T) {
	for _, key := range []string{
		"", " ", "Region", "REGION", "region ", "regions", "acces_key", "secret_key", "access-key", "use-tls", "insecure", "\x00", "s3.region",
		"WithRegion", "concurrency\n", "étage",
	} {
		opts, err := FromConfig(map[string]string{key: "value-of-it", "region": "eu-west-3"})
		if opts != nil || !errors.Is(err, ErrInvalidOption) || strings.Contains(err.Error(), "value-of-it") {
			t.Errorf("%q: got %d options, %v", key, len(opts), err)
		}
	}
}

// Configurations as people have them for the existing S3 integration.
func TestCompatibleConfigurations(t *testing.T) {
	isolate(t)
	for _, test := range []struct {
		config   map[string]string
		endpoint string
		prefix   string
	}{
		{map[string]string{"location": "s3://minio.example.com:9000/data/prefix", "access_key": "a", "secret_access_key": "s", "use_tls": "false",
			"passphrase": "p"}, "http://minio.example.com:9000", "prefix"},
		{map[string]string{"location": "s3://s3.eu-west-3.amazonaws.com/data", "access_key": "a", "secret_access_key": "s", "use_tls": "true",
			"storage_class": "GLACIER", "passphrase_cmd": "c"}, "", ""},
		{map[string]string{"location": "s3://data", "endpoint": "minio.example.com", "port": "9000", "root": "a/b", "virtual_host": "true",
			"tls_insecure_no_verify": "true", "sse_customer_key": thirtyTwo, "access_key": "a", "secret_access_key": "s"},
			"https://minio.example.com:9000", "a/b"},
	} {
		b, err := handleFromConfig(test.config)
		if err != nil {
			t.Errorf("%v: %v", slices.Sorted(maps.Keys(test.config)), err)
			continue
		}
		if b.cfg.client.Endpoint != test.endpoint || b.location.bucket != "data" || b.location.prefix != test.prefix {
			t.Errorf("%s: endpoint %q, bucket %q, prefix %q", test.config["location"], b.cfg.client.Endpoint, b.location.bucket, b.location.prefix)
		}
	}
}

// A location takes the keys that hold no secret, and no others.
func TestSettingsInLocations(t *testing.T) {
	isolate(t)
	for _, test := range settingTests {
		i := slices.IndexFunc(settings, func(s setting) bool { return s.key == test.key })
		for value := range test.good {
			opts, err := paramOptions(map[string]string{test.key: value})
			if settings[i].secret && (!errors.Is(err, ErrInvalidLocation) || !strings.Contains(err.Error(), test.key)) {
				t.Errorf("%s in a location: %v, want ErrInvalidLocation", test.key, err)
			}
			if !settings[i].secret && (err != nil || len(opts) != 1) {
				t.Errorf("%s=%s in a location: %v", test.key, value, err)
			}
		}
		if settings[i].secret {
			_, err := New("s3://my-bucket?" + test.key + "=hunter2")
			if !errors.Is(err, ErrInvalidLocation) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s in a location: %v", test.key, err)
			}
		}
	}
	b, err := New("s3://my-bucket/p?" + url.Values{"concurrency": {"7"}, "exclude": {"*.tmp,a/**"}}.Encode())
	if err != nil || b.cfg.concurrency != 7 || !slices.Equal(b.cfg.source.exclude, []string{"*.tmp", "a/**"}) || b.location.prefix != "p" {
		t.Errorf("got %v, %v", b, err)
	}
}

// FuzzFromConfig looks for panics, for errors of another kind, and for errors
// that show a secret.
func FuzzFromConfig(f *testing.F) {
	for _, test := range settingTests {
		for value := range test.good {
			f.Add(test.key, value, "region", "eu-west-3", "s3://my-bucket/p")
		}
		for _, value := range test.bad {
			f.Add(test.key, value, "concurrency", "1", "s3://minio:9000/data")
		}
	}
	f.Add("no_such_key", "x", "", "", "")
	f.Fuzz(func(t *testing.T, key, value, other, otherValue, location string) {
		const mark = "zq9zq9zq9"
		if strings.Contains(key+value+other+otherValue+location, mark) {
			return
		}
		config := map[string]string{key: value, other: otherValue, "secret_access_key": mark + value, "external_id": mark + otherValue}
		opts, err := FromConfig(config)
		if err == nil {
			_, _, err = resolve(location, opts)
		}
		if err == nil {
			return
		}
		if !errors.Is(err, ErrInvalidOption) && !errors.Is(err, ErrInvalidLocation) {
			t.Errorf("%q=%q, %q=%q, %q: %v", key, value, other, otherValue, location, err)
		}
		if strings.Contains(err.Error(), mark) {
			t.Errorf("%q=%q, %q=%q, %q: the error %q shows a secret", key, value, other, otherValue, location, err)
		}
	})
}
