package s3test_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset/internal/s3test"
	"github.com/s3kloset/s3kloset/internal/s3test/sigv4"
)

func anonymous(o *outgoing) { o.anonymous = true }

func payload(hash string) edit { return func(o *outgoing) { o.payload = hash } }

func skewed(d time.Duration) edit { return func(o *outgoing) { o.skew = d } }

func presigned(d time.Duration) edit { return func(o *outgoing) { o.presigned = d } }

func signedWith(accessKey, secret, token string) edit {
	return func(o *outgoing) { o.accessKey, o.secret, o.token = accessKey, secret, token }
}

// TestSignatureIsChecked sends requests that differ in one thing from a right one.
func TestSignatureIsChecked(t *testing.T) {
	s, b, c := started(t)
	b.Put("k", []byte("body"), s3test.Properties{})
	c.get(at("k")).ok().holds("body")
	for name, test := range map[string]struct {
		edit   edit
		status int
		code   string
	}{
		"wrong secret":     {signedWith(s.AccessKey(), "guess", ""), 403, "SignatureDoesNotMatch"},
		"unknown key":      {signedWith("NOBODY", s.SecretKey(), ""), 403, "InvalidAccessKeyId"},
		"token of nobody":  {signedWith(s.AccessKey(), s.SecretKey(), "token"), 400, "InvalidToken"},
		"unsigned":         {anonymous, 403, "AccessDenied"},
		"another region":   {func(o *outgoing) { o.region = "mars-1" }, 400, "AuthorizationHeaderMalformed"},
		"changed query":    {after(func(r *http.Request) { r.URL.RawQuery = "x-id=GetObject" }), 403, "SignatureDoesNotMatch"},
		"changed method":   {after(func(r *http.Request) { r.Method = "DELETE" }), 403, "SignatureDoesNotMatch"},
		"changed header":   {edits(with("X-Amz-Meta-A", "1"), after(setHeader("X-Amz-Meta-A", "2"))), 403, "SignatureDoesNotMatch"},
		"unsigned header":  {after(setHeader("X-Amz-Meta-A", "2")), 403, "AccessDenied"},
		"malformed":        {after(setHeader("Authorization", "AWS4-HMAC-SHA256 nonsense")), 400, "AuthorizationHeaderMalformed"},
		"signature v2":     {after(setHeader("Authorization", "AWS a:b")), 400, "InvalidRequest"},
		"no hash at all":   {payload("none"), 400, "InvalidArgument"},
		"hour behind":      {skewed(-time.Hour), 403, "RequestTimeTooSkewed"},
		"16 minutes ahead": {skewed(16 * time.Minute), 403, "RequestTimeTooSkewed"},
		"14 minutes ahead": {skewed(14 * time.Minute), 200, ""},
		"foreign account":  {with("X-Amz-Expected-Bucket-Owner", "999900001111"), 403, "AccessDenied"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClient(t, s, s)
			c.get(at("k"), test.edit).is(test.status, test.code)
		})
	}
	if b.Len() != 1 {
		t.Fatal("a refused request deleted the object")
	}
}

func edits(all ...edit) edit {
	return func(o *outgoing) {
		for _, e := range all {
			e(o)
		}
	}
}

func setHeader(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set(name, value) }
}

func TestSkewIsExplained(t *testing.T) {
	clock := s3test.NewManualClock(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC))
	_, _, c := started(t, s3test.WithClock(clock))
	c.now = clock.Now
	c.get("/bucket?list-type=2").ok()
	c.get("/bucket?list-type=2", skewed(-16*time.Minute)).is(403, "RequestTimeTooSkewed").contains(
		"<RequestTime>20260501T114400Z</RequestTime>", "<ServerTime>2026-05-01T12:00:00Z</ServerTime>",
		"<MaxAllowedSkewMilliseconds>900000</MaxAllowedSkewMilliseconds>")
}

func TestRegionIsExplained(t *testing.T) {
	_, _, c := started(t, s3test.WithRegion("eu-west-3"))
	c.region = "us-east-1"
	c.get("/bucket?list-type=2").is(400, "AuthorizationHeaderMalformed").contains("<Region>eu-west-3</Region>").
		has("X-Amz-Bucket-Region", "eu-west-3")
}

func TestPresignedRequests(t *testing.T) {
	clock := s3test.NewManualClock(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC))
	_, b, c := started(t, s3test.WithClock(clock))
	c.now = clock.Now
	c.put(at("k"), "body", presigned(time.Minute)).ok()
	c.get(at("k"), presigned(time.Minute)).ok().holds("body")
	c.get(at("k")+"?response-content-type=text/html", presigned(time.Minute)).ok().has("Content-Type", "text/html")
	c.get(at("k"), presigned(time.Minute), skewed(-time.Minute)).is(403, "AccessDenied").contains("Request has expired")
	c.put(at("k"), "body", presigned(time.Minute), func(o *outgoing) { o.URL.RawQuery = "x-amz-storage-class=GLACIER" }).ok()
	if o, _ := b.Get("k"); o.StorageClass != "GLACIER" {
		t.Errorf("a header that was moved into the query is lost: class %s", o.StorageClass)
	}
	c.get(at("k"), presigned(8*24*time.Hour)).is(400, "AuthorizationQueryParametersError")
	tampered := after(func(r *http.Request) { r.URL.Path, r.URL.RawPath = "/bucket/other", "" })
	c.get(at("k"), presigned(time.Minute), tampered).is(403, "SignatureDoesNotMatch")
	c.put(at("k"), "changed", presigned(time.Minute), after(setHeader("X-Amz-Meta-A", "unsigned"))).is(403, "AccessDenied")
	if o, _ := b.Get("k"); string(o.Body) != "body" {
		t.Fatalf("stored %q", o.Body)
	}
}

func TestOwnCredentials(t *testing.T) {
	s, _, c := started(t, s3test.WithCredentials("ME/AND/SLASHES", "my secret"))
	equal(t, "keys", s.AccessKey()+" "+s.SecretKey(), "ME/AND/SLASHES my secret")
	c.get("/bucket?list-type=2").ok()
}

func TestTemporaryCredentials(t *testing.T) {
	clock := s3test.NewManualClock(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC))
	s, _, c := started(t, s3test.WithClock(clock))
	c.now = clock.Now
	temporary := s3test.Credentials{
		Credentials: sigv4.Credentials{AccessKey: "TEMP", SecretKey: "secret", SessionToken: "token"},
		Expires:     clock.Now().Add(time.Hour),
	}
	s.AddCredentials(temporary)
	c.credentials = temporary.Credentials
	c.get("/bucket?list-type=2").ok()
	c.get("/bucket?list-type=2", signedWith("TEMP", "secret", "")).is(400, "InvalidToken")
	clock.Advance(time.Hour)
	c.get("/bucket?list-type=2").is(400, "ExpiredToken")
	temporary.Expires = time.Time{}
	s.AddCredentials(temporary)
	c.get("/bucket?list-type=2").ok()
	s.RemoveCredentials("TEMP")
	c.get("/bucket?list-type=2").is(403, "InvalidAccessKeyId")
}

func TestPublicBucketIsReadOnly(t *testing.T) {
	_, b, c := started(t)
	b.Put("k", []byte("body"), s3test.Properties{})
	b.SetPublic(true)
	c.get(at("k"), anonymous).ok().holds("body")
	c.get("/bucket?list-type=2", anonymous).ok().contains("<Key>k</Key>")
	c.put(at("k"), "new", anonymous).is(403, "AccessDenied")
	c.remove(at("k"), anonymous).is(403, "AccessDenied")
	c.get(at("k")+"?response-expires=x", anonymous).is(400, "InvalidRequest")
	b.SetPublic(false)
	c.get(at("k"), anonymous).is(403, "AccessDenied")
}

func TestRequesterPays(t *testing.T) {
	_, b, c := started(t)
	b.SetRequesterPays(true)
	c.put(at("k"), "body").is(403, "AccessDenied")
	c.put(at("k"), "body", with("X-Amz-Request-Payer", "requester")).ok().has("X-Amz-Request-Charged", "requester")
	c.get(at("k")).is(403, "AccessDenied")
	c.head(at("k")).is(403, "")
	c.get(at("k"), with("X-Amz-Request-Payer", "requester")).ok().holds("body").has("X-Amz-Request-Charged", "requester")
	c.get("/bucket?list-type=2").is(403, "AccessDenied")
	b.SetRequesterPays(false)
	c.get(at("k")).ok().has("X-Amz-Request-Charged", "")
}

func TestVirtualHostStyle(t *testing.T) {
	_, b, c := started(t, s3test.WithDomain("s3.test"))
	host := func(o *outgoing) { o.Host = "bucket.s3.test:9000" }
	for _, key := range []string{"plain", "/x", "//x/../y\x01\xff", "a b+c%2F", "bucket/inner"} {
		c.put("/"+sigv4.Escape(key, true), key, host).ok()
		if o, ok := b.Get(key); !ok || string(o.Body) != key {
			t.Fatalf("the key %q was not kept: %q", key, b.Keys())
		}
		c.get("/"+sigv4.Escape(key, true), host).ok().holds(key)
		c.get(at(key)).ok().holds(key)
	}
	c.get("/?list-type=2&encoding-type=url", host).ok().contains("<Name>bucket</Name>", "<Key>//x/../y%01%FF</Key>")
}
