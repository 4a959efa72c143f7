package conformance_test

import (
	"net/http"
	"testing"

	"github.com/s3kloset/s3kloset/internal/s3test"
	"github.com/s3kloset/s3kloset/internal/s3test/conformance"
)

// TestS3Test holds the table against our own server, which nothing excuses.
func TestS3Test(t *testing.T) {
	s := s3test.Start(t)
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	t.Cleanup(transport.CloseIdleConnections)
	conformance.Run(t, conformance.Target{
		Server:    conformance.S3Test,
		Endpoint:  s.URL(),
		Region:    s.Region(),
		AccessKey: s.AccessKey(),
		SecretKey: s.SecretKey(),
		Client:    &http.Client{Transport: transport},
	})
}
