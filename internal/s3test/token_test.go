package s3test

import "testing"

func FuzzToken(f *testing.F) {
	f.Add("key", false)
	f.Add("a/", true)
	f.Add("\xff\x00:", false)
	f.Add(sealToken(pageToken{key: "k"}), false)
	f.Fuzz(func(t *testing.T, s string, rolled bool) {
		want := pageToken{s, rolled}
		if got, err := openToken(sealToken(want)); err != nil || got != want {
			t.Errorf("%v comes back as %v, %v", want, got, err)
		}
		if got, err := openToken(s); err == nil && s != "" && sealToken(got) != s {
			t.Errorf("the token %q is taken for %v", s, got)
		}
	})
}
