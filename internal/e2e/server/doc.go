// Package server starts the S3 servers that the end-to-end tests run on: MinIO and
// versitygw as processes of their own, minis3 and s3test in this process, each on a free port of
// 127.0.0.1 with its data in a temporary folder.
//
// Most tests share one instance of each server and take a bucket of their own:
//
//	func TestMain(m *testing.M) { os.Exit(server.Main(m)) }
//
//	func TestRoad(t *testing.T) {
//		server.Each(t, func(t *testing.T, s *server.Server) { … })
//	}
//
// A test that needs TLS, or that kills its server, starts one for itself with [Start].
//
// The processes are built by `make servers`; a test that finds no binary fails.
package server
