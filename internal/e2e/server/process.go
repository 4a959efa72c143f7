package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
)

const (
	startAttempts = 3
	readyInterval = 20 * time.Millisecond
	stopTimeout   = 10 * time.Second
	logTailBytes  = 16 << 10
)

// errExited marks a server that ended before it was ready: the one failure that
// another port may cure.
var errExited = errors.New("process ended before it was ready")

// recipe says how to run one server. The functions are called once per attempt.
type recipe struct {
	binary string // name under .bin
	ready  string // path that answers 200 when the server is ready
	env    []string
	args   func(address string) []string
}

// run starts the recipe's process on a free port and returns when it is ready.
func (r recipe) run(ctx context.Context, c config) (*Server, error) {
	path, err := binary(r.binary)
	if err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		s, err := r.attempt(ctx, c, path)
		if err == nil || !errors.Is(err, errExited) || attempt == startAttempts {
			return s, err
		}
	}
}

func (r recipe) attempt(ctx context.Context, c config, path string) (*Server, error) {
	address, err := freeAddress(c.host)
	if err != nil {
		return nil, err
	}
	scheme := "http"
	if c.tls {
		scheme = "https"
	}
	s := &Server{
		Endpoint:  scheme + "://" + address,
		AccessKey: c.access,
		SecretKey: c.secret,
		Domain:    domain,
		CAFile:    c.cert.caFile,
		log:       filepath.Join(c.dir, "log"),
	}
	cmd := exec.Command(path, r.args(address)...)
	// Nothing of the user's own configuration may reach the server.
	cmd.Env = append([]string{"HOME=" + c.dir, "PATH=" + os.Getenv("PATH")}, r.env...)
	cmd.Dir = c.dir

	p, err := launch(cmd, s.log)
	if err != nil {
		return nil, err
	}
	s.stop = p.stop
	if err := p.await(ctx, s, r.ready); err != nil {
		return nil, errors.Join(fmt.Errorf("%w; its log:\n%s", err, s.logTail()), p.stop())
	}
	return s, nil
}

// binary finds a server's program in .bin of the repository.
func binary(name string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "internal", "e2e", "go.mod")); err == nil {
			break
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("not inside the repository")
		}
		dir = parent
	}
	path := filepath.Join(dir, ".bin", name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%w: `make servers` builds it", err)
	}
	return path, nil
}

// freeAddress returns an address of a host that nobody listens on.
// Another process may take it before the server does, hence the attempts in run.
func freeAddress(host string) (string, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// process is a child that is waited for from the moment it runs.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when the process has ended
	once sync.Once
	err  error
}

func launch(cmd *exec.Cmd, log string) (*process, error) {
	out, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = dieWithParent()

	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		defer close(p.done)
		defer out.Close()
		// On Linux the child dies with the thread that started it, not with the
		// process: this thread must therefore last as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is told by its log
		}
	}()
	if err := <-started; err != nil {
		<-p.done
		return nil, err
	}
	return p, nil
}

// await returns when the server answers 200 at path.
func (p *process) await(ctx context.Context, s *Server, path string) error {
	client, err := s.Client()
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	tick := time.NewTicker(readyInterval)
	defer tick.Stop()
	for {
		select {
		case <-p.done:
			return fmt.Errorf("%w: %s", errExited, p.cmd.ProcessState)
		case <-ctx.Done():
			return fmt.Errorf("not ready: %w", context.Cause(ctx))
		case <-tick.C:
		}
		if answers(ctx, client, s.Endpoint+path) {
			return nil
		}
	}
}

func answers(ctx context.Context, client *http.Client, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := client.Do(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// stop asks the process to end, kills it when it does not, and waits for it.
func (p *process) stop() error {
	p.once.Do(func() {
		select {
		case <-p.done:
			return
		default:
		}
		p.err = p.cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-p.done:
		case <-time.After(stopTimeout):
			p.err = errors.Join(p.err, errors.New("did not end when asked"), p.cmd.Process.Kill())
			<-p.done
		}
		if errors.Is(p.err, os.ErrProcessDone) {
			p.err = nil
		}
	})
	return p.err
}

// logTail returns the end of what the server has written.
func (s *Server) logTail() string {
	if s.log == "" {
		return "(none: it runs in this process)"
	}
	b, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	if cut := len(b) - logTailBytes; cut > 0 {
		return "(" + strconv.Itoa(cut) + " bytes before)\n" + string(b[cut:])
	}
	return string(bytes.TrimSpace(b))
}
