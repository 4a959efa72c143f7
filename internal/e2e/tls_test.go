package e2e_test

import (
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/e2e/server"
)

// TestRoadOverTLS goes the road where SDKs behave otherwise: over TLS they send bodies in
// chunks with a trailer, which some servers store as if the framing belonged to the object.
func TestRoadOverTLS(t *testing.T) {
	for _, name := range server.Names {
		t.Run(string(name), func(t *testing.T) {
			s := server.Start(t, name, server.TLS())
			at := newSite(t, s)
			original := at.newName(t, "original")
			keys := at.fill(t, original, slices.Concat(sizes(), headers(), checksums()))
			journey{at, original, keys}.run(t, at.store(t, at.newName(t, "repo")), s3kloset.WithPlaintext())
			if s.Fake == nil {
				return
			}
			for _, r := range s.Fake.Requests() {
				if strings.Contains(r.Header.Get("X-Amz-Content-Sha256"), "STREAMING") || strings.Contains(r.Header.Get("Content-Encoding"), "aws-chunked") {
					t.Errorf("%s %q is chunked", r.Op, r.Key)
				}
			}
		})
	}
}

// TestUnknownAuthority refuses a server whose certificate nobody vouches for, at once.
func TestUnknownAuthority(t *testing.T) {
	for _, name := range server.Names {
		t.Run(string(name), func(t *testing.T) {
			stranger := *server.Start(t, name, server.TLS())
			at := newSite(t, &stranger)
			original := at.newName(t, "original")
			at.fill(t, original, []exhibit{show("a")})
			stranger.CAFile = ""
			store := at.open(t, original).Store()
			closeAtEnd(t, store)
			_, err := s3kloset.OpenRepository(t.Context(), store, s3kloset.WithPlaintext())
			var unknown x509.UnknownAuthorityError
			if !errors.Is(err, s3kloset.ErrUnreachable) || !errors.As(err, &unknown) {
				t.Errorf("unknown authority: %v", err)
			}
		})
	}
}
