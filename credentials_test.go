package s3kloset_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/s3test"
	"github.com/s3kloset/s3kloset/internal/s3test/sigv4"
)

const (
	firstRole  = "arn:aws:iam::123456789012:role/first"
	secondRole = "arn:aws:iam::210987654321:role/second"
)

// tokenService is an STS with two roles: the keys of a user may assume the
// first one, and the first one the second, under its external id. Each time it
// gives other keys, which the server of S3 takes until expire is called.
type tokenService struct {
	s3 *s3test.Server

	mu       sync.Mutex
	given    []s3test.Credentials // of the second role
	refusals []string
}

func (s *tokenService) page(r *http.Request) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch role, key := r.FormValue("RoleArn"), signedBy(r.Header); {
	case role == firstRole && key == "AKIAUSER":
		return strings.ReplaceAll(fmt.Sprintf(roleAsXML, "AssumeRole"), "ASIAROLE", "ASIAFIRST")
	case role == secondRole && key == "ASIAFIRST" && r.Header.Get("X-Amz-Security-Token") == "token" && r.FormValue("ExternalId") == "ext" &&
		r.FormValue("RoleSessionName") == "nightly" && r.FormValue("DurationSeconds") == "1800":
		c := s3test.Credentials{Credentials: sigv4.Credentials{
			AccessKey: fmt.Sprintf("ASIASECOND%d", len(s.given)), SecretKey: "secret", SessionToken: "token"}}
		s.s3.AddCredentials(c)
		s.given = append(s.given, c)
		return strings.ReplaceAll(fmt.Sprintf(roleAsXML, "AssumeRole"), "ASIAROLE", c.AccessKey)
	}
	s.refusals = append(s.refusals, fmt.Sprintf("%v by %s", r.Form, signedBy(r.Header)))
	return ""
}

// expire ends the keys that were given last.
func (s *tokenService) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := s.given[len(s.given)-1]
	last.Expires = time.Now().Add(-time.Minute)
	s.s3.AddCredentials(last)
}

// signedBy is the access key of a request.
func signedBy(h http.Header) string {
	_, credential, _ := strings.Cut(h.Get("Authorization"), "Credential=")
	key, _, _ := strings.Cut(credential, "/")
	return key
}

// whoAsked are the keys that signed the requests to a server.
func whoAsked(s *s3test.Server) []string {
	keys := map[string]bool{}
	for _, r := range s.Requests() {
		keys[signedBy(r.Header)] = true
	}
	return slices.Sorted(maps.Keys(keys))
}

// Source, store and destination of one program are each signed for with their
// own keys. Those of the source are of a role, assumed by the role of a profile,
// and expire in the middle of the backup.
func TestEachHandleHasItsCredentials(t *testing.T) {
	home := cleanEnvironment(t)
	t.Setenv("AWS_CONFIG_FILE", write(t, home, "config", "[profile chain]\nrole_arn = "+firstRole+"\nsource_profile = user\nregion = us-east-1\n"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", write(t, home, "credentials", "[user]\naws_access_key_id = AKIAUSER\naws_secret_access_key = secret\n"))
	source, store := s3test.New(), s3test.Start(t, s3test.WithCredentials("AKIASTORE", "store-secret"))
	destination := s3test.Start(t, s3test.WithCredentials("AKIADEST", "destination-secret"))
	sts := &tokenService{s3: source}
	t.Setenv("AWS_ENDPOINT_URL_STS", answer(t, sts.page))
	const objects = 40
	var gets int
	var mu sync.Mutex
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		if strings.HasPrefix(r.URL.Path, "/data/k") && r.URL.RawQuery == "x-id=GetObject" {
			if gets++; gets == objects/2 {
				sts.expire()
			}
		}
		mu.Unlock()
		source.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	data := source.CreateBucket("data")
	for i := range objects {
		data.Put(fmt.Sprintf("k%02d", i), []byte("body"), s3test.Properties{})
	}
	store.CreateBucket("repo")
	restored := destination.CreateBucket("copy")

	open := func(endpoint, bucket string, opts ...s3kloset.Option) *s3kloset.Bucket {
		b, err := s3kloset.New("s3://"+bucket, append(opts, s3kloset.WithEndpoint(endpoint), s3kloset.WithRegion("us-east-1"), s3kloset.WithConcurrency(4))...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		return b
	}
	from := open(server.URL, "data", s3kloset.WithProfile("chain"), s3kloset.WithAssumeRole(secondRole, "ext"),
		s3kloset.WithRoleSessionName("nightly"), s3kloset.WithRoleDuration(30*time.Minute))
	keep := open(store.URL(), "repo", s3kloset.WithCredentials("AKIASTORE", "store-secret", ""))
	to := open(destination.URL(), "copy", s3kloset.WithCredentialsProvider(func(context.Context) (s3kloset.Keys, error) {
		return s3kloset.Keys{AccessKey: "AKIADEST", SecretKey: "destination-secret"}, nil
	}))
	repo, err := s3kloset.CreateRepository(t.Context(), keep.Store(), s3kloset.WithPlaintext())
	if err != nil {
		t.Fatal(err)
	}
	defer repo.Close()
	report, err := repo.Backup(t.Context(), from.Source())
	if err != nil {
		t.Fatalf("%v; STS refused %q", err, sts.refusals)
	}
	if _, err := repo.Restore(t.Context(), report.Snapshot.ID, to.Destination()); err != nil {
		t.Fatal(err)
	}
	if n := len(restored.Keys()); n != objects {
		t.Errorf("%d objects came back", n)
	}
	for name, c := range map[string]struct{ got, want []string }{
		"source":      {whoAsked(source), []string{"ASIASECOND0", "ASIASECOND1"}},
		"store":       {whoAsked(store), []string{"AKIASTORE"}},
		"destination": {whoAsked(destination), []string{"AKIADEST"}},
	} {
		if !slices.Equal(c.got, c.want) {
			t.Errorf("%s was asked by %q, want %q", name, c.got, c.want)
		}
	}
	if len(sts.refusals) > 0 {
		t.Errorf("STS refused %q", sts.refusals)
	}
}
