package s3kloset

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// TestNemesisOfStore torments the store of a repository instead of the bucket
// that is backed up. Whatever fails, each snapshot that is listed afterwards is
// whole, and what a run did not do it says.
//
//	go test -run TestNemesisOfStore -nemesis.seed 0 -nemesis.rounds 100 -v .
func TestNemesisOfStore(t *testing.T) {
	seed := *nemesisSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	// Its packfiles make a round cost as much as three of the other.
	buckets, backups := rounds()
	for round := range max(1, buckets/3) {
		t.Run(fmt.Sprintf("seed %d", seed+round), func(t *testing.T) {
			quiet(t)
			n := newStoreNemesis(t, seed+round)
			n.backup(calmly)
			for range backups {
				n.backup(n.under)
				n.audit()
			}
			n.check()
			n.restore()
			n.amputate()
			if n.fired == 0 {
				t.Error("no fault happened")
			}
			t.Logf("%d faults, %d snapshots, %d runs failed of %d", n.fired, len(n.states), n.failed, n.runs)
		})
	}
}

// storeNemesis is a store behind a server that cannot be trusted.
type storeNemesis struct {
	*vault
	random *rand.Rand
	repo   *Repository
	states map[string][]s3test.Object // what was backed up, by snapshot
	whole  map[string]bool            // snapshots that were restored and compared

	fired, failed, runs int
	targets             int
}

func newStoreNemesis(t *testing.T, seed uint64) *storeNemesis {
	n := &storeNemesis{vault: newVault(t, s3test.WithPageSize(2)), random: rand.New(rand.NewPCG(seed, 0)),
		states: make(map[string][]s3test.Object), whole: make(map[string]bool)}
	n.server.Faults().Seed(seed)
	n.vault.vault.SetVersioning(n.random.IntN(2) == 0)
	n.fill(40, 3000)
	// A packfile that is uploaded in parts.
	n.data.Put("large", newPackfileServer(packfilePart+1<<20).data, s3test.Properties{})
	// With more retries nothing would ever fail.
	n.repo = createPlain(t, n.store(WithRetries(2), WithIdleTimeout(time.Second)))
	return n
}

// storeOperations are all requests that a store makes.
var storeOperations = []string{
	"ListObjectsV2", "GetObject", "HeadObject", "PutObject", "DeleteObject",
	"CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "AbortMultipartUpload",
}

// under runs something while requests of the store fail now and then.
func (n *storeNemesis) under(run func() error) error {
	var all []*s3test.Injection
	for _, op := range storeOperations {
		menu := slices.Concat(misfortunes[""], misfortunes[op])
		if n.random.IntN(3) > 0 {
			all = append(all, n.server.Faults().Add(s3test.Fault{
				Op: op, Bucket: "vault", Nth: 1 + n.random.IntN(5), Times: 1 + n.random.IntN(3), Probability: 0.7,
				Action: menu[n.random.IntN(len(menu))](n.random),
			}))
		}
	}
	err := run()
	for _, injection := range all {
		n.fired += injection.Fired()
	}
	n.server.Faults().Clear()
	n.runs++
	if err != nil {
		n.failed++
		n.Logf("failed: %v", err)
	}
	return err
}

// backup changes something, and backs up. A snapshot of which a run has told is
// one to answer for.
func (n *storeNemesis) backup(under func(func() error) error) {
	n.Helper()
	for range 5 {
		n.data.Put(fmt.Sprintf("new/%d", n.random.IntN(20)), fmt.Appendf(nil, "%d", n.random.Uint64()), s3test.Properties{})
	}
	var report *BackupReport
	err := under(func() (err error) {
		report, err = n.repo.Backup(n.Context(), n.source())
		return err
	})
	if err == nil && (report.Failed != 0 || report.Snapshot.ID == "") {
		n.Errorf("no error, and the report is %+v", report)
	}
	if err == nil {
		n.states[report.Snapshot.ID] = n.data.Dump()
	}
}

// audit looks at the store as another machine would: what a run has promised is
// there, and all that is there is whole.
func (n *storeNemesis) audit() {
	n.Helper()
	repo, err := OpenRepository(n.Context(), n.store())
	if err != nil {
		n.Fatalf("the repository does not open: %v", err)
	}
	defer repo.Close()
	list, err := repo.Snapshots(n.Context())
	if err != nil {
		n.Fatalf("the snapshots cannot be listed: %v", err)
	}
	listed := make(map[string]bool)
	for _, snapshot := range list {
		listed[snapshot.ID] = true
		if err := repo.Check(n.Context(), snapshot.ID); err != nil {
			n.Errorf("snapshot %s is not whole: %v", snapshot.ID, err)
		}
		if _, promised := n.states[snapshot.ID]; !promised {
			// Its run has failed after it was published: the data is that of now.
			n.states[snapshot.ID] = n.data.Dump()
		}
	}
	for id := range n.states {
		if !listed[id] {
			n.Errorf("snapshot %s was promised, and is not there", id)
		}
	}
	for id, want := range n.states {
		if n.whole[id] {
			continue
		}
		n.whole[id] = true
		target := n.target()
		if _, err := repo.Restore(n.Context(), id, handle(n, n.server, "s3://"+target.Name()).Destination()); err != nil {
			n.Errorf("snapshot %s: %v", id, err)
		}
		sameObjects(n, want, target.Dump())
	}
}

func (n *storeNemesis) target() *s3test.Bucket {
	n.targets++
	return n.server.CreateBucket(fmt.Sprintf("target%d", n.targets))
}

// snapshot is one that must be whole.
func (n *storeNemesis) snapshot() string {
	ids := slices.Sorted(maps.Keys(n.states))
	return ids[n.random.IntN(len(ids))]
}

// check reads everything under faults. It may fail, and must not for good.
func (n *storeNemesis) check() {
	n.Helper()
	id := n.snapshot()
	if err := n.under(func() error { return n.repo.Check(n.Context(), id) }); err == nil {
		return
	}
	if err := n.repo.Check(n.Context(), id); err != nil {
		n.Errorf("snapshot %s is not whole to whoever has met faults: %v", id, err)
	}
}

// restore restores under faults, and compares if that is said to have worked.
func (n *storeNemesis) restore() {
	n.Helper()
	_ = n.restored(n.snapshot(), n.under) // it may fail
}

func (n *storeNemesis) restored(id string, under func(func() error) error) error {
	n.Helper()
	target := n.target()
	err := under(func() error {
		_, err := n.repo.Restore(n.Context(), id, handle(n, n.server, "s3://"+target.Name()).Destination())
		return err
	})
	if err == nil {
		sameObjects(n, n.states[id], target.Dump())
	}
	for _, got := range target.Dump() {
		if !slices.ContainsFunc(n.states[id], func(o s3test.Object) bool { return o.Key == got.Key && string(o.Body) == string(got.Body) }) {
			n.Errorf("%q was restored as something else, with the error %v", got.Key, err)
		}
	}
	return err
}

// amputate takes a packfile away for good: whoever needs it hears of it, from
// the check and from the restore.
func (n *storeNemesis) amputate() {
	n.Helper()
	packfiles := slices.DeleteFunc(n.vault.vault.Keys(), func(key string) bool { return !strings.Contains(key, "/packfiles/") })
	lost := packfiles[n.random.IntN(len(packfiles))]
	n.vault.vault.Delete(lost)
	n.repo.store.(*Store).doubt() // what was read ahead is no less gone
	id := n.snapshot()
	checked := n.repo.Check(n.Context(), id)
	restored := n.restored(id, calmly)
	if (restored == nil) != (checked == nil) {
		n.Errorf("snapshot %s: the check says %v, the restore %v", id, checked, restored)
	}
	for _, err := range []error{checked, restored} {
		if err != nil && (!strings.Contains(err.Error(), path.Base(lost)) || !errors.Is(err, fs.ErrNotExist)) {
			n.Errorf("snapshot %s: %s is gone, and the error is %v", id, lost, err)
		}
	}
}

// calmly runs something without faults.
func calmly(run func() error) error { return run() }

// TestLostPackfileIsNamed: whichever is gone, the check says so, and a restore
// that needs it.
func TestLostPackfileIsNamed(t *testing.T) {
	quiet(t)
	v := newVault(t)
	v.fill(40, 30_000)
	repo := createPlain(t, v.store(), WithEngineConcurrency(1), withPackfileSize(256<<10))
	report, err := repo.Backup(t.Context(), v.source())
	if err != nil {
		t.Fatal(err)
	}
	packfiles := slices.DeleteFunc(v.vault.Keys(), func(key string) bool { return !strings.Contains(key, "/packfiles/") })
	if len(packfiles) < 3 {
		t.Fatalf("%d packfiles", len(packfiles))
	}
	for i, key := range packfiles {
		lost, _ := v.vault.Get(key)
		v.vault.Delete(key)
		again, err := OpenRepository(t.Context(), v.store(), WithPlaintext())
		if err != nil {
			t.Fatal(err)
		}
		target, bucket := v.target(fmt.Sprintf("target%d", i))
		checked := again.Check(t.Context(), report.Snapshot.ID)
		_, restored := again.Restore(t.Context(), report.Snapshot.ID, target)
		errs := []error{checked, restored}
		if restored == nil {
			sameObjects(t, v.data.Dump(), bucket.Dump()) // it has no need of some indexes
			errs = errs[:1]
		}
		for _, err := range errs {
			if err == nil || !strings.Contains(err.Error(), path.Base(key)) || !errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrNotFound) {
				t.Errorf("%s is gone, and the error is %v", key, err)
			}
		}
		// Without its header there is no snapshot.
		if !errors.Is(checked, ErrDamaged) && !errors.Is(checked, ErrSnapshotNotFound) {
			t.Errorf("check: %v, want ErrDamaged", checked)
		}
		again.Close()
		v.vault.Put(key, lost.Body, s3test.Properties{})
	}
}
