package s3test

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"net/http"
	"strconv"
	"strings"
)

// algorithm is a checksum algorithm of S3.
type algorithm struct {
	name string // as in x-amz-checksum-algorithm
	size int
	new  func() hash.Hash
	full bool // can be the type FULL_OBJECT of a multipart object
}

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	nvme       = crc64.MakeTable(0x9a6c9329ac4bc9b5)

	algorithms = []*algorithm{
		{"CRC32", 4, func() hash.Hash { return crc32.NewIEEE() }, true},
		{"CRC32C", 4, func() hash.Hash { return crc32.New(castagnoli) }, true},
		{"CRC64NVME", 8, func() hash.Hash { return crc64.New(nvme) }, true},
		{"SHA1", sha1.Size, sha1.New, false},
		{"SHA256", sha256.Size, sha256.New, false},
	}
	crc64NVME = algorithms[2]
)

// algorithmNamed returns nil for a name that is unknown.
func algorithmNamed(name string) *algorithm {
	for _, a := range algorithms {
		if a.name == name {
			return a
		}
	}
	return nil
}

func (a *algorithm) header() string { return "x-amz-checksum-" + strings.ToLower(a.name) }

// element is the name of the algorithm's value in XML.
func (a *algorithm) element() string { return "Checksum" + a.name }

func (a *algorithm) sum(c content) []byte {
	h := a.new()
	c.WriteTo(h)
	return h.Sum(nil)
}

const (
	fullObject = "FULL_OBJECT"
	composite  = "COMPOSITE"
)

// checksum is a checksum of a stored object. The zero value is none.
type checksum struct {
	*algorithm
	value string // base64, with "-N" if composite
	kind  string
}

func fullChecksum(a *algorithm, c content) checksum {
	return checksum{a, base64.StdEncoding.EncodeToString(a.sum(c)), fullObject}
}

// set puts the checksum into the headers of an answer.
func (c checksum) set(h http.Header) {
	if c.algorithm == nil {
		return
	}
	h.Set(c.header(), c.value)
	h.Set("x-amz-checksum-type", c.kind)
}

// elements puts the checksum into an XML answer.
func (c checksum) elements(d *document) {
	if c.algorithm == nil {
		return
	}
	d.text(c.element(), c.value)
	d.text("ChecksumType", c.kind)
}

// compositeChecksum is the checksum of the parts' checksums.
func compositeChecksum(a *algorithm, parts []checksum) checksum {
	h := a.new()
	for _, part := range parts {
		raw, _ := base64.StdEncoding.DecodeString(part.value)
		h.Write(raw)
	}
	value := base64.StdEncoding.EncodeToString(h.Sum(nil)) + "-" + strconv.Itoa(len(parts))
	return checksum{a, value, composite}
}

// declaredChecksum reads the one x-amz-checksum-ALGORITHM header that a request may have.
func declaredChecksum(h http.Header) (checksum, error) {
	var found checksum
	for _, a := range algorithms {
		value := h.Get(a.header())
		if value == "" {
			continue
		}
		if found.algorithm != nil {
			return found, failuref("InvalidRequest", "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
		}
		found = checksum{a, value, fullObject}
	}
	for name := range h {
		lower := strings.ToLower(name)
		suffix, ok := strings.CutPrefix(lower, "x-amz-checksum-")
		if !ok || suffix == "mode" || suffix == "type" || suffix == "algorithm" {
			continue
		}
		if algorithmNamed(strings.ToUpper(suffix)) == nil {
			return found, failuref("InvalidRequest", "The algorithm type you specified in %s header is invalid.", lower)
		}
	}
	return found, nil
}

// checkForm refuses a value that no object could have.
func (c checksum) checkForm() error {
	raw, err := base64.StdEncoding.DecodeString(c.value)
	if err != nil || len(raw) != c.size {
		return failuref("InvalidRequest", "Value for %s header is invalid.", c.header())
	}
	return nil
}

// check compares what the client declared with what came.
func (c checksum) check(computed []byte) error {
	if c.value != base64.StdEncoding.EncodeToString(computed) {
		return failuref("BadDigest", "The %s you specified did not match the calculated checksum.", c.name)
	}
	return nil
}

// checkAnnounced compares x-amz-sdk-checksum-algorithm with the checksum that came in a header or will come in the
// trailer.
func checkAnnounced(h http.Header, c checksum) error {
	announced := h.Get("X-Amz-Sdk-Checksum-Algorithm")
	switch {
	case announced == "":
		return nil
	case algorithmNamed(strings.ToUpper(announced)) == nil:
		return failuref("InvalidRequest", "Checksum algorithm provided is unsupported: %s.", announced)
	case c.algorithm == nil:
		return failuref("InvalidRequest", "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found.")
	case !strings.EqualFold(announced, c.name):
		return failuref("InvalidRequest", "Value for x-amz-sdk-checksum-algorithm header is invalid.")
	}
	return nil
}
