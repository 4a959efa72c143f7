package e2e_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/e2e/server"
	"github.com/s3kloset/s3kloset/internal/s3test/conformance"
)

// cli is the aws command line. It knows nothing of ours, and takes a second to start.
type cli struct {
	path     string
	endpoint string
	env      []string
}

func (at site) cli(t *testing.T) cli {
	t.Helper()
	path, err := exec.LookPath("aws")
	if err != nil {
		t.Fatalf("the aws command line is needed: `apt-get install awscli` brings it: %v", err)
	}
	home := t.TempDir() // nothing of the user's own configuration may count
	return cli{path, at.server.Endpoint, []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "LC_ALL=C.UTF-8", "AWS_PAGER=",
		"AWS_ACCESS_KEY_ID=" + at.server.AccessKey, "AWS_SECRET_ACCESS_KEY=" + at.server.SecretKey,
		"AWS_DEFAULT_REGION=" + at.server.Region, "AWS_DEFAULT_OUTPUT=json", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_RETRY_MODE=standard", "AWS_MAX_ATTEMPTS=10", // a busy MinIO sheds load
	}}
}

// run returns what the command prints.
func (c cli) run(t *testing.T, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), c.path, append([]string{"--endpoint-url", c.endpoint}, args...)...)
	cmd.Env = c.env
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		t.Fatalf("aws %s: %v\n%s", strings.Join(args, " "), err, complaint.Bytes())
	}
	return out.Bytes()
}

// keys lists a bucket.
func (c cli) keys(t *testing.T, bucket string) []string {
	t.Helper()
	var list struct{ Contents []struct{ Key string } }
	if err := json.Unmarshal(c.run(t, "s3api", "list-objects-v2", "--bucket", bucket), &list); err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, entry := range list.Contents {
		keys = append(keys, entry.Key)
	}
	return keys
}

// describe is what head-object and get-object-tagging say of an object, but for its time.
func (c cli) describe(t *testing.T, bucket, key string) map[string]any {
	t.Helper()
	says := make(map[string]any)
	for _, command := range []string{"head-object", "get-object-tagging"} {
		out := c.run(t, "s3api", command, "--bucket", bucket, "--key", key)
		if err := json.Unmarshal(out, &says); err != nil {
			t.Fatalf("%s: %v: %q", command, err, out)
		}
	}
	delete(says, "LastModified")
	if tags, ok := says["TagSet"].([]any); ok { // S3 promises no order
		slices.SortFunc(tags, func(a, b any) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	}
	return says
}

// website writes a folder for `aws s3 cp --recursive`, one file of which it uploads in
// parts of 8 MiB, as we do.
func website(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, body := range map[string][]byte{
		"index.html":           []byte("<html>"),
		"empty":                nil,
		"Ünïcode/sp ace+%2F.t": []byte("x"),
		"films/long.bin":       noise(30, 9*mib),
	} {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, body, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestAWSCommandLine fills a bucket with the aws command line, and looks with it at what
// came back.
func TestAWSCommandLine(t *testing.T) {
	for _, name := range []conformance.Server{conformance.MinIO, conformance.Versity} {
		t.Run(string(name), func(t *testing.T) {
			t.Parallel()
			at := newSite(t, server.Shared(t, name))
			aws := at.cli(t)
			original, restored, repoBucket := at.newName(t, "original"), at.newName(t, "restored"), at.newName(t, "repo")
			folder := website(t)
			aws.run(t, "s3", "mb", "s3://"+original)
			upload := func(args ...string) {
				aws.run(t, append([]string{"s3", "cp", "--recursive", "--only-show-errors", folder, "s3://" + original + "/site",
					"--cache-control", "max-age=60", "--metadata", "owner=web,stage=live"}, args...)...)
			}
			// The empty file goes by itself: a server that speaks HTTP as Go does answers such a
			// PUT without 100 Continue, and botocore then takes the status of that answer for the
			// next one on the same connection, in which it misses all headers, the ETag of a part too.
			upload("--exclude", "empty")
			upload("--exclude", "*", "--include", "empty")
			aws.run(t, "s3api", "put-object", "--bucket", original, "--key", "all/at once",
				"--body", filepath.Join(folder, "index.html"), "--content-type", "text/html; charset=utf-8",
				"--content-language", "de", "--content-disposition", "inline", "--content-encoding", "identity",
				"--expires", "2099-10-21T07:28:00Z", "--metadata", "a=1,b=two words", "--tagging", "k%201=v%2B1&k2=",
				"--storage-class", "REDUCED_REDUNDANCY", "--website-redirect-location", "/other")
			// aws refuses to write such values, and shows them.
			if _, err := show("non-ascii", "x-amz-meta-a", "Äpfel 漢字").put(t.Context(), at, original); err != nil {
				t.Fatal(err)
			}
			wantShown(t, name, aws.describe(t, original, "all/at once"), aws.describe(t, original, "non-ascii"))

			at.thereAndBack(t, original, repoBucket, restored)

			keys := aws.keys(t, original)
			if got := aws.keys(t, restored); !slices.Equal(got, keys) || len(keys) != 6 {
				t.Fatalf("restored were %q of %q", got, keys)
			}
			for _, key := range keys {
				want, got := aws.describe(t, original, key), aws.describe(t, restored, key)
				if !sameJSON(t, got, want) {
					t.Errorf("%q is\n%v, not\n%v", key, got, want)
				}
			}
			back := t.TempDir()
			aws.run(t, "s3", "sync", "--only-show-errors", "s3://"+restored+"/site", back)
			wantSameFiles(t, back, folder)
			wantLayout(t, aws.keys(t, repoBucket))
		})
	}
}

// shown is what aws sees of the originals, as far as servers differ: S3 sends metadata that
// is not ASCII as encoded words, others as bytes, which aws takes for Latin-1.
var shown = map[conformance.Server]struct{ class, redirect, letters any }{
	conformance.MinIO:   {"REDUCED_REDUNDANCY", nil, "=?UTF-8?q?=C3=84pfel_=E6=BC=A2=E5=AD=97?="}, // it forgets redirects
	conformance.Versity: {"STANDARD", "/other", "Ã\u0084pfel æ¼¢å\u00ad\u0097"},                   // it forgets classes
}

// wantShown demands that aws sees of the originals what makes them hard to restore: what it
// does not see, it cannot compare.
func wantShown(t *testing.T, name conformance.Server, all, nonASCII map[string]any) {
	t.Helper()
	want := shown[name]
	if all["StorageClass"] != want.class || all["WebsiteRedirectLocation"] != want.redirect {
		t.Errorf("aws shows class %v and redirect %v of what it wrote, not %v and %v",
			all["StorageClass"], all["WebsiteRedirectLocation"], want.class, want.redirect)
	}
	if metadata, ok := nonASCII["Metadata"].(map[string]any); !ok || metadata["a"] != want.letters {
		t.Errorf("aws shows metadata %q, not %q", nonASCII["Metadata"], want.letters)
	}
}

// thereAndBack takes a bucket through a new repository into another bucket.
func (at site) thereAndBack(t *testing.T, original, repoBucket, restored string) {
	t.Helper()
	repo, err := s3kloset.CreateRepository(t.Context(), at.store(t, repoBucket), s3kloset.WithPlaintext())
	if err != nil {
		t.Fatal(err)
	}
	defer closeRepository(t, repo)
	if _, err := repo.Backup(t.Context(), at.open(t, original).Source()); err != nil {
		t.Fatal(err)
	}
	if err := repo.Check(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Restore(t.Context(), "", at.open(t, restored, s3kloset.WithCreateBucket(true)).Destination()); err != nil {
		t.Fatal(err)
	}
}

func sameJSON(t *testing.T, a, b map[string]any) bool {
	t.Helper()
	texts := make([]string, 2)
	for i, v := range []map[string]any{a, b} {
		text, err := json.Marshal(v) // which sorts the names
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = string(text)
	}
	return texts[0] == texts[1]
}

// wantSameFiles compares two folders.
func wantSameFiles(t *testing.T, got, want string) {
	t.Helper()
	if a, b := files(t, got), files(t, want); !maps.Equal(a, b) {
		t.Errorf("folders differ: %d and %d files", len(a), len(b))
	}
}

func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		body, err := os.ReadFile(path)
		if name, relErr := filepath.Rel(dir, path); relErr == nil {
			found[name] = string(body)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
