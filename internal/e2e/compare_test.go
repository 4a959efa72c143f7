package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/s3kloset/s3kloset/internal/s3test/conformance"
)

// volatile are the headers that differ from one answer to the next. All others tell
// something about the object, those that a server makes up for itself too.
var volatile = []string{
	"Date", "Last-Modified", "Server", "Connection",
	"X-Amz-Request-Id", "X-Amz-Id-2", "X-Amz-Version-Id",
	"X-Ratelimit-Limit", "X-Ratelimit-Remaining", // MinIO's
}

const checksumPrefix = "X-Amz-Checksum-"

// forgetful are servers that keep a checksum only of clients which name the algorithm in a
// header of the AWS SDK, beside the one that holds the checksum.
var forgetful = []conformance.Server{conformance.MiniS3}

// object is what a server tells about an object.
type object struct {
	header http.Header
	body   []byte
	tags   map[string]string
}

func (at site) look(ctx context.Context, bucket, key string) (object, error) {
	header, err := at.client.Head(ctx, bucket, key)
	if err != nil {
		return object{}, err
	}
	answer, err := at.client.Get(ctx, bucket, key)
	if err != nil {
		return object{}, err
	}
	tags, err := at.client.Tags(ctx, bucket, key)
	if err != nil {
		return object{}, err
	}
	for _, name := range volatile {
		header.Del(name)
	}
	if slices.Contains(forgetful, at.server.Name) {
		maps.DeleteFunc(header, func(name string, _ []string) bool { return strings.HasPrefix(name, checksumPrefix) })
	}
	return object{header, answer.Body, tags}, nil
}

// unlike tells how a restored object differs from the original.
func (o object) unlike(original object) error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !bytes.Equal(o.body, original.body) {
		fail("body of %d bytes is not that of %d bytes", len(o.body), len(original.body))
	}
	if !maps.Equal(o.tags, original.tags) {
		fail("tags are %q, not %q", o.tags, original.tags)
	}
	want, got := original.comparable(original), o.comparable(original)
	for name := range union(want, got) {
		if !slices.Equal(got[name], want[name]) {
			fail("header %s is %q, not %q", name, got[name], want[name])
		}
	}
	return errors.Join(errs...)
}

// comparable returns the headers that a restored object must have as the original has
// them. Checksums that the original does not have are a gift.
func (o object) comparable(original object) http.Header {
	h := o.header.Clone()
	for name := range o.header {
		if strings.HasPrefix(name, checksumPrefix) && original.header.Get(name) == "" {
			h.Del(name)
		}
	}
	return h
}

func union(a, b http.Header) map[string]bool {
	names := make(map[string]bool)
	for name := range a {
		names[name] = true
	}
	for name := range b {
		names[name] = true
	}
	return names
}

// compare demands that a bucket has exactly the keys, each as it is in the other bucket.
func (at site) compare(t *testing.T, restored, original string, keys []string) {
	t.Helper()
	listed, err := at.client.Keys(t.Context(), restored)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(listed, keys) {
		t.Errorf("restored were %q, not %q", listed, keys)
	}
	var wg sync.WaitGroup
	places := make(chan struct{}, 8)
	for _, key := range listed {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			if err := at.compareObject(t.Context(), restored, original, key); err != nil {
				t.Errorf("%q: %v", key, err)
			}
		})
	}
	wg.Wait()
}

func (at site) compareObject(ctx context.Context, restored, original, key string) error {
	want, err := at.look(ctx, original, key)
	if err != nil {
		return err
	}
	got, err := at.look(ctx, restored, key)
	if err != nil {
		return err
	}
	return got.unlike(want)
}
