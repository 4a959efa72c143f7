package main

import (
	"context"
	"net"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"time"

	gstorage "github.com/PlakarKorp/integration-grpc/storage"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// childEnv makes the test's program the plugin.
const childEnv = "S3KLOSET_PLUGIN_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// patience bounds what must end by itself.
const patience = time.Minute

// TestSignalsAreForTheHost interrupts the plugin, as a terminal does that
// interrupts plakar: it goes on until its input ends.
func TestSignalsAreForTheHost(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Log("a process cannot be interrupted alone here")
		return
	}
	s := newSite(t)
	plugin := startPlugin(t)
	store, err := gstorage.NewStorage(t.Context(), plugin, "s3", s.config)
	if err != nil {
		t.Fatal(err)
	}
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if err := plugin.process.Signal(signal); err != nil {
			t.Fatal(err)
		}
		if err := store.Ping(t.Context()); err != nil {
			t.Fatalf("after %v: %v", signal, err)
		}
	}
}

// child is the plugin as a process of its own, and the host's connection to it.
type child struct {
	*grpc.ClientConn
	process *os.Process
}

// startPlugin runs the plugin as plakar does. When the test ends, so does its
// input, and it must end with it.
func startPlugin(t *testing.T) child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	client, err := grpc.NewClient("passthrough:child", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) {
			return pipes{in: in.(*os.File), out: out.(*os.File)}, nil
		}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		killer := time.AfterFunc(patience, func() { cmd.Process.Kill() })
		defer killer.Stop()
		client.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the plugin ended with %v", err)
		}
	})
	return child{client, cmd.Process}
}

// pipes is the host's end of the connection.
type pipes struct{ in, out *os.File }

func (p pipes) Read(b []byte) (int, error)       { return p.out.Read(b) }
func (p pipes) Write(b []byte) (int, error)      { return p.in.Write(b) }
func (p pipes) Close() error                     { return p.in.Close() }
func (p pipes) LocalAddr() net.Addr              { return &net.UnixAddr{} }
func (p pipes) RemoteAddr() net.Addr             { return &net.UnixAddr{} }
func (p pipes) SetDeadline(time.Time) error      { return nil }
func (p pipes) SetReadDeadline(time.Time) error  { return nil }
func (p pipes) SetWriteDeadline(time.Time) error { return nil }
