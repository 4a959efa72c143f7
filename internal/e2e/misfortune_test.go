package e2e_test

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/e2e/server"
	"github.com/s3kloset/s3kloset/internal/s3test"
	"github.com/s3kloset/s3kloset/internal/s3test/conformance"
	"github.com/s3kloset/s3kloset/internal/s3test/sigv4"
)

// TestMisfortunesOfRealServers lets the package and the program meet what no retry mends,
// where the server is not ours.
func TestMisfortunesOfRealServers(t *testing.T) {
	t.Parallel()
	tool := buildProgram(t)
	for _, name := range []conformance.Server{conformance.MinIO, conformance.Versity} {
		t.Run(string(name), func(t *testing.T) {
			at := newSite(t, server.Shared(t, name))
			original := at.newName(t, "original")
			at.fill(t, original, hold)
			for _, m := range slices.Concat(mishapsOfListings, mishapsOfReading, mishapsOfRestores, mishapsOfStores) {
				t.Run(m.name, func(t *testing.T) {
					t.Parallel()
					m.meetPackage(t, at.setOut(t, original, m.faults))
					if name == conformance.MinIO {
						m.meetProgram(t, at.setOut(t, original, m.faults), tool)
					}
				})
			}
		})
	}
}

// holdPage is how many keys a page has.
const holdPage = 2

// inPagesOf has the server send smaller pages. The tokens that lead to the next ones are its
// own.
func (at site) inPagesOf(keys int) s3test.Action {
	credentials := sigv4.Credentials{AccessKey: at.server.AccessKey, SecretKey: at.server.SecretKey}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			query := r.URL.Query()
			if asked, err := strconv.Atoi(query.Get("max-keys")); err == nil && asked > keys {
				query.Set("max-keys", strconv.Itoa(keys))
				r = r.Clone(r.Context())
				r.URL.RawQuery, r.RequestURI = strings.ReplaceAll(query.Encode(), "+", "%20"), ""
				sigv4.Sign(r, credentials, at.server.Region, r.Header.Get("X-Amz-Content-Sha256"), time.Now())
			}
			next.ServeHTTP(w, r)
		})
	}
}

// setOut begins a voyage from a bucket that others may use too.
func (at site) setOut(t *testing.T, original string, faults []s3test.Fault) *voyage {
	t.Helper()
	paged := s3test.StartProxy(t, at.server.Endpoint)
	paged.Faults().Add(s3test.Fault{Op: "ListObjectsV2", Bucket: original, Times: s3test.Always, Action: at.inPagesOf(holdPage)})
	proxy := s3test.StartProxy(t, paged.URL())
	through := *at.server
	through.Endpoint = proxy.URL()
	v := &voyage{at, site{&through, at.client}, proxy, original, at.newName(t, "repo"), at.newName(t, "restored")}
	for _, bucket := range []string{v.repo, v.restored} {
		if err := at.client.CreateBucket(t.Context(), bucket); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range faults {
		f.Bucket = v.bucket(f.Bucket)
		proxy.Faults().Add(f)
	}
	return v
}

// runs are the two halves of a voyage, as far as it came.
type runs struct{ backup, restore s3kloset.Outcome }

// patience is how often a request is repeated: a busy MinIO sheds load.
const patience = 3

// meetPackage has the promised error, for errors.Is.
func (m mishap) meetPackage(t *testing.T, v *voyage) {
	t.Helper()
	open := func(bucket string) *s3kloset.Bucket { return v.sea.open(t, bucket, s3kloset.WithRetries(patience)) }
	store := open(v.repo).Store()
	closeAtEnd(t, store)
	repo, err := s3kloset.CreateRepository(t.Context(), store, s3kloset.WithPlaintext())
	if err != nil {
		t.Fatal(err)
	}
	var r runs
	backup, err := repo.Backup(t.Context(), open(v.original).Source())
	if backup == nil { // it did not come to its begin
		backup = &s3kloset.BackupReport{}
	}
	r.backup = backup.Outcome
	if (backup.Snapshot.ID == "") != m.nothing {
		t.Errorf("the snapshot is %q: %v", backup.Snapshot.ID, err)
	}
	if backup.Snapshot.ID != "" {
		restore, failed := repo.Restore(t.Context(), backup.Snapshot.ID, open(v.restored).Destination())
		err = errors.Join(err, failed)
		r.restore = restore.Outcome
	}
	err = errors.Join(err, repo.Close())
	t.Logf("%v", err)
	m.judge(t, v, r)
	m.judgeError(t, err)
	for _, f := range slices.Concat(r.backup.Failures, r.restore.Failures) {
		if m.want != nil && !m.nothing && !errors.Is(f.Err, m.want) {
			t.Errorf("%q failed with %v, want %v", f.Key, f.Err, m.want)
		}
	}
	m.recover(t, v)
}

func (m mishap) judgeError(t *testing.T, err error) {
	t.Helper()
	if (err == nil) != (m.says == "") {
		t.Fatalf("error is %v", err)
	}
	if m.want != nil && !errors.Is(err, m.want) {
		t.Errorf("error is %v, want %v", err, m.want)
	}
	if m.backup+m.restore != "" && !errors.Is(err, s3kloset.ErrIncomplete) {
		t.Errorf("error is %v, want %v", err, s3kloset.ErrIncomplete)
	}
	if err == nil {
		return
	}
	var failed *s3kloset.OpError
	if !errors.As(err, &failed) {
		t.Errorf("error %v tells no operation", err)
	}
	m.judgeText(t, err.Error())
}

func (m mishap) judgeText(t *testing.T, text string) {
	t.Helper()
	if !strings.Contains(text, m.says) || !strings.Contains(text, m.backup+m.restore) {
		t.Errorf("error is %q, does not say %q of %q", text, m.says, m.backup+m.restore)
	}
}

// meetProgram has the promised exit status, and names the key.
func (m mishap) meetProgram(t *testing.T, v *voyage, tool program) {
	t.Helper()
	status := 0
	if m.says != "" {
		status = 1
	}
	said := tool.run(t, status, slices.Concat(v.sea.flags("-option"), []string{
		"-option", "retries=" + strconv.Itoa(patience), "-plaintext",
		"-source", "s3://" + v.original, "-store", "s3://" + v.repo, "-restore", "s3://" + v.restored,
	})...)
	var r runs
	if said.Backup != nil {
		r.backup = said.Backup.Outcome
		if (said.Backup.Snapshot.ID == "") != m.nothing {
			t.Errorf("the snapshot is %q", said.Backup.Snapshot.ID)
		}
	}
	if said.Restore != nil {
		r.restore = said.Restore.Outcome
	}
	m.judge(t, v, r)
	m.judgeText(t, said.Error)
}

// judge looks at what was counted, and at what is on the server.
func (m mishap) judge(t *testing.T, v *voyage, r runs) {
	t.Helper()
	v.proxy.Faults().VerifyAll(t)
	v.proxy.Faults().Clear()
	keys := keysOf(hold)
	if m.nothing {
		keys = nil
	} else {
		wantFate(t, "backup", r.backup, keys, m.backup)
		keys = without(keys, m.backup)
		wantFate(t, "restore", r.restore, keys, m.restore)
		keys = without(keys, m.restore)
	}
	if m.warning != "" {
		w := cmp.Or(r.backup.Warnings[m.warning], r.restore.Warnings[m.warning])
		if w == nil || w.Count != 1 || !slices.Equal(w.Keys, []string{"victim"}) {
			t.Errorf("warnings are %v and %v", r.backup.Warnings, r.restore.Warnings)
		}
	}
	v.judgeRestored(t, keys, m)
	locked := func(key string) bool { return strings.HasPrefix(key, "locks/") }
	if keys := v.shore.keys(t, v.repo); slices.ContainsFunc(keys, locked) != m.locks {
		t.Errorf("the repository holds %q", keys)
	}
	v.shore.wantUploads(t, v.repo, 0)
	v.shore.wantUploads(t, v.restored, m.uploads)
}

// judgeRestored demands that what was restored is whole, but for what a warning tells.
func (v *voyage) judgeRestored(t *testing.T, keys []string, m mishap) {
	t.Helper()
	if m.warning == "" {
		v.shore.compare(t, v.restored, v.original, keys)
		return
	}
	got, err := v.shore.look(t.Context(), v.restored, "victim")
	if err != nil || len(got.body) != 5000 || len(got.tags) != 0 {
		t.Errorf("restored were %d bytes, tags %v, %v", len(got.body), got.tags, err)
	}
}

func wantFate(t *testing.T, run string, got s3kloset.Outcome, keys []string, lost string) {
	t.Helper()
	var failed []string
	for _, f := range got.Failures {
		failed = append(failed, f.Key)
	}
	var want []string
	if lost != "" {
		want = append(want, lost)
	}
	total := int64(len(keys))
	if !slices.Equal(failed, want) || got.Listed != total || got.Failed != int64(len(want)) || got.Stored != total-got.Failed {
		t.Errorf("%s: counts are %+v, failed %q; want %d listed, failed %q", run, got.Counts, failed, total, want)
	}
}

func without(keys []string, lost string) []string {
	return slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return key == lost })
}

// recover opens the repository when all is well again, and goes on.
func (m mishap) recover(t *testing.T, v *voyage) {
	t.Helper()
	if !m.nothing {
		return
	}
	store := v.sea.open(t, v.repo).Store()
	closeAtEnd(t, store)
	repo, err := s3kloset.OpenRepository(t.Context(), store, s3kloset.WithPlaintext())
	if err != nil {
		t.Fatal(err)
	}
	defer closeRepository(t, repo)
	if snapshots, err := repo.Snapshots(t.Context()); err != nil || len(snapshots) != 0 {
		t.Errorf("snapshots are %v, %v", snapshots, err)
	}
	backup, err := repo.Backup(t.Context(), v.sea.open(t, v.original).Source())
	if err == nil {
		err = repo.Check(t.Context(), backup.Snapshot.ID)
	}
	if err != nil {
		t.Fatal(err)
	}
	wantFate(t, "backup afterwards", backup.Outcome, keysOf(hold), "")
}
