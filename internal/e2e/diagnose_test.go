package e2e_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/e2e/server"
	"github.com/s3kloset/s3kloset/internal/s3test/conformance"
)

// limited is what the servers are known to lack, and nothing else: a diagnosis
// must find it, and find nothing that is not so.
var limited = map[conformance.Server][]s3kloset.Check{
	// A key below another one is not listed; redirects are not kept.
	conformance.MinIO: {s3kloset.CheckKeys, s3kloset.CheckMetadata},
	// Doubled slashes become one; keys are not encoded in listings.
	conformance.Versity: {s3kloset.CheckKeys, s3kloset.CheckListEncoding},
}

func TestDiagnose(t *testing.T) {
	for _, name := range []conformance.Server{conformance.MinIO, conformance.Versity} {
		at := newSite(t, server.Shared(t, name))
		for _, role := range []s3kloset.Role{s3kloset.RoleSource, s3kloset.RoleDestination, s3kloset.RoleStore} {
			t.Run(string(name)+"/"+role.String(), func(t *testing.T) {
				bucket := at.prepare(t, at.newName(t, "diagnose"))
				d, err := at.open(t, bucket+"/data").Diagnose(t.Context(), role)
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range d.Findings {
					if found := f.Verdict >= s3kloset.VerdictDegraded; found != slices.Contains(limited[name], f.Check) || f.Verdict == s3kloset.VerdictBroken {
						t.Errorf("%s is %v: %s (%v)", f.Check, f.Verdict, f.Detail, f.Err)
					}
				}
				if keys, err := at.client.Keys(t.Context(), bucket); err != nil || !slices.Equal(keys, []string{"data/tagged"}) {
					t.Errorf("left behind: %q, %v", keys, err)
				}
				if uploads, err := at.client.Uploads(t.Context(), bucket); err != nil || len(uploads) != 0 {
					t.Errorf("left behind: uploads %q, %v", uploads, err)
				}
			})
		}
	}
}

func TestDiagnoseWhatIsWrong(t *testing.T) {
	for _, name := range []conformance.Server{conformance.MinIO, conformance.Versity} {
		at := newSite(t, server.Shared(t, name))
		bucket := at.prepare(t, at.newName(t, "diagnose"))
		for _, c := range []struct {
			name     string
			location string
			opts     []s3kloset.Option
			check    s3kloset.Check
			says     string
		}{
			{"wrong secret", bucket, []s3kloset.Option{s3kloset.WithCredentials(at.server.AccessKey, "wrong", "")}, s3kloset.CheckIdentity, "secret key"},
			{"unknown key", bucket, []s3kloset.Option{s3kloset.WithCredentials("nobody", "secret", "")}, s3kloset.CheckIdentity, "nobody"},
			{"no bucket", newName("missing"), nil, s3kloset.CheckBucket, "missing"},
			{"wrong region", bucket, []s3kloset.Option{s3kloset.WithRegion("eu-west-3")}, s3kloset.CheckBucket, "region"},
			{"TLS to a plain port", bucket, []s3kloset.Option{s3kloset.WithEndpoint(strings.Replace(at.server.Endpoint, "http:", "https:", 1))}, s3kloset.CheckTLS, "use_tls"},
		} {
			t.Run(string(name)+"/"+c.name, func(t *testing.T) {
				d, err := at.open(t, c.location+"/data", c.opts...).Diagnose(t.Context(), s3kloset.RoleStore)
				if err != nil {
					t.Fatal(err)
				}
				f, _ := d.Finding(c.check)
				if f.Verdict < s3kloset.VerdictDegraded || !strings.Contains(f.Detail+f.Remedy, c.says) {
					t.Errorf("%s is %v: %s; %s (%v)", c.check, f.Verdict, f.Detail, f.Remedy, f.Err)
				}
			})
		}
	}
}
