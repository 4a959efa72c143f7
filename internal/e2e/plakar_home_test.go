package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset/internal/e2e/server"
)

// plakarPatience bounds a command of plakar that should end by itself.
const plakarPatience = 3 * time.Minute

// home is the home directory of somebody who has installed plakar and our package, and
// nothing else. The environment has no more than a login gives.
type home struct {
	t   *testing.T
	dir string
	env []string
	exe string

	helper *helper
}

// newHome installs the package the way that the README tells.
func newHome(t *testing.T) *home {
	t.Helper()
	// The name of a socket in it may have about a hundred bytes.
	dir, err := os.MkdirTemp("", "plakar-")
	if err != nil {
		t.Fatal(err)
	}
	h := &home{t: t, dir: dir, exe: built(t, "plakar")}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	// What is killed leaves its temporary files behind.
	temp := filepath.Join(dir, "tmp")
	if err := os.Mkdir(temp, 0o700); err != nil {
		t.Fatal(err)
	}
	h.env = []string{
		"HOME=" + dir,
		"TMPDIR=" + temp,
		"PATH=" + os.Getenv("PATH"),
		// plakar takes the home directory of the password file for this one.
		"PLAKAR_REPOSITORY=" + filepath.Join(dir, ".plakar"),
		"PLAKAR_PASSPHRASE=" + string(passphrase),
		"AWS_EC2_METADATA_DISABLED=true",
	}
	h.must("-disable-security-check")
	h.must("pkg", "add", built(t, "s3_*_"+runtime.GOOS+"_"+runtime.GOARCH+".ptar"))
	h.serveState()
	return h
}

// of is the home as a subtest sees it.
func (h *home) of(t *testing.T) *home {
	mine := *h
	mine.t = t
	return &mine
}

// built finds what make has built.
func built(t *testing.T, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join("..", "..", ".bin", pattern))
	if err == nil && len(found) != 1 {
		err = fmt.Errorf("there are %d of %s in .bin: `make plakar-package` builds one", len(found), pattern)
	}
	if err != nil {
		t.Fatal(err)
	}
	path, err := filepath.Abs(found[0])
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// helper is the process of plakar that keeps the state of repositories.
type helper struct {
	process *os.Process
	ended   chan struct{}
}

// stop ends the helper, if it has not ended yet.
func (p *helper) stop(t *testing.T) {
	t.Helper()
	if err := p.process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Error(err)
	}
	select {
	case <-p.ended:
	case <-time.After(plakarPatience):
		t.Error("the helper of plakar does not end", p.process.Kill())
		<-p.ended
	}
}

// serveState runs the helper. plakar starts it by itself where it is missing, as a daemon
// that nobody could wait for.
func (h *home) serveState() {
	h.t.Helper()
	cmd := h.command("cached", "-foreground", "-teardown", "1h")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	running := &helper{cmd.Process, make(chan struct{})}
	h.helper = running
	go func() {
		defer close(running.ended)
		_ = cmd.Wait() // that it was interrupted
	}()
	h.t.Cleanup(func() { running.stop(h.t) })
	socket := filepath.Join(h.dir, ".cache", "plakar", "cached.sock")
	for {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-running.ended:
			h.t.Fatalf("the helper of plakar ended: %s", out.String())
		case <-h.t.Context().Done():
			h.t.Fatal(err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// forget removes the cache of plakar. Its helper, which would go by itself after seconds,
// must not hold it.
func (h *home) forget() {
	h.t.Helper()
	h.helper.stop(h.t)
	if err := os.RemoveAll(filepath.Join(h.dir, ".cache", "plakar")); err != nil {
		h.t.Fatal(err)
	}
	h.must("-disable-security-check") // which is said there
	h.serveState()
}

// command is plakar as the owner of the home would run it. Like a shell, it gives each
// command a process group of its own.
func (h *home) command(args ...string) *exec.Cmd {
	cmd := exec.Command(h.exe, args...)
	cmd.Env, cmd.Dir = h.env, h.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// outcome is what a command has written, and its exit status.
type outcome struct {
	stdout, stderr string
	status         int
}

func (o outcome) String() string {
	return fmt.Sprintf("exit status %d\n%s%s", o.status, o.stdout, o.stderr)
}

// plakar runs a command to its end.
func (h *home) plakar(args ...string) outcome {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), plakarPatience)
	defer cancel()
	cmd := h.command(args...)
	return h.wait(ctx, cmd)
}

// wait runs cmd until it ends or ctx does, and meanwhile what it is given.
func (h *home) wait(ctx context.Context, cmd *exec.Cmd, meanwhile ...func()) outcome {
	h.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, do := range meanwhile {
		wg.Go(do)
	}
	stop := context.AfterFunc(ctx, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	err := cmd.Wait()
	got := outcome{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
	if !stop() {
		h.t.Fatalf("plakar %s does not end: %v", strings.Join(cmd.Args[1:], " "), got)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		h.t.Fatal(err)
	}
	return got
}

// must runs a command that has to succeed, and returns what it printed.
func (h *home) must(args ...string) string {
	h.t.Helper()
	got := h.plakar(args...)
	if got.status != 0 {
		h.t.Fatalf("plakar %s: %v", strings.Join(args, " "), got)
	}
	return got.stdout
}

// fails runs a command that has to fail and say why, in one of the given texts.
func (h *home) fails(why string, args ...string) {
	h.t.Helper()
	got := h.plakar(args...)
	if got.status == 0 {
		h.t.Errorf("plakar %s did not fail: %v", strings.Join(args, " "), got)
	}
	if !strings.Contains(got.stdout+got.stderr, why) {
		h.t.Errorf("plakar %s does not say %q: %v", strings.Join(args, " "), why, got)
	}
}

// snapshotLine is a line of ls: time, short identifier, size, duration, root.
var snapshotLine = regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\dT\S+\s+([0-9a-f]{8})\s`)

// snapshots lists the identifiers in a repository, the newest first. The prefix of the
// command, such as at @store, says which.
func (h *home) snapshots(at ...string) []string {
	h.t.Helper()
	var ids []string
	for _, match := range snapshotLine.FindAllStringSubmatch(h.must(append(at, "ls")...), -1) {
		ids = append(ids, match[1])
	}
	return ids
}

// newest is the identifier of the newest snapshot.
func (h *home) newest(at ...string) string {
	h.t.Helper()
	ids := h.snapshots(at...)
	if len(ids) == 0 {
		h.t.Fatal("there is no snapshot")
	}
	return ids[0]
}

// access is how a config says who we are, and that a server has no TLS.
func access(s *server.Server) []string {
	keys := []string{"access_key=" + s.AccessKey, "secret_access_key=" + s.SecretKey}
	if s.CAFile == "" {
		keys = append(keys, "use_tls=false")
	}
	return keys
}

// address is the host and port of a server.
func address(s *server.Server) string {
	_, address, _ := strings.Cut(s.Endpoint, "://")
	return address
}

// bucketFirst is a location s3://BUCKET/PREFIX, and the endpoint beside it.
func bucketFirst(s *server.Server, path string) []string {
	return append([]string{"s3://" + path, "endpoint=" + address(s)}, access(s)...)
}

// hostFirst is a location s3://HOST:PORT/BUCKET/PREFIX.
func hostFirst(s *server.Server, path string) []string {
	return append([]string{"s3://" + address(s) + "/" + path}, access(s)...)
}

// add keeps a source, a destination or a store under a name.
func (h *home) add(kind, name string, config ...[]string) {
	h.t.Helper()
	args := []string{kind, "add", name}
	for _, more := range config {
		args = append(args, more...)
	}
	h.must(args...)
}
