package e2e_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/e2e/server"
	"github.com/s3kloset/s3kloset/internal/s3test/conformance"
)

// assume is the Option of credentials that a policy restricts.
func assume(t *testing.T, s *server.Server, policy s3kloset.Policy) s3kloset.Option {
	t.Helper()
	keys := session(t, s, policy)
	return s3kloset.WithCredentials(keys.AccessKey, string(keys.SecretKey), string(keys.SessionToken))
}

// session gets credentials of the server's STS that a policy restricts.
func session(t *testing.T, s *server.Server, policy s3kloset.Policy) s3kloset.Keys {
	t.Helper()
	form := url.Values{
		"Action": {"AssumeRole"}, "Version": {"2011-06-15"}, "DurationSeconds": {"3600"}, "Policy": {policy.String()},
	}.Encode()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Endpoint+"/", strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	signForSTS(req, s, form, time.Now().UTC())
	client, err := s.Client()
	if err != nil {
		t.Fatal(err)
	}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("assume role: %d %s, %v", resp.StatusCode, body, err)
	}
	var answer struct {
		Keys struct {
			AccessKeyID     string `xml:"AccessKeyId"`
			SecretAccessKey string
			SessionToken    string
		} `xml:"AssumeRoleResult>Credentials"`
	}
	if err := xml.Unmarshal(body, &answer); err != nil {
		t.Fatal(err)
	}
	return s3kloset.Keys{AccessKey: answer.Keys.AccessKeyID, SecretKey: s3kloset.Secret(answer.Keys.SecretAccessKey), SessionToken: s3kloset.Secret(answer.Keys.SessionToken)}
}

// signForSTS signs a form. The signer of the S3 tests knows no other service.
// https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
func signForSTS(req *http.Request, s *server.Server, form string, now time.Time) {
	const signed = "content-type;host;x-amz-date"
	date := now.Format("20060102T150405Z")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("X-Amz-Date", date)
	canonical := strings.Join([]string{
		req.Method, "/", "",
		"content-type:" + req.Header.Get("Content-Type"), "host:" + req.Host, "x-amz-date:" + date, "",
		signed, hexSHA256(form),
	}, "\n")
	scope := strings.Join([]string{date[:8], s.Region, "sts", "aws4_request"}, "/")
	key := []byte("AWS4" + s.SecretKey)
	for _, part := range strings.Split(scope, "/") {
		key = hmacSHA256(key, part)
	}
	value := hmacSHA256(key, strings.Join([]string{"AWS4-HMAC-SHA256", date, scope, hexSHA256(canonical)}, "\n"))
	req.Header.Set("Authorization", fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=%s, Signature=%x", s.AccessKey, scope, signed, value))
}

func hexSHA256(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

func hmacSHA256(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// errand is what a role is there for, in buckets and with options of all kinds.
type errand struct {
	name   string
	role   s3kloset.Role
	opts   []s3kloset.Option
	popts  []s3kloset.PolicyOption
	bucket func(at site, t *testing.T) string // nil makes a plain one
	// run does it, and says what went wrong.
	run func(ctx context.Context, t *testing.T, at site, b *s3kloset.Bucket) error
	// lenient are actions that MinIO does not ask for where AWS does.
	lenient []string
	// unused are actions that only a run with a misfortune needs, or none that MinIO fails.
	unused []string
	// told are actions that the diagnosis names too where the run does.
	told []string
	// either are actions of which MinIO takes each for the others.
	either []string
}

var errands = []errand{
	{name: "source", role: s3kloset.RoleSource, run: backUpUnderPolicy},
	{name: "source without tags", role: s3kloset.RoleSource, run: backUpUnderPolicy,
		opts: []s3kloset.Option{s3kloset.WithTagPolicy(s3kloset.TagsNever)}},
	{name: "source with versions", role: s3kloset.RoleSource, run: backUpUnderPolicy,
		popts: []s3kloset.PolicyOption{s3kloset.WithVersionedBucket()}, bucket: site.versioned,
		either: []string{"s3:GetObject", "s3:GetObjectVersion"}, lenient: []string{"s3:GetObjectVersionTagging"}},
	{name: "source with locks", role: s3kloset.RoleSource, run: backUpUnderPolicy,
		popts: []s3kloset.PolicyOption{s3kloset.WithLockedBucket(), s3kloset.WithDiagnosis()}, bucket: site.locked,
		either: []string{"s3:GetObject", "s3:GetObjectVersion"}, lenient: []string{"s3:GetObjectVersionTagging"},
		unused: []string{"s3:GetObjectRetention", "s3:GetObjectLegalHold", "s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration"}}, // for what a diagnosis tells
	{name: "destination", role: s3kloset.RoleDestination, run: restoreUnderPolicy(site.plain),
		lenient: []string{"s3:PutObjectTagging"}, unused: []string{"s3:AbortMultipartUpload"}},
	{name: "destination that keeps", role: s3kloset.RoleDestination, run: restoreUnderPolicy(site.plain),
		opts:    []s3kloset.Option{s3kloset.WithOverwrite(s3kloset.SkipExisting)},
		lenient: []string{"s3:PutObjectTagging"}, unused: []string{"s3:AbortMultipartUpload"}},
	{name: "destination that compares", role: s3kloset.RoleDestination, run: restoreUnderPolicy(site.plain),
		opts:    []s3kloset.Option{s3kloset.WithOverwrite(s3kloset.OverwriteIfDifferent)},
		lenient: []string{"s3:PutObjectTagging", "s3:ListBucket"}, unused: []string{"s3:AbortMultipartUpload"}},
	{name: "destination that encrypts", role: s3kloset.RoleDestination, run: restoreUnderPolicy(site.plain),
		opts:    []s3kloset.Option{s3kloset.WithEncryption(s3kloset.Encryption{Mode: "AES256"})},
		lenient: []string{"s3:PutObjectTagging"}, unused: []string{"s3:AbortMultipartUpload"}},
	{name: "destination with locks", role: s3kloset.RoleDestination, run: restoreUnderPolicy(site.locked),
		opts: []s3kloset.Option{s3kloset.WithRestoredLock(true)}, bucket: site.locked,
		lenient: []string{"s3:PutObjectTagging"}, unused: []string{"s3:AbortMultipartUpload"}},
	{name: "destination that makes its bucket", role: s3kloset.RoleDestination, run: restoreUnderPolicy(site.plain),
		opts:    []s3kloset.Option{s3kloset.WithCreateBucket(true)},
		bucket:  func(at site, t *testing.T) string { return at.newName(t, "policy") },
		lenient: []string{"s3:PutObjectTagging"}, unused: []string{"s3:AbortMultipartUpload"}},
	{name: "store", role: s3kloset.RoleStore, run: keepUnderPolicy, unused: []string{"s3:AbortMultipartUpload"}},
	{name: "store that encrypts", role: s3kloset.RoleStore, run: keepUnderPolicy, unused: []string{"s3:AbortMultipartUpload"},
		opts: []s3kloset.Option{s3kloset.WithEncryption(s3kloset.Encryption{Mode: "AES256"})}},
	{name: "store with locks", role: s3kloset.RoleStore, run: keepLockedUnderPolicy,
		popts: []s3kloset.PolicyOption{s3kloset.WithDiagnosis()},
		// The second and third are for what maintenance removes, the others for what a diagnosis tells.
		unused: []string{"s3:AbortMultipartUpload", "s3:DeleteObjectVersion", "s3:GetObjectRetention", "s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration"},
		told:   []string{"s3:PutObjectRetention"},
		opts:   []s3kloset.Option{s3kloset.WithObjectLock(s3kloset.Governance, time.Hour)}, bucket: site.locked},
}

// TestPolicy runs each role under exactly its policy, and under its policy
// less one action.
func TestPolicy(t *testing.T) {
	at := newSite(t, server.Shared(t, conformance.MinIO))
	for _, e := range errands {
		t.Run(e.name, func(t *testing.T) { e.test(t, at) })
	}
}

func (e errand) test(t *testing.T, at site) {
	policy := e.policy(t, "any-bucket")
	t.Run("exact", func(t *testing.T) {
		b := e.start(t, at)
		if err := e.run(t.Context(), t, at, b); err != nil {
			t.Error(err)
		}
		for _, f := range e.diagnose(t, b) {
			if f.Verdict == s3kloset.VerdictBroken {
				t.Errorf("%+v", f)
			}
		}
	})
	if len(e.either) > 0 {
		t.Run("without any of "+strings.Join(e.either, " and "), func(t *testing.T) {
			if err := e.run(t.Context(), t, at, e.start(t, at, e.either...)); !errors.Is(err, s3kloset.ErrAccessDenied) {
				t.Errorf("error is %v", err)
			}
		})
	}
	for _, action := range policy.Actions() {
		t.Run("without "+action, func(t *testing.T) {
			b := e.start(t, at, action)
			err := e.run(t.Context(), t, at, b)
			if slices.Contains(e.lenient, action) || slices.Contains(e.either, action) {
				if err != nil {
					t.Errorf("MinIO has learnt to ask for it: %v", err)
				}
				return
			}
			if unused := slices.Contains(e.unused, action); unused == (err != nil) {
				t.Errorf("unused is %v, and the run ends with: %v", unused, err)
			}
			if err != nil && strings.Contains(err.Error(), action) && !slices.Contains(e.told, action) {
				return
			}
			findings := e.diagnose(t, b)
			if !slices.ContainsFunc(findings, func(f s3kloset.Finding) bool {
				return slices.Contains(f.Actions, action) || f.Err != nil && strings.Contains(f.Err.Error(), action)
			}) {
				t.Errorf("it is named by neither the error, %v, nor the diagnosis, %+v", err, findings)
			}
		})
	}
}

// start makes a handle that may do what the policy allows, but for some actions.
func (e errand) start(t *testing.T, at site, without ...string) *s3kloset.Bucket {
	t.Helper()
	bucket := e.bucket
	if bucket == nil {
		bucket = site.plain
	}
	name := bucket(at, t)
	policy := e.policy(t, name)
	for _, action := range without {
		policy = policy.Without(action)
	}
	return at.open(t, name+"/data", append(slices.Clone(e.opts), assume(t, at.server, policy))...)
}

// plain makes a bucket with an object that has tags and a checksum.
func (at site) plain(t *testing.T) string { return at.prepare(t, at.newName(t, "policy")) }

// versioned is plain, and keeps versions.
func (at site) versioned(t *testing.T) string {
	t.Helper()
	bucket := at.newVersionedBucket(t)
	at.show(t, bucket, nil)
	return bucket
}

// locked is plain, and locks objects, the one in it for an hour.
func (at site) locked(t *testing.T) string {
	t.Helper()
	bucket := at.newLockedBucket(t)
	at.show(t, bucket, http.Header{
		modeHeader: {"GOVERNANCE"}, untilHeader: {time.Now().Add(time.Hour).UTC().Format(time.RFC3339)}, holdHeader: {"ON"}})
	return bucket
}

// prepare makes a bucket with an object that has tags and a checksum.
func (at site) prepare(t *testing.T, bucket string) string {
	t.Helper()
	if err := at.client.CreateBucket(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	at.show(t, bucket, nil)
	return bucket
}

// show puts the object of prepare into a bucket.
func (at site) show(t *testing.T, bucket string, more http.Header) {
	t.Helper()
	body := []byte("content")
	sum := sha256.Sum256(body)
	header := http.Header{"X-Amz-Tagging": {"k=v"}, "X-Amz-Checksum-Sha256": {base64.StdEncoding.EncodeToString(sum[:])}}
	maps.Copy(header, more)
	if err := at.client.Put(t.Context(), bucket, "data/tagged", header, body); err != nil {
		t.Fatal(err)
	}
}

func (e errand) policy(t *testing.T, bucket string) s3kloset.Policy {
	t.Helper()
	b, err := s3kloset.New("s3://"+bucket+"/data", append(slices.Clone(e.opts), s3kloset.WithAnonymous(true))...)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	policy, err := b.Policy(e.role, e.popts...)
	if err != nil {
		t.Fatal(err)
	}
	return policy
}

func (e errand) diagnose(t *testing.T, b *s3kloset.Bucket) []s3kloset.Finding {
	t.Helper()
	d, err := b.Diagnose(t.Context(), e.role)
	if err != nil {
		t.Fatal(err)
	}
	return d.Findings
}

// plain is a new repository on a local disk.
func plain(ctx context.Context, t *testing.T) *s3kloset.Repository {
	t.Helper()
	repo, err := s3kloset.CreateRepository(ctx, storeOnDisk(t), s3kloset.WithPlaintext())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { repo.Close() })
	return repo
}

func backUpUnderPolicy(ctx context.Context, t *testing.T, _ site, b *s3kloset.Bucket) error {
	report, err := plain(ctx, t).Backup(ctx, b.Source())
	if err == nil && len(report.Warnings) > 0 {
		return fmt.Errorf("%d kinds of warnings", len(report.Warnings))
	}
	return err
}

// restoreUnderPolicy restores what a bucket has, made by origin.
func restoreUnderPolicy(origin func(site, *testing.T) string) func(context.Context, *testing.T, site, *s3kloset.Bucket) error {
	return func(ctx context.Context, t *testing.T, at site, b *s3kloset.Bucket) error {
		repo := plain(ctx, t)
		report, err := repo.Backup(ctx, at.open(t, origin(at, t)).Source())
		if err != nil {
			t.Fatal(err)
		}
		_, err = repo.Restore(ctx, report.Snapshot.ID, b.Destination())
		return err
	}
}

func keepUnderPolicy(ctx context.Context, t *testing.T, at site, b *s3kloset.Bucket) error {
	return keep(ctx, t, at, b, func(*s3kloset.Repository, string) error { return nil })
}

// keepLockedUnderPolicy extends the locks, too, which are looked at before.
func keepLockedUnderPolicy(ctx context.Context, t *testing.T, at site, b *s3kloset.Bucket) error {
	return keep(ctx, t, at, b, func(repo *s3kloset.Repository, snapshot string) error {
		_, err := repo.ExtendRetention(ctx, snapshot, 2*time.Hour)
		return err
	})
}

func keep(ctx context.Context, t *testing.T, at site, b *s3kloset.Bucket, then func(repo *s3kloset.Repository, snapshot string) error) error {
	store := b.Store()
	repo, err := s3kloset.CreateRepository(ctx, store, s3kloset.WithPlaintext())
	if err != nil {
		return err
	}
	report, err := repo.Backup(ctx, at.open(t, at.prepare(t, at.newName(t, "origin"))).Source())
	if err == nil {
		err = repo.Check(ctx, report.Snapshot.ID)
	}
	if err == nil {
		err = then(repo, report.Snapshot.ID)
	}
	if err == nil {
		_, err = store.CleanUp(ctx, 0)
	}
	return errors.Join(err, repo.Close())
}
