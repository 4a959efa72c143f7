package klosettest

import (
	"path"
	"testing"
)

// placeChecks are about where files end up.
var placeChecks = []check[DestinationHarness]{
	{"HostilePaths", checkHostilePaths},
	{"ForeignAttributes", checkForeignAttributes},
	{"FileBesideFolder", checkFileBesideFolder},
	{"SamePathTwice", checkSamePathTwice},
	{"ExportAgain", checkExportAgain},
}

// checkHostilePaths: the path of a file that comes from no object is its key, to
// the letter.
func checkHostilePaths(t testing.TB, h DestinationHarness) {
	entries := []Entry{Folder("/")}
	folders := make(map[string]bool)
	keys := kept(append(ordinaryKeys(), HostileKeys()...), h.Keeps)
	for i, key := range keys {
		pathname := "/" + key
		if key == "" || path.Clean(pathname) != pathname || path.Base(pathname) == "/" {
			continue // no path of a snapshot
		}
		for dir := path.Dir(pathname); dir != "/" && !folders[dir]; dir = path.Dir(dir) {
			folders[dir] = true
			entries = append(entries, Folder(dir))
		}
		entries = append(entries, File(pathname, noise(uint64(i), 10+i)))
	}
	h.store(t, entries)
}

// checkForeignAttributes: attributes of other importers, and those that a later
// version of ours may write, do not keep a file from being stored.
func checkForeignAttributes(t testing.TB, h DestinationHarness) {
	entries := []Entry{Folder("/")}
	for i, attributes := range [][]string{
		{"user.comment", "security.selinux"},
		{""},
		{"="},
		{"key=value", "key=value"},
		{"\x00", "\xff"},
		{"x-amz-meta-a=b"},
	} {
		e := File("/file "+string(rune('a'+i)), []byte{byte(i)})
		e.Attributes = attributes
		entries = append(entries, e)
	}
	h.store(t, entries)
}

// checkFileBesideFolder: a snapshot can hold a file and a folder of one name. The
// folder comes first, then what is in it, then the file.
func checkFileBesideFolder(t testing.TB, h DestinationHarness) {
	if h.Keeps != nil && !(h.Keeps("a") && h.Keeps("a/b")) {
		t.Log("not checked: the service does not keep a beside a/b")
		return
	}
	h.store(t, []Entry{Folder("/"), Folder("/a"), File("/a/b", []byte("below")), File("/a", []byte("itself")), File("/z", nil)})
}

// checkSamePathTwice: either of the two may win, whole.
func checkSamePathTwice(t testing.TB, h DestinationHarness) {
	bodies := [][]byte{noise(1, 5000), noise(2, 9*mib)}
	entries := []Entry{Folder("/"), File("/twice", bodies[0]), File("/twice", bodies[1]), File("/z", nil)}
	exp := h.exporter(t)
	x := exporting{capacity: 4}.run(t.Context(), t, h.patience(), exp, packAll(t, entries))
	wantAnswers(t, x.complete(), nil)
	for _, o := range h.plain(t, exp) {
		if o.Key == "twice" && diffBody(bodies[0], o.Body) != "" && diffBody(bodies[1], o.Body) != "" {
			t.Errorf("a file that came twice has %d bytes and is neither of the two", len(o.Body))
		}
	}
	if n := len(h.plain(t, exp)); n != 2 {
		t.Errorf("got %d files, want 2", n)
	}
}

// checkExportAgain: a second restore replaces what the first one wrote, and lets
// alone what it has no records of.
func checkExportAgain(t testing.TB, h DestinationHarness) {
	exp := h.exporter(t)
	first := []Entry{Folder("/"), File("/changes", noise(1, 9*mib)), File("/grows", []byte("1")), File("/stays", []byte("s"))}
	second := []Entry{Folder("/"), File("/changes", noise(2, 9*mib)), File("/grows", noise(3, 9*mib)), File("/new", []byte("n"))}
	for _, entries := range [][]Entry{first, second} {
		x := exporting{capacity: 4}.run(t.Context(), t, h.patience(), exp, packAll(t, entries))
		wantAnswers(t, x.complete(), nil)
		exp = h.again(t, exp)
	}
	h.wantFiles(t, exp, append(second, first[3]))
}
