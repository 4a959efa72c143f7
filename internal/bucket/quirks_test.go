package bucket

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

func TestVendorsAreDetected(t *testing.T) {
	for _, c := range []struct{ endpoint, vendor, region string }{
		{"", "aws", ""},
		{"https://0123456789abcdef.r2.cloudflarestorage.com", "r2", "auto"},
		{"https://0123456789abcdef.eu.r2.cloudflarestorage.com", "r2", "auto"},
		{"https://s3.us-west-004.backblazeb2.com", "b2", "us-west-004"},
		{"https://s3.eu-central-2.wasabisys.com:443", "wasabi", "eu-central-2"},
		{"https://s3.wasabisys.com", "wasabi", ""},
		{"https://S3.FR-PAR.SCW.CLOUD.", "scaleway", "fr-par"},
		{"https://s3.gra.io.cloud.ovh.net", "ovh", "gra"},
		{"https://s3.gra.perf.cloud.ovh.net", "ovh", "gra"},
		{"https://fsn1.your-objectstorage.com", "hetzner", "fsn1"},
		{"https://fra1.digitaloceanspaces.com", "digitalocean", "fra1"},
		{"https://storage.googleapis.com", "gcs", ""},
		{"https://storage.europe-west9.rep.googleapis.com", "gcs", ""},
		{"https://s3.eu-de.cloud-object-storage.appdomain.cloud", "ibm", "eu-de"},
		{"https://gateway.storjshare.io", "storj", ""},
		{"https://gateway.eu1.storjshare.io", "storj", ""},
		{"https://t3.storage.dev", "tigris", "auto"},
		{"https://fly.storage.tigris.dev", "tigris", "auto"},

		// What only looks like one is taken for S3.
		{"http://127.0.0.1:9000", "", ""},
		{"http://[::1]:9000", "", ""},
		{"http://localhost", "", ""},
		{"https://r2.cloudflarestorage.com", "", ""},
		{"https://r2.cloudflarestorage.com.example.org", "", ""},
		{"https://s3.evil.backblazeb2.com.example.org", "", ""},
		{"https://s3.a.b.backblazeb2.com", "", ""},
		{"https://s3..backblazeb2.com", "", ""},
		{"https://backblazeb2.com", "", ""},
		{"https://xstorage.googleapis.com", "", ""},
		{"https://storage.googleapis.com.example.org", "", ""},
		{"https://example.org/storage.googleapis.com", "", ""},
		{"https://storage.googleapis.com@example.org", "", ""},
		{"https://your-objectstorage.com", "", ""},
		{"::", "", ""},
	} {
		q := detect(c.endpoint)
		if q.Vendor != c.vendor || q.Region != c.region {
			t.Errorf("%q is %q in %q, want %q in %q", c.endpoint, q.Vendor, q.Region, c.vendor, c.region)
		}
	}
}

func TestVendorIsNamed(t *testing.T) {
	q, err := quirksOf("scaleway", "https://storage.example.org")
	if err != nil || q.MaxParts != 1000 {
		t.Errorf("%+v, %v", q, err)
	}
	// A name wins over the host, and leaves what the host says of the region.
	if q, err := quirksOf("aws", "https://s3.fr-par.scw.cloud"); err != nil || q.MaxParts != 0 || q.Region != "" {
		t.Errorf("%+v, %v", q, err)
	}
	if q, err := quirksOf("b2", "https://s3.us-west-004.backblazeb2.com"); err != nil || q.Region != "us-west-004" {
		t.Errorf("%+v, %v", q, err)
	}
	if _, err := New(Config{Name: "bucket", Vendor: "acme"}); err == nil || !strings.Contains(err.Error(), "acme") {
		t.Errorf("error is %v", err)
	}
}

func TestTableOfVendors(t *testing.T) {
	names := Vendors()
	if unique := slices.Compact(slices.Sorted(slices.Values(names))); len(unique) != len(names) {
		t.Errorf("names are not unique: %q", names)
	}
	if names[0] != "aws" {
		t.Error("the first row is not that of AWS")
	}
	for _, v := range vendors {
		for _, host := range v.hosts {
			example := strings.NewReplacer("{region}", "some-region-1", "*", "x").Replace(host)
			if got := detect("https://" + example).Vendor; got != v.Vendor {
				t.Errorf("%s is taken for %q, not for %q", example, got, v.Vendor)
			}
		}
	}
}

func TestPartSizeOfVendors(t *testing.T) {
	few := Quirks{MaxParts: 1000}
	for _, size := range []int64{-1, 0, 1, 8000 << 20, 8000<<20 + 1, 5 << 40} {
		plain, less := Quirks{}.partSize(size, 0), few.partSize(size, 0)
		if plain != partSizeFor(size, 0) {
			t.Errorf("%d: S3 gets parts of %d", size, plain)
		}
		if less < plain || size > less*1000 {
			t.Errorf("%d: parts of %d are more than 1000", size, less)
		}
	}
	if got := few.partSize(8000<<20, 0); got != DefaultPartSize {
		t.Errorf("what fits gets parts of %d", got)
	}
}

// quirky is a client of a server that is taken for one of a vendor.
func quirky(t *testing.T, vendor string, options ...s3test.Option) (*s3test.Server, *Client) {
	t.Helper()
	server := s3test.Start(t, options...)
	server.CreateBucket("bucket")
	c, err := New(Config{Name: "bucket", Endpoint: server.URL(), Vendor: vendor, Region: "us-east-1",
		Credentials: Credentials{Keys: Keys{AccessKey: server.AccessKey(), SecretKey: Secret(server.SecretKey())}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return server, c
}

func TestServiceWithoutTags(t *testing.T) {
	for vendor, want := range map[string]int{"aws": 1, "garage": 0} {
		server, c := quirky(t, vendor)
		server.Bucket("bucket").Put("key", nil, s3test.Properties{Tags: map[string]string{"k": "v"}})
		tags, err := c.Tags(t.Context(), "key", Pin{})
		if err != nil || len(tags) != want || server.Count("") != want {
			t.Errorf("%s: %v, %v after %d requests", vendor, tags, err, server.Count(""))
		}
	}
}

func TestServiceThatIgnoresConditions(t *testing.T) {
	server, c := quirky(t, "gcs", s3test.WithoutFeature(s3test.ConditionalWrites))
	b, ctx := server.Bucket("bucket"), t.Context()
	there := b.Put("there", []byte("old"), s3test.Properties{})
	big := strings.Repeat("x", 2*MinPartSize)
	upload := func(ctx context.Context, key string, w Write) error {
		w.PartSize = MinPartSize
		_, err := c.Upload(ctx, key, strings.NewReader(big), int64(len(big)), w)
		return err
	}
	put := func(ctx context.Context, key string, w Write) error {
		_, err := c.Put(ctx, key, []byte("new"), w)
		return err
	}
	for name, write := range map[string]func(context.Context, string, Write) error{"put": put, "upload": upload} {
		for _, x := range []struct {
			key  string
			w    Write
			want error
		}{
			{"there", Write{IfNoneMatch: true}, ErrAlreadyExists},
			{"there", Write{IfMatch: "another"}, ErrChanged},
			{"nowhere", Write{IfMatch: there.ETag}, ErrChanged},
			{name + "-new", Write{IfNoneMatch: true}, nil},
		} {
			if err := write(ctx, x.key, x.w); !errors.Is(err, x.want) {
				t.Errorf("%s %s: error is %v, want %v", name, x.key, err, x.want)
			}
		}
	}
	if o, _ := b.Get("there"); string(o.Body) != "old" {
		t.Error("it was written over")
	}
	if err := put(ctx, "there", Write{IfMatch: there.ETag}); err != nil {
		t.Error(err)
	}
	denied := s3test.Fault{Op: "HeadObject", Action: s3test.Status(403, "")}
	server.Faults().Add(denied)
	if err := put(ctx, "any", Write{IfNoneMatch: true}); !errors.Is(err, ErrAccessDenied) {
		t.Errorf("who may not look: %v", err)
	}
	if _, ok := b.Get("any"); ok {
		t.Error("written without a look")
	}
}

func TestServiceWithOpaqueETags(t *testing.T) {
	for vendor, want := range map[string]error{"aws": ErrChecksum, "r2": nil} {
		server, c := quirky(t, vendor)
		etag := s3test.Chain(
			s3test.SetHeader("Etag", `"00000000000000000000000000000000"`), s3test.SetHeader("X-Amz-Checksum-Crc32", ""))
		server.Faults().Add(s3test.Fault{Op: "PutObject", Times: s3test.Always, Action: etag})
		if _, err := c.Put(t.Context(), "key", []byte("x"), Write{}); !errors.Is(err, want) {
			t.Errorf("%s: error is %v, want %v", vendor, err, want)
		}
	}
}

func TestServiceWithoutChecksums(t *testing.T) {
	for vendor, want := range map[string]bool{"aws": true, "gcs": false} {
		server, c := quirky(t, vendor)
		if _, err := c.Put(t.Context(), "key", []byte("x"), Write{}); err != nil {
			t.Fatal(err)
		}
		requests := server.Requests()
		if sent := requests[len(requests)-1].Header.Get("X-Amz-Checksum-Crc32") != ""; sent != want {
			t.Errorf("%s: a checksum is sent: %v", vendor, sent)
		}
	}
}

func TestServiceThatEncodesKeysItsOwnWay(t *testing.T) {
	for vendor, want := range map[string]bool{"aws": true, "digitalocean": false} {
		server, c := quirky(t, vendor)
		server.Bucket("bucket").Put("a b+c%2F", nil, s3test.Properties{})
		var keys []string
		for entry, err := range c.List(t.Context(), Range{}) {
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, entry.Key)
		}
		if !slices.Equal(keys, []string{"a b+c%2F"}) {
			t.Errorf("%s: keys are %q", vendor, keys)
		}
		if asked := server.Requests()[0].Query.Has("encoding-type"); asked != want {
			t.Errorf("%s: encoding is asked for: %v", vendor, asked)
		}
	}
}

func TestServiceThatRewritesAcceptEncoding(t *testing.T) {
	for vendor, want := range map[string]bool{"aws": true, "gcs": false} {
		server, c := quirky(t, vendor)
		for _, err := range c.List(t.Context(), Range{}) {
			t.Fatal(err)
		}
		if _, err := c.Put(t.Context(), "key", []byte("x"), Write{}); err != nil {
			t.Fatal(err)
		}
		object, err := c.Get(t.Context(), "key", Pin{})
		if err != nil {
			t.Fatal(err)
		}
		object.Body.Close()
		for _, r := range server.Requests() {
			encoding := r.Header.Get("Accept-Encoding")
			signed := strings.Contains(r.Header.Get("Authorization"), "accept-encoding")
			if signed != want || !want && (encoding != "") != (r.Op == "GetObject") {
				t.Errorf("%s: %s signs Accept-Encoding: %v; it is %q", vendor, r.Op, signed, encoding)
			}
			// Google decodes what is stored as gzip unless it is asked for.
			if r.Op == "GetObject" && !want && encoding != "gzip" {
				t.Errorf("%s: %s asks for the encoding %q", vendor, r.Op, encoding)
			}
		}
	}
}

// asked is a transport that answers nothing and remembers where it was asked.
type asked struct{ host, authorization string }

func (a *asked) RoundTrip(r *http.Request) (*http.Response, error) {
	a.host, a.authorization = r.URL.Host, r.Header.Get("Authorization")
	return nil, errors.New("nobody there")
}

func TestAddressOfServices(t *testing.T) {
	for _, c := range []struct{ endpoint, region, host, signed string }{
		{"https://t3.storage.dev", "", "my-bucket.t3.storage.dev", "/auto/s3/"},
		{"https://s3.fr-par.scw.cloud", "", "s3.fr-par.scw.cloud", "/fr-par/s3/"},
		{"https://s3.fr-par.scw.cloud", "nl-ams", "s3.fr-par.scw.cloud", "/nl-ams/s3/"},
		{"https://0123.r2.cloudflarestorage.com", "", "0123.r2.cloudflarestorage.com", "/auto/s3/"},
		{"https://minio.example.org", "", "minio.example.org", "/us-east-1/s3/"},
	} {
		transport := &asked{}
		client, err := New(Config{Name: "my-bucket", Endpoint: c.endpoint, Region: c.region, Transport: transport, Retries: -1,
			Credentials: Credentials{Keys: Keys{AccessKey: "access", SecretKey: "secret"}}})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		if _, err := client.Head(t.Context(), "key", Pin{}); !errors.Is(err, ErrUnreachable) {
			t.Errorf("%s: error is %v", c.endpoint, err)
		}
		if transport.host != c.host || !strings.Contains(transport.authorization, c.signed) {
			t.Errorf("%s: asked %s, signed %s", c.endpoint, transport.host, transport.authorization)
		}
	}
}
