package s3kloset

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset/internal/bucket"
	"github.com/s3kloset/s3kloset/internal/s3test"
)

// Every option refuses what it cannot mean, names itself by its key, and no
// request is made.
func TestOptionsRefuse(t *testing.T) {
	server := s3test.Start(t)
	isolate(t)
	broken := filepath.Join(t.TempDir(), "broken.pem")
	if err := os.WriteFile(broken, []byte("not a certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		opt   Option
		names string
	}{
		{WithEndpoint(""), "endpoint"},
		{WithEndpoint("ftp://host"), "endpoint"},
		{WithEndpoint("://host"), "endpoint"},
		{WithEndpoint("http://"), "endpoint"},
		{WithEndpoint("host/path"), "endpoint"},
		{WithEndpoint("host?x=y"), "endpoint"},
		{WithEndpoint("host#x"), "endpoint"},
		{WithEndpoint("host:"), "endpoint"},
		{WithEndpoint("host:0"), "endpoint"},
		{WithEndpoint("host:65536"), "endpoint"},
		{WithEndpoint("host name"), "endpoint"},
		{WithEndpoint("host\r\nX: y"), "endpoint"},
		{WithEndpoint("127.1"), "endpoint"},
		{WithEndpoint("[::1"), "endpoint"},
		{WithEndpoint("user:password@host"), "endpoint"},
		{WithEndpoint("https://s3-website.eu-west-3.amazonaws.com"), "endpoint"},
		{WithPort(0), "port"},
		{WithPort(-1), "port"},
		{WithPort(65536), "port"},
		{WithPort(9000), "port"}, // AWS has one
		{WithTLS(false), "use_tls"},
		{WithBucket(""), "bucket"},
		{WithBucket("a"), "bucket"},
		{WithBucket("a/b"), "bucket"},
		{WithBucket("../x"), "bucket"},
		{WithBucket("127.0.0.1"), "bucket"},
		{WithPrefix("/a"), "root"},
		{WithPrefix("/"), "root"},
		{WithPrefix(strings.Repeat("k", 1025)), "root"},
		{WithRegion("eu west"), "region"},
		{WithRegion("evil.example/#"), "region"},
		{WithRegion("eu-west-3\n"), "region"},

		{WithCredentials("", "secret", ""), "access_key"},
		{WithCredentials("access", "", ""), "secret_access_key"},
		{WithCredentialsProvider(nil), "credentials provider"},
		{WithProfile(""), "profile"},
		{WithProfile("no-such-profile"), "no-such-profile"},
		{WithAssumeRole("", ""), "role_arn"},
		{WithAssumeRole("role/name", ""), "role_arn"},
		{WithExpectedBucketOwner(""), "expected_bucket_owner"},
		{WithExpectedBucketOwner("12\r\n34"), "expected_bucket_owner"},
		{WithCustomerKey(nil), "sse_customer_key"},
		{WithCustomerKey(make([]byte, 31)), "sse_customer_key"},
		{WithCustomerKey(make([]byte, 64)), "sse_customer_key"},
		{WithCustomerKeys(nil), "customer keys"},
		{WithEncryption(Encryption{}), "sse"},
		{WithEncryption(Encryption{Mode: "aws:kms:dsse", BucketKey: true}), "sse"},
		{WithEncryption(Encryption{Mode: "aes256"}), "sse"},
		{WithEncryption(Encryption{Mode: "AES256", KMSKeyID: "key"}), "sse"},
		{WithEncryption(Encryption{Mode: "AES256", BucketKey: true}), "sse"},

		{WithRoleSessionName(""), "role_session_name"},
		{WithRoleSessionName("a b"), "role_session_name"},
		{WithRoleSessionName("me"), "role_session_name"}, // without a role
		{WithRoleDuration(15*time.Minute - 1), "role_duration"},
		{WithRoleDuration(12*time.Hour + 1), "role_duration"},
		{WithRoleDuration(time.Hour), "role_duration"}, // without a role
		{WithSTSEndpoint(""), "sts_endpoint"},
		{WithSTSEndpoint("host/path"), "sts_endpoint"},
		{WithSTSEndpoint("user:password@host"), "sts_endpoint"},
		{WithSTSEndpoint("https://s3.eu-west-3.amazonaws.com"), "sts_endpoint"},
		{WithSTSEndpoint("https://sts.eu-west-3.amazonaws.com"), "sts_endpoint"}, // without a role

		{WithClientCertificate("", "key.pem"), "client_cert"},
		{WithClientCertificate(filepath.Join(t.TempDir(), "missing.pem"), ""), "client_cert"},
		{WithClientCertificate(broken, ""), "client_cert"},
		{WithProxy(""), "proxy"},
		{WithProxy("direct"), "proxy"},
		{WithProxy("proxy.test:3128"), "proxy"},
		{WithProxy("ftp://proxy.test"), "proxy"},
		{WithProxy("http://"), "proxy"},
		{WithProxy("http://proxy.test/path"), "proxy"},
		{WithProxy("http://proxy.test?password"), "proxy"},
		{WithProxy("http://proxy.test:x"), "proxy"},
		{WithProxy("http://me:password@proxy test"), "proxy"},
		{WithProxy("http://me:pass/password@proxy.test"), "proxy"},
		{WithProxy("http://me:%zzpassword@proxy.test"), "proxy"},

		{WithCAFile(""), "ca_file"},
		{WithCAFile(filepath.Join(t.TempDir(), "missing.pem")), "ca_file"},
		{WithCAFile(broken), "ca_file"},
		{WithIdleTimeout(0), "idle_timeout"},
		{WithIdleTimeout(-time.Second), "idle_timeout"},
		{WithRetries(-1), "retries"},
		{WithConcurrency(0), "concurrency"},
		{WithConcurrency(-1), "concurrency"},
		{WithConcurrency(4097), "concurrency"},
		{WithMemoryLimit(0), "memory"},
		{WithMemoryLimit(-1), "memory"},
		{WithMemoryLimit(10<<20 - 1), "memory"},
		{WithPartSize(0), "part_size"},
		{WithPartSize(5<<20 - 1), "part_size"},
		{WithPartSize(5<<30 + 1), "part_size"},
		{WithPartSize(129 << 20), "part_size"}, // two do not fit into the memory
		{WithRequestRate(0), "requests_per_second"},
		{WithRequestRate(-1), "requests_per_second"},
		{WithRequestRate(math.NaN()), "requests_per_second"},
		{WithRequestRate(math.Inf(1)), "requests_per_second"},
		{WithBandwidth(0), "bytes_per_second"},
		{WithBandwidth(-1), "bytes_per_second"},

		{WithStorageClass(""), "storage_class"},
		{WithStorageClass("GLACIER\r\nX: y"), "storage_class"},
		{WithStorageClass("STANDARD IA"), "storage_class"},
		{WithTagPolicy(-1), "tags"},
		{WithTagPolicy(3), "tags"},
		{WithInclude(""), "include"},
		{WithInclude("good", "[bad"), "include"},
		{WithExclude("{bad"), "exclude"},
		{WithArchive(ArchiveRestore("Quick", 1)), "archive"},
		{WithArchive(ArchiveRestore(TierStandard, 0)), "archive"},
		{WithOverwrite(-1), "overwrite"},
		{WithOverwrite(3), "overwrite"},
		{WithObjectLock("", time.Hour), "object_lock"},
		{WithObjectLock("compliance", time.Hour), "object_lock"},
		{WithObjectLock(Compliance, 0), "object_lock"},
		{WithObjectLock(Governance, -time.Hour), "object_lock"},
	} {
		b, err := New("s3://my-bucket", nil, test.opt)
		if b != nil || !errors.Is(err, ErrInvalidOption) || errors.Is(err, ErrInvalidLocation) {
			t.Errorf("%s: got %v, %v, want ErrInvalidOption", test.names, b, err)
			continue
		}
		if !strings.Contains(err.Error(), test.names) || strings.Contains(err.Error(), "password") {
			t.Errorf("the error %q should name %s and show no password", err, test.names)
		}
	}
	if n := server.Count(""); n > 0 {
		t.Errorf("%d requests were made", n)
	}
}

// Options that contradict each other are refused in any order.
func TestOptionsContradict(t *testing.T) {
	isolate(t)
	keys := WithCredentials("access", "secret", "")
	remote := WithEndpoint("http://minio.example.com")
	noKeys := func(string) ([]byte, error) { return nil, nil }
	for _, test := range []struct {
		opts  []Option
		names string
	}{
		{[]Option{WithAnonymous(true), keys}, "anonymous"},
		{[]Option{WithAnonymous(true), WithProfile("p")}, "anonymous"},
		{[]Option{WithAnonymous(true), WithAssumeRole("arn:aws:iam::1:role/r", "")}, "anonymous"},
		{[]Option{WithAnonymous(true), WithCredentialsProvider(func(context.Context) (Keys, error) { return Keys{}, nil })}, "anonymous"},
		{[]Option{remote, WithDualstack(true)}, "endpoint"},
		{[]Option{remote, WithFIPS(true)}, "endpoint"},
		{[]Option{remote, WithAccelerate(true)}, "endpoint"},
		{[]Option{remote, WithTLS(true)}, "use_tls"},
		{[]Option{WithEndpoint("https://minio.example.com"), WithTLS(false)}, "use_tls"},
		{[]Option{WithEndpoint("minio.example.com:9000"), WithPort(9001)}, "port"},
		{[]Option{remote, WithCustomerKey(make([]byte, 32))}, "sse_customer_key"},
		{[]Option{WithEncryption(Encryption{Mode: "AES256"}), WithCustomerKey(make([]byte, 32))}, "sse"},
		{[]Option{remote, WithCustomerKeys(noKeys)}, "sse_customer_key"},
		{[]Option{WithCustomerKeys(noKeys), WithCustomerKey(make([]byte, 32))}, "sse_customer_key"},
		{[]Option{WithCustomerKeys(noKeys), WithEncryption(Encryption{Mode: "aws:kms"})}, "sse"},
		{[]Option{WithObjectLock(Compliance, time.Hour), WithoutChecksums(true)}, "object_lock"},
		{[]Option{WithStorageClass("DEEP_ARCHIVE"), WithArchive(ArchiveRestore(TierExpedited, 1))}, "archive"},
		{[]Option{WithTransport(http.DefaultTransport), WithInsecureSkipVerify(true)}, "transport"},
		{[]Option{WithTransport(http.DefaultTransport), WithCAFile("ca.pem")}, "transport"},
		{[]Option{WithTransport(http.DefaultTransport), WithClientCertificate("cert.pem", "")}, "transport"},
		{[]Option{WithTransport(http.DefaultTransport), WithProxy("none")}, "transport"},
		{[]Option{remote, WithClientCertificate("cert.pem", "")}, "client_cert"},
		{[]Option{WithMemoryLimit(64 << 20), WithPartSize(33 << 20)}, "part_size"},
	} {
		for range test.opts {
			test.opts = append(test.opts[1:], test.opts[0])
			if _, err := New("s3://my-bucket", test.opts...); !errors.Is(err, ErrInvalidOption) || !strings.Contains(err.Error(), test.names) {
				t.Errorf("%v, want ErrInvalidOption about %s", err, test.names)
			}
		}
	}
}

func TestOptionsDefaults(t *testing.T) {
	isolate(t)
	b, err := New("s3://my-bucket")
	if err != nil {
		t.Fatal(err)
	}
	c := b.cfg
	if c.concurrency != 64 || c.memory != 256<<20 || c.partSize != 8<<20 || c.archive != ArchiveFail || c.source.tags != TagsAlways ||
		c.destination.overwrite != Overwrite || c.destination.createBucket || c.client.Endpoint != "" || c.client.Region != "" {
		t.Errorf("defaults are %+v", c)
	}
	// A small memory needs no other part size from the caller.
	if b, err = New("s3://my-bucket", WithMemoryLimit(10<<20)); err != nil || b.cfg.partSize != 5<<20 {
		t.Errorf("parts of %d bytes in 10 MiB of memory: %v", b.cfg.partSize, err)
	}
}

// What the location and the options say about the same thing is one thing.
func TestEndpointOfHandle(t *testing.T) {
	isolate(t)
	for _, test := range []struct {
		location string
		opts     []Option
		endpoint string
		region   string
		bucket   string
		prefix   string
	}{
		{"s3://data/p", nil, "", "", "data", "p"},
		{"s3://data/p", []Option{WithPrefix("q/r/")}, "", "", "data", "q/r"},
		{"s3://data/p", []Option{WithPrefix("")}, "", "", "data", ""},
		{"s3://data/p?root=q", nil, "", "", "data", "q"},
		{"s3://data/p?root=q", []Option{WithPrefix("r")}, "", "", "data", "r"},
		{"s3://data?region=eu-west-3", nil, "", "eu-west-3", "data", ""},
		{"s3://data?region=eu-west-3", []Option{WithRegion("eu-west-1")}, "", "eu-west-1", "data", ""},
		{"s3://data?endpoint=minio:9000&use_tls=false", nil, "http://minio:9000", "", "data", ""},
		{"s3://my.data/p", []Option{WithBucket("my.data")}, "", "", "my.data", "p"},
		{"s3://", []Option{WithBucket("data"), WithEndpoint("minio")}, "https://minio", "", "data", ""},

		{"s3://minio.local/data", nil, "https://minio.local", "", "data", ""},
		{"s3://minio.local:9000/data", []Option{WithTLS(false)}, "http://minio.local:9000", "", "data", ""},
		{"s3://minio.local/data", []Option{WithPort(9000)}, "https://minio.local:9000", "", "data", ""},
		{"s3://minio.local:9000/data", []Option{WithPort(9000)}, "https://minio.local:9000", "", "data", ""},
		{"s3://minio.local:9000/data", []Option{WithEndpoint("minio.local")}, "https://minio.local:9000", "", "data", ""},
		{"s3://minio/data", []Option{WithEndpoint("HTTP://MinIO:9000/")}, "http://minio:9000", "", "data", ""},
		{"s3://minio/data", []Option{WithEndpointFirst(true)}, "https://minio", "", "data", ""},
		{"s3://minio.local/data", []Option{WithEndpointFirst(false)}, "", "", "minio.local", "data"},
		{"s3://data", []Option{WithEndpoint("[::1]"), WithPort(9000)}, "https://[::1]:9000", "", "data", ""},
		{"s3://[::1]/data", []Option{WithPort(9000)}, "https://[::1]:9000", "", "data", ""},

		// A host of AWS is AWS, wherever it stands.
		{"s3://s3.eu-west-3.amazonaws.com/data/p", nil, "", "eu-west-3", "data", "p"},
		{"s3://data.s3.eu-west-3.amazonaws.com/p", nil, "", "eu-west-3", "data", "p"},
		{"s3://data/p", []Option{WithEndpoint("s3.eu-west-3.amazonaws.com")}, "", "eu-west-3", "data", "p"},
		{"s3://data/p", []Option{WithEndpoint("https://data.s3.eu-west-3.amazonaws.com")}, "", "eu-west-3", "data", "p"},
		{"s3://data/p", []Option{WithEndpoint("s3.amazonaws.com"), WithPort(443), WithTLS(true)}, "", "", "data", "p"},
		{"s3://data/p", []Option{WithEndpoint("s3.eu-west-3.amazonaws.com"), WithDualstack(true)}, "", "eu-west-3", "data", "p"},
	} {
		b, err := New(test.location, test.opts...)
		if err != nil {
			t.Errorf("%s: %v", test.location, err)
			continue
		}
		c := b.cfg.client
		if c.Endpoint != test.endpoint || c.Region != test.region || c.Name != test.bucket || b.location.prefix != test.prefix {
			t.Errorf("%s: endpoint %q, region %q, bucket %q, prefix %q, want %+v", test.location, c.Endpoint, c.Region, c.Name, b.location.prefix, test)
		}
	}
}

// What an access point cannot do is refused before anything is asked.
func TestAccessPointContradicts(t *testing.T) {
	isolate(t)
	for _, test := range []struct {
		opt   Option
		names string
	}{
		{WithRegion("eu-west-1"), "region"},
		{WithAccelerate(true), "accelerate"},
		{WithCreateBucket(true), "create_bucket"},
	} {
		if _, err := New("s3://"+point, test.opt); !errors.Is(err, ErrInvalidOption) || !strings.Contains(err.Error(), test.names) {
			t.Errorf("%v, want ErrInvalidOption about %s", err, test.names)
		}
	}
}

// All that holds a secret hides it from every way of printing.
func TestSecretsAreNotPrinted(t *testing.T) {
	const mark = "hunter2-hunter2-hunter2-hunter2-" // 32 bytes, so that it is a customer key too
	provider := func(context.Context) (Keys, error) {
		return Keys{AccessKey: "access", SecretKey: bucket.Secret(mark)}, nil
	}
	b, err := New("s3://127.0.0.1:1/my-bucket/prefix",
		WithCredentials("access", mark, mark), WithCustomerKey([]byte(mark)), WithAssumeRole("arn:aws:iam::1:role/r", mark),
		WithProxy("http://me:"+mark+"@127.0.0.1:1"), WithCredentialsProvider(provider), WithRetries(0), WithTLS(false),
		WithLogger(slog.New(slog.NewTextHandler(failOn{t, mark}, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	keys, _ := provider(t.Context())
	failed := b.Ping(t.Context())
	if !errors.Is(failed, ErrUnreachable) {
		t.Fatalf("ping of a closed port: %v", failed)
	}
	for _, value := range []any{b, b.Source(), b.Destination(), b.Store(), b.cfg.client, b.location, keys, failed} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%d", "%x", "%X"} {
			checkHidden(t, fmt.Sprintf(verb, value), mark, fmt.Sprintf("%s of %T", verb, value))
		}
		if text, err := json.Marshal(value); err == nil {
			checkHidden(t, string(text), mark, fmt.Sprintf("JSON of %T", value))
		}
	}
}

// checkHidden also looks for the forms in which %x and %d print bytes.
func checkHidden(t *testing.T, text, secret, where string) {
	t.Helper()
	bytes := fmt.Sprint([]byte(secret))
	for _, form := range []string{secret, fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret), bytes[1 : len(bytes)-1]} {
		if strings.Contains(text, form) {
			t.Errorf("%s shows a secret: %s", where, text)
		}
	}
}

// failOn is a log that must not hold a text.
type failOn struct {
	t    *testing.T
	text string
}

func (f failOn) Write(p []byte) (int, error) {
	if strings.Contains(string(p), f.text) {
		f.t.Errorf("the log shows a secret: %s", p)
	}
	return len(p), nil
}

// isolate keeps the configuration of the machine out of a test.
func isolate(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"AWS_CONFIG_FILE": empty, "AWS_SHARED_CREDENTIALS_FILE": empty, "AWS_PROFILE": "", "AWS_REGION": "", "AWS_DEFAULT_REGION": "",
		"AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
}

// TestExpectedBucketOwner: in a bucket of another account nothing is read and
// nothing written, by whatever role. Every request says who is expected.
func TestExpectedBucketOwner(t *testing.T) {
	quiet(t)
	const owner, other = "000011112222", "333344445555"
	w := newWorld(t)
	w.fill(5)
	id := w.backupOf(w.at("s3://data", WithExpectedBucketOwner(owner))).Snapshot.ID

	// Larger than a part, so that a restore would begin an upload.
	w.data.Put("large", make([]byte, 6<<20), s3test.Properties{})
	large := w.backup().Snapshot.ID
	target := w.server.CreateBucket("target")
	w.server.ResetRequests()
	wrong := func(location string) *Bucket {
		return w.at(location, WithExpectedBucketOwner(other), WithPartSize(5<<20))
	}
	report, err := w.repo.Backup(t.Context(), wrong("s3://data").Source())
	if !errors.Is(err, ErrAccessDenied) || report != nil && report.Snapshot.ID != "" {
		t.Errorf("backup: %v, %+v", err, report)
	}
	restored, err := w.repo.Restore(t.Context(), large, wrong("s3://target").Destination())
	if !errors.Is(err, ErrAccessDenied) || restored.Stored != 0 {
		t.Errorf("restore: %v, %+v", err, restored.Counts)
	}
	if _, err := CreateRepository(t.Context(), wrong("s3://target").Store(), WithPlaintext()); !errors.Is(err, ErrAccessDenied) {
		t.Errorf("repository: %v", err)
	}
	if target.Len() != 0 || target.Uploads() != 0 {
		t.Errorf("written: %q, %d uploads", target.Keys(), target.Uploads())
	}
	for _, r := range w.server.Requests() {
		if r.Header.Get("X-Amz-Expected-Bucket-Owner") != other || r.Status < 400 {
			t.Errorf("%s %s/%s expects the owner %q and is answered with %d", r.Op, r.Bucket, r.Key, r.Header.Get("X-Amz-Expected-Bucket-Owner"), r.Status)
		}
	}

	if _, err := w.repo.Restore(t.Context(), id, w.at("s3://target", WithExpectedBucketOwner(owner)).Destination()); err != nil {
		t.Errorf("restore into a bucket of the right owner: %v", err)
	}
}

// TestAWSConfig: region and endpoint are those of the configuration, and other
// options come on top. Its credentials are a matter of internal/bucket.
func TestAWSConfig(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	w.fill(3)
	there, nowhere := w.server.URL(), "http://127.0.0.1:1"
	keys := WithCredentials(w.server.AccessKey(), w.server.SecretKey(), "")
	for name, test := range map[string]struct {
		given  AWSConfig
		opts   []Option
		region string
	}{
		"all of it":  {AWSConfig{Region: "eu-west-3", BaseEndpoint: &there}, nil, "eu-west-3"},
		"no region":  {AWSConfig{BaseEndpoint: &there}, nil, "us-east-1"},
		"on top":     {AWSConfig{Region: "eu-west-3", BaseEndpoint: &nowhere}, []Option{WithEndpoint(there), WithRegion("ap-south-1")}, "ap-south-1"},
		"underneath": {AWSConfig{Region: "eu-west-3", BaseEndpoint: &nowhere}, []Option{WithEndpoint(there)}, "eu-west-3"},
	} {
		// Before or after the others is the same.
		for _, opts := range [][]Option{append([]Option{WithAWSConfig(test.given), keys}, test.opts...), append(test.opts, keys, WithAWSConfig(test.given))} {
			b, err := New("s3://data", append(opts, WithRetries(0))...)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			w.server.ResetRequests()
			if err := b.Ping(t.Context()); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			// The first: the server may then name another region.
			if signed := w.server.Requests()[0].Header.Get("Authorization"); !strings.Contains(signed, "/"+test.region+"/s3/") {
				t.Errorf("%s: signed with %q, want region %s", name, signed, test.region)
			}
			b.Close()
		}
	}
}

// TestEndpointOfAWSConfig means the same as one of WithEndpoint, in all that follows
// from it: a source elsewhere must not pass for a bucket of AWS.
func TestEndpointOfAWSConfig(t *testing.T) {
	given := func(endpoint string) Option { return WithAWSConfig(AWSConfig{BaseEndpoint: &endpoint}) }
	for name, test := range map[string]struct {
		location, endpoint string
		opts               []Option
		origin, service    string
	}{
		"another service":       {"s3://data", "http://s3.test:9000", nil, "s3.test:9000/data", "http://s3.test:9000"},
		"with a slash":          {"s3://data/below", "https://s3.test/", nil, "s3.test/data", "https://s3.test"},
		"a host in the place":   {"s3://other.test/data", "https://s3.test", nil, "other.test/data", "https://other.test"},
		"an option":             {"s3://data", "https://s3.test", []Option{WithEndpoint("third.test")}, "third.test/data", "https://third.test"},
		"an option, and a host": {"s3://third.test/data", "https://s3.test", []Option{WithEndpoint("third.test")}, "third.test/data", "https://third.test"},
		"AWS in the place":      {"s3://s3.eu-west-3.amazonaws.com/data", "https://s3.test", nil, "s3.amazonaws.com/data", ""},
		"AWS itself":            {"s3://data", "https://s3.eu-west-3.amazonaws.com", nil, "s3.amazonaws.com/data", ""},
		"none":                  {"s3://data", "", nil, "s3.amazonaws.com/data", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := New(test.location, append(test.opts, WithAnonymous(true), given(test.endpoint))...)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			if b.origin() != test.origin || b.cfg.client.Endpoint != test.service {
				t.Errorf("it is %s at %q, want %s at %q", b.origin(), b.cfg.client.Endpoint, test.origin, test.service)
			}
		})
	}
	for name, test := range map[string]struct {
		endpoint string
		opt      Option
	}{
		"a key in the clear": {"http://s3.test", WithCustomerKey(make([]byte, 32))},
		"TLS and none":       {"http://s3.test", WithTLS(true)},
		"of AWS alone":       {"https://s3.test", WithFIPS(true)},
		"no endpoint":        {"ftp://s3.test", WithAnonymous(true)},
	} {
		if _, err := New("s3://data", given(test.endpoint), test.opt); !errors.Is(err, ErrInvalidOption) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRequesterPays: a bucket that wants it is read and written with it, and
// not without.
func TestRequesterPays(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	w.fill(5)
	w.data.SetRequesterPays(true)
	target := w.server.CreateBucket("target")
	target.SetRequesterPays(true)
	if _, err := w.repo.Backup(t.Context(), w.at("s3://data").Source()); !errors.Is(err, ErrAccessDenied) {
		t.Errorf("backup without: %v", err)
	}
	id := w.backupOf(w.at("s3://data", WithRequesterPays(true))).Snapshot.ID
	if _, err := w.repo.Restore(t.Context(), id, w.at("s3://target").Destination()); !errors.Is(err, ErrAccessDenied) {
		t.Errorf("restore without: %v", err)
	}
	if _, err := w.repo.Restore(t.Context(), id, w.at("s3://target", WithRequesterPays(true)).Destination()); err != nil {
		t.Error(err)
	}
	w.same(w.data, target)
}

// TestBucketOwnerControl is asked for with each object that is written, in one
// request or in parts, restored or stored.
func TestBucketOwnerControl(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	w.fill(3)
	body := make([]byte, 11<<20)
	for i := range body {
		body[i] = byte(rand.Uint32()) // a packfile of it has parts, too
	}
	w.data.Put("in parts", body, s3test.Properties{}, s3test.InParts(6<<20))
	w.server.CreateBucket("other")
	given := []Option{WithBucketOwnerControl(true), WithPartSize(5 << 20)}
	w.repo = createPlain(t, w.at("s3://other/repository", given...).Store())
	w.backup()
	if _, err := w.repo.Restore(t.Context(), "", w.at("s3://other/restored", given...).Destination()); err != nil {
		t.Fatal(err)
	}
	written := map[string]int{}
	for _, r := range w.server.Requests() {
		if r.Bucket != "other" || r.Op != "PutObject" && r.Op != "CreateMultipartUpload" {
			continue
		}
		written[r.Op]++
		if acl := r.Header.Get("X-Amz-Acl"); acl != "bucket-owner-full-control" {
			t.Errorf("%s %s has the ACL %q", r.Op, r.Key, acl)
		}
	}
	if written["PutObject"] < 5 || written["CreateMultipartUpload"] == 0 {
		t.Errorf("written: %v", written)
	}
}

// TestLogger: what was healed is told at debug level, and errors that are
// returned are not.
func TestLogger(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	w.data.Put("k", make([]byte, 2000), s3test.Properties{})
	w.data.Put("refused", nil, s3test.Properties{})
	w.server.Faults().Add(s3test.Fault{Op: "ListObjectsV2", Bucket: "data", Action: s3test.Status(500, "InternalError")})
	w.server.Faults().Add(s3test.Fault{Op: "GetObject", Key: "k", Action: s3test.CutAfter(1000)})
	w.server.Faults().Add(s3test.Fault{Op: "GetObject", Key: "refused", Times: s3test.Always, Action: s3test.Status(403, "AccessDenied")})
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if _, err := w.repo.Backup(t.Context(), w.at("s3://data", WithLogger(logger)).Source()); !errors.Is(err, ErrAccessDenied) {
		t.Fatalf("error %v", err)
	}
	for _, want := range []string{"attempt failed, trying again", "resuming a read", "key=k ", "bucket=data"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in\n%s", want, log.String())
		}
	}
	for line := range strings.Lines(log.String()) {
		if !strings.Contains(line, "level=DEBUG") || strings.Contains(line, "refused") {
			t.Errorf("logged %s", line)
		}
	}
	if _, err := New("s3://data", WithLogger(nil)); !errors.Is(err, ErrInvalidOption) {
		t.Errorf("no logger: %v, want ErrInvalidOption", err)
	}
	w.server.Faults().VerifyAll(t)
}
