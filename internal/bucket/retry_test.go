package bucket

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset/internal/s3test"
	"github.com/s3kloset/s3kloset/internal/s3test/sigv4"

	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// TestRetryBudget: as many attempts as configured, and no more.
func TestRetryBudget(t *testing.T) {
	for retries, attempts := range map[int]int{-1: 1, 1: 2, 3: 4, 0: DefaultRetries + 1} {
		for name, action := range map[string]s3test.Action{
			"500": s3test.Status(500, "InternalError"), "reset": s3test.Reset(), "closed": s3test.CloseConn(),
		} {
			t.Run(fmt.Sprintf("%d retries of %s", retries, name), func(t *testing.T) {
				play(t, Config{Retries: retries}, func(t *testing.T, s *stage) {
					s.fault(s3test.Fault{Op: "GetObjectTagging", Times: s3test.Always, Action: action})
					if _, err := s.client.Tags(t.Context(), "k", Pin{}); err == nil {
						t.Error("no error")
					}
					s.wantCount("GetObjectTagging", attempts)
				})
			})
		}
	}
}

// TestRetryRidesOut: the last attempt that the budget allows is made.
func TestRetryRidesOut(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.bucket.Put("k", nil, s3test.Properties{})
		s.fault(s3test.Fault{Times: DefaultRetries - 2, Action: s3test.Status(500, "InternalError")})
		s.fault(s3test.Fault{Action: s3test.Reset()})
		s.fault(s3test.Fault{Action: s3test.StatusHTML(502)})
		took := spent(func() {
			if _, err := s.client.Head(t.Context(), "k", Pin{}); err != nil {
				t.Error(err)
			}
		})
		var least time.Duration
		for attempt := range DefaultRetries {
			least += min(firstDelay<<attempt, maxDelay) / 2
		}
		if took < least || took > 4*least+time.Second {
			t.Errorf("rode out %v, the delays are at least %v in all", took, least)
		}
	})
}

// TestStalledServer: one that never answers costs the idle timeout a time.
func TestStalledServer(t *testing.T) {
	play(t, Config{IdleTimeout: 30 * time.Second}, func(t *testing.T, s *stage) {
		s.bucket.Put("k", nil, s3test.Properties{})
		s.fault(s3test.Fault{Times: 2, Action: s3test.Stall()})
		took := spent(func() {
			if _, err := s.client.Head(t.Context(), "k", Pin{}); err != nil {
				t.Error(err)
			}
		})
		if took < 60*time.Second || took > 61*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// TestNobodyThere: an endpoint that never answered is most likely mistyped;
// the message comes within seconds.
func TestNobodyThere(t *testing.T) {
	for name, c := range map[string]struct {
		cause error
		least time.Duration
	}{
		"refused": {cause: syscall.ECONNREFUSED},
		"no name": {cause: &net.DNSError{Err: "no such host", Name: "s3.test", IsNotFound: true}},
		"silent":  {cause: timedOut{}},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, Config{}, func(t *testing.T, s *stage) {
				s.wire.refuse.Store(&c.cause)
				var err error
				took := spent(func() { _, err = s.client.Head(t.Context(), "k", Pin{}) })
				wantError(t, err, ErrUnreachable, "head", "k")
				if !errors.Is(err, c.cause) {
					t.Errorf("cause is lost: %v", err)
				}
				if took > 2*time.Second {
					t.Errorf("took %v", took)
				}
				if n := s.wire.dials.Load(); n != coldDialRetries+1 {
					t.Errorf("dialled %d times", n)
				}
			})
		})
	}
}

// TestGoneForAWhile: an endpoint that has answered before gets all retries.
func TestGoneForAWhile(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.bucket.Put("k", nil, s3test.Properties{})
		if _, err := s.client.Head(t.Context(), "k", Pin{}); err != nil {
			t.Fatal(err)
		}
		s.client.release() // the idle connection
		refused := error(syscall.ECONNREFUSED)
		s.wire.refuse.Store(&refused)
		_, err := s.client.Head(t.Context(), "k", Pin{})
		wantError(t, err, ErrUnreachable, "head", "k")
		if n := s.client.Requests()["HeadObject"]; n != 1+DefaultRetries+1 {
			t.Errorf("%d attempts", n)
		}
	})
}

// TestCancelledBetweenAttempts: nothing is asked after the end of the context.
func TestCancelledBetweenAttempts(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s.fault(s3test.Fault{Action: s3test.Chain(s3test.RunFirst(cancel), s3test.Status(503, "SlowDown"))})
		if _, err := s.client.Tags(ctx, "k", Pin{}); err != context.Canceled {
			t.Errorf("error is %v", err)
		}
		s.wantCount("", 1)
	})
}

func TestRetryAfterIsHonoured(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"7": 7 * time.Second, "0.5": 500 * time.Millisecond, "3600": maxRetryAfter,
	} {
		t.Run(value, func(t *testing.T) {
			play(t, Config{}, func(t *testing.T, s *stage) {
				s.bucket.Put("k", nil, s3test.Properties{})
				s.fault(s3test.Fault{Action: s3test.Status(500, "InternalError", "Retry-After: "+value)})
				took := spent(func() {
					if _, err := s.client.Head(t.Context(), "k", Pin{}); err != nil {
						t.Error(err)
					}
				})
				if took != want {
					t.Errorf("waited %v, want %v", took, want)
				}
			})
		})
	}
}

// TestExpiredTokenIsRefreshedOnce: the provider is asked for new keys, and
// when those are no better, the error is theirs.
func TestExpiredTokenIsRefreshedOnce(t *testing.T) {
	for _, call := range []expiredCall{
		{"GetObjectTagging", "get tags", "k", func(ctx context.Context, c *Client) error { _, err := c.Tags(ctx, "k", Pin{}); return err }},
		{"GetObject", "get", "k", func(ctx context.Context, c *Client) error { _, err := readAll(ctx, c, "k", Pin{}); return err }},
		{"ListObjectsV2", "list", "", func(ctx context.Context, c *Client) error {
			var last error
			for _, err := range c.List(ctx, Range{}) {
				last = err
			}
			return last
		}},
	} {
		t.Run(call.op+"/new keys", func(t *testing.T) { call.meet(t, true) })
		t.Run(call.op+"/the same again", func(t *testing.T) { call.meet(t, false) })
	}
}

// expiredCall is a request that is signed with keys of yesterday.
type expiredCall struct {
	op        string
	does, key string // as its error tells
	run       func(context.Context, *Client) error
}

// expiring has keys 1, which have expired, and keys 2.
func (s *stage) expiring() func(n int) s3test.Credentials {
	keys := func(n int) s3test.Credentials {
		return s3test.Credentials{Credentials: sigv4.Credentials{
			AccessKey: fmt.Sprint("KEY", n), SecretKey: "secret", SessionToken: fmt.Sprint("token", n)}}
	}
	old := keys(1)
	old.Expires = time.Now().Add(-time.Minute)
	s.AddCredentials(old)
	s.AddCredentials(keys(2))
	return keys
}

// meet runs the call with a provider whose second keys are accepted, if they
// are fresh.
func (c expiredCall) meet(t *testing.T, fresh bool) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.bucket.Put("k", nil, s3test.Properties{})
		keys := s.expiring()
		asked := 0
		client := s.newClient(Config{Credentials: Credentials{Provider: func(context.Context) (Keys, error) {
			asked++
			n := 1
			if asked > 1 && fresh {
				n = 2
			}
			k := keys(n)
			return Keys{AccessKey: k.AccessKey, SecretKey: Secret(k.SecretKey), SessionToken: Secret(k.SessionToken)}, nil
		}}})
		err := c.run(t.Context(), client)
		s.wantCount(c.op, 2)
		if fresh {
			if err != nil || asked != 2 {
				t.Errorf("error is %v, keys were asked for %d times", err, asked)
			}
			return
		}
		wantError(t, err, ErrCredentials, c.does, c.key)
		if c.run(t.Context(), client); asked != 3 {
			t.Errorf("after the next request keys were asked for %d times", asked)
		}
	})
}

// TestExpiredTokenOfManyRequests: those that are refused after the keys have
// been renewed do not give up the new ones. A HEAD does not say that its keys
// have expired.
func TestExpiredTokenOfManyRequests(t *testing.T) {
	for op, run := range map[string]func(context.Context, *Client) error{
		"GetObjectTagging": func(ctx context.Context, c *Client) error { _, err := c.Tags(ctx, "k", Pin{}); return err },
		"HeadObject":       func(ctx context.Context, c *Client) error { _, err := c.Head(ctx, "k", Pin{}); return err },
	} {
		t.Run(op, func(t *testing.T) { expireUnderMany(t, op, run) })
	}
}

func expireUnderMany(t *testing.T, op string, run func(context.Context, *Client) error) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		s.bucket.Put("k", nil, s3test.Properties{})
		for _, n := range []int{1, 2, 3} {
			c := s3test.Credentials{Credentials: sigv4.Credentials{AccessKey: fmt.Sprint("KEY", n), SecretKey: "secret"}}
			if n == 1 {
				c.Expires = time.Now().Add(-time.Minute)
			}
			s.AddCredentials(c)
		}
		const requests = 16
		var asked, late atomic.Int64
		s.fault(s3test.Fault{Op: op, Times: requests, Action: func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				time.Sleep(time.Duration(late.Add(1)) * time.Second)
				next.ServeHTTP(w, r)
			})
		}})
		client := s.newClient(Config{Credentials: Credentials{Provider: func(context.Context) (Keys, error) {
			return Keys{AccessKey: fmt.Sprint("KEY", asked.Add(1)), SecretKey: "secret"}, nil
		}}})
		var all sync.WaitGroup
		for range requests {
			all.Go(func() {
				if err := run(t.Context(), client); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := asked.Load(); n != 2 {
			t.Errorf("keys were asked for %d times", n)
		}
		if n := s.Count("ListObjectsV2"); n > 2 { // with the old keys and with the new ones
			t.Errorf("%d listings to find out what is wrong", n)
		}
	})
}

func TestProviderThatFails(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		broken := errors.New("vault is sealed")
		client := s.newClient(Config{Credentials: Credentials{Provider: func(context.Context) (Keys, error) { return Keys{}, broken }}})
		err := client.Ping(t.Context())
		wantError(t, err, ErrCredentials, "list", "")
		if !errors.Is(err, broken) {
			t.Errorf("cause is lost: %v", err)
		}
		if n := s.Count(""); n != 0 {
			t.Errorf("%d requests without keys", n)
		}
	})
}

func TestRetryable(t *testing.T) {
	sent := func(err error) error { return &smithyhttp.RequestSendError{Err: err} }
	for _, c := range []struct {
		err  error
		want bool
	}{
		{errors.New("whatever"), false},
		{sent(errors.New("EOF")), true},
		{sent(&net.OpError{Op: "read", Err: syscall.ECONNRESET}), true},
		{sent(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}), true},
		{sent(&net.OpError{Op: "dial", Err: timedOut{}}), true},
		{sent(x509.UnknownAuthorityError{}), false},
		{sent(x509.HostnameError{Certificate: &x509.Certificate{}}), false},
		{sent(x509.CertificateInvalidError{}), false},
		{sent(http.ErrSchemeMismatch), false},
		{statusError(500), true},
		{statusError(502), true},
		{statusError(503), true},
		{statusError(504), true},
		{statusError(408), true},
		{statusError(429), true},
		{statusError(400), false},
		{statusError(403), false},
		{statusError(404), false},
		{statusError(412), false},
		{statusError(501), false},
		{statusError(507), false},
	} {
		if got := retryable(c.err); got != c.want {
			t.Errorf("%v: %t", c.err, got)
		}
	}
}

// statusError is an answer with a status and headers, and nothing to read.
func statusError(status int, headers ...string) error {
	h := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	return &smithyhttp.ResponseError{
		Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status, Header: h}},
		Err:      errors.New("no body"),
	}
}

func TestBackoff(t *testing.T) {
	for attempt := -1; attempt < 40; attempt++ {
		most := min(firstDelay<<min(max(attempt, 0), 16), maxDelay)
		for range 100 {
			if got := backoff(attempt); got < most/2 || got > most {
				t.Fatalf("attempt %d waits %v, want %v to %v", attempt, got, most/2, most)
			}
		}
	}
}

// FuzzRetryAfter: no server makes us wait longer than the bound, nor go back.
func FuzzRetryAfter(f *testing.F) {
	for _, value := range []string{"", "0", "1", "1.5", "-1", "1e300", "NaN", "Inf", "+5", " 3", "Fri, 31 Dec 1999 23:59:59 GMT", "soon"} {
		f.Add(value)
	}
	f.Fuzz(func(t *testing.T, value string) {
		got, ok := retryAfter(statusError(503, "Retry-After", value))
		if got < 0 || got > maxRetryAfter {
			t.Errorf("%q makes us wait %v", value, got)
		}
		if !ok && got != 0 {
			t.Errorf("%q says nothing, and %v", value, got)
		}
	})
}
