package sigv4

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Sign adds the headers of a signature over r, its Authorization included. Every header that r has by then is signed,
// except User-Agent. payloadHash is the hex SHA-256 of the body or one of the package's constants. The result is what
// the signatures of an aws-chunked body are chained to.
func Sign(r *http.Request, c Credentials, region, payloadHash string, at time.Time) *Signature {
	s := newSignature(c, region, payloadHash, at)
	r.Header.Set("X-Amz-Date", s.Time.Format(TimeFormat))
	r.Header.Set("X-Amz-Content-Sha256", payloadHash)
	if c.SessionToken != "" {
		r.Header.Set("X-Amz-Security-Token", c.SessionToken)
	}
	r.Header.Del("Authorization")
	s.SignedHeaders = headersToSign(r)
	s.Value = s.compute(canonicalRequest(r, s.SignedHeaders, payloadHash), c.SecretKey)
	r.Header.Set("Authorization", Algorithm+" Credential="+s.AccessKey+"/"+s.Scope.String()+
		",SignedHeaders="+strings.Join(s.SignedHeaders, ";")+",Signature="+s.Value)
	return s
}

// Presign adds a signature to r's query that is valid for expires, which is cut to whole seconds. The headers that r
// has must be sent with it; its payload is not signed.
func Presign(r *http.Request, c Credentials, region string, expires time.Duration, at time.Time) *Signature {
	s := newSignature(c, region, UnsignedPayload, at)
	s.Presigned = true
	s.Expires = expires.Truncate(time.Second)
	s.SignedHeaders = headersToSign(r)
	params := []string{
		"X-Amz-Algorithm", Algorithm,
		"X-Amz-Credential", s.AccessKey + "/" + s.Scope.String(),
		"X-Amz-Date", s.Time.Format(TimeFormat),
		"X-Amz-Expires", strconv.Itoa(int(s.Expires / time.Second)),
		"X-Amz-SignedHeaders", strings.Join(s.SignedHeaders, ";"),
	}
	if c.SessionToken != "" {
		params = append(params, "X-Amz-Security-Token", c.SessionToken)
	}
	for pair := range slices.Chunk(params, 2) {
		addQuery(r.URL, pair[0], pair[1])
	}
	s.Value = s.compute(canonicalRequest(r, s.SignedHeaders, s.PayloadHash), c.SecretKey)
	addQuery(r.URL, "X-Amz-Signature", s.Value)
	return s
}

// addQuery appends instead of using url.Values, which would reorder and re-encode what the caller wrote.
func addQuery(u *url.URL, name, value string) {
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += Escape(name, false) + "=" + Escape(value, false)
}

func newSignature(c Credentials, region, payloadHash string, at time.Time) *Signature {
	at = at.UTC().Truncate(time.Second)
	return &Signature{
		AccessKey:    c.AccessKey,
		Scope:        Scope{Date: at.Format(dateFormat), Region: region, Service: service},
		Time:         at,
		PayloadHash:  payloadHash,
		SessionToken: c.SessionToken,
	}
}

func headersToSign(r *http.Request) []string {
	names := []string{"host"}
	for name := range r.Header {
		name = strings.ToLower(name)
		if name != "user-agent" && name != "host" && name != "content-length" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
