package sigv4

import (
	"crypto/hmac"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MaxExpires is the longest life of a presigned request.
const MaxExpires = 7 * 24 * time.Hour

// Parse reads r's signature without judging it. Its errors are [ErrUnsigned], [ErrUnsupported], and wrapped
// [ErrMalformed].
func Parse(r *http.Request) (*Signature, error) {
	_, rawQuery := target(r)
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return nil, malformed("query: %v", err)
	}
	authorization := r.Header.Get("Authorization")
	switch {
	case authorization != "" && query.Has("X-Amz-Signature"):
		return nil, malformed("signed in the header and in the query")
	case authorization != "":
		return parseHeader(r, authorization)
	case query.Has("X-Amz-Algorithm") || query.Has("X-Amz-Signature") || query.Has("X-Amz-Credential"):
		return parseQuery(r, query)
	case query.Has("Signature") && query.Has("AWSAccessKeyId"):
		return nil, ErrUnsupported
	}
	return nil, ErrUnsigned
}

func parseHeader(r *http.Request, authorization string) (*Signature, error) {
	fields, ok := strings.CutPrefix(authorization, Algorithm+" ")
	if !ok {
		return nil, ErrUnsupported
	}
	s := &Signature{
		PayloadHash:  r.Header.Get("X-Amz-Content-Sha256"),
		SessionToken: r.Header.Get("X-Amz-Security-Token"),
	}
	var credential string
	for field := range strings.SplitSeq(fields, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		switch name {
		case "Credential":
			credential = value
		case "SignedHeaders":
			s.SignedHeaders = strings.Split(value, ";")
		case "Signature":
			s.Value = value
		default:
			return nil, malformed("field %q is unknown", name)
		}
	}
	if s.PayloadHash == "" {
		return nil, malformed("x-amz-content-sha256 is missing")
	}
	return s, s.complete(credential, requestDate(r))
}

// requestDate is X-Amz-Date, or Date where there is none, in the form of the former.
func requestDate(r *http.Request) string {
	if date := r.Header.Get("X-Amz-Date"); date != "" {
		return date
	}
	date, err := http.ParseTime(r.Header.Get("Date"))
	if err != nil {
		return ""
	}
	return date.UTC().Format(TimeFormat)
}

func parseQuery(r *http.Request, query url.Values) (*Signature, error) {
	if query.Get("X-Amz-Algorithm") != Algorithm {
		return nil, ErrUnsupported
	}
	seconds, err := strconv.Atoi(query.Get("X-Amz-Expires"))
	if err != nil || seconds < 0 || time.Duration(seconds)*time.Second > MaxExpires {
		return nil, malformed("X-Amz-Expires must be a number of seconds of at most a week")
	}
	s := &Signature{
		Presigned:     true,
		Expires:       time.Duration(seconds) * time.Second,
		SignedHeaders: strings.Split(query.Get("X-Amz-SignedHeaders"), ";"),
		PayloadHash:   presignedHash(r, query),
		SessionToken:  query.Get("X-Amz-Security-Token"),
		Value:         query.Get("X-Amz-Signature"),
	}
	return s, s.complete(query.Get("X-Amz-Credential"), query.Get("X-Amz-Date"))
}

func presignedHash(r *http.Request, query url.Values) string {
	if hash := query.Get("X-Amz-Content-Sha256"); hash != "" {
		return hash
	}
	if hash := r.Header.Get("X-Amz-Content-Sha256"); hash != "" {
		return hash
	}
	return UnsignedPayload
}

// complete fills in what both forms spell alike, and refuses what is missing.
func (s *Signature) complete(credential, date string) error {
	parts := strings.Split(credential, "/")
	n := len(parts)
	if n < 5 || parts[n-1] != terminator {
		return malformed("credential %q is not ACCESS-KEY/YYYYMMDD/REGION/SERVICE/%s", credential, terminator)
	}
	// Access keys may contain slashes; the scope cannot.
	s.AccessKey = strings.Join(parts[:n-4], "/")
	s.Scope = Scope{Date: parts[n-4], Region: parts[n-3], Service: parts[n-2]}
	at, err := time.Parse(TimeFormat, date)
	if err != nil {
		return malformed("date %q", date)
	}
	s.Time = at
	switch {
	case s.Scope.Service != service:
		return malformed("service %q is not %s", s.Scope.Service, service)
	case s.Scope.Date != at.Format(dateFormat):
		return malformed("credential date %q is not that of the request", s.Scope.Date)
	case s.Value == "":
		return malformed("signature is missing")
	case !slices.Contains(s.SignedHeaders, "host"):
		return malformed("host is not signed")
	case !slices.IsSorted(s.SignedHeaders):
		return malformed("signed headers are not sorted")
	}
	return nil
}

// Verify returns [ErrMismatch] unless s was made for r with the secret. It looks at neither time nor region nor body.
func (s *Signature) Verify(r *http.Request, secret string) error {
	want := s.compute(canonicalRequest(r, s.SignedHeaders, s.PayloadHash), secret)
	if !hmac.Equal([]byte(want), []byte(s.Value)) {
		return ErrMismatch
	}
	return nil
}

// UnsignedHeaders names the x-amz-* headers of h that s does not cover. S3 refuses requests that have any.
func (s *Signature) UnsignedHeaders(h http.Header) []string {
	var names []string
	for name := range h {
		name = strings.ToLower(name)
		if strings.HasPrefix(name, "x-amz-") && !slices.Contains(s.SignedHeaders, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}
