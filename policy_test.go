package s3kloset_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/PlakarKorp/kloset/connectors"
	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/klosettest"
	"github.com/s3kloset/s3kloset/internal/s3test"
)

// authority holds requests to a policy, as AWS would. What each request needs
// is taken from the reference of the S3 API, and not from the code under test.
type authority struct {
	policy s3kloset.Policy
	bucket *s3test.Bucket
}

// enforce refuses from now on what the policy does not allow.
func enforce(p *patient, policy s3kloset.Policy) {
	a := authority{policy, p.bucket}
	p.server.Faults().Add(s3test.Fault{
		Bucket: "patient", Times: s3test.Always, Match: a.refuses, Action: s3test.Status(403, "AccessDenied")})
}

// onBucket are the actions of operations on the bucket, onObject those of
// operations on an object, without and with a version.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
var (
	onBucket = map[string]string{
		"HeadBucket": "s3:ListBucket", "ListObjectsV2": "s3:ListBucket", "CreateBucket": "s3:CreateBucket",
		"GetBucketVersioning": "s3:GetBucketVersioning", "GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration",
		"ListMultipartUploads": "s3:ListBucketMultipartUploads", "ListObjectVersions": "s3:ListBucketVersions",
	}
	onObject = map[string][2]string{
		"GetObject":               {"s3:GetObject", "s3:GetObjectVersion"},
		"HeadObject":              {"s3:GetObject", "s3:GetObjectVersion"},
		"GetObjectTagging":        {"s3:GetObjectTagging", "s3:GetObjectVersionTagging"},
		"GetObjectRetention":      {"s3:GetObjectRetention", "s3:GetObjectRetention"},
		"GetObjectLegalHold":      {"s3:GetObjectLegalHold", "s3:GetObjectLegalHold"},
		"PutObject":               {"s3:PutObject", "s3:PutObject"},
		"PutObjectTagging":        {"s3:PutObjectTagging", "s3:PutObjectVersionTagging"},
		"PutObjectRetention":      {"s3:PutObjectRetention", "s3:PutObjectRetention"},
		"DeleteObject":            {"s3:DeleteObject", "s3:DeleteObjectVersion"},
		"RestoreObject":           {"s3:RestoreObject", "s3:RestoreObject"},
		"CreateMultipartUpload":   {"s3:PutObject", "s3:PutObject"},
		"UploadPart":              {"s3:PutObject", "s3:PutObject"},
		"CompleteMultipartUpload": {"s3:PutObject", "s3:PutObject"},
		"AbortMultipartUpload":    {"s3:AbortMultipartUpload", "s3:AbortMultipartUpload"},
	}
	onHeader = map[string]string{
		"X-Amz-Acl": "s3:PutObjectAcl", "X-Amz-Tagging": "s3:PutObjectTagging", "X-Amz-Object-Lock-Mode": "s3:PutObjectRetention",
		"X-Amz-Object-Lock-Legal-Hold": "s3:PutObjectLegalHold",
	}
)

func (a authority) refuses(r s3test.Request) bool {
	if action, ok := onBucket[r.Op]; ok {
		return !a.allows(action, "arn:aws:s3:::patient")
	}
	actions := onObject[r.Op]
	needed := []string{actions[0]}
	if r.Query.Has("versionId") {
		needed[0] = actions[1]
	}
	for header, action := range onHeader {
		if r.Header.Get(header) != "" {
			needed = append(needed, action)
		}
	}
	resource := "arn:aws:s3:::patient/" + r.Key
	if slices.ContainsFunc(needed, func(action string) bool { return !a.allows(action, resource) }) {
		return true
	}
	// What is missing is told only to those who may list.
	reads := r.Op == "GetObject" || r.Op == "HeadObject"
	return reads && !slices.Contains(a.bucket.Keys(), r.Key) && !a.allows("s3:ListBucket", "arn:aws:s3:::patient")
}

func (a authority) allows(action, resource string) bool {
	return slices.ContainsFunc(a.policy.Statement, func(s s3kloset.Statement) bool {
		return s.Effect == "Allow" && slices.Contains(s.Action, action) && slices.ContainsFunc(s.Resource, func(pattern string) bool {
			begin, all := strings.CutSuffix(pattern, "*")
			return pattern == resource || all && strings.HasPrefix(resource, begin)
		})
	})
}

// move hands the objects of one bucket to another one, without an engine
// between them.
func move(ctx context.Context, from *s3kloset.Bucket, to *s3kloset.Bucket) error {
	source, destination := from.Source(), to.Destination()
	records := make(chan *connectors.Record)
	written, acknowledged := make(chan *connectors.Result), make(chan *connectors.Result)
	imported, ended := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(ended)
		imported <- source.Import(ctx, records, acknowledged)
	}()
	go func() {
		defer close(acknowledged)
		for result := range written {
			select {
			case acknowledged <- result:
			case <-ended: // it failed, and reads no more
			}
		}
	}()
	exported := destination.Export(ctx, records, written)
	err := errors.Join(<-imported, exported, source.Outcome().Err())
	for kind := range source.Outcome().Warnings {
		err = errors.Join(err, fmt.Errorf("warning %s", kind))
	}
	return err
}

// other is a handle on a bucket that the policy has no say in.
func (p *patient) other(name string, opts ...s3kloset.Option) *s3kloset.Bucket {
	p.t.Helper()
	p.server.CreateBucket(name)
	opts = append([]s3kloset.Option{s3kloset.WithEndpoint(p.server.URL()), s3kloset.WithCredentials(p.server.AccessKey(), p.server.SecretKey(), "")}, opts...)
	b, err := s3kloset.New("s3://"+name, opts...)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { b.Close() })
	return b
}

// mission is a use of a role that takes all that its policy allows.
type mission struct {
	name    string
	role    s3kloset.Role
	opts    []s3kloset.Option
	popts   []s3kloset.PolicyOption
	prepare func(*patient)
	// run does the work. It says what went wrong.
	run func(*testing.T, *patient, *s3kloset.Bucket) error
	// unused are actions that a run without misfortune does not need.
	unused []string
}

func readFrom(t *testing.T, p *patient, b *s3kloset.Bucket) error {
	return move(t.Context(), b, p.other("elsewhere"))
}

// writeTo writes objects with tags, and with locks if it is asked to.
func writeTo(t *testing.T, p *patient, b *s3kloset.Bucket) error {
	from := p.other("origin")
	origin := p.server.Bucket("origin")
	origin.EnableObjectLock()
	origin.Put("tagged", []byte("with tags"), s3test.Properties{Tags: map[string]string{"k": "v"}})
	origin.Put("locked", []byte("with a lock"), s3test.Properties{LockMode: "GOVERNANCE", LockUntil: time.Now().Add(time.Hour)})
	origin.Put("held", []byte("with a hold"), s3test.Properties{LegalHold: true})
	return move(t.Context(), from, b)
}

// keepIn creates a repository, stores a snapshot, and reads it again.
func keepIn(t *testing.T, _ *patient, b *s3kloset.Bucket) error {
	ctx := t.Context()
	store := b.Store()
	repo, err := s3kloset.CreateRepository(ctx, store, s3kloset.WithPlaintext(), s3kloset.WithEngineConcurrency(2))
	if err != nil {
		return err
	}
	report, err := repo.Backup(ctx, klosettest.NewMemImporter([]klosettest.Entry{klosettest.File("/file", []byte("content"))}))
	if err == nil {
		err = repo.Check(ctx, report.Snapshot.ID)
	}
	if err == nil {
		_, err = store.CleanUp(ctx, 0)
	}
	return errors.Join(err, repo.Close())
}

var missions = []mission{
	{name: "source", role: s3kloset.RoleSource, run: readFrom, prepare: func(p *patient) {
		p.bucket.Put("data/tagged", []byte("x"), s3test.Properties{Tags: map[string]string{"k": "v"}})
	}},
	{name: "source without tags", role: s3kloset.RoleSource, run: readFrom,
		opts: []s3kloset.Option{s3kloset.WithTagPolicy(s3kloset.TagsNever)}},
	{name: "source with versions", role: s3kloset.RoleSource, run: readFrom,
		popts: []s3kloset.PolicyOption{s3kloset.WithVersionedBucket()},
		prepare: func(p *patient) {
			p.bucket.SetVersioning(true)
			p.bucket.Put("data/tagged", []byte("x"), s3test.Properties{Tags: map[string]string{"k": "v"}}, s3test.WithChecksum("CRC32"))
		},
		// Tags are asked for by version, unless a snapshot knows none.
		unused: []string{"s3:GetObjectTagging"}},
	{name: "destination", role: s3kloset.RoleDestination, run: writeTo, unused: []string{"s3:AbortMultipartUpload"}},
	{name: "destination that compares", role: s3kloset.RoleDestination, run: writeTo, unused: []string{"s3:AbortMultipartUpload"},
		opts: []s3kloset.Option{s3kloset.WithOverwrite(s3kloset.OverwriteIfDifferent)}},
	{name: "destination with locks", role: s3kloset.RoleDestination, run: writeTo, unused: []string{"s3:AbortMultipartUpload"},
		opts:    []s3kloset.Option{s3kloset.WithRestoredLock(true)},
		prepare: func(p *patient) { p.bucket.EnableObjectLock() }},
	{name: "store", role: s3kloset.RoleStore, run: keepIn, unused: []string{"s3:AbortMultipartUpload"}},
}

func (m mission) start(t *testing.T) *patient {
	p := newPatient(t)
	p.fill()
	if m.prepare != nil {
		m.prepare(p)
	}
	return p
}

func (m mission) policy(t *testing.T) s3kloset.Policy {
	t.Helper()
	b, err := s3kloset.New("s3://patient/data", m.opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	policy, err := b.Policy(m.role, m.popts...)
	if err != nil {
		t.Fatal(err)
	}
	return policy
}

func TestPolicyIsEnough(t *testing.T) {
	for _, m := range missions {
		t.Run(m.name, func(t *testing.T) {
			p := m.start(t)
			enforce(p, m.policy(t))
			if err := m.run(t, p, p.handle(m.opts...)); err != nil {
				t.Errorf("under its policy: %v", err)
			}
			if d := p.diagnose(m.role, m.opts...); d.Verdict() == s3kloset.VerdictBroken {
				t.Errorf("under its policy:%s", table(d))
			}
		})
	}
}

// Every action that a policy allows is needed, and its absence is called by
// its name: by the error of the run, or by a diagnosis.
func TestPolicyIsNoMoreThanEnough(t *testing.T) {
	for _, m := range missions {
		policy := m.policy(t)
		for _, action := range policy.Actions() {
			t.Run(m.name+"/"+action, func(t *testing.T) {
				p := m.start(t)
				enforce(p, policy.Without(action))
				err := m.run(t, p, p.handle(m.opts...))
				if needed := !slices.Contains(m.unused, action); needed != (err != nil) {
					t.Errorf("needed is %v, and the run ends with: %v", needed, err)
				}
				if err != nil && strings.Contains(err.Error(), action) {
					return
				}
				d := p.diagnose(m.role, m.opts...)
				for _, f := range d.Findings {
					if slices.Contains(f.Actions, action) && f.Verdict >= s3kloset.VerdictDegraded {
						return
					}
				}
				t.Errorf("%s is named by neither the error, %v, nor the diagnosis:%s", action, err, table(d))
			})
		}
	}
}

func TestPolicyByOptions(t *testing.T) {
	lock := s3kloset.WithObjectLock(s3kloset.Governance, time.Hour)
	kms := s3kloset.WithEncryption(s3kloset.Encryption{Mode: "aws:kms", KMSKeyID: "arn:aws:kms:eu-west-3:1:key/k"})
	thaw := s3kloset.WithArchive(s3kloset.ArchiveRestore(s3kloset.TierBulk, 1))
	for _, c := range []struct {
		name  string
		role  s3kloset.Role
		opts  []s3kloset.Option
		popts []s3kloset.PolicyOption
		want  string
	}{
		{"source", s3kloset.RoleSource, nil, nil, "s3:GetObject s3:GetObjectTagging s3:ListBucket"},
		{"without tags", s3kloset.RoleSource, []s3kloset.Option{s3kloset.WithTagPolicy(s3kloset.TagsNever)}, nil, "s3:GetObject s3:ListBucket"},
		{"archive", s3kloset.RoleSource, []s3kloset.Option{thaw}, nil, "s3:GetObject s3:GetObjectTagging s3:ListBucket s3:RestoreObject"},
		{"locks", s3kloset.RoleSource, nil, []s3kloset.PolicyOption{s3kloset.WithLockedBucket(), nil},
			"s3:GetObject s3:GetObjectLegalHold s3:GetObjectRetention s3:GetObjectTagging s3:GetObjectVersion s3:GetObjectVersionTagging s3:ListBucket"},
		{"key", s3kloset.RoleSource, nil, []s3kloset.PolicyOption{s3kloset.WithKMSKey("arn:aws:kms:eu-west-3:1:key/k")},
			"kms:Decrypt s3:GetObject s3:GetObjectTagging s3:ListBucket"},
		{"diagnosis", s3kloset.RoleSource, nil, []s3kloset.PolicyOption{s3kloset.WithDiagnosis()},
			"s3:GetBucketObjectLockConfiguration s3:GetBucketVersioning s3:GetObject s3:GetObjectTagging s3:ListBucket"},
		{"destination", s3kloset.RoleDestination, nil, nil, "s3:AbortMultipartUpload s3:PutObject s3:PutObjectTagging"},
		{"create bucket", s3kloset.RoleDestination, []s3kloset.Option{s3kloset.WithCreateBucket(true)}, nil,
			"s3:AbortMultipartUpload s3:CreateBucket s3:ListBucket s3:PutObject s3:PutObjectTagging"},
		{"store", s3kloset.RoleStore, nil, nil,
			"s3:AbortMultipartUpload s3:DeleteObject s3:GetObject s3:ListBucket s3:ListBucketMultipartUploads s3:PutObject"},
		{"owner control", s3kloset.RoleStore, []s3kloset.Option{s3kloset.WithBucketOwnerControl(true)}, nil,
			"s3:AbortMultipartUpload s3:DeleteObject s3:GetObject s3:ListBucket s3:ListBucketMultipartUploads s3:PutObject s3:PutObjectAcl"},
		{"cold store", s3kloset.RoleStore, []s3kloset.Option{s3kloset.WithStorageClass("DEEP_ARCHIVE")}, nil,
			"s3:AbortMultipartUpload s3:DeleteObject s3:GetObject s3:ListBucket s3:ListBucketMultipartUploads s3:PutObject s3:RestoreObject"},
		{"object lock", s3kloset.RoleStore, []s3kloset.Option{lock}, nil,
			"s3:AbortMultipartUpload s3:DeleteObject s3:DeleteObjectVersion s3:GetObject s3:GetObjectRetention s3:ListBucket s3:ListBucketMultipartUploads s3:PutObject s3:PutObjectRetention"},
		{"store key", s3kloset.RoleStore, nil, []s3kloset.PolicyOption{s3kloset.WithKMSKey("arn:aws:kms:eu-west-3:1:key/k")},
			"kms:Decrypt kms:GenerateDataKey s3:AbortMultipartUpload s3:DeleteObject s3:GetObject s3:ListBucket s3:ListBucketMultipartUploads s3:PutObject"},
		{"key that is written with", s3kloset.RoleDestination, []s3kloset.Option{kms}, nil,
			"kms:Decrypt kms:GenerateDataKey s3:AbortMultipartUpload s3:PutObject s3:PutObjectTagging"},
		{"key that nothing is written with", s3kloset.RoleSource, []s3kloset.Option{kms}, nil,
			"s3:GetObject s3:GetObjectTagging s3:ListBucket"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := strings.Join(mission{role: c.role, opts: c.opts, popts: c.popts}.policy(t).Actions(), " ")
			if got != c.want {
				t.Errorf("actions are\n%s, want\n%s", got, c.want)
			}
		})
	}
}

func TestPolicyResources(t *testing.T) {
	for _, c := range []struct {
		location string
		role     s3kloset.Role
		bucket   string
		objects  []string
	}{
		{"s3://bkt", s3kloset.RoleSource, "arn:aws:s3:::bkt", []string{"arn:aws:s3:::bkt/*"}},
		{"s3://bkt/a/b", s3kloset.RoleSource, "arn:aws:s3:::bkt", []string{"arn:aws:s3:::bkt/a/b", "arn:aws:s3:::bkt/a/b/*"}},
		{"s3://bkt/a/b", s3kloset.RoleStore, "arn:aws:s3:::bkt", []string{"arn:aws:s3:::bkt/a/b/*"}},
		{"s3://bkt/a*b", s3kloset.RoleStore, "arn:aws:s3:::bkt", []string{"arn:aws:s3:::bkt/a${*}b/*"}},
		{"s3://s3.cn-north-1.amazonaws.com.cn/bkt/p", s3kloset.RoleStore, "arn:aws-cn:s3:::bkt", []string{"arn:aws-cn:s3:::bkt/p/*"}},
		{"s3://s3.us-gov-west-1.amazonaws.com/bkt/p", s3kloset.RoleStore, "arn:aws-us-gov:s3:::bkt", []string{"arn:aws-us-gov:s3:::bkt/p/*"}},
		{"s3://arn:aws:s3:eu-west-3:123456789012:accesspoint/pnt/p", s3kloset.RoleSource, "arn:aws:s3:eu-west-3:123456789012:accesspoint/pnt",
			[]string{"arn:aws:s3:eu-west-3:123456789012:accesspoint/pnt/object/p", "arn:aws:s3:eu-west-3:123456789012:accesspoint/pnt/object/p/*"}},
		{"s3://minio.example:9000/bkt/p", s3kloset.RoleStore, "arn:aws:s3:::bkt", []string{"arn:aws:s3:::bkt/p/*"}},
	} {
		b, err := s3kloset.New(c.location, s3kloset.WithAnonymous(true))
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		policy, err := b.Policy(c.role)
		if err != nil {
			t.Fatal(err)
		}
		if got := policy.Statement[0].Resource; !slices.Equal(got, []string{c.bucket}) {
			t.Errorf("%s: bucket is %q", c.location, got)
		}
		if got := policy.Statement[1].Resource; !slices.Equal(got, c.objects) {
			t.Errorf("%s: objects are %q, want %q", c.location, got, c.objects)
		}
	}
}

func TestPolicyAsJSON(t *testing.T) {
	policy := missions[0].policy(t)
	const want = `{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "Bucket",
      "Effect": "Allow",
      "Action": [
        "s3:ListBucket"
      ],
      "Resource": [
        "arn:aws:s3:::patient"
      ]
    },
    {
      "Sid": "Objects",
      "Effect": "Allow",
      "Action": [
        "s3:GetObject",
        "s3:GetObjectTagging"
      ],
      "Resource": [
        "arn:aws:s3:::patient/data",
        "arn:aws:s3:::patient/data/*"
      ]
    }
  ]
}`
	if got := policy.String(); got != want {
		t.Errorf("got\n%s", got)
	}
	var back s3kloset.Policy
	if err := json.Unmarshal([]byte(want), &back); err != nil || back.String() != want {
		t.Errorf("%v, %s", err, back)
	}
}

func TestPolicyOfNoRole(t *testing.T) {
	b, err := s3kloset.New("s3://bucket", s3kloset.WithAnonymous(true))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if _, err := b.Policy(0); !errors.Is(err, s3kloset.ErrInvalidOption) {
		t.Errorf("error is %v", err)
	}
}
