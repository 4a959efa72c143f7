package server

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// startVersity needs a temporary folder with extended attributes for users, as ext4,
// xfs, overlays of them and tmpfs of a recent kernel have.
func startVersity(ctx context.Context, c config) (*Server, error) {
	// One within the other would make versions appear as buckets.
	data, versions := filepath.Join(c.dir, "data"), filepath.Join(c.dir, "versions")
	for _, dir := range []string{data, versions} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, fmt.Errorf("make data folder: %w", err)
		}
	}
	r := recipe{
		binary: "versitygw",
		ready:  "/healthz",
		args: func(address string) []string {
			args := []string{
				"--access", c.access, "--secret", c.secret,
				"--port", address, "--region", c.region,
				"--quiet", "--keep-alive",
				"--health", "/healthz",
				"--virtual-domain", domain,
			}
			if c.tls {
				args = append(args, "--cert", c.cert.certFile, "--key", c.cert.keyFile)
			}
			return append(args, "posix", "--versioning-dir", versions, data)
		},
	}
	return r.run(ctx, c)
}
