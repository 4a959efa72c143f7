package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/e2e/server"
	"github.com/s3kloset/s3kloset/internal/s3test/conformance"
)

// programPatience bounds a run of the program.
const programPatience = 3 * time.Minute

// program is examples/backup, built as its users build it.
type program struct {
	exe string
	env []string
}

func buildProgram(t *testing.T) program {
	t.Helper()
	dir := t.TempDir()
	exe := filepath.Join(dir, "backup")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", exe, "./examples/backup")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build examples/backup: %v\n%s", err, out)
	}
	// Nothing of the user's own configuration may count.
	return program{exe, []string{
		"HOME=" + dir, "PATH=" + os.Getenv("PATH"), "S3KLOSET_PASSPHRASE=" + string(passphrase), "AWS_EC2_METADATA_DISABLED=true",
	}}
}

// statement is what the program reports of a run.
type statement struct {
	OK        bool
	Error     string
	Created   bool
	Backup    *s3kloset.BackupReport
	Snapshots []s3kloset.Snapshot
	Checked   string
	Restore   *s3kloset.RestoreReport
	Verified  *struct {
		Snapshot, Bucket, Depth string
		Differences             []s3kloset.Difference
		Failed                  int64
	}
}

// run runs the program to its end, which has to be with a status.
func (p program) run(t *testing.T, status int, args ...string) statement {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), programPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.exe, append([]string{"-json"}, args...)...)
	cmd.Env = p.env
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("%q: %v, %v", args, err, ctx.Err())
	}
	var said statement
	if err := json.Unmarshal(stdout.Bytes(), &said); err != nil {
		t.Fatalf("%q: %v\n%s\n%s", args, err, &stdout, &stderr)
	}
	if got := cmd.ProcessState.ExitCode(); got != status || said.OK != (status == 0) || said.OK != (said.Error == "") {
		t.Errorf("exit status %d, not %d, of %q\n%s\n%s", got, status, args, &stdout, &stderr)
	}
	for _, secret := range secretsIn(args) {
		if strings.Contains(stdout.String()+stderr.String(), secret) {
			t.Error("the program shows a secret key")
		}
	}
	return said
}

const secretOption = "secret_access_key="

func secretsIn(args []string) []string {
	var secrets []string
	for _, arg := range args {
		if secret, found := strings.CutPrefix(arg, secretOption); found {
			secrets = append(secrets, secret)
		}
	}
	return secrets
}

// flags tell the program how to reach the server: for all locations with the flag -option,
// or for one of them with a flag of its own.
func (at site) flags(flag string) []string {
	return []string{
		flag, "endpoint=" + at.server.Endpoint, flag, "region=" + at.server.Region,
		flag, "access_key=" + at.server.AccessKey, flag, secretOption + at.server.SecretKey,
	}
}

// TestProgramOnMinIO is the day of somebody who has nothing but the program: two backups, a
// look at the repository, a restore, and comparisons with both buckets. It encrypts, which
// takes each run some seconds by design.
func TestProgramOnMinIO(t *testing.T) {
	t.Parallel()
	tool := buildProgram(t)
	at := newSite(t, server.Shared(t, conformance.MinIO))
	original, restored := at.newName(t, "original"), at.newName(t, "restored")
	keys := at.fill(t, original, collection(conformance.MinIO))
	repository := append(at.flags("-option"), "-store", "s3://"+at.newName(t, "repo")+"/backups/one")
	with := func(more ...string) []string { return append(more, repository...) }

	first := tool.run(t, 0, with("-source", "s3://"+original, "-store-option", "create_bucket=true")...)
	if !first.Created || first.Backup == nil || first.Backup.Parent != "" {
		t.Fatalf("first backup: %+v", first)
	}
	wantFate(t, "first backup", first.Backup.Outcome, keys, "")
	wantUnchanged(t, tool.run(t, 0, with("-source", "s3://"+original)...), first.Backup.Snapshot.ID, int64(len(keys)))

	back := tool.run(t, 0, with("-list", "-check", "-restore", "s3://"+restored, "-restore-option", "create_bucket=true", "-verify=content")...)
	if back.Backup != nil || back.Created || len(back.Snapshots) != 2 || back.Checked != "latest" || back.Restore == nil {
		t.Fatalf("a look at the repository, and a restore: %+v", back)
	}
	wantFate(t, "restore", back.Restore.Outcome, keys, "")
	if len(back.Restore.Warnings) > 0 {
		t.Errorf("the restore warns: %+v", back.Restore.Warnings)
	}
	at.compare(t, restored, original, keys)
	at.wantUploads(t, restored, 0)
	same := tool.run(t, 0, with("-source", "s3://"+original, "-verify=content")...)
	for bucket, said := range map[string]statement{restored: back, original: same} {
		if v := said.Verified; v == nil || !strings.Contains(v.Bucket, bucket) || len(v.Differences) > 0 || v.Failed > 0 {
			t.Errorf("comparison with %s: %+v", bucket, v)
		}
	}
}

// wantUnchanged demands a backup that has asked for no object.
func wantUnchanged(t *testing.T, said statement, parent string, objects int64) {
	t.Helper()
	b := said.Backup
	if b == nil || said.Created || b.Parent != parent || b.Unchanged != objects || b.Listed != objects {
		t.Fatalf("second backup: %+v", said)
	}
	for _, operation := range []string{"GetObject", "HeadObject"} {
		if b.Requests["ListObjectsV2"] == 0 || b.Requests[operation] > 0 {
			t.Errorf("the second backup made requests %v", b.Requests)
		}
	}
}
