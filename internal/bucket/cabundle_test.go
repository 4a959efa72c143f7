package bucket

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// TestCABundle names certificates in the environment, which is asked for the
// keys anyway. An option has the last word.
func TestCABundle(t *testing.T) {
	keys := s3test.WithCredentials("AKIATEST", "secret-of-the-test")
	server, stranger := s3test.StartTLS(t, keys), s3test.StartTLS(t)
	server.CreateBucket(bucketName)
	dir := t.TempDir()
	write := func(name string, pem []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, pem, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	right, wrong := write("right.pem", server.CAPEM()), write("wrong.pem", stranger.CAPEM())
	t.Setenv("HOME", dir)
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(dir, "config"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(dir, "credentials"))
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret-of-the-test")
	for _, test := range []struct {
		name, bundle, option string
		trusted              bool
	}{
		{"bundle", right, "", true},
		{"wrong bundle", wrong, "", false},
		{"option over bundle", wrong, right, true},
		{"bundle under option", right, wrong, false},
		{"option alone", "", right, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("AWS_CA_BUNDLE", test.bundle)
			client, err := New(Config{Name: bucketName, Endpoint: server.URL(), CAFile: test.option, Retries: 1})
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			if err := client.Ping(t.Context()); (err == nil) != test.trusted {
				t.Errorf("ping: %v, trusted: %v", err, test.trusted)
			}
		})
	}
}
