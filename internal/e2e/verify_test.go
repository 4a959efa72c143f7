package e2e_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/e2e/raw"
	"github.com/s3kloset/s3kloset/internal/e2e/server"
	"github.com/s3kloset/s3kloset/internal/s3test/conformance"
)

// retag replaces the tags of an object.
func (at site) retag(t *testing.T, bucket, key string, tag [2]string) {
	t.Helper()
	body := fmt.Sprintf("<Tagging><TagSet><Tag><Key>%s</Key><Value>%s</Value></Tag></TagSet></Tagging>", tag[0], tag[1])
	if _, err := at.client.Do(t.Context(), raw.Request{
		Method: http.MethodPut, Bucket: bucket, Key: key, Query: url.Values{"tagging": {""}}, Body: []byte(body),
	}); err != nil {
		t.Fatal(err)
	}
}

// tampered is what a bucket holds before somebody changes it. Each key is named after what
// will become of its object.
var tampered = []exhibit{
	show("grown"),
	show("overwritten"),
	show("reclassed"),
	show("redescribed", "Content-Type", "text/plain", "Cache-Control", "no-store", "x-amz-meta-a", "1"),
	show("removed"),
	show("retagged", "x-amz-tagging", "t=1"),
	show("same", "Content-Type", "text/plain", "x-amz-meta-a", "1", "x-amz-tagging", "t=1"),
	show("same in parts", "x-amz-tagging", "t=1").inParts(noise(30, 5*mib), noise(31, 1000)),
}

// tamper does to each object what its name says.
func (at site) tamper(t *testing.T, bucket string) {
	t.Helper()
	put := func(e exhibit) {
		if _, err := e.put(t.Context(), at, bucket); err != nil {
			t.Fatal(err)
		}
	}
	put(show("added"))
	put(show("grown").holding([]byte("more bytes than there were")))
	put(show("overwritten").holding([]byte("other bytes, as many")))
	put(show("reclassed", "x-amz-storage-class", "REDUCED_REDUNDANCY"))
	put(show("redescribed", "Content-Type", "text/plain", "Cache-Control", "no-cache", "x-amz-meta-b", "2"))
	at.retag(t, bucket, "retagged", [2]string{"t", "2"})
	if err := at.client.Delete(t.Context(), bucket, "removed"); err != nil {
		t.Fatal(err)
	}
}

// differences are what each depth must find after that, as key, kind and property. versitygw
// has one class.
func differences(name conformance.Server, depth string) []string {
	found := []string{"added extra", "grown etag", "grown size", "overwritten etag", "removed missing"}
	if name != conformance.Versity {
		found = append(found, "reclassed class")
	}
	if depth != "list" {
		found = append(found, "redescribed metadata cache-control", "redescribed metadata meta.a", "redescribed metadata meta.b", "retagged tags t")
	}
	if depth == "content" {
		found = append(found, "grown content", "overwritten content")
	}
	slices.Sort(found)
	return found
}

func found(differences []s3kloset.Difference) []string {
	var texts []string
	for _, d := range differences {
		texts = append(texts, strings.TrimSpace(fmt.Sprintf("%s %s %s", d.Key, d.Kind, d.Property)))
	}
	slices.Sort(texts)
	return texts
}

// TestVerifyOnRealServers has the program compare a snapshot with a bucket that is as it was,
// with one that was restored, and with one that somebody has changed.
func TestVerifyOnRealServers(t *testing.T) {
	t.Parallel()
	tool := buildProgram(t)
	for _, name := range []conformance.Server{conformance.MinIO, conformance.Versity} {
		t.Run(string(name), func(t *testing.T) {
			at := newSite(t, server.Shared(t, name))
			original := at.newName(t, "original")
			at.fill(t, original, tampered)
			common := slices.Concat(at.flags("-option"), []string{
				"-plaintext", "-store", "s3://" + at.newName(t, "repo"), "-source", "s3://" + original,
			})
			tool.run(t, 0, slices.Concat(common, []string{
				"-store-option", "create_bucket=true", "-restore", "s3://" + at.newName(t, "restored"), "-restore-option", "create_bucket=true",
				"-verify=content",
			})...)
			for _, depth := range []string{"list", "metadata", "content"} {
				said := tool.run(t, 0, append(common, "-verify="+depth)...)
				if v := said.Verified; said.Backup != nil || v == nil || v.Depth != depth || len(v.Differences) > 0 || v.Failed > 0 {
					t.Errorf("by %s nothing has changed, and it says %+v", depth, v)
				}
			}
			at.tamper(t, original)
			for _, depth := range []string{"list", "metadata", "content"} {
				said := tool.run(t, 1, append(common, "-verify="+depth)...)
				if said.Verified == nil || said.Verified.Failed > 0 {
					t.Fatalf("by %s: %+v", depth, said)
				}
				want := differences(name, depth)
				if got := found(said.Verified.Differences); !slices.Equal(got, want) {
					t.Errorf("by %s it finds %q, not %q", depth, got, want)
				}
				if text := fmt.Sprintf("%d differences", len(want)); !strings.Contains(said.Error, text) {
					t.Errorf("error is %q, does not say %s", said.Error, text)
				}
			}
		})
	}
}
