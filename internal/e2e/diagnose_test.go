package e2e_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/e2e/server"
	"github.com/s3kloset/s3kloset/internal/s3test/conformance"
	"github.com/s3kloset/s3kloset/internal/s3test/sigv4"
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
			verdict  s3kloset.Verdict
			says     string
		}{
			{"wrong secret", bucket, []s3kloset.Option{s3kloset.WithCredentials(at.server.AccessKey, "wrong", "")}, s3kloset.CheckIdentity, s3kloset.VerdictBroken, "secret key"},
			{"unknown key", bucket, []s3kloset.Option{s3kloset.WithCredentials("nobody", "secret", "")}, s3kloset.CheckIdentity, s3kloset.VerdictBroken, "nobody"},
			{"no bucket", newName("missing"), nil, s3kloset.CheckBucket, s3kloset.VerdictBroken, "missing"},
			{"wrong region", bucket, []s3kloset.Option{s3kloset.WithRegion("eu-west-3")}, s3kloset.CheckBucket, s3kloset.VerdictDegraded, "region"},
			{"TLS to a plain port", bucket, []s3kloset.Option{s3kloset.WithEndpoint(strings.Replace(at.server.Endpoint, "http:", "https:", 1))}, s3kloset.CheckTLS, s3kloset.VerdictBroken, "use_tls"},
		} {
			t.Run(string(name)+"/"+c.name, func(t *testing.T) {
				d, err := at.open(t, c.location+"/data", c.opts...).Diagnose(t.Context(), s3kloset.RoleStore)
				if err != nil {
					t.Fatal(err)
				}
				f, _ := d.Finding(c.check)
				if f.Verdict != c.verdict || !strings.Contains(f.Detail+f.Remedy, c.says) {
					t.Errorf("%s is %v: %s; %s (%v)", c.check, f.Verdict, f.Detail, f.Remedy, f.Err)
				}
			})
		}
	}
}

// TestDiagnoseUnknownAuthority names the option that trusts a certificate which nobody
// vouches for, and what trusting all of them costs.
func TestDiagnoseUnknownAuthority(t *testing.T) {
	for _, name := range []conformance.Server{conformance.MinIO, conformance.Versity} {
		s := server.Start(t, name, server.TLS())
		at := newSite(t, s)
		bucket := at.prepare(t, at.newName(t, "diagnose"))
		stranger := *s
		stranger.CAFile = ""
		for _, c := range []struct {
			name    string
			at      site
			opts    []s3kloset.Option
			verdict s3kloset.Verdict
			says    string
		}{
			{"trusted", at, nil, s3kloset.VerdictOK, "TLS 1.3"},
			{"unknown", site{&stranger, at.client}, nil, s3kloset.VerdictBroken, "ca_file"},
			{"whoever it is", site{&stranger, at.client}, []s3kloset.Option{s3kloset.WithInsecureSkipVerify(true)}, s3kloset.VerdictDegraded, "ca_file"},
			{"another name", at, []s3kloset.Option{s3kloset.WithEndpoint("https://other.example.test"), s3kloset.WithProxy(newOffice(t, s).URL)},
				s3kloset.VerdictBroken, "another name"},
		} {
			t.Run(string(name)+"/"+c.name, func(t *testing.T) {
				d, err := c.at.open(t, bucket+"/data", c.opts...).Diagnose(t.Context(), s3kloset.RoleStore)
				if err != nil {
					t.Fatal(err)
				}
				f, _ := d.Finding(s3kloset.CheckTLS)
				if f.Verdict != c.verdict || !strings.Contains(f.Detail+f.Remedy, c.says) {
					t.Errorf("TLS is %v: %s; %s (%v)", f.Verdict, f.Detail, f.Remedy, f.Err)
				}
				if stopped := d.Verdict() == s3kloset.VerdictBroken; stopped != (c.verdict == s3kloset.VerdictBroken) {
					t.Errorf("%+v", d.Findings)
				}
			})
		}
	}
}

// TestDiagnoseClock has a clock that is wrong by more than the server takes. The server's
// time is learnt from its refusal, and all requests after it are taken.
func TestDiagnoseClock(t *testing.T) {
	for _, name := range []conformance.Server{conformance.MinIO, conformance.Versity} {
		s := server.Shared(t, name)
		at := newSite(t, s)
		for says, ahead := range map[string]time.Duration{"behind": time.Hour, "ahead": -2 * time.Hour} {
			t.Run(string(name)+"/"+says, func(t *testing.T) {
				bucket := at.prepare(t, at.newName(t, "diagnose"))
				refused, elsewhen := inTime(t, s, ahead)
				d, err := (site{elsewhen, at.client}).open(t, bucket+"/data").Diagnose(t.Context(), s3kloset.RoleStore)
				if err != nil {
					t.Fatal(err)
				}
				f, _ := d.Finding(s3kloset.CheckClock)
				if f.Verdict != s3kloset.VerdictDegraded || !strings.Contains(f.Detail, says) {
					t.Errorf("clock is %v: %s (%v)", f.Verdict, f.Detail, f.Err)
				}
				if d.Verdict() == s3kloset.VerdictBroken {
					t.Errorf("%+v", d.Findings)
				}
				if n := refused.Load(); n == 0 {
					t.Error("the server takes any time")
				}
				source := (site{elsewhen, at.client}).open(t, bucket+"/data").Source()
				report, err := plain(t.Context(), t).Backup(t.Context(), source)
				if err != nil || report.Stored != 1 {
					t.Errorf("%+v, %v", report, err)
				}
			})
		}
	}
}

// inTime is a server whose clock is ahead of ours. It counts what the server refuses.
func inTime(t *testing.T, s *server.Server, ahead time.Duration) (*atomic.Int64, *server.Server) {
	t.Helper()
	to, err := url.Parse(s.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	refused := new(atomic.Int64)
	keys := sigv4.Credentials{AccessKey: s.AccessKey, SecretKey: s.SecretKey}
	front := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host
			if signed, err := time.Parse(sigv4.TimeFormat, r.In.Header.Get("X-Amz-Date")); err == nil {
				sigv4.Sign(r.Out, keys, s.Region, r.In.Header.Get("X-Amz-Content-Sha256"), signed.Add(-ahead))
			}
		},
		ModifyResponse: func(r *http.Response) error {
			if r.StatusCode == http.StatusForbidden {
				refused.Add(1)
			}
			date, err := http.ParseTime(r.Header.Get("Date"))
			if err == nil {
				r.Header.Set("Date", date.Add(ahead).Format(http.TimeFormat))
			}
			return err
		},
	})
	t.Cleanup(front.Close)
	elsewhen := *s
	elsewhen.Endpoint = front.URL
	return refused, &elsewhen
}
