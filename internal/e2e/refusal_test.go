package e2e_test

import (
	"errors"
	"io/fs"
	"net"
	"strings"
	"testing"

	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/e2e/server"
)

// closedPort is an address where nobody listens: one that has just been free. The number
// may be taken again, but hardly by a server.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// mistake is something wrong with how a server is addressed.
type mistake struct {
	name   string
	bucket string // when it is not the one that exists
	opts   []s3kloset.Option
	want   error
}

func mistakes(t *testing.T, at site) []mistake {
	t.Helper()
	return []mistake{
		{
			name: "wrong secret", want: s3kloset.ErrCredentials,
			opts: []s3kloset.Option{s3kloset.WithCredentials(at.server.AccessKey, "not the secret", "")},
		},
		{
			name: "unknown key", want: s3kloset.ErrCredentials,
			opts: []s3kloset.Option{s3kloset.WithCredentials("AKIANOBODYKNOWSTHIS0", at.server.SecretKey, "")},
		},
		{name: "no such bucket", want: s3kloset.ErrBucketNotFound, bucket: newName("nowhere")},
		{name: "nobody there", want: s3kloset.ErrUnreachable, opts: []s3kloset.Option{s3kloset.WithEndpoint("http://" + closedPort(t))}},
	}
}

// TestMistakes makes each mistake in each role. The error must tell which, and nothing be
// written anywhere.
func TestMistakes(t *testing.T) {
	server.Each(t, func(t *testing.T, s *server.Server) {
		at := newSite(t, s)
		original, repoBucket := at.newName(t, "original"), at.newName(t, "repo")
		at.fill(t, original, []exhibit{show("a"), show("b")})
		repo, err := s3kloset.CreateRepository(t.Context(), at.store(t, repoBucket), s3kloset.WithPlaintext())
		if err != nil {
			t.Fatal(err)
		}
		defer closeRepository(t, repo)
		if _, err := repo.Backup(t.Context(), at.open(t, original).Source()); err != nil {
			t.Fatal(err)
		}
		before := at.keys(t, repoBucket)
		for _, m := range mistakes(t, at) {
			t.Run(m.name, func(t *testing.T) {
				m.make(t, at, repo, original, repoBucket)
				if after := at.keys(t, repoBucket); strings.Join(after, "\n") != strings.Join(before, "\n") {
					t.Errorf("repository has changed from %q to %q", before, after)
				}
				if keys := at.keys(t, original); len(keys) != 2 {
					t.Errorf("bucket has %q", keys)
				}
				if snapshots, err := repo.Snapshots(t.Context()); err != nil || len(snapshots) != 1 {
					t.Errorf("snapshots are %+v, %v", snapshots, err)
				}
			})
		}
	})
}

func (m mistake) make(t *testing.T, at site, repo *s3kloset.Repository, original, repoBucket string) {
	if m.bucket != "" {
		original, repoBucket = m.bucket, m.bucket
	}
	check := func(role string, err error) {
		t.Helper()
		if !errors.Is(err, m.want) {
			t.Errorf("%s: %v, want %v", role, err, m.want)
		}
		if err != nil && strings.Contains(err.Error(), at.server.SecretKey) {
			t.Errorf("%s: the error shows the secret", role)
		}
	}
	report, err := repo.Backup(t.Context(), at.open(t, original, m.opts...).Source())
	check("backup", err)
	if report != nil && report.Snapshot.ID != "" {
		t.Errorf("there is a snapshot %s", report.Snapshot.ID)
	}
	_, err = repo.Restore(t.Context(), "", at.open(t, original, m.opts...).Destination())
	check("restore", err)

	store := at.open(t, repoBucket+"/backups/one", m.opts...).Store()
	closeAtEnd(t, store)
	_, err = s3kloset.OpenRepository(t.Context(), store, s3kloset.WithPlaintext())
	check("open", err)
	if errors.Is(err, s3kloset.ErrNoRepository) || errors.Is(err, fs.ErrNotExist) && m.want != s3kloset.ErrBucketNotFound {
		t.Errorf("open: %v sounds as if one might create a repository", err)
	}
	_, err = s3kloset.CreateRepository(t.Context(), store, s3kloset.WithPlaintext())
	check("create", err)
	wantNothingRunning(t)
}

// TestMistakesWithoutServer are found before any request.
func TestMistakesWithoutServer(t *testing.T) {
	for name, test := range map[string]struct {
		location string
		option   s3kloset.Option
		want     error
	}{
		"no bucket":          {"s3://", nil, s3kloset.ErrInvalidLocation},
		"another scheme":     {"file:///tmp", nil, s3kloset.ErrInvalidLocation},
		"unknown parameter":  {"s3://bucket?colour=red", nil, s3kloset.ErrInvalidOption},
		"part size too low":  {"s3://bucket", s3kloset.WithPartSize(1), s3kloset.ErrInvalidOption},
		"concurrency of 0":   {"s3://bucket", s3kloset.WithConcurrency(0), s3kloset.ErrInvalidOption},
		"memory of a byte":   {"s3://bucket", s3kloset.WithMemoryLimit(1), s3kloset.ErrInvalidOption},
		"malformed endpoint": {"s3://bucket", s3kloset.WithEndpoint("http://"), s3kloset.ErrInvalidOption},
		"missing CA file":    {"s3://bucket", s3kloset.WithCAFile("does/not/exist.pem"), s3kloset.ErrInvalidOption},
	} {
		t.Run(name, func(t *testing.T) {
			if b, err := s3kloset.New(test.location, test.option); !errors.Is(err, test.want) {
				t.Errorf("%v, %v, want %v", b, err, test.want)
			}
		})
	}
}
