package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// certificate is a server's certificate, its key and the authority behind it, as files.
type certificate struct {
	dir      string // holds the others
	certFile string
	keyFile  string
	caFile   string
}

// newCertificate makes an authority and a certificate signed by it, valid for a day.
// The names of the files are those that MinIO looks for.
func newCertificate(dir string) (certificate, error) {
	c := certificate{
		dir:      dir,
		certFile: filepath.Join(dir, "public.crt"),
		keyFile:  filepath.Join(dir, "private.key"),
		caFile:   filepath.Join(dir, "ca.pem"),
	}
	if err := c.write(); err != nil {
		return certificate{}, fmt.Errorf("make certificate: %w", err)
	}
	return c, nil
}

func (c certificate) write() error {
	if err := os.Mkdir(c.dir, 0o700); err != nil {
		return err
	}
	now := time.Now()
	authority := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "s3kloset test authority"},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.Add(24 * time.Hour),
		KeyUsage:              x509.KeyUsageCertSign,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: "s3kloset test server"},
		NotBefore:    authority.NotBefore,
		NotAfter:     authority.NotAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		DNSNames:     []string{"localhost", domain, "*." + domain},
	}

	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	authorityDER, err := x509.CreateCertificate(rand.Reader, authority, authority, authorityKey.Public(), authorityKey)
	if err != nil {
		return err
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, authority, leafKey.Public(), authorityKey)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		return err
	}
	return errors.Join(
		writePEM(c.caFile, "CERTIFICATE", authorityDER),
		writePEM(c.certFile, "CERTIFICATE", leafDER),
		writePEM(c.keyFile, "PRIVATE KEY", keyDER),
	)
}

func writePEM(file, kind string, der []byte) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// trust returns a TLS configuration that trusts the authority in caFile alone.
func trust(caFile string) (*tls.Config, error) {
	b, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("read authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("read authority: no certificate in %s", caFile)
	}
	return &tls.Config{RootCAs: pool}, nil
}
