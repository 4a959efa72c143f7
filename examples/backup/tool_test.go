package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// The whole road, on both kinds of store. Few tests have encryption, which
// takes its time by design.
func TestRoad(t *testing.T) {
	for name, store := range map[string][]string{
		"folder": {"-store", filepath.Join(t.TempDir(), "repository")},
		"bucket": {"-store", "s3://backups/repository", "-store-option", "create_bucket=true"},
	} {
		t.Run(name, func(t *testing.T) {
			server, options := service(t)
			source := server.Bucket("source")
			fillLittle(source)
			road(t, server, source, slices.Concat(store, []string{"-plaintext"}, options))
		})
	}
}

func TestEncryption(t *testing.T) {
	server, options := service(t)
	fillLittle(server.Bucket("source"))
	args := append([]string{"-source", "s3://source", "-store", filepath.Join(t.TempDir(), "r")}, options...)
	want(t, exitOK, args...)
	for _, wrong := range [][]string{{"-passphrase-env", "OTHER"}, {"-plaintext"}} {
		if r := want(t, exitFailed, append(args, wrong...)...); !strings.Contains(r.Error, "passphrase missing or wrong") {
			t.Errorf("%q: error %q", wrong, r.Error)
		}
	}
	if r := want(t, exitOK, append(args, "-list")...); r.Backup.Unchanged != 4 || len(r.Snapshots) != 2 {
		t.Errorf("backup %+v, snapshots %v", r.Backup, r.Snapshots)
	}
}

func fillLittle(b *s3test.Bucket) {
	b.Put("a", []byte("one"), s3test.Properties{ContentType: "text/plain", Tags: map[string]string{"k": "v"}})
	b.Put("a/b", []byte("two"), s3test.Properties{Metadata: map[string]string{"name": "Zoë"}})
	b.Put("folder/", nil, s3test.Properties{StorageClass: "STANDARD_IA"})
	b.Put("x//y", make([]byte, 2<<20), s3test.Properties{})
}

func road(t *testing.T, server *s3test.Server, source *s3test.Bucket, common []string) {
	backup := append([]string{"-source", "s3://source"}, common...)
	first := want(t, exitOK, backup...)
	if !first.Created || first.Backup.Stored != 4 || first.Backup.Parent != "" {
		t.Fatalf("first backup: %+v", first)
	}

	source.Put("new", []byte("three"), s3test.Properties{})
	second := want(t, exitOK, append(backup, "-check", "-list")...)
	if second.Created || second.Backup.Stored != 1 || second.Backup.Unchanged != 4 || second.Backup.Parent != first.Backup.Snapshot.ID {
		t.Errorf("second backup: %+v", second.Backup)
	}
	if second.Checked != second.Backup.Snapshot.ID || len(second.Snapshots) != 2 {
		t.Errorf("checked %s, listed %v", second.Checked, second.Snapshots)
	}

	into := []string{"-restore", "s3://restored/", "-restore-option", "create_bucket=true"}
	restored := want(t, exitOK, slices.Concat(into, common)...)
	if restored.Restore.Stored != 5 || restored.Restore.Snapshot.ID != second.Backup.Snapshot.ID {
		t.Errorf("restore: %+v", restored.Restore)
	}
	if c := compare(source, server.Bucket("restored")); len(c.Differences) > 0 || c.Objects != 5 {
		t.Errorf("compared %d objects: %q", c.Objects, c.Differences)
	}

	into[1] = "s3://restored/earlier"
	earlier := want(t, exitOK, slices.Concat(into, common, []string{"-snapshot", first.Backup.Snapshot.ID[:12]})...)
	if earlier.Restore.Stored != 4 || earlier.Restore.Snapshot.ID != first.Backup.Snapshot.ID {
		t.Errorf("restore of the first snapshot: %+v", earlier.Restore)
	}
	if o, found := server.Bucket("restored").Get("earlier/a/b"); !found || string(o.Body) != "two" {
		t.Errorf("earlier/a/b is %q, %v", o.Body, found)
	}
}

func TestReportForPeople(t *testing.T) {
	server, options := service(t)
	fillLittle(server.Bucket("source"))
	args := append([]string{"-source", "s3://source", "-list", "-check", "-plaintext", "-store", filepath.Join(t.TempDir(), "r")}, options...)
	i := invoke(t.Context(), t, args...)
	if i.status != exitOK {
		t.Fatalf("status %d\n%s", i.status, i.stderr)
	}
	for _, text := range []string{", created", "the first of this source", "4 objects: 4 stored (2.0 MiB)", "GetObject 4", "snapshots", "is sound"} {
		if !strings.Contains(i.stdout, text) {
			t.Errorf("the report does not say %q:\n%s", text, i.stdout)
		}
	}
	if !strings.Contains(i.stderr, "backing up s3://") {
		t.Errorf("no message about the backup:\n%s", i.stderr)
	}
}

// An object that cannot be read keeps no other from its backup and restore,
// and the report says which one it is and why.
func TestFailedObject(t *testing.T) {
	server, options := service(t)
	fillLittle(server.Bucket("source"))
	server.Faults().Add(s3test.Fault{Op: "GetObject", Key: "a/b", Times: s3test.Always, Action: s3test.Status(403, "AccessDenied")})
	args := append([]string{
		"-source", "s3://source", "-plaintext", "-store", filepath.Join(t.TempDir(), "r"),
		"-restore", "s3://restored", "-restore-option", "create_bucket=true"}, options...)
	r := want(t, exitFailed, args...)
	if r.Backup.Stored != 3 || r.Backup.Failed != 1 || r.Backup.Snapshot.ID == "" || r.Restore.Stored != 3 {
		t.Errorf("backup %+v, restore %+v", r.Backup, r.Restore)
	}

	i := invoke(t.Context(), t, append(args, "-json")...)
	var document struct {
		Backup struct {
			Failures []struct{ Key, Error string }
		}
	}
	if err := json.Unmarshal([]byte(i.stdout), &document); err != nil {
		t.Fatal(err)
	}
	f := document.Backup.Failures
	if len(f) != 1 || f[0].Key != "a/b" || !strings.Contains(f[0].Error, "access denied") {
		t.Errorf("failures %+v, want access denied for a/b", f)
	}

	i = invoke(t.Context(), t, args...)
	if i.status != exitFailed || !strings.Contains(i.stdout, `FAILED        "a/b": get "source": access denied`) {
		t.Errorf("status %d, report\n%s", i.status, i.stdout)
	}
}

func TestFailures(t *testing.T) {
	server, options := service(t)
	fillLittle(server.Bucket("source"))
	server.CreateBucket("restored")
	repository := filepath.Join(t.TempDir(), "repository")
	backup := append([]string{"-source", "s3://source", "-plaintext", "-store", repository}, options...)
	want(t, exitOK, backup...)
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}

	with := func(more ...string) []string { return append(slices.Clone(backup), more...) }
	onStore := func(more ...string) []string { return append([]string{"-plaintext", "-store", repository}, more...) }
	for _, test := range []struct {
		name string
		args []string
		why  string
	}{
		{"no repository", []string{"-plaintext", "-store", filepath.Join(t.TempDir(), "none"), "-list"}, "no repository"},
		{"a folder in use", append([]string{"-source", "s3://source", "-plaintext", "-store", full}, options...), "not empty"},
		{"no such snapshot", onStore("-check", "-snapshot", "0123"), "snapshot not found"},
		{"no such bucket", append(onStore("-source", "s3://missing"), options...), "bucket does not exist"},
		{"no such target", append(onStore("-restore", "s3://missing"), options...), "bucket does not exist"},
		{"wrong secret", with("-source-option", "secret_access_key=wrong"), "credentials not accepted"},
		{"closed port", with("-source-option", "endpoint=http://127.0.0.1:1"), "endpoint not reachable"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if r := want(t, exitFailed, test.args...); !strings.Contains(r.Error, test.why) {
				t.Errorf("error %q, want %q", r.Error, test.why)
			}
		})
	}
	if r := want(t, exitOK, onStore("-list")...); len(r.Snapshots) != 1 {
		t.Errorf("%d snapshots, want that of the one good run", len(r.Snapshots))
	}
	if n := server.Bucket("restored").Len(); n > 0 {
		t.Errorf("%d objects were restored", n)
	}
}

func TestCancelled(t *testing.T) {
	server, options := service(t)
	fillLittle(server.Bucket("source"))
	args := append([]string{"-source", "s3://source", "-plaintext", "-store", "s3://backups", "-store-option", "create_bucket=true"}, options...)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	server.Faults().Add(s3test.Fault{Op: "GetObject", Bucket: "source", Action: s3test.RunFirst(cancel)})
	r := wantUnder(ctx, t, exitFailed, args...)
	if !strings.Contains(r.Error, context.Canceled.Error()) {
		t.Errorf("error %q, want that of the context", r.Error)
	}
	backups := server.Bucket("backups")
	if n := backups.Uploads(); n > 0 {
		t.Errorf("%d unfinished uploads are left", n)
	}
	for _, key := range backups.Keys() {
		if strings.HasPrefix(key, "locks/") || strings.HasPrefix(key, "states/") {
			t.Errorf("%s is left", key)
		}
	}
	if r := want(t, exitOK, args...); r.Created || r.Backup.Stored != 4 {
		t.Errorf("the next backup: %+v", r)
	}
}
