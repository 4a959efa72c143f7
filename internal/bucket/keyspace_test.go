package bucket

import (
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// knowing is a key space that has seen some keys.
func knowing(prefix string, keys ...string) *keyspace {
	k := &keyspace{prefix: prefix}
	k.observe(keys...)
	return k
}

func TestAlphabet(t *testing.T) {
	for seen, want := range map[string]string{
		"":          "",
		"7":         "0123456789",
		"/":         "/",
		"-x":        "-abcdefghijklmnopqrstuvwxyz",
		"3c":        "0123456789abcdef",
		"3C":        "0123456789ABCDEF",
		"3g":        "0123456789abcdefghijklmnopqrstuvwxyz",
		"3Gd":       "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef",
		"éç":        "çèé",
		"/1一":       "/0123456789一",
		"\u0001~\t": "\u0001\t~",
	} {
		var a alphabet
		for _, r := range seen {
			a.add(r)
		}
		a = a.complete()
		if a.size() != max(1, utf8.RuneCountInString(want)) {
			t.Errorf("%q: %d characters, want %q", seen, a.size(), want)
		}
		for i, r := range []rune(want) {
			if a.at(i) != r || a.rank(r) != i {
				t.Errorf("%q: character %d is %q, rank of %q is %d", seen, i, a.at(i), r, a.rank(r))
			}
		}
		if last, _ := utf8.DecodeLastRuneInString(want); want != "" && a.beyond() != last+1 {
			t.Errorf("%q: beyond is %q", seen, a.beyond())
		}
	}
}

func TestAlphabetRanksWhatItLacks(t *testing.T) {
	var a alphabet
	for _, r := range "bd\u00e9\u00eb" {
		a.add(r)
	}
	for r, want := range map[rune]int{'a': 0, 'b': 0, 'c': 1, 'd': 1, 'e': 2, '\u00e8': 2, '\u00e9': 2, '\u00ea': 3, '\u00ec': 5, '\U0010ffff': 5} {
		if got := a.rank(r); got != want {
			t.Errorf("rank of %q is %d, want %d", r, got, want)
		}
	}
}

// TestTurns: a place that began anew has shown all of its characters.
func TestTurns(t *testing.T) {
	k := knowing("", keysOf(100, "%02o")...)
	if a := k.at(1); a.size() != 8 {
		t.Errorf("the last of octal digits has %d values", a.size())
	}
	if a := k.at(0); a.size() != 10 {
		t.Errorf("the first digit, of which not all were seen, has %d values", a.size())
	}
}

// TestAhead: a page of numbers tells where the numbers are that come later.
func TestAhead(t *testing.T) {
	for _, c := range []struct {
		name        string
		keys        []string // a page in order
		pages       float64
		least, most string // where the guess must lie
	}{
		{"numbers", keysOf(1000, "%06d"), 4, "0045", "0055"},
		{"numbers in a folder", keysOf(1000, "a/b/%06d.jpg"), 4, "a/b/0045", "a/b/0055"},
		{"over the end of a digit", keysOf(1000, "9%03d"), 1, "9999", "~"},
		{"the last ones", keysOf(10_000, "%04d")[9000:], 4, "9999", "~"},
		{"numbers, then letters", keysOf(1000, "x%03dy"), 10, "x999y", "~"},
		{"next folder", keysOf(1000, "d1/%03d"), 1.5, "d1/999", "d4/"},
	} {
		k := knowing("", c.keys...)
		last := c.keys[len(c.keys)-1]
		d := k.density(c.keys[0], last, len(c.keys), len(c.keys))
		got, ok := k.ahead(last, d, c.pages)
		if !ok || got < c.least || got > c.most {
			t.Errorf("%s: %q, %t; want between %q and %q", c.name, got, ok, c.least, c.most)
		}
		if strings.Trim(got, ":{") != got {
			continue // past the end of the alphabet there is nothing to measure
		}
		if back := k.pages(last, got, d); back < c.pages/2 || back > c.pages*2 {
			t.Errorf("%s: %q is %.1f pages away, want %.1f", c.name, got, back, c.pages)
		}
	}
}

func TestNothingToGuessBy(t *testing.T) {
	k := knowing("a/", "a/1", "a/2", "a/\xff")
	if d := k.density("a/1", "a/1", 2, 2); d != (density{}) {
		t.Errorf("density between equals is %v", d)
	}
	if d := k.density("a/1", "a/\xff", 2, 2); d != (density{}) {
		t.Errorf("density of no text is %v", d)
	}
	d := k.density("a/1", "a/2", 2, 2)
	for _, key := range []string{"b/1", "a/\xff", ""} {
		if got, ok := k.ahead(key, d, 1); ok {
			t.Errorf("ahead of %q is %q", key, got)
		}
	}
	if _, ok := k.ahead("a/1", density{}, 1); ok {
		t.Error("guessed without a density")
	}
	if left := k.pages("a/1", "", d); !math.IsInf(left, 1) {
		t.Errorf("%f pages up to the end of all keys", left)
	}
}

// TestPromising: where guesses fail, coarser ones are tried.
func TestPromising(t *testing.T) {
	k := knowing("", keysOf(1000, "1/%03d")...)
	d := density{place: 3, span: 2}
	if got := k.promising(d); got != d {
		t.Errorf("before anything was tried: %v", got)
	}
	for range 5 {
		k.tell(3, false)
	}
	if got := k.promising(d); got.place != 2 {
		t.Errorf("after failures: %v", got)
	}
	for range 5 {
		k.tell(2, false)
	}
	if got := k.promising(d); got.place != 0 {
		t.Errorf("after more of them, past the slash: %v", got)
	}
	for range 10 {
		k.tell(3, true)
	}
	if got := k.promising(d); got != d {
		t.Errorf("after successes: %v", got)
	}
}

// FuzzKeyspace: a guess is text, lies ahead, and stays below the prefix,
// whatever the keys are.
func FuzzKeyspace(f *testing.F) {
	f.Add("", "1 2 3 9", 4.0)
	f.Add("a/", "a/1 a/2/3 a/2/9 b a/\xff", 1e9)
	f.Add("é", "é1 éé é日本 é\U0010ffff é\ud7ff é\ue000", 0.5)
	f.Add("", "zzz zzzz z", 100.0)
	f.Fuzz(func(t *testing.T, prefix, text string, pages float64) {
		keys := strings.Fields(text)
		slices.Sort(keys)
		if len(keys) < 2 || math.IsNaN(pages) || pages < 0 {
			return
		}
		k := knowing(prefix, keys...)
		last := keys[len(keys)-1]
		d := k.density(keys[0], last, len(keys), 1000)
		if math.IsNaN(d.span) || d.span < 0 || d.place < 0 {
			t.Fatalf("density is %v", d)
		}
		for i := range 40 {
			k.tell(d.place, i%3 == 0)
			near := k.promising(d)
			for _, key := range keys {
				guess, ok := k.ahead(key, near, pages)
				if !ok {
					continue
				}
				if guess <= key || !strings.HasPrefix(guess, prefix) || !utf8.ValidString(guess[len(prefix):]) {
					t.Errorf("ahead of %q is %q", key, guess)
				}
				if left := k.pages(key, guess, near); math.IsNaN(left) || left < 0 {
					t.Errorf("%f pages from %q to %q", left, key, guess)
				}
			}
		}
	})
}
