package contract_test

import (
	"strings"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset/internal/klosettest"
	"github.com/s3kloset/s3kloset/internal/s3test"
)

// The suites over a server that fails every so often, in all the ways that a
// retry overcomes: nobody may notice.

func TestRoundTripSuiteUnderFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("the nemesis does the same in less time: make race runs it")
	}
	clock := s3test.NewManualClock(time.Now())
	server := newSuiteServer(t, s3test.WithClock(clock), s3test.WithDefaultChecksum())
	server.disturb(t)
	klosettest.RunRoundTrip(t, klosettest.RoundTripHarness{
		Source:      server.sources("in a/folder"),
		Destination: server.destinations("go/here"),
		Store:       server.stores(clock),
	})
}

func TestDestinationSuiteUnderFaults(t *testing.T) {
	server := newSuiteServer(t)
	server.disturb(t)
	klosettest.RunDestination(t, server.destinations("in a/folder"))
}

// disturb adds faults that hit a few requests in a hundred, some of which must
// have happened when t ends.
func (s *suiteServer) disturb(t testing.TB) {
	const sometimes = 0.01
	for _, f := range []s3test.Fault{
		{Action: s3test.Status(500, "InternalError")},
		{Action: s3test.StatusHTML(502)},
		{Action: s3test.Reset()},
		{Action: s3test.CloseConn()},
		{Op: "PutObject", Action: s3test.LoseAnswer(), Match: func(r s3test.Request) bool {
			// Whose repository it is cannot be told after a lost answer.
			return !strings.HasSuffix(r.Key, "CONFIG")
		}},
		{Op: "UploadPart", Action: s3test.LoseAnswer()},
		{Op: "CompleteMultipartUpload", Action: s3test.LoseAnswer()},
		{Op: "CompleteMultipartUpload", Action: s3test.Body200Error("InternalError")},
		{Op: "DeleteObject", Action: s3test.LoseAnswer()},
		{Op: "GetObject", Action: s3test.ResetAfter(1000)},
		{Op: "GetObject", Action: s3test.CutAfter(100)},
		{Op: "GetObject", Action: s3test.CutAfter(1 << 20)},
		{Op: "ListObjectsV2", Action: s3test.ResetAfter(300)},
		{Op: "ListObjectsV2", Action: s3test.CutAfter(500)},
	} {
		f.Probability = sometimes
		injection := s.server.Faults().Add(f)
		const many = 1000 // of which none is hit once in 20,000 runs
		t.Cleanup(func() {
			if injection.Matched() > many && injection.Fired() == 0 {
				t.Errorf("none of %d requests met a fault", injection.Matched())
			}
		})
	}
}
