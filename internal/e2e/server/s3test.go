package server

import (
	"os"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// startS3Test starts our own server in this process. With TLS it has an authority of its
// own, which takes the place of the one that the others share.
func startS3Test(c config) (*Server, error) {
	fake := s3test.New(s3test.WithRegion(Region), s3test.WithCredentials(c.access, c.secret), s3test.WithDomain(domain))
	start := fake.Start
	if c.tls {
		start = fake.StartTLS
	}
	if err := start(); err != nil {
		return nil, err
	}
	if c.tls {
		if err := os.WriteFile(c.cert.caFile, fake.CAPEM(), 0o600); err != nil {
			fake.Close()
			return nil, err
		}
	}
	return &Server{
		Endpoint:  fake.URL(),
		AccessKey: c.access,
		SecretKey: c.secret,
		Domain:    domain,
		Fake:      fake,
		stop:      fake.Close,
	}, nil
}
