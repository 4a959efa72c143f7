package bucket

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// TestSums holds each algorithm to the value that its specification gives for
// these nine bytes (check values of the catalogue of CRCs, RFC 1321, FIPS 180).
func TestSums(t *testing.T) {
	for algorithm, want := range map[string]string{
		"CRC32":     "cbf43926",
		"CRC32C":    "e3069283",
		"CRC64NVME": "ae8b14860a799888",
		"SHA1":      "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
		"SHA256":    "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
		"SHA512": "d9e6762dd1c8eaf6d61b3c6192fc408d4d6d5f1176d0c29169bc24e71c3f274a" +
			"d27fcd5811b313d681f7e55ec02d73d499c95455b6b5bb503acf574fba8ffe85",
		"MD5":      "25f9e794323b453885f5181f1b624d0b",
		"XXHASH64": "",
	} {
		got, err := base64.StdEncoding.DecodeString(sumOf(algorithm, []byte("123456789")))
		if err != nil || hex.EncodeToString(got) != want {
			t.Errorf("%s is %x, %v; want %s", algorithm, got, err, want)
		}
	}
}

func TestCheapest(t *testing.T) {
	full := func(names ...string) (sums []Checksum) {
		for _, name := range names {
			sums = append(sums, Checksum{Algorithm: name, Value: "v"})
		}
		return sums
	}
	composite := Checksum{Algorithm: "CRC32C", Value: "v-2", Composite: true}
	for _, c := range []struct {
		sums []Checksum
		want string // "": none
	}{
		{nil, ""},
		{full("SHA256", "CRC32", "CRC32C"), "CRC32C"},
		{full("MD5", "SHA512"), "SHA512"},
		{full("XXHASH64"), ""},
		{[]Checksum{composite}, ""},
		{append(full("SHA1"), composite), "SHA1"},
	} {
		got, ok := cheapest(c.sums)
		if got.Algorithm != c.want || ok != (c.want != "") {
			t.Errorf("of %v: %v, %t", c.sums, got, ok)
		}
	}
}

func TestChecksumsOf(t *testing.T) {
	for _, c := range []struct {
		header http.Header
		want   []Checksum
	}{
		{http.Header{}, nil},
		{http.Header{"X-Amz-Checksum-Type": {"FULL_OBJECT"}, "X-Amz-Checksum-Mode": {"ENABLED"}}, nil},
		{http.Header{"X-Amz-Checksum-Crc32": {""}}, nil},
		{http.Header{"X-Amz-Checksum-Sha256": {"s"}, "X-Amz-Checksum-Crc32": {"c"}, "X-Amz-Checksum-Type": {"FULL_OBJECT"}},
			[]Checksum{{Algorithm: "CRC32", Value: "c"}, {Algorithm: "SHA256", Value: "s"}}},
		{http.Header{"X-Amz-Checksum-Crc32": {"c-3"}}, []Checksum{{Algorithm: "CRC32", Value: "c-3", Composite: true}}},
		{http.Header{"X-Amz-Checksum-Crc32": {"c"}, "X-Amz-Checksum-Type": {"composite"}}, []Checksum{{Algorithm: "CRC32", Value: "c", Composite: true}}},
		{http.Header{"X-Amz-Checksum-Xxhash3": {"x"}}, []Checksum{{Algorithm: "XXHASH3", Value: "x"}}},
	} {
		if got := checksumsOf(c.header); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.header, got, c.want)
		}
	}
}

func TestSameMD5(t *testing.T) {
	for etag, want := range map[string]struct{ same, known bool }{
		"5d41402abc4b2a76b9719d911017c592":   {true, true},
		"5D41402ABC4B2A76B9719D911017C592":   {true, true},
		"d41d8cd98f00b204e9800998ecf8427e":   {false, true},
		"5d41402abc4b2a76b9719d911017c592-1": {false, false},
		"5d41402abc4b2a76":                   {false, false},
		"not hexadecimal at all, 32 bytes":   {false, false},
		"":                                   {false, false},
	} {
		if same, known := sameMD5(etag, []byte("hello")); same != want.same || known != want.known {
			t.Errorf("%q: %t, %t", etag, same, known)
		}
	}
}

// FuzzChecksums: what a server says of checksums never makes up one, and one
// that is called computable can be computed.
func FuzzChecksums(f *testing.F) {
	f.Add("X-Amz-Checksum-Crc32", "AAAAAA==", "FULL_OBJECT")
	f.Add("x-amz-checksum-sha256", "AAAAAA==-2", "")
	f.Add("X-Amz-Checksum-", "v", "COMPOSITE")
	f.Add("X-Amz-Checksum-Type", "v", "v")
	f.Fuzz(func(t *testing.T, name, value, kind string) {
		h := http.Header{name: {value}}
		h.Set("X-Amz-Checksum-Type", kind)
		sums := checksumsOf(h)
		if len(sums) > 1 {
			t.Fatalf("one header makes %v", sums)
		}
		for _, sum := range sums {
			if sum.Value != value || !strings.EqualFold("X-Amz-Checksum-"+sum.Algorithm, name) {
				t.Errorf("%q: %q makes %+v", name, value, sum)
			}
			if !sum.Composite && (strings.Contains(value, "-") || strings.EqualFold(kind, "COMPOSITE")) {
				t.Errorf("%q of type %q passes for that of the bytes", value, kind)
			}
			if sum.Computable() && sumOf(sum.Algorithm, nil) == "" {
				t.Errorf("%s is not computable", sum.Algorithm)
			}
		}
		if best, ok := cheapest(sums); ok && !best.Computable() {
			t.Errorf("%+v is to be verified", best)
		}
	})
}

// FuzzSums: a checksum of parts of a body is that of the body, and differs
// from that of another body.
func FuzzSums(f *testing.F) {
	f.Add([]byte("123456789"), 4)
	f.Add([]byte{}, 0)
	f.Fuzz(func(t *testing.T, body []byte, cut int) {
		cut = max(0, min(cut, len(body)))
		for _, a := range algorithms {
			h := newHash(a.name)
			h.Write(body[:cut])
			h.Write(body[cut:])
			if encodeSum(h) != sumOf(a.name, body) {
				t.Errorf("%s depends on how the bytes come", a.name)
			}
			if len(body) > 0 {
				flipped := bytes.Clone(body)
				flipped[cut%len(body)] ^= 1
				if sumOf(a.name, flipped) == sumOf(a.name, body) {
					t.Errorf("%s does not see a flipped bit", a.name)
				}
			}
		}
	})
}
