package conformance

import (
	"cmp"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/s3kloset/s3kloset/internal/s3test/sigv4"
)

// How a row can fail, beside a request that gets no answer.
var (
	errUnlike   = errors.New("answers not")
	errNeedless = errors.New("the excuse is needless")
)

// session is a row on its way through a server.
type session struct {
	target    Target
	bucket    string
	variables map[string]string
}

// run holds the conversation with the target. Its error tells the first step whose answer
// is neither S3's nor the one that the target is excused with.
func (c conversation) run(ctx context.Context, target Target, bucket string) error {
	s := &session{target: target, bucket: bucket, variables: map[string]string{"bucket": bucket}}
	for _, step := range append(c.bucket.make(), c.steps...) {
		done, err := s.take(ctx, step)
		if done || err != nil {
			return err
		}
	}
	return nil
}

// make creates the row's bucket.
func (k kind) make() []step {
	switch k {
	case versioned:
		return []step{put("", "").gives(ok()), versioning("Enabled")}
	case locked:
		return []step{put("", "").with("x-amz-bucket-object-lock-enabled", "true").gives(ok())}
	default:
		return []step{put("", "").gives(ok())}
	}
}

// versioning sets the state of the bucket's versioning.
func versioning(state string) step {
	return put("", `<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>`+
		state+`</Status></VersioningConfiguration>`).ask("versioning", "").withMD5().gives(ok())
}

// take takes one step. The conversation is done when the server deviates as excused.
func (s *session) take(ctx context.Context, step step) (done bool, err error) {
	if step.rivals > 0 {
		return false, s.race(ctx, step)
	}
	got, err := s.send(ctx, step.request)
	if err != nil {
		return true, fmt.Errorf("%s: %w", step.request, err)
	}
	fail := func(format string, args ...any) error {
		return fmt.Errorf("%s: %w\nanswer: %s", step.request, fmt.Errorf(format, args...), got)
	}
	wrong := step.want.judge(got, s.expand)
	if d, ok := step.deviations[s.target.Server]; ok {
		if wrong == nil {
			return true, fail("%w: %s answers as S3 does (%s)", errNeedless, s.target.Server, d.why)
		}
		if otherwise := d.want.judge(got, s.expand); otherwise != nil {
			return true, fail("%w as S3: %w\nnor as %s is excused (%s): %w", errUnlike, wrong, s.target.Server, d.why, otherwise)
		}
		return true, nil
	}
	if wrong != nil {
		return true, fail("%w as S3: %w", errUnlike, wrong)
	}
	for _, v := range step.keep {
		if s.variables[v.name], err = v.from(got); err != nil {
			return true, fail("%w as S3: keep %s: %w", errUnlike, v.name, err)
		}
	}
	return false, nil
}

// race sends a step's request many times at once.
func (s *session) race(ctx context.Context, step step) error {
	replies, errs := make([]*reply, step.rivals), make([]error, step.rivals)
	var group sync.WaitGroup
	for i := range step.rivals {
		group.Go(func() { replies[i], errs[i] = s.send(ctx, step.request) })
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%s: %w", step.request, err)
	}
	winners := 0
	for _, got := range replies {
		switch {
		case step.want.judge(got, s.expand) == nil:
			winners++
		case !slices.Contains(step.losers, got.status):
			return fmt.Errorf("%s: %w as a winner nor as a loser: %s", step.request, errUnlike, got)
		}
	}
	if winners != 1 {
		return fmt.Errorf("%s: %w as S3: %d of %d have won, not one", step.request, errUnlike, winners, step.rivals)
	}
	return nil
}

// send sends a request and reads the whole answer.
func (s *session) send(ctx context.Context, r request) (*reply, error) {
	req, err := s.build(ctx, r)
	if err != nil {
		return nil, err
	}
	resp, err := s.target.Client.Do(req)
	if err != nil {
		return nil, err
	}
	return readReply(resp)
}

func (s *session) build(ctx context.Context, r request) (*http.Request, error) {
	body := s.expand(r.body)
	u, err := s.locate(r)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	// Redirects and compression would hide what the server said.
	req.Header.Set("Accept-Encoding", "identity")
	for _, h := range r.header {
		req.Header.Add(h.name, s.expand(h.value))
	}
	if r.md5 {
		sum := md5.Sum([]byte(body))
		req.Header.Set("Content-MD5", base64.StdEncoding.EncodeToString(sum[:]))
	}
	s.sign(req, r.auth, body)
	if r.unknownLength {
		req.ContentLength = -1
	}
	return req, nil
}

// locate spells the target of a request: every byte of the key as it is, so that nothing
// cleans "a/../b" on its way.
func (s *session) locate(r request) (*url.URL, error) {
	bucket := s.bucket
	if r.bucket != "" {
		bucket = s.expand(r.bucket)
	}
	address := s.target.Endpoint
	if s.target.Domain != "" {
		scheme, host, _ := strings.Cut(address, "://")
		_, port, _ := strings.Cut(host, ":")
		address = scheme + "://" + bucket + "." + s.target.Domain + ":" + port
	} else {
		address += "/" + strings.TrimPrefix(bucket, "/")
	}
	if r.key != "" || s.target.Domain != "" {
		address += "/" + sigv4.Escape(r.key, true)
	}
	for i, p := range r.query {
		address += string("?&"[min(i, 1)]) + sigv4.Escape(p.name, false) + "=" + sigv4.Escape(s.expand(p.value), false)
	}
	return url.Parse(address)
}

func (s *session) sign(req *http.Request, a authentication, body string) {
	if a.anonymous {
		return
	}
	credentials := sigv4.Credentials{
		AccessKey:    cmp.Or(a.accessKey, s.target.AccessKey),
		SecretKey:    cmp.Or(a.secretKey, s.target.SecretKey),
		SessionToken: a.token,
	}
	region := cmp.Or(a.region, s.target.Region)
	at := time.Now().Add(a.skew)
	if a.presigned > 0 {
		sigv4.Presign(req, credentials, region, a.presigned, at)
		return
	}
	if c := a.chunks; c != nil {
		c.prepare(req, body)
		signature := sigv4.Sign(req, credentials, region, c.payload, at)
		setBody(req, c.frame(body, signature, credentials.SecretKey))
		return
	}
	sum := sha256.Sum256([]byte(body))
	sigv4.Sign(req, credentials, region, cmp.Or(a.payload, hex.EncodeToString(sum[:])), at)
}

func setBody(req *http.Request, body string) {
	req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }
	req.Body, _ = req.GetBody()
	req.ContentLength = int64(len(body))
}

// expand replaces {name} by the variable of that name; other braces stay.
func (s *session) expand(text string) string {
	if !strings.Contains(text, "{") {
		return text
	}
	var pairs []string
	for name, value := range s.variables {
		pairs = append(pairs, "{"+name+"}", value)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}
