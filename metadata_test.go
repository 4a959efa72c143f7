package s3kloset

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// fullMetadata has every field set.
func fullMetadata() Metadata {
	return Metadata{
		ContentType:        "text/html; charset=utf-8",
		CacheControl:       "max-age=60, public",
		ContentDisposition: `attachment; filename="a=b.html"`,
		ContentEncoding:    "gzip",
		ContentLanguage:    "fr, en",
		Expires:            "never",
		WebsiteRedirect:    "/other?x=1",
		User:               map[string]string{"city": "Z\xfcrich", "name": "J\u00fcrg", "empty": "", "100%": "=?UTF-8?Q?=C3=84?="},
		Tags:               map[string]string{"a=b": "c=d", "%": "%41", "tab\t": "", "\u6f22": "\u00e9"},
		StorageClass:       "STANDARD_IA",
		ETag:               `"d41d8cd98f00b204e9800998ecf8427e-2"`,
		VersionID:          "null",
		Checksums: []Checksum{
			{Algorithm: "CRC32", Value: "DtaLTg==-2", Composite: true},
			{Algorithm: "CRC64NVME", Value: "rosUhgp5mIE="},
		},
		Parts:      PartLayout{Count: 2, Size: 8 << 20},
		Encryption: Encryption{Mode: "aws:kms", KMSKeyID: "arn:aws:kms:eu-west-3:1:key/2", BucketKey: true},
		Lock:       Lock{Mode: "GOVERNANCE", Until: time.Date(2030, 1, 2, 3, 4, 5, 678e6, time.UTC), LegalHold: true},
		Other:      []string{"s3.acl=private", "s3.flag", "s3.zz%=%FF"},
	}
}

var fullAttributes = []string{
	`s3.acl=private`,
	`s3.cache-control=max-age=60, public`,
	`s3.checksum.CRC32=DtaLTg==-2;composite`,
	`s3.checksum.CRC64NVME=rosUhgp5mIE=;full`,
	`s3.content-disposition=attachment; filename="a=b.html"`,
	`s3.content-encoding=gzip`,
	`s3.content-language=fr, en`,
	`s3.content-type=text/html; charset=utf-8`,
	`s3.etag="d41d8cd98f00b204e9800998ecf8427e-2"`,
	`s3.expires=never`,
	`s3.flag`,
	`s3.legal-hold=ON`,
	`s3.lock-mode=GOVERNANCE`,
	`s3.lock-until=2030-01-02T03:04:05.678Z`,
	`s3.meta.100%25==?UTF-8?Q?=C3=84?=`,
	`s3.meta.city%=Z%FCrich`,
	`s3.meta.empty=`,
	"s3.meta.name=J\u00fcrg",
	`s3.parts=2;8388608`,
	`s3.sse-bucket-key=true`,
	`s3.sse-kms-key-id=arn:aws:kms:eu-west-3:1:key/2`,
	`s3.sse=aws:kms`,
	`s3.storage-class=STANDARD_IA`,
	`s3.tag.%25=%41`,
	`s3.tag.a%3Db=c=d`,
	`s3.tag.tab%09=`,
	"s3.tag.\u6f22=\u00e9",
	`s3.version-id=null`,
	`s3.website-redirect=/other?x=1`,
	`s3.zz%=%FF`,
}

func TestMetadataAttributes(t *testing.T) {
	if got := fullMetadata().Attributes(); !slices.Equal(got, fullAttributes) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(fullAttributes, "\n"))
	}
	if got, want := (Metadata{}).Attributes(), []string{"s3.etag="}; !slices.Equal(got, want) {
		t.Errorf("zero value: got %q, want %q", got, want)
	}
	v := reflect.ValueOf(fullMetadata())
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Errorf("field %s is not tested", v.Type().Field(i).Name)
		}
	}
}

func TestParseMetadata(t *testing.T) {
	list := append([]string{"user.comment=x", "s3", "S3.etag=x", "", "\xff"}, fullAttributes...)
	slices.Reverse(list)
	got, err := ParseMetadata(list)
	if err != nil || !reflect.DeepEqual(got, fullMetadata()) {
		t.Errorf("got %+v, %v, want %+v", got, err, fullMetadata())
	}
	if got, err := ParseMetadata(nil); err != nil || !reflect.DeepEqual(got, Metadata{}) {
		t.Errorf("empty list: got %+v, %v", got, err)
	}
}

func TestParseMetadataRefuses(t *testing.T) {
	for _, a := range []string{
		"s3.etag",
		"s3.etag%",
		"s3.etag%=",
		"s3.etag%=abc",   // escaped without need
		"s3.etag%=%41",   // escaped without need
		"s3.etag%=%ff",   // lower case
		"s3.etag%=%FF%4", // half an escape
		"s3.etag=\xff",
		"s3.other=\xff",
		"s3.meta.k",
		"s3.meta.%41=x",
		"s3.meta.a%=x",
		"s3.meta.a%3d=x",
		"s3.tag.%=x",
		"s3.tag.\x01=x",
		"s3.checksum.CRC32=abc",
		"s3.checksum.CRC32=abc;tree",
		"s3.checksum.CRC32=;composit",
		"s3.parts=",
		"s3.parts=1",
		"s3.parts=0;0",
		"s3.parts=-1;5",
		"s3.parts=1;-5",
		"s3.parts=+1;5",
		"s3.parts=01;5",
		"s3.parts=1;5;6",
		"s3.parts=1;99999999999999999999",
		"s3.parts=99999999999999999999;1",
		"s3.sse-bucket-key=false",
		"s3.sse-bucket-key=",
		"s3.legal-hold=OFF",
		"s3.lock-until=",
		"s3.lock-until=tomorrow",
		"s3.lock-until=2030-01-02T03:04:05+01:00",
		"s3.lock-until=2030-01-02T03:04:05.670Z",
	} {
		m, err := ParseMetadata([]string{"s3.content-type=x", a})
		if !errors.Is(err, ErrInvalidMetadata) || !reflect.DeepEqual(m, Metadata{}) {
			t.Errorf("%q: got %+v, %v, want ErrInvalidMetadata", a, m, err)
		}
	}
	for _, a := range []string{"s3.etag=x", "s3.meta.a=x", "s3.tag.a=x", "s3.checksum.CRC32=x;full", "s3.parts=1;1"} {
		if _, err := ParseMetadata([]string{a, "s3.acl=x", a}); !errors.Is(err, ErrInvalidMetadata) {
			t.Errorf("%q twice: got %v, want ErrInvalidMetadata", a, err)
		}
	}
	if _, err := ParseMetadata([]string{"s3.tag.a=x", "s3.tag.a%=%FF"}); !errors.Is(err, ErrInvalidMetadata) {
		t.Errorf("twice in two forms: got %v, want ErrInvalidMetadata", err)
	}
}

// Two values that say the same must give one list: another list is another
// fingerprint, and the object is read again.
func TestMetadataCanonical(t *testing.T) {
	plain := []string{"s3.etag=e"}
	for name, m := range map[string]Metadata{
		"default class":       {StorageClass: "STANDARD"},
		"empty maps":          {User: map[string]string{}, Tags: map[string]string{}},
		"empty slices":        {Checksums: []Checksum{}, Other: []string{}},
		"no parts":            {Parts: PartLayout{Size: 5}},
		"zero time elsewhere": {Lock: Lock{Until: time.Time{}.In(time.FixedZone("x", 3600))}},
		"known names":         {Other: []string{"s3.content-type=x", "s3.tag.a=b", "s3.etag%=%FF", "s3.parts"}},
		"foreign names":       {Other: []string{"user.x=y", ""}},
		"invalid name":        {Other: []string{"s3.x=\xff"}},
	} {
		m.ETag = "e"
		if got := m.Attributes(); !slices.Equal(got, plain) {
			t.Errorf("%s: got %q, want %q", name, got, plain)
		}
	}

	m := fullMetadata()
	slices.Reverse(m.Checksums)
	slices.Reverse(m.Other)
	m.Lock.Until = m.Lock.Until.In(time.FixedZone("x", -3600))
	if got := m.Attributes(); !slices.Equal(got, fullAttributes) {
		t.Errorf("order and time zone: got\n%s", strings.Join(got, "\n"))
	}
}

func TestContentEncodingWithoutChunking(t *testing.T) {
	for encoding, want := range map[string]string{
		"":                        "",
		"gzip":                    "gzip",
		"gzip, br":                "gzip, br",
		" gzip ,br":               " gzip ,br",
		"aws-chunked":             "",
		"AWS-Chunked":             "",
		"aws-chunked,":            "",
		"gzip,aws-chunked":        "gzip",
		"gzip, aws-chunked":       "gzip",
		"aws-chunked, gzip":       "gzip",
		"br, aws-chunked, gzip":   "br, gzip",
		"aws-chunked,aws-chunked": "",
		"x-aws-chunked":           "x-aws-chunked",
		"aws-chunked-x":           "aws-chunked-x",
	} {
		m := Metadata{ContentEncoding: encoding, ETag: "e"}
		got, err := ParseMetadata(m.Attributes())
		if err != nil || got.ContentEncoding != want {
			t.Errorf("%q: got %q, %v, want %q", encoding, got.ContentEncoding, err, want)
		}
	}
}

func TestMetadataClone(t *testing.T) {
	m := fullMetadata()
	c := m.clone()
	c.User["city"], c.Tags["%"], c.Checksums[0].Value, c.Other[0] = "x", "x", "x", "x"
	if !reflect.DeepEqual(m, fullMetadata()) {
		t.Errorf("changing the clone changed the original: %+v", m)
	}
	m = fullMetadata()
	m.Attributes()
	m.fingerprint()
	m.limits()
	if !reflect.DeepEqual(m, fullMetadata()) {
		t.Errorf("reading changed the value: %+v", m)
	}
}

// The fingerprints of released versions are in snapshots. If this test fails,
// the code is wrong, not the numbers.
func TestMetadataFingerprintIsStable(t *testing.T) {
	for _, test := range []struct {
		m    Metadata
		want uint64
	}{
		{Metadata{}, 0xc2cf948f64b2969c},
		{Metadata{ETag: `"d41d8cd98f00b204e9800998ecf8427e"`}, 0xb505f1ca68442e95},
		{fullMetadata(), 0x5b42ec9a0ada09f3},
	} {
		if got := test.m.fingerprint(); got != test.want {
			t.Errorf("%+v: fingerprint %#x, want %#x", test.m, got, test.want)
		}
	}
}

func TestMetadataFingerprintSeesEveryField(t *testing.T) {
	base := fullMetadata().fingerprint()
	seen := map[uint64]string{base: "nothing"}
	for name, change := range map[string]func(m *Metadata){
		"ContentType":        func(m *Metadata) { m.ContentType += "x" },
		"CacheControl":       func(m *Metadata) { m.CacheControl = "" },
		"ContentDisposition": func(m *Metadata) { m.ContentDisposition += "x" },
		"ContentEncoding":    func(m *Metadata) { m.ContentEncoding = "br" },
		"ContentLanguage":    func(m *Metadata) { m.ContentLanguage += "x" },
		"Expires":            func(m *Metadata) { m.Expires += "x" },
		"WebsiteRedirect":    func(m *Metadata) { m.WebsiteRedirect += "x" },
		"User value":         func(m *Metadata) { m.User["city"] = "Z\u00fcrich" },
		"User new":           func(m *Metadata) { m.User["new"] = "" },
		"User less":          func(m *Metadata) { delete(m.User, "empty") },
		"Tags value":         func(m *Metadata) { m.Tags["%"] += "x" },
		"Tags new":           func(m *Metadata) { m.Tags["new"] = "" },
		"Tags less":          func(m *Metadata) { delete(m.Tags, "tab\t") },
		"StorageClass":       func(m *Metadata) { m.StorageClass = "" },
		"ETag":               func(m *Metadata) { m.ETag += "x" },
		"VersionID":          func(m *Metadata) { m.VersionID += "x" },
		"Checksum value":     func(m *Metadata) { m.Checksums[0].Value += "x" },
		"Checksum kind":      func(m *Metadata) { m.Checksums[0].Composite = false },
		"Checksum algorithm": func(m *Metadata) { m.Checksums[0].Algorithm = "SHA1" },
		"Parts count":        func(m *Metadata) { m.Parts.Count++ },
		"Parts size":         func(m *Metadata) { m.Parts.Size++ },
		"Encryption mode":    func(m *Metadata) { m.Encryption.Mode = "AES256" },
		"Encryption key":     func(m *Metadata) { m.Encryption.KMSKeyID += "x" },
		"Encryption bucket":  func(m *Metadata) { m.Encryption.BucketKey = false },
		"Lock mode":          func(m *Metadata) { m.Lock.Mode = "COMPLIANCE" },
		"Lock until":         func(m *Metadata) { m.Lock.Until = m.Lock.Until.Add(1) },
		"Lock hold":          func(m *Metadata) { m.Lock.LegalHold = false },
		"Other":              func(m *Metadata) { m.Other = m.Other[1:] },
	} {
		m := fullMetadata()
		change(&m)
		got := m.fingerprint()
		if other, taken := seen[got]; taken {
			t.Errorf("change of %s gives the fingerprint of the change of %s", name, other)
		}
		seen[got] = name
	}
}

func TestDigestAttributesFraming(t *testing.T) {
	seen := map[uint64][]string{}
	for _, list := range [][]string{
		nil, {""}, {"", ""}, {"ab"}, {"a", "b"}, {"b", "a"}, {"a", "", "b"}, {"", "ab"}, {"ab", ""}, {"a\x00b"},
	} {
		digest := digestAttributes(list)
		if other, taken := seen[digest]; taken {
			t.Errorf("%q and %q have one digest", other, list)
		}
		seen[digest] = list
	}
}

func TestOurs(t *testing.T) {
	for _, test := range []struct {
		attributes []string
		want       bool
	}{
		{nil, false},
		{[]string{"user.x", "s3.content-type=x"}, false},
		{[]string{"s3.etag"}, false},
		{[]string{"s3.etags=x"}, false},
		{[]string{"s3.meta.s3.etag=x"}, false},
		{[]string{"S3.etag=x"}, false},
		{[]string{"user.x", "s3.etag="}, true},
		{Metadata{}.Attributes(), true},
		{Metadata{ETag: "\xff"}.Attributes(), true},
		{fullAttributes, true},
	} {
		if got := ours(test.attributes); got != test.want {
			t.Errorf("ours(%q) = %t, want %t", test.attributes, got, test.want)
		}
	}
}

func FuzzMetadataRoundTrip(f *testing.F) {
	f.Add("text/plain", "gzip, aws-chunked", "STANDARD", "\"etag\"", "name", "Z\xfcrich", "a=b%", "c=d", "CRC32", "abc=", true, 3, int64(5), int64(1), "s3.new=x")
	f.Add("", "", "", "", "", "", "", "", "", "", false, 0, int64(0), int64(0), "")
	f.Add("\xff", "%", "%41", "%=", "%", "%FF", "%", "\x00", "=", ";full", false, math.MaxInt, int64(-1), int64(-1), "s3.etag=x")
	f.Fuzz(func(t *testing.T, contentType, encoding, class, etag, userKey, userValue, tagKey, tagValue, algorithm, sum string,
		flag bool, count int, size, until int64, other string) {
		m := Metadata{
			ContentType:     contentType,
			ContentEncoding: encoding,
			Expires:         userValue,
			StorageClass:    class,
			ETag:            etag,
			VersionID:       sum,
			User:            map[string]string{userKey: userValue, "k": contentType},
			Tags:            map[string]string{tagKey: tagValue},
			Checksums:       []Checksum{{algorithm, sum, flag}, {"SHA1", sum, !flag}},
			Parts:           PartLayout{Count: count, Size: size},
			Encryption:      Encryption{Mode: algorithm, KMSKeyID: tagKey, BucketKey: flag},
			Lock:            Lock{Mode: class, LegalHold: flag},
			Other:           []string{other, "s3." + other},
		}
		if year := time.Unix(until, size).UTC().Year(); year >= 0 && year <= 9999 {
			m.Lock.Until = time.Unix(until, size)
		}
		list := m.Attributes()
		for _, a := range list {
			if !utf8.ValidString(a) {
				t.Errorf("attribute %q is not valid UTF-8", a)
			}
		}
		if !slices.IsSorted(list) || !ours(list) {
			t.Errorf("list %q is not sorted, or has no s3.etag", list)
		}
		got, err := ParseMetadata(list)
		if err != nil {
			t.Fatalf("%q: %v", list, err)
		}
		if want := m.canonical(); !reflect.DeepEqual(got, want) {
			t.Errorf("got %#v, want %#v", got, want)
		}
		if got.fingerprint() != digestAttributes(list) {
			t.Errorf("fingerprint of %q changed with a round trip", list)
		}
		m.limits()
	})
}

func FuzzParseMetadata(f *testing.F) {
	for _, a := range fullAttributes {
		f.Add(a, "s3.etag=x")
		f.Add(a, strings.Replace(a, "=", "%=", 1))
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		m, err := ParseMetadata([]string{a, b})
		if err != nil {
			if !errors.Is(err, ErrInvalidMetadata) {
				t.Errorf("%q, %q: %v", a, b, err)
			}
			return
		}
		list := m.Attributes()
		again, err := ParseMetadata(list)
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Errorf("%q: got %#v, %v, want %#v", list, again, err, m)
		}
		// What is not in the list any more says nothing.
		for _, kept := range []string{a, b} {
			name := attributeName(kept)
			_, value, _ := strings.Cut(kept, "=")
			says := strings.HasPrefix(kept, "s3.") && (value != "" || !knownAttribute(name)) &&
				kept != "s3.storage-class=STANDARD" && name != "s3.content-encoding"
			if says && !slices.Contains(list, kept) {
				t.Errorf("%q is not in %q", kept, list)
			}
		}
	})
}

func BenchmarkMetadata(b *testing.B) {
	m := fullMetadata()
	list := m.Attributes()
	b.Run("Attributes", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m.Attributes()
		}
	})
	b.Run("Parse", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := ParseMetadata(list); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("Digest", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			digestAttributes(list)
		}
	})
}
