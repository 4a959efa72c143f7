package bucket

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// TestQuestionOfListings: keys of a service that encodes them in any known way
// are read right, and how is asked when it makes a difference only.
func TestQuestionOfListings(t *testing.T) {
	plain, telling := []string{"a", "b/c"}, []string{"a b", "a%20b", "c+d", "é"}
	for _, c := range []struct {
		name     string
		encoding s3test.ListEncoding
		keys     []string
		vendor   string
		first    int // requests of the first listing
		second   int
	}{
		{"nothing to tell apart", s3test.PathEncoding, plain, "", 1, 1},
		{"as S3", s3test.FormEncoding, telling, "", 2, 1},
		{"paths", s3test.PathEncoding, telling, "", 2, 1},
		{"a lone plus in paths", s3test.PathEncoding, []string{"c+d"}, "", 2, 1},
		{"none", s3test.NoEncoding, telling, "", 3, 1},
		{"a vendor with a row", s3test.FormEncoding, telling, "minio", 1, 1},
		{"a vendor of old versions", s3test.NoEncoding, telling, "ceph", 3, 1},
		{"a vendor of new versions", s3test.PathEncoding, telling, "ceph", 2, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, Config{Vendor: c.vendor}, func(t *testing.T, s *stage) {
				s.fill(c.keys)
				for _, want := range []int{c.first, c.second} {
					before := s.Count("ListObjectsV2")
					got, err := listed(t.Context(), s.client, Range{})
					if err != nil || !slices.Equal(got, slices.Sorted(slices.Values(c.keys))) {
						t.Errorf("keys are %q, %v", got, err)
					}
					if asked := s.Count("ListObjectsV2") - before; asked != want {
						t.Errorf("%d requests, want %d", asked, want)
					}
				}
			}, s3test.WithListEncoding(c.encoding))
		})
	}
}

// TestQuestionOfListingsStaysOpen: a page that rules out one way of three leaves
// the rest to a later page.
func TestQuestionOfListingsStaysOpen(t *testing.T) {
	for _, encoding := range []s3test.ListEncoding{s3test.FormEncoding, s3test.PathEncoding} {
		play(t, Config{}, func(t *testing.T, s *stage) {
			keys := []string{"1%", "2%", "3 +", "4 +"}
			s.fill(keys)
			got, err := listed(t.Context(), s.client, Range{})
			if err != nil || !slices.Equal(got, keys) {
				t.Errorf("keys are %q, %v", got, err)
			}
			s.wantCount("ListObjectsV2", 4+2)
		}, s3test.WithListEncoding(encoding), s3test.WithPageSize(1))
	}
}

// TestQuestionOfListingsWithoutAnAnswer is not asked for ever.
func TestQuestionOfListingsWithoutAnAnswer(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		keys := keysOf(10, "%02d %%")
		s.fill(keys)
		s.fault(s3test.Fault{Op: "ListObjectsV2", Times: maxFailed, Action: s3test.Status(400, "InvalidArgument"),
			Match: func(r s3test.Request) bool { return !r.Query.Has("encoding-type") }})
		got, err := listed(t.Context(), s.client, Range{})
		if err != nil || !slices.Equal(got, keys) {
			t.Errorf("keys are %q, %v", got, err)
		}
		s.wantCount("ListObjectsV2", 10+maxFailed)
	}, s3test.WithPageSize(1))
}

// TestQuestionOfListingsIsNoReasonToWait: a server that has no answer but 500
// keeps nobody for as long as all retries take.
func TestQuestionOfListingsIsNoReasonToWait(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		keys := keysOf(10, "%02d %%")
		s.fill(keys)
		s.fault(s3test.Fault{Op: "ListObjectsV2", Times: maxFailed * plainAttempts, Action: s3test.Status(500, "InternalError"),
			Match: func(r s3test.Request) bool { return !r.Query.Has("encoding-type") }})
		got, err := listed(t.Context(), s.client, Range{})
		if err != nil || !slices.Equal(got, keys) {
			t.Errorf("keys are %q, %v", got, err)
		}
		s.wantCount("ListObjectsV2", 10+maxFailed*plainAttempts)
	}, s3test.WithPageSize(1))
}

// TestQuestionOfChecksums: a service that refuses checksums is written to
// without, for parts as well.
func TestQuestionOfChecksums(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.mustPut("first", "x")
		s.wantCount("PutObject", 3)
		s.mustPut("second", "y")
		s.wantCount("PutObject", 4)
	}, s3test.WithoutFeature(s3test.Checksums))

	play(t, Config{}, func(t *testing.T, s *stage) {
		big := strings.Repeat("x", 2*MinPartSize)
		for range 2 {
			_, err := s.client.Upload(t.Context(), "big", strings.NewReader(big), int64(len(big)), Write{PartSize: MinPartSize})
			if err != nil {
				t.Fatal(err)
			}
		}
		s.wantCount("CreateMultipartUpload", 2+2)
		s.wantCount("UploadPart", 4)
	}, s3test.WithoutFeature(s3test.Checksums))

	// A refusal that is not one of checksums costs none.
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.fault(s3test.Fault{Op: "PutObject", Times: 1, Action: s3test.Status(501, "NotImplemented")})
		s.mustPut("first", "x")
		s.mustPut("second", "y")
		s.wantCount("PutObject", 3)
		for _, r := range s.Requests() {
			if r.Op == "PutObject" && r.Header.Get("X-Amz-Checksum-Crc32") == "" {
				t.Errorf("written without a checksum: %v", r.Header)
			}
		}
	})

	// One that has a row is believed, as is one that took a checksum before.
	play(t, Config{Vendor: "minio"}, func(t *testing.T, s *stage) {
		_, err := s.client.Put(t.Context(), "key", []byte("x"), Write{})
		if err == nil {
			t.Error("it took the checksum")
		}
		s.wantCount("PutObject", 1)
	}, s3test.WithoutFeature(s3test.Checksums))
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.mustPut("first", "x")
		s.fault(s3test.Fault{Op: "PutObject", Times: 1, Action: s3test.Status(501, "NotImplemented")})
		if _, err := s.client.Put(t.Context(), "second", []byte("x"), Write{}); err == nil {
			t.Error("what is refused was written")
		}
		s.wantCount("PutObject", 2)
	})
}

// TestQuestionOfCompletions: a service whose completions have no room for the
// checksums of parts gets them with the parts alone.
func TestQuestionOfCompletions(t *testing.T) {
	big := strings.Repeat("x", 2*MinPartSize)
	upload := func(t *testing.T, s *stage, w Write) error {
		w.PartSize = MinPartSize
		_, err := s.client.Upload(t.Context(), "big", strings.NewReader(big), int64(len(big)), w)
		return err
	}
	without := s3test.WithoutFeature(s3test.CompletionSums)

	play(t, Config{}, func(t *testing.T, s *stage) {
		for range 2 {
			if err := upload(t, s, Write{}); err != nil {
				t.Fatal(err)
			}
		}
		s.wantCount("CreateMultipartUpload", 2)
		s.wantCount("CompleteMultipartUpload", 3)
		for _, r := range s.Requests() {
			if r.Op == "UploadPart" && r.Header.Get("X-Amz-Checksum-Crc32") == "" {
				t.Errorf("a part without a checksum: %v", r.Header)
			}
		}
		s.wantStored("big", []byte(big))
	}, without)

	// What a condition makes of it comes after that.
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.mustPut("big", "first")
		wantError(t, upload(t, s, Write{IfNoneMatch: true}), ErrAlreadyExists, "complete upload", "big")
		if n := s.bucket.Uploads(); n != 0 {
			t.Errorf("%d uploads are left", n)
		}
	}, without)

	// A document that is refused in any case is not that of the checksums.
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.fault(s3test.Fault{Op: "CompleteMultipartUpload", Times: 2, Action: s3test.Status(400, "MalformedXML")})
		if err := upload(t, s, Write{}); !refusesPartSums(err) {
			t.Errorf("error is %v", err)
		}
		if err := upload(t, s, Write{}); err != nil {
			t.Fatal(err)
		}
		s.wantCount("CompleteMultipartUpload", 3)
		if s.client.Quirks().BareCompletion {
			t.Error("checksums are left out from here on")
		}
	})

	// One that has a row is believed.
	play(t, Config{Vendor: "minio"}, func(t *testing.T, s *stage) {
		if err := upload(t, s, Write{}); !refusesPartSums(err) {
			t.Errorf("error is %v", err)
		}
		s.wantCount("CompleteMultipartUpload", 1)
	}, without)
}

// TestQuestionOfETags: an ETag that is no MD5 is no damage where none is.
func TestQuestionOfETags(t *testing.T) {
	without := []s3test.Option{s3test.WithoutFeature(s3test.MD5ETags), s3test.WithoutFeature(s3test.Checksums)}
	play(t, Config{}, func(t *testing.T, s *stage) {
		for range 2 {
			written, err := s.client.Put(t.Context(), "key", []byte("x"), Write{})
			if err != nil || !written.OpaqueETag {
				t.Errorf("%+v, %v", written, err)
			}
		}
		s.wantCount("GetObject", 1)
	}, without...)

	play(t, Config{}, func(t *testing.T, s *stage) {
		s.fault(s3test.Fault{Op: "GetObject", Times: 1, Action: s3test.FlipBit(0)})
		_, err := s.client.Put(t.Context(), "key", []byte("x"), Write{})
		wantError(t, err, ErrChecksum, "put", "key")
	}, without...)

	play(t, Config{Vendor: "minio", NoChecksums: true}, func(t *testing.T, s *stage) {
		_, err := s.client.Put(t.Context(), "key", []byte("x"), Write{})
		wantError(t, err, ErrChecksum, "put", "key")
		s.wantCount("GetObject", 0)
	}, without...)
}

// TestQuestionOfConditions: what a service ignores does not guard anything,
// which is known before the first object is written over.
func TestQuestionOfConditions(t *testing.T) {
	guarded := Write{IfNoneMatch: true, Guards: true}
	for _, c := range []struct {
		name   string
		vendor string
		puts   int // requests of a question
		heads  int // requests in place of a condition
		with   []s3test.Option
	}{
		{"kept", "", 1, 0, nil},
		{"ignored", "", 2, 1, []s3test.Option{s3test.WithoutFeature(s3test.ConditionalWrites)}},
		{"a vendor with a row", "minio", 0, 0, nil},
		{"a vendor of many versions", "ceph", 2, 1, []s3test.Option{s3test.WithoutFeature(s3test.ConditionalWrites)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, Config{Vendor: c.vendor}, func(t *testing.T, s *stage) {
				s.fill([]string{"there"})
				for i := range 2 {
					_, err := s.client.Put(t.Context(), "there", []byte("new"), guarded)
					wantError(t, err, ErrAlreadyExists, "put", "there")
					if _, err := s.client.Put(t.Context(), fmt.Sprint("new", i), nil, guarded); err != nil {
						t.Error(err)
					}
				}
				if got := s.bucket.Keys(); !slices.Equal(got, []string{"new0", "new1", "there"}) {
					t.Errorf("keys are %q", got)
				}
				s.wantCount("HeadObject", 4*c.heads)
				refused := 2 * (1 - c.heads)
				s.wantCount("PutObject", c.puts+2+refused)
			}, c.with...)
		})
	}

	t.Run("nobody is asked where nothing is guarded", func(t *testing.T) {
		play(t, Config{}, func(t *testing.T, s *stage) {
			if _, err := s.client.Put(t.Context(), "key", nil, Write{IfNoneMatch: true}); err != nil {
				t.Error(err)
			}
			s.wantCount("", 1)
		})
	})

	t.Run("all wait for one answer", func(t *testing.T) {
		play(t, Config{}, func(t *testing.T, s *stage) {
			s.fill([]string{"there"})
			var writers sync.WaitGroup
			for range 16 {
				writers.Go(func() {
					_, err := s.client.Put(t.Context(), "there", []byte("new"), guarded)
					wantError(t, err, ErrAlreadyExists, "put", "there")
				})
			}
			writers.Wait()
			s.wantCount("PutObject", 2)
			s.wantCount("DeleteObject", 1)
		}, s3test.WithoutFeature(s3test.ConditionalWrites))
	})

	t.Run("who may not ask gets no answer", func(t *testing.T) {
		play(t, Config{}, func(t *testing.T, s *stage) {
			s.fault(s3test.Fault{Op: "PutObject", Times: maxFailed, Action: s3test.Status(403, "AccessDenied"),
				Match: func(r s3test.Request) bool { return strings.Contains(r.Key, ".s3kloset-") }})
			for i := range maxFailed + 1 {
				if _, err := s.client.Put(t.Context(), fmt.Sprint(i), nil, guarded); err != nil {
					t.Error(err)
				}
			}
		})
	})
}

// TestQuestionEndsWithItsContext: who waits for an answer may stop waiting.
func TestQuestionEndsWithItsContext(t *testing.T) {
	q := newQuestion()
	ctx, cancel := context.WithCancel(t.Context())
	q.ask(t.Context(), func() error {
		cancel()
		q.ask(ctx, func() error {
			t.Error("two ask at once")
			return nil
		})
		return nil
	})
	if !q.settled.Load() {
		t.Error("not settled")
	}
}

// TestQuestionOfParts: the limit is found out before an upload that meets it.
func TestQuestionOfParts(t *testing.T) {
	for most, want := range map[int]int32{1000: 1000, MaxParts: 0} {
		play(t, Config{}, func(t *testing.T, s *stage) {
			for _, parts := range []int64{fewParts, fewParts + 1, fewParts + 2} {
				s.client.countsParts(t.Context(), "key", parts)
			}
			if got := s.client.Quirks().MaxParts; got != want {
				t.Errorf("a service of %d parts is taken for one of %d", most, got)
			}
			s.wantCount("CreateMultipartUpload", 1)
			s.wantCount("AbortMultipartUpload", 1)
		}, s3test.WithMaxParts(most))
	}
	play(t, Config{Vendor: "minio"}, func(t *testing.T, s *stage) {
		s.client.countsParts(t.Context(), "key", MaxParts)
		s.wantCount("", 0)
	})
}

// TestServiceThatSaysItsName: whoever does so in an answer is asked nothing more,
// but for those whose versions differ, and what needs to be known before a first request is in no such row.
func TestServiceThatSaysItsName(t *testing.T) {
	for name, want := range map[string]string{"MinIO": "minio", "MinIO/RELEASE.2025": "minio", "VERSITYGW": "versitygw",
		"Ceph Object Gateway (reef)": "ceph", "nginx": "", "": ""} {
		play(t, Config{Region: "eu-west-3"}, func(t *testing.T, s *stage) {
			s.fill([]string{"there"})
			if _, err := s.client.Head(t.Context(), "there", Pin{}); err != nil {
				t.Fatal(err)
			}
			if got := s.client.Quirks().Vendor; got != want {
				t.Errorf("%q is taken for %q, want %q", name, got, want)
			}
			_, err := s.client.Put(t.Context(), "there", nil, Write{IfNoneMatch: true, Guards: true})
			wantError(t, err, ErrAlreadyExists, "put", "there")
			asked := 0
			if want == "" || want == "ceph" {
				asked = 1
			}
			s.wantCount("PutObject", 1+asked)
		}, s3test.WithServerName(name), s3test.WithRegion("eu-west-3"))
	}
	for _, row := range vendors {
		if row.server != "" && (row.server != strings.ToLower(row.server) || row.VirtualHost || row.RewritesEncoding || row.Region != "") {
			t.Errorf("%s: too late to know from an answer", row.Vendor)
		}
	}
}

// TestProbesSeeTheServiceAsItIs: who asks for a diagnosis wants to know what it
// refuses.
func TestProbesSeeTheServiceAsItIs(t *testing.T) {
	for vendor, adapts := range map[string]bool{"": true, "minio": false} {
		play(t, Config{Vendor: vendor}, func(t *testing.T, s *stage) {
			probe := s.client.Probe()
			_, err := probe.Put(t.Context(), "key", nil, Write{})
			if err == nil || probe.AdaptsTo(err) != adapts {
				t.Errorf("%q: adapts to %v: %v", vendor, err, !adapts)
			}
		}, s3test.WithoutFeature(s3test.Checksums))
	}
}

// mustPut stores an object, and looks at what was stored.
func (s *stage) mustPut(key, body string) {
	s.t.Helper()
	if _, err := s.client.Put(s.t.Context(), key, []byte(body), Write{}); err != nil {
		s.t.Error(err)
	}
	s.wantStored(key, []byte(body))
}

// TestQuestionOfUploads: what a service loses of the creation of an upload, the object has all the same. Whether it
// does is asked once, and of no service that has a row.
func TestQuestionOfUploads(t *testing.T) {
	body := bytesOf(250, 1)
	until := time.Date(2099, 1, 2, 3, 4, 5, 0, time.UTC)
	locked := Attributes{LockMode: "GOVERNANCE", LockUntil: until, LegalHold: "ON"}
	tags := map[string]string{"a": "b c"}
	for _, c := range []struct {
		name, vendor      string
		heads, reads      int // requests of the questions
		locks, tagging    int // requests that give what was lost, for each kind
		lock              Attributes
		forgets           []s3test.Feature
		wantLock, wantTag bool
	}{
		{"kept", "", 1, 1, 0, 0, locked, nil, true, true},
		{"tags lost", "", 1, 2, 0, 2, locked, []s3test.Feature{s3test.UploadTags}, true, true},
		{"locks lost", "", 1, 1, 2, 0, locked, []s3test.Feature{s3test.UploadLocks}, true, true},
		{"both lost", "", 1, 2, 2, 2, locked, []s3test.Feature{s3test.UploadLocks, s3test.UploadTags}, true, true},
		{"nothing to lose", "", 0, 0, 0, 0, Attributes{}, []s3test.Feature{s3test.UploadLocks}, false, false},
		{"a vendor with a row", "minio", 0, 0, 0, 0, locked, nil, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			play(t, Config{Vendor: c.vendor}, func(t *testing.T, s *stage) {
				s.bucket.EnableObjectLock()
				w := Write{Attributes: c.lock}
				if c.wantTag {
					w.Tags = tags
				}
				for range 2 {
					if _, err := s.inParts(t.Context(), body, w); err != nil {
						t.Fatal(err)
					}
					o, _ := s.bucket.Get("k")
					if locks := o.LockMode == "GOVERNANCE" && o.LockUntil.Equal(until) && o.LegalHold; locks != c.wantLock {
						t.Errorf("lock is %q until %v, hold is %v", o.LockMode, o.LockUntil, o.LegalHold)
					}
					if maps.Equal(o.Tags, tags) != c.wantTag {
						t.Errorf("tags are %q", o.Tags)
					}
				}
				s.wantCount("HeadObject", c.heads)
				s.wantCount("GetObjectTagging", c.reads)
				s.wantCount("PutObjectRetention", c.locks)
				s.wantCount("PutObjectLegalHold", c.locks)
				s.wantCount("PutObjectTagging", c.tagging)
			}, smallParts, s3test.WithoutFeature(c.forgets...))
		})
	}
}

// TestUploadThatStaysUnlocked: an object that cannot get its lock is an error, and no success.
func TestUploadThatStaysUnlocked(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.bucket.EnableObjectLock()
		s.fault(s3test.Fault{Op: "PutObjectRetention", Times: 1, Action: s3test.Status(403, "AccessDenied")})
		w := Write{Attributes: Attributes{LockMode: "COMPLIANCE", LockUntil: time.Now().Add(time.Hour)}}
		_, err := s.inParts(t.Context(), bytesOf(250, 1), w)
		wantError(t, err, ErrAccessDenied, "retain", "k")
	}, smallParts, s3test.WithoutFeature(s3test.UploadLocks))
}
