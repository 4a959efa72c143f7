package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/PlakarKorp/kloset/connectors"
	"github.com/PlakarKorp/kloset/connectors/importer"
	"github.com/PlakarKorp/kloset/objects"
	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/s3test"
)

// site is a server with a bucket, and the config map that reaches it.
type site struct {
	*s3test.Server
	bucket *s3test.Bucket
	config map[string]string
}

func newSite(t *testing.T) *site {
	t.Helper()
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	s := &site{Server: s3test.Start(t, s3test.WithCredentials("AKIATEST", "secret-of-the-test"))}
	s.bucket = s.CreateBucket("bucket")
	s.config = map[string]string{
		"location": "s3://bucket", "endpoint": s.URL(),
		"access_key": "AKIATEST", "secret_access_key": "secret-of-the-test", "retries": "1",
	}
	return s
}

// with is the config map with changes.
func (s *site) with(pairs ...string) map[string]string {
	config := make(map[string]string)
	for key, value := range s.config {
		config[key] = value
	}
	for i := 0; i < len(pairs); i += 2 {
		config[pairs[i]] = pairs[i+1]
	}
	return config
}

// readAll imports as the engine does.
func readAll(t *testing.T, imp importer.Importer) (bodies map[string]string, errs map[string]error, err error) {
	t.Helper()
	bodies, errs = make(map[string]string), make(map[string]error)
	records, results := make(chan *connectors.Record), make(chan *connectors.Result)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(results)
		for record := range records {
			switch {
			case record.Err != nil:
				errs[record.Pathname] = record.Err
			case record.FileInfo.Mode().IsRegular():
				body, err := io.ReadAll(record.Reader)
				if err != nil {
					errs[record.Pathname] = err
				}
				bodies[record.Pathname] = string(body)
			}
			results <- record.Ok()
		}
	})
	err = imp.Import(t.Context(), records, results)
	wg.Wait()
	return bodies, errs, err
}

// TestStartFinds tells what is wrong with a source and a destination before
// anything else is done.
func TestStartFinds(t *testing.T) {
	s := newSite(t)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free.Close()
	tests := map[string]struct {
		config map[string]string
		want   error
	}{
		"all is well":    {s.config, nil},
		"wrong secret":   {s.with("secret_access_key", "wrong-secret"), s3kloset.ErrCredentials},
		"missing bucket": {s.with("location", "s3://absent"), s3kloset.ErrBucketNotFound},
		"closed port":    {s.with("endpoint", "http://"+free.Addr().String(), "retries", "0"), s3kloset.ErrUnreachable},
		"unknown key":    {s.with("acces_key", "typo"), s3kloset.ErrInvalidOption},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			src, err := newSource(t.Context(), test.config, io.Discard)
			if !errors.Is(err, test.want) {
				t.Errorf("source: %v, want %v", err, test.want)
			}
			if err == nil {
				err = src.Close(t.Context())
			}
			if test.want == nil && err != nil {
				t.Errorf("close source: %v", err)
			}
			dst, err := newDestination(t.Context(), test.config, io.Discard)
			if !errors.Is(err, test.want) {
				t.Errorf("destination: %v, want %v", err, test.want)
			}
			if err == nil {
				err = dst.Close(t.Context())
			}
			if test.want == nil && err != nil {
				t.Errorf("close destination: %v", err)
			}
		})
	}
	dst, err := newDestination(t.Context(), s.with("location", "s3://absent", "create_bucket", "true"), io.Discard)
	if err != nil {
		t.Fatalf("a destination that is to make its bucket: %v", err)
	}
	dst.Close(t.Context())
}

// TestUnreadableObject backs up a bucket with one archived object.
func TestUnreadableObject(t *testing.T) {
	s := newSite(t)
	s.bucket.Put("good", []byte("body"), s3test.Properties{})
	s.bucket.Put("cold", []byte("ice"), s3test.Properties{StorageClass: "GLACIER"})
	run := func(value string) (log string, err error) {
		var written bytes.Buffer
		src, err := newSource(t.Context(), s.with(onFailure, value), &written)
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close(t.Context())
		bodies, errs, err := readAll(t, src)
		if bodies["/good"] != "body" || !errors.Is(errs["/cold"], s3kloset.ErrArchived) {
			t.Errorf("%s: got %q and %v", value, bodies, errs)
		}
		return written.String(), err
	}
	log, err := run("abort")
	if !errors.Is(err, s3kloset.ErrIncomplete) || !errors.Is(err, s3kloset.ErrArchived) || !strings.Contains(err.Error(), "on_failure=keep") {
		t.Errorf("abort: %v", err)
	}
	if log != "" {
		t.Errorf("abort wrote %q beside its error", log)
	}
	log, err = run("keep")
	if err != nil || !strings.Contains(log, `"cold"`) || strings.Count(log, "\n") != 1 {
		t.Errorf("keep: %v, wrote %q", err, log)
	}
}

// TestMetadataCache counts the requests for an object that has not changed.
func TestMetadataCache(t *testing.T) {
	s := newSite(t)
	s.bucket.Put("same", []byte("body"), s3test.Properties{ContentType: "text/plain"})
	folder := t.TempDir()
	requests := func(pairs ...string) int {
		src, err := newSource(t.Context(), s.with(append(pairs, "tags", "on-change")...), io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		defer src.Close(t.Context())
		before := s.Count("HeadObject") + s.Count("GetObject")
		acknowledge(t, src)
		return s.Count("HeadObject") + s.Count("GetObject") - before
	}
	for _, test := range []struct {
		place         []string
		first, second int
	}{
		{nil, 1, 0},
		{[]string{"metadata_cache", folder}, 1, 0},
		{[]string{"metadata_cache", "off"}, 1, 1},
		{[]string{"location", s.config["location"] + "?metadata_cache=off&retries=3"}, 1, 1},
		{[]string{"unordered", "true"}, 1, 1},
	} {
		if first, second := requests(test.place...), requests(test.place...); first != test.first || second != test.second {
			t.Errorf("%q: %d and then %d requests for the object, want %d and %d", test.place, first, second, test.first, test.second)
		}
	}
	if files, err := filepath.Glob(filepath.Join(os.Getenv("XDG_CACHE_HOME"), "s3kloset", "*")); err != nil || len(files) != 1 {
		t.Errorf("the cache of the user holds %q, %v", files, err)
	}
}

// acknowledge imports as the engine does that knows all objects: it reads nothing.
func acknowledge(t *testing.T, imp importer.Importer) {
	t.Helper()
	records, results := make(chan *connectors.Record), make(chan *connectors.Result)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(results)
		for record := range records {
			results <- record.Ok()
		}
	})
	if err := imp.Import(t.Context(), records, results); err != nil {
		t.Error(err)
	}
	wg.Wait()
}

// TestWarningsAreWritten restores an object whose class the target refuses.
func TestWarningsAreWritten(t *testing.T) {
	s := newSite(t)
	s.Faults().Add(s3test.Fault{
		Op: "PutObject", Action: s3test.Status(400, "InvalidStorageClass"),
	})
	var log bytes.Buffer
	dst, err := newDestination(t.Context(), s.config, &log)
	if err != nil {
		t.Fatal(err)
	}
	defer dst.Close(t.Context())
	records, results := make(chan *connectors.Record, 1), make(chan *connectors.Result, 1)
	info := objects.FileInfo{Lname: "key", Lsize: 4, Lmode: 0o644}
	attributes := s3kloset.Metadata{ETag: "x", StorageClass: "GLACIER_IR"}.Attributes()
	records <- connectors.NewRecord("/key", "", info, attributes, func() (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("body")), nil
	})
	close(records)
	if err := dst.Export(t.Context(), records, results); err != nil {
		t.Fatal(err)
	}
	if got, ok := s.bucket.Get("key"); !ok || string(got.Body) != "body" || got.StorageClass == "GLACIER_IR" {
		t.Errorf("restored %+v", got)
	}
	if want := "s3: warning: storage-class: 1 objects, such as [\"key\"]\n"; log.String() != want {
		t.Errorf("wrote %q, want %q", log.String(), want)
	}
	s.Faults().VerifyAll(t)
}

// TestStoreKeepsARepository is the round of a configuration; what stores do
// beyond that is the matter of the root package.
func TestStoreKeepsARepository(t *testing.T) {
	s := newSite(t)
	open := func() *store {
		made, err := newStore(s.with("location", "s3://bucket/repository", "passphrase", "not ours"))
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	first := open()
	if err := first.Create(context.Background(), []byte("config")); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(t.Context()); err != nil {
		t.Error(err)
	}
	second := open()
	defer second.Close(t.Context())
	if config, err := second.Open(t.Context()); err != nil || string(config) != "config" {
		t.Errorf("open: %q, %v", config, err)
	}
	if err := second.Create(t.Context(), nil); !errors.Is(err, s3kloset.ErrAlreadyExists) {
		t.Errorf("create again: %v", err)
	}
}

// TestOpenWithoutStates refuses a repository whose states cannot be listed: plakar
// would exit with 0 later.
func TestOpenWithoutStates(t *testing.T) {
	s := newSite(t)
	store, err := newStore(s.with("retries", "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close(t.Context())
	if err := store.Create(t.Context(), []byte("config")); err != nil {
		t.Fatal(err)
	}
	if config, err := store.Open(t.Context()); err != nil || string(config) != "config" {
		t.Errorf("open: %q, %v", config, err)
	}
	s.Faults().Add(s3test.Fault{Op: "ListObjectsV2", Action: s3test.Status(403, "AccessDenied")})
	if _, err := store.Open(t.Context()); !errors.Is(err, s3kloset.ErrAccessDenied) {
		t.Errorf("open without states: %v", err)
	}
	s.Faults().VerifyAll(t)
}
