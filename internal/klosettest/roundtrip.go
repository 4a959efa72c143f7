package klosettest

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/PlakarKorp/kloset/connectors/exporter"
	"github.com/PlakarKorp/kloset/connectors/importer"
	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/PlakarKorp/kloset/objects"
)

// RoundTripHarness makes the connectors for [RunRoundTrip]. Of Store, only New
// and Reopen are used, and without New the repositories are in memory.
type RoundTripHarness struct {
	Source      SourceHarness
	Destination DestinationHarness
	Store       StoreHarness
}

// RunRoundTrip checks that objects which go from a source through the real engine
// to a destination come out as they were, in every property.
func RunRoundTrip(t *testing.T, h RoundTripHarness) {
	runChecks(t, h, h.Source.patience(), roundTripChecks)
}

var roundTripChecks = []check[RoundTripHarness]{
	{"Everything", checkRoundTripEverything},
	{"Properties", checkRoundTripProperties},
	{"Changes", checkRoundTripChanges},
	{"Encrypted", checkRoundTripEncrypted},
	{"Empty", checkRoundTripEmpty},
	{"Below", checkRoundTripBelow},
	{"OverOthers", checkRoundTripOverOthers},
}

// losses are those of both sides.
func (h RoundTripHarness) losses() Losses {
	all := maps.Clone(h.Source.Losses)
	if all == nil {
		all = make(Losses)
	}
	maps.Copy(all, h.Destination.Losses)
	return all
}

// objects returns the objects that both sides can hold, without the properties
// that one of them cannot keep.
func (h RoundTripHarness) objects(t testing.TB, objs []Object) []Object {
	t.Helper()
	objs = slices.DeleteFunc(slices.Clone(objs), func(o Object) bool {
		for _, keeps := range []func(string) bool{h.Source.Keeps, h.Destination.Keeps} {
			if keeps != nil && !keeps(o.Key) {
				return true
			}
		}
		return false
	})
	return strip(t, objs, h.losses())
}

// store returns a store on an empty location, and a way to open it again.
func (h RoundTripHarness) store(t testing.TB) (storage.Store, func() storage.Store) {
	t.Helper()
	if h.Store.New == nil {
		s := NewMemStore()
		return s, func() storage.Store { return s.Reopen() }
	}
	s := h.Store.fresh(t)
	return s, func() storage.Store { return h.Store.again(t, s) }
}

// trip is a repository with a source that is backed up into it.
type trip struct {
	t          testing.TB
	h          RoundTripHarness
	imp        importer.Importer
	passphrase string
	repo       *Repository
	reopen     func() storage.Store
}

func (h RoundTripHarness) trip(t testing.TB, objs []Object, passphrase string) *trip {
	t.Helper()
	store, reopen := h.store(t)
	return &trip{
		t: t, h: h, imp: h.Source.importer(t, objs), passphrase: passphrase,
		repo: NewRepository(t, store, passphrase), reopen: reopen,
	}
}

// backUp returns the new snapshot and the paths that were read for it.
func (r *trip) backUp() (objects.MAC, []string) {
	r.t.Helper()
	watched := &spy{Importer: r.h.Source.again(r.t, r.imp)}
	id, err := r.repo.Backup(r.t.Context(), watched)
	must(r.t, "back up", err)
	return id, watched.opened
}

// wantRestored restores a snapshot as another machine would, and fails the test
// unless exactly the objects come out.
func (r *trip) wantRestored(id objects.MAC, want []Object) {
	r.t.Helper()
	r.wantRestoredTo(r.h.Destination.exporter(r.t), id, "", want)
}

// wantRestoredTo restores what is below a folder of the source.
func (r *trip) wantRestoredTo(exp exporter.Exporter, id objects.MAC, folder string, want []Object) {
	r.t.Helper()
	cold := OpenRepository(r.t, r.reopen(), r.passphrase)
	must(r.t, "restore", cold.Restore(r.t.Context(), id, path.Join(r.imp.Root(), folder), exp))
	report(r.t, "restored", diffObjects(want, r.h.Destination.Objects(r.t, exp), r.h.losses()))
}

// checkRoundTripEverything backs up twice: the second snapshot consists of what
// the engine took over from the first.
func checkRoundTripEverything(t testing.TB, h RoundTripHarness) {
	all := decorate(append(ordinaryKeys(), HostileKeys()...))
	for i, size := range []int{mib - 1, mib, 8*mib + 1, long()} {
		all = append(all, Object{Key: fmt.Sprintf("sizes/%d", size), Body: noise(uint64(i), size), ContentType: "application/x-noise"})
	}
	all = slices.DeleteFunc(all, func(o Object) bool { return strings.Count(o.Key, "/") > deepest })
	objs := h.objects(t, all)
	r := h.trip(t, objs, "")
	r.backUp()
	second, read := r.backUp()
	for _, p := range read {
		t.Errorf("%s: unchanged, and read again", quote(p))
	}
	r.wantRestored(second, objs)
}

// checkRoundTripProperties goes to the edges of what an object can have.
func checkRoundTripProperties(t testing.TB, h RoundTripHarness) {
	var objs []Object
	add := func(what string, set func(*Object)) {
		o := Object{Key: "with " + what, Body: []byte(what)}
		set(&o)
		objs = append(objs, o)
	}
	tags := make(map[string]string)
	for i := range 10 {
		tags[fmt.Sprintf("tag %d", i)] = strings.Repeat("v", 10*i)
	}
	add("nothing", func(*Object) {})
	add("all headers", func(o *Object) {
		for _, hdr := range headers {
			*hdr.field(o) = changed(hdr.property)
		}
	})
	for _, hdr := range headers {
		add(string(hdr.property), func(o *Object) { *hdr.field(o) = changed(hdr.property) })
	}
	add("a date that is none", func(o *Object) { o.Expires = "in a while" })
	add("equals signs", func(o *Object) { o.ContentDisposition = `attachment; a="b=c=d"; e==` })
	add("ten tags", func(o *Object) { o.Tags = tags })
	add("odd tags", func(o *Object) {
		o.Tags = map[string]string{"a=b": "c=d", "a+b/c": "-._:/@ +=", "empty": "", "\u00fc": "\u4e16"}
	})
	add("much metadata", func(o *Object) { o.Metadata = map[string]string{"long": strings.Repeat("0123456789", 200)} })
	add("many metadata", func(o *Object) {
		o.Metadata = make(map[string]string)
		for i := range 60 {
			o.Metadata[fmt.Sprintf("name-%02d", i)] = fmt.Sprint(i)
		}
	})
	add("odd metadata", func(o *Object) {
		o.Metadata = map[string]string{"a": "b=c", "percent": "100%25", "quotes": `"'`, "comma": "a, b,c", "inner": "a  b", "s3.etag": "x", "x_y.z": "1"}
	})
	add("unicode metadata", func(o *Object) { o.Metadata = map[string]string{"greeting": "gr\u00fc\u00dfe \u4e16\u754c \U0001f30d"} })
	objs = h.objects(t, objs)
	r := h.trip(t, objs, "")
	id, _ := r.backUp()
	r.wantRestored(id, objs)
}

// checkRoundTripChanges changes one thing between two backups, each time another.
func checkRoundTripChanges(t testing.TB, h RoundTripHarness) {
	if h.Source.Update == nil {
		t.Log("not checked: the harness cannot change a source")
		return
	}
	base := func() []Object { return h.objects(t, decorate(append(ordinaryKeys(), "a", "b/c"))) }
	edit := func(key string, set func(*Object)) []Object {
		objs := base()
		for i := range objs {
			if objs[i].Key == key {
				set(&objs[i])
			}
		}
		return strip(t, objs, h.losses())
	}
	r := h.trip(t, base(), "")
	r.backUp()
	for _, step := range []struct {
		what string
		objs []Object
	}{
		{"a body of equal size", edit("README.md", func(o *Object) { o.Body = noise(99, len(o.Body)) })},
		{"a longer body", edit("README.md", func(o *Object) { o.Body = noise(98, 2*mib) })},
		{"metadata alone", edit("zebra", func(o *Object) { o.Metadata = map[string]string{"changed": "yes"} })},
		{"tags alone", edit("zebra", func(o *Object) { o.Tags = map[string]string{"changed": "yes"} })},
		{"no tags", edit("zebra", func(o *Object) { o.Tags = nil })},
		{"a header alone", edit("docs/guide.txt", func(o *Object) { o.CacheControl = "no-store" })},
		{"the class alone", edit("docs/guide.txt", func(o *Object) { o.StorageClass = "ONEZONE_IA" })},
		{"an object that becomes a folder too", append(base(), h.objects(t, []Object{{Key: "a/below", Body: []byte("below")}})...)},
		{"a folder that becomes an object too", append(base(), h.objects(t, []Object{{Key: "b", Body: []byte("b")}})...)},
		{"fewer objects", base()[:3]},
		{"all as it was", base()},
	} {
		h.Source.Update(t, r.imp, step.objs)
		id, _ := r.backUp()
		exp := h.Destination.exporter(t)
		must(t, "restore", r.repo.Restore(t.Context(), id, path.Clean(r.imp.Root()), exp))
		report(t, "after "+step.what, diffObjects(step.objs, h.Destination.Objects(t, exp), h.losses()))
	}
}

func checkRoundTripEncrypted(t testing.TB, h RoundTripHarness) {
	objs := h.objects(t, append(decorate(ordinaryKeys()), Object{Key: "large", Body: noise(1, 9*mib)}))
	r := h.trip(t, objs, "correct horse")
	id, _ := r.backUp()
	r.wantRestored(id, objs)
}

func checkRoundTripEmpty(t testing.TB, h RoundTripHarness) {
	r := h.trip(t, nil, "")
	id, _ := r.backUp()
	r.wantRestored(id, nil)
}

// checkRoundTripBelow restores parts of a snapshot. Their keys are relative to
// the part.
func checkRoundTripBelow(t testing.TB, h RoundTripHarness) {
	objs := h.objects(t, decorate(append(ordinaryKeys(), "docs//x", "docs/./y", "docs/img/%/z")))
	r := h.trip(t, objs, "")
	id, _ := r.backUp()
	for _, folder := range []string{"docs", "docs/img", "logs/2026"} {
		var want []Object
		for _, o := range objs {
			if below, ok := strings.CutPrefix(o.Key, folder+"/"); ok {
				o.Key = below
				want = append(want, o)
			}
		}
		r.wantRestoredTo(h.Destination.exporter(t), id, folder, want)
	}
	one := objs[slices.IndexFunc(objs, func(o Object) bool { return o.Key == "docs/guide.txt" })]
	one.Key = "guide.txt"
	r.wantRestoredTo(h.Destination.exporter(t), id, "docs/guide.txt", []Object{one})
}

// checkRoundTripOverOthers restores to a place that holds other objects, some of
// them under the same keys with properties of their own.
func checkRoundTripOverOthers(t testing.TB, h RoundTripHarness) {
	keys := append(ordinaryKeys(), "plain")
	now := h.objects(t, decorate(keys))
	others := h.objects(t, decorate([]string{"zz", "old/one"}))
	before := append(slices.Clone(others), h.objects(t, decorate(keys[2:]))...)
	exp := h.Destination.exporter(t)
	for i, objs := range [][]Object{before, now} {
		r := h.trip(t, objs, "")
		id, _ := r.backUp()
		want := objs
		if i == 1 {
			want = append(slices.Clone(now), others...)
		}
		r.wantRestoredTo(exp, id, "", want)
		exp = h.Destination.again(t, exp)
	}
}
