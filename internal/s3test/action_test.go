package s3test_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// front is what a Server and a Proxy have in common.
type front interface {
	origin
	Faults() *s3test.FaultScript
	Requests() []s3test.Request
	ResetRequests()
	Totals(op string) s3test.Totals
}

// stage is a server with a client that reaches it directly or through a proxy.
type stage struct {
	*client
	server *s3test.Server
	bucket *s3test.Bucket
	front  front
}

// onBoth runs a test against a server and against a proxy in front of one: the same faults must look the same.
func onBoth(t *testing.T, test func(*testing.T, stage)) {
	t.Run("server", func(t *testing.T) {
		s, b, c := started(t)
		test(t, stage{c, s, b, s})
		s.Faults().VerifyAll(t)
	})
	t.Run("proxy", func(t *testing.T) {
		s := s3test.Start(t)
		p := s3test.StartProxy(t, s.URL())
		test(t, stage{newClient(t, s, p), s, s.CreateBucket("bucket"), p})
		p.Faults().VerifyAll(t)
	})
}

// meets injects an action into the next request for an operation.
func (s stage) meets(op string, action s3test.Action) *s3test.Injection {
	return s.front.Faults().Add(s3test.Fault{Op: op, Action: action})
}

func TestStatusFaults(t *testing.T) {
	onBoth(t, func(t *testing.T, s stage) {
		fill(s.bucket, "k")
		s.meets("GetObject", s3test.Status(503, "SlowDown", "Retry-After: 7", "x-amz-other: a: b"))
		s.get(at("k")).is(503, "SlowDown").has("Retry-After", "7").has("X-Amz-Other", "a: b").contains("<Resource>/bucket/k</Resource>")
		s.meets("GetObject", s3test.Status(500, ""))
		s.get(at("k")).is(500, "").holds("")
		s.meets("GetObject", s3test.Status(418, "Teapot"))
		s.get(at("k")).is(418, "Teapot")
		s.meets("HeadObject", s3test.Status(403, "AccessDenied"))
		s.head(at("k")).is(403, "").holds("")
		s.meets("PutObject", s3test.Status(500, "InternalError"))
		s.put(at("k"), strings.Repeat("x", 1<<20)).is(500, "InternalError")
		s.meets("GetObject", s3test.StatusHTML(502))
		s.get(at("k")).is(502, "").has("Content-Type", "text/html").contains("502 Bad Gateway")
		s.meets("ListObjectsV2", s3test.RawBody(200, "application/xml", ""))
		s.get("/bucket?list-type=2").ok().holds("")
		s.meets("CopyObject", s3test.Body200Error("InternalError"))
		s.put(at("copy"), "", from("k")).is(200, "InternalError")
		s.get(at("k")).ok().holds("k")
		equal(t, "keys", s.bucket.Len(), 1)
	})
}

func TestConnectionFaults(t *testing.T) {
	onBoth(t, func(t *testing.T, s stage) {
		fill(s.bucket, "k")
		body := []byte(strings.Repeat("x", 1<<20))
		for _, test := range []struct {
			name   string
			action s3test.Action
			stored bool
		}{
			{"reset", s3test.Reset(), false}, {"close", s3test.CloseConn(), false}, {"lost answer", s3test.LoseAnswer(), true},
		} {
			s.meets("GetObject", test.action)
			if _, err := s.try("GET", at("k"), nil); err == nil {
				t.Errorf("%s: GET was answered", test.name)
			}
			s.meets("PutObject", test.action)
			if _, err := s.try("PUT", at(test.name), body); err == nil {
				t.Errorf("%s: PUT was answered", test.name)
			}
			if _, stored := s.bucket.Get(test.name); stored != test.stored {
				t.Errorf("%s: stored is %t", test.name, stored)
			}
			s.meets("DeleteObject", test.action)
			if _, err := s.try("DELETE", at("k"), nil); err == nil {
				t.Errorf("%s: DELETE was answered", test.name)
			}
			if _, kept := s.bucket.Get("k"); kept == test.stored {
				t.Errorf("%s: kept is %t", test.name, kept)
			}
			for _, r := range s.front.Requests() {
				if r.Status != 0 {
					t.Errorf("%s: logged an answer of %d that nobody got", test.name, r.Status)
				}
			}
		}
		equal(t, "requests in flight", s.front.Totals("").InFlight, 0)
	})
}

// TestBodyFaults reads an answer that breaks after 1000 bytes.
func TestBodyFaults(t *testing.T) {
	content := strings.Repeat("0123456789", 20000)
	onBoth(t, func(t *testing.T, s stage) {
		s.bucket.Put("k", []byte(content), s3test.Properties{})
		for name, test := range map[string]struct {
			action s3test.Action
			err    error
			bytes  int
		}{
			"cut":         {s3test.CutAfter(1000), io.ErrUnexpectedEOF, 1000},
			"cut at once": {s3test.CutAfter(0), io.ErrUnexpectedEOF, 0},
			"cut late":    {s3test.CutAfter(150000), io.ErrUnexpectedEOF, 150000},
			"reset":       {s3test.ResetAfter(1000), syscall.ECONNRESET, 1000},
		} {
			s.meets("GetObject", test.action)
			r, err := s.try("GET", at("k"), nil)
			if !errors.Is(err, test.err) || r.status != 200 || r.length != int64(len(content)) {
				t.Errorf("%s: %v, status %d, length %d", name, err, r.status, r.length)
			}
			if len(r.body) > test.bytes || name != "reset" && len(r.body) != test.bytes || !strings.HasPrefix(content, string(r.body)) {
				t.Errorf("%s: %d bytes came, want %d", name, len(r.body), test.bytes)
			}
		}
		s.meets("GetObject", s3test.ShortLength(1000))
		equal(t, "short length", s.get(at("k")).ok().holds(content[:1000]).length, 1000)
		s.meets("GetObject", s3test.HalfBody())
		s.get(at("k")).ok().holds(content[:100000])
		s.meets("GetObject", s3test.FlipBit(70000))
		flipped := []byte(content)
		flipped[70000] ^= 1
		s.get(at("k")).ok().holds(string(flipped))
		s.meets("GetObject", s3test.SlowBody(50000, 1))
		s.get(at("k")).ok().holds(content)
		s.meets("GetObject", s3test.ExtraBytes(10))
		s.get(at("k")).ok().holds(content)
		s.meets("GetObject", s3test.HTTP10())
		equal(t, "length of HTTP/1.0", s.get(at("k")).ok().holds(content).length, -1)
		s.meets("GetObject", s3test.SetHeader("ETag", `"other"`))
		s.get(at("k")).ok().has("ETag", `"other"`)
		s.meets("GetObject", s3test.SetHeader("Last-Modified", ""))
		s.get(at("k")).ok().has("Last-Modified", "")
		s.get(at("k")).ok().holds(content)
		equal(t, "requests in flight", s.front.Totals("").InFlight, 0)
	})
}

func TestWrongChecksumHeader(t *testing.T) {
	onBoth(t, func(t *testing.T, s stage) {
		s.bucket.Put("k", []byte("body"), s3test.Properties{}, s3test.WithChecksum("CRC32"))
		mode := with("X-Amz-Checksum-Mode", "ENABLED")
		s.meets("GetObject", s3test.SetHeader("X-Amz-Checksum-Crc32", "AAAAAA=="))
		s.get(at("k"), mode).ok().has("X-Amz-Checksum-Crc32", "AAAAAA==").holds("body")
		s.get(at("k"), mode).ok().has("X-Amz-Checksum-Crc32", crc32Base64("body"))
	})
}

func TestRangeFaults(t *testing.T) {
	onBoth(t, func(t *testing.T, s stage) {
		s.bucket.Put("k", []byte("0123456789"), s3test.Properties{})
		span := with("Range", "bytes=2-4")
		s.meets("GetObject", s3test.IgnoreRange())
		s.get(at("k"), span).ok().holds("0123456789").has("Content-Range", "")
		s.meets("GetObject", s3test.WrongContentRange())
		s.get(at("k"), span).is(206, "").holds("234").has("Content-Range", "bytes 3-5/11")
		s.get(at("k"), span).is(206, "").holds("234").has("Content-Range", "bytes 2-4/10")
	})
}

// TestStalls gives up on answers that never come.
func TestStalls(t *testing.T) {
	onBoth(t, func(t *testing.T, s stage) {
		s.bucket.Put("k", []byte("0123456789"), s3test.Properties{})
		for _, test := range []struct {
			method string
			body   []byte
			action s3test.Action
		}{
			{"GET", nil, s3test.Stall()}, {"PUT", make([]byte, 1<<20), s3test.Stall()},
		} {
			reached := make(chan struct{})
			s.front.Faults().Add(s3test.Fault{Action: s3test.Chain(s3test.RunFirst(func() { close(reached) }), test.action)})
			ctx, cancel := context.WithCancel(t.Context())
			outcome := make(chan error, 1)
			go func() {
				r := s.request(test.method, at("k"), test.body).WithContext(ctx)
				response, err := s.http.Do(r)
				if err == nil {
					_, err = io.Copy(io.Discard, response.Body)
					response.Body.Close()
				}
				outcome <- err
			}()
			<-reached
			cancel()
			if err := <-outcome; !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", test.method, err)
			}
		}
	})
}

// TestStallAfterSendsItsBytes reads what comes before the silence.
func TestStallAfterSendsItsBytes(t *testing.T) {
	onBoth(t, func(t *testing.T, s stage) {
		s.bucket.Put("k", []byte("0123456789"), s3test.Properties{})
		s.meets("GetObject", s3test.StallAfter(4))
		response, err := s.http.Do(s.request("GET", at("k"), nil))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		head := make([]byte, 4)
		if _, err := io.ReadFull(response.Body, head); err != nil || string(head) != "0123" {
			t.Fatalf("%q, %v", head, err)
		}
	})
}

// TestCloseEndsStalls closes a server that holds a request.
func TestCloseEndsStalls(t *testing.T) {
	for _, proxied := range []bool{false, true} {
		s := s3test.Start(t)
		s.CreateBucket("bucket")
		var f front = s
		stop := s.Close
		if proxied {
			p := s3test.StartProxy(t, s.URL())
			f, stop = p, p.Close
		}
		c := newClient(t, s, f)
		reached := make(chan struct{})
		f.Faults().Add(s3test.Fault{Action: s3test.Chain(s3test.RunFirst(func() { close(reached) }), s3test.Stall())})
		outcome := make(chan error, 1)
		go func() {
			_, err := c.try("GET", at("k"), nil)
			outcome <- err
		}()
		<-reached
		if err := stop(); err != nil {
			t.Error(err)
		}
		if err := <-outcome; err == nil {
			t.Error("a stalled request was answered")
		}
		equal(t, "requests in flight", f.Totals("").InFlight, 0)
	}
}

func TestDelayAndRunFirst(t *testing.T) {
	onBoth(t, func(t *testing.T, s stage) {
		fill(s.bucket, "k")
		s.meets("GetObject", s3test.Delay(1))
		s.get(at("k")).ok().holds("k")
		// The object changes between two requests.
		s.front.Faults().Add(s3test.Fault{Op: "GetObject", Nth: 2, Action: s3test.RunFirst(func() {
			s.bucket.Put("k", []byte("changed"), s3test.Properties{})
		})})
		tag := s.get(at("k")).ok().header.Get("ETag")
		s.get(at("k"), with("If-Match", tag)).is(412, "PreconditionFailed")
		s.meets("ListObjectsV2", s3test.RunFirst(func() { s.bucket.Delete("k") }))
		s.get("/bucket?list-type=2").ok().lacks("<Key>")
		s.get(at("k")).is(404, "NoSuchKey")
	})
}

func TestSpacesFirst(t *testing.T) {
	onBoth(t, func(t *testing.T, s stage) {
		u := s.create()
		u.upload(1, "body")
		s.meets("CompleteMultipartUpload", s3test.Chain(s3test.SpacesFirst(300), s3test.Status(500, "InternalError")))
		r := u.complete()
		r.is(200, "InternalError")
		if !strings.Contains(string(r.body), strings.Repeat(" ", 300)+"<Error>") || strings.Count(string(r.body), "<?xml") != 1 {
			t.Errorf("answer %s", r.body)
		}
		equal(t, "uploads", s.bucket.Uploads(), 1)
		s.meets("CompleteMultipartUpload", s3test.SpacesFirst(3))
		u.complete().ok().contains("   <CompleteMultipartUploadResult")
		s.get(at("k")).ok().holds("body")
	})
}

func TestListingFaults(t *testing.T) {
	onBoth(t, func(t *testing.T, s stage) {
		fill(s.bucket, "a", "b", "c", "d")
		first := s.list("max-keys", "2")
		next := []string{"max-keys", "2", "continuation-token", first.NextContinuationToken}
		s.front.Faults().Add(s3test.Fault{Op: "ListObjectsV2", Times: 2, Action: s3test.Replay()})
		again := s.list("max-keys", "2")
		repeated := s.list(next...)
		equal(t, "token of the repeated page", repeated.NextContinuationToken, again.NextContinuationToken)
		keys, _ := repeated.keys()
		equal(t, "keys of the repeated page", fmt.Sprint(keys), "[a b]")
		keys, _ = s.list(next...).keys()
		equal(t, "keys after it", fmt.Sprint(keys), "[c d]")

		s.meets("ListObjectsV2", s3test.RemoveElement("NextContinuationToken"))
		p := s.list("max-keys", "2")
		equal(t, "token", p.NextContinuationToken, "")
		equal(t, "truncated", p.IsTruncated, true)
		s.meets("ListObjectsV2", s3test.SetElement("IsTruncated", "false"))
		equal(t, "truncated", s.list("max-keys", "2").IsTruncated, false)
		s.meets("ListObjectsV2", s3test.RemoveElement("Contents"))
		p = s.list("max-keys", "2")
		equal(t, "keys of an empty page", len(p.Contents), 0)
		equal(t, "its token", p.NextContinuationToken, first.NextContinuationToken)
		s.meets("ListObjectsV2", s3test.SetElement("Key", "<&>"))
		keys, _ = s.list().keys()
		equal(t, "repeated key", fmt.Sprint(keys), "[<&> <&> <&> <&>]")
		s.meets("ListObjectsV2", s3test.Rewrite(func(body []byte) []byte {
			return []byte(strings.Replace(string(body), "<Key>b</Key>", "<Key>zz</Key>", 1))
		}))
		keys, _ = s.list().keys()
		equal(t, "broken order", fmt.Sprint(keys), "[a zz c d]")
		s.meets("ListObjectsV2", s3test.HalfBody())
		r := s.get("/bucket?list-type=2").ok()
		if r.length != int64(len(r.body)) || strings.Contains(string(r.body), "</ListBucketResult>") {
			t.Errorf("half a page has %d of %d bytes: %s", len(r.body), r.length, r.body)
		}
		s.meets("ListObjectsV2", s3test.CutAfter(200))
		if r, err := s.try("GET", "/bucket?list-type=2", nil); !errors.Is(err, io.ErrUnexpectedEOF) || len(r.body) != 200 {
			t.Errorf("a page that is cut: %v after %d bytes", err, len(r.body))
		}
		s.meets("HeadObject", s3test.Rewrite(func([]byte) []byte { return []byte("x") }))
		equal(t, "length told by HEAD", s.head(at("a")).ok().length, 1)
	})
}

// TestFaultsOnOneConnection makes sure that what a fault leaves behind does not spoil the next request.
func TestFaultsOnOneConnection(t *testing.T) {
	onBoth(t, func(t *testing.T, s stage) {
		s.http.Transport.(*http.Transport).MaxConnsPerHost = 1
		s.bucket.Put("k", make([]byte, 1<<20), s3test.Properties{})
		for range 3 {
			for _, action := range []s3test.Action{
				s3test.Status(503, "SlowDown"), s3test.ShortLength(7), s3test.HalfBody(), s3test.SetHeader("X", "y"), s3test.FlipBit(9),
			} {
				s.meets("GetObject", action)
				s.get(at("k"))
				s.get(at("k")).ok()
				s.meets("PutObject", action)
				s.put(at("other"), strings.Repeat("x", 100000))
			}
			s.front.Faults().Clear()
		}
	})
}
