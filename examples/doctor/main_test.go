package main

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/s3test"
)

// doctor runs the command on a bucket of a server.
func doctor(ctx context.Context, server *s3test.Server, args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	all := append([]string{
		"-option", "endpoint=" + server.URL(),
		"-option", "access_key=" + server.AccessKey(),
		"-option", "secret_access_key=" + server.SecretKey(),
	}, args...)
	status = run(ctx, all, &out, &errs)
	return status, out.String(), errs.String()
}

func TestExitStatus(t *testing.T) {
	for _, c := range []struct {
		name   string
		server []s3test.Option
		args   []string
		status int
		says   string
	}{
		{"healthy", nil, []string{"-role", "store", "s3://bucket/repository"}, exitOK, "OK: 1"},
		{"degraded", []s3test.Option{s3test.WithoutFeature(s3test.ConditionalWrites)},
			[]string{"-role", "store", "s3://bucket"}, exitDegraded, "→ a repository is looked for before one is made"},
		{"broken", nil, []string{"-role", "destination", "s3://no-bucket"}, exitBroken, "→ correct its name"},
		{"no location", nil, nil, exitFailed, ""},
		{"two locations", nil, []string{"s3://a", "s3://b"}, exitFailed, ""},
		{"wrong role", nil, []string{"-role", "sink", "s3://bucket"}, exitFailed, ""},
		{"wrong option", nil, []string{"-option", "nonsense", "s3://bucket"}, exitFailed, ""},
		{"unknown option", nil, []string{"-option", "no=sense", "s3://bucket"}, exitFailed, ""},
		{"wrong location", nil, []string{"http://bucket"}, exitFailed, ""},
		{"policy and JSON", nil, []string{"-policy", "-json", "s3://bucket"}, exitFailed, ""},
		{"with no policy", nil, []string{"-with", "locks", "s3://bucket"}, exitFailed, ""},
		{"policy with nonsense", nil, []string{"-policy", "-with", "nonsense", "s3://bucket"}, exitFailed, ""},
		{"policy of nowhere", nil, []string{"-policy", "http://bucket"}, exitFailed, ""},
		{"help", nil, []string{"-help"}, exitOK, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := s3test.Start(t, c.server...)
			server.CreateBucket("bucket")
			status, stdout, stderr := doctor(t.Context(), server, c.args...)
			if status != c.status || !strings.Contains(stdout, c.says) {
				t.Errorf("status %d, want %d and %q:\n%s%s", status, c.status, c.says, stdout, stderr)
			}
			if status == exitFailed && stderr == "" {
				t.Error("it does not say why")
			}
			if strings.Contains(stdout+stderr, server.SecretKey()) {
				t.Error("it shows the secret")
			}
		})
	}
}

func TestJSON(t *testing.T) {
	server := s3test.Start(t)
	server.CreateBucket("bucket")
	_, stdout, stderr := doctor(t.Context(), server, "-json", "s3://bucket")
	var d struct {
		Role     string
		Findings []struct{ Check, Verdict, Detail string }
	}
	if err := json.Unmarshal([]byte(stdout), &d); err != nil {
		t.Fatalf("%v: %s%s", err, stdout, stderr)
	}
	if d.Role != "source" || len(d.Findings) < 10 || d.Findings[0].Check != "reach" {
		t.Errorf("diagnosis is %+v", d)
	}
}

// TestPolicy prints what the options need, and asks nobody.
func TestPolicy(t *testing.T) {
	server := s3test.Start(t)
	server.CreateBucket("bucket")
	for _, c := range []struct {
		args       []string
		has, hasNo []string
	}{
		{[]string{"s3://bucket/data"}, []string{"s3:GetObject", "s3:GetObjectTagging", "arn:aws:s3:::bucket/data/*"},
			[]string{"s3:GetObjectVersion", "s3:PutObject", "kms:Decrypt", "s3:GetBucketVersioning", "arn:aws:s3:::bucket/*"}},
		{[]string{"-option", "tags=never", "s3://bucket"}, []string{"s3:GetObject"}, []string{"s3:GetObjectTagging"}},
		{[]string{"-with", "versions", "-with", "diagnosis", "-with", "arn:aws:kms:x:1:key/id", "s3://bucket"},
			[]string{"s3:GetObjectVersion", "s3:GetBucketVersioning", "kms:Decrypt", "arn:aws:kms:x:1:key/id"}, []string{"s3:GetObjectRetention"}},
		{[]string{"-with", "locks", "s3://bucket"}, []string{"s3:GetObjectRetention"}, nil},
		{[]string{"-role", "store", "-option", "object_lock=COMPLIANCE:720h", "s3://bucket"}, []string{"s3:PutObjectRetention", "s3:PutObject"}, nil},
	} {
		status, stdout, stderr := doctor(t.Context(), server, append([]string{"-policy"}, c.args...)...)
		var policy s3kloset.Policy
		if err := json.Unmarshal([]byte(stdout), &policy); err != nil || status != exitOK || policy.Version == "" {
			t.Fatalf("%q: status %d, %v: %s%s", c.args, status, err, stdout, stderr)
		}
		said := policy.Actions()
		for _, s := range policy.Statement {
			said = append(said, s.Resource...)
		}
		for _, want := range c.has {
			if !slices.Contains(said, want) {
				t.Errorf("%q: no %s in %q", c.args, want, said)
			}
		}
		for _, more := range c.hasNo {
			if slices.Contains(said, more) {
				t.Errorf("%q: %s in %q", c.args, more, said)
			}
		}
	}
	if n := server.Count(""); n > 0 {
		t.Errorf("%d requests were made", n)
	}
}

func TestInterrupted(t *testing.T) {
	server := s3test.Start(t)
	server.CreateBucket("bucket")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if status, stdout, stderr := doctor(ctx, server, "s3://bucket"); status != exitFailed || !strings.Contains(stderr, "canceled") {
		t.Errorf("status %d:\n%s%s", status, stdout, stderr)
	}
}
