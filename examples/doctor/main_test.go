package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

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

func TestInterrupted(t *testing.T) {
	server := s3test.Start(t)
	server.CreateBucket("bucket")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if status, stdout, stderr := doctor(ctx, server, "s3://bucket"); status != exitFailed || !strings.Contains(stderr, "canceled") {
		t.Errorf("status %d:\n%s%s", status, stdout, stderr)
	}
}
