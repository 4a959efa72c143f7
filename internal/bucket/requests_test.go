package bucket

import (
	"bytes"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// TestRequestsAreCounted by operation, attempts that failed too.
func TestRequestsAreCounted(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		if n := len(s.client.Requests()); n != 0 {
			t.Errorf("%d operations before the first", n)
		}
		s.fault(s3test.Fault{Op: "UploadPart", Times: 2, Action: s3test.Status(500, "InternalError")})
		s.fault(s3test.Fault{Op: "GetObject", Action: s3test.CutAfter(10)})
		if _, err := s.client.Upload(t.Context(), "k", bytes.NewReader(bytesOf(250, 70)), -1, Write{PartSize: 100}); err != nil {
			t.Error(err)
		}
		if _, err := readAll(t.Context(), s.client, "k", Pin{}); err != nil {
			t.Error(err)
		}
		want := map[string]int64{"CreateMultipartUpload": 1, "UploadPart": 5, "CompleteMultipartUpload": 1, "GetObject": 2}
		if got := s.client.Requests(); !maps.Equal(got, want) {
			t.Errorf("counted %v, want %v", got, want)
		}
		for op, n := range want {
			s.wantCount(op, int(n))
		}
	}, smallParts)
}

func TestRequestsAreASnapshot(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.fill([]string{"k"})
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for range 5 {
					if _, err := s.client.Head(t.Context(), "k", Pin{}); err != nil {
						t.Error(err)
					}
					clear(s.client.Requests())
				}
			})
		}
		wg.Wait()
		s.wantCount("HeadObject", 40)
	})
}

// TestStandingHeaders go with every request, the customer's key only with
// those that need it.
func TestStandingHeaders(t *testing.T) {
	cfg := Config{RequesterPays: true, OwnerControl: true, ExpectedOwner: "000011112222", SSECustomerKey: bytesOf(32, 71)}
	play(t, cfg, func(t *testing.T, s *stage) {
		s.bucket.SetRequesterPays(true)
		everyCall(t.Context(), s.client)
		seen := map[string]bool{}
		for _, r := range s.Requests() {
			seen[r.Op] = true
			if r.Header.Get("X-Amz-Request-Payer") != "requester" || r.Header.Get("X-Amz-Expected-Bucket-Owner") != "000011112222" {
				t.Errorf("%s lacks a header: %v", r.Op, r.Header)
			}
			if acl := r.Header.Get("X-Amz-Acl"); (acl == "bucket-owner-full-control") != (r.Op == "PutObject" || r.Op == "CreateMultipartUpload") {
				t.Errorf("%s has the ACL %q", r.Op, acl)
			}
			key := false
			for name := range r.Header {
				key = key || strings.HasPrefix(name, "X-Amz-Server-Side-Encryption-Customer-")
			}
			if key != keyedOperations[r.Op] {
				t.Errorf("%s carries the customer's key: %t", r.Op, key)
			}
		}
		for op := range keyedOperations {
			if !seen[op] {
				t.Errorf("%s was not asked", op)
			}
		}
	}, s3test.WithSSECOverHTTP(), smallParts)
}

func TestCheckHeader(t *testing.T) {
	for _, c := range []struct {
		name, value string
		ok          bool
	}{
		{"X-Amz-Meta-A", "", true},
		{"X-Amz-Meta-A", "b\tc é \xff", true},
		{"X-Amz-Meta-A_b.c~|", "v", true},
		{"X-Amz-Meta-A", "a\nb", false},
		{"X-Amz-Meta-A", "a\rb", false},
		{"X-Amz-Meta-A", "a\x00b", false},
		{"X-Amz-Meta-A", "a\x7fb", false},
		{"X-Amz-Meta-A b", "v", false},
		{"X-Amz-Meta-A:", "v", false},
		{"X-Amz-Meta-é", "v", false},
		{"", "v", false},
	} {
		if ok := checkHeader(c.name, []string{c.value}) == nil; ok != c.ok {
			t.Errorf("%q: %q is carried: %t", c.name, c.value, ok)
		}
	}
}
