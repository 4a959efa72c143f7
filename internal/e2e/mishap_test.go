package e2e_test

import (
	"net/http"
	"slices"

	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/s3test"
)

// mishap is what goes wrong on the way to a real server, most of it for good, and what the
// user gets to see of it.
type mishap struct {
	name   string
	faults []s3test.Fault // the bucket is a role of the voyage

	want    error                // found in the error; nil for a run that ends well, or whose error has no kind
	says    string               // is in the error's text; "" for a run that ends well
	nothing bool                 // there is no snapshot
	backup  string               // key that the backup loses
	restore string               // key that the restore loses
	warning s3kloset.WarningKind // of either run
	uploads int                  // left in the restored bucket
	locks   bool                 // some are left in the repository
}

// hold is what the mishaps happen to: three pages of two keys.
var hold = []exhibit{
	show("a", "Content-Type", "text/plain", "x-amz-tagging", "t=1"),
	show("folder/").holding(nil),
	show("folder/described", "Cache-Control", "no-store", "x-amz-meta-a", "1"),
	show("last"),
	show("parts").inParts(noise(20, 5*mib), noise(21, 1000)),
	show("victim", "x-amz-tagging", "k=v", "x-amz-sdk-checksum-algorithm", "CRC32", "x-amz-checksum-crc32", "2OUOqA==").
		holding(make([]byte, 5000)),
}

func byToken(r s3test.Request) bool { return r.Query.Has("continuation-token") }

// laterPage is every page but the first, however it is asked for.
func laterPage(r s3test.Request) bool { return byToken(r) || r.Query.Has("start-after") }

func listing(which func(s3test.Request) bool, times int, action s3test.Action) []s3test.Fault {
	return []s3test.Fault{{Op: "ListObjectsV2", Bucket: "original", Match: which, Times: times, Action: action}}
}

func reading(times int, action s3test.Action) []s3test.Fault {
	return []s3test.Fault{{Op: "GetObject", Bucket: "original", Key: "victim", Times: times, Action: action}}
}

func always(operation, role, key string, action s3test.Action) []s3test.Fault {
	return []s3test.Fault{{Op: operation, Bucket: role, Key: key, Times: s3test.Always, Action: action}}
}

func writingStore(kind string, action s3test.Action) []s3test.Fault {
	return []s3test.Fault{{Bucket: "repo", Key: kind + "/*", Times: s3test.Always, Action: action, Match: func(r s3test.Request) bool {
		return r.Method == http.MethodPut || r.Method == http.MethodPost
	}}}
}

var (
	denied = s3test.Status(403, "AccessDenied")
	broken = s3test.Status(500, "InternalError")
)

var mishapsOfListings = []mishap{
	{name: "a page is lost once", faults: listing(byToken, 1, s3test.LoseAnswer())},
	{name: "a page is cut once", faults: listing(byToken, 1, s3test.HalfBody())},
	{name: "a page does not tell once whether there are more", faults: listing(byToken, 1, s3test.RemoveElement("IsTruncated"))},
	{name: "a token expires", faults: listing(byToken, 1, s3test.Status(400, "InvalidArgument"))},
	{name: "no token is good for anything", faults: listing(byToken, s3test.Always, s3test.Status(400, "InvalidArgument"))},
	{name: "the second page answers 500", faults: listing(laterPage, s3test.Always, broken), says: "list", nothing: true},
	{name: "the second page is denied", faults: listing(laterPage, s3test.Always, denied),
		want: s3kloset.ErrAccessDenied, says: "s3:ListBucket", nothing: true},
	{name: "the second page is always cut", faults: listing(laterPage, s3test.Always, s3test.HalfBody()),
		want: s3kloset.ErrListing, says: "list", nothing: true},
	{name: "the second page comes again and again", faults: listing(laterPage, s3test.Always, s3test.Replay()),
		want: s3kloset.ErrListing, says: "list", nothing: true},
}

var mishapsOfReading = []mishap{
	{name: "not allowed to be read", faults: reading(s3test.Always, denied),
		want: s3kloset.ErrAccessDenied, says: "s3:GetObject", backup: "victim"},
	{name: "listed, and not there", faults: reading(s3test.Always, s3test.Status(404, "NoSuchKey")),
		want: s3kloset.ErrNotFound, says: "listed but cannot be read", backup: "victim"},
	{name: "throttled for good", faults: reading(s3test.Always, s3test.Status(503, "SlowDown")),
		want: s3kloset.ErrThrottled, says: "slow down", backup: "victim"},
	{name: "a body that is cut after each thousand bytes", faults: reading(4, s3test.CutAfter(1000))},
	{name: "a body that never comes", faults: reading(s3test.Always, s3test.CutAfter(0)),
		want: s3kloset.ErrBody, says: "bytes", backup: "victim"},
	{name: "a body that is always too short", faults: reading(s3test.Always, s3test.ShortLength(1000)),
		want: s3kloset.ErrBody, says: "bytes", backup: "victim"},
	{name: "a bit that is always wrong", faults: reading(s3test.Always, s3test.FlipBit(77)),
		want: s3kloset.ErrChecksum, says: "checksum", backup: "victim"},
	{name: "tags that may not be read", faults: always("GetObjectTagging", "original", "victim", denied), warning: s3kloset.WarnTags},
}

var mishapsOfRestores = []mishap{
	{name: "the target denies an object", faults: always("PutObject", "restored", "victim", denied),
		want: s3kloset.ErrAccessDenied, says: "s3:PutObject", restore: "victim"},
	{name: "the target is full", faults: always("PutObject", "restored", "victim", s3test.Status(403, "QuotaExceeded")),
		want: s3kloset.ErrQuota, says: "quota", restore: "victim"},
	{name: "the target answers 500", faults: always("PutObject", "restored", "victim", broken), says: "victim", restore: "victim"},
	{name: "the target wants a login", faults: always("PutObject", "restored", "victim", s3test.StatusHTML(200)),
		says: "nothing of what S3 answers", restore: "victim"},
	{name: "the target begins no upload", faults: always("CreateMultipartUpload", "restored", "parts", denied),
		want: s3kloset.ErrAccessDenied, says: "parts", restore: "parts"},
	{name: "the target takes no part", faults: always("UploadPart", "restored", "parts", denied),
		want: s3kloset.ErrAccessDenied, says: "parts", restore: "parts"},
	{name: "the target completes no upload", faults: always("CompleteMultipartUpload", "restored", "parts", broken), says: "parts", restore: "parts"},
	{name: "the target completes with an error in a 200", faults: always("CompleteMultipartUpload", "restored", "parts", s3test.Body200Error("InternalError")),
		says: "parts", restore: "parts"},
	{name: "the target neither completes nor aborts", restore: "parts", want: s3kloset.ErrAccessDenied, says: "s3:AbortMultipartUpload", uploads: 1,
		faults: slices.Concat(always("CompleteMultipartUpload", "restored", "parts", broken), always("AbortMultipartUpload", "restored", "parts", denied))},
	{name: "the target has no tags", warning: s3kloset.WarnTags, faults: []s3test.Fault{{
		Op: "PutObject", Bucket: "restored", Key: "victim", Times: s3test.Always, Action: s3test.Status(501, "NotImplemented"),
		Match: func(r s3test.Request) bool { return r.Header.Get("X-Amz-Tagging") != "" },
	}}},
}

var mishapsOfStores = []mishap{
	{name: "the store denies packfiles", faults: writingStore("packfiles", denied),
		want: s3kloset.ErrAccessDenied, says: "s3:PutObject", nothing: true},
	{name: "the store answers 500 to packfiles", faults: writingStore("packfiles", broken), says: "packfiles", nothing: true},
	{name: "the store is full", faults: writingStore("packfiles", s3test.Status(403, "QuotaExceeded")),
		want: s3kloset.ErrQuota, says: "quota", nothing: true},
	{name: "the store denies states", faults: writingStore("states", denied),
		want: s3kloset.ErrAccessDenied, says: "s3:PutObject", nothing: true},
	{name: "the store answers 500 to states", faults: writingStore("states", broken), says: "states", nothing: true},
	{name: "the store denies locks", faults: writingStore("locks", denied),
		want: s3kloset.ErrAccessDenied, says: "s3:PutObject", nothing: true},
	{name: "the store keeps its locks", faults: always("DeleteObject", "repo", "locks/*", denied),
		want: s3kloset.ErrAccessDenied, says: "remove lock", locks: true},
}
