package server

import (
	"context"
	"path/filepath"
)

// domain is the base of virtual-host style names.
const domain = "s3.test"

// minioKMSKey is a fixed key of 32 bytes: it only switches encryption on.
const minioKMSKey = "testkey:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

func startMinIO(ctx context.Context, c config) (*Server, error) {
	r := recipe{
		binary: "minio",
		ready:  "/minio/health/cluster", // the plain readiness says yes before there is storage
		env: []string{
			"MINIO_ROOT_USER=" + c.access,
			"MINIO_ROOT_PASSWORD=" + c.secret,
			"MINIO_CI_CD=on", // a folder on the root disk and little free space are fine
			"MINIO_BROWSER=off",
			"MINIO_UPDATE=off",
			"MINIO_SITE_REGION=" + c.region, // without it any region is accepted
			"MINIO_DOMAIN=" + domain,
			"MINIO_KMS_SECRET_KEY=" + minioKMSKey, // without it encryption answers 501
		},
		args: func(address string) []string {
			args := []string{"server", "--quiet", "--address", address}
			if c.tls {
				args = append(args, "--certs-dir", c.cert.dir)
			}
			return append(args, filepath.Join(c.dir, "data"))
		},
	}
	return r.run(ctx, c)
}
