package s3test

import (
	"crypto/md5"
	"crypto/sha256"
	"hash"
	"io"
)

// hashes is everything that is computed while a body is read.
type hashes struct {
	io.Writer
	md5      hash.Hash
	sha256   hash.Hash // nil if the signature does not cover the body
	checksum hash.Hash // nil if no checksum was declared
}

func newHashes(a *algorithm, wantSHA256 bool) *hashes {
	h := &hashes{md5: md5.New()}
	writers := []io.Writer{h.md5}
	if wantSHA256 {
		h.sha256 = sha256.New()
		writers = append(writers, h.sha256)
	}
	if a != nil {
		h.checksum = a.new()
		writers = append(writers, h.checksum)
	}
	h.Writer = io.MultiWriter(writers...)
	return h
}
