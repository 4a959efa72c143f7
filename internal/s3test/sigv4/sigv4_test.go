package sigv4

import (
	"bufio"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

var (
	key = Credentials{AccessKey: "AKIDEXAMPLE", SecretKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", SessionToken: "token"}
	now = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
)

// TestKnownSignatures holds the package against signatures that the S3 documentation gives: "Signature Calculations for
// the Authorization Header", examples GET Object and GET Bucket Lifecycle, and "Authenticating Requests: Using Query
// Parameters".
func TestKnownSignatures(t *testing.T) {
	documented := Credentials{AccessKey: "AKIAIOSFODNN7EXAMPLE", SecretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"}
	at := time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)
	for _, test := range []struct{ url, span, want string }{
		{"https://examplebucket.s3.amazonaws.com/test.txt", "bytes=0-9", "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
		{"https://examplebucket.s3.amazonaws.com/?lifecycle", "", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
		{"https://examplebucket.s3.amazonaws.com/?max-keys=2&prefix=J", "", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
	} {
		r := newRequest(t, test.url)
		if test.span != "" {
			r.Header.Set("Range", test.span)
		}
		if s := Sign(r, documented, "us-east-1", EmptyPayload, at); s.Value != test.want {
			t.Errorf("%s: %s, want %s", test.url, s.Value, test.want)
		}
	}
	r := newRequest(t, "https://examplebucket.s3.amazonaws.com/test.txt")
	const want = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
	if s := Presign(r, documented, "us-east-1", 24*time.Hour, at); s.Value != want {
		t.Errorf("presigned: %s, want %s", s.Value, want)
	}
}

// TestKnownChunks is the example of "Signature Calculations for the Authorization Header: Transferring Payload in
// Multiple Chunks".
func TestKnownChunks(t *testing.T) {
	s := &Signature{
		Scope: Scope{"20130524", "us-east-1", "s3"}, Time: time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC),
		Value: "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
	}
	chain := s.Chunks("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
	for _, test := range []struct{ data, want string }{
		{strings.Repeat("a", 65536), "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"},
		{strings.Repeat("a", 1024), "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"},
		{"", "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"},
	} {
		if got := chain.Chunk(hexSHA256(test.data)); got != test.want {
			t.Errorf("chunk of %d bytes: %s, want %s", len(test.data), got, test.want)
		}
	}
}

func newRequest(t testing.TB, address string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// received is the request as a server reads it from the wire.
func received(t testing.TB, r *http.Request) *http.Request {
	t.Helper()
	var wire strings.Builder
	if err := r.Write(&wire); err != nil {
		t.Fatal(err)
	}
	read, err := http.ReadRequest(bufio.NewReader(strings.NewReader(wire.String())))
	if err != nil {
		t.Fatal(err)
	}
	return read
}

func TestParseRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*http.Request)
		want   error
	}{
		"unsigned":       {func(r *http.Request) { r.Header.Del("Authorization") }, ErrUnsigned},
		"another scheme": {func(r *http.Request) { r.Header.Set("Authorization", "Basic x") }, ErrUnsupported},
		"query of v2":    {func(r *http.Request) { r.Header.Del("Authorization"); r.URL.RawQuery = "AWSAccessKeyId=a&Signature=b" }, ErrUnsupported},
		"unknown field":  {edit("Signature=", "Sig="), ErrMalformed},
		"no signature":   {func(r *http.Request) { cut(r, ",Signature=") }, ErrMalformed},
		"host unsigned":  {edit("host;", ""), ErrMalformed},
		"unsorted":       {edit("host;x-amz-content-sha256", "x-amz-content-sha256;host"), ErrMalformed},
		"short scope":    {edit("/aws4_request", ""), ErrMalformed},
		"another day":    {edit("/20260501/", "/20260502/"), ErrMalformed},
		"not S3":         {edit("/s3/", "/sqs/"), ErrMalformed},
		"no date":        {func(r *http.Request) { r.Header.Del("X-Amz-Date") }, ErrMalformed},
		"no hash":        {func(r *http.Request) { r.Header.Del("X-Amz-Content-Sha256") }, ErrMalformed},
		"signed twice":   {func(r *http.Request) { r.URL.RawQuery = "X-Amz-Signature=x" }, ErrMalformed},
		"bad query":      {func(r *http.Request) { r.URL.RawQuery = "a=%zz" }, ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRequest(t, "http://host/bucket/key")
			Sign(r, key, "us-east-1", EmptyPayload, now)
			test.change(r)
			if _, err := Parse(r); !errors.Is(err, test.want) {
				t.Errorf("%v, want %v", err, test.want)
			}
		})
	}
}

func edit(from, to string) func(*http.Request) {
	return func(r *http.Request) {
		r.Header.Set("Authorization", strings.Replace(r.Header.Get("Authorization"), from, to, 1))
	}
}

func cut(r *http.Request, at string) {
	head, _, _ := strings.Cut(r.Header.Get("Authorization"), at)
	r.Header.Set("Authorization", head)
}

// FuzzSignature signs a request, sends it over the wire and verifies it there.
func FuzzSignature(f *testing.F) {
	f.Add("bucket/a//b/../c é%+", "prefix=a b&versions", "a  b ")
	f.Add("//x", "", "")
	f.Add("b/\xff\x00", "a=1&a-b=2&a=0", "\xff")
	f.Fuzz(func(t *testing.T, path, query, value string) {
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return // HTTP cannot carry it
		}
		r := newRequest(t, "http://host:9000/")
		r.URL.Path, r.URL.RawPath, r.URL.RawQuery = "/"+path, "/"+Escape(path, true), Escape(query, false)+"="+Escape(value, false)
		r.Header.Set("X-Amz-Meta-A", value)
		Sign(r, key, "us-east-1", EmptyPayload, now)
		got := received(t, r)
		s, err := Parse(got)
		if err != nil || s.Verify(got, key.SecretKey) != nil || s.AccessKey != key.AccessKey || s.SessionToken != key.SessionToken {
			t.Fatalf("%q: %+v, %v", r.URL, s, err)
		}
		if s.Verify(got, key.SecretKey+"x") == nil {
			t.Fatalf("%q is signed with any secret", r.URL)
		}
		r.Header = make(http.Header)
		Presign(r, key, "us-east-1", time.Minute, now)
		got = received(t, r)
		s, err = Parse(got)
		if err != nil || s.Verify(got, key.SecretKey) != nil || !s.Presigned || s.Expires != time.Minute {
			t.Fatalf("%q: %+v, %v", r.URL, s, err)
		}
	})
}

func FuzzCanonicalQuery(f *testing.F) {
	for _, query := range []string{"a=1&b=2", "a-b=1&a=2", "uploads", "uploads=", "a=%2f&a=%2F", "a+b=c%20d", "%zz", "&&=&", "X-Amz-Signature=x&a", "a=b=c"} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		canonical := canonicalQuery(query)
		if again := canonicalQuery(canonical); again != canonical {
			t.Errorf("%q is %q, which is %q", query, canonical, again)
		}
		want, err := url.ParseQuery(query)
		if err != nil || strings.Contains(query, ";") || strings.Contains(query, "X-Amz-Signature") {
			return
		}
		got, err := url.ParseQuery(canonical)
		if err != nil || got.Encode() != want.Encode() && !sameValues(got, want) {
			t.Errorf("%q is %q: %v, %v", query, canonical, got, err)
		}
	})
}

// sameValues compares without the order of values, which the canonical form sorts.
func sameValues(a, b url.Values) bool {
	if len(a) != len(b) {
		return false
	}
	for name := range a {
		count := make(map[string]int)
		for _, value := range a[name] {
			count[value]++
		}
		for _, value := range b[name] {
			count[value]--
		}
		for _, n := range count {
			if n != 0 {
				return false
			}
		}
	}
	return true
}
