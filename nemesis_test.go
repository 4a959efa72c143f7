package s3kloset

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

var (
	nemesisSeed   = flag.Uint64("nemesis.seed", 1, "where the randomness of the nemesis starts; 0 is a new place each time")
	nemesisRounds = flag.Int("nemesis.rounds", 3, "how many buckets the nemesis torments; one with -short")
)

// rounds is how many buckets there are, and how often each is backed up.
func rounds() (buckets uint64, backups int) {
	if testing.Short() {
		return 1, 1
	}
	return uint64(*nemesisRounds), 3
}

// TestNemesis backs buckets up, again and again, and restores them, while
// requests of every kind fail in every way and objects change. Afterwards it
// holds the runs to what they promised: whole states only, none lost in
// silence, and counts that add up.
//
//	go test -run TestNemesis -nemesis.seed 0 -nemesis.rounds 100 -v .
func TestNemesis(t *testing.T) {
	quiet(t)
	seed := *nemesisSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	buckets, backups := rounds()
	for round := range buckets {
		t.Run(fmt.Sprintf("seed %d", seed+round), func(t *testing.T) {
			t.Parallel() // it waits much: for bodies that stall, and between tries
			n := newNemesis(t, seed+round)
			for range backups {
				n.backup()
			}
			n.restore()
			t.Logf("%d changes, %d faults, %+v", n.changes, n.fired, n.fates)
		})
	}
}

// nemesis is a bucket that does not keep still behind a server that cannot be
// trusted.
type nemesis struct {
	*world
	random *rand.Rand
	opts   []Option
	fired  int // faults that happened
	fates  Counts

	mu      sync.Mutex
	history map[string][]edition // all states that a key was ever in, oldest first
	deleted map[string]bool      // at any time since the run began
	count   int                  // of editions
	changes int
}

func newNemesis(t *testing.T, seed uint64) *nemesis {
	random := rand.New(rand.NewPCG(seed, 0))
	// A bucket has several pages: they fail, and objects change between them.
	server := s3test.Start(t, s3test.WithPageSize(10+random.IntN(40)))
	n := &nemesis{
		world: newWorldOn(t, server), random: random, history: make(map[string][]edition), deleted: make(map[string]bool),
		// The ETag is the only proof of an object without a checksum.
		opts: []Option{
			WithVerifyMD5(true), WithIdleTimeout(time.Second), WithRetries(4), withRangeSize(nemesisRange),
			WithCredentialsProvider(func(context.Context) (Keys, error) {
				return Keys{AccessKey: server.AccessKey(), SecretKey: Secret(server.SecretKey())}, nil
			}),
		},
	}
	n.server.Faults().Seed(seed)
	n.data.SetVersioning(n.random.IntN(2) == 0)
	for i := range 60 + n.random.IntN(60) {
		n.put(fmt.Sprintf("folder%d/%03d", i%5, i))
	}
	for _, key := range []string{"folder1", "folder1/", "x//y", "%", "../up", "\u00fc/\u00f6"} {
		n.put(key)
	}
	return n
}

// put writes a new state of a key. The times are few, so that many states
// differ in nothing that a listing tells but the ETag.
func (n *nemesis) put(key string) {
	n.count++
	e := edition{number: n.count, size: 50 + n.random.IntN(3)}
	switch n.random.IntN(80) {
	case 0:
		e.size = 9<<20 + n.random.IntN(1<<20) // is uploaded in parts
	case 1, 2, 3:
		e.size = nemesisRange + n.random.IntN(nemesisRange) // is read in ranges
	case 4, 5, 6, 7:
		e.size = 300_000
	}
	at := time.Now().Add(-time.Duration(1+n.random.IntN(3)) * time.Hour).Truncate(time.Hour)
	e.put(n.data, key, at)
	n.history[key] = append(n.history[key], e)
}

// nemesisRange is what is read with one request. It is more than is fetched whole.
const nemesisRange = 5 << 18

// change does to a random key what clients do.
func (n *nemesis) change() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.changes++
	keys := n.data.Keys()
	key := keys[n.random.IntN(len(keys))]
	switch n.random.IntN(6) {
	case 0:
		n.data.Delete(key)
		n.deleted[key] = true
	case 1:
		n.data.Delete(key)
		n.deleted[key] = true
		n.put(key)
	case 2:
		n.put(fmt.Sprintf("new/%d", n.count))
	case 3:
		last := n.history[key][len(n.history[key])-1]
		n.count++
		last.tags = n.count
		n.data.SetTags(key, last.properties().Tags)
		n.history[key] = append(n.history[key], last)
	default:
		n.put(key)
	}
}

// misfortunes are the ways in which an operation fails.
var misfortunes = map[string][]func(r *rand.Rand) s3test.Action{
	"": { // any operation
		func(*rand.Rand) s3test.Action { return s3test.Status(500, "InternalError") },
		func(*rand.Rand) s3test.Action { return s3test.Status(503, "SlowDown") },
		func(*rand.Rand) s3test.Action { return s3test.StatusHTML(502) },
		func(*rand.Rand) s3test.Action { return s3test.Reset() },
		func(*rand.Rand) s3test.Action { return s3test.CloseConn() },
		func(*rand.Rand) s3test.Action { return s3test.LoseAnswer() },
		func(*rand.Rand) s3test.Action { return s3test.Delay(20 * time.Millisecond) },
	},
	"ListObjectsV2": {
		func(r *rand.Rand) s3test.Action { return s3test.CutAfter(r.Int64N(2000)) },
		func(*rand.Rand) s3test.Action { return s3test.HalfBody() },
		func(*rand.Rand) s3test.Action { return s3test.Body200Error("InternalError") },
		func(*rand.Rand) s3test.Action { return s3test.RemoveElement("IsTruncated") },
	},
	"GetObject": {
		func(r *rand.Rand) s3test.Action { return s3test.ResetAfter(r.Int64N(60)) },
		func(r *rand.Rand) s3test.Action { return s3test.CutAfter(r.Int64N(60)) },
		func(r *rand.Rand) s3test.Action { return s3test.ResetAfter(r.Int64N(nemesisRange)) },
		func(r *rand.Rand) s3test.Action { return s3test.ShortLength(r.Int64N(60)) },
		func(r *rand.Rand) s3test.Action { return s3test.FlipBit(r.Int64N(50)) },
		func(r *rand.Rand) s3test.Action { return s3test.StallAfter(r.Int64N(60)) },
		func(*rand.Rand) s3test.Action { return s3test.ExtraBytes(3) },
		func(*rand.Rand) s3test.Action { return s3test.WrongContentRange() },
		func(*rand.Rand) s3test.Action { return s3test.IgnoreRange() },
		func(*rand.Rand) s3test.Action { return s3test.Status(404, "NoSuchKey") },
		func(*rand.Rand) s3test.Action { return s3test.Status(403, "AccessDenied") },
		func(*rand.Rand) s3test.Action { return s3test.Status(403, "InvalidObjectState") },
		func(*rand.Rand) s3test.Action { return s3test.HTTP10() },
	},
	"HeadObject": {
		func(*rand.Rand) s3test.Action { return s3test.Status(403, "") },
	},
	"GetObjectTagging": {
		func(r *rand.Rand) s3test.Action { return s3test.CutAfter(r.Int64N(100)) },
		func(*rand.Rand) s3test.Action { return s3test.HalfBody() },
	},
	"PutObject": {
		func(*rand.Rand) s3test.Action { return s3test.Status(403, "AccessDenied") },
		func(*rand.Rand) s3test.Action { return s3test.Status(403, "QuotaExceeded") },
	},
	"UploadPart": {
		func(*rand.Rand) s3test.Action { return s3test.Status(404, "NoSuchUpload") },
		func(*rand.Rand) s3test.Action { return s3test.Status(403, "QuotaExceeded") },
	},
	"CreateMultipartUpload": {
		func(*rand.Rand) s3test.Action { return s3test.Status(403, "AccessDenied") },
	},
	"CompleteMultipartUpload": {
		func(*rand.Rand) s3test.Action { return s3test.Body200Error("InternalError") },
		func(*rand.Rand) s3test.Action { return s3test.SpacesFirst(10) },
	},
	"AbortMultipartUpload": {},
}

// curse makes the operations on a bucket fail now and then, and gives the
// number of times that it did so far.
func (n *nemesis) curse(bucket string, operations ...string) func() int {
	var all []*s3test.Injection
	for _, op := range operations {
		menu := slices.Concat(misfortunes[""], misfortunes[op])
		for range 2 + n.random.IntN(4) {
			action := menu[n.random.IntN(len(menu))](n.random)
			if op == "CreateMultipartUpload" && n.random.IntN(2) == 0 {
				continue
			}
			all = append(all, n.server.Faults().Add(s3test.Fault{
				Op: op, Bucket: bucket, Nth: 1 + n.random.IntN(30), Times: 1 + n.random.IntN(4), Probability: 0.3, Action: action,
			}))
		}
	}
	// Credentials expire once in a run: it asks for new ones, and when those have
	// expired too it ends.
	all = append(all, n.server.Faults().Add(s3test.Fault{Bucket: bucket, Nth: 1 + n.random.IntN(150), Action: s3test.Status(400, "ExpiredToken")}))
	return func() (fired int) {
		for _, injection := range all {
			fired += injection.Fired()
		}
		return fired
	}
}

// disturb changes objects in the middle of operations.
func (n *nemesis) disturb(operations ...string) {
	for _, op := range operations {
		for range 5 {
			n.server.Faults().Add(s3test.Fault{
				Op: op, Bucket: "data", Nth: 1 + n.random.IntN(80), Action: s3test.RunFirst(n.change),
			})
		}
	}
}

// backup backs the bucket up under faults, and looks at what came of it.
func (n *nemesis) backup() {
	n.Helper()
	before := n.data.Dump()
	clear(n.deleted)
	fired := n.curse("data", "ListObjectsV2", "GetObject", "HeadObject", "GetObjectTagging")
	n.disturb("ListObjectsV2", "GetObject", "HeadObject", "GetObjectTagging")
	report, err := n.repo.Backup(n.Context(), n.at("s3://data", n.opts...).Source())
	if fired() == 0 {
		n.Error("no fault happened")
	}
	n.fired += fired()
	n.server.Faults().Clear()
	if report == nil || report.Snapshot.ID == "" {
		n.Logf("no snapshot: %v", err)
		if err == nil || report != nil && report.check() != nil {
			n.Errorf("there is no snapshot, error %v, report %+v", err, report)
		}
		return
	}
	n.judge(report, err, before)
}

// judge holds a backup to its promise.
func (n *nemesis) judge(report *BackupReport, err error, before []s3test.Object) {
	n.Helper()
	n.fates = (Outcome{Counts: n.fates}).plus(report.Outcome).Counts
	if bad := report.check(); bad != nil || (err == nil) != (report.Failed == 0) || errors.Is(err, ErrDamaged) {
		n.Errorf("error %v, accounts %v: %+v", err, bad, report.Counts)
	}
	restored := n.world.restore(report.Snapshot.ID)
	if got := report.Stored + report.Unchanged; got != int64(restored.Len()) {
		n.Errorf("%d objects restored of %d: %+v", restored.Len(), got, report.Counts)
	}
	failed := make(map[string]bool)
	for _, failure := range report.Failures {
		failed[failure.Key] = true
	}
	for _, got := range restored.Dump() {
		if failed[got.Key] {
			n.Errorf("%q failed, and is in the snapshot", got.Key)
		}
		if !slices.ContainsFunc(n.history[got.Key], func(e edition) bool { return e.is(got) }) {
			n.Errorf("%q was never like this: %d bytes %.9q, %+v\nwas %v", got.Key, len(got.Body), got.Body, got.Properties, n.history[got.Key])
		}
	}
	for _, was := range before {
		if _, there := restored.Get(was.Key); !there && !n.deleted[was.Key] && !failed[was.Key] {
			n.Errorf("%q is lost, error %v, counts %+v", was.Key, err, report.Counts)
		}
	}
}

// restore restores the newest snapshot under faults, and compares it with what
// comes without.
func (n *nemesis) restore() {
	n.Helper()
	w := n.world
	report := w.backup()
	whole := w.restore(report.Snapshot.ID)
	w.same(w.data, whole)

	target := w.server.CreateBucket("target")
	fired := n.curse("target", "PutObject", "HeadObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "AbortMultipartUpload")
	outcome, err := w.repo.Restore(w.Context(), report.Snapshot.ID, w.at("s3://target", n.opts...).Destination())
	n.fired += fired()
	w.server.Faults().Clear()
	if fired() == 0 {
		w.Error("no fault happened")
	}
	if outcome == nil {
		w.Fatalf("no report: %v", err)
	}
	if bad := outcome.check(); bad != nil || (err == nil) != (outcome.Failed == 0) {
		w.Errorf("error %v, accounts %v: %+v", err, bad, outcome.Counts)
	}
	failed := make(map[string]bool)
	for _, failure := range outcome.Failures {
		failed[failure.Key] = true
	}
	var want []s3test.Object
	for _, o := range whole.Dump() {
		// An upload whose answer was lost is there, and called a failure.
		if _, there := target.Get(o.Key); there || !failed[o.Key] {
			want = append(want, o)
		}
	}
	sameObjects(w, want, target.Dump())
}
