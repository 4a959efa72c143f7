package e2e_test

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/e2e/raw"
	"github.com/s3kloset/s3kloset/internal/e2e/server"
	"github.com/s3kloset/s3kloset/internal/s3test/conformance"
)

const sseHeader = "X-Amz-Server-Side-Encryption"

// kmsKey is the one that MinIO has.
const kmsKey = "testkey"

// TestServerSideEncryption lets the server encrypt: a store because its option says so, and
// restored objects as they were, as an option says, or not at all.
func TestServerSideEncryption(t *testing.T) {
	t.Parallel()
	at := newSite(t, server.Shared(t, conformance.MinIO))
	original := at.newName(t, "original")
	if err := at.client.CreateBucket(t.Context(), original); err != nil {
		t.Fatal(err)
	}
	modes := map[string]string{"plain": "", "managed": "AES256", "kms": "aws:kms"}
	bodies := map[string][]byte{"plain": []byte("x"), "managed": noise(5, 100), "kms": noise(6, 9*mib)}
	for key, mode := range modes {
		header := http.Header{}
		if mode != "" {
			header.Set(sseHeader, mode)
		}
		if mode == "aws:kms" {
			header.Set(sseHeader+"-Aws-Kms-Key-Id", kmsKey)
		}
		if err := at.client.Put(t.Context(), original, key, header, bodies[key]); err != nil {
			t.Fatal(err)
		}
	}

	var repo *s3kloset.Repository // the last of them
	for _, encryption := range []s3kloset.Encryption{{Mode: "AES256"}, {Mode: "aws:kms", KMSKeyID: kmsKey}} {
		vault := at.newName(t, "vault")
		store := at.open(t, vault, s3kloset.WithCreateBucket(true), s3kloset.WithEncryption(encryption)).Store()
		closeAtEnd(t, store)
		var err error
		if repo, err = s3kloset.CreateRepository(t.Context(), store, s3kloset.WithPlaintext()); err != nil {
			t.Fatal(err)
		}
		defer closeRepository(t, repo)
		if _, err := repo.Backup(t.Context(), at.open(t, original).Source()); err != nil {
			t.Fatal(err)
		}
		blobs := at.keys(t, vault)
		if len(blobs) < 3 {
			t.Errorf("the store has %q", blobs)
		}
		for _, key := range blobs {
			at.wantEncryption(t, vault, key, encryption.Mode)
		}
	}

	for name, test := range map[string]struct {
		options []s3kloset.Option
		mode    func(original string) string
	}{
		"not asked for": {nil, func(string) string { return "" }},
		"as it was":     {[]s3kloset.Option{s3kloset.WithRestoredEncryption(true)}, func(mode string) string { return mode }},
		"as it is said": {[]s3kloset.Option{s3kloset.WithEncryption(s3kloset.Encryption{Mode: "AES256"})}, func(string) string { return "AES256" }},
	} {
		t.Run(name, func(t *testing.T) {
			restored := at.newName(t, "restored")
			options := append(test.options, s3kloset.WithCreateBucket(true))
			report, err := repo.Restore(t.Context(), "", at.open(t, restored, options...).Destination())
			if err != nil {
				t.Fatal(err)
			}
			// With a key of KMS an ETag says nothing of the bytes, before or after.
			if w := report.Warnings[s3kloset.WarnETag]; w != nil {
				t.Errorf("%d are said to have another ETag", w.Count)
			}
			for key, mode := range modes {
				at.wantEncryption(t, restored, key, test.mode(mode))
				if answer, err := at.client.Get(t.Context(), restored, key); err != nil || !bytes.Equal(answer.Body, bodies[key]) {
					t.Errorf("%s comes back otherwise: %v", key, err)
				}
			}
		})
	}
}

func (at site) wantEncryption(t *testing.T, bucket, key, mode string) {
	t.Helper()
	header, err := at.client.Head(t.Context(), bucket, key)
	if err != nil {
		t.Fatal(err)
	}
	if got := header.Get(sseHeader); got != mode {
		t.Errorf("%s is encrypted by %q, want %q", key, got, mode)
	}
	if id := header.Get(sseHeader + "-Aws-Kms-Key-Id"); strings.HasSuffix(id, kmsKey) != (mode == "aws:kms") {
		t.Errorf("%s is encrypted by %q with the key %q", key, mode, id)
	}
}

// TestCustomerKeys takes objects that only our keys open to where only another key opens
// them, through a store that only a third one opens.
func TestCustomerKeys(t *testing.T) {
	for _, name := range []conformance.Server{conformance.MinIO, conformance.MiniS3, conformance.S3Test} {
		t.Run(string(name), func(t *testing.T) {
			at := newSite(t, server.Start(t, name, server.TLS()))
			original, vault, restored := at.newName(t, "original"), at.newName(t, "vault"), at.newName(t, "restored")
			if err := at.client.CreateBucket(t.Context(), original); err != nil {
				t.Fatal(err)
			}
			keyOf := map[string][]byte{"one": customerKey('1'), "two": customerKey('2'), "none": nil}
			bodies := map[string][]byte{"one": []byte("body"), "two": noise(7, 17*mib), "none": []byte("plain")}
			for key, secret := range keyOf {
				if err := at.client.Put(t.Context(), original, key, customerHeader(secret), bodies[key]); err != nil {
					t.Fatal(err)
				}
			}
			store := at.open(t, vault, s3kloset.WithCreateBucket(true), s3kloset.WithCustomerKey(customerKey('3'))).Store()
			closeAtEnd(t, store)
			repo, err := s3kloset.CreateRepository(t.Context(), store, s3kloset.WithPlaintext())
			if err != nil {
				t.Fatal(err)
			}
			defer closeRepository(t, repo)
			lookup := s3kloset.WithCustomerKeys(func(key string) ([]byte, error) { return keyOf[key], nil })
			report, err := repo.Backup(t.Context(), at.open(t, original, lookup).Source())
			if err != nil || report.Stored != 3 {
				t.Fatalf("%+v, %v", report, err)
			}
			target := at.open(t, restored, s3kloset.WithCreateBucket(true), s3kloset.WithCustomerKey(customerKey('4')))
			if _, err := repo.Restore(t.Context(), "", target.Destination()); err != nil {
				t.Fatal(err)
			}
			for bucket, secret := range map[string][]byte{vault: customerKey('3'), restored: customerKey('4')} {
				for _, key := range at.keys(t, bucket) {
					at.wantCustomerKey(t, bucket, key, secret, bodies[key])
				}
			}
		})
	}
}

// wantCustomerKey demands that a key opens an object, and that nothing does without.
func (at site) wantCustomerKey(t *testing.T, bucket, key string, secret, body []byte) {
	t.Helper()
	if _, err := at.client.Get(t.Context(), bucket, key); err == nil {
		t.Errorf("%s can be read without its key", key)
	}
	answer, err := at.client.Do(t.Context(), raw.Request{Method: http.MethodGet, Bucket: bucket, Key: key, Header: customerHeader(secret)})
	if err != nil || body != nil && !bytes.Equal(answer.Body, body) {
		t.Errorf("%s with its key: %v", key, err)
	}
}

func customerKey(digit byte) []byte { return bytes.Repeat([]byte{digit}, 32) }

// customerHeader is what says a key in a request.
func customerHeader(secret []byte) http.Header {
	header := http.Header{}
	if len(secret) > 0 {
		sum := md5.Sum(secret)
		header.Set(sseHeader+"-Customer-Algorithm", "AES256")
		header.Set(sseHeader+"-Customer-Key", base64.StdEncoding.EncodeToString(secret))
		header.Set(sseHeader+"-Customer-Key-Md5", base64.StdEncoding.EncodeToString(sum[:]))
	}
	return header
}
