package pipe

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	gstorage "github.com/PlakarKorp/integration-grpc/storage"
	"github.com/PlakarKorp/kloset/connectors/storage"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// childEnv makes the test's program a plugin that prints and reads where it
// must not.
const childEnv = "PIPE_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) == "" {
		os.Exit(m.Run())
	}
	l, err := Stdio()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	stray, err := io.ReadAll(os.Stdin)
	fmt.Printf("printed; read %d bytes, %v\n", len(stray), err)
	if err := Serve(l, Connectors{Store: func(context.Context, string, map[string]string) (storage.Store, error) {
		fmt.Println("printed later")
		return &fakeStore{}, nil
	}}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// TestStdioIsTheHostsAlone talks with a child process as plakar does, while the
// child prints.
func TestStdioIsTheHostsAlone(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
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
			return &stdio{in: out.(*os.File), out: in.(*os.File)}, nil
		}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s, err := gstorage.NewStorage(ctx, client, "s3", nil)
	if err != nil {
		t.Fatal(err)
	}
	if config, err := s.Open(ctx); err != nil || string(config) != "config" {
		t.Errorf("open: %q, %v", config, err)
	}
	client.Close()
	killer := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	defer killer.Stop()
	if err := cmd.Wait(); err != nil {
		t.Errorf("the child ended with %v", err)
	}
	for _, want := range []string{"printed; read 0 bytes, <nil>\n", "printed later\n"} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("standard error is %q, want %q in it", stderr.String(), want)
		}
	}
}
