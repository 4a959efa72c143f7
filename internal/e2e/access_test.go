package e2e_test

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/e2e/raw"
	"github.com/s3kloset/s3kloset/internal/e2e/server"
	"github.com/s3kloset/s3kloset/internal/s3test"
	"github.com/s3kloset/s3kloset/internal/s3test/conformance"
)

// guest is a site whose requests pass a proxy that tells who made them, and an object there.
type guest struct {
	site
	proxy  *s3test.Proxy
	bucket string
}

func newGuest(t *testing.T, s *server.Server) guest {
	t.Helper()
	at := newSite(t, s)
	return guest{at, s3test.StartProxy(t, s.Endpoint), at.prepare(t, at.newName(t, "access"))}
}

// visit makes a handle that knows the endpoint and the bucket, and nobody's keys.
func (g guest) visit(t *testing.T, opts ...s3kloset.Option) *s3kloset.Bucket {
	t.Helper()
	b, err := s3kloset.New("s3://"+g.bucket+"/data", append([]s3kloset.Option{s3kloset.WithEndpoint(g.proxy.URL())}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// backUp demands that the object can be backed up, and returns who asked S3 for it: access
// keys, with a + if there was a session token, and "" for nobody.
func (g guest) backUp(t *testing.T, b *s3kloset.Bucket) []string {
	t.Helper()
	before := len(g.proxy.Requests())
	report, err := plain(t.Context(), t).Backup(t.Context(), b.Source())
	if err != nil {
		t.Fatal(err)
	}
	wantCounts(t, report.Counts, s3kloset.Counts{Listed: 1, Stored: 1, Bytes: int64(len("content"))})
	who := map[string]bool{}
	for _, r := range g.proxy.Requests()[before:] {
		if key, service := signer(r.Header); service != "sts" {
			who[key] = true
		}
	}
	return slices.Sorted(maps.Keys(who))
}

// signer reads from a request who made it to which service.
func signer(h http.Header) (key, service string) {
	_, credential, _ := strings.Cut(h.Get("Authorization"), "Credential=")
	credential, _, _ = strings.Cut(credential, "/aws4_request")
	scope := strings.Split(credential, "/")
	if h.Get("X-Amz-Security-Token") != "" {
		scope[0] += "+"
	}
	return scope[0], scope[len(scope)-1]
}

// cleanAWS takes away what the machine knows of AWS.
func cleanAWS(t *testing.T) (folder string) {
	t.Helper()
	folder = t.TempDir()
	cleanVariables(t, "AWS_")
	t.Setenv("AWS_CONFIG_FILE", folder+"/config")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", folder+"/credentials")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	return folder
}

// write makes a file of a folder.
func write(t *testing.T, folder, name, text string) string {
	t.Helper()
	path := filepath.Join(folder, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// everything allows the whole server, but for the time of a session.
var everything = s3kloset.Policy{Version: "2012-10-17", Statement: []s3kloset.Statement{
	{Effect: "Allow", Action: []string{"s3:*"}, Resource: []string{"arn:aws:s3:::*"}}}}

// TestCredentials backs up with keys that the options do not have, but the environment and
// the files of AWS: those that are there for all programs of a machine.
func TestCredentials(t *testing.T) {
	g := newGuest(t, server.Shared(t, conformance.MinIO))
	user, keys := g.server.AccessKey, session(t, g.server, everything)
	static := "aws_access_key_id = " + user + "\naws_secret_access_key = " + g.server.SecretKey + "\n"
	temporary := "aws_access_key_id = " + keys.AccessKey + "\naws_secret_access_key = " + string(keys.SecretKey) + "\naws_session_token = " + string(keys.SessionToken) + "\n"
	document := fmt.Sprintf(`{"Version": 1, "AccessKeyId": %q, "SecretAccessKey": %q, "SessionToken": %q, "Expiration": %q}`,
		keys.AccessKey, string(keys.SecretKey), string(keys.SessionToken), time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	for _, c := range []struct {
		name   string
		set    func(t *testing.T, folder string)
		opts   []s3kloset.Option
		asked  string // "ROLE" for keys of a new session
		source string
	}{
		{"environment", func(t *testing.T, _ string) {
			t.Setenv("AWS_ACCESS_KEY_ID", user)
			t.Setenv("AWS_SECRET_ACCESS_KEY", g.server.SecretKey)
		}, nil, user, "the environment"},
		{"environment with a session", func(t *testing.T, _ string) {
			t.Setenv("AWS_ACCESS_KEY_ID", keys.AccessKey)
			t.Setenv("AWS_SECRET_ACCESS_KEY", string(keys.SecretKey))
			t.Setenv("AWS_SESSION_TOKEN", string(keys.SessionToken))
		}, nil, keys.AccessKey + "+", "the environment"},
		{"default profile", func(t *testing.T, folder string) {
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", write(t, folder, "elsewhere", "[default]\n"+static))
		}, nil, user, "the shared AWS files"},
		{"profile of the environment", func(t *testing.T, folder string) {
			write(t, folder, "credentials", "[default]\naws_access_key_id = NOBODY\naws_secret_access_key = x\n[night]\n"+static)
			t.Setenv("AWS_PROFILE", "night")
		}, nil, user, "the shared AWS files"},
		{"profile with a session", func(t *testing.T, folder string) {
			write(t, folder, "credentials", "[night]\n"+temporary)
			t.Setenv("AWS_ACCESS_KEY_ID", "NOBODY")
			t.Setenv("AWS_SECRET_ACCESS_KEY", "x")
		}, []s3kloset.Option{s3kloset.WithProfile("night")}, keys.AccessKey + "+", "the shared AWS files"},
		{"profile of a process", func(t *testing.T, folder string) {
			write(t, folder, "config", "[profile night]\ncredential_process = cat "+write(t, folder, "keys.json", document)+"\n")
		}, []s3kloset.Option{s3kloset.WithProfile("night")}, keys.AccessKey + "+", "a credential process"},
		{"profile of a role", func(t *testing.T, folder string) {
			write(t, folder, "credentials", "[user]\n"+static)
			write(t, folder, "config", "[profile night]\nregion = "+server.Region+"\nrole_arn = "+role+"\nsource_profile = user\n"+
				"services = minio\n[services minio]\nsts =\n  endpoint_url = "+g.proxy.URL()+"\n")
		}, []s3kloset.Option{s3kloset.WithProfile("night")}, "ROLE", "an assumed role"},
		{"options with a session", func(t *testing.T, _ string) { t.Setenv("AWS_ACCESS_KEY_ID", "NOBODY") },
			[]s3kloset.Option{s3kloset.WithCredentials(keys.AccessKey, string(keys.SecretKey), string(keys.SessionToken))}, keys.AccessKey + "+", "the configuration"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.set(t, cleanAWS(t))
			b := g.visit(t, c.opts...)
			who := g.backUp(t, b)
			if c.asked == "ROLE" && len(who) == 1 && strings.HasSuffix(who[0], "+") && who[0] != keys.AccessKey+"+" {
				c.asked = who[0]
			}
			if !slices.Equal(who, []string{c.asked}) {
				t.Errorf("S3 was asked by %q, want %q", who, c.asked)
			}
			if identity, err := b.Identity(t.Context()); err != nil || !strings.HasPrefix(identity.Source, c.source) {
				t.Errorf("identity is %+v, %v", identity, err)
			}
		})
	}
}

// TestCredentialsThatAreWrong are named as what is wrong with them.
func TestCredentialsThatAreWrong(t *testing.T) {
	g := newGuest(t, server.Shared(t, conformance.MinIO))
	keys := session(t, g.server, everything)
	for name, c := range map[string]struct {
		opts []s3kloset.Option
		says string
	}{
		"no session token":     {[]s3kloset.Option{s3kloset.WithCredentials(keys.AccessKey, string(keys.SecretKey), "")}, "token is wrong or missing"},
		"another token":        {[]s3kloset.Option{s3kloset.WithCredentials(keys.AccessKey, string(keys.SecretKey), "none of yours")}, "session token"},
		"token of another key": {[]s3kloset.Option{s3kloset.WithCredentials(g.server.AccessKey, g.server.SecretKey, string(keys.SessionToken))}, "session token"},
		"none at all":          {nil, "there are no credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			cleanAWS(t)
			b := g.visit(t, c.opts...)
			if err := b.Ping(t.Context()); !errors.Is(err, s3kloset.ErrCredentials) {
				t.Errorf("error is %v", err)
			}
			d, err := b.Diagnose(t.Context(), s3kloset.RoleSource)
			if err != nil {
				t.Fatal(err)
			}
			if f, _ := d.Finding(s3kloset.CheckIdentity); f.Verdict != s3kloset.VerdictBroken || !strings.Contains(f.Detail, c.says) {
				t.Errorf("identity is %v: %s (%v)", f.Verdict, f.Detail, f.Err)
			}
		})
	}
}

// TestAnonymous reads a bucket that is everybody's, unsigned whatever the environment has,
// and is refused where it is not.
func TestAnonymous(t *testing.T) {
	cleanAWS(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "NOBODY")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "x")
	g := newGuest(t, server.Shared(t, conformance.MinIO))
	b := g.visit(t, s3kloset.WithAnonymous(true))
	if err := b.Ping(t.Context()); !errors.Is(err, s3kloset.ErrAccessDenied) {
		t.Errorf("the bucket is not public yet: %v", err)
	}
	_, err := g.client.Do(t.Context(), raw.Request{Method: http.MethodPut, Bucket: g.bucket, Query: url.Values{"policy": {""}}, Body: fmt.Appendf(nil, `{
		"Version": "2012-10-17", "Statement": [
			{"Effect": "Allow", "Principal": "*", "Action": ["s3:ListBucket"], "Resource": ["arn:aws:s3:::%[1]s"]},
			{"Effect": "Allow", "Principal": "*", "Action": ["s3:GetObject", "s3:GetObjectTagging"], "Resource": ["arn:aws:s3:::%[1]s/*"]}]}`, g.bucket)})
	if err != nil {
		t.Fatal(err)
	}
	if who := g.backUp(t, b); !slices.Equal(who, []string{""}) {
		t.Errorf("S3 was asked by %q", who)
	}
	d, err := b.Diagnose(t.Context(), s3kloset.RoleSource)
	if err != nil {
		t.Fatal(err)
	}
	if !d.Identity.Anonymous || d.Verdict() >= s3kloset.VerdictDegraded {
		t.Errorf("%+v", d)
	}
}

// role is any: MinIO gives rights of the caller, whatever the role is called.
const role = "arn:minio:iam:::role/backup"

// TestAssumeRoleOfTheServer assumes a role at the STS of the server: MinIO has one at its
// endpoint. All requests are then made with keys of the role.
func TestAssumeRoleOfTheServer(t *testing.T) {
	cleanAWS(t)
	g := newGuest(t, server.Shared(t, conformance.MinIO))
	user := s3kloset.WithCredentials(g.server.AccessKey, g.server.SecretKey, "")
	keys, err := s3kloset.FromConfig(map[string]string{
		"access_key": g.server.AccessKey, "secret_access_key": g.server.SecretKey, "use_tls": "false",
		"role_arn": role, "role_session_name": "nightly", "role_duration": "1h", "sts_endpoint": strings.TrimPrefix(g.proxy.URL(), "http://"),
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, opts := range map[string][]s3kloset.Option{
		"options": {user, s3kloset.WithAssumeRole(role, ""), s3kloset.WithSTSEndpoint(g.proxy.URL())},
		"keys":    keys,
	} {
		t.Run(name, func(t *testing.T) {
			b := g.visit(t, opts...)
			who := g.backUp(t, b)
			if len(who) != 1 || !strings.HasSuffix(who[0], "+") || strings.HasPrefix(who[0], g.server.AccessKey) {
				t.Errorf("S3 was asked by %q", who)
			}
			identity, err := b.Identity(t.Context())
			if err != nil || identity.Source != "an assumed role" || identity.AccessKey+"+" != who[0] || identity.Expires.IsZero() {
				t.Errorf("identity is %+v, %v", identity, err)
			}
		})
	}
	t.Run("wrong secret", func(t *testing.T) {
		b := g.visit(t, s3kloset.WithCredentials(g.server.AccessKey, "wrong", ""), s3kloset.WithAssumeRole(role, ""), s3kloset.WithSTSEndpoint(g.proxy.URL()))
		if err := b.Ping(t.Context()); !errors.Is(err, s3kloset.ErrCredentials) || !strings.Contains(err.Error(), "sts:AssumeRole") {
			t.Errorf("error is %v", err)
		}
		d, err := b.Diagnose(t.Context(), s3kloset.RoleSource)
		if err != nil {
			t.Fatal(err)
		}
		if f, _ := d.Finding(s3kloset.CheckIdentity); f.Verdict != s3kloset.VerdictBroken || !strings.Contains(f.Detail, g.proxy.URL()) {
			t.Errorf("identity is %v: %s", f.Verdict, f.Detail)
		}
	})
}

// cleanVariables unsets what begins so, until the test ends.
func cleanVariables(t *testing.T, prefix string) {
	t.Helper()
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); strings.HasPrefix(name, prefix) {
			t.Setenv(name, "") // which puts it back
			os.Unsetenv(name)
		}
	}
}
