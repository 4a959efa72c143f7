package klosettest

import (
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/PlakarKorp/kloset/connectors"
	"github.com/PlakarKorp/kloset/location"
)

// recordChecks are about what an importer says of each object.
var recordChecks = []check[SourceHarness]{
	{"Identity", checkSourceIdentity},
	{"EmptyBucket", checkEmptyBucket},
	{"Paths", checkPaths},
	{"Folders", checkFolders},
	{"FileInfo", checkFileInfo},
	{"Bodies", checkBodies},
	{"EmptyObjects", checkEmptyObjects},
	{"OrdinaryKeys", checkOrdinaryKeys},
	{"AttributesAreOwn", checkAttributesAreOwn},
	{"AttributesChangeFileInfo", checkAttributesChangeFileInfo},
	{"SecondImportIsEqual", checkSecondImportIsEqual},
}

func checkSourceIdentity(t testing.TB, h SourceHarness) {
	imp := h.importer(t, strip(t, some(3), h.Losses))
	before := [3]string{imp.Type(), imp.Origin(), imp.Root()}
	if before[0] == "" || before[1] == "" {
		t.Errorf("type %q and origin %q must not be empty", before[0], before[1])
	}
	if !cleanRoot(imp.Root()) {
		t.Errorf("root %q is not absolute and clean", imp.Root())
	}
	// Without it, an importer that returns an error can crash the program.
	if imp.Flags()&location.FLAG_NEEDACK == 0 {
		t.Errorf("flags %b lack FLAG_NEEDACK", imp.Flags())
	}
	must(t, "ping", imp.Ping(t.Context()))
	h.everything(t, imp, 4)
	again := h.again(t, imp)
	// The engine finds the parent of an incremental backup by these three.
	if after := [3]string{again.Type(), again.Origin(), again.Root()}; after != before {
		t.Errorf("type, origin, root were %q, after an import they are %q", before, after)
	}
}

func checkEmptyBucket(t testing.TB, h SourceHarness) {
	for _, e := range h.everything(t, h.importer(t, nil), 4) {
		if !e.Info.IsDir() {
			t.Errorf("an empty bucket has the file %s", quote(e.Path))
		}
	}
}

// checkPaths: distinct objects have distinct paths that the engine can keep.
func checkPaths(t testing.TB, h SourceHarness) {
	imp := h.importer(t, h.hostile(t))
	inRoot := strings.TrimSuffix(imp.Root(), "/") + "/"
	paths := make(map[string]Entry)
	for _, e := range h.everything(t, imp, 4) {
		if err := checkPath(e.Path, e.Info); err != nil {
			t.Errorf("%s: %v", quote(e.Path), err)
			continue // it may have no parents at all
		}
		if old, twice := paths[e.Path]; twice {
			t.Errorf("%s: two records, folder: %t and %t", quote(e.Path), old.Info.IsDir(), e.Info.IsDir())
		}
		paths[e.Path] = e
		// Restoring starts at the root and takes what is below it.
		if !e.Info.IsDir() && !strings.HasPrefix(e.Path, inRoot) {
			t.Errorf("%s: outside the root %s", quote(e.Path), quote(imp.Root()))
		}
	}
	for p := range paths {
		// A parent that has a record is looked at itself.
		for dir := path.Dir(p); dir != "/"; dir = path.Dir(dir) {
			parent, ok := paths[dir]
			if ok && !parent.Info.IsDir() {
				t.Errorf("%s: below the file %s, where the engine loses it", quote(p), quote(dir))
			}
			if ok {
				break
			}
		}
	}
}

// checkFolders: without a record for its folder, an object beside others of its
// prefix is lost.
func checkFolders(t testing.TB, h SourceHarness) {
	imp := h.importer(t, h.hostile(t))
	seen := make(map[string]bool)
	for _, e := range h.everything(t, imp, 1) { // one worker keeps the order
		if dir := path.Dir(e.Path); len(dir) > len(imp.Root()) && !seen[dir] {
			t.Errorf("%s: no folder record for %s came before", quote(e.Path), quote(dir))
			seen[dir] = true
		}
		seen[e.Path] = true
		if e.Info.Mode().Type() != fs.ModeDir && !e.IsRegular() {
			t.Errorf("%s: neither file nor folder: %v", quote(e.Path), e.Info.Mode())
		}
	}
}

func checkFileInfo(t testing.TB, h SourceHarness) {
	for _, e := range h.everything(t, h.importer(t, h.hostile(t)), 4) {
		if e.Info.Nlink() > 1 {
			t.Errorf("%s: %d links: exporters to disks would join files", quote(e.Path), e.Info.Nlink())
		}
		for _, a := range e.Attributes {
			if !utf8.ValidString(a) {
				t.Errorf("%s: attribute %q is not UTF-8, the wire to a plugin cannot carry it", quote(e.Path), a)
			}
		}
		if !e.IsRegular() {
			continue
		}
		if e.Info.Size() != int64(len(e.Body)) {
			t.Errorf("%s: size %d, the body has %d", quote(e.Path), e.Info.Size(), len(e.Body))
		}
		if e.Info.ModTime().Unix() <= 0 {
			t.Errorf("%s: time %v", quote(e.Path), e.Info.ModTime())
		}
		if e.Info.Mode().Perm()&0o400 == 0 {
			t.Errorf("%s: mode %v: restored to a disk, it could not be read", quote(e.Path), e.Info.Mode())
		}
	}
}

func checkBodies(t testing.TB, h SourceHarness) {
	objs := h.hostile(t)
	report(t, "hostile keys", diffBodies(objs, h.everything(t, h.importer(t, objs), 4)))

	objs = nil
	for i, size := range []int{1, kib, mib - 1, mib, mib + 1, 5 * mib, 8*mib + 1, long()} {
		objs = append(objs, Object{Key: "sizes/" + string(rune('a'+i)), Body: noise(uint64(i), size)})
	}
	report(t, "sizes", diffBodies(objs, h.everything(t, h.importer(t, objs), 4)))
}

func checkEmptyObjects(t testing.TB, h SourceHarness) {
	keys := kept([]string{"empty", "marker/", "marker/deeper/", "other/empty", "/", "x//"}, h.Keeps)
	objs := make([]Object, len(keys))
	for i, key := range keys {
		objs[i].Key = key
	}
	report(t, "empty objects", diffBodies(objs, h.everything(t, h.importer(t, objs), 4)))
}

// checkOrdinaryKeys: people read these paths, and type them.
func checkOrdinaryKeys(t testing.TB, h SourceHarness) {
	objs := decorate(ordinaryKeys())
	entries := h.everything(t, h.importer(t, strip(t, objs, h.Losses)), 4)
	for _, o := range objs {
		if !slices.ContainsFunc(entries, func(e Entry) bool {
			return strings.HasSuffix(e.Path, "/"+o.Key) && string(e.Body) == string(o.Body)
		}) {
			t.Errorf("no file .../%s", o.Key)
		}
	}
}

// checkAttributesAreOwn writes into every list that it gets, as the engine does
// when it sorts them.
func checkAttributesAreOwn(t testing.TB, h SourceHarness) {
	const scribble = "scribble"
	imp := h.importer(t, strip(t, some(50), h.Losses))
	var lists [][]string
	scribbler := importing{capacity: 8, workers: 1, visit: func(rec *connectors.Record) {
		lists = append(lists, slices.Clone(rec.ExtendedAttributes))
		all := rec.ExtendedAttributes[:cap(rec.ExtendedAttributes)]
		for i := range all {
			all[i] = scribble
		}
	}}
	for range 2 {
		_, err := scribbler.run(t.Context(), t, h.patience(), imp)
		must(t, "import", err)
		imp = h.again(t, imp)
	}
	for _, l := range lists {
		if slices.Contains(l, scribble) {
			t.Fatal("a record's list of attributes is shared with another's")
		}
	}
}

// checkAttributesChangeFileInfo: when the attributes change and the FileInfo does
// not, the engine keeps an entry that was never stored.
func checkAttributesChangeFileInfo(t testing.TB, h SourceHarness) {
	base := Object{
		Key: "object", Body: []byte("the same"), ModTime: epoch,
		ContentType: "text/plain", CacheControl: "no-cache", ContentDisposition: "inline", ContentEncoding: "br",
		ContentLanguage: "de", Expires: "Thu, 01 Jan 2037 00:00:00 GMT", WebsiteRedirect: "/a",
		Metadata: map[string]string{"one": "1"}, Tags: map[string]string{"one": "1"},
	}
	variants := map[string]Object{"nothing": base}
	for _, hdr := range headers {
		o := base
		*hdr.field(&o) = changed(hdr.property)
		variants[string(hdr.property)] = o
	}
	for _, g := range groups {
		value, more, key := base, base, base
		*g.field(&value) = map[string]string{"one": "2"}
		*g.field(&more) = map[string]string{"one": "1", "two": "2"}
		*g.field(&key) = map[string]string{"two": "1"}
		variants[string(g.property)+" value"] = value
		variants[string(g.property)+" more"] = more
		variants[string(g.property)+" name"] = key
	}
	infos := make(map[string]string)
	for what, o := range variants {
		stripped := strip(t, []Object{o}, h.Losses)
		if len(Diff(base, stripped[0], h.Losses)) == 0 && what != "nothing" {
			continue // the service cannot show this change
		}
		for _, e := range h.everything(t, h.importer(t, stripped), 1) {
			if !e.IsRegular() {
				continue
			}
			// The time may differ for reasons of its own: it must not be all.
			e.Info.LmodTime = epoch
			raw, err := e.Info.ToBytes()
			must(t, "serialize", err)
			if other, same := infos[string(raw)]; same {
				t.Errorf("objects that differ in %s and %s have equal file infos but for the time", what, other)
			}
			infos[string(raw)] = what
		}
	}
}

// changed returns another legal value of a header.
func changed(p Property) string {
	switch p {
	case Expires:
		return "Fri, 01 Jan 2038 00:00:00 GMT"
	case StorageClass:
		return "STANDARD_IA"
	case WebsiteRedirect:
		return "/b"
	case ContentType:
		return "text/html"
	default:
		return "gzip"
	}
}

// checkSecondImportIsEqual: what did not change must look the same, or every
// backup reads everything.
func checkSecondImportIsEqual(t testing.TB, h SourceHarness) {
	imp := h.importer(t, h.hostile(t))
	first := h.everything(t, imp, 8)
	second := h.everything(t, h.again(t, imp), 1)
	report(t, "second import", diffEntries(first, second))
}
