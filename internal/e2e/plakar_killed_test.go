package e2e_test

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// stopDuring runs a command until a request that the fault meets has begun, and then ends
// plakar in some way. What belongs to it must end by itself.
func (h *home) stopDuring(stop func(*exec.Cmd), faults *s3test.FaultScript, fault s3test.Fault, args ...string) outcome {
	h.t.Helper()
	begun := make(chan struct{}, 1)
	fault.Times = s3test.Always
	fault.Action = s3test.Chain(s3test.RunFirst(func() {
		select {
		case begun <- struct{}{}:
		default:
		}
	}), fault.Action)
	faults.Add(fault)
	defer faults.Clear()
	ctx, cancel := context.WithTimeout(h.t.Context(), plakarPatience)
	defer cancel()
	cmd := h.command(args...)
	got := h.wait(ctx, cmd, func() {
		select {
		case <-begun:
		case <-ctx.Done():
		}
		stop(cmd)
	})
	if got.status == 0 {
		h.t.Errorf("plakar was not stopped: %v", got)
	}
	for !errors.Is(syscall.Kill(-cmd.Process.Pid, 0), syscall.ESRCH) {
		select {
		case <-ctx.Done():
			h.t.Fatal("the plugin outlives plakar")
		case <-time.After(20 * time.Millisecond):
		}
	}
	return got
}

// kill ends plakar as nobody can prevent.
func (h *home) kill(faults *s3test.FaultScript, fault s3test.Fault, args ...string) {
	h.t.Helper()
	h.stopDuring(func(cmd *exec.Cmd) { _ = cmd.Process.Kill() }, faults, fault, args...)
}

// interrupt presses Ctrl-C: a terminal interrupts the whole group, plakar and the plugin
// itself.
func (h *home) interrupt(faults *s3test.FaultScript, fault s3test.Fault, args ...string) {
	h.t.Helper()
	got := h.stopDuring(func(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }, faults, fault, args...)
	if text := got.stdout + got.stderr; strings.Contains(text, "panic") || strings.Contains(text, "goroutine ") {
		h.t.Errorf("it crashed: %v", got)
	}
}

// TestPlakarKilled ends plakar in the middle of a backup and of a restore. No process, no
// upload and no lock is left, and the next try works.
func TestPlakarKilled(t *testing.T) {
	t.Parallel()
	eachForPlakar(t, func(t *testing.T, shore site) {
		at, proxy := shore.behindProxy(t)
		original, repo, restored := at.newName(t, "original"), at.newName(t, "repo"), at.newName(t, "restored")
		at.fill(t, original, cargo)
		h := newHome(t)
		h.add("source", "src", hostFirst(at.server, original))
		h.add("store", "store", hostFirst(at.server, repo), []string{"create_bucket=true"})
		h.add("destination", "dst", hostFirst(at.server, restored), []string{"create_bucket=true"})
		h.must("at", "@store", "create", "-plaintext")
		faults := proxy.Faults()

		h.kill(faults, s3test.Fault{Op: "GetObject", Bucket: original, Key: "large", Action: s3test.StallAfter(mib / 2)},
			"at", "@store", "backup", "@src")
		h.kill(faults, s3test.Fault{Op: "PutObject", Bucket: repo, Key: "packfiles/*", Action: s3test.Stall()},
			"at", "@store", "backup", "@src")
		if ids := h.snapshots("at", "@store"); len(ids) != 0 {
			t.Errorf("there are snapshots: %q", ids)
		}
		at.wantUploads(t, repo, 0)
		at.wantNoLocks(t, repo)
		h.must("at", "@store", "backup", "@src")
		h.must("at", "@store", "check")

		h.kill(faults, s3test.Fault{Op: "UploadPart", Bucket: restored, Action: s3test.Stall()},
			"at", "@store", "restore", "-to", "@dst", h.newest("at", "@store"))
		at.wantUploads(t, restored, 0)
		h.must("at", "@store", "restore", "-to", "@dst", h.newest("at", "@store"))
		at.compare(t, restored, original, keysOf(cargo))
	})
}

// TestPlakarKeepsRequestsInFlight looks at the requests of a backup and of a restore over a
// slow server. plakar handles one body at a time; S3 must not see that.
func TestPlakarKeepsRequestsInFlight(t *testing.T) {
	const many, together = 200, 32
	eachForPlakar(t, func(t *testing.T, shore site) {
		original, restored := shore.newName(t, "original"), shore.newName(t, "restored")
		shore.fillWithMany(t, original, many)
		at, proxy := shore.behindProxy(t)
		h := newHome(t)
		h.must("create", "-plaintext")
		h.add("source", "src", hostFirst(at.server, original))
		h.add("destination", "dst", hostFirst(at.server, restored), []string{"create_bucket=true"})
		ops := []string{"GetObject", "PutObject"}
		for _, op := range ops {
			proxy.Faults().Add(s3test.Fault{Op: op, Times: together, Action: s3test.Gather(together)})
		}
		h.must("backup", "@src")
		h.must("restore", "-to", "@dst", h.newest())
		proxy.Faults().VerifyAll(t)
		for _, op := range ops {
			totals := proxy.Totals(op)
			t.Logf("%s: %d requests, at most %d at the same time", op, totals.Requests, totals.Peak)
			if totals.Requests != many || totals.Peak < together {
				t.Errorf("%s: %d requests, at most %d at the same time; want %d and %d", op, totals.Requests, totals.Peak, many, together)
			}
		}
	})
}
