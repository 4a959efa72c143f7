package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/s3test"
)

func TestVerification(t *testing.T) {
	server, options := service(t)
	source := server.Bucket("source")
	fillLittle(source)
	common := append([]string{"-plaintext", "-store", filepath.Join(t.TempDir(), "r"), "-source", "s3://source"}, options...)
	with := func(more ...string) []string { return append(more, common...) }

	want(t, exitFailed, with("-verify")...) // makes no repository
	first := want(t, exitOK, with("-restore", "s3://restored", "-restore-option", "create_bucket=true", "-verify=content")...)
	if v := first.Verified; first.Backup == nil || v == nil || v.Snapshot != first.Backup.Snapshot.ID || v.Depth != "content" || !strings.Contains(v.Bucket, "restored") {
		t.Errorf("a restored bucket: %+v", v)
	}
	for _, flag := range []string{"-verify", "-verify=metadata", "-verify=content"} {
		if r := want(t, exitOK, with(flag)...); r.Backup != nil || r.Verified.Count != 0 {
			t.Errorf("%s of an unchanged source: %+v", flag, r)
		}
	}

	source.Delete("a")
	source.SetTags("a/b", map[string]string{"new": "tag"})
	source.Put("more", nil, s3test.Properties{})
	r := want(t, exitFailed, with("-verify")...)
	kinds := map[string]s3kloset.DifferenceKind{}
	for _, d := range r.Verified.Differences {
		kinds[d.Key] = d.Kind
	}
	if r.Verified.Count != 2 || kinds["a"] != s3kloset.DiffMissing || kinds["more"] != s3kloset.DiffExtra {
		t.Errorf("differences by list: %+v", r.Verified)
	}
	if r := want(t, exitFailed, with("-verify=metadata")...); r.Verified.Count != 3 {
		t.Errorf("differences by metadata: %+v", r.Verified)
	}
	i := invoke(t.Context(), t, with("-verify")...)
	if i.status != exitFailed || !strings.Contains(i.stdout, `DIFFERENCE    "a": missing`) {
		t.Errorf("status %d, report\n%s", i.status, i.stdout)
	}

	server.Faults().Add(s3test.Fault{Op: "GetObject", Key: "a/b", Times: s3test.Always, Action: s3test.Status(403, "AccessDenied")})
	server.Faults().Add(s3test.Fault{Op: "HeadObject", Key: "a/b", Times: s3test.Always, Action: s3test.Status(403, "")})
	if r := want(t, exitFailed, with("-verify=content")...); len(r.Verified.Failures) != 1 || r.Verified.Failures[0].Key != "a/b" {
		t.Errorf("an object that cannot be read: %+v", r.Verified)
	}
}

// TestVerificationWithoutTags: tags that may not be read are a warning, in the
// comparison as in the backup.
func TestVerificationWithoutTags(t *testing.T) {
	server, options := service(t)
	fillLittle(server.Bucket("source"))
	common := append([]string{"-plaintext", "-store", filepath.Join(t.TempDir(), "r"), "-source", "s3://source"}, options...)
	want(t, exitOK, common...)
	server.Faults().Add(s3test.Fault{Op: "GetObjectTagging", Times: s3test.Always, Action: s3test.Status(403, "AccessDenied")})
	i := invoke(t.Context(), t, append([]string{"-verify=content"}, common...)...)
	if i.status != exitOK || !strings.Contains(i.stdout, "is as snapshot") || !strings.Contains(i.stdout, "warning       tags: 4 objects: ") {
		t.Errorf("status %d, report\n%s", i.status, i.stdout)
	}
	server.Faults().VerifyAll(t)
}
