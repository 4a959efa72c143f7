package e2e_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/e2e/server"
	"github.com/s3kloset/s3kloset/internal/s3test"
	"github.com/s3kloset/s3kloset/internal/s3test/conformance"
)

// voyage takes a small cargo over a connection that misbehaves on order. The cargo makes
// every kind of request that a backup and a restore can make.
type voyage struct {
	shore    site // the server as it is
	sea      site // as s3kloset sees it: through the proxy
	proxy    *s3test.Proxy
	original string
	repo     string
	restored string
}

// cargo has something to fetch ahead, something to stream, and a body that is large enough
// to be uploaded in parts as an object and, with the rest, as a packfile.
var cargo = []exhibit{
	show("empty").holding(nil),
	show("folder/").holding(nil),
	show("folder/described", "Content-Type", "text/plain", "Cache-Control", "no-store", "x-amz-meta-a", "1", "x-amz-tagging", "t=1"),
	show("folder/small").holding(noise(10, 10<<10)),
	show("large").inParts(noise(11, 8*mib), noise(12, 8*mib), noise(13, mib)),
}

func embark(t *testing.T, s *server.Server) *voyage {
	shore := newSite(t, s)
	sea, proxy := shore.behindProxy(t)
	v := &voyage{
		shore, sea, proxy,
		shore.newName(t, "original"), shore.newName(t, "repo"), shore.newName(t, "restored"),
	}
	shore.fill(t, v.original, cargo)
	return v
}

// run backs up, checks, restores, and backs up again. Whatever happens on the way, all must be well in the
// end.
func (v *voyage) run(t *testing.T) *s3kloset.Store {
	t.Helper()
	store := v.sea.store(t, v.repo)
	repo, err := s3kloset.CreateRepository(t.Context(), store, s3kloset.WithPlaintext())
	if err != nil {
		t.Fatal(err)
	}
	backup, err := repo.Backup(t.Context(), v.sea.open(t, v.original).Source())
	if err != nil {
		t.Fatal(err)
	}
	total := int64(len(cargo))
	wantCounts(t, backup.Counts, s3kloset.Counts{Listed: total, Stored: total, Bytes: backup.Snapshot.Bytes})
	if err := repo.Check(t.Context(), backup.Snapshot.ID); err != nil {
		t.Fatal(err)
	}
	restore, err := repo.Restore(t.Context(), backup.Snapshot.ID, v.sea.open(t, v.restored, s3kloset.WithCreateBucket(true)).Destination())
	if err != nil {
		t.Fatal(err)
	}
	wantCounts(t, restore.Counts, backup.Counts)
	v.runAgain(t, repo, backup.Snapshot.ID)
	closeRepository(t, repo)

	var keys []string
	for _, e := range cargo {
		keys = append(keys, e.key)
	}
	slices.Sort(keys)
	v.shore.compare(t, v.restored, v.original, keys)
	return store
}

// runAgain backs up what has not changed since, and asks for no object.
func (v *voyage) runAgain(t *testing.T, repo *s3kloset.Repository, parent string) {
	t.Helper()
	backup, err := repo.Backup(t.Context(), v.sea.open(t, v.original).Source())
	if err != nil {
		t.Fatal(err)
	}
	total := int64(len(cargo))
	wantCounts(t, backup.Counts, s3kloset.Counts{Listed: total, Unchanged: total})
	if backup.Parent != parent || backup.Requests["GetObject"] > 0 || backup.Requests["HeadObject"] > 0 {
		t.Errorf("the backup of what has not changed is compared with %q, and made requests %v", backup.Parent, backup.Requests)
	}
}

// wantTidy demands that nothing is left over in the buckets that were written.
func (v *voyage) wantTidy(t *testing.T) {
	t.Helper()
	v.shore.wantNoLocks(t, v.repo)
	v.shore.wantUploads(t, v.repo, 0)
	v.shore.wantUploads(t, v.restored, 0)
}

// call is a kind of request: an operation on one of the three buckets.
type call struct {
	role      string
	operation string
	answered  bool // with a body
}

// calls returns the kinds of requests that were made.
func (v *voyage) calls() []call {
	answered := make(map[call]bool)
	for _, r := range v.proxy.Requests() {
		c := call{role: v.role(r.Bucket), operation: r.Op}
		if c.role != "" {
			answered[c] = answered[c] || r.Sent > 0 && r.Status < 300
		}
	}
	var calls []call
	for c, body := range answered {
		c.answered = body
		calls = append(calls, c)
	}
	slices.SortFunc(calls, func(a, b call) int {
		return cmp.Or(strings.Compare(a.role, b.role), strings.Compare(a.operation, b.operation))
	})
	return calls
}

func (v *voyage) role(bucket string) string {
	return map[string]string{v.original: "original", v.repo: "repo", v.restored: "restored"}[bucket]
}

func (v *voyage) bucket(role string) string {
	return map[string]string{"original": v.original, "repo": v.repo, "restored": v.restored}[role]
}

// misfortune is a fault that any server meets its clients with, sooner or later.
type misfortune struct {
	name   string
	action s3test.Action
	done   bool // the server has done what it was asked to
	bodies bool // needs an answer with a body
}

var misfortunes = []misfortune{
	{name: "500", action: s3test.Status(500, "InternalError")},
	{name: "503 with Retry-After", action: s3test.Status(503, "SlowDown", "Retry-After: 1")},
	{name: "reset", action: s3test.Reset()},
	{name: "answer lost", action: s3test.LoseAnswer(), done: true},
	{name: "body cut", action: s3test.CutAfter(20), done: true, bodies: true},
}

// TestRoadUnderFaults lets each kind of request fail once, in each way, one at a time.
func TestRoadUnderFaults(t *testing.T) {
	t.Parallel()
	for _, name := range []conformance.Server{conformance.S3Test, conformance.MinIO, conformance.Versity} {
		t.Run(string(name), func(t *testing.T) {
			s := server.Shared(t, name)
			for _, c := range callsOfRoad(t, s) {
				for _, m := range misfortunes {
					if m.bodies && !c.answered || name == conformance.Versity && !c.worst() {
						continue
					}
					t.Run(fmt.Sprintf("%s %s %s", c.role, c.operation, m.name), func(t *testing.T) {
						t.Parallel()
						embark(t, s).meet(t, c, m)
					})
				}
			}
		})
	}
}

// callsOfRoad makes the voyage where nothing goes wrong, and tells what it needs.
func callsOfRoad(t *testing.T, s *server.Server) []call {
	t.Helper()
	calm := embark(t, s)
	calm.run(t)
	calm.wantTidy(t)
	calls := calm.calls()
	for _, role := range []string{"repo", "restored"} {
		for _, operation := range []string{
			"ListObjectsV2", "PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload",
		} {
			if !slices.ContainsFunc(calls, func(c call) bool { return c.role == role && c.operation == operation }) {
				t.Errorf("the cargo needs no %s on %s: %v", operation, role, calls)
			}
		}
	}
	return calls
}

// worst are the calls that carry the bytes of objects, and the one that ends an upload.
func (c call) worst() bool {
	return c.operation == "GetObject" || c.operation == "UploadPart" || c.operation == "CompleteMultipartUpload"
}

// meet runs the voyage with one misfortune.
func (v *voyage) meet(t *testing.T, c call, m misfortune) {
	v.proxy.Faults().Add(s3test.Fault{
		Name: m.name, Op: c.operation, Bucket: v.bucket(c.role), Action: m.action,
		// Objects without bytes have nothing to cut.
		Match: func(r s3test.Request) bool { return r.Key != "empty" && r.Key != "folder/" },
	})
	store := v.run(t)
	v.proxy.Faults().VerifyAll(t)
	if m.done && c.operation == "CreateMultipartUpload" {
		// An upload was begun of which nobody got to know. The bucket has rules for that;
		// a store can also be told to look.
		v.shore.wantUploads(t, v.bucket(c.role), 1)
		if c.role == "restored" {
			return
		}
		if report, err := store.CleanUp(t.Context(), 0); err != nil || report.Aborted != 1 {
			t.Errorf("clean-up: %+v, %v", report, err)
		}
	}
	v.wantTidy(t)
}
