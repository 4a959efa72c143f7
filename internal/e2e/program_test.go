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
