package s3kloset_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/s3test"
	"github.com/s3kloset/s3kloset/internal/s3test/sigv4"
)

// patient is a bucket of a server in memory, with something wrong.
type patient struct {
	t      *testing.T
	server *s3test.Server
	bucket *s3test.Bucket
}

func newPatient(t *testing.T, options ...s3test.Option) *patient {
	t.Helper()
	server := s3test.Start(t, options...)
	return &patient{t, server, server.CreateBucket("patient")}
}

// handle is a handle on the folder data of the bucket. Options of the case win.
func (p *patient) handle(opts ...s3kloset.Option) *s3kloset.Bucket {
	p.t.Helper()
	all := append([]s3kloset.Option{
		s3kloset.WithEndpoint(p.server.URL()),
		s3kloset.WithCredentials(p.server.AccessKey(), p.server.SecretKey(), ""),
	}, opts...)
	b, err := s3kloset.New("s3://patient/data", all...)
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { b.Close() })
	return b
}

func (p *patient) diagnose(role s3kloset.Role, opts ...s3kloset.Option) *s3kloset.Diagnosis {
	p.t.Helper()
	d, err := p.handle(opts...).Diagnose(p.t.Context(), role)
	if err != nil {
		p.t.Fatal(err)
	}
	return d
}

// fill puts objects into the folder and beside it.
func (p *patient) fill() {
	p.bucket.Put("data/a", []byte("some bytes"), s3test.Properties{}, s3test.WithChecksum("CRC64NVME"))
	p.bucket.Put("data/b", []byte("more bytes than before"), s3test.Properties{}, s3test.WithChecksum("CRC64NVME"))
	p.bucket.Put("database", []byte("not below data"), s3test.Properties{})
}

var (
	allRoles  = []s3kloset.Role{s3kloset.RoleSource, s3kloset.RoleDestination, s3kloset.RoleStore}
	bothWrite = allRoles[1:]
)

// table is a diagnosis as a text, for failed tests.
func table(d *s3kloset.Diagnosis) string {
	var b strings.Builder
	for _, f := range d.Findings {
		fmt.Fprintf(&b, "\n%-18s %-9s %s", f.Check, f.Verdict, f.Detail)
		if f.Remedy != "" {
			fmt.Fprintf(&b, " | %s", f.Remedy)
		}
		if f.Err != nil {
			fmt.Fprintf(&b, " | %v", f.Err)
		}
	}
	return b.String()
}

func TestDiagnoseHealthy(t *testing.T) {
	for _, role := range allRoles {
		t.Run(role.String(), func(t *testing.T) {
			p := newPatient(t, s3test.WithDefaultChecksum())
			p.fill()
			before := p.bucket.Len()
			d := p.diagnose(role)
			if d.Verdict() != s3kloset.VerdictOK {
				t.Errorf("verdict is %v:%s", d.Verdict(), table(d))
			}
			if p.bucket.Len() != before || p.bucket.Uploads() != 0 {
				t.Errorf("left behind: %q and %d uploads", p.bucket.Keys(), p.bucket.Uploads())
			}
			if n := len(p.server.Requests()); n > 60 {
				t.Errorf("%d requests for one diagnosis", n)
			}
			var counted int64
			for _, n := range d.Requests {
				counted += n
			}
			if int(counted) != p.server.Count("") {
				t.Errorf("%d requests are told, %d were made", counted, p.server.Count(""))
			}
		})
	}
}

func TestDiagnoseNeverWritesToASource(t *testing.T) {
	p := newPatient(t)
	p.fill()
	p.diagnose(s3kloset.RoleSource)
	for _, r := range p.server.Requests() {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			t.Errorf("%s %s %s", r.Method, r.Op, r.Key)
		}
	}
}

func TestDiagnoseEmptySource(t *testing.T) {
	d := newPatient(t).diagnose(s3kloset.RoleSource)
	for check, want := range map[s3kloset.Check]s3kloset.Verdict{
		s3kloset.CheckGet:    s3kloset.VerdictOK, // the permission shows without an object
		s3kloset.CheckTags:   s3kloset.VerdictOK,
		s3kloset.CheckRanges: s3kloset.VerdictUntested,
	} {
		if f, ok := d.Finding(check); !ok || f.Verdict != want {
			t.Errorf("%s is %v, want %v:%s", check, f.Verdict, want, table(d))
		}
	}
}

// malady is one thing that is wrong, and how it must be found.
type malady struct {
	name    string
	roles   []s3kloset.Role
	server  []s3test.Option
	afflict func(*patient)
	opts    []s3kloset.Option

	check   s3kloset.Check
	verdict s3kloset.Verdict
	says    string // in detail, remedy or error
	action  string // in actions
	kind    error  // of the cause; nil is any
	unmet   bool   // what is wrong is not asked for
}

// always injects a fault into each request for an operation, or into each at
// all.
func always(op string, action s3test.Action) func(*patient) {
	return func(p *patient) {
		p.server.Faults().Add(s3test.Fault{Op: op, Times: s3test.Always, Action: action})
	}
}

func denied(op string) func(*patient) { return always(op, s3test.Status(403, "AccessDenied")) }

// refuseLocks is what a policy without s3:PutObjectRetention does.
func refuseLocks(p *patient) {
	p.server.Faults().Add(s3test.Fault{Times: s3test.Always, Action: s3test.Status(403, "AccessDenied"),
		Match: func(r s3test.Request) bool { return r.Header.Get("X-Amz-Object-Lock-Mode") != "" }})
}

func without(features ...s3test.Feature) []s3test.Option {
	return []s3test.Option{s3test.WithoutFeature(features...)}
}

func clockAhead(d time.Duration) []s3test.Option {
	return []s3test.Option{s3test.WithClock(s3test.NewManualClock(time.Now().Add(d)))}
}

var (
	source      = []s3kloset.Role{s3kloset.RoleSource}
	destination = []s3kloset.Role{s3kloset.RoleDestination}
	store       = []s3kloset.Role{s3kloset.RoleStore}
	bothList    = []s3kloset.Role{s3kloset.RoleSource, s3kloset.RoleStore}
	bothTag     = []s3kloset.Role{s3kloset.RoleSource, s3kloset.RoleDestination}
)

// maladiesOfContact keep the server from being used at all.
var maladiesOfContact = []malady{
	{name: "web page", roles: allRoles, afflict: always("", s3test.StatusHTML(200)),
		check: s3kloset.CheckReach, verdict: s3kloset.VerdictBroken, says: "not as an S3 does", kind: s3kloset.ErrListing},
	{name: "page not found", roles: allRoles, afflict: always("", s3test.StatusHTML(404)),
		check: s3kloset.CheckReach, verdict: s3kloset.VerdictBroken, says: "not as an S3 does"},
	{name: "server error", roles: allRoles, afflict: always("", s3test.Status(500, "InternalError")),
		check: s3kloset.CheckReach, verdict: s3kloset.VerdictBroken, says: "answers 500"},
	{name: "overload", roles: allRoles, afflict: always("", s3test.Status(503, "SlowDown")),
		check: s3kloset.CheckReach, verdict: s3kloset.VerdictBroken, says: "answers 503", kind: s3kloset.ErrThrottled},
	{name: "nobody there", roles: allRoles, afflict: func(p *patient) { p.server.Close() },
		check: s3kloset.CheckReach, verdict: s3kloset.VerdictBroken, says: "takes no connection", kind: s3kloset.ErrUnreachable},
	{name: "resets", roles: allRoles, afflict: always("", s3test.Reset()),
		check: s3kloset.CheckReach, verdict: s3kloset.VerdictBroken, kind: s3kloset.ErrUnreachable},
	{name: "plain HTTP", roles: allRoles,
		check: s3kloset.CheckTLS, verdict: s3kloset.VerdictOK, says: "stays on this machine"},

	{name: "time refused", roles: allRoles, server: clockAhead(time.Hour),
		check: s3kloset.CheckClock, verdict: s3kloset.VerdictBroken, says: "set the clock", kind: s3kloset.ErrCredentials},
	{name: "clock behind", roles: allRoles, server: clockAhead(2 * time.Hour),
		afflict: always("", s3test.SetHeader("Date", time.Now().Add(2*time.Hour).UTC().Format(http.TimeFormat))),
		check:   s3kloset.CheckClock, verdict: s3kloset.VerdictDegraded, says: "behind the server's"},

	{name: "unknown access key", roles: allRoles, opts: []s3kloset.Option{s3kloset.WithCredentials("NOBODY", "secret", "")},
		check: s3kloset.CheckIdentity, verdict: s3kloset.VerdictBroken, says: "does not know the access key NOBODY", kind: s3kloset.ErrCredentials},
	{name: "wrong secret", roles: allRoles, opts: []s3kloset.Option{s3kloset.WithCredentials("S3TESTACCESSKEY", "wrong", "")},
		check: s3kloset.CheckIdentity, verdict: s3kloset.VerdictBroken, says: "correct the secret key", kind: s3kloset.ErrCredentials},
	{name: "wrong token", roles: allRoles, opts: []s3kloset.Option{s3kloset.WithCredentials("S3TESTACCESSKEY", "s3test+secret/key", "token")},
		check: s3kloset.CheckIdentity, verdict: s3kloset.VerdictBroken, says: "session token", kind: s3kloset.ErrCredentials},
	{name: "expired", roles: allRoles, afflict: always("", s3test.Status(400, "ExpiredToken")),
		check: s3kloset.CheckIdentity, verdict: s3kloset.VerdictBroken, says: "expired", kind: s3kloset.ErrCredentials},

	{name: "no bucket", roles: allRoles, afflict: func(p *patient) { p.server.RemoveBucket("patient") },
		check: s3kloset.CheckBucket, verdict: s3kloset.VerdictBroken, says: "no bucket patient", kind: s3kloset.ErrBucketNotFound},
	{name: "bucket to be made", roles: bothWrite, opts: []s3kloset.Option{s3kloset.WithCreateBucket(true)},
		afflict: func(p *patient) { p.server.RemoveBucket("patient") },
		check:   s3kloset.CheckBucket, verdict: s3kloset.VerdictDegraded, says: "before the first write"},
	{name: "wrong region", roles: allRoles, server: []s3test.Option{s3test.WithRegion("eu-west-3")},
		opts:  []s3kloset.Option{s3kloset.WithRegion("us-east-1")},
		check: s3kloset.CheckBucket, verdict: s3kloset.VerdictDegraded, says: "in eu-west-3, not in us-east-1"},
	{name: "wrong region, told in the document", roles: allRoles,
		server: []s3test.Option{s3test.WithRegion("eu-west-3"), s3test.WithoutFeature(s3test.RegionHeader)},
		opts:   []s3kloset.Option{s3kloset.WithRegion("us-east-1")},
		check:  s3kloset.CheckBucket, verdict: s3kloset.VerdictDegraded, says: "in eu-west-3, not in us-east-1"},
	{name: "wrong region, not told", roles: allRoles, server: []s3test.Option{s3test.WithRegion("eu-west-3")},
		opts:    []s3kloset.Option{s3kloset.WithRegion("us-east-1")},
		afflict: always("", s3test.Chain(s3test.SetHeader("X-Amz-Bucket-Region", ""), s3test.RemoveElement("Region"))),
		check:   s3kloset.CheckBucket, verdict: s3kloset.VerdictBroken, says: "us-east-1", kind: s3kloset.ErrWrongRegion},
}

// maladiesOfPermission are what a policy may leave out.
var maladiesOfPermission = []malady{
	{name: "list denied", roles: bothList, afflict: denied("ListObjectsV2"),
		check: s3kloset.CheckList, verdict: s3kloset.VerdictBroken, says: "on arn:aws:s3:::patient", action: "s3:ListBucket", kind: s3kloset.ErrAccessDenied},
	{name: "list denied", roles: destination, afflict: denied("ListObjectsV2"),
		check: s3kloset.CheckList, verdict: s3kloset.VerdictDegraded, action: "s3:ListBucket", kind: s3kloset.ErrAccessDenied},
	{name: "get denied", roles: bothList, afflict: denied("GetObject"),
		check: s3kloset.CheckGet, verdict: s3kloset.VerdictBroken, says: "on arn:aws:s3:::patient/data/*", action: "s3:GetObject", kind: s3kloset.ErrAccessDenied},
	{name: "get denied, nothing there", roles: source, afflict: func(p *patient) {
		p.bucket.Delete("data/a")
		p.bucket.Delete("data/b")
		denied("GetObject")(p)
	},
		check: s3kloset.CheckGet, verdict: s3kloset.VerdictBroken, action: "s3:GetObject", kind: s3kloset.ErrAccessDenied},
	{name: "list and get denied", roles: source, afflict: denied(""),
		check: s3kloset.CheckGet, verdict: s3kloset.VerdictUntested, says: "who may not list"},
	{name: "get denied", roles: destination, afflict: denied("GetObject"),
		check: s3kloset.CheckGet, verdict: s3kloset.VerdictUntested, says: "does not need"},
	{name: "tags denied", roles: source, afflict: denied("GetObjectTagging"),
		check: s3kloset.CheckTags, verdict: s3kloset.VerdictBroken, action: "s3:GetObjectTagging", kind: s3kloset.ErrAccessDenied},
	{name: "put denied", roles: bothWrite, afflict: denied("PutObject"),
		check: s3kloset.CheckPut, verdict: s3kloset.VerdictBroken, action: "s3:PutObject", kind: s3kloset.ErrAccessDenied},
	{name: "delete denied", roles: store, afflict: denied("DeleteObject"),
		check: s3kloset.CheckDelete, verdict: s3kloset.VerdictBroken, action: "s3:DeleteObject", kind: s3kloset.ErrAccessDenied},
	{name: "delete denied", roles: destination, afflict: denied("DeleteObject"),
		check: s3kloset.CheckPut, verdict: s3kloset.VerdictOK, says: "aborted"},
	{name: "abort denied", roles: bothWrite, afflict: denied("AbortMultipartUpload"),
		check: s3kloset.CheckMultipart, verdict: s3kloset.VerdictBroken, action: "s3:AbortMultipartUpload", kind: s3kloset.ErrAccessDenied},
	{name: "put of tags denied", roles: destination,
		afflict: func(p *patient) {
			p.server.Faults().Add(s3test.Fault{Op: "PutObject", Times: s3test.Always, Action: s3test.Status(403, "AccessDenied"),
				Match: func(r s3test.Request) bool { return r.Header.Get("X-Amz-Tagging") != "" }})
		},
		check: s3kloset.CheckTags, verdict: s3kloset.VerdictBroken, action: "s3:PutObjectTagging", kind: s3kloset.ErrAccessDenied},
	{name: "versioning denied", roles: allRoles, afflict: denied("GetBucketVersioning"),
		check: s3kloset.CheckVersioning, verdict: s3kloset.VerdictUntested},
	{name: "lock denied", roles: allRoles, afflict: denied("GetObjectLockConfiguration"),
		check: s3kloset.CheckLock, verdict: s3kloset.VerdictUntested},
	{name: "retention denied", roles: source, afflict: func(p *patient) {
		p.bucket.EnableObjectLock()
		denied("GetObjectRetention")(p)
	},
		check: s3kloset.CheckLock, verdict: s3kloset.VerdictDegraded, action: "s3:GetObjectRetention", kind: s3kloset.ErrAccessDenied},
	{name: "retention denied", roles: store, opts: []s3kloset.Option{s3kloset.WithObjectLock(s3kloset.Governance, time.Hour)}, afflict: func(p *patient) {
		p.bucket.EnableObjectLock()
		denied("GetObjectRetention")(p)
	},
		check: s3kloset.CheckLock, verdict: s3kloset.VerdictDegraded, action: "s3:GetObjectRetention", kind: s3kloset.ErrAccessDenied},
	{name: "no lock for a store", roles: store, opts: []s3kloset.Option{s3kloset.WithObjectLock(s3kloset.Governance, time.Hour)},
		check: s3kloset.CheckLock, verdict: s3kloset.VerdictBroken, says: "without WithObjectLock (object_lock)"},
	{name: "no lock to restore", roles: destination, opts: []s3kloset.Option{s3kloset.WithRestoredLock(true)},
		check: s3kloset.CheckLock, verdict: s3kloset.VerdictBroken, says: "without WithRestoredLock (restore_lock)"},
	{name: "lock denied", roles: store, opts: []s3kloset.Option{s3kloset.WithObjectLock(s3kloset.Compliance, time.Hour)}, afflict: func(p *patient) {
		p.bucket.EnableObjectLock()
		refuseLocks(p)
	},
		check: s3kloset.CheckLock, verdict: s3kloset.VerdictBroken, says: "is refused allow s3:PutObjectRetention on arn:aws:s3:::patient/data/*",
		action: "s3:PutObjectRetention", kind: s3kloset.ErrAccessDenied},
	{name: "lock denied where there is one by default", roles: store, opts: []s3kloset.Option{s3kloset.WithObjectLock(s3kloset.Governance, time.Hour)},
		afflict: func(p *patient) {
			p.bucket.SetDefaultRetention("GOVERNANCE", 1)
			refuseLocks(p)
		},
		check: s3kloset.CheckLock, verdict: s3kloset.VerdictBroken, action: "s3:PutObjectRetention", kind: s3kloset.ErrAccessDenied},
	{name: "lock that cannot be tried", roles: store, opts: []s3kloset.Option{s3kloset.WithObjectLock(s3kloset.Governance, time.Hour)}, afflict: func(p *patient) {
		p.bucket.EnableObjectLock()
		denied("AbortMultipartUpload")(p)
	},
		check: s3kloset.CheckLock, verdict: s3kloset.VerdictUntested, says: "s3:PutObjectRetention"},
	{name: "lock that can be had", roles: store, opts: []s3kloset.Option{s3kloset.WithObjectLock(s3kloset.Compliance, time.Hour)},
		afflict: func(p *patient) { p.bucket.EnableObjectLock() },
		check:   s3kloset.CheckLock, verdict: s3kloset.VerdictOK, says: "what is written too"},
	{name: "no upload to try a lock", roles: store, opts: []s3kloset.Option{s3kloset.WithObjectLock(s3kloset.Governance, time.Hour)}, afflict: func(p *patient) {
		p.bucket.EnableObjectLock()
		denied("CreateMultipartUpload")(p)
	},
		check: s3kloset.CheckLock, verdict: s3kloset.VerdictUntested, says: "s3:PutObjectRetention"},
	{name: "lock by default", roles: bothWrite, afflict: func(p *patient) { p.bucket.SetDefaultRetention("GOVERNANCE", 1) },
		check: s3kloset.CheckLock, verdict: s3kloset.VerdictDegraded, says: "each new object (GOVERNANCE) nothing is written for the diagnosis"},
	{name: "uploads denied", roles: store, afflict: denied("ListMultipartUploads"),
		check: s3kloset.CheckMultipart, verdict: s3kloset.VerdictDegraded, action: "s3:ListBucketMultipartUploads", kind: s3kloset.ErrAccessDenied},
	{name: "uploads never listed", roles: store, afflict: always("ListMultipartUploads", s3test.Status(501, "NotImplemented")),
		check: s3kloset.CheckMultipart, verdict: s3kloset.VerdictDegraded, says: "cannot be listed", kind: errors.ErrUnsupported},
	{name: "versioning broken", roles: allRoles, afflict: always("GetBucketVersioning", s3test.Status(500, "InternalError")),
		check: s3kloset.CheckVersioning, verdict: s3kloset.VerdictBroken, says: "see the error of the server"},
	{name: "versioning throttled", roles: allRoles, afflict: always("GetBucketVersioning", s3test.Status(503, "SlowDown")),
		check: s3kloset.CheckVersioning, verdict: s3kloset.VerdictBroken, says: "requests_per_second", kind: s3kloset.ErrThrottled},
	{name: "lock unknown", roles: allRoles, afflict: always("GetObjectLockConfiguration", s3test.Status(501, "NotImplemented")),
		check: s3kloset.CheckLock, verdict: s3kloset.VerdictOK, says: "no object lock"},
	{name: "lock taken for a listing", roles: allRoles,
		afflict: always("GetObjectLockConfiguration", s3test.RawBody(200, "application/xml", "<ListBucketResult><Contents><Key>\x01</Key></Contents></ListBucketResult>")),
		check:   s3kloset.CheckLock, verdict: s3kloset.VerdictOK, says: "no object lock"},
	{name: "lock broken", roles: allRoles, afflict: always("GetObjectLockConfiguration", s3test.Status(500, "InternalError")),
		check: s3kloset.CheckLock, verdict: s3kloset.VerdictBroken, says: "see the error of the server"},
	{name: "reading to compare denied", roles: destination, opts: []s3kloset.Option{s3kloset.WithOverwrite(s3kloset.OverwriteIfDifferent)},
		afflict: denied("GetObject"), check: s3kloset.CheckGet, verdict: s3kloset.VerdictBroken, action: "s3:GetObject", kind: s3kloset.ErrAccessDenied},
	{name: "tags of an object denied", roles: source, afflict: denied("GetObjectTagging"), opts: []s3kloset.Option{s3kloset.WithTagPolicy(s3kloset.TagsNever)},
		check: s3kloset.CheckTags, verdict: s3kloset.VerdictOK, unmet: true},
}

// maladiesOfServers are what servers lack, or do in their own way.
var maladiesOfServers = []malady{
	{name: "wrong order", roles: source, afflict: always("ListObjectsV2", swap("data/a<", "data/b<")),
		check: s3kloset.CheckListOrder, verdict: s3kloset.VerdictBroken, says: "out of order", kind: s3kloset.ErrListing},
	{name: "wrong order, as told", roles: source, opts: []s3kloset.Option{s3kloset.WithUnorderedListing(true)},
		afflict: always("ListObjectsV2", swap("data/a<", "data/b<")),
		check:   s3kloset.CheckListOrder, verdict: s3kloset.VerdictDegraded},
	{name: "wrong order", roles: store, afflict: always("ListObjectsV2", swap("order/A<", "order/a%21<")),
		check: s3kloset.CheckListOrder, verdict: s3kloset.VerdictBroken, says: "out of order", kind: s3kloset.ErrListing},
	{name: "incomplete", roles: store, afflict: always("ListObjectsV2", rewrite(func(body string) string { return strings.ReplaceAll(body, "order/A<", "order/a%21<") })),
		check: s3kloset.CheckListOrder, verdict: s3kloset.VerdictBroken},
	{name: "no start-after", roles: source, afflict: func(p *patient) {
		p.server.Faults().Add(s3test.Fault{Op: "ListObjectsV2", Times: s3test.Always, Action: s3test.RawBody(200, "application/xml", firstKeyAgain),
			Match: func(r s3test.Request) bool { return r.Query.Has("start-after") }})
	},
		check: s3kloset.CheckListOrder, verdict: s3kloset.VerdictDegraded, says: "from a key on"},
	{name: "second page begins anew", roles: source, server: []s3test.Option{s3test.WithPageSize(2)}, afflict: func(p *patient) {
		p.bucket.Put("data/c", []byte("on the second page"), s3test.Properties{})
		p.server.Faults().Add(s3test.Fault{Op: "ListObjectsV2", Times: s3test.Always,
			Action: rewrite(func(body string) string { return strings.ReplaceAll(body, "data/c<", "data/b<") }),
			Match:  func(r s3test.Request) bool { return r.Query.Has("continuation-token") }})
	},
		check: s3kloset.CheckListOrder, verdict: s3kloset.VerdictBroken, says: "does not continue the first do not use this server", kind: s3kloset.ErrListing},
	{name: "key that is no XML", roles: bothList, afflict: always("ListObjectsV2", swap("data/a<", "data/\x01<")),
		check: s3kloset.CheckList, verdict: s3kloset.VerdictDegraded, says: "copy such objects to other keys"},
	{name: "key that is no XML", roles: destination, afflict: always("ListObjectsV2", swap("data/a<", "data/\x01<")),
		check: s3kloset.CheckList, verdict: s3kloset.VerdictOK},
	{name: "keys not encoded", roles: bothList, server: without(s3test.URLEncoding),
		check: s3kloset.CheckListEncoding, verdict: s3kloset.VerdictDegraded},
	{name: "odd keys refused", roles: destination,
		afflict: func(p *patient) {
			p.server.Faults().Add(s3test.Fault{Op: "PutObject", Key: "*//*", Times: s3test.Always, Action: s3test.Status(400, "InvalidURI")})
		},
		check: s3kloset.CheckKeys, verdict: s3kloset.VerdictDegraded, says: `"a//b"`},

	{name: "odd keys lost", roles: destination, afflict: always("ListObjectsV2", swap("keys/a//b<", "keys/a/b<")),
		check: s3kloset.CheckKeys, verdict: s3kloset.VerdictDegraded, says: `"a//b" and does not list them`},

	{name: "other bytes", roles: bothWrite, afflict: func(p *patient) {
		p.server.Faults().Add(s3test.Fault{Op: "GetObject", Key: "*/object", Times: s3test.Always,
			Action: s3test.Chain(s3test.SetHeader("X-Amz-Checksum-Crc32", ""), s3test.FlipBit(0)),
			Match:  func(r s3test.Request) bool { return r.Header.Get("Range") == "" }})
	},
		check: s3kloset.CheckGet, verdict: s3kloset.VerdictBroken, says: "other bytes than were written do not use this server", kind: s3kloset.ErrChecksum},
	{name: "another piece", roles: bothWrite, afflict: func(p *patient) {
		p.server.Faults().Add(s3test.Fault{Op: "GetObject", Key: "*/object", Times: s3test.Always, Action: s3test.FlipBit(0),
			Match: func(r s3test.Request) bool { return r.Header.Get("Range") != "" }})
	},
		check: s3kloset.CheckRanges, verdict: s3kloset.VerdictBroken, says: "another piece than was asked for do not use this server", kind: s3kloset.ErrInvalidRange},
	{name: "ranges ignored", roles: allRoles, afflict: always("GetObject", s3test.IgnoreRange()),
		check: s3kloset.CheckRanges, verdict: s3kloset.VerdictDegraded},
	{name: "no checksums", roles: source, afflict: func(p *patient) { p.bucket.Put("data/0", []byte("0"), s3test.Properties{}) },
		check: s3kloset.CheckChecksums, verdict: s3kloset.VerdictDegraded},
	{name: "checksums not kept", roles: bothWrite, afflict: always("HeadObject", s3test.SetHeader("X-Amz-Checksum-Crc32", "")),
		check: s3kloset.CheckChecksums, verdict: s3kloset.VerdictDegraded, says: "does not keep"},
	{name: "checksums not verified", roles: bothWrite,
		afflict: func(p *patient) {
			p.server.Faults().Add(s3test.Fault{Op: "PutObject", Key: "*/damaged", Times: s3test.Always, Action: withoutHeaders("X-Amz-Checksum-")})
		},
		check: s3kloset.CheckChecksums, verdict: s3kloset.VerdictDegraded, says: "do not match"},
	{name: "checksums refused", roles: bothWrite, afflict: func(p *patient) {
		p.server.Faults().Add(s3test.Fault{Op: "PutObject", Times: s3test.Always, Action: s3test.Status(501, "NotImplemented"),
			Match: func(r s3test.Request) bool { return r.Header.Get("X-Amz-Checksum-Crc32") != "" }})
	},
		check: s3kloset.CheckPut, verdict: s3kloset.VerdictDegraded, says: "none are sent"},
	{name: "checksums refused by a vendor", roles: bothWrite, server: without(s3test.Checksums), opts: []s3kloset.Option{s3kloset.WithVendor("minio")},
		check: s3kloset.CheckPut, verdict: s3kloset.VerdictBroken, says: "no_checksums"},
	{name: "checksums off", roles: bothWrite, opts: []s3kloset.Option{s3kloset.WithoutChecksums(true)},
		check: s3kloset.CheckChecksums, verdict: s3kloset.VerdictDegraded, says: "as the option says"},
	{name: "header lost", roles: destination, afflict: always("HeadObject", s3test.SetHeader("Cache-Control", "")),
		check: s3kloset.CheckMetadata, verdict: s3kloset.VerdictDegraded, says: "loses Cache-Control"},
	{name: "redirects refused", roles: destination, server: without(s3test.WebsiteRedirects),
		check: s3kloset.CheckMetadata, verdict: s3kloset.VerdictDegraded, says: "refuses website redirects objects that have one are reported", kind: errors.ErrUnsupported},
	{name: "redirects refused and header lost", roles: destination, server: without(s3test.WebsiteRedirects),
		afflict: always("HeadObject", s3test.SetHeader("Expires", "")),
		check:   s3kloset.CheckMetadata, verdict: s3kloset.VerdictDegraded, says: "redirects; the server changes or loses Expires"},
	{name: "metadata refused", roles: destination, afflict: func(p *patient) {
		p.server.Faults().Add(s3test.Fault{Op: "PutObject", Key: "*/metadata", Times: s3test.Always, Action: s3test.Status(400, "InvalidArgument")})
	},
		check: s3kloset.CheckMetadata, verdict: s3kloset.VerdictBroken, says: "see the error of the server"},

	{name: "pieces as if they were all", roles: allRoles, server: without(s3test.PartialContent),
		check: s3kloset.CheckRanges, verdict: s3kloset.VerdictOK, says: "can be read"},
	{name: "tags overlooked", roles: source, server: without(s3test.Asides),
		check: s3kloset.CheckTags, verdict: s3kloset.VerdictDegraded, says: "has no tags", kind: errors.ErrUnsupported},
	{name: "no tags", roles: bothTag, server: without(s3test.Tagging),
		check: s3kloset.CheckTags, verdict: s3kloset.VerdictDegraded, says: "has no tags"},
	{name: "service without tags", roles: source, opts: []s3kloset.Option{s3kloset.WithVendor("garage")},
		check: s3kloset.CheckTags, verdict: s3kloset.VerdictDegraded, says: "service has no tags"},
	{name: "service without conditions", roles: bothWrite, opts: []s3kloset.Option{s3kloset.WithVendor("gcs")},
		check: s3kloset.CheckConditional, verdict: s3kloset.VerdictDegraded, says: "ignores conditions"},
	{name: "tags dropped", roles: destination, afflict: always("PutObject", withoutHeaders("X-Amz-Tagging")),
		check: s3kloset.CheckTags, verdict: s3kloset.VerdictDegraded, says: "drops them"},

	{name: "conditions ignored", roles: store, server: without(s3test.ConditionalWrites),
		check: s3kloset.CheckConditional, verdict: s3kloset.VerdictDegraded, says: "writes over"},
	{name: "conditions ignored", roles: destination, server: without(s3test.ConditionalWrites),
		check: s3kloset.CheckConditional, verdict: s3kloset.VerdictOK, says: "no need"},
	{name: "conditions ignored but needed", roles: destination, server: without(s3test.ConditionalWrites),
		opts:  []s3kloset.Option{s3kloset.WithOverwrite(s3kloset.SkipExisting)},
		check: s3kloset.CheckConditional, verdict: s3kloset.VerdictDegraded, says: "looked at before"},
	{name: "conditions ignored by a vendor", roles: destination, server: without(s3test.ConditionalWrites),
		opts:  []s3kloset.Option{s3kloset.WithOverwrite(s3kloset.SkipExisting), s3kloset.WithVendor("minio")},
		check: s3kloset.CheckConditional, verdict: s3kloset.VerdictBroken, says: "overwrite=never"},
	{name: "no multipart", roles: bothWrite, afflict: always("CreateMultipartUpload", s3test.Status(501, "NotImplemented")),
		check: s3kloset.CheckMultipart, verdict: s3kloset.VerdictBroken, kind: errors.ErrUnsupported},
	{name: "multipart checksums refused", roles: bothWrite, server: without(s3test.MultipartChecksums),
		check: s3kloset.CheckMultipart, verdict: s3kloset.VerdictDegraded, says: "none are sent"},
	{name: "multipart checksums refused by a vendor", roles: bothWrite, server: without(s3test.MultipartChecksums),
		opts:  []s3kloset.Option{s3kloset.WithVendor("minio")},
		check: s3kloset.CheckMultipart, verdict: s3kloset.VerdictBroken, says: "no_checksums"},
	{name: "checksums of parts refused", roles: bothWrite, server: without(s3test.CompletionSums),
		check: s3kloset.CheckMultipart, verdict: s3kloset.VerdictDegraded, says: "left out of the list"},
	{name: "checksums of parts refused by a vendor", roles: bothWrite, server: without(s3test.CompletionSums),
		opts:  []s3kloset.Option{s3kloset.WithVendor("minio")},
		check: s3kloset.CheckMultipart, verdict: s3kloset.VerdictBroken, says: "no_checksums"},
	{name: "no versioning", roles: allRoles, server: without(s3test.Versioning),
		check: s3kloset.CheckVersioning, verdict: s3kloset.VerdictOK, says: "no old versions"},
	{name: "encryption refused", roles: bothWrite, opts: []s3kloset.Option{s3kloset.WithEncryption(s3kloset.Encryption{Mode: "aws:kms"})},
		afflict: func(p *patient) {
			p.server.Faults().Add(s3test.Fault{Op: "PutObject", Times: s3test.Always, Action: s3test.Status(403, "AccessDenied"),
				Match: func(r s3test.Request) bool { return r.Header.Get("X-Amz-Server-Side-Encryption") != "" }})
		},
		check: s3kloset.CheckPut, verdict: s3kloset.VerdictBroken, kind: s3kloset.ErrAccessDenied},
	{name: "encryption ignored", roles: bothWrite, opts: []s3kloset.Option{s3kloset.WithEncryption(s3kloset.Encryption{Mode: "AES256"})},
		afflict: always("PutObject", withoutHeaders("X-Amz-Server-Side-Encryption")),
		check:   s3kloset.CheckPut, verdict: s3kloset.VerdictDegraded, says: "does not say that it encrypts"},
	{name: "encryption that can be had", roles: bothWrite, opts: []s3kloset.Option{s3kloset.WithEncryption(s3kloset.Encryption{Mode: "AES256"})},
		check: s3kloset.CheckPut, verdict: s3kloset.VerdictOK, says: "can be written"},
	{name: "class refused", roles: bothWrite, server: without(s3test.StorageClasses),
		opts:  []s3kloset.Option{s3kloset.WithStorageClass("STANDARD_IA")},
		check: s3kloset.CheckClasses, verdict: s3kloset.VerdictBroken, says: "STANDARD_IA"},
	{name: "class dropped", roles: bothWrite, afflict: always("PutObject", withoutHeaders("X-Amz-Storage-Class")),
		opts:  []s3kloset.Option{s3kloset.WithStorageClass("STANDARD_IA")},
		check: s3kloset.CheckClasses, verdict: s3kloset.VerdictDegraded, says: "does not say"},
	{name: "class kept", roles: bothWrite, opts: []s3kloset.Option{s3kloset.WithStorageClass("STANDARD_IA")},
		check: s3kloset.CheckClasses, verdict: s3kloset.VerdictOK, says: "STANDARD_IA"},
	{name: "archived", roles: source,
		afflict: func(p *patient) {
			p.bucket.Put("data/0", []byte("cold"), s3test.Properties{StorageClass: "GLACIER"})
		},
		check: s3kloset.CheckClasses, verdict: s3kloset.VerdictDegraded, says: "1 of the first 3"},
}

func TestDiagnoseFindsWhatIsWrong(t *testing.T) {
	for _, m := range slices.Concat(maladiesOfContact, maladiesOfPermission, maladiesOfServers) {
		for _, role := range m.roles {
			t.Run(m.name+"/"+role.String(), func(t *testing.T) {
				t.Parallel()
				m.test(t, role)
			})
		}
	}
}

// TestDiagnoseOfWhatIsWorkedAround: a server that lacks what can be done without
// is no broken one.
func TestDiagnoseOfWhatIsWorkedAround(t *testing.T) {
	for _, role := range bothWrite {
		p := newPatient(t, without(s3test.Checksums, s3test.MD5ETags, s3test.ConditionalWrites)...)
		p.fill()
		if d := p.diagnose(role); d.Verdict() != s3kloset.VerdictDegraded {
			t.Errorf("%v: verdict is %v:%s", role, d.Verdict(), table(d))
		}
	}
}

func (m malady) test(t *testing.T, role s3kloset.Role) {
	p := newPatient(t, m.server...)
	p.fill()
	if m.afflict != nil {
		m.afflict(p)
	}
	before := len(p.bucket.Versions())
	d := p.diagnose(role, m.opts...)
	if m.unmet != (len(p.server.Faults().Unfired()) > 0) {
		t.Errorf("not met: %q", p.server.Faults().Unfired())
	}
	f, found := d.Finding(m.check)
	text := fmt.Sprint(f.Detail, " ", f.Remedy, " ", f.Err)
	switch {
	case !found:
		t.Fatalf("nothing about %s:%s", m.check, table(d))
	case f.Verdict != m.verdict:
		t.Errorf("%s is %v, want %v:%s", m.check, f.Verdict, m.verdict, table(d))
	case !strings.Contains(text, m.says):
		t.Errorf("%s does not say %q:%s", m.check, m.says, table(d))
	case m.action != "" && !slices.Contains(f.Actions, m.action):
		t.Errorf("actions are %q, want %q:%s", f.Actions, m.action, table(d))
	case m.kind != nil && !errors.Is(f.Err, m.kind):
		t.Errorf("cause is %v, want %v:%s", f.Err, m.kind, table(d))
	case f.Verdict >= s3kloset.VerdictDegraded && f.Remedy == "":
		t.Errorf("%s has no remedy:%s", m.check, table(d))
	}
	if len(p.bucket.Versions()) != before || p.bucket.Uploads() != 0 {
		t.Errorf("left behind: %q and %d uploads", p.bucket.Keys(), p.bucket.Uploads())
	}
	if d.Verdict() < m.verdict {
		t.Errorf("the whole is %v, a part of it %v", d.Verdict(), m.verdict)
	}
}

// swap lists two keys in each other's place.
func swap(a, b string) s3test.Action {
	return rewrite(func(body string) string { return strings.NewReplacer(a, b, b, a).Replace(body) })
}

// rewrite changes the body of an answer.
func rewrite(change func(string) string) s3test.Action {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			held := &heldAnswer{header: make(http.Header), status: http.StatusOK}
			next.ServeHTTP(held, r)
			body := change(held.body.String())
			for name, values := range held.header {
				w.Header()[name] = values
			}
			w.Header().Set("Content-Length", fmt.Sprint(len(body)))
			w.WriteHeader(held.status)
			fmt.Fprint(w, body)
		})
	}
}

// heldAnswer is an answer that is kept back.
type heldAnswer struct {
	header http.Header
	status int
	body   strings.Builder
}

func (h *heldAnswer) Header() http.Header         { return h.header }
func (h *heldAnswer) WriteHeader(status int)      { h.status = status }
func (h *heldAnswer) Write(p []byte) (int, error) { return h.body.Write(p) }

// withoutHeaders serves a request as if it had no headers that begin so.
func withoutHeaders(prefix string) s3test.Action {
	keys := sigv4.Credentials{AccessKey: "S3TESTACCESSKEY", SecretKey: "s3test+secret/key"}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for name := range r.Header {
				if strings.HasPrefix(name, prefix) {
					r.Header.Del(name)
				}
			}
			sigv4.Sign(r, keys, "us-east-1", r.Header.Get("X-Amz-Content-Sha256"), time.Now())
			next.ServeHTTP(w, r)
		})
	}
}

// firstKeyAgain is what a server answers that takes no notice of start-after.
const firstKeyAgain = `<ListBucketResult><Name>patient</Name><IsTruncated>false</IsTruncated><EncodingType>url</EncodingType>
<Contents><Key>data%2Fa</Key><Size>10</Size></Contents></ListBucketResult>`

func TestDiagnoseTLS(t *testing.T) {
	day := 24 * time.Hour
	for _, c := range []struct {
		name      string
		server    []s3test.Option
		trust     bool
		elsewhere string // an endpoint whose connections end at the server
		opts      []s3kloset.Option
		verdict   s3kloset.Verdict
		says      string
	}{
		{name: "trusted", trust: true, verdict: s3kloset.VerdictOK, says: "TLS 1.3"},
		{name: "self-signed", verdict: s3kloset.VerdictBroken, says: "WithCAFile (ca_file)"},
		{name: "not looked at", opts: []s3kloset.Option{s3kloset.WithInsecureSkipVerify(true)},
			verdict: s3kloset.VerdictDegraded, says: "nobody looks at"},
		{name: "expired", trust: true, server: []s3test.Option{s3test.WithCertificateLife(time.Now().Add(-2*day), time.Now().Add(-day))},
			verdict: s3kloset.VerdictBroken, says: "out of its time"},
		{name: "other name", trust: true, elsewhere: "https://other.test",
			verdict: s3kloset.VerdictBroken, says: "another name"},
		{name: "asked without", trust: true, elsewhere: "http://other.test",
			verdict: s3kloset.VerdictBroken, says: "use https"},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := s3test.StartTLS(t, c.server...)
			server.CreateBucket("patient")
			opts := append([]s3kloset.Option{
				s3kloset.WithEndpoint(server.URL()), s3kloset.WithCredentials(server.AccessKey(), server.SecretKey(), ""),
			}, c.opts...)
			switch {
			case c.elsewhere != "":
				opts = append(opts, s3kloset.WithEndpoint(c.elsewhere), s3kloset.WithTransport(dialing(t, server)))
			case c.trust:
				file := filepath.Join(t.TempDir(), "ca.pem")
				if err := os.WriteFile(file, server.CAPEM(), 0o600); err != nil {
					t.Fatal(err)
				}
				opts = append(opts, s3kloset.WithCAFile(file))
			}
			b, err := s3kloset.New("s3://patient", opts...)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			d, err := b.Diagnose(t.Context(), s3kloset.RoleStore)
			if err != nil {
				t.Fatal(err)
			}
			f, _ := d.Finding(s3kloset.CheckTLS)
			if f.Verdict != c.verdict || !strings.Contains(f.Detail+f.Remedy, c.says) {
				t.Errorf("want %v and %q:%s", c.verdict, c.says, table(d))
			}
		})
	}
}

// What stands between us and the service is told from the service.
func TestDiagnoseWay(t *testing.T) {
	server := httptest.NewUnstartedServer(s3test.New())
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusProxyAuthRequired) }))
	t.Cleanup(proxy.Close)
	for _, c := range []struct {
		name  string
		opts  []s3kloset.Option
		check s3kloset.Check
		says  string
	}{
		{"no certificate", []s3kloset.Option{s3kloset.WithEndpoint(server.URL), s3kloset.WithInsecureSkipVerify(true)}, s3kloset.CheckTLS, "client_cert"},
		{"proxy is down", []s3kloset.Option{s3kloset.WithEndpoint("https://s3.test"), s3kloset.WithProxy("http://127.0.0.1:1")}, s3kloset.CheckReach, "WithProxy"},
		{"proxy refuses", []s3kloset.Option{s3kloset.WithEndpoint("https://s3.test"), s3kloset.WithProxy(proxy.URL)}, s3kloset.CheckReach, "WithProxy"},
		{"proxy refuses in plain", []s3kloset.Option{s3kloset.WithEndpoint("http://s3.test"), s3kloset.WithProxy(proxy.URL)}, s3kloset.CheckReach, "WithProxy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b, err := s3kloset.New("s3://patient", append(c.opts, s3kloset.WithCredentials("access", "secret", ""))...)
			if err != nil {
				t.Fatal(err)
			}
			defer b.Close()
			d, err := b.Diagnose(t.Context(), s3kloset.RoleSource)
			if err != nil {
				t.Fatal(err)
			}
			if f, _ := d.Finding(c.check); f.Verdict != s3kloset.VerdictBroken || !strings.Contains(f.Remedy, c.says) {
				t.Errorf("want %q:%s", c.says, table(d))
			}
		})
	}
}

// dialing connects to the server, whatever address is asked for.
func dialing(t *testing.T, server *s3test.Server) http.RoundTripper {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(server.CAPEM())
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: pool},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, server.Addr())
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

func TestDiagnoseWithoutCredentials(t *testing.T) {
	p := newPatient(t)
	cleanEnvironment(t)
	sealed := func(context.Context) (s3kloset.Keys, error) { return s3kloset.Keys{}, errors.New("vault is sealed") }
	for says, opts := range map[string][]s3kloset.Option{
		"WithAnonymous":   nil,
		"vault is sealed": {s3kloset.WithCredentialsProvider(sealed)},
	} {
		b, err := s3kloset.New("s3://patient", append(opts, s3kloset.WithEndpoint(p.server.URL()))...)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		d, err := b.Diagnose(t.Context(), s3kloset.RoleSource)
		if err != nil {
			t.Fatal(err)
		}
		f, _ := d.Finding(s3kloset.CheckIdentity)
		if f.Verdict != s3kloset.VerdictBroken || !errors.Is(f.Err, s3kloset.ErrCredentials) || !strings.Contains(fmt.Sprint(f.Remedy, f.Err), says) {
			t.Errorf("want %q:%s", says, table(d))
		}
		if p.server.Count("") > 0 {
			t.Error("there were requests")
		}
	}
}

// deadNetwork is one in which every request ends so.
type deadNetwork struct{ err error }

func (b deadNetwork) RoundTrip(*http.Request) (*http.Response, error) { return nil, b.err }

// TestDiagnoseNetwork tells the ways in which no answer comes from each other.
func TestDiagnoseNetwork(t *testing.T) {
	for says, err := range map[string]error{
		"there is no host s3.example.test":        &net.DNSError{Name: "s3.example.test", IsNotFound: true},
		"name s3.example.test cannot be resolved": &net.DNSError{Name: "s3.example.test", IsTemporary: true},
		"s3.example.test does not answer in time": &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded},
		"s3.example.test takes no connection":     &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED},
		"the proxy on the way to s3.example.test": &net.OpError{Op: "proxyconnect", Err: syscall.ECONNREFUSED},
	} {
		t.Run(says, func(t *testing.T) {
			b, openErr := s3kloset.New("s3://bucket", s3kloset.WithEndpoint("https://s3.example.test"),
				s3kloset.WithCredentials("AKID", "secret", ""), s3kloset.WithTransport(deadNetwork{err}))
			if openErr != nil {
				t.Fatal(openErr)
			}
			defer b.Close()
			d, openErr := b.Diagnose(t.Context(), s3kloset.RoleSource)
			if openErr != nil {
				t.Fatal(openErr)
			}
			f, _ := d.Finding(s3kloset.CheckReach)
			if f.Verdict != s3kloset.VerdictBroken || f.Remedy == "" || !strings.Contains(f.Detail, says) || !errors.Is(f.Err, s3kloset.ErrUnreachable) {
				t.Errorf("want %q:%s", says, table(d))
			}
		})
	}
}

// TestDiagnoseRole has an STS that gives no keys: it is named, and S3 is not blamed.
func TestDiagnoseRole(t *testing.T) {
	p := newPatient(t)
	p.fill()
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		io.WriteString(w, `<ErrorResponse><Error><Code>AccessDenied</Code><Message>not you</Message></Error></ErrorResponse>`)
	}))
	t.Cleanup(refuses.Close)
	plain := strings.Replace(refuses.URL, "http:", "https:", 1)
	gone := httptest.NewServer(nil)
	gone.Close()
	for _, c := range []struct {
		sts, says string
		kind      error
		actions   []string
	}{
		{refuses.URL, "does not give the keys", s3kloset.ErrCredentials, []string{"sts:AssumeRole"}},
		{gone.URL, "cannot be reached", s3kloset.ErrUnreachable, nil},
		{plain, "cannot be reached", s3kloset.ErrUnreachable, nil},
	} {
		d := p.diagnose(s3kloset.RoleStore, s3kloset.WithAssumeRole("arn:aws:iam::1:role/r", ""), s3kloset.WithSTSEndpoint(c.sts), s3kloset.WithRetries(0))
		f, _ := d.Finding(s3kloset.CheckIdentity)
		if f.Verdict != s3kloset.VerdictBroken || !errors.Is(f.Err, c.kind) || !slices.Equal(f.Actions, c.actions) ||
			!strings.Contains(f.Detail, c.says) || !strings.Contains(f.Detail, c.sts) {
			t.Errorf("want %q of %s:%s", c.says, c.sts, table(d))
		}
		for _, other := range d.Findings {
			if other.Verdict >= s3kloset.VerdictDegraded && other.Check != s3kloset.CheckIdentity {
				t.Errorf("%s is blamed: %+v", other.Check, other)
			}
		}
	}
	if n := p.server.Count(""); n > 0 {
		t.Errorf("S3 was asked %d times", n)
	}
}

func TestDiagnoseAnonymous(t *testing.T) {
	p := newPatient(t)
	p.bucket.SetPublic(true)
	p.fill()
	b, err := s3kloset.New("s3://patient/data", s3kloset.WithEndpoint(p.server.URL()), s3kloset.WithAnonymous(true))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	d, err := b.Diagnose(t.Context(), s3kloset.RoleSource)
	if err != nil {
		t.Fatal(err)
	}
	if !d.Identity.Anonymous || d.Verdict() > s3kloset.VerdictUntested {
		t.Error(table(d))
	}
}

func TestDiagnoseServerWithoutTLS(t *testing.T) {
	p := newPatient(t)
	d := p.diagnose(s3kloset.RoleSource, s3kloset.WithEndpoint("https://"+p.server.Addr()))
	if f, _ := d.Finding(s3kloset.CheckTLS); f.Verdict != s3kloset.VerdictBroken || !strings.Contains(f.Remedy, "use_tls") {
		t.Error(table(d))
	}
}

func TestDiagnoseBucketWithVersions(t *testing.T) {
	for _, role := range bothWrite {
		for _, told := range []bool{true, false} {
			t.Run(fmt.Sprintf("%v told %v", role, told), func(t *testing.T) {
				p := newPatient(t)
				p.bucket.SetVersioning(true)
				p.fill()
				if !told {
					denied("GetBucketVersioning")(p)
				}
				before := len(p.bucket.Versions())
				d := p.diagnose(role)
				if d.Verdict() > s3kloset.VerdictUntested {
					t.Error(table(d))
				}
				if got := p.bucket.Versions(); len(got) != before {
					t.Errorf("%d versions and markers were there, now there are %d: %v", before, len(got), got)
				}
			})
		}
	}
}

// Who may not remove versions cannot try anything without leaving some.
func TestDiagnoseWhereVersionsStay(t *testing.T) {
	p := newPatient(t)
	p.bucket.SetVersioning(true)
	p.server.Faults().Add(s3test.Fault{Op: "DeleteObject", Times: s3test.Always, Action: s3test.Status(403, "AccessDenied"),
		Match: func(r s3test.Request) bool { return r.Query.Has("versionId") }})
	d := p.diagnose(s3kloset.RoleStore)
	if f, _ := d.Finding(s3kloset.CheckPut); f.Verdict != s3kloset.VerdictOK || !strings.Contains(f.Detail, "aborted") {
		t.Error(table(d))
	}
	if got := p.bucket.Versions(); len(got) != 0 {
		t.Errorf("left behind: %v", got)
	}
}

// What cannot be removed is counted once, and the folder is named.
func TestDiagnoseLeavesBehind(t *testing.T) {
	for _, role := range bothWrite {
		t.Run(role.String(), func(t *testing.T) {
			p := newPatient(t)
			p.server.Faults().Add(s3test.Fault{Op: "DeleteObject", Key: "*/object", Times: s3test.Always, Action: s3test.Status(403, "AccessDenied")})
			d := p.diagnose(role)
			left := p.bucket.Keys()
			if len(left) != 1 {
				t.Fatalf("left behind: %q", left)
			}
			f, _ := d.Finding(s3kloset.CheckCleanUp)
			folder := strings.TrimSuffix(left[0], "object")
			if f.Verdict != s3kloset.VerdictDegraded || !strings.HasPrefix(f.Detail, "1 object") || !strings.Contains(f.Remedy, "remove the folder "+folder) ||
				!errors.Is(f.Err, s3kloset.ErrAccessDenied) || !slices.Contains(f.Actions, "s3:DeleteObject") {
				t.Errorf("%q was left:%s", left, table(d))
			}
			p.server.Faults().VerifyAll(t)
		})
	}
}

func TestDiagnoseCancelled(t *testing.T) {
	for _, op := range []string{"PutObject", "UploadPart", "HeadObject", "GetObject", "CompleteMultipartUpload"} {
		t.Run(op, func(t *testing.T) {
			p := newPatient(t)
			p.fill()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			p.server.Faults().Add(s3test.Fault{Op: op, Action: andThen(cancel)})
			d, err := p.handle().Diagnose(ctx, s3kloset.RoleStore)
			if !errors.Is(err, context.Canceled) {
				t.Fatalf("error is %v", err)
			}
			if f, ok := d.Finding(s3kloset.CheckReach); !ok || f.Verdict != s3kloset.VerdictOK {
				t.Errorf("findings until then are lost:%s", table(d))
			}
			for _, f := range d.Findings {
				if f.Verdict == s3kloset.VerdictBroken {
					t.Errorf("the end of the context is taken for a malady:%s", table(d))
				}
			}
			if keys := p.bucket.Keys(); len(keys) != 3 || p.bucket.Uploads() != 0 {
				t.Errorf("left behind: %q and %d uploads", keys, p.bucket.Uploads())
			}
			p.server.Faults().VerifyAll(t)
		})
	}
}

// andThen calls f when the server has done what it was asked, and before the
// client can know.
func andThen(f func()) s3test.Action {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			held := &heldAnswer{header: make(http.Header), status: http.StatusOK}
			next.ServeHTTP(held, r)
			f()
			panic(http.ErrAbortHandler)
		})
	}
}

func TestDiagnoseRefuses(t *testing.T) {
	p := newPatient(t)
	b := p.handle()
	if _, err := b.Diagnose(t.Context(), 0); !errors.Is(err, s3kloset.ErrInvalidOption) {
		t.Errorf("error of no role is %v", err)
	}
	b.Close()
	if _, err := b.Diagnose(t.Context(), s3kloset.RoleSource); !errors.Is(err, s3kloset.ErrClosed) {
		t.Errorf("error after Close is %v", err)
	}
}

func TestDiagnosisAsJSON(t *testing.T) {
	p := newPatient(t)
	denied("GetObjectTagging")(p)
	text, err := json.Marshal(p.diagnose(s3kloset.RoleSource))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"role":"source"`, `"check":"tags","verdict":"broken"`, `"actions":["s3:GetObjectTagging"]`, `"access_key":"S3TESTACCESSKEY"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
	if strings.Contains(string(text), p.server.SecretKey()) {
		t.Error("the secret is in it")
	}
}

func TestRoleNames(t *testing.T) {
	for _, role := range allRoles {
		if got, err := s3kloset.ParseRole(role.String()); err != nil || got != role {
			t.Errorf("%v is read as %v, %v", role, got, err)
		}
	}
	for _, name := range []string{"", "sink", "role 0"} {
		if _, err := s3kloset.ParseRole(name); !errors.Is(err, s3kloset.ErrInvalidOption) {
			t.Errorf("error of %q is %v", name, err)
		}
	}
}
