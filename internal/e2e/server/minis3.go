package server

import (
	"crypto/tls"
	"fmt"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"sync"

	"github.com/yashikota/minis3"
)

// Keys that minis3 has built in.
const (
	minis3Access = "minis3-access-key"
	minis3Secret = "minis3-secret-key"
)

func startMiniS3(c config) (*Server, error) {
	// Otherwise a GET of an archived object restores it. The server reads its settings
	// from the environment of the process, at each request.
	if err := os.Setenv("MINIS3_CLOUD_ALLOW_READ_THROUGH", "false"); err != nil {
		return nil, err
	}
	s3, err := minis3.RunAddr("127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Server{
		Endpoint:  "http://" + s3.Addr(),
		AccessKey: minis3Access,
		SecretKey: minis3Secret,
		stop:      sync.OnceValue(s3.Close),
	}
	if c.tls {
		if err := s.terminateTLS(c.cert); err != nil {
			s3.Close()
			return nil, err
		}
	}
	return s, nil
}

// terminateTLS puts a TLS endpoint in front of a server that has none. The Host header
// passes unchanged, since it is signed.
func (s *Server) terminateTLS(cert certificate) error {
	pair, err := tls.LoadX509KeyPair(cert.certFile, cert.keyFile)
	if err != nil {
		return fmt.Errorf("load certificate: %w", err)
	}
	upstream, err := url.Parse(s.Endpoint)
	if err != nil {
		return err
	}
	front := httptest.NewUnstartedServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(upstream)
			r.Out.Host = r.In.Host
		},
		FlushInterval: -1,
	})
	front.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	front.StartTLS()

	s.Endpoint = front.URL
	back := s.stop
	s.stop = sync.OnceValue(func() error {
		front.Close()
		return back()
	})
	return nil
}
