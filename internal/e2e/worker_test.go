package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/e2e/server"
	"github.com/s3kloset/s3kloset/internal/s3test"
	"github.com/s3kloset/s3kloset/internal/s3test/conformance"
)

// workerVariable makes a worker of this program: it holds a task as JSON.
const workerVariable = "S3KLOSET_E2E_WORKER"

// task is a backup that a process of its own makes.
type task struct {
	Endpoint, Region, AccessKey, SecretKey string
	CAFile                                 string
	Original, Repository                   string // locations
}

// work is what a worker does instead of tests. It says when it has opened the repository,
// waits for a line, backs up, and prints the identifier of the snapshot.
func work(text string) error {
	var job task
	if err := json.Unmarshal([]byte(text), &job); err != nil {
		return err
	}
	ctx := context.Background()
	source, err := job.open(job.Original)
	if err != nil {
		return err
	}
	place, err := job.open(job.Repository)
	if err != nil {
		return err
	}
	store := place.Store()
	repo, err := s3kloset.OpenRepository(ctx, store)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	report, err := repo.Backup(ctx, source.Source())
	if err == nil {
		fmt.Println(report.Snapshot.ID)
	}
	return errors.Join(err, repo.Close(), store.Close(ctx))
}

func (j task) open(location string) (*s3kloset.Bucket, error) {
	opts := []s3kloset.Option{s3kloset.WithEndpoint(j.Endpoint), s3kloset.WithRegion(j.Region), s3kloset.WithCredentials(j.AccessKey, j.SecretKey, "")}
	if j.CAFile != "" {
		opts = append(opts, s3kloset.WithCAFile(j.CAFile))
	}
	return s3kloset.New("s3://"+location, opts...)
}

// worker is a process that backs up.
type worker struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout *bufio.Reader
	stderr strings.Builder
}

// hire starts a worker, with variables beside those of this process, and returns when it
// has opened the repository.
func (at site) hire(t *testing.T, original, repository string, variables ...string) *worker {
	t.Helper()
	s := at.server
	job, err := json.Marshal(task{s.Endpoint, s.Region, s.AccessKey, s.SecretKey, s.CAFile, original, repository})
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	w := &worker{cmd: exec.CommandContext(t.Context(), exe)}
	// A worker that is killed leaves its temporary files behind.
	w.cmd.Env = slices.Concat(os.Environ(), variables, []string{workerVariable + "=" + string(job), "TMPDIR=" + t.TempDir()})
	w.cmd.Stderr = &w.stderr
	stdout, err := w.cmd.StdoutPipe()
	if err == nil {
		w.stdin, err = w.cmd.StdinPipe()
	}
	if err == nil {
		err = w.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	w.stdout = bufio.NewReader(stdout)
	if line, err := w.stdout.ReadString('\n'); err != nil || line != "ready\n" {
		_ = w.cmd.Wait()
		t.Fatalf("worker says %q, %v: %s", line, err, w.stderr.String())
	}
	return w
}

// start lets the worker back up.
func (w *worker) start() error {
	_, err := io.WriteString(w.stdin, "go\n")
	return err
}

// snapshot waits for the worker to end, and returns what it has made.
func (w *worker) snapshot() (string, error) {
	line, readErr := w.stdout.ReadString('\n')
	if err := w.cmd.Wait(); err != nil {
		return "", fmt.Errorf("worker: %w: %s", err, w.stderr.String())
	}
	return strings.TrimSpace(line), readErr
}

// TestTenProcesses lets ten processes back up into one store at the same time, much of it
// the same. Each snapshot is whole.
func TestTenProcesses(t *testing.T) {
	const processes = 10
	for _, name := range []conformance.Server{conformance.MinIO, conformance.Versity} {
		t.Run(string(name), func(t *testing.T) {
			at := newSite(t, server.Shared(t, name))
			repository := at.newRepository(t)
			originals, keys := make([]string, processes), make([][]string, processes)
			workers := make([]*worker, processes)
			var hired sync.WaitGroup
			for i := range processes {
				originals[i] = at.newName(t, "original")
				keys[i] = at.fill(t, originals[i], belongings(i))
				hired.Go(func() { workers[i] = at.hire(t, originals[i], repository) })
			}
			hired.Wait()
			for _, w := range workers {
				if err := w.start(); err != nil {
					t.Error(err)
				}
			}
			ids := make([]string, processes)
			begin, objects := time.Now(), 0
			for i, w := range workers {
				var err error
				if ids[i], err = w.snapshot(); err != nil {
					t.Fatal(err)
				}
				objects += len(keys[i])
			}
			t.Logf("%d processes backed up %d objects in %v", processes, objects, time.Since(begin).Round(time.Millisecond))
			repo := at.reopen(t, repository)
			wantSnapshots(t, repo, ids...)
			for i, id := range ids {
				at.wantWhole(t, repo, id, originals[i], keys[i])
			}
			bucket, _, _ := strings.Cut(repository, "/")
			at.wantNoLocks(t, bucket)
			at.wantUploads(t, bucket, 0)
		})
	}
}

// belongings are what a process backs up: things of its own, and things that all have.
func belongings(process int) []exhibit {
	own := byte(100 + process)
	all := []exhibit{show("large").holding(noise(1, 3*mib)), show("own").holding(noise(own, 2*mib))}
	for i := range byte(20) {
		all = append(all, show(fmt.Sprintf("folder/shared %d", i)).holding(noise(i, 5000)),
			show(fmt.Sprintf("folder/own %d", i)).holding(noise(own, 3000+int(i))))
	}
	return all
}

// TestKilled kills a process in the middle of a backup, wherever it writes. What is left
// behind opens, is sound, and takes the next backup.
func TestKilled(t *testing.T) {
	s := server.Shared(t, conformance.MinIO)
	for _, moment := range []struct {
		operation, folder string
		nth, uploads      int
	}{
		{"PutObject", "/locks/", 1, 0},
		{"UploadPart", "/packfiles/", 2, 1},
		{"CompleteMultipartUpload", "/packfiles/", 1, 0}, // it may be carried out
		{"PutObject", "/states/", 1, 0},
		{"DeleteObject", "/locks/", 1, 0},
	} {
		t.Run(moment.operation+" "+moment.folder, func(t *testing.T) {
			proxy := s3test.StartProxy(t, s.Endpoint)
			through := *s
			through.Endpoint = proxy.URL()
			at := newSite(t, s)
			repository, original := at.newRepository(t), at.newName(t, "original")
			keys := at.fill(t, original, []exhibit{show("first").holding(noise(1, 18*mib)), show("second")})
			w := (site{&through, at.client}).hire(t, original, repository)
			proxy.Faults().Add(s3test.Fault{
				Op: moment.operation, Nth: moment.nth,
				Match:  func(r s3test.Request) bool { return strings.Contains(r.Key, moment.folder) },
				Action: s3test.RunFirst(func() { _ = w.cmd.Process.Kill() }),
			})
			if err := w.start(); err != nil {
				t.Fatal(err)
			}
			if id, err := w.snapshot(); err == nil {
				t.Fatalf("the worker was not killed, and made %s", id)
			}
			proxy.Faults().VerifyAll(t)
			at.recover(t, repository, original, keys, moment.uploads)
		})
	}
}

// recover demands that a store which a process has left in the middle of its work is a
// good one, and cleans it up.
func (at site) recover(t *testing.T, repository, original string, keys []string, uploads int) {
	t.Helper()
	repo := at.reopen(t, repository)
	before, err := repo.Snapshots(t.Context())
	if err != nil || len(before) > 1 {
		t.Fatalf("snapshots are %+v, %v", before, err)
	}
	var ids []string
	for _, snapshot := range before {
		ids = append(ids, snapshot.ID)
		if err := repo.Check(t.Context(), snapshot.ID); err != nil {
			t.Error(err)
		}
	}
	report, err := repo.Backup(t.Context(), at.open(t, original).Source())
	if err != nil {
		t.Fatal(err)
	}
	wantSnapshots(t, repo, append(ids, report.Snapshot.ID)...)
	at.wantWhole(t, repo, report.Snapshot.ID, original, keys)

	store := at.open(t, repository).Store()
	closeAtEnd(t, store)
	cleaned, err := store.CleanUp(t.Context(), 0)
	if err != nil || cleaned.Found != cleaned.Aborted || cleaned.Aborted < uploads {
		t.Errorf("clean-up: %+v, %v", cleaned, err)
	}
	bucket, _, _ := strings.Cut(repository, "/")
	at.wantUploads(t, bucket, 0)
}

// newRepository makes a repository, and returns its location.
func (at site) newRepository(t *testing.T) string {
	t.Helper()
	bucket := at.newName(t, "repo")
	repo, err := s3kloset.CreateRepository(t.Context(), at.store(t, bucket), s3kloset.WithPlaintext())
	if err != nil {
		t.Fatal(err)
	}
	closeRepository(t, repo)
	return bucket + "/" + storeFolder
}

// reopen opens a repository until the test ends.
func (at site) reopen(t *testing.T, location string) *s3kloset.Repository {
	t.Helper()
	store := at.open(t, location).Store()
	closeAtEnd(t, store)
	repo, err := s3kloset.OpenRepository(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeRepository(t, repo) })
	return repo
}

// wantSnapshots demands that a repository has exactly these snapshots.
func wantSnapshots(t *testing.T, repo *s3kloset.Repository, ids ...string) {
	t.Helper()
	snapshots, err := repo.Snapshots(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, snapshot := range snapshots {
		got = append(got, snapshot.ID)
	}
	slices.Sort(got)
	if want := slices.Sorted(slices.Values(ids)); !slices.Equal(got, want) {
		t.Errorf("snapshots are %q, not %q", got, want)
	}
}

// wantWhole demands that a snapshot is sound and gives back what the original holds.
func (at site) wantWhole(t *testing.T, repo *s3kloset.Repository, id, original string, keys []string) {
	t.Helper()
	if err := repo.Check(t.Context(), id); err != nil {
		t.Error(err)
	}
	restored := at.newName(t, "restored")
	target := at.open(t, restored, s3kloset.WithCreateBucket(true)).Destination()
	if _, err := repo.Restore(t.Context(), id, target); err != nil {
		t.Fatal(err)
	}
	at.compare(t, restored, original, keys)
}
