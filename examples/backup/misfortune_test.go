package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/s3test"
)

// misfortune is what goes wrong in a backup and the restore after it, and what
// the user of the program gets to see. Four objects are well, and "victim" is
// the one that things happen to.
type misfortune struct {
	name   string
	fault  s3test.Fault
	change func(source *s3test.Bucket) // runs in the fault's request, if any

	status  int
	error   string // part of the program's error
	ends    bool   // the backup ends at once: all of what was listed by then failed
	midway  bool   // the backup ends on the way: there is no snapshot of what was listed by then
	onePage bool   // holds all objects; otherwise there are three
	backup  s3kloset.Counts
	restore s3kloset.Counts
	warning s3kloset.WarningKind // of either run
	options []string
}

// Fates of the five objects.
var (
	wellDone   = s3kloset.Counts{Listed: 5, Stored: 5}
	oneFailed  = s3kloset.Counts{Listed: 5, Stored: 4, Failed: 1}
	oneGone    = s3kloset.Counts{Listed: 5, Stored: 4, Gone: 1}
	fourOfFour = s3kloset.Counts{Listed: 4, Stored: 4}
	nothing    = s3kloset.Counts{}
)

func listing(nth, times int, action s3test.Action) s3test.Fault {
	return s3test.Fault{Op: "ListObjectsV2", Bucket: "source", Nth: nth, Times: times, Action: action}
}

// turning is listing of the pages to which a token leads.
func turning(times int, action s3test.Action) s3test.Fault {
	f := listing(1, times, action)
	f.Match = func(r s3test.Request) bool { return r.Query.Has("continuation-token") }
	return f
}

// skipping is listing of all pages but the first, however they are asked for.
func skipping(action s3test.Action) s3test.Fault {
	f := listing(1, always, action)
	f.Match = func(r s3test.Request) bool { return r.Query.Has("continuation-token") || r.Query.Has("start-after") }
	return f
}

func reading(nth, times int, action s3test.Action) s3test.Fault {
	return s3test.Fault{Op: "GetObject", Bucket: "source", Key: "victim", Nth: nth, Times: times, Action: action}
}

func writing(times int, action s3test.Action) s3test.Fault {
	return s3test.Fault{Op: "PutObject", Bucket: "restored", Key: "victim", Times: times, Action: action}
}

func tagging(action s3test.Action) s3test.Fault {
	f := writing(s3test.Always, action)
	f.Match = func(r s3test.Request) bool { return r.Header.Get("X-Amz-Tagging") != "" }
	return f
}

const always = s3test.Always

// TestMisfortunes tells, for everything that happens to a bucket and on the
// way to it, what comes of the objects, what the program says, and that what
// it restores is what it said, and that nothing of it goes on.
func TestMisfortunes(t *testing.T) {
	wantQuiet(t)
	overwrite := func(b *s3test.Bucket) {
		b.Put("victim", []byte("another body"), s3test.Properties{ContentType: "text/new"})
	}
	for _, m := range []misfortune{
		{name: "a burst of 503s while listing", fault: listing(1, 3, s3test.Status(503, "SlowDown")),
			backup: wellDone, restore: wellDone},
		{name: "a page that has no next one, and says it has", fault: listing(1, 2, s3test.SetElement("IsTruncated", "true")),
			onePage: true, backup: wellDone, restore: wellDone},
		{name: "every page is such", fault: listing(1, always, s3test.SetElement("IsTruncated", "true")),
			onePage: true, status: exitFailed, error: "listing is not trustworthy", backup: nothing},
		{name: "a page is cut in the middle of the XML", fault: listing(1, 1, s3test.HalfBody()),
			backup: wellDone, restore: wellDone},
		{name: "every page is cut", fault: listing(1, always, s3test.HalfBody()),
			status: exitFailed, error: "list", backup: nothing},
		{name: "a listing with 200 and an error inside", fault: listing(1, 1, s3test.Body200Error("InternalError")),
			backup: wellDone, restore: wellDone},
		{name: "a listing that always fails", fault: listing(1, always, s3test.Status(500, "InternalError")),
			status: exitFailed, error: "list", backup: nothing},
		{name: "a listing that is not allowed", fault: listing(1, always, s3test.Status(403, "AccessDenied")),
			status: exitFailed, error: "s3:ListBucket", backup: nothing},
		{name: "a page that does not say where the next one is", fault: listing(1, 1, s3test.RemoveElement("NextContinuationToken")),
			backup: wellDone, restore: wellDone},
		{name: "no page does", fault: listing(1, always, s3test.RemoveElement("NextContinuationToken")),
			status: exitFailed, error: "listing is not trustworthy", backup: nothing},
		{name: "a later page is lost once", fault: turning(1, s3test.LoseAnswer()), backup: wellDone, restore: wellDone},
		{name: "a later page is cut once", fault: turning(1, s3test.HalfBody()), backup: wellDone, restore: wellDone},
		{name: "no token is taken", fault: turning(always, s3test.Status(400, "InvalidArgument")), backup: wellDone, restore: wellDone},
		{name: "the later pages are cut", fault: skipping(s3test.HalfBody()),
			status: exitFailed, error: "listing is not trustworthy", midway: true},
		{name: "the later pages fail", fault: skipping(s3test.Status(500, "InternalError")),
			status: exitFailed, error: "list", midway: true},
		{name: "the later pages are not allowed", fault: skipping(s3test.Status(403, "AccessDenied")),
			status: exitFailed, error: "s3:ListBucket", midway: true},
		{name: "a later page comes again and again", fault: skipping(s3test.Replay()),
			status: exitFailed, error: "listing is not trustworthy", midway: true},
		{name: "the credentials expire", fault: s3test.Fault{Op: "GetObject", Bucket: "source", Times: always, Action: s3test.Status(400, "ExpiredToken")},
			status: exitFailed, error: "credentials", ends: true},

		{name: "overwritten before it is read", change: overwrite, fault: reading(1, 1, nil), backup: wellDone, restore: wellDone},
		{name: "deleted before it is read", change: func(b *s3test.Bucket) { b.Delete("victim") }, fault: reading(1, 1, nil),
			backup: oneGone, restore: fourOfFour, warning: s3kloset.WarnGone},
		{name: "listed, and not there", fault: reading(1, always, s3test.Status(404, "NoSuchKey")),
			status: exitFailed, error: "listed but cannot be read", backup: oneFailed, restore: fourOfFour},
		{name: "not allowed to be read", fault: reading(1, always, s3test.Status(403, "AccessDenied")),
			status: exitFailed, error: "s3:GetObject", backup: oneFailed, restore: fourOfFour},
		{name: "tags answered by a page that is not S3's", fault: s3test.Fault{Op: "GetObjectTagging", Key: "victim", Times: always, Action: s3test.StatusHTML(200)},
			status: exitFailed, error: "nothing of what S3 answers", backup: oneFailed, restore: fourOfFour},
		{name: "tags that may not be read", fault: s3test.Fault{Op: "GetObjectTagging", Key: "victim", Times: always, Action: s3test.Status(403, "AccessDenied")},
			backup: wellDone, restore: wellDone, warning: s3kloset.WarnTags},
		{name: "archived", fault: reading(1, always, s3test.Status(403, "InvalidObjectState")),
			status: exitFailed, error: "archive", backup: oneFailed, restore: fourOfFour},

		{name: "reset in the middle of the body", fault: reading(1, 1, s3test.ResetAfter(1000)), backup: wellDone, restore: wellDone},
		{name: "cut in the middle of the body", fault: reading(1, 2, s3test.CutAfter(1000)), backup: wellDone, restore: wellDone},
		{name: "silence in the middle of the body", fault: reading(1, 1, s3test.StallAfter(1000)), backup: wellDone, restore: wellDone,
			options: []string{"-option", "idle_timeout=300ms"}},
		{name: "too short, and says so", fault: reading(1, 1, s3test.ShortLength(1000)), backup: wellDone, restore: wellDone},
		{name: "always too short", fault: reading(1, always, s3test.ShortLength(1000)),
			status: exitFailed, error: "bytes", backup: oneFailed, restore: fourOfFour},
		{name: "bytes after the end", fault: reading(1, 1, s3test.ExtraBytes(10)), backup: wellDone, restore: wellDone},
		{name: "a flipped bit, and a checksum", fault: reading(1, always, s3test.FlipBit(77)),
			status: exitFailed, error: "checksum", backup: oneFailed, restore: fourOfFour},

		{name: "a target that allows it not", fault: writing(always, s3test.Status(403, "AccessDenied")),
			status: exitFailed, error: "s3:PutObject", backup: wellDone, restore: oneFailed},
		{name: "a target that answers 500 once", fault: writing(1, s3test.Status(500, "InternalError")),
			backup: wellDone, restore: wellDone},
		{name: "a target whose answer is lost", fault: writing(1, s3test.LoseAnswer()), backup: wellDone, restore: wellDone},
		{name: "a target behind a page that wants a login", fault: writing(always, s3test.StatusHTML(200)),
			status: exitFailed, error: "nothing of what S3 answers", backup: wellDone, restore: oneFailed},
		{name: "a target that is full", fault: writing(always, s3test.Status(403, "QuotaExceeded")),
			status: exitFailed, error: "quota", backup: wellDone, restore: oneFailed},
		{name: "a class that the target does not have", fault: writing(1, s3test.Status(400, "InvalidStorageClass")),
			backup: wellDone, restore: wellDone, warning: s3kloset.WarnStorageClass},
		{name: "tags that the target does not have", fault: tagging(s3test.Status(501, "NotImplemented")),
			backup: wellDone, restore: wellDone, warning: s3kloset.WarnTags},
	} {
		t.Run(m.name, func(t *testing.T) { m.happen(t) })
	}
}

func (m misfortune) happen(t *testing.T) {
	t.Parallel()
	pageSize := 2
	if m.onePage {
		pageSize = 1000
	}
	server, options := service(t, s3test.WithPageSize(pageSize))
	source := server.Bucket("source")
	fillLittle(source)
	source.Put("victim", bytes.Repeat([]byte("v"), 5000), s3test.Properties{
		Tags: map[string]string{"k": "v"}, StorageClass: "STANDARD_IA",
	}, s3test.WithChecksum("CRC32"), s3test.ModifiedAt(time.Now().Add(-time.Hour)))
	target := server.CreateBucket("restored")
	if m.change != nil {
		m.fault.Action = s3test.RunFirst(func() { m.change(source) })
	}
	server.Faults().Add(m.fault)
	options[len(options)-1] = "retries=5"
	args := append([]string{"-source", "s3://source", "-plaintext", "-store", filepath.Join(t.TempDir(), "r"), "-restore", "s3://restored"},
		append(options, m.options...)...)

	r := want(t, m.status, args...)
	server.Faults().VerifyAll(t)
	if !strings.Contains(r.Error, m.error) {
		t.Errorf("error %q, want %q", r.Error, m.error)
	}
	var backup, restore s3kloset.Outcome
	if r.Backup != nil {
		backup = r.Backup.Outcome
	}
	if r.Restore != nil {
		restore = r.Restore.Outcome
	}
	t.Logf("exit %d; backup %s; restore %s; %s", m.status, fates(backup), fates(restore), r.Error)
	if m.ends {
		if backup.Failed == 0 || backup.Failed > 5 {
			t.Errorf("%d objects failed, want one to five", backup.Failed)
		}
		m.backup = s3kloset.Counts{Listed: backup.Failed, Failed: backup.Failed}
	}
	if m.midway {
		if backup.Listed > 5 || backup.Listed != backup.Stored+backup.Failed || r.Backup.Snapshot.ID != "" {
			t.Errorf("backup: %s, snapshot %q", fates(backup), r.Backup.Snapshot.ID)
		}
		m.backup = backup.Counts
	}
	if got := fates(backup); got != fates(s3kloset.Outcome{Counts: m.backup}) {
		t.Errorf("backup: %s", got)
	}
	if got := fates(restore); got != fates(s3kloset.Outcome{Counts: m.restore}) {
		t.Errorf("restore: %s", got)
	}
	if m.warning != "" && backup.Warnings[m.warning] == nil && restore.Warnings[m.warning] == nil {
		t.Errorf("no warning of %s: %v, %v", m.warning, backup.Warnings, restore.Warnings)
	}
	if got := int64(target.Len()); got != restore.Stored {
		t.Errorf("%d objects are in the target, %d in the report", got, restore.Stored)
	}
	for _, o := range target.Dump() {
		if was, _ := source.Get(o.Key); !bytes.Equal(was.Body, o.Body) || was.ContentType != o.ContentType {
			t.Errorf("%q is restored with %d bytes, type %s", o.Key, len(o.Body), o.ContentType)
		}
	}
	if n := target.Uploads(); n > 0 {
		t.Errorf("%d uploads are left", n)
	}
}

// fates says what became of the objects of a run.
func fates(o s3kloset.Outcome) string {
	return fmt.Sprintf("%d listed, %d stored, %d gone, %d failed", o.Listed, o.Stored, o.Gone, o.Failed)
}
