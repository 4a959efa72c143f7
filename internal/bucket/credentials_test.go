package bucket

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/s3kloset/s3kloset/internal/s3test"
)

// alone cuts the test off from the machine's own AWS configuration.
func alone(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range os.Environ() {
		if name, _, _ = strings.Cut(name, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
		}
	}
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(dir, "config"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(dir, "credentials"))
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	return dir
}

// signer answers everything with 404, and remembers who asked.
type signer struct{ asked atomic.Pointer[http.Request] }

func (s *signer) RoundTrip(r *http.Request) (*http.Response, error) {
	s.asked.Store(r)
	return &http.Response{StatusCode: 404, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}

// who signed the last request: "" for nobody.
func (s *signer) who() string {
	_, credential, _ := strings.Cut(s.asked.Load().Header.Get("Authorization"), "Credential=")
	key, _, _ := strings.Cut(credential, "/")
	return key
}

// TestOrderOfCredentials: the first one that is set wins.
func TestOrderOfCredentials(t *testing.T) {
	dir := alone(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "ENVIRONMENT")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	shared := "[default]\naws_access_key_id = DEFAULT\naws_secret_access_key = s\n[work]\naws_access_key_id = PROFILE\naws_secret_access_key = s\n"
	if err := os.WriteFile(filepath.Join(dir, "credentials"), []byte(shared), 0o600); err != nil {
		t.Fatal(err)
	}
	provider := func(context.Context) (Keys, error) { return Keys{AccessKey: "PROVIDER", SecretKey: "s"}, nil }
	keys := Keys{AccessKey: "KEYS", SecretKey: "s"}
	given := &AWSConfig{Region: "eu-west-3", Credentials: credentials.NewStaticCredentialsProvider("AWSCONFIG", "s", "")}
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{}, "ENVIRONMENT"},
		{Config{Credentials: Credentials{Profile: "work"}}, "PROFILE"},
		{Config{AWS: given}, "AWSCONFIG"},
		{Config{AWS: given, Credentials: Credentials{Profile: "work"}}, "AWSCONFIG"},
		{Config{Credentials: Credentials{Provider: provider, Profile: "work"}}, "PROVIDER"},
		{Config{AWS: given, Credentials: Credentials{Provider: provider}}, "PROVIDER"},
		{Config{Credentials: Credentials{Keys: keys, Provider: provider}}, "KEYS"},
		{Config{Credentials: Credentials{Anonymous: true, Keys: keys}}, ""},
	} {
		s := &signer{}
		c.cfg.Name, c.cfg.Endpoint, c.cfg.Transport = bucketName, "http://s3.test", s
		client := mustNew(t, c.cfg)
		client.Head(t.Context(), "k", Pin{})
		if got := s.who(); got != c.want {
			t.Errorf("%+v: signed by %q, want %q", c.cfg.Credentials, got, c.want)
		}
		if c.cfg.AWS != nil && client.Region() != "eu-west-3" {
			t.Errorf("region is %q", client.Region())
		}
	}
}

// TestExplicitKeysReadNothing of the environment or of shared files, however
// broken those are.
func TestExplicitKeysReadNothing(t *testing.T) {
	alone(t)
	t.Setenv("AWS_PROFILE", "does-not-exist")
	t.Setenv("AWS_REGION", "mars-north-1")
	client := mustNew(t, Config{Name: bucketName, Credentials: Credentials{Keys: Keys{AccessKey: "AK", SecretKey: "SK"}}})
	if client.Region() != defaultRegion {
		t.Errorf("region is %q", client.Region())
	}
}

func TestRegionOfTheEnvironment(t *testing.T) {
	alone(t)
	t.Setenv("AWS_REGION", "eu-west-3")
	for region, want := range map[string]string{"": "eu-west-3", "us-west-2": "us-west-2"} {
		if got := mustNew(t, Config{Name: bucketName, Region: region}).Region(); got != want {
			t.Errorf("with %q the region is %q", region, got)
		}
	}
}

func TestMissingProfile(t *testing.T) {
	alone(t)
	_, err := New(Config{Name: bucketName, Credentials: Credentials{Profile: "does-not-exist"}})
	if err == nil || !strings.Contains(err.Error(), "does-not-exist") {
		t.Errorf("error is %v", err)
	}
}

func TestNoCredentials(t *testing.T) {
	alone(t)
	client := mustNew(t, Config{Name: bucketName, Endpoint: "http://s3.test", Transport: &signer{}})
	_, err := client.Head(t.Context(), "k", Pin{})
	wantError(t, err, ErrCredentials, "head", "k")
}

// TestProviderIsCached until its keys expire.
func TestProviderIsCached(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.fill([]string{"k"})
		asked := 0
		client := s.newClient(Config{Credentials: Credentials{Provider: func(context.Context) (Keys, error) {
			asked++
			return Keys{AccessKey: s.AccessKey(), SecretKey: Secret(s.SecretKey()), Expires: time.Now().Add(time.Hour)}, nil
		}}})
		for i := range 4 {
			if _, err := client.Head(t.Context(), "k", Pin{}); err != nil {
				t.Fatal(err)
			}
			if want := 1 + i/2; asked != want {
				t.Errorf("asked %d times at request %d", asked, i)
			}
			time.Sleep(40 * time.Minute)
		}
	})
}

// TestAssumeRole puts the role on top of the keys.
func TestAssumeRole(t *testing.T) {
	var assumed *http.Request
	s := &signer{}
	client := mustNew(t, Config{Name: bucketName, Endpoint: "http://s3.test",
		Credentials: Credentials{Keys: Keys{AccessKey: "CALLER", SecretKey: "s"}, RoleARN: "arn:aws:iam::1:role/r", ExternalID: "ext", SessionName: "me"},
		Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
			if !strings.HasPrefix(r.URL.Host, "sts.") {
				return s.RoundTrip(r)
			}
			if err := r.ParseForm(); err != nil {
				return nil, err
			}
			assumed = r
			body := fmt.Sprintf("<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"+
				"<SessionToken>token</SessionToken><Expiration>%s</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>",
				time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: readCloser(body), Request: r}, nil
		})})
	client.Head(t.Context(), "k", Pin{})
	if assumed == nil {
		t.Fatal("STS was not asked")
	}
	if form := assumed.Form; form.Get("RoleArn") != "arn:aws:iam::1:role/r" || form.Get("ExternalId") != "ext" || form.Get("RoleSessionName") != "me" {
		t.Errorf("asked for %v", form)
	}
	if !strings.Contains(assumed.Header.Get("Authorization"), "Credential=CALLER/") {
		t.Errorf("asked by %s", assumed.Header.Get("Authorization"))
	}
	if s.who() != "ROLE" || s.asked.Load().Header.Get("X-Amz-Security-Token") != "token" {
		t.Errorf("signed by %q", s.who())
	}
}

// TestSTSEndpoint asks the STS that is named for the region of the service, also
// where the environment names others for AWS.
func TestSTSEndpoint(t *testing.T) {
	alone(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "CALLER")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
	t.Setenv("AWS_REGION", "eu-west-3")
	t.Setenv("AWS_ENDPOINT_URL_STS", "http://elsewhere.test")
	t.Setenv("AWS_USE_FIPS_ENDPOINT", "true")
	for _, keys := range []Keys{{}, {AccessKey: "CALLER", SecretKey: "s"}} {
		var asked []string
		client := mustNew(t, Config{Name: bucketName, Endpoint: "http://s3.test", Region: "home", Retries: -1,
			Credentials: Credentials{Keys: keys, RoleARN: "arn:aws:iam::1:role/r", STSEndpoint: "http://sts.test:9000"},
			Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
				_, scope, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
				scope, _, _ = strings.Cut(scope, "/aws4_request")
				asked = append(asked, r.URL.Host+" "+scope)
				return &http.Response{StatusCode: 403, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
			})})
		_, err := client.Head(t.Context(), "k", Pin{})
		wantError(t, err, ErrCredentials, "head", "k")
		want := "sts.test:9000 CALLER/" + time.Now().UTC().Format("20060102") + "/home/sts"
		if len(asked) != 1 || asked[0] != want {
			t.Errorf("asked %q, want %q", asked, want)
		}
	}
}

// TestEndpointOfTheEnvironment is no endpoint of ours: the environment is asked for
// credentials alone. A program that has loaded it means it.
func TestEndpointOfTheEnvironment(t *testing.T) {
	alone(t)
	s := s3test.Start(t)
	s.CreateBucket(bucketName)
	t.Setenv("AWS_ENDPOINT_URL", s.URL())
	t.Setenv("AWS_USE_FIPS_ENDPOINT", "true")
	t.Setenv("AWS_USE_DUALSTACK_ENDPOINT", "true")
	t.Setenv("AWS_ACCESS_KEY_ID", s.AccessKey())
	t.Setenv("AWS_SECRET_ACCESS_KEY", s.SecretKey())
	t.Setenv("AWS_REGION", "us-east-1")

	client := mustNew(t, Config{Name: bucketName})
	o := client.api.Options()
	if o.BaseEndpoint != nil || o.EndpointOptions.UseFIPSEndpoint != 0 || o.EndpointOptions.UseDualStackEndpoint != 0 || !client.secure() {
		t.Errorf("the environment names endpoint %q, %+v", aws.ToString(o.BaseEndpoint), o.EndpointOptions)
	}
	client = mustNew(t, Config{Name: bucketName, Endpoint: s.URL()})
	if err := client.Ping(t.Context()); err != nil {
		t.Errorf("at an endpoint that has neither: %v", err)
	}

	t.Setenv("AWS_USE_FIPS_ENDPOINT", "false")
	t.Setenv("AWS_USE_DUALSTACK_ENDPOINT", "false")
	loaded, err := awsconfig.LoadDefaultConfig(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client = mustNew(t, Config{Name: bucketName, AWS: &loaded, Endpoint: EndpointOf(loaded)})
	if err := client.Ping(t.Context()); err != nil || client.secure() {
		t.Errorf("at the endpoint of the program: %v, secure %v", err, client.secure())
	}
}

// TestAWSConfigIsNotChanged: it belongs to the caller.
func TestAWSConfigIsNotChanged(t *testing.T) {
	given := &AWSConfig{Region: "eu-west-3"}
	mustNew(t, Config{Name: bucketName, AWS: given, Region: "us-west-2", Credentials: Credentials{Anonymous: true}})
	if given.Region != "eu-west-3" || given.Credentials != nil || given.HTTPClient != nil || aws.ToString(given.BaseEndpoint) != "" {
		t.Errorf("changed to %+v", given)
	}
}
