package e2e_test

import (
	"errors"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/s3kloset/s3kloset"
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
