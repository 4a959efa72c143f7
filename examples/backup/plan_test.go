package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/s3kloset/s3kloset"
)

func TestPlan(t *testing.T) {
	server, options := service(t)
	fillLittle(server.Bucket("source"))
	args := append([]string{"-plan", "-source", "s3://source", "-source-option", "exclude=x/**"}, options...)
	i := invoke(t.Context(), t, append(args, "-json")...)
	var r planReport
	if err := json.Unmarshal([]byte(i.stdout), &r); err != nil || i.status != exitOK || !r.OK {
		t.Fatalf("status %d, %v\n%s", i.status, err, i.stdout)
	}
	if r.Plan.Objects != 3 || r.Plan.Skipped.Objects != 1 || r.Plan.Requests["GetObject"].Most != 3 {
		t.Errorf("plan %+v", r.Plan)
	}
	i = invoke(t.Context(), t, args...)
	for _, text := range []string{"to read         3 objects, 6 B", "skipped         1 objects, 2.0 MiB", "STANDARD_IA: 1 objects", "empty: 1 objects", "GetObject: 3"} {
		if !strings.Contains(i.stdout, text) {
			t.Errorf("the plan does not say %q:\n%s", text, i.stdout)
		}
	}
	if n := server.Count("GetObject") + server.Count("HeadObject"); n > 0 {
		t.Errorf("%d objects were read", n)
	}

	server.RemoveBucket("source")
	if i := invoke(t.Context(), t, args...); i.status != exitFailed || !strings.Contains(i.stderr, "bucket does not exist") {
		t.Errorf("no bucket: status %d, %s", i.status, i.stderr)
	}
}

func TestPlanOfACostlyBucket(t *testing.T) {
	r := &planReport{Source: "s3://b", Plan: &s3kloset.Plan{
		Sizes:   []s3kloset.SizeShare{{UpTo: 4096, Share: s3kloset.Share{Objects: 2, Bytes: 100}}, {Share: s3kloset.Share{Objects: 1, Bytes: 5 << 30}}},
		Largest: 5 << 30,
		Cost:    s3kloset.Cost{Currency: "USD", Origin: "a list", Requests: s3kloset.Bounds{Least: 1, Most: 2}, Transfer: s3kloset.Bounds{Least: 3, Most: 3}},
	}}
	var out strings.Builder
	if err := write(&out, r, nil, false); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"up to 4.0 KiB: 2 objects", "up to 5.0 GiB: 1 objects", "4.00 to 5.00 USD (requests 1.00 to 2.00, retrieval 0.00, transfer 3.00)", "a list"} {
		if !strings.Contains(out.String(), text) {
			t.Errorf("the plan does not say %q:\n%s", text, out.String())
		}
	}
}
