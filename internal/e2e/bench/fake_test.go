package bench_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/s3kloset/s3kloset/internal/bucket"
	"github.com/s3kloset/s3kloset/internal/s3test"
)

// fakeVariable makes a server of this program: it names the shape of its keys.
const fakeVariable = "S3KLOSET_BENCH_FAKE"

// fake is where a server in a process of its own is to be found. Its million
// objects would otherwise be in the memory that is measured.
type fake struct{ Endpoint, AccessKey, SecretKey string }

// serveFake is what the process does instead of benchmarks, until nobody
// holds its standard input any more.
func serveFake(name string) error {
	for _, shape := range shapes {
		if shape.name != name {
			continue
		}
		server := s3test.New()
		if err := server.Start(); err != nil {
			return err
		}
		defer server.Close()
		data := server.CreateBucket("data")
		for i := range million {
			data.Put(shape.key(i), nil, s3test.Properties{})
		}
		server.Faults().Add(s3test.Fault{Op: "ListObjectsV2", Times: s3test.Always, Action: s3test.Delay(pageTime)})
		if err := json.NewEncoder(os.Stdout).Encode(fake{server.URL(), server.AccessKey(), server.SecretKey()}); err != nil {
			return err
		}
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	}
	return fmt.Errorf("no shape %q", name)
}

// startFake starts the server, and makes a client of it.
func startFake(b *testing.B, shape string) *bucket.Client {
	b.Helper()
	cmd := exec.Command(must[string](b)(os.Executable()))
	cmd.Env = append(os.Environ(), fakeVariable+"="+shape)
	cmd.Stderr = os.Stderr
	stdin := must[io.WriteCloser](b)(cmd.StdinPipe())
	stdout := must[io.ReadCloser](b)(cmd.StdoutPipe())
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			b.Error(err)
		}
	})
	var at fake
	if err := json.NewDecoder(bufio.NewReader(stdout)).Decode(&at); err != nil {
		b.Fatal(err)
	}
	client := must[*bucket.Client](b)(bucket.New(bucket.Config{
		Name: "data", Endpoint: at.Endpoint,
		Credentials: bucket.Credentials{Keys: bucket.Keys{AccessKey: at.AccessKey, SecretKey: bucket.Secret(at.SecretKey)}},
	}))
	b.Cleanup(client.Close)
	return client
}
