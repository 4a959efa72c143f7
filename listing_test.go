package s3kloset

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/s3kloset/s3kloset/internal/s3test"
	"github.com/s3kloset/s3kloset/internal/s3test/sigv4"
)

// backwards lists a bucket from its last key to its first, and some keys twice.
func backwards(b *s3test.Bucket, again ...string) s3test.Action {
	return func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked := r.URL.Query()
			keys := slices.DeleteFunc(append(b.Keys(), again...), func(key string) bool { return !strings.HasPrefix(key, asked.Get("prefix")) })
			slices.Reverse(keys)
			from, _ := strconv.Atoi(asked.Get("continuation-token"))
			most, _ := strconv.Atoi(asked.Get("max-keys"))
			to := min(from+most, len(keys))
			var page strings.Builder
			fmt.Fprintf(&page, "<ListBucketResult><Name>data</Name><EncodingType>url</EncodingType><IsTruncated>%t</IsTruncated><NextContinuationToken>%d</NextContinuationToken>", to < len(keys), to)
			for _, key := range keys[from:to] {
				o, _ := b.Get(key)
				fmt.Fprintf(&page, `<Contents><Key>%s</Key><Size>%d</Size><ETag>"%s"</ETag><LastModified>%s</LastModified></Contents>`,
					url.QueryEscape(key), len(o.Body), o.ETag, o.LastModified.UTC().Format("2006-01-02T15:04:05.000Z"))
			}
			s3test.RawBody(http.StatusOK, "application/xml", page.String()+"</ListBucketResult>")(nil).ServeHTTP(w, r)
		})
	}
}

// TestUnorderedListing: the object that is named as the folder of the location
// comes too, and one that cannot be read does not pass for deleted because
// another key with the same beginning is listed before it.
func TestUnorderedListing(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	for _, key := range []string{"fo", "foo", "foo/a", "foo/a/b", "foo/ab", "foo/x", "foobar"} {
		w.data.Put(key, []byte("body of "+key), s3test.Properties{})
	}
	w.server.Faults().Add(s3test.Fault{Op: "ListObjectsV2", Times: s3test.Always, Action: backwards(w.data)})
	b := w.at("s3://data/foo", WithUnorderedListing(true))
	w.counts("backup", w.backupOf(b).Counts, Counts{Listed: 5, Stored: 5})
	w.data.Delete("foo")
	w.counts("without the folder's object", w.backupOf(b).Counts, Counts{Listed: 4, Unchanged: 4})

	w.data.Put("foo/a", []byte("new body"), s3test.Properties{})
	w.server.Faults().Add(s3test.Fault{Op: "GetObject", Key: "foo/a", Times: s3test.Always, Action: s3test.Status(404, "NoSuchKey")})
	report, err := w.repo.Backup(t.Context(), b.Source())
	if err == nil {
		t.Error("no error")
	}
	w.counts("unreadable", report.Counts, Counts{Listed: 4, Unchanged: 3, Failed: 1})
}

// TestMisreadKeys: a server that does not encode what XML changes, or what an
// encoding means otherwise, lists keys that are not there. They are not gone.
func TestMisreadKeys(t *testing.T) {
	for key, listed := range map[string]string{"a+b": "a+b", "a\rb": "a\nb", "a\x01b": "a\ufffdb"} {
		t.Run(url.QueryEscape(key), func(t *testing.T) {
			quiet(t)
			w := newWorld(t)
			meant := key
			if strings.ContainsRune(listed, utf8.RuneError) {
				meant = listed // stands for any character that XML cannot hold
			}
			was := w.data.Put(key, []byte("body"), s3test.Properties{})
			w.data.Put("c", nil, s3test.Properties{})
			page := fmt.Sprintf(`<ListBucketResult><Name>data</Name><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>`+
				`<Contents><Key>%s</Key><Size>4</Size><ETag>"%s"</ETag></Contents><Contents><Key>c</Key><Size>0</Size></Contents></ListBucketResult>`, listed, was.ETag)
			w.server.Faults().Add(s3test.Fault{Op: "ListObjectsV2", Times: s3test.Always, Action: s3test.RawBody(http.StatusOK, "application/xml", page),
				Match: func(r s3test.Request) bool { return !r.Query.Has("prefix") }})
			report, err := w.repo.Backup(t.Context(), w.at("s3://data").Source())
			if !errors.Is(err, ErrIncomplete) || !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), fmt.Sprintf("%q", meant)) {
				t.Errorf("error %v", err)
			}
			w.counts("backup", report.Counts, Counts{Listed: 2, Stored: 1, Failed: 1})
		})
	}
}

// TestCredentialsThatExpireInAListing: the rest is listed with new ones, which are asked for
// once, and nothing is missing.
func TestCredentialsThatExpireInAListing(t *testing.T) {
	quiet(t)
	w := newWorldOn(t, s3test.Start(t, s3test.WithPageSize(7)))
	w.fill(50)
	keys := func(n int) s3test.Credentials {
		return s3test.Credentials{Credentials: sigv4.Credentials{AccessKey: fmt.Sprint("KEY", n), SecretKey: "secret"}}
	}
	w.server.AddCredentials(keys(1))
	w.server.AddCredentials(keys(2))
	w.server.Faults().Add(s3test.Fault{
		Op: "ListObjectsV2", Nth: 2, Match: func(r s3test.Request) bool { return r.Query.Has("continuation-token") },
		Action: s3test.RunFirst(func() {
			old := keys(1)
			old.Expires = time.Now().Add(-time.Minute)
			w.server.AddCredentials(old)
		}),
	})
	var asked atomic.Int64
	data, err := New("s3://data", WithEndpoint(w.server.URL()), WithCredentialsProvider(func(context.Context) (Keys, error) {
		return Keys{AccessKey: fmt.Sprint("KEY", asked.Add(1)), SecretKey: "secret"}, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { data.Close() })
	report := w.backupOf(data)
	w.server.Faults().VerifyAll(t)
	w.counts("backup", report.Counts, Counts{Listed: 50, Stored: 50})
	if n := asked.Load(); n != 2 {
		t.Errorf("keys were asked for %d times", n)
	}
	refused := func(r s3test.Request) bool { return r.Op == "ListObjectsV2" && r.Status == http.StatusBadRequest }
	if !slices.ContainsFunc(w.server.Requests(), refused) {
		t.Error("no listing was refused")
	}
	w.same(w.data, w.restore(report.Snapshot.ID))
}
