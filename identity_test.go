package s3kloset_test

import (
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset"
)

// cleanEnvironment hides whatever the machine has to say of AWS.
func cleanEnvironment(t *testing.T) (home string) {
	t.Helper()
	home = t.TempDir()
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
			os.Unsetenv(name)
		}
	}
	t.Setenv("HOME", home)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	return home
}

// write makes a file below the home folder.
func write(t *testing.T, home, name, text string) string {
	t.Helper()
	file := filepath.Join(home, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// answer is a server that gives what it is told to, and 403 instead of nothing.
func answer(t *testing.T, page func(*http.Request) string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text := page(r)
		if text == "" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		if r.URL.Path == "/latest/api/token" {
			w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
		}
		io.WriteString(w, text)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// serve answers each path with a text, and 404 to all others.
func serve(t *testing.T, pages map[string]string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		page, ok := pages[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		io.WriteString(w, page)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

const (
	keysAsJSON = `{"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"ASIAJSON","SecretAccessKey":"secret","Token":"token","Expiration":"2099-01-01T00:00:00Z"}`
	roleAsXML  = `<%[1]sResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><%[1]sResult>
<Credentials><AccessKeyId>ASIAROLE</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>token</SessionToken>
<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></%[1]sResult></%[1]sResponse>`
	whoAsXML = `<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>
<Arn>arn:aws:iam::123456789012:user/backup</Arn><UserId>AIDAUSER</UserId><Account>123456789012</Account>
</GetCallerIdentityResult></GetCallerIdentityResponse>`
)

// Each source of credentials is asked as the SDK asks it, and named.
func TestIdentityNamesTheSource(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(t *testing.T, home string) []s3kloset.Option
		key     string
		source  string
		expires bool // the SDK says when, and asks some time before
	}{
		{"keys", func(*testing.T, string) []s3kloset.Option {
			return []s3kloset.Option{s3kloset.WithCredentials("AKIAGIVEN", "secret", "")}
		}, "AKIAGIVEN", "the configuration", false},
		{"provider", func(*testing.T, string) []s3kloset.Option {
			return []s3kloset.Option{s3kloset.WithCredentialsProvider(func(context.Context) (s3kloset.Keys, error) {
				return s3kloset.Keys{AccessKey: "AKIAFUNC", SecretKey: "secret", Expires: time.Now().Add(time.Hour)}, nil
			})}
		}, "AKIAFUNC", "a function of the program", true},
		{"environment", func(t *testing.T, _ string) []s3kloset.Option {
			t.Setenv("AWS_ACCESS_KEY_ID", "AKIAENV")
			t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
			return nil
		}, "AKIAENV", "the environment", false},
		{"shared files", func(t *testing.T, home string) []s3kloset.Option {
			write(t, home, "credentials", "[work]\naws_access_key_id = AKIAFILE\naws_secret_access_key = secret\n")
			return []s3kloset.Option{s3kloset.WithProfile("work")}
		}, "AKIAFILE", "the shared AWS files (", false},
		{"process", func(t *testing.T, home string) []s3kloset.Option {
			file := write(t, home, "keys.json", `{"Version":1,"AccessKeyId":"AKIAPROC","SecretAccessKey":"secret"}`)
			write(t, home, "config", "[profile vault]\ncredential_process = cat "+file+"\n")
			return []s3kloset.Option{s3kloset.WithProfile("vault")}
		}, "AKIAPROC", "a credential process", false},
		{"single sign-on", func(t *testing.T, home string) []s3kloset.Option {
			write(t, home, "config", "[profile sso]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = backup\n"+
				"[sso-session corp]\nsso_region = eu-west-3\nsso_start_url = https://corp.awsapps.com/start\n")
			cache := filepath.Join(home, ".aws", "sso", "cache")
			if err := os.MkdirAll(cache, 0o700); err != nil {
				t.Fatal(err)
			}
			// aws sso login names the file by the SHA-1 of the session.
			write(t, cache, fmt.Sprintf("%x.json", sha1.Sum([]byte("corp"))), `{"accessToken":"sso-token","expiresAt":"2099-01-01T00:00:00Z"}`)
			t.Setenv("AWS_ENDPOINT_URL_SSO", answer(t, func(r *http.Request) string {
				if r.Header.Get("X-Amz-Sso_bearer_token") != "sso-token" || r.URL.Query().Get("role_name") != "backup" || r.URL.Path != "/federation/credentials" {
					return ""
				}
				return `{"roleCredentials":{"accessKeyId":"ASIASSO","secretAccessKey":"secret","sessionToken":"token","expiration":4070908800000}}`
			}))
			return []s3kloset.Option{s3kloset.WithProfile("sso")}
		}, "ASIASSO", "single sign-on", true},
		{"web identity", func(t *testing.T, home string) []s3kloset.Option {
			t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", write(t, home, "token", "jwt"))
			t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/pod")
			t.Setenv("AWS_REGION", "us-east-1")
			t.Setenv("AWS_ENDPOINT_URL_STS", answer(t, func(r *http.Request) string {
				if r.FormValue("WebIdentityToken") != "jwt" || r.FormValue("RoleArn") != "arn:aws:iam::123456789012:role/pod" || r.Header.Get("Authorization") != "" {
					return ""
				}
				return fmt.Sprintf(roleAsXML, "AssumeRoleWithWebIdentity")
			}))
			return nil
		}, "ASIAROLE", "a web identity token", true},
		{"container", func(t *testing.T, _ string) []s3kloset.Option {
			t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", serve(t, map[string]string{"/keys": keysAsJSON})+"/keys")
			return nil
		}, "ASIAJSON", "the container's credentials endpoint", true},
		{"container with a token", func(t *testing.T, home string) []s3kloset.Option {
			t.Setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", write(t, home, "token", "pod-token"))
			t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", answer(t, func(r *http.Request) string {
				if r.Header.Get("Authorization") != "pod-token" {
					return ""
				}
				return keysAsJSON
			}))
			return nil
		}, "ASIAJSON", "the container's credentials endpoint", true},
		{"instance", func(t *testing.T, _ string) []s3kloset.Option {
			const roles = "/latest/meta-data/iam/security-credentials/"
			t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
			t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", answer(t, func(r *http.Request) string {
				switch {
				case r.Method == http.MethodPut && r.URL.Path == "/latest/api/token" && r.Header.Get("X-Aws-Ec2-Metadata-Token-Ttl-Seconds") != "":
					return "session"
				case r.Header.Get("X-Aws-Ec2-Metadata-Token") != "session": // the first version of the service
					return ""
				}
				return map[string]string{roles: "backup", roles + "backup": keysAsJSON}[r.URL.Path]
			}))
			return nil
		}, "ASIAJSON", "the instance metadata service", true},
		{"role", func(t *testing.T, _ string) []s3kloset.Option {
			t.Setenv("AWS_ACCESS_KEY_ID", "AKIAENV")
			t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
			t.Setenv("AWS_ENDPOINT_URL_STS", serve(t, map[string]string{"/": fmt.Sprintf(roleAsXML, "AssumeRole")}))
			return []s3kloset.Option{s3kloset.WithAssumeRole("arn:aws:iam::123456789012:role/backup", "")}
		}, "ASIAROLE", "an assumed role", true},
		{"anonymous", func(*testing.T, string) []s3kloset.Option {
			return []s3kloset.Option{s3kloset.WithAnonymous(true)}
		}, "", "nowhere", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			home := cleanEnvironment(t)
			// The SDK asks for the home folder only once.
			t.Setenv("AWS_CONFIG_FILE", filepath.Join(home, "config"))
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(home, "credentials"))
			opts := c.prepare(t, home)
			// Where there is no STS to ask, nothing but the keys is needed.
			b, err := s3kloset.New("s3://bucket", append(opts, s3kloset.WithEndpoint("http://127.0.0.1:1"))...)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			who, err := b.Identity(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if who.AccessKey != c.key || !strings.HasPrefix(who.Source, c.source) || who.Expires.IsZero() == c.expires {
				t.Errorf("identity is %+v until %v, want %s from %s, expiring %v", who, who.Expires, c.key, c.source, c.expires)
			}
			if who.Anonymous != (c.key == "") {
				t.Errorf("anonymous is %v", who.Anonymous)
			}
		})
	}
}

// service answers for AWS, whatever the host.
type service func(*http.Request) (status int, body string)

func (s service) RoundTrip(r *http.Request) (*http.Response, error) {
	status, body := s(r)
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"text/xml"}}, Body: io.NopCloser(strings.NewReader(body)), Request: r,
	}, nil
}

func TestIdentityOnAWS(t *testing.T) {
	cleanEnvironment(t)
	for _, c := range []struct {
		name   string
		sts    service
		arn    string
		failed error
	}{
		{"known", func(r *http.Request) (int, string) {
			if r.Host != "sts.eu-west-3.amazonaws.com" && r.URL.Host != "sts.eu-west-3.amazonaws.com" {
				return 404, r.URL.String()
			}
			return 200, whoAsXML
		}, "arn:aws:iam::123456789012:user/backup", nil},
		{"refused", func(*http.Request) (int, string) {
			return 403, `<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>`
		}, "", s3kloset.ErrAccessDenied},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, err := s3kloset.New("s3://bucket", s3kloset.WithRegion("eu-west-3"),
				s3kloset.WithCredentials("AKIAGIVEN", "secret", ""), s3kloset.WithTransport(c.sts))
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			who, err := b.Identity(t.Context())
			if !errors.Is(err, c.failed) || who.ARN != c.arn {
				t.Fatalf("%+v, %v", who, err)
			}
			if who.AccessKey != "AKIAGIVEN" || who.Source != "the configuration" {
				t.Errorf("what is known of the keys is lost: %+v", who)
			}
			if c.arn != "" && (who.Account != "123456789012" || !strings.Contains(who.String(), c.arn)) {
				t.Errorf("identity is %+v, %s", who, who)
			}
			if strings.Contains(fmt.Sprintf("%+v %#v %s", who, who, who), "secret") {
				t.Error("the secret shows")
			}
		})
	}
}

func TestIdentityOfNobody(t *testing.T) {
	cleanEnvironment(t)
	b, err := s3kloset.New("s3://bucket", s3kloset.WithEndpoint("http://127.0.0.1:1"))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if who, err := b.Identity(t.Context()); !errors.Is(err, s3kloset.ErrCredentials) {
		t.Errorf("%+v, %v", who, err)
	}
}
