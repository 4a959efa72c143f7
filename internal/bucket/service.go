package bucket

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// service is what a client knows of the service that it speaks to: a row of the
// table, or for one that the table does not know, what it called itself and what
// questions have told. A question is asked once, when for the first time an
// answer depends on it, and never of a service whose row settles all. It is safe
// for concurrent use.
type service struct {
	mu      sync.Mutex // for changes of quirks
	quirks  atomic.Pointer[Quirks]
	unknown atomic.Bool // there is something to ask

	readings atomic.Pointer[[]reading] // of listings, those that are still possible

	listing, conditions, checksums, etags, parts, uploadTags, uploadLocks, tags, retention *question
}

func newService(q Quirks) *service {
	s := &service{
		listing:    newQuestion(),
		conditions: newQuestion(),
		checksums:  newQuestion(),
		etags:      newQuestion(),
		parts:      newQuestion(),
		tags:       newQuestion(),
		retention:  newQuestion(),

		uploadTags:  newQuestion(),
		uploadLocks: newQuestion(),
	}
	s.quirks.Store(&q)
	s.readings.Store(&readings)
	s.unknown.Store(q.Vendor == "" || q.asked)
	return s
}

// takenAs is a service that is asked nothing.
func takenAs(q Quirks) *service {
	s := newService(q)
	s.unknown.Store(false)
	return s
}

// learn notes a difference from S3.
func (s *service) learn(change func(*Quirks)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := *s.quirks.Load()
	change(&q)
	s.quirks.Store(&q)
}

// question is one that has an answer after a while. Who needs it waits for
// whoever asks.
type question struct {
	turn    chan struct{} // a lock that can be waited for with a context
	failed  int
	settled atomic.Bool
}

func newQuestion() *question { return &question{turn: make(chan struct{}, 1)} }

// maxFailed is how often a question is asked that gets no answer.
const maxFailed = 3

// errOpen says that an answer has not settled a question yet.
var errOpen = errors.New("open question")

// ask calls put until one call settles the question, by no error.
func (q *question) ask(ctx context.Context, put func() error) {
	if q.settled.Load() {
		return
	}
	select {
	case q.turn <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-q.turn }()
	if q.settled.Load() {
		return
	}
	err := put()
	if err != nil && err != errOpen {
		q.failed++
	}
	if err == nil || q.failed == maxFailed {
		q.settled.Store(true)
	}
}

// introduction lets an unknown service say what it is, in the Server header of
// its answers.
type introduction struct {
	inner   aws.HTTPClient
	service *service
}

func (i *introduction) Do(request *http.Request) (*http.Response, error) {
	response, err := i.inner.Do(request)
	if err == nil && i.service.unknown.Load() && i.service.quirks.Load().Vendor == "" {
		i.service.introduce(response.Header.Get("Server"))
	}
	return response, err
}

func (s *service) introduce(server string) {
	for _, row := range vendors {
		if row.server != "" && strings.HasPrefix(strings.ToLower(server), row.server) {
			s.learn(func(q *Quirks) {
				if q.Vendor == "" {
					*q = row.over(*q)
				}
			})
			s.unknown.Store(row.asked)
			return
		}
	}
}
