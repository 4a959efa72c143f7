package bucket

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// badge is a certificate of a client, which is its own authority.
type badge struct {
	certificate *x509.Certificate
	cert, key   []byte // PEM
}

func newBadge(t *testing.T, name string) badge {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return badge{certificate,
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})}
}

// files writes certificate and key into one folder, and both into a third file.
func (b badge) files(t *testing.T, dir string) (cert, key, both string) {
	t.Helper()
	cert, key, both = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "both.pem")
	for file, text := range map[string][]byte{cert: b.cert, key: b.key, both: append(b.cert, b.key...)} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key, both
}

// TestClientCertificate is shown to a server that lets nobody in without one,
// and who is refused hears of it at once.
func TestClientCertificate(t *testing.T) {
	friend, again, stranger := newBadge(t, "friend"), newBadge(t, "again"), newBadge(t, "stranger")
	s3 := s3test.New()
	s3.CreateBucket(bucketName)
	server := httptest.NewUnstartedServer(s3)
	pool := x509.NewCertPool()
	pool.AddCert(friend.certificate)
	pool.AddCert(again.certificate)
	server.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	cfg := Config{Name: bucketName, Endpoint: server.URL,
		CAFile:      caFile(t, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})),
		Credentials: Credentials{Keys: Keys{AccessKey: s3.AccessKey(), SecretKey: Secret(s3.SecretKey())}}}
	dir := t.TempDir()
	cert, key, both := friend.files(t, dir)
	theirs, theirKey, _ := stranger.files(t, t.TempDir())

	for _, c := range []struct {
		name, cert, key string
		let             bool
	}{
		{"two files", cert, key, true},
		{"one file", both, "", true},
		{"none", "", "", false},
		{"unknown", theirs, theirKey, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := cfg
			cfg.ClientCert, cfg.ClientKey = c.cert, c.key
			client := mustNew(t, cfg)
			err := client.Ping(t.Context())
			if c.let && err != nil {
				t.Error(err)
			}
			if !c.let {
				wantError(t, err, ErrUnreachable, "list", "")
			}
			if n := client.Requests()["ListObjectsV2"]; n != 1 {
				t.Errorf("tried %d times: %v", n, err)
			}
		})
	}
	t.Run("renewed", func(t *testing.T) {
		cfg := cfg
		cfg.ClientCert, cfg.ClientKey = cert, key
		client := mustNew(t, cfg)
		for _, b := range []badge{friend, stranger, again} {
			b.files(t, dir)
			client.release() // the next request needs a new connection
			if err := client.Ping(t.Context()); (err == nil) != (b.certificate != stranger.certificate) {
				t.Errorf("with the certificate of %s: %v", b.certificate.Subject, err)
			}
		}
	})
	t.Run("bad files", func(t *testing.T) {
		for _, files := range [][2]string{{"missing.pem", ""}, {cert, ""}, {cert, theirKey}, {key, cert}} {
			cfg := cfg
			cfg.ClientCert, cfg.ClientKey = files[0], files[1]
			if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "client_cert") {
				t.Errorf("%q: %v", files, err)
			}
		}
	})
}
