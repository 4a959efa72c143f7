package e2e_test

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/s3kloset/s3kloset/internal/e2e/raw"
	"github.com/s3kloset/s3kloset/internal/s3test/conformance"
)

// exhibit is an object that must come back from a backup as it was.
type exhibit struct {
	key       string
	header    http.Header // everything beside the bytes, tags included
	parts     [][]byte
	multipart bool
	refused   map[conformance.Server]refusal
}

// refusal is the answer of a server that cannot keep an exhibit.
type refusal struct {
	status int
	code   string
}

// show makes an exhibit that holds its own name.
func show(key string, headers ...string) exhibit {
	e := exhibit{key: key, header: http.Header{}}
	for pair := range slices.Chunk(headers, 2) {
		e.header.Set(pair[0], pair[1])
	}
	return e.holding([]byte("bytes of " + key))
}

// holding replaces the bytes.
func (e exhibit) holding(body []byte) exhibit {
	e.parts = [][]byte{body}
	return e
}

// inParts has the exhibit uploaded in parts.
func (e exhibit) inParts(parts ...[]byte) exhibit {
	e.parts, e.multipart = parts, true
	return e
}

// but says that a server refuses the exhibit, and how.
func (e exhibit) but(name conformance.Server, status int, code string) exhibit {
	e.refused = maps.Clone(e.refused)
	if e.refused == nil {
		e.refused = make(map[conformance.Server]refusal)
	}
	e.refused[name] = refusal{status, code}
	return e
}

// put stores the exhibit. A server that refuses it must do so as expected.
func (e exhibit) put(ctx context.Context, at site, bucket string) (kept bool, err error) {
	if e.multipart {
		err = at.client.PutParts(ctx, bucket, e.key, e.header, e.parts...)
	} else {
		err = at.client.Put(ctx, bucket, e.key, e.header, e.parts[0])
	}
	want, refused := e.refused[at.server.Name]
	if !refused {
		return true, err
	}
	var got *raw.Error
	if !errors.As(err, &got) || got.Status != want.status || got.Code != want.code {
		return false, fmt.Errorf("put %q: got %v, want %d %s", e.key, err, want.status, want.code)
	}
	return false, nil
}

// fill creates a bucket with the exhibits and returns the keys of those that the server
// keeps, which must be the ones that it lists.
func (at site) fill(t *testing.T, bucket string, exhibits []exhibit) []string {
	t.Helper()
	if err := at.client.CreateBucket(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, e := range exhibits {
		kept, err := e.put(t.Context(), at, bucket)
		if err != nil {
			t.Fatal(err)
		}
		if kept {
			keys = append(keys, e.key)
		}
	}
	slices.Sort(keys)
	listed, err := at.client.Keys(t.Context(), bucket)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(listed, keys) {
		t.Fatalf("%s lists %q, put were %q", at.server.Name, listed, keys)
	}
	return keys
}

const mib = 1 << 20

// noise returns bytes that neither compress nor repeat. The same seed gives the same.
func noise(seed byte, size int) []byte {
	body := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(body) // never fails
	return body
}

// collection returns everything that the servers are asked to keep, one of each kind.
func collection(name conformance.Server) []exhibit {
	return slices.Concat(sizes(), headers(), metadata(), tags(), classes(), checksums(), keys(name))
}

// sizes has bodies on both sides of every border: up to 1 MiB is fetched ahead, up to
// 8 MiB is sent with one request.
func sizes() []exhibit {
	big := noise(1, 12*mib)
	return []exhibit{
		show("size/0").holding(nil),
		show("size/1").holding([]byte{0}),
		show("size/fetched ahead").holding(noise(2, mib)),
		show("size/streamed").holding(noise(3, mib+1)),
		show("size/one request").holding(noise(4, 8*mib)),
		show("size/zeros").holding(make([]byte, 3*mib)),
		show("size/one request, restored in parts").holding(noise(5, 8*mib+1)),
		show("size/in one part").inParts(noise(6, 2*mib)),
		show("size/in parts", "Content-Type", "video/mp4", "x-amz-meta-parts", "3", "x-amz-tagging", "parts=3").
			inParts(big[:5*mib], big[5*mib:10*mib], big[10*mib:]),
	}
}

func headers() []exhibit {
	return []exhibit{
		show("header/none"),
		show("header/all",
			"Content-Type", "text/plain; charset=utf-8",
			"Content-Language", "de, en",
			"Content-Disposition", `attachment; filename="a b.txt"`,
			"Content-Encoding", "gzip",
			"Cache-Control", "max-age=60, public",
			"Expires", "Wed, 21 Oct 2099 07:28:00 GMT",
			"x-amz-website-redirect-location", "/other"),
		show("header/content type", "Content-Type", "application/x-thing"),
		show("header/two encodings", "Content-Encoding", "br, gzip"),
		show("header/no date", "Expires", "0"), // MinIO and minis3 forget it at once
		show("header/redirect", "x-amz-website-redirect-location", "https://example.org/?a=b#c"),
	}
}

func metadata() []exhibit {
	// S3 counts names and values: 2 KB in all.
	const name = "limit"
	return []exhibit{
		show("metadata/plain", "x-amz-meta-a", "1", "x-amz-meta-mixed", "MiXeD", "x-amz-meta-empty", "",
			"x-amz-meta-punctuation", `a=b; c="d", e`, "x-amz-meta-with-dashes-and.dots_", "x"),
		show("metadata/two kilobytes", "x-amz-meta-"+name, strings.Repeat("v", 2<<10-len(name))).
			but(conformance.MinIO, 400, "MetadataTooLarge"), // it counts the prefix of the header too
		show("metadata/two thousand bytes", "x-amz-meta-"+name, strings.Repeat("v", 2000)),
		show("metadata/many", many()...),
		show("metadata/letters", "x-amz-meta-a", "Äpfel 漢字 😀"),
		show("metadata/encoded words", "x-amz-meta-a", "=?UTF-8?B?w4Q=?=", "x-amz-meta-b", "=?UTF-8?Q?=C3=84?="),
		show("metadata/two spaces", "x-amz-meta-a", "two  spaces").but(conformance.MiniS3, 403, "SignatureDoesNotMatch"),
	}
}

func many() []string {
	var pairs []string
	for i := range 40 {
		pairs = append(pairs, fmt.Sprintf("x-amz-meta-%02d", i), fmt.Sprint("value ", i))
	}
	return pairs
}

func tags() []exhibit {
	var ten []string
	for i := range 10 {
		ten = append(ten, fmt.Sprintf("key%d=value%d", i, i))
	}
	return []exhibit{
		show("tag/ten", "x-amz-tagging", strings.Join(ten, "&")),
		show("tag/punctuation", "x-amz-tagging", "%2B-%3D._%3A%2F%40%20a=%2B-%3D._%3A%2F%40%20b"),
		show("tag/empty value", "x-amz-tagging", "a="),
		show("tag/longest", "x-amz-tagging", strings.Repeat("k", 128)+"="+strings.Repeat("v", 256)),
		show("tag/letters", "x-amz-tagging", "cl%C3%A9=%E6%BC%A2%E5%AD%97").but(conformance.MinIO, 400, "InvalidTag"),
	}
}

// classes are those that can be read at once; versitygw makes STANDARD of each.
func classes() []exhibit {
	exhibits := []exhibit{
		show("class/STANDARD", "x-amz-storage-class", "STANDARD"),
		show("class/REDUCED_REDUNDANCY", "x-amz-storage-class", "REDUCED_REDUNDANCY"),
	}
	for _, class := range []string{"STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR"} {
		exhibits = append(exhibits, show("class/"+class, "x-amz-storage-class", class).
			but(conformance.MinIO, 400, "InvalidStorageClass"))
	}
	return exhibits
}

// checksums are one of each algorithm. A server may forget them; it must not mix them up.
func checksums() []exhibit {
	body := []byte("checked bytes")
	var exhibits []exhibit
	for name, sum := range map[string]hash.Hash{
		"crc32":     crc32.NewIEEE(),
		"crc32c":    crc32.New(crc32.MakeTable(crc32.Castagnoli)),
		"crc64nvme": crc64.New(crc64.MakeTable(crc64NVME)),
		"sha1":      sha1.New(),
		"sha256":    sha256.New(),
	} {
		sum.Write(body)
		exhibits = append(exhibits, show("checksum/"+name,
			"x-amz-sdk-checksum-algorithm", strings.ToUpper(name), // without it minis3 keeps none
			"x-amz-checksum-"+name, base64.StdEncoding.EncodeToString(sum.Sum(nil))).holding(body))
	}
	return exhibits
}

// crc64NVME is the reversed polynomial of CRC-64/NVME, from the NVM Express specification.
const crc64NVME = 0x9a6c9329ac4bc9b5

// keys are the hostile ones that the server keeps, side by side as far as it can bear them.
func keys(name conformance.Server) []exhibit {
	_, files := conformance.Deviation(name, "key/object beside a folder of its name")
	var exhibits []exhibit
	for _, set := range conformance.Hostile() {
		if !set.KeptBy(name) {
			continue // which the table asserts
		}
		for _, key := range set.Keys {
			twice := func(e exhibit) bool { return e.key == key || files && clash(e.key, key) }
			if slices.ContainsFunc(exhibits, twice) {
				continue
			}
			e := show(key)
			if strings.HasSuffix(key, "/") {
				e = e.holding(nil) // a folder marker, to which some servers give no data
			}
			exhibits = append(exhibits, e)
		}
	}
	return exhibits
}

// clash tells whether one key would be a file in the place of the other's folder.
func clash(a, b string) bool {
	return strings.HasPrefix(a, b+"/") || strings.HasPrefix(b, a+"/")
}
