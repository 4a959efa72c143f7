package s3kloset

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// awkwardKeys are the keys on which S3 servers, file systems and parsers
// differ, with the path that each has when it is no folder.
var awkwardKeys = []struct{ key, path string }{
	{"a", "/a"},
	{"a/b", "/a/b"},
	{"folder/", "/folder/%2F"},
	{"folder/x", "/folder/x"},
	{"x//y", "/x/%2F/y"},
	{"x//", "/x/%2F/%2F"},
	{"./x", "/%2E/x"},
	{"../x", "/%2E%2E/x"},
	{"a/./b", "/a/%2E/b"},
	{"a/../b", "/a/%2E%2E/b"},
	{"a/..", "/a/%2E%2E"},
	{".", "/%2E"},
	{"..", "/%2E%2E"},
	{"...", "/..."},
	{".hidden", "/.hidden"},
	{"/lead", "/%2F/lead"},
	{"/", "/%2F/%2F"},
	{"//", "/%2F/%2F/%2F"},
	{"//lead", "/%2F/%2F/lead"},
	{"sp ace", "/sp ace"},
	{" lead", "/ lead"},
	{"trail ", "/trail "},
	{" ", "/ "},
	{"\u00e9", "/\u00e9"},   // NFC
	{"e\u0301", "/e\u0301"}, // NFD
	{"%2F", "/%252F"},
	{"%2E", "/%252E"},
	{"%25", "/%2525"},
	{"%=", "/%25="},
	{"%=%FF", "/%25=%FF"},
	{"%", "/%25"},
	{"%%", "/%25%"},
	{"%/%", "/%25/%25"},
	{"100%", "/100%"},
	{"100%.txt", "/100%.txt"},
	{"a%20b", "/a%20b"},
	{"+", "/+"},
	{"a+b", "/a+b"},
	{"a b", "/a b"},
	{"!-_.*'() &$@=;:,? {}^`[]\"<>~#|\\", "/!-_.*'() &$@=;:,? {}^`[]\"<>~#|\\"},
	{"a?b=c", "/a?b=c"},
	{"a#b", "/a#b"},
	{"k?versioning", "/k?versioning"},
	{"c\x01tl", "/c\x01tl"},
	{"t\tab", "/t\tab"},
	{"n\nl", "/n\nl"},
	{"c\rr", "/c\rr"},
	{"d\x7fl", "/d\x7fl"},
	{"n\x00l", "/n\x00l"},
	{"\x00", "/\x00"},
	{"b\xffd", "/%=b%FFd"},
	{"\xff", "/%=%FF"},
	{"\xff/\xfe/c", "/%=%FF/%=%FE/c"},
	{"\xff%2F", "/%=%FF%252F"},
	{"%\xff", "/%=%25%FF"},
	{"\xc3", "/%=%C3"},                      // first half of a letter
	{"\xe9t\xe9", "/%=%E9t%E9"},             // Latin-1
	{"\xc0\xaf", "/%=%C0%AF"},               // overlong slash
	{"\xed\xa0\x80", "/%=%ED%A0%80"},        // surrogate
	{"\xf4\x90\x80\x80", "/%=%F4%90%80%80"}, // past the last character
	{"\ufffd", "/\ufffd"},                   // the character that stands for invalid ones
	{"x\ufffe", "/x\ufffe"},
	{strings.Repeat("k", 1024), "/" + strings.Repeat("k", 1024)},
	{strings.Repeat("\xff", 1024), "/%=" + strings.Repeat("%FF", 1024)},
	{strings.Repeat("/", 1024), strings.Repeat("/%2F", 1025)},
	{strings.Repeat("d/", 499) + "d", strings.Repeat("/d", 500)},
	{"d/" + strings.Repeat("c", 300), "/d/" + strings.Repeat("c", 300)},
	{"😀/漢字/مرحبا", "/😀/漢字/مرحبا"},
	{"Key", "/Key"},
	{"key", "/key"},
	{"CON", "/CON"},
	{"aux.txt", "/aux.txt"},
	{"trail.", "/trail."},
	{"a:b", "/a:b"},
	{".minio.sys/x", "/.minio.sys/x"},
	{".sgwtmp/x", "/.sgwtmp/x"},
	{".uploads/x", "/.uploads/x"},
	{"a/xl.meta/b", "/a/xl.meta/b"},
	{"x._S3rver_object", "/x._S3rver_object"},
}

func TestPathOfKey(t *testing.T) {
	paths := map[string]string{}
	for _, test := range awkwardKeys {
		if got := pathOfKey(test.key, false); got != test.path {
			t.Errorf("pathOfKey(%q, false) = %q, want %q", test.key, got, test.path)
		}
		if got, want := pathOfKey(test.key, true), test.path+"/%"; got != want {
			t.Errorf("pathOfKey(%q, true) = %q, want %q", test.key, got, want)
		}
		for _, folder := range []bool{false, true} {
			p := pathOfKey(test.key, folder)
			checkPath(t, p)
			if other, taken := paths[p]; taken {
				t.Errorf("keys %q and %q have the path %q", other, test.key, p)
			}
			paths[p] = test.key
			if got, err := keyOfPath("", p); err != nil || got != test.key {
				t.Errorf("keyOfPath(%q) = %q, %v, want %q", p, got, err, test.key)
			}
		}
	}
}

// checkPath checks what the engine and the plugin protocol ask of a path.
func checkPath(t *testing.T, p string) {
	t.Helper()
	if !path.IsAbs(p) || path.Clean(p) != p || p == "/" {
		t.Errorf("path %q is not absolute and clean", p)
	}
	if !utf8.ValidString(p) {
		t.Errorf("path %q is not valid UTF-8", p)
	}
	if name := path.Base(p); name == "" || name == "." || name == ".." || strings.Contains(name, "/") {
		t.Errorf("path %q has the illegal last component %q", p, name)
	}
}

func TestKeyOfPath(t *testing.T) {
	for _, test := range []struct{ prefix, path, want string }{
		{"", "/a", "a"},
		{"", "/a/%", "a"},
		{"", "/a/%2F", "a/"},
		{"", "/a/%2F/%", "a/"},
		{"", "/%2F/%2F", "/"},
		{"", "/%25", "%"},
		{"", "/%25/%", "%"},
		{"dest", "/a", "dest/a"},
		{"dest", "/a/%", "dest/a"},
		{"dest", "/%", "dest"},
		{"dest", "/%2F", "dest/"},
		{"dest", "/%2F/%", "dest/"},
		{"dest", "/%2F/%2F", "dest//"},
		{"dest", "/%2E%2E/x", "dest/../x"},
		{"a/b", "/c/d", "a/b/c/d"},
		{"a/", "/x", "a//x"},
		{"a/", "/%", "a/"},
		{"/", "/x", "//x"},
		{"100%", "/x", "100%/x"},
		{"", "/%=%FF", "\xff"},
		{"", "/%=%25%FF", "%\xff"},
		{"", "/%2525", "%25"},
		{"", "/100%25", "100%25"},
		{"d", "/" + strings.Repeat("k", 1022), "d/" + strings.Repeat("k", 1022)},
	} {
		if got, err := keyOfPath(test.prefix, test.path); err != nil || got != test.want {
			t.Errorf("keyOfPath(%q, %q) = %q, %v, want %q", test.prefix, test.path, got, err, test.want)
		}
	}
}

func TestKeyOfPathRefuses(t *testing.T) {
	for _, test := range []struct{ prefix, path, why string }{
		{"", "", "no path"},
		{"", "/", "the root"},
		{"dest", "/", "the root is a folder, its object is /%"},
		{"", "a", "relative"},
		{"dest", "../a", "relative"},
		{"dest", "/../a", "not clean"},
		{"dest", "/a/../../b", "not clean"},
		{"", "/a/", "not clean"},
		{"", "/a//b", "not clean"},
		{"", "/a/./b", "not clean"},
		{"", "/%", "empty key"},
		{"", "/%2F", "empty key"},
		{"", "/%2F/%", "empty key"},
		{"", "/a/%/b", "folder object inside of a path"},
		{"", "/%/%", "folder object inside of a path"},
		{"", "/%2f", "lower case"},
		{"", "/%2e", "lower case"},
		{"", "/%2E%2e", "lower case"},
		{"", "/%2Fa", "escape of an empty component that is not empty"},
		{"", "/%2E%2E%2E", "an ordinary name escaped"},
		{"", "/%2E%2Ea", "an ordinary name escaped"},
		{"", "/%41", "an ordinary letter escaped"},
		{"", "/%x", "no escape"},
		{"", "/%%", "no escape"},
		{"", "/%2", "half an escape"},
		{"", "/%=", "quoted without need"},
		{"", "/%=a", "quoted without need"},
		{"", "/%=%41", "quoted without need"},
		{"", "/%=%2F", "slash in a component"},
		{"", "/%=%2F%FF", "slash in a component"},
		{"", "/%=%FF%41", "ordinary letter escaped"},
		{"", "/%=%ff", "lower case"},
		{"", "/%=%FF%", "half an escape"},
		{"", "/%=%FF%2", "half an escape"},
		{"", "/%=%FF%G0", "no hexadecimal digit"},
		{"", "/%=%C3%A9", "valid text escaped"},
		{"", "/%=%FF%C3%A9", "valid text escaped"},
		{"", "/%=\xff", "raw byte in the quoted form"},
		{"", "/\xff", "raw byte"},
		{"", "/%25\xff", "raw byte"},
		{"", "/" + strings.Repeat("k", 1025), "too long"},
		{"d", "/" + strings.Repeat("k", 1023), "too long with the prefix"},
		{strings.Repeat("k", 1025), "/%", "prefix too long"},
	} {
		if got, err := keyOfPath(test.prefix, test.path); !errors.Is(err, ErrInvalidKey) || got != "" {
			t.Errorf("keyOfPath(%q, %q) = %q, %v, want ErrInvalidKey: %s", test.prefix, test.path, got, err, test.why)
		}
	}
}

func TestLiteralKey(t *testing.T) {
	for _, test := range []struct{ prefix, path, want string }{
		{"", "/a", "a"},
		{"dest", "/a/b", "dest/a/b"},
		{"dest", "/%", "dest/%"},
		{"", "/a/%", "a/%"},
		{"", "/%2F", "%2F"},
		{"", "/%2f", "%2f"},
		{"", "/%=%FF", "%=%FF"},
		{"", "/\xff", "\xff"},
		{"", "/" + strings.Repeat("k", 1024), strings.Repeat("k", 1024)},
	} {
		if got, err := literalKey(test.prefix, test.path); err != nil || got != test.want {
			t.Errorf("literalKey(%q, %q) = %q, %v, want %q", test.prefix, test.path, got, err, test.want)
		}
	}
	for _, test := range []struct{ prefix, path string }{
		{"", ""}, {"", "/"}, {"dest", "/"}, {"", "a"}, {"dest", "/../a"}, {"", "/a/"}, {"", "/a//b"},
		{"", "/" + strings.Repeat("k", 1025)}, {"d", "/" + strings.Repeat("k", 1023)},
	} {
		if got, err := literalKey(test.prefix, test.path); !errors.Is(err, ErrInvalidKey) || got != "" {
			t.Errorf("literalKey(%q, %q) = %q, %v, want ErrInvalidKey", test.prefix, test.path, got, err)
		}
	}
}

func TestPrefixPath(t *testing.T) {
	for prefix, want := range map[string]string{
		"":      "/",
		"foo":   "/foo",
		"a/b":   "/a/b",
		"foo/":  "/foo/%2F",
		"/":     "/%2F/%2F",
		"/lead": "/%2F/lead",
		"..":    "/%2E%2E",
		"%":     "/%25",
		"\xff":  "/%=%FF",
	} {
		root := prefixPath(prefix)
		if root != want {
			t.Errorf("prefixPath(%q) = %q, want %q", prefix, root, want)
		}
		for _, test := range awkwardKeys {
			key := test.key
			if prefix != "" {
				key = prefix + "/" + test.key
			}
			if p := pathOfKey(key, false); !strings.HasPrefix(p, strings.TrimSuffix(root, "/")+"/") {
				t.Errorf("path %q of key %q is not below %q", p, key, root)
			}
		}
		if prefix == "" {
			continue
		}
		// The object that is named like the prefix lies in its folder.
		if p := pathOfKey(prefix, true); path.Dir(p) != root {
			t.Errorf("path %q of key %q is not in %q", p, prefix, root)
		}
	}
}

func TestFoldersOf(t *testing.T) {
	for _, test := range []struct {
		prev, next string
		want       []string
	}{
		{"", "/a", []string{"/"}},
		{"", "/a/b/c", []string{"/", "/a", "/a/b"}},
		{"/", "/a/b", []string{"/a"}},
		{"/a", "/b", nil},
		{"/a/b", "/a/c", nil},
		{"/a/b", "/a/b/c", []string{"/a/b"}},
		{"/a/b/c", "/a/bb/c", []string{"/a/bb"}},
		{"/a/bb/c", "/a/b/c", []string{"/a/b"}},
		{"/a/b/c", "/d", nil},
		{"/a/b/c", "/d/b/c", []string{"/d", "/d/b"}},
		{"/a/%", "/a/b", nil},
		{"/a/b", "/a/b", nil},
	} {
		if got := slices.Collect(foldersOf(test.prev, test.next)); !slices.Equal(got, test.want) {
			t.Errorf("foldersOf(%q, %q) = %q, want %q", test.prev, test.next, got, test.want)
		}
	}
	for range foldersOf("", "/a/b") {
		break // must not yield again
	}
}

func TestFolderDecider(t *testing.T) {
	for _, test := range []struct {
		keys string
		want string // in the order in which they come out, folders marked *
	}{
		{"a", "a"},
		{"a b", "a b"},
		{"a a/b", "a* a/b"},
		{"a a/", "a* a/"},
		{"a a/ a//b", "a* a/* a//b"},
		{"a a! a-b a/b", "a! a-b a* a/b"},
		{"a a! a!! b", "a!! a! a b"}, // innermost first
		{"a a! a-b a0", "a! a-b a a0"},
		{"a a!/x a/b", "a!/x a* a/b"},
		{"a a! a!/x a!/y a/b", "a!* a!/x a!/y a* a/b"},
		{"a a!/x a!/y b", "a!/x a!/y a b"},
		{"a/ a/b", "a/ a/b"},
		{"/ // ///x", "/* //* ///x"},
		{"a ab ab/c", "a ab* ab/c"},
		{"a a", "a a"},
		{"a a a/b", "a* a* a/b"},
	} {
		var d folderDecider[int]
		var got []string
		note := func(released []decided[int]) {
			for _, r := range released {
				name := r.key
				if r.folder {
					name += "*"
				}
				got = append(got, name)
			}
		}
		for i, key := range strings.Fields(test.keys) {
			note(d.add(key, i))
		}
		note(d.finish())
		if want := strings.Fields(test.want); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", test.keys, got, want)
		}
		if rest := d.finish(); len(rest) != 0 {
			t.Errorf("%q: held after finish: %v", test.keys, rest)
		}
	}
}

// TestFolderDeciderAgainstAllKeys compares with what one sees who has the
// whole listing, on random sets of short keys out of an alphabet around '/'.
func TestFolderDeciderAgainstAllKeys(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for range 3000 {
		keys := randomKeys(random, 1+random.IntN(40))
		var d folderDecider[string]
		var paths, seen []string
		note := func(released []decided[string]) {
			for _, r := range released {
				if want := isFolder(keys, r.key); r.folder != want || r.item != "item of "+r.key {
					t.Fatalf("seed %d, keys %q: %q is a folder: %t, want %t; item %q", seed, keys, r.key, r.folder, want, r.item)
				}
				seen = append(seen, r.key)
				paths = append(paths, pathOfKey(r.key, r.folder))
			}
		}
		for _, key := range keys {
			note(d.add(key, "item of "+key))
			if len(d.held) > len(key)+1 {
				t.Fatalf("seed %d, keys %q: %d keys are held at %q", seed, keys, len(d.held), key)
			}
		}
		note(d.finish())
		slices.Sort(seen)
		if !slices.Equal(seen, keys) {
			t.Fatalf("seed %d, keys %q: came out as %q", seed, keys, seen)
		}
		checkTree(t, paths)
	}
}

// checkTree checks that the paths and their folders, as foldersOf gives them,
// make a tree: parents first, each folder once, no name both file and folder.
func checkTree(t *testing.T, paths []string) {
	t.Helper()
	folders, files := map[string]bool{}, map[string]bool{}
	prev := ""
	for _, p := range paths {
		for folder := range foldersOf(prev, p) {
			if folders[folder] {
				t.Fatalf("paths %q: folder %q twice", paths, folder)
			}
			folders[folder] = true
		}
		if !folders[path.Dir(p)] {
			t.Fatalf("paths %q: no folder for %q", paths, p)
		}
		files[p], prev = true, p
	}
	for p := range files {
		if folders[p] {
			t.Fatalf("paths %q: %q is file and folder", paths, p)
		}
	}
}

// TestFolderDeciderAtBoundary cuts listings in two and asks only for the keys
// that the first half leaves open.
func TestFolderDeciderAtBoundary(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for range 3000 {
		keys := append(randomKeys(random, 1+random.IntN(30)), "z")
		at := 1 + random.IntN(len(keys)-1)
		var d folderDecider[int]
		check := func(released []decided[int]) {
			for _, r := range released {
				if r.folder != isFolder(keys, r.key) {
					t.Fatalf("seed %d, keys %q cut at %q: %q is a folder: %t", seed, keys, keys[at], r.key, r.folder)
				}
			}
		}
		for i, key := range keys[:at] {
			check(d.add(key, i))
		}
		for _, key := range d.undecided(keys[at]) {
			if isFolder(keys, key) {
				check(d.pass(key + "/"))
			}
		}
		check(d.finish())
	}
}

func TestFolderDeciderUndecided(t *testing.T) {
	for _, test := range []struct {
		keys, end string
		want      string
	}{
		{"a", "", ""},
		{"a", "a!", "a"},
		{"a", "a/", "a"},
		{"a", "a/zzz", "a"},
		{"a", "a0", ""},
		{"a", "b", ""},
		{"a a! a!!", "a!!x", "a! a"},
		{"a a! a!!", "a!!", "a!! a! a"},
		{"a a! a!!", "a.", "a"},
	} {
		var d folderDecider[int]
		for i, key := range strings.Fields(test.keys) {
			d.add(key, i)
		}
		if got := strings.Join(d.undecided(test.end), " "); got != test.want {
			t.Errorf("%q until %q: undecided %q, want %q", test.keys, test.end, got, test.want)
		}
	}
}

func randomKeys(random *rand.Rand, n int) []string {
	var keys []string
	for range n {
		key := make([]byte, 1+random.IntN(7))
		for i := range key {
			key[i] = "a/!0"[random.IntN(4)]
		}
		keys = append(keys, string(key))
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

func isFolder(keys []string, key string) bool {
	return slices.ContainsFunc(keys, func(k string) bool { return strings.HasPrefix(k, key+"/") })
}

func FuzzPathOfKey(f *testing.F) {
	for _, test := range awkwardKeys {
		f.Add(test.key, "dest")
	}
	f.Fuzz(func(t *testing.T, key, prefix string) {
		if key == "" || len(key) > maxKey {
			return
		}
		for _, folder := range []bool{false, true} {
			p := pathOfKey(key, folder)
			checkPath(t, p)
			// Because decoding gives the key back, no two keys share a path.
			if got, err := keyOfPath("", p); err != nil || got != key {
				t.Errorf("keyOfPath(%q) = %q, %v, want %q", p, got, err, key)
			}
		}
		if prefix == "" || len(prefix)+len("/")+len(key) > maxKey {
			return
		}
		// Restoring the folder of the prefix below the same prefix is the identity.
		full := prefix + "/" + key
		below, ok := strings.CutPrefix(pathOfKey(full, false), prefixPath(prefix))
		if !ok {
			t.Fatalf("path of key %q is not below %q", full, prefixPath(prefix))
		}
		if got, err := keyOfPath(prefix, below); err != nil || got != full {
			t.Errorf("keyOfPath(%q, %q) = %q, %v, want %q", prefix, below, got, err, full)
		}
	})
}

func FuzzKeyOfPath(f *testing.F) {
	for _, test := range awkwardKeys {
		f.Add("dest", test.path)
		f.Add("", test.path+"/%")
	}
	f.Add("dest", "/%")
	f.Add("", "/%=%2F%FF")
	f.Fuzz(func(t *testing.T, prefix, p string) {
		for _, decode := range []func(prefix, name string) (string, error){keyOfPath, literalKey} {
			key, err := decode(prefix, p)
			if err != nil {
				if !errors.Is(err, ErrInvalidKey) || key != "" {
					t.Errorf("%q, %q: key %q with error %v", prefix, p, key, err)
				}
				continue
			}
			if key == "" || len(key) > maxKey {
				t.Errorf("%q, %q: illegal key %q", prefix, p, key)
			}
			if prefix != "" && key != prefix && !strings.HasPrefix(key, prefix+"/") {
				t.Errorf("%q, %q: key %q left the prefix", prefix, p, key)
			}
		}
		// A path that decodes is the only one of its key.
		key, err := keyOfPath(prefix, p)
		if err != nil {
			return
		}
		folder := strings.HasSuffix(p, "/%")
		if folder && key == prefix {
			if p != "/%" {
				t.Errorf("%q, %q is the key %q, which is that of /%%", prefix, p, key)
			}
			return
		}
		below := key
		if prefix != "" {
			below = strings.TrimPrefix(key, prefix+"/")
		}
		if got := pathOfKey(below, folder); got != p {
			t.Errorf("%q and %q both are the key %q", p, got, key)
		}
	})
}

func BenchmarkPathOfKey(b *testing.B) {
	for _, key := range []string{"backups/2026/11/22/host-17/part-000123.bin", "x//y/../\xff"} {
		b.Run(fmt.Sprintf("%q", key), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(key)))
			for b.Loop() {
				pathOfKey(key, false)
			}
		})
	}
}

// BenchmarkFolderDecider is what a listing costs beyond its pages.
func BenchmarkFolderDecider(b *testing.B) {
	keys := make([]string, 0, 11_000)
	for i := range 1000 {
		keys = append(keys, fmt.Sprintf("dir%04d", i))
		for j := range 10 {
			keys = append(keys, fmt.Sprintf("dir%04d/object%02d", i, j))
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		var d folderDecider[int]
		n := 0
		for i, key := range keys {
			n += len(d.add(key, i))
		}
		if n += len(d.finish()); n != len(keys) {
			b.Fatalf("%d keys come out", n)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(keys)), "ns/key")
}
