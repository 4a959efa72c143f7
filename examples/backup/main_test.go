package main

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// secret stands for every secret in these tests. No output may show it.
const secret = "hunter2-hunter2"

// invocation is one run of the command.
type invocation struct {
	status         int
	stdout, stderr string
}

func invoke(ctx context.Context, t *testing.T, args ...string) invocation {
	t.Helper()
	var stdout, stderr bytes.Buffer
	getenv := func(name string) string {
		return map[string]string{"S3KLOSET_PASSPHRASE": secret, "OTHER": "another passphrase"}[name]
	}
	status := run(ctx, args, getenv, &stdout, &stderr)
	i := invocation{status, stdout.String(), stderr.String()}
	if strings.Contains(i.stdout+i.stderr, secret) {
		t.Errorf("%q shows a secret:\n%s\n%s", args, i.stdout, i.stderr)
	}
	return i
}

// want runs the command with -json and returns its report.
func want(t *testing.T, status int, args ...string) toolReport {
	t.Helper()
	return wantUnder(t.Context(), t, status, args...)
}

func wantUnder(ctx context.Context, t *testing.T, status int, args ...string) toolReport {
	t.Helper()
	i := invoke(ctx, t, append(args, "-json")...)
	if i.status != status {
		t.Fatalf("%q: status %d, want %d\n%s\n%s", args, i.status, status, i.stdout, i.stderr)
	}
	var r toolReport
	d := json.NewDecoder(strings.NewReader(i.stdout))
	if err := d.Decode(&r); err != nil || d.More() {
		t.Fatalf("%q: %v, want one object in\n%s", args, err, i.stdout)
	}
	if r.OK != (status == exitOK) || r.OK != (r.Error == "") {
		t.Errorf("%q: status %d, ok %v, error %q", args, i.status, r.OK, r.Error)
	}
	return r
}

// service is an S3 with a bucket named source and what flags need to reach it.
func service(t *testing.T, opts ...s3test.Option) (*s3test.Server, []string) {
	server := s3test.Start(t, append(opts, s3test.WithCredentials("AKIDEXAMPLE", secret))...)
	server.CreateBucket("source")
	return server, []string{
		"-option", "endpoint=" + server.URL(), "-option", "access_key=AKIDEXAMPLE", "-option", "secret_access_key=" + secret,
		"-option", "retries=1",
	}
}

func TestDemonstration(t *testing.T) {
	if testing.Short() {
		t.Skip("make test runs the demonstration itself, without the race detector")
	}
	i := invoke(t.Context(), t)
	if i.status != exitOK {
		t.Fatalf("status %d\n%s\n%s", i.status, i.stdout, i.stderr)
	}
	for _, text := range []string{"all identical", "17 stored", "332 unchanged", "What came back is what was there."} {
		if !strings.Contains(i.stdout, text) {
			t.Errorf("the summary does not say %q:\n%s", text, i.stdout)
		}
	}
}
