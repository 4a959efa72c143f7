package s3kloset_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/PlakarKorp/kloset/objects"
	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/klosettest"
	"github.com/s3kloset/s3kloset/internal/s3test"
)

func (p *patient) crowd(n, size int) {
	for i := range n {
		p.bucket.Put(fmt.Sprintf("data/%04d", i), bytes.Repeat([]byte{byte(i)}, size), s3test.Properties{})
	}
}

func TestBudgetEndsABackup(t *testing.T) {
	for name, budget := range map[string]s3kloset.Option{
		"requests": s3kloset.WithMaxRequests(50),
		"bytes":    s3kloset.WithMaxBytes(50 * 1000),
	} {
		t.Run(name, func(t *testing.T) {
			p := newPatient(t)
			p.crowd(200, 1000)
			repo, err := s3kloset.CreateRepository(t.Context(), klosettest.NewMemStore(), s3kloset.WithPlaintext(), s3kloset.WithEngineConcurrency(2))
			if err != nil {
				t.Fatal(err)
			}
			defer repo.Close()
			report, err := repo.Backup(t.Context(), p.handle(budget).Source())
			if !errors.Is(err, s3kloset.ErrBudget) {
				t.Fatalf("error is %v", err)
			}
			if report != nil && report.Snapshot.ID != "" {
				t.Error("there is a snapshot of a part")
			}
			if snapshots, err := repo.Snapshots(t.Context()); err != nil || len(snapshots) != 0 {
				t.Errorf("snapshots %v, error %v", snapshots, err)
			}
			if n := p.server.Count(""); name == "requests" && n > 50 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// TestBudgetOfAStore ends the run that writes there, and lets it unlock all the same.
func TestBudgetOfAStore(t *testing.T) {
	for name, budget := range map[string]s3kloset.Option{
		"requests": s3kloset.WithMaxRequests(12),
		"bytes":    s3kloset.WithMaxBytes(20_000),
	} {
		t.Run(name, func(t *testing.T) {
			p := newPatient(t)
			for i := range 100 {
				body := make([]byte, 1000)
				rand.Read(body)
				p.bucket.Put(fmt.Sprintf("data/%04d", i), body, s3test.Properties{})
			}
			vault := p.other("vault")
			repo, err := s3kloset.CreateRepository(t.Context(), vault.Store(), s3kloset.WithPlaintext())
			if err != nil {
				t.Fatal(err)
			}
			if err := repo.Close(); err != nil {
				t.Fatal(err)
			}
			short := p.other("vault", budget)
			if repo, err = s3kloset.OpenRepository(t.Context(), short.Store(), s3kloset.WithPlaintext()); err != nil {
				t.Fatal(err)
			}
			defer repo.Close()
			for range 10 { // of which one is too much
				if _, err = repo.Backup(t.Context(), p.handle().Source()); err != nil {
					break
				}
			}
			if !errors.Is(err, s3kloset.ErrBudget) {
				t.Errorf("error is %v", err)
			}
			for _, key := range p.server.Bucket("vault").Keys() {
				if strings.HasPrefix(key, "locks/") {
					t.Errorf("%s is left", key)
				}
			}
		})
	}
}

func TestBudgetEndsARestore(t *testing.T) {
	for name, budget := range map[string]s3kloset.Option{
		"requests": s3kloset.WithMaxRequests(20),
		"bytes":    s3kloset.WithMaxBytes(20 * 1000),
	} {
		t.Run(name, func(t *testing.T) {
			p := newPatient(t)
			from := p.other("origin")
			for i := range 100 {
				p.server.Bucket("origin").Put(fmt.Sprintf("%04d", i), make([]byte, 1000), s3test.Properties{})
			}
			b := p.handle(budget)
			if err := move(t.Context(), from, b); !errors.Is(err, s3kloset.ErrBudget) {
				t.Errorf("error is %v", err)
			}
			var made int64
			for _, n := range b.Requests() {
				made += n
			}
			if written := p.bucket.Len(); written > 20 || name == "requests" && made > 20 {
				t.Errorf("%d requests, %d objects", made, written)
			}
		})
	}
}

func TestBudgetIsEnough(t *testing.T) {
	p := newPatient(t)
	p.crowd(3, 1000)
	b := p.handle(s3kloset.WithMaxRequests(100), s3kloset.WithMaxBytes(3000))
	if err := move(t.Context(), b, p.other("elsewhere")); err != nil {
		t.Error(err)
	}
}

// What would stay behind is cleaned up with an empty budget too.
func TestBudgetLeavesNothingBehind(t *testing.T) {
	p := newPatient(t)
	p.server.Faults().Add(s3test.Fault{Op: "UploadPart", Times: s3test.Always, Action: s3test.Status(500, "InternalError")})
	b := p.handle(s3kloset.WithMaxRequests(3), s3kloset.WithPartSize(5<<20))
	store := b.Store()
	var id objects.MAC
	_, err := store.Put(t.Context(), storage.StorageResourcePackfile, id, io.LimitReader(zeros{}, 40<<20))
	if !errors.Is(err, s3kloset.ErrBudget) {
		t.Errorf("error is %v", err)
	}
	if n := p.bucket.Uploads(); n != 0 {
		t.Errorf("%d uploads are left", n)
	}
	if _, err := store.Put(t.Context(), storage.StorageResourceLock, id, bytes.NewReader([]byte("lock"))); err != nil {
		t.Errorf("lock: %v", err)
	}
	if err := store.Delete(t.Context(), storage.StorageResourceLock, id); err != nil {
		t.Errorf("unlock: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestBudgetOptions(t *testing.T) {
	for _, config := range []map[string]string{{"max_requests": "0"}, {"max_bytes": "-1"}, {"max_requests": "many"}, {"max_bytes": "0"}} {
		opts, err := s3kloset.FromConfig(config)
		if err == nil {
			_, err = s3kloset.New("s3://bucket", opts...)
		}
		if !errors.Is(err, s3kloset.ErrInvalidOption) {
			t.Errorf("%v: error is %v", config, err)
		}
	}
	opts, err := s3kloset.FromConfig(map[string]string{"max_requests": "10", "max_bytes": "1GiB", "anonymous": "true"})
	if err != nil {
		t.Fatal(err)
	}
	b, err := s3kloset.New("s3://bucket", opts...)
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
}

// TestBudgetIsWhatFailed: objects that were in flight when a run ended are
// counted with those that it did not reach, and not said to be cancelled one
// by one.
func TestBudgetIsWhatFailed(t *testing.T) {
	p := newPatient(t)
	p.crowd(200, 1000)
	repo, err := s3kloset.CreateRepository(t.Context(), klosettest.NewMemStore(), s3kloset.WithPlaintext())
	if err != nil {
		t.Fatal(err)
	}
	defer repo.Close()
	named := func(what string, o s3kloset.Outcome, err error) {
		t.Helper()
		for _, f := range o.Failures {
			if !errors.Is(f.Err, s3kloset.ErrBudget) {
				t.Errorf("%s: failure %q: %v", what, f.Key, f.Err)
			}
		}
		if sum := o.Stored + o.Failed; !errors.Is(err, s3kloset.ErrBudget) || sum != o.Listed || o.Failed == 0 {
			t.Errorf("%s: counts %+v, error %v", what, o.Counts, err)
		}
		if text := fmt.Sprint(err); strings.Contains(text, "cancel") || strings.Contains(text, `""`) {
			t.Errorf("%s: error is %q", what, text)
		}
	}
	backup, err := repo.Backup(t.Context(), p.handle(s3kloset.WithMaxRequests(50)).Source())
	named("backup", backup.Outcome, err)

	backup, err = repo.Backup(t.Context(), p.handle().Source())
	if err != nil {
		t.Fatal(err)
	}
	restore, err := repo.Restore(t.Context(), backup.Snapshot.ID, p.other("vault", s3kloset.WithMaxRequests(50)).Destination())
	named("restore", restore.Outcome, err)
}
