package e2e_test

import (
	"testing"

	"github.com/s3kloset/s3kloset/internal/e2e/server"
	"github.com/s3kloset/s3kloset/internal/s3test"
	"github.com/s3kloset/s3kloset/internal/s3test/conformance"
)

// TestPlakarRestoresUnderFaults breaks a restore out of a bucket and into another one, once
// in each way. The existing integration stores the body of one object under the key of
// another then, and tells nobody.
func TestPlakarRestoresUnderFaults(t *testing.T) {
	t.Parallel()
	v := embark(t, server.Shared(t, conformance.MinIO))
	h := newHome(t)
	h.add("source", "src", hostFirst(v.sea.server, v.original))
	h.add("store", "store", hostFirst(v.sea.server, v.repo), []string{"create_bucket=true"})
	h.must("at", "@store", "create", "-plaintext")
	h.must("at", "@store", "backup", "@src")
	for name, fault := range map[string]s3test.Fault{
		"500 for an object":        {Op: "PutObject", Action: s3test.Status(500, "InternalError")},
		"503 for an object":        {Op: "PutObject", Action: s3test.Status(503, "SlowDown")},
		"500 for a part":           {Op: "UploadPart", Action: s3test.Status(500, "InternalError")},
		"answer lost":              {Op: "PutObject", Action: s3test.LoseAnswer()},
		"connection reset":         {Op: "PutObject", Action: s3test.Reset()},
		"body of a packfile cut":   {Op: "GetObject", Key: "packfiles/*", Action: s3test.CutAfter(50)},
		"body of a packfile reset": {Op: "GetObject", Key: "packfiles/*", Action: s3test.ResetAfter(50)},
		"500 for a packfile":       {Op: "GetObject", Key: "packfiles/*", Action: s3test.Status(500, "InternalError")},
	} {
		t.Run(name, func(t *testing.T) {
			h := h.of(t)
			restored := v.shore.newName(t, "restored")
			h.add("destination", restored, hostFirst(v.sea.server, restored), []string{"create_bucket=true"})
			v.proxy.Faults().Add(fault)
			defer v.proxy.Faults().Clear()
			h.must("at", "@store", "restore", "-to", "@"+restored, h.newest("at", "@store"))
			v.proxy.Faults().VerifyAll(t)
			v.shore.compare(t, restored, v.original, keysOf(cargo))
		})
	}
}

// TestPlakarBacksUpUnderFaults does the same to a backup.
func TestPlakarBacksUpUnderFaults(t *testing.T) {
	t.Parallel()
	v := embark(t, server.Shared(t, conformance.MinIO))
	h := newHome(t)
	h.must("create", "-plaintext")
	h.add("source", "src", hostFirst(v.sea.server, v.original))
	for _, fault := range []s3test.Fault{
		{Op: "ListObjectsV2", Nth: 2, Action: s3test.Status(500, "InternalError")}, // the first is a ping
		{Op: "GetObject", Key: "large", Action: s3test.CutAfter(mib / 2)},
		{Op: "GetObject", Key: "folder/small", Action: s3test.ResetAfter(100)},
	} {
		v.proxy.Faults().Add(fault)
	}
	h.must("backup", "@src")
	v.proxy.Faults().VerifyAll(t)
	h.add("destination", "dst", hostFirst(v.shore.server, v.restored), []string{"create_bucket=true"})
	h.must("restore", "-to", "@dst", h.newest())
	v.shore.compare(t, v.restored, v.original, keysOf(cargo))
}

// TestPlakarInterrupted presses Ctrl-C while a body is read. What is left behind must not
// hinder the next backup.
func TestPlakarInterrupted(t *testing.T) {
	t.Parallel()
	eachForPlakar(t, func(t *testing.T, shore site) {
		at, proxy := shore.behindProxy(t)
		original, repo := at.newName(t, "original"), at.newName(t, "repo")
		at.fill(t, original, cargo)
		h := newHome(t)
		h.add("source", "src", hostFirst(at.server, original))
		h.add("store", "store", hostFirst(at.server, repo), []string{"create_bucket=true"})
		h.must("at", "@store", "create", "-plaintext")

		h.interrupt(proxy.Faults(), s3test.Fault{Op: "GetObject", Bucket: original, Key: "large", Action: s3test.StallAfter(mib / 2)},
			"at", "@store", "backup", "@src")
		if ids := h.snapshots("at", "@store"); len(ids) != 0 {
			t.Errorf("there are snapshots: %q", ids)
		}

		h.must("at", "@store", "backup", "@src")
		h.must("at", "@store", "check")
		restored := at.newName(t, "restored")
		h.add("destination", "dst", hostFirst(at.server, restored), []string{"create_bucket=true"})
		h.must("at", "@store", "restore", "-to", "@dst", h.newest("at", "@store"))
		at.compare(t, restored, original, keysOf(cargo))
	})
}
