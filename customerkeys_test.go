package s3kloset

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/s3kloset/s3kloset/internal/bucket"
	"github.com/s3kloset/s3kloset/internal/s3test"
)

// ring is a ring of customer's keys: each folder has its own, but for "plain".
func ring(key string) ([]byte, error) {
	folder, _, _ := strings.Cut(strings.TrimPrefix(key, "copy/"), "/")
	switch folder {
	case "plain":
		return nil, nil
	case "lost":
		return nil, errLostKey
	case "short":
		return []byte("too short"), nil
	}
	return []byte(fmt.Sprintf("%-32s", folder)), nil
}

var errLostKey = errors.New("nobody has the key")

// TestCustomerKeys backs up and restores a bucket whose objects have several
// keys, or none, over a store with keys of its own.
func TestCustomerKeys(t *testing.T) {
	quiet(t)
	server := s3test.Start(t, s3test.WithSSECOverHTTP())
	data := server.CreateBucket("data")
	server.CreateBucket("vault")
	data.Put("plain/object", []byte("without a key"), s3test.Properties{})
	writer := handle(t, server, "s3://data", WithCustomerKeys(ring))
	big := strings.Repeat("in parts ", 1<<20)
	for _, key := range []string{"one/object", "two/object", "two/large"} {
		body := "content of " + key
		if key == "two/large" {
			body = big
		}
		if _, err := writer.client.Upload(t.Context(), key, strings.NewReader(body), -1, bucket.Write{PartSize: bucket.MinPartSize}); err != nil {
			t.Fatal(err)
		}
	}
	server.CreateBucket("target")
	repo := createPlain(t, handle(t, server, "s3://vault", WithCustomerKeys(ring)).Store())
	report, err := repo.Backup(t.Context(), handle(t, server, "s3://data", WithCustomerKeys(ring)).Source())
	if err != nil {
		t.Fatal(err)
	}
	target := handle(t, server, "s3://target/copy", WithCustomerKeys(ring))
	if _, err := repo.Restore(t.Context(), report.Snapshot.ID, target.Destination()); err != nil {
		t.Fatal(err)
	}
	keyed := make(map[string]int)
	for _, o := range server.Bucket("target").Dump() {
		was, there := data.Get(strings.TrimPrefix(o.Key, "copy/"))
		if !there || string(o.Body) != string(was.Body) || o.CustomerKeyMD5 != was.CustomerKeyMD5 {
			t.Errorf("%s is %d bytes with the key %q, not %d with %q", o.Key, len(o.Body), o.CustomerKeyMD5, len(was.Body), was.CustomerKeyMD5)
		}
		keyed[o.CustomerKeyMD5]++
	}
	if len(keyed) != 3 || keyed[""] != 1 {
		t.Errorf("objects by key: %v", keyed)
	}
	for _, o := range server.Bucket("vault").Dump() {
		if o.CustomerKeyMD5 == "" {
			t.Errorf("%s of the store has no key", o.Key)
		}
	}
}

// TestCustomerKeyMissing: the objects without their key fail, with the reason,
// and no others.
func TestCustomerKeyMissing(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	for _, key := range []string{"lost/object", "plain/object", "short/object"} {
		w.data.Put(key, []byte("content"), s3test.Properties{})
	}
	report, err := w.repo.Backup(t.Context(), w.at("s3://data", WithCustomerKeys(ring)).Source())
	if err == nil || report.Stored != 1 || report.Failed != 2 {
		t.Fatalf("%+v, %v", report, err)
	}
	for _, failure := range report.Failures {
		if failure.Key == "lost/object" && !errors.Is(failure.Err, errLostKey) ||
			failure.Key == "short/object" && strings.Contains(failure.Err.Error(), "too short") {
			t.Errorf("%s: %v", failure.Key, failure.Err)
		}
	}
	if n := w.server.Count("GetObject"); n != 1 {
		t.Errorf("%d objects were asked for", n)
	}
}
