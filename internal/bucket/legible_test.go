package bucket

import (
	"bufio"
	"encoding/xml"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

func legibleReader(in io.Reader) io.Reader {
	return &legibleBody{Closer: io.NopCloser(in), in: bufio.NewReaderSize(in, 16)}
}

func TestLegible(t *testing.T) {
	for in, want := range map[string]string{
		"":                            "",
		"plain\t\r\n":                 "plain\t\r\n",
		"a&#x1;b&#x1f;c":              "a\uFFFDb\uFFFDc",
		"&#1;&#31;&#x00000001;&#0;":   "\uFFFD\uFFFD&#x00000001;\uFFFD",
		"&#x9;&#xa;&#xd;&#x20;&#x7f;": "&#x9;&#xa;&#xd;&#x20;&#x7f;",
		"&#xfffe;&#xFFFF;&#x10FFFF;":  "\uFFFD\uFFFD&#x10FFFF;",
		"&amp;#x1;&lt;&;&#;&#x;&#xg;": "&amp;#x1;&lt;&;&#;&#x;&#xg;",
		"\ufffe\uffff\ufffd\uff00":    "\uFFFD\uFFFD\ufffd\uff00",
		"\x00\x01\x1f":                "\uFFFD\uFFFD\uFFFD",
		"&":                           "&",
		"&#x1":                        "&#x1",
		"\xef":                        "\xef",
		"\xef\xbf":                    "\xef\xbf",
	} {
		if err := iotest.TestReader(legibleReader(strings.NewReader(in)), []byte(want)); err != nil {
			t.Errorf("%q: %v", in, err)
		}
		got, err := io.ReadAll(legibleReader(iotest.OneByteReader(strings.NewReader(in))))
		if err != nil || string(got) != want {
			t.Errorf("%q becomes %q, %v, want %q", in, got, err, want)
		}
	}
	failing := iotest.ErrReader(io.ErrUnexpectedEOF)
	if got, err := io.ReadAll(legibleReader(io.MultiReader(strings.NewReader("a&"), failing))); err != io.ErrUnexpectedEOF || string(got) != "a&" {
		t.Errorf("%q, %v", got, err)
	}
}

// FuzzLegible: what is XML stays as it is, and what is made legible is legible.
func FuzzLegible(f *testing.F) {
	for _, text := range []string{"a", "&#x1;", "&amp;#x1;", "\uffff", "\x01", "&#65535;", "&#xd;"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		decode := func(text string) (string, error) {
			var into struct {
				Text string `xml:",chardata"`
			}
			err := xml.Unmarshal([]byte("<a>"+text+"</a>"), &into)
			return into.Text, err
		}
		got, err := io.ReadAll(legibleReader(strings.NewReader(text)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decode(text); err == nil && string(got) != text {
			t.Errorf("%q becomes %q", text, got)
		}
		if !utf8.ValidString(text) {
			return // what is no text is no XML either
		}
		if again, err := io.ReadAll(legibleReader(strings.NewReader(string(got)))); err != nil || string(again) != string(got) {
			t.Errorf("%q becomes %q, and then %q", text, got, again)
		}
	})
}

// TestListWithKeysForTokens: a listing goes on also after a key that XML cannot
// hold, where the token is that key.
func TestListWithKeysForTokens(t *testing.T) {
	keys := []string{"a", "b\x01", "b\x01/\x02", "b\x01/\x03", "c d+e", "d\uffff", "e\uFFFD", "f"}
	for _, vendor := range []string{"", "ceph"} {
		play(t, Config{Vendor: vendor}, func(t *testing.T, s *stage) {
			s.fill(keys)
			got, err := listed(t.Context(), s.client, Range{})
			if err != nil || !slices.Equal(got, keys) {
				t.Errorf("%q, %v", got, err)
			}
			got = nil
			for entry, err := range s.client.ListParallel(t.Context(), Range{}, 4) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, entry.Key)
			}
			if !slices.Equal(got, keys) {
				t.Errorf("in parallel: %q", got)
			}
			if names, _, err := s.client.subfolders(t.Context(), "", "b\x01", 10); err != nil || !slices.Equal(names, []string{"b\x01/"}) {
				t.Errorf("folders are %q, %v", names, err)
			}
		}, s3test.WithKeyTokens(), s3test.WithPageSize(1))
	}
}
