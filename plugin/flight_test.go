package main

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"testing"

	gexporter "github.com/PlakarKorp/integration-grpc/exporter"
	gimporter "github.com/PlakarKorp/integration-grpc/importer"
	"github.com/PlakarKorp/kloset/connectors"
	"github.com/PlakarKorp/kloset/objects"
	"github.com/s3kloset/s3kloset/internal/s3test"
)

// slowHost is plakar on a machine with two cores: it handles one object after
// the other, as it does the bodies of a restore on any machine.
func slowHost() *connectors.Options { return &connectors.Options{MaxConcurrency: 1} }

// gather holds requests until n of them are there at the same time. What it returns
// demands that they were.
func (s *site) gather(t *testing.T, op string, n int) func() {
	s.Faults().Clear()
	s.ResetRequests()
	s.Faults().Add(s3test.Fault{Op: op, Times: s3test.Always, Action: s3test.Gather(n)})
	return func() {
		t.Helper()
		if peak := s.Peak(op); peak < n {
			t.Errorf("%s: there are never more than %d at the same time, want %d", op, peak, n)
		}
	}
}

// TestRequestsGoSideBySide backs up and restores through the pipe, which has
// one body at a time: what S3 sees must not.
func TestRequestsGoSideBySide(t *testing.T) {
	small := make(map[string][]byte)
	for i := range 64 {
		small[fmt.Sprintf("/object%02d", i)] = fmt.Append(nil, "body ", i)
	}
	large := map[string][]byte{"/large": bytes.Repeat([]byte("large"), 8<<20)}
	for name, test := range map[string]struct {
		bodies map[string][]byte
		upload string
		want   int // at the same time
	}{
		"small": {small, "PutObject", 64},
		"large": {large, "UploadPart", 5},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			for path, body := range test.bodies {
				s.bucket.Put(path[1:], body, s3test.Properties{})
			}
			config := s.with("part_size", "5MiB")
			demand := s.gather(t, "GetObject", test.want)
			compare(t, backedUp(t, config), test.bodies)
			demand()

			target := s.CreateBucket("target")
			config["location"] = "s3://target"
			demand = s.gather(t, test.upload, test.want)
			restore(t, config, test.bodies)
			demand()
			got := make(map[string][]byte)
			for _, o := range target.Dump() {
				got["/"+o.Key] = o.Body
			}
			compare(t, got, test.bodies)
		})
	}
}

func compare(t *testing.T, got, want map[string][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("there are %d objects, want %d", len(got), len(want))
	}
	for path, body := range want {
		if !bytes.Equal(got[path], body) {
			t.Errorf("%s: got %d bytes, want %d", path, len(got[path]), len(body))
		}
	}
}

// backedUp is what a host reads through the pipe.
func backedUp(t *testing.T, config map[string]string) map[string][]byte {
	t.Helper()
	imp, err := gimporter.NewImporter(t.Context(), startPlugin(t), slowHost(), "s3", config)
	if err != nil {
		t.Fatal(err)
	}
	bodies, errs, err := readAll(t, imp)
	if err != nil || len(errs) > 0 {
		t.Errorf("import: %v, %v", err, errs)
	}
	if err := imp.Close(t.Context()); err != nil {
		t.Error(err)
	}
	got := make(map[string][]byte)
	for path, body := range bodies {
		got[path] = []byte(body)
	}
	return got
}

// restore sends bodies through the pipe.
func restore(t *testing.T, config map[string]string, bodies map[string][]byte) {
	t.Helper()
	exp, err := gexporter.NewExporter(t.Context(), startPlugin(t), slowHost(), "s3", config)
	if err != nil {
		t.Fatal(err)
	}
	records, results := make(chan *connectors.Record), make(chan *connectors.Result)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer close(records)
		for path, body := range bodies {
			info := objects.FileInfo{Lname: path[1:], Lsize: int64(len(body)), Lmode: 0o644}
			records <- connectors.NewRecord(path, "", info, nil, func() (io.ReadCloser, error) {
				return io.NopCloser(bytes.NewReader(body)), nil
			})
		}
	})
	wg.Go(func() {
		for result := range results {
			if result.Err != nil {
				t.Errorf("%s: %v", result.Record.Pathname, result.Err)
			}
		}
	})
	if err := exp.Export(t.Context(), records, results); err != nil {
		t.Errorf("export: %v", err)
	}
	wg.Wait()
	if err := exp.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
