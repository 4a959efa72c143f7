package e2e_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/s3kloset/s3kloset/internal/bucket"
	"github.com/s3kloset/s3kloset/internal/e2e/server"
	"github.com/s3kloset/s3kloset/internal/s3test"
	"github.com/s3kloset/s3kloset/internal/s3test/conformance"
)

// vendorClient is a client that is told nothing of whose service it speaks to.
func vendorClient(t *testing.T, s *server.Server, endpoint, name string) *bucket.Client {
	t.Helper()
	client, err := bucket.New(bucket.Config{Name: name, Endpoint: endpoint, Region: s.Region,
		Credentials: bucket.Credentials{Keys: bucket.Keys{AccessKey: s.AccessKey, SecretKey: bucket.Secret(s.SecretKey)}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// TestServersSayTheirNames: the two servers whose names the table of vendors has
// are known by their first answer.
func TestServersSayTheirNames(t *testing.T) {
	for name, vendor := range map[conformance.Server]string{conformance.MinIO: "minio", conformance.Versity: "versitygw"} {
		s := server.Shared(t, name)
		at := newSite(t, s)
		client := vendorClient(t, s, s.Endpoint, at.prepare(t, at.newName(t, "vendor")))
		if _, err := client.Head(t.Context(), "data/tagged", bucket.Pin{}); err != nil {
			t.Error(err)
		}
		if got := client.Quirks().Vendor; got != vendor {
			t.Errorf("%s is taken for %q", vendor, got)
		}
	}
}

// TestServersAreAsked hides the name of the servers, and asks them all questions:
// the answers are those of the table, and nothing is left behind.
func TestServersAreAsked(t *testing.T) {
	for _, name := range []conformance.Server{conformance.MinIO, conformance.Versity} {
		s := server.Shared(t, name)
		at := newSite(t, s)
		bucketName := at.prepare(t, at.newName(t, "vendor"))
		proxy := s3test.StartProxy(t, s.Endpoint)
		proxy.Faults().Add(s3test.Fault{Times: s3test.Always, Action: s3test.SetHeader("Server", "")})
		client := vendorClient(t, s, proxy.URL(), bucketName)
		put := func(key string, w bucket.Write) error {
			_, err := client.Put(t.Context(), key, []byte(key), w)
			return err
		}
		guarded := bucket.Write{IfNoneMatch: true, Guards: true}
		keys := []string{"a b", "a%20b", "c+d", "data/tagged"}
		for _, key := range keys[:3] {
			if err := put(key, guarded); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := put("a b", guarded); !errors.Is(err, bucket.ErrAlreadyExists) {
			t.Errorf("%s: error is %v", name, err)
		}
		var listed []string
		for entry, err := range client.List(t.Context(), bucket.Range{}) {
			if err != nil {
				t.Fatal(err)
			}
			listed = append(listed, entry.Key)
		}
		if !slices.Equal(listed, keys) {
			t.Errorf("%s: keys are %q", name, listed)
		}
		got := client.Quirks()
		if got.Vendor != "" || got.NoConditions || got.NoChecksums || got.OpaqueETags || got.NoListEncoding || got.MaxParts != 0 {
			t.Errorf("%s: found out %+v", name, got)
		}
	}
}
