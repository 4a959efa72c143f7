package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// TestBudgetEndsTheProgram: who has said what a run may cost learns from its
// end that it would have cost more.
func TestBudgetEndsTheProgram(t *testing.T) {
	server, options := service(t)
	for i := range 60 {
		server.Bucket("source").Put(fmt.Sprintf("key%02d", i), fmt.Appendf(nil, "body %d", i), s3test.Properties{})
	}
	server.CreateBucket("target")
	store := t.TempDir() + "/store"
	job := func(more ...string) []string {
		return append(append([]string{"-store", store, "-plaintext"}, options...), more...)
	}
	spent := func(r toolReport, budget string) {
		t.Helper()
		if !strings.Contains(r.Error, "budget is spent") || !strings.Contains(r.Error, budget) {
			t.Errorf("error %q, want the budget and %q", r.Error, budget)
		}
	}

	for option, budget := range map[string]string{"max_requests=20": "max_requests is 20", "max_bytes=100": "max_bytes is 100"} {
		r := want(t, exitFailed, job("-source", "s3://source", "-source-option", option)...)
		spent(r, budget)
		if r.Backup != nil && r.Backup.Snapshot.ID != "" {
			t.Errorf("%s: there is a snapshot of a part: %+v", option, r.Backup.Snapshot)
		}
		if list := want(t, exitOK, job("-list")...); len(list.Snapshots) != 0 {
			t.Errorf("%s: snapshots %+v", option, list.Snapshots)
		}
	}

	// What was listed and never begun has no key to be named by.
	if i := invoke(t.Context(), t, job("-source", "s3://source", "-source-option", "max_requests=20")...); !strings.Contains(i.stdout, " objects were not dealt with: ") || strings.Contains(i.stdout, `""`) {
		t.Errorf("the report is %q", i.stdout)
	}

	want(t, exitOK, job("-source", "s3://source", "-source-option", "max_requests=200")...)
	spent(want(t, exitFailed, job("-restore", "s3://target", "-restore-option", "max_requests=20")...), "max_requests is 20")
	if n := server.Bucket("target").Len(); n == 0 || n > 20 {
		t.Errorf("%d objects were restored with 20 requests", n)
	}
	if i := invoke(t.Context(), t, job("-restore", "s3://target", "-restore-option", "max_requests=20")...); i.status != exitFailed || !strings.Contains(i.stderr, "budget") {
		t.Errorf("status %d, %q", i.status, i.stderr)
	}
}
