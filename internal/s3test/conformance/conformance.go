package conformance

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// Server names a server that the table knows.
type Server string

// The servers that the table is run against.
const (
	S3Test  Server = "s3test"
	MinIO   Server = "minio"
	Versity Server = "versitygw"
	MiniS3  Server = "minis3"
)

// rowTimeout bounds one row; the largest uploads 10 MiB.
const rowTimeout = time.Minute

// Target is a running server and the account that the table uses on it. The account must
// be allowed to create buckets, which are left behind.
type Target struct {
	Server    Server
	Endpoint  string // http://HOST:PORT
	Domain    string // when set, buckets are addressed as BUCKET.Domain, at the endpoint's port
	Region    string
	AccessKey string
	SecretKey string
	Client    *http.Client
}

// Run runs each row of the table as a parallel subtest, in a bucket of its own.
func Run(t *testing.T, target Target) {
	t.Helper()
	run(t, target, table())
}

// RunKeys runs the rows about keys alone. With a Domain they show that a server reads keys
// from virtual-host style requests as well.
func RunKeys(t *testing.T, target Target) {
	t.Helper()
	run(t, target, keyRows())
}

func run(t *testing.T, target Target, rows []conversation) {
	client := *target.Client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	target.Client = &client

	prefix := "conf-" + strings.ToLower(rand.Text()[:8])
	for i, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), rowTimeout)
			defer cancel()
			if err := row.run(ctx, target, fmt.Sprintf("%s-%03d", prefix, i)); err != nil {
				t.Error(err)
			}
		})
	}
}

// Deviation tells why a server is excused from a row, and whether it is. A name that the
// table does not have panics: it stands in the source of a test.
func Deviation(server Server, row string) (why string, excused bool) {
	rows := table()
	i := slices.IndexFunc(rows, func(r conversation) bool { return r.name == row })
	if i < 0 {
		panic(fmt.Sprintf("conformance: no row %q", row))
	}
	for _, s := range rows[i].steps {
		if d, ok := s.deviations[server]; ok {
			return d.why, true
		}
	}
	return "", false
}

// table returns all rows, topic by topic. They are made once: some hold digests of megabytes.
var table = sync.OnceValue(func() []conversation {
	return slices.Concat(
		keyRows(),
		bucketRows(),
		objectRows(),
		deleteRows(),
		conditionalRows(),
		rangeRows(),
		listRows(),
		checksumRows(),
		chunkedRows(),
		multipartRows(),
		tagRows(),
		metadataRows(),
		copyRows(),
		classRows(),
		versionRows(),
		lockRows(),
		accessRows(),
	)
})

// conversation is one row of the table.
type conversation struct {
	name   string
	bucket kind
	steps  []step
}

// kind is the kind of bucket that a row needs.
type kind int

const (
	plain kind = iota
	versioned
	locked // object lock, which implies versions
)

// row makes a conversation; its name is TOPIC/BEHAVIOUR.
func row(name string, bucket kind, steps ...step) conversation {
	return conversation{name: name, bucket: bucket, steps: steps}
}

// step is a request and the answer S3 gives to it, or the one that a server gives instead.
type step struct {
	request    request
	want       answer
	deviations map[Server]deviation
	keep       []variable

	rivals int   // when positive, as many are sent at once and one of them gets want
	losers []int // statuses that the others may get
}

type deviation struct {
	why  string
	want answer
}

// Reasons that many rows share.
const (
	unchecked = "not checked"
	otherCode = "another code"
)

// variable is a part of an answer that later steps mention as {name}.
type variable struct {
	name string
	from func(*reply) (string, error)
}

// gives makes a step of a request.
func (r request) gives(want answer) step {
	return step{request: r, want: want}
}

// races makes a step of n equal requests at once: one gets the answer, the others get one
// of the statuses.
func (r request) races(n int, winner answer, losers ...int) step {
	return step{request: r, want: winner, rivals: n, losers: losers}
}

// but excuses a server: for the reason why, it gives another answer. The row ends there.
func (s step) but(server Server, why string, want answer) step {
	deviations := map[Server]deviation{server: {why, want}}
	for name, d := range s.deviations {
		deviations[name] = d
	}
	s.deviations = deviations
	return s
}

// keepHeader makes a header of the answer known as {name}.
func (s step) keepHeader(name, header string) step {
	return s.keeping(name, func(r *reply) (string, error) {
		if v := r.header.Get(header); v != "" {
			return v, nil
		}
		return "", fmt.Errorf("header %s is absent", header)
	})
}

// keepText makes the text of the one element at path known as {name}.
func (s step) keepText(name, path string) step {
	return s.keeping(name, func(r *reply) (string, error) {
		root, err := r.xml()
		if err != nil {
			return "", err
		}
		texts := root.texts(path)
		if len(texts) != 1 {
			return "", fmt.Errorf("%d elements %s", len(texts), path)
		}
		return texts[0], nil
	})
}

func (s step) keeping(name string, from func(*reply) (string, error)) step {
	s.keep = append(slices.Clone(s.keep), variable{name, from})
	return s
}
