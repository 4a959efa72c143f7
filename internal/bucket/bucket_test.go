package bucket

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

func TestPingAsksOnce(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		for _, key := range []string{"a", "b", "c"} {
			s.bucket.Put(key, nil, s3test.Properties{})
		}
		if err := s.client.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		s.wantCount("", 1)
		s.wantCount("ListObjectsV2", 1)
		if asked := s.Requests()[0].Query.Get("max-keys"); asked != "1" {
			t.Errorf("asked for %s keys", asked)
		}
	})
}

func TestPingStaysBelowThePrefix(t *testing.T) {
	play(t, Config{Prefix: "team/a/"}, func(t *testing.T, s *stage) {
		if err := s.client.Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := s.Requests()[0].Query.Get("prefix"); got != "team/a/" {
			t.Errorf("listed prefix %q", got)
		}
	})
}

// TestPingNamesTheCause: an answer to a HEAD has no code, a wrong secret and a
// missing permission would be the same 403.
func TestPingNamesTheCause(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  Config
		kind error
		code string
	}{
		{"wrong secret", Config{Credentials: Credentials{Keys: Keys{AccessKey: "S3TESTACCESSKEY", SecretKey: "wrong"}}}, ErrCredentials, "SignatureDoesNotMatch"},
		{"unknown key", Config{Credentials: Credentials{Keys: Keys{AccessKey: "NOBODY", SecretKey: "x"}}}, ErrCredentials, "InvalidAccessKeyId"},
		{"nobody", Config{Credentials: Credentials{Anonymous: true}}, ErrAccessDenied, "AccessDenied"},
		{"no bucket", Config{Name: "elsewhere"}, ErrBucketNotFound, "NoSuchBucket"},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, Config{}, func(t *testing.T, s *stage) {
				err := s.newClient(c.cfg).Ping(t.Context())
				var failed *OpError
				if !errors.Is(err, c.kind) || !errors.As(err, &failed) || failed.Code != c.code {
					t.Errorf("error is %v, want %v and code %s", err, c.kind, c.code)
				}
			})
		})
	}
}

func TestPingOfABucketThatMayNotBeListed(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.fault(s3test.Fault{Op: "ListObjectsV2", Times: 2, Action: s3test.Status(403, "AccessDenied")})
		s.fault(s3test.Fault{Op: "HeadBucket", Nth: 2, Action: s3test.Status(403, "")})
		if err := s.client.Ping(t.Context()); err != nil {
			t.Errorf("HEAD answers 200, Ping says %v", err)
		}
		wantError(t, s.client.Ping(t.Context()), ErrAccessDenied, "list", "")
	})
}

func TestCreate(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		client := s.newClient(Config{Name: "fresh"})
		for _, step := range []string{"new", "owned already"} {
			if err := client.Create(t.Context()); err != nil {
				t.Errorf("%s: %v", step, err)
			}
		}
		if s.Bucket("fresh") == nil {
			t.Error("no bucket was made")
		}
		s.fault(s3test.Fault{Op: "CreateBucket", Action: s3test.Status(409, "BucketAlreadyExists")})
		if err := client.Create(t.Context()); !errors.Is(err, ErrAlreadyExists) {
			t.Errorf("bucket of somebody else: %v", err)
		}
	})
}

func TestCreateNamesTheRegion(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		if err := s.newClient(Config{Name: "fresh", Region: "eu-west-3"}).Create(t.Context()); err != nil {
			t.Fatal(err)
		}
	}, s3test.WithRegion("eu-west-3"))
}

// TestRegionIsFoundOut: a refusal that names the region is followed, once for
// the life of the client, whatever form it has.
func TestRegionIsFoundOut(t *testing.T) {
	const header = "x-amz-bucket-region: eu-west-3"
	for _, c := range []struct {
		name   string
		answer s3test.Action
	}{
		{"signature of another region", nil},
		{"301", s3test.Status(301, "PermanentRedirect", header)},
		{"307 without a place", s3test.Status(307, "TemporaryRedirect", header)},
		{"301 without a body", s3test.Status(301, "", header)},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, Config{}, func(t *testing.T, s *stage) {
				client := s.newClient(Config{Region: "us-west-2"})
				if c.answer != nil {
					s.fault(s3test.Fault{Action: c.answer})
				}
				s.bucket.Put("k", []byte("v"), s3test.Properties{})
				for range 2 {
					if _, err := client.Head(t.Context(), "k", Pin{}); err != nil {
						t.Fatal(err)
					}
				}
				if client.Region() != "eu-west-3" {
					t.Errorf("region is %q", client.Region())
				}
				s.wantCount("HeadObject", 3) // a refusal and two answers
			}, s3test.WithRegion("eu-west-3"))
		})
	}
}

// TestRegionInTheDocument: services name the region in the document alone, and
// a HEAD has none.
func TestRegionInTheDocument(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.bucket.Put("k", []byte("v"), s3test.Properties{})
		for range 2 {
			object, err := s.newClient(Config{Region: "us-west-2"}).Get(t.Context(), "k", Pin{})
			if err != nil {
				t.Fatal(err)
			}
			object.Body.Close()
		}
		s.wantCount("GetObject", 4)
		client := s.newClient(Config{Region: "us-west-2"})
		for range 2 {
			if _, err := client.Head(t.Context(), "k", Pin{}); err != nil {
				t.Fatal(err)
			}
		}
		if client.Region() != "eu-west-3" {
			t.Errorf("region is %q", client.Region())
		}
		s.wantCount("HeadObject", 3)
		s.wantCount("ListObjectsV2", 1)
	}, s3test.WithRegion("eu-west-3"), s3test.WithoutFeature(s3test.RegionHeader))
}

// TestRegionOfAnotherRefusal: some services name their region in each.
func TestRegionOfAnotherRefusal(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.fault(s3test.Fault{Op: "GetObject", Action: s3test.RawBody(403, "application/xml",
			"<Error><Code>AccessDenied</Code><Message>no</Message><Region>eu-west-3</Region></Error>")})
		_, err := s.client.Get(t.Context(), "k", Pin{})
		wantError(t, err, ErrAccessDenied, "get", "k")
		s.wantCount("", 1)
	})
}

// TestRegionIsFollowedOnce: two places that point at each other are an error.
func TestRegionIsFollowedOnce(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.fault(s3test.Fault{Action: s3test.Status(301, "PermanentRedirect", "x-amz-bucket-region: eu-west-1")})
		s.fault(s3test.Fault{Action: s3test.Status(301, "PermanentRedirect", "x-amz-bucket-region: eu-west-2")})
		_, err := s.client.Head(t.Context(), "k", Pin{})
		wantError(t, err, ErrWrongRegion, "head", "k")
	})
}

func TestClosedClient(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.client.Close()
		s.client.Close()
		for op, err := range everyCall(t.Context(), s.client) {
			if !errors.Is(err, ErrClosed) {
				t.Errorf("%s: %v", op, err)
			}
		}
		s.wantCount("", 0)
	})
}

func TestEndedContext(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for op, err := range everyCall(ctx, s.client) {
			if err != context.Canceled {
				t.Errorf("%s: %v", op, err)
			}
		}
		s.wantCount("", 0)
	})
}

// TestErrorsAreWrappedOnce: every operation that fails gives one *OpError with
// the bucket, the key and the cause.
func TestErrorsAreWrappedOnce(t *testing.T) {
	play(t, Config{Retries: -1}, func(t *testing.T, s *stage) {
		s.fault(s3test.Fault{Times: s3test.Always, Action: s3test.Status(503, "SlowDown")})
		for op, err := range everyCall(t.Context(), s.client) {
			var failed *OpError
			if !errors.As(err, &failed) || !errors.Is(err, ErrThrottled) {
				t.Errorf("%s: %v", op, err)
				continue
			}
			if failed.Bucket != bucketName || failed.Status != 503 {
				t.Errorf("%s: %+v", op, *failed)
			}
			if text := err.Error(); strings.Count(text, "503 S") != 1 || strings.Contains(text, "https response") {
				t.Errorf("%s: message is %s", op, text)
			}
		}
	})
}

// everyCall makes each call that asks the server, and gives its error by name.
func everyCall(ctx context.Context, c *Client) map[string]error {
	errs := map[string]error{
		"Ping":   c.Ping(ctx),
		"Create": c.Create(ctx),
		"Delete": c.Delete(ctx, "k"),
	}
	_, errs["Get"] = c.Get(ctx, "k", Pin{})
	_, errs["GetRange"] = c.GetRange(ctx, "k", Pin{}, 1, 2)
	_, errs["Head"] = c.Head(ctx, "k", Pin{})
	_, _, errs["PartLayout"] = c.PartLayout(ctx, "k", Pin{})
	_, errs["Put"] = c.Put(ctx, "k", nil, Write{})
	_, errs["Upload"] = c.Upload(ctx, "k", strings.NewReader("body"), 4, Write{})
	_, errs["Upload in parts"] = c.Upload(ctx, "k", strings.NewReader("body"), 4, Write{PartSize: 2})
	_, errs["Tags"] = c.Tags(ctx, "k", Pin{})
	for _, err := range c.List(ctx, Range{}) {
		errs["List"] = err
	}
	return errs
}

// TestSecretsDoNotShow in any format of anything that holds them.
func TestSecretsDoNotShow(t *testing.T) {
	const secret = "hush-hush-hush-hush-hush-hush-32"
	cfg := Config{
		Name: bucketName, Endpoint: "http://127.0.0.1:1", Retries: -1, SSECustomerKey: []byte(secret),
		Credentials: Credentials{Keys: Keys{AccessKey: "AK", SecretKey: secret, SessionToken: secret}},
	}
	client := mustNew(t, cfg)
	_, err := client.Head(t.Context(), "k", Pin{})
	if err == nil {
		t.Fatal("port 1 answers")
	}
	for _, value := range []any{cfg, &cfg, cfg.Credentials, cfg.Credentials.Keys, Secret(secret), err, client} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			if text := fmt.Sprintf(verb, value); strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret)) {
				t.Errorf("%T in %s shows the secret", value, verb)
			}
		}
	}
	if text, err := Secret(secret).MarshalText(); err != nil || strings.Contains(string(text), secret) {
		t.Errorf("marshalled as %s, %v", text, err)
	}
}
