package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/e2e/server"
	"github.com/s3kloset/s3kloset/internal/s3test"
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

// run runs the program to its end, which has to be with a status. It may leave no temporary
// files.
func (p program) run(t *testing.T, status int, args ...string) statement {
	t.Helper()
	return p.interrupted(t, nil, status, args...)
}

// interrupted does the same, and presses Ctrl-C when the channel is closed. From then on
// the program has a minute.
func (p program) interrupted(t *testing.T, when <-chan struct{}, status int, args ...string) statement {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), programPatience)
	defer cancel()
	temp := t.TempDir()
	cmd := exec.CommandContext(ctx, p.exe, append([]string{"-json"}, args...)...)
	cmd.Env = append(slices.Clone(p.env), "TMPDIR="+temp)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		select {
		case <-when:
			_ = cmd.Process.Signal(os.Interrupt)
			time.AfterFunc(time.Minute, cancel)
		case <-ctx.Done():
		}
	}()
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) || ctx.Err() != nil {
		t.Fatalf("%q: %v, %v\n%s", args, err, ctx.Err(), &stderr)
	}
	var said statement
	if err := json.Unmarshal(stdout.Bytes(), &said); err != nil {
		t.Fatalf("%q: %v\n%s\n%s", args, err, &stdout, &stderr)
	}
	if got := cmd.ProcessState.ExitCode(); got != status || said.OK != (status == 0) || said.OK != (said.Error == "") {
		t.Errorf("exit status %d, not %d, of %q\n%s\n%s", got, status, args, &stdout, &stderr)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("temporary files are left: %v, %v", left, err)
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

// TestProgramInterrupted presses Ctrl-C in the middle of a backup: while an object is read,
// and while a packfile is uploaded.
func TestProgramInterrupted(t *testing.T) {
	t.Parallel()
	tool := buildProgram(t)
	for name, moment := range map[string]s3test.Fault{
		"reading": {Op: "GetObject", Key: "large"},
		"writing": {Op: "UploadPart", Key: "*/packfiles/*"},
	} {
		t.Run(name, func(t *testing.T) {
			v := embark(t, server.Shared(t, conformance.MinIO))
			with := func(more ...string) []string {
				return slices.Concat(more, v.sea.flags("-option"), []string{"-plaintext", "-source", "s3://" + v.original, "-store", "s3://" + v.repo + "/backups/one"})
			}
			middle := make(chan struct{})
			moment.Times = s3test.Always
			moment.Action = s3test.Chain(s3test.RunFirst(sync.OnceFunc(func() { close(middle) })), s3test.Stall())
			v.proxy.Faults().Add(moment)
			said := tool.interrupted(t, middle, 1, with("-store-option", "create_bucket=true")...)
			v.proxy.Faults().VerifyAll(t)
			v.proxy.Faults().Clear()
			if !said.Created || said.Backup == nil || said.Backup.Snapshot.ID != "" || !strings.Contains(said.Error, context.Canceled.Error()) {
				t.Errorf("the interrupted backup: %+v", said)
			}
			v.shore.wantNoLocks(t, v.repo)
			v.shore.wantUploads(t, v.repo, 0)

			next := tool.run(t, 0, with("-list", "-check")...)
			if next.Created || next.Backup == nil || len(next.Snapshots) != 1 || next.Checked == "" {
				t.Fatalf("the next backup: %+v", next)
			}
			wantFate(t, "the next backup", next.Backup.Outcome, keysOf(cargo), "")
		})
	}
}

// TestProgramMistaken gives the program a wrong secret, for the source and for the store.
func TestProgramMistaken(t *testing.T) {
	t.Parallel()
	tool := buildProgram(t)
	at := newSite(t, server.Shared(t, conformance.MinIO))
	original, repo := at.newName(t, "original"), at.newName(t, "repo")
	at.fill(t, original, []exhibit{show("a"), show("b")})
	with := func(more ...string) []string {
		return slices.Concat(more, at.flags("-option"), []string{"-plaintext", "-source", "s3://" + original, "-store", "s3://" + repo + "/backups/one"})
	}
	tool.run(t, 0, with("-store-option", "create_bucket=true")...)
	before := at.keys(t, repo)
	for _, flag := range []string{"-source-option", "-store-option"} {
		t.Run(flag, func(t *testing.T) {
			said := tool.run(t, 1, with(flag, secretOption+"not-the-secret")...)
			if !strings.Contains(said.Error, s3kloset.ErrCredentials.Error()) || said.Backup != nil && said.Backup.Snapshot.ID != "" {
				t.Errorf("the program says %+v", said)
			}
			if after := at.keys(t, repo); !slices.Equal(after, before) {
				t.Errorf("the store has changed from %q to %q", before, after)
			}
			at.wantUploads(t, repo, 0)
		})
	}
}
