package bucket

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// listed collects a listing up to its end or its error.
func listed(ctx context.Context, c *Client, r Range) (keys []string, err error) {
	for entry, err := range c.List(ctx, r) {
		if err != nil {
			return keys, err
		}
		keys = append(keys, entry.Key)
	}
	return keys, nil
}

// fill puts empty objects under the keys.
func (s *stage) fill(keys []string) {
	for _, key := range keys {
		s.bucket.Put(key, nil, s3test.Properties{})
	}
}

func TestList(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		keys := keysOf(2500, "k%05d")
		s.fill(keys)
		got, err := listed(t.Context(), s.client, Range{})
		if err != nil || !slices.Equal(got, keys) {
			t.Errorf("%d keys, %v", len(got), err)
		}
		s.wantCount("ListObjectsV2", 3)
	})
}

func TestListOfNothing(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		got, err := listed(t.Context(), s.client, Range{})
		if err != nil || len(got) != 0 {
			t.Errorf("%q, %v", got, err)
		}
	})
}

func TestListRanges(t *testing.T) {
	all := []string{"a", "a/", "a/1", "a/2", "a/3", "a0", "b", "c/x"}
	for _, c := range []struct {
		rng  Range
		want []string
	}{
		{Range{Prefix: "a/"}, []string{"a/", "a/1", "a/2", "a/3"}},
		{Range{Prefix: "a/", After: "a/1"}, []string{"a/2", "a/3"}},
		{Range{Prefix: "a/", Until: "a/3"}, []string{"a/", "a/1", "a/2"}},
		{Range{Until: "a/"}, []string{"a"}},
		{Range{After: "a", Until: "b"}, []string{"a/", "a/1", "a/2", "a/3", "a0"}},
		{Range{After: "b"}, []string{"c/x"}},
		{Range{After: "c/x"}, nil},
		{Range{Prefix: "z"}, nil},
		{Range{Most: 3}, []string{"a", "a/", "a/1"}},
		{Range{Most: len(all)}, all},
		{Range{Prefix: "a/", Unordered: true}, []string{"a/", "a/1", "a/2", "a/3"}},
	} {
		t.Run(fmt.Sprintf("%+v", c.rng), func(t *testing.T) {
			play(t, Config{}, func(t *testing.T, s *stage) {
				s.fill(all)
				got, err := listed(t.Context(), s.client, c.rng)
				if err != nil || !slices.Equal(got, c.want) {
					t.Errorf("%q, %v; want %q", got, err, c.want)
				}
				s.wantCount("", 1)
			})
		})
	}
}

func TestListEntries(t *testing.T) {
	at := time.Date(2024, 2, 29, 23, 59, 59, 0, time.UTC)
	play(t, Config{}, func(t *testing.T, s *stage) {
		put := s.bucket.Put("cold", []byte("12345"), s3test.Properties{StorageClass: "GLACIER"}, s3test.ModifiedAt(at))
		s.bucket.Put("warm", nil, s3test.Properties{}, s3test.ModifiedAt(at))
		var got []Entry
		for entry, err := range s.client.List(t.Context(), Range{}) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, entry)
		}
		want := []Entry{
			{Key: "cold", Size: 5, ETag: put.ETag, LastModified: at, StorageClass: "GLACIER"},
			{Key: "warm", ETag: "d41d8cd98f00b204e9800998ecf8427e", LastModified: at},
		}
		if !slices.Equal(got, want) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	})
}

// awkward keys survive the way through XML and back.
var awkward = []string{
	"\x01", "\t\n\r", " lead", "%", "%2F", "+", "a b", "a+b", "a//b", "a/./b", "a/../b", "a/", "&<>\"'", "x?y=z#w",
	"\x7f", "é", "e\u0301", "\u2028", "\ufffe", "\xff", "日本語", "💾", strings.Repeat("k", 1024),
}

func TestListKeysOfAllKinds(t *testing.T) {
	for name, options := range map[string][]s3test.Option{
		"encoded": nil,
		// XML cannot carry all of them, and a server that does not encode
		// sends the rest as they are.
		"as they are": {s3test.WithoutFeature(s3test.URLEncoding)},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, Config{}, func(t *testing.T, s *stage) {
				keys := slices.Clone(awkward)
				if options != nil {
					keys = slices.DeleteFunc(keys, func(key string) bool { return strings.ContainsAny(key, "\x01\r\ufffe") || key == "\xff" })
				}
				s.fill(keys)
				slices.Sort(keys)
				got, err := listed(t.Context(), s.client, Range{})
				if err != nil || !slices.Equal(got, keys) {
					t.Errorf("got  %q, %v\nwant %q", got, err, keys)
				}
			}, options...)
		})
	}
}

// TestListEncodings: a plus is a space where S3 encodes, and a plus where a
// server writes %20 for a space.
func TestListEncodings(t *testing.T) {
	for _, c := range []struct{ encoded, keys []string }{
		{[]string{"a", "a+b", "a%2Bb"}, []string{"a", "a b", "a+b"}},
		{[]string{"a%20b", "a+b", "a%2Bc"}, []string{"a b", "a+b", "a+c"}},
	} {
		play(t, Config{}, func(t *testing.T, s *stage) {
			page := `<ListBucketResult><Name>vault</Name><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>`
			for _, key := range c.encoded {
				page += "<Contents><Key>" + key + "</Key><Size>1</Size></Contents>"
			}
			s.fault(s3test.Fault{Action: s3test.RawBody(http.StatusOK, "application/xml", page+"</ListBucketResult>")})
			if got, err := listed(t.Context(), s.client, Range{}); err != nil || !slices.Equal(got, c.keys) {
				t.Errorf("%q: %q, %v", c.encoded, got, err)
			}
		})
	}
}

// pageWith answers a page of our own making.
func pageWith(t testing.TB, more bool, token string, keys ...string) s3test.Action {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, `<?xml version="1.0" encoding="UTF-8"?>`+
		`<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>%s</Name><EncodingType>url</EncodingType><IsTruncated>%t</IsTruncated>`, bucketName, more)
	if token != "" {
		fmt.Fprintf(&b, "<NextContinuationToken>%s</NextContinuationToken>", token)
	}
	for _, key := range keys {
		fmt.Fprintf(&b, "<Contents><Key>%s</Key><Size>1</Size><LastModified>2024-01-01T00:00:00.000Z</LastModified></Contents>", url.QueryEscape(key))
	}
	b.WriteString("</ListBucketResult>")
	return s3test.RawBody(http.StatusOK, "application/xml", b.String())
}

// TestListOfAKeyThatIsNoXML: one key with a character that XML cannot hold does
// not keep the others from being listed, unless it might stand for two.
func TestListOfAKeyThatIsNoXML(t *testing.T) {
	answer := func(s *stage, times int, keys string) {
		s.fault(s3test.Fault{Op: "ListObjectsV2", Times: times, Action: s3test.RawBody(200, "application/xml",
			"<ListBucketResult><IsTruncated>false</IsTruncated>"+keys+"</ListBucketResult>")})
	}
	const first, same, between = "<Contents><Key>a\x01</Key><Size>1</Size></Contents>", "<Contents><Key>a&#xFFFD;</Key><Size>1</Size></Contents>",
		"<Contents><Key>a a</Key><Size>1</Size></Contents>"
	play(t, Config{}, func(t *testing.T, s *stage) {
		answer(s, 1, first+"<Contents><Key>b</Key><Size>1</Size></Contents>")
		if got, err := listed(t.Context(), s.client, Range{}); err != nil || !slices.Equal(got, []string{"a\uFFFD", "b"}) {
			t.Errorf("%q, %v", got, err)
		}
	})
	for _, keys := range []string{first + same, first + between + same} {
		play(t, Config{}, func(t *testing.T, s *stage) {
			answer(s, pageRetries+1, keys)
			_, err := listed(t.Context(), s.client, Range{})
			wantError(t, err, ErrListing, "list", "")
			if err == nil || !strings.Contains(err.Error(), "XML cannot hold") {
				t.Errorf("error is %v", err)
			}
		})
	}
}

// TestListDistrusts: an answer that cannot be true is asked for again, by the
// last key that was believed; when it stays, the listing ends with an error and
// never as if it were complete.
func TestListDistrusts(t *testing.T) {
	const limit = pageRetries + 1
	for _, c := range []struct {
		name   string
		answer func(t testing.TB) s3test.Action
	}{
		{"nothing", func(testing.TB) s3test.Action { return s3test.RawBody(200, "application/xml", "") }},
		{"a web page", func(testing.TB) s3test.Action { return s3test.StatusHTML(200) }},
		{"another document", func(testing.TB) s3test.Action { return s3test.RawBody(200, "application/xml", "<Other/>") }},
		{"XML that ends early", func(testing.TB) s3test.Action { return s3test.ShortLength(700) }},
		{"a connection that ends early", func(testing.TB) s3test.Action { return s3test.CutAfter(700) }},
		{"a connection that ends at once", func(testing.TB) s3test.Action { return s3test.CutAfter(20) }},
		{"a connection that is reset", func(testing.TB) s3test.Action { return s3test.ResetAfter(20) }},
		{"keys out of order", func(t testing.TB) s3test.Action { return pageWith(t, false, "", "k1001", "k1000x") }},
		{"the same key twice", func(t testing.TB) s3test.Action { return pageWith(t, false, "", "k1001", "k1001") }},
		{"keys of the page before", func(t testing.TB) s3test.Action { return pageWith(t, false, "", "k0999", "k1000") }},
		{"keys outside of the prefix", func(t testing.TB) s3test.Action { return pageWith(t, false, "", "l") }},
		{"an entry without a key", func(t testing.TB) s3test.Action { return pageWith(t, false, "", "") }},
		{"more, but no token", func(t testing.TB) s3test.Action { return pageWith(t, true, "", "k1001") }},
		{"a key that is not encoded", func(testing.TB) s3test.Action {
			return s3test.RawBody(200, "application/xml", `<ListBucketResult><Name>vault</Name><EncodingType>url</EncodingType>`+
				`<IsTruncated>false</IsTruncated><Contents><Key>k2%zz</Key><Size>1</Size></Contents></ListBucketResult>`)
		}},
		{"no word of whether there is more", func(testing.TB) s3test.Action {
			return s3test.RawBody(200, "application/xml", `<ListBucketResult><Name>vault</Name>`+
				`<Contents><Key>k2</Key><Size>1</Size></Contents></ListBucketResult>`)
		}},
		{"an entry without a size", func(testing.TB) s3test.Action {
			return s3test.RawBody(200, "application/xml", `<ListBucketResult><Name>vault</Name><IsTruncated>false</IsTruncated>`+
				`<Contents><Key>k2</Key></Contents></ListBucketResult>`)
		}},
	} {
		keys := keysOf(1500, "k%04d")
		t.Run(c.name+", once", func(t *testing.T) {
			play(t, Config{Vendor: "aws"}, func(t *testing.T, s *stage) {
				s.fill(keys)
				s.fault(s3test.Fault{Op: "ListObjectsV2", Nth: 2, Action: c.answer(t)})
				got, err := listed(t.Context(), s.client, Range{Prefix: "k"})
				if err != nil || !slices.Equal(got, keys) {
					t.Errorf("%d keys, %v", len(got), err)
				}
				s.wantCount("ListObjectsV2", 3)
			})
		})
		t.Run(c.name+", always", func(t *testing.T) {
			play(t, Config{Vendor: "aws"}, func(t *testing.T, s *stage) {
				s.fill(keys)
				s.fault(s3test.Fault{Op: "ListObjectsV2", Nth: 2, Times: limit, Action: c.answer(t)})
				got, err := listed(t.Context(), s.client, Range{Prefix: "k"})
				wantError(t, err, ErrListing, "list", "k")
				if !slices.Equal(got, keys[:1000]) {
					t.Errorf("%d keys before the error, want those of the first page", len(got))
				}
				s.wantCount("ListObjectsV2", 1+limit)
			})
		})
	}
}

// TestListWithoutProgress: pages that promise more and bring nothing end, and what has no
// order has keys all the same.
func TestListWithoutProgress(t *testing.T) {
	t.Run("the same token", func(t *testing.T) {
		play(t, Config{}, func(t *testing.T, s *stage) {
			// Without order there is nothing but the token to go by.
			s.fault(s3test.Fault{Times: s3test.Always, Action: pageWith(t, true, "again", "k")})
			_, err := listed(t.Context(), s.client, Range{Unordered: true})
			wantError(t, err, ErrListing, "list", "")
			s.wantCount("", 2)
		})
	})
	t.Run("empty pages", func(t *testing.T) {
		play(t, Config{}, func(t *testing.T, s *stage) {
			n := 0
			s.fault(s3test.Fault{Times: s3test.Always, Action: func(http.Handler) http.Handler {
				n++
				return pageWith(t, true, fmt.Sprint("token", n))(nil)
			}})
			_, err := listed(t.Context(), s.client, Range{})
			wantError(t, err, ErrListing, "list", "")
			s.wantCount("", emptyPages+1+pageRetries)
		})
	})
	t.Run("a key that is none", func(t *testing.T) {
		play(t, Config{}, func(t *testing.T, s *stage) {
			s.fault(s3test.Fault{Action: pageWith(t, false, "", "")})
			_, err := listed(t.Context(), s.client, Range{Unordered: true})
			wantError(t, err, ErrListing, "list", "")
		})
	})
	t.Run("some empty pages", func(t *testing.T) {
		play(t, Config{}, func(t *testing.T, s *stage) {
			s.fault(s3test.Fault{Action: pageWith(t, true, "one")})
			s.fault(s3test.Fault{Action: pageWith(t, true, "two")})
			s.fault(s3test.Fault{Action: pageWith(t, false, "", "k")})
			got, err := listed(t.Context(), s.client, Range{})
			if err != nil || !slices.Equal(got, []string{"k"}) {
				t.Errorf("%q, %v", got, err)
			}
		})
	})
}

// TestListTokenThatExpired: the listing goes on after the last key.
func TestListTokenThatExpired(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		keys := keysOf(2500, "k%05d")
		s.fill(keys)
		s.fault(s3test.Fault{Op: "ListObjectsV2", Match: func(r s3test.Request) bool { return r.Query.Has("continuation-token") },
			Action: s3test.Status(400, "InvalidArgument")})
		got, err := listed(t.Context(), s.client, Range{})
		if err != nil || !slices.Equal(got, keys) {
			t.Errorf("%d keys, %v", len(got), err)
		}
		if after := s.Requests()[2].Query.Get("start-after"); after != keys[999] {
			t.Errorf("went on after %q", after)
		}
	})
}

// TestListInABurstOfRefusals: as many as the retries of one page can bear.
func TestListInABurstOfRefusals(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		keys := keysOf(3000, "k%05d")
		s.fill(keys)
		s.fault(s3test.Fault{Op: "ListObjectsV2", Times: 3, Action: s3test.Reset()})
		s.fault(s3test.Fault{Op: "ListObjectsV2", Times: 6, Action: s3test.Status(503, "SlowDown")})
		s.fault(s3test.Fault{Op: "ListObjectsV2", Times: 9, Match: func(r s3test.Request) bool { return r.Query.Has("continuation-token") },
			Action: s3test.StatusHTML(503)})
		got, err := listed(t.Context(), s.client, Range{})
		if err != nil || !slices.Equal(got, keys) {
			t.Errorf("%d keys, %v", len(got), err)
		}
	})
}

// TestListErrorInA200: the status does not make an error a listing.
func TestListErrorInA200(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		keys := keysOf(1500, "k%05d")
		s.fill(keys)
		s.fault(s3test.Fault{Nth: 2, Action: s3test.Body200Error("InternalError")})
		got, err := listed(t.Context(), s.client, Range{})
		if err != nil || !slices.Equal(got, keys) {
			t.Errorf("%d keys, %v", len(got), err)
		}
		s.fault(s3test.Fault{Times: s3test.Always, Action: s3test.Body200Error("AccessDenied")})
		_, err = listed(t.Context(), s.client, Range{})
		wantError(t, err, ErrAccessDenied, "list", "")
	})
}

// TestListThatFails: an error in the middle is an error, not an end.
func TestListThatFails(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.fill(keysOf(1500, "k%05d"))
		s.fault(s3test.Fault{Nth: 2, Times: s3test.Always, Action: s3test.Status(403, "AccessDenied")})
		got, err := listed(t.Context(), s.client, Range{})
		wantError(t, err, ErrAccessDenied, "list", "")
		if len(got) != 1000 {
			t.Errorf("%d keys before the error", len(got))
		}
		s.wantCount("", 2)
	})
}

func TestListCancelled(t *testing.T) {
	for _, at := range []int{1, 999, 1000, 1001} {
		t.Run(fmt.Sprint("at key ", at), func(t *testing.T) {
			play(t, Config{}, func(t *testing.T, s *stage) {
				s.fill(keysOf(3000, "k%05d"))
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var last error
				n := 0
				for _, err := range s.client.List(ctx, Range{}) {
					if last = err; err == nil {
						n++
					}
					if n == at {
						cancel()
					}
				}
				if last != context.Canceled {
					t.Errorf("%d keys, then %v", n, last)
				}
			})
		})
	}
}

func TestListCancelledInFlight(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		s.fault(s3test.Fault{Action: s3test.Stall()})
		_, err := listed(ctx, s.client, Range{})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error is %v", err)
		}
	})
}

// TestListStopsAsking when the caller has seen enough.
func TestListStopsAsking(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.fill(keysOf(3000, "k%05d"))
		for range s.client.List(t.Context(), Range{}) {
			break
		}
		s.wantCount("", 1)
	})
}
