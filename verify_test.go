package s3kloset

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/s3kloset/s3kloset/internal/klosettest"
	"github.com/s3kloset/s3kloset/internal/s3test"
)

// verify collects what a verification finds, sorted, and fails the test over
// errors.
func (w *world) verify(snapshot string, src *Source, opts ...VerifyOption) []string {
	w.Helper()
	var found []string
	for d, err := range w.repo.Verify(w.Context(), snapshot, src, opts...) {
		if err != nil {
			w.Errorf("verify: %q: %v", d.Key, err)
		}
		found = append(found, d.String())
	}
	slices.Sort(found)
	return found
}

func (w *world) expectFound(what string, got []string, want ...string) {
	w.Helper()
	if !slices.Equal(got, want) {
		w.Errorf("%s:\n got %s\nwant %s", what, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

var depths = map[string]VerifyDepth{"list": VerifyList, "metadata": VerifyMetadata, "content": VerifyContent}

func TestVerifyFindsNothing(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	for _, key := range []string{"a", "a!", "a/b", "x//y", "%", "100%.txt", "folder/", ".", "b/../c", "ü", "/lead"} {
		w.data.Put(key, []byte("body of "+key), s3test.Properties{
			ContentType: "text/plain", Metadata: map[string]string{"k": "grün"}, Tags: map[string]string{"t": key}, StorageClass: "STANDARD_IA"})
	}
	w.data.Put("parts", make([]byte, 12<<20), s3test.Properties{}, s3test.InParts(6<<20))
	id := w.backup().Snapshot.ID
	for name, depth := range depths {
		w.server.ResetRequests()
		w.expectFound(name, w.verify(id, w.at("s3://data").Source(), WithDepth(depth)))
		got := [3]int{w.server.Count("HeadObject"), w.server.Count("GetObject"), w.server.Count("GetObjectTagging")}
		want := map[VerifyDepth][3]int{VerifyList: {}, VerifyMetadata: {12, 0, 12}, VerifyContent: {0, 12, 12}}[depth]
		if got != want {
			t.Errorf("%s: %v requests for HEAD, GET and tags, want %v", name, got, want)
		}
	}
}

func TestVerifyFindsDifferences(t *testing.T) {
	full := s3test.Properties{ContentType: "text/plain", CacheControl: "no-store",
		Metadata: map[string]string{"keep": "1", "drop": "2"}, Tags: map[string]string{"team": "a", "old": "x"}}
	change := func(p s3test.Properties, do func(*s3test.Properties)) s3test.Properties { do(&p); return p }
	tests := []struct {
		name   string
		change func(*s3test.Bucket)
		list   []string // what is found at each depth
		more   []string // what is found in metadata besides
		most   []string // what is found in content besides
	}{
		{name: "missing", change: func(b *s3test.Bucket) { b.Delete("k") }, list: []string{`"k": missing`}},
		{name: "extra", change: func(b *s3test.Bucket) { b.Put("dir/new", nil, full) }, list: []string{`"dir/new": extra`}},
		{name: "size", change: func(b *s3test.Bucket) { b.Put("k", []byte("longer than that"), full) },
			list: []string{`"k": etag: "ETAG" in the snapshot, "NEW" in the bucket`, `"k": size: "3" in the snapshot, "16" in the bucket`},
			most: []string{`"k": content`}},
		{name: "bytes", change: func(b *s3test.Bucket) { b.Put("k", []byte("two"), full) },
			list: []string{`"k": etag: "ETAG" in the snapshot, "NEW" in the bucket`},
			most: []string{`"k": content`}},
		{name: "parts", change: func(b *s3test.Bucket) { b.Put("k", []byte("one"), full, s3test.InParts(1)) },
			list: []string{`"k": etag: "ETAG" in the snapshot, "NEW" in the bucket`}},
		{name: "class", change: func(b *s3test.Bucket) {
			b.Put("k", []byte("one"), change(full, func(p *s3test.Properties) { p.StorageClass = "STANDARD_IA" }))
		}, list: []string{`"k": class: "STANDARD" in the snapshot, "STANDARD_IA" in the bucket`}},
		{name: "headers", change: func(b *s3test.Bucket) {
			b.Put("k", []byte("one"), change(full, func(p *s3test.Properties) {
				p.ContentType, p.CacheControl, p.ContentLanguage = "text/html", "", "de"
				p.Metadata = map[string]string{"keep": "1", "come": "3"}
			}))
		}, more: []string{`"k": metadata cache-control: "no-store" in the snapshot, "" in the bucket`,
			`"k": metadata content-language: "" in the snapshot, "de" in the bucket`,
			`"k": metadata content-type: "text/plain" in the snapshot, "text/html" in the bucket`,
			`"k": metadata meta.come: "" in the snapshot, "3" in the bucket`,
			`"k": metadata meta.drop: "2" in the snapshot, "" in the bucket`}},
		{name: "tags", change: func(b *s3test.Bucket) { b.SetTags("k", map[string]string{"team": "b", "empty": ""}) },
			more: []string{`"k": tags empty`, `"k": tags old: "x" in the snapshot, "" in the bucket`,
				`"k": tags team: "a" in the snapshot, "b" in the bucket`}},
		{name: "all", change: func(b *s3test.Bucket) {
			for _, key := range b.Keys() {
				b.Delete(key)
			}
		}, list: []string{`"a": missing`, `"a/b": missing`, `"k": missing`}},
		{name: "no longer a folder", change: func(b *s3test.Bucket) { b.Delete("a/b") }, list: []string{`"a/b": missing`}},
		{name: "now a folder", change: func(b *s3test.Bucket) { b.Put("k/in", nil, full) }, list: []string{`"k/in": extra`}},
		{name: "another object of that path", change: func(b *s3test.Bucket) { b.Put("a/%", nil, full) }, list: []string{`"a/%": extra`}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			quiet(t)
			w := newWorld(t)
			was := w.data.Put("k", []byte("one"), full)
			w.data.Put("a", []byte("a"), full)
			w.data.Put("a/b", []byte("b"), full)
			id := w.backup().Snapshot.ID
			test.change(w.data)
			is, _ := w.data.Get("k")
			etags := strings.NewReplacer("ETAG", was.ETag, "NEW", is.ETag)
			for name, depth := range depths {
				want := slices.Clone(test.list)
				if depth >= VerifyMetadata {
					want = append(want, test.more...)
				}
				if depth == VerifyContent {
					want = append(want, test.most...)
				}
				for i := range want {
					want[i] = etags.Replace(want[i])
				}
				slices.Sort(want)
				w.expectFound(name, w.verify(id, w.at("s3://data").Source(), WithDepth(depth)), want...)
			}
		})
	}
}

// TestVerifyElsewhere: paths count from the roots, so that a restore can be
// verified wherever it went.
func TestVerifyElsewhere(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	for _, key := range []string{"data", "data/a", "data/b/c", "data//d", "other"} {
		w.data.Put(key, []byte("body of "+key), s3test.Properties{Tags: map[string]string{"t": "v"}})
	}
	id := w.backupOf(w.at("s3://data/data")).Snapshot.ID
	target := w.server.CreateBucket("target")
	for _, location := range []string{"s3://target/new/place", "s3://target/data"} {
		if _, err := w.repo.Restore(t.Context(), id, w.at(location).Destination()); err != nil {
			t.Fatal(err)
		}
		w.expectFound(location, w.verify(id, w.at(location).Source(), WithDepth(VerifyContent)))
	}
	target.Delete("new/place/b/c")
	target.Put("new/place/e", nil, s3test.Properties{})
	w.expectFound("changed", w.verify("", w.at("s3://target/new/place").Source()), `"new/place/b/c": missing`, `"new/place/e": extra`)
	w.expectFound("left out", w.verify("", w.at("s3://target/new/place", WithExclude("b/**", "e")).Source()))
}

// TestVerifyOfAnyImporter: what has no attributes of ours is compared by size
// and content.
func TestVerifyOfAnyImporter(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	if _, err := w.repo.Backup(t.Context(), klosettest.NewMemImporter(append(klosettest.Tree(), klosettest.Symlink("/ln", "README"), klosettest.File("/%2F", []byte("x"))))); err != nil {
		t.Fatal(err)
	}
	target := w.server.CreateBucket("target")
	src := w.at("s3://target").Source()
	if _, err := w.repo.Restore(t.Context(), "", w.at("s3://target").Destination()); err != nil {
		t.Fatal(err)
	}
	for name, depth := range depths {
		w.expectFound(name, w.verify("", src, WithDepth(depth)))
	}
	target.Put("README", []byte("read.me\n"), s3test.Properties{})
	w.expectFound("list", w.verify("", src))
	w.expectFound("content", w.verify("", src, WithDepth(VerifyContent)), `"README": content`)
}

// TestVerifyGoesOnAfterAnObjectThatFails.
func TestVerifyGoesOnAfterAnObjectThatFails(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	w.fill(20)
	w.backup()
	w.data.Put("dir01/file0011", []byte("other"), s3test.Properties{})
	w.server.Faults().Add(s3test.Fault{Op: "GetObject", Key: "dir00/file0003", Times: s3test.Always, Action: s3test.Status(403, "AccessDenied")})
	w.server.Faults().Add(s3test.Fault{Op: "GetObject", Key: "dir00/file0004", Action: s3test.RunFirst(func() { w.data.Delete("dir00/file0004") })})
	var failed, found []string
	for d, err := range w.repo.Verify(t.Context(), "latest", w.at("s3://data").Source(), WithDepth(VerifyContent)) {
		if err != nil {
			failed = append(failed, d.Key)
			if !errors.Is(err, ErrAccessDenied) {
				t.Errorf("%q: %v", d.Key, err)
			}
			continue
		}
		found = append(found, fmt.Sprint(d.Key, " ", d.Kind))
	}
	slices.Sort(found)
	w.expectFound("failed", failed, "dir00/file0003")
	w.expectFound("found", found, "dir00/file0004 missing", "dir01/file0011 content", "dir01/file0011 etag", "dir01/file0011 size")
}

// TestVerifyWhereTagsCannotBeRead: what a backup takes for a warning does not
// fail a comparison, and nothing that was not compared passes for the same.
func TestVerifyWhereTagsCannotBeRead(t *testing.T) {
	tests := map[string]struct {
		answer s3test.Action
		more   []string
	}{
		"not allowed": {s3test.Status(403, "AccessDenied"), []string{`"tagged": unread tags`, `"untagged": unread tags`}},
		"no tags":     {s3test.Status(501, "NotImplemented"), []string{`"tagged": tags team: "a" in the snapshot, "" in the bucket`}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			quiet(t)
			w := newWorld(t)
			w.data.Put("tagged", []byte("one"), s3test.Properties{CacheControl: "no-store", Tags: map[string]string{"team": "a"}})
			w.data.Put("untagged", []byte("two"), s3test.Properties{})
			id := w.backup().Snapshot.ID
			w.data.Put("tagged", []byte("one"), s3test.Properties{Tags: map[string]string{"team": "a"}})
			w.server.Faults().Add(s3test.Fault{Op: "GetObjectTagging", Bucket: "data", Times: s3test.Always, Action: test.answer})
			for _, depth := range []VerifyDepth{VerifyMetadata, VerifyContent} {
				want := append([]string{`"tagged": metadata cache-control: "no-store" in the snapshot, "" in the bucket`}, test.more...)
				slices.Sort(want)
				w.expectFound(fmt.Sprint("depth ", depth), w.verify(id, w.at("s3://data").Source(), WithDepth(depth)), want...)
			}
			w.expectFound("never", w.verify(id, w.at("s3://data", WithTagPolicy(TagsNever)).Source(), WithDepth(VerifyMetadata)),
				`"tagged": metadata cache-control: "no-store" in the snapshot, "" in the bucket`)
			w.server.Faults().VerifyAll(t)
		})
	}
}

// TestVerifyWhereTagsFail: an error of the server is none of the permission,
// and concerns the object.
func TestVerifyWhereTagsFail(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	w.data.Put("a", []byte("one"), s3test.Properties{})
	id := w.backup().Snapshot.ID
	w.server.Faults().Add(s3test.Fault{Op: "GetObjectTagging", Key: "a", Times: s3test.Always, Action: s3test.Status(400, "InvalidRequest")})
	var failed []string
	for d, err := range w.repo.Verify(t.Context(), id, w.at("s3://data").Source(), WithDepth(VerifyMetadata)) {
		if err == nil {
			t.Errorf("found %v", d)
		}
		failed = append(failed, d.Key)
	}
	w.expectFound("failed", failed, "a")
	w.server.Faults().VerifyAll(t)
}

func TestVerifyThatCannotBegin(t *testing.T) {
	quiet(t)
	w := newWorld(t)
	w.fill(2)
	w.backup()
	closed := w.at("s3://data").Source()
	closed.Close(t.Context())
	dead, cancel := context.WithCancel(t.Context())
	cancel()
	tests := map[string]struct {
		ctx      context.Context
		snapshot string
		src      *Source
		opts     []VerifyOption
		want     error
	}{
		"snapshot":  {t.Context(), "ffff", w.at("s3://data").Source(), nil, ErrSnapshotNotFound},
		"bucket":    {t.Context(), "", w.at("s3://nowhere").Source(), nil, ErrBucketNotFound},
		"depth":     {t.Context(), "", w.at("s3://data").Source(), []VerifyOption{nil, WithDepth(9)}, ErrInvalidOption},
		"closed":    {t.Context(), "", closed, nil, ErrClosed},
		"cancelled": {dead, "", w.at("s3://data").Source(), nil, context.Canceled},
	}
	for name, test := range tests {
		calls := 0
		for d, err := range w.repo.Verify(test.ctx, test.snapshot, test.src, test.opts...) {
			if calls++; !errors.Is(err, test.want) || d != (Difference{}) {
				t.Errorf("%s: %v, error %v", name, d, err)
			}
		}
		if calls != 1 {
			t.Errorf("%s: the loop ran %d times", name, calls)
		}
	}
}

// TestVerifyIsLeftEarly: by break, by a panic, by a cancellation. Nothing goes
// on behind the loop, and the next one works.
func TestVerifyIsLeftEarly(t *testing.T) {
	w := newWorld(t)
	w.fill(30)
	w.backup()
	for _, key := range w.data.Keys() {
		w.data.Put("new/"+key, nil, s3test.Properties{})
	}
	for name, depth := range depths {
		t.Run(name, func(t *testing.T) {
			quiet(t)
			src := w.at("s3://data").Source()
			for range w.repo.Verify(t.Context(), "", src, WithDepth(depth)) {
				break
			}
			expectNoComparison(t)
			func() {
				defer func() {
					if recover() != "enough" {
						t.Error("the panic is lost")
					}
				}()
				for range w.repo.Verify(t.Context(), "", src, WithDepth(depth)) {
					panic("enough")
				}
			}()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var last error
			for _, err := range w.repo.Verify(ctx, "", src, WithDepth(depth)) {
				cancel()
				last = err
			}
			if !errors.Is(last, context.Canceled) {
				t.Errorf("cancelled: %v", last)
			}
			expectNoComparison(t)
			n := 0
			for _, err := range w.repo.Verify(t.Context(), "", src, WithDepth(depth)) {
				if n++; err != nil {
					t.Error(err)
				}
			}
			if n != 30 {
				t.Errorf("%d differences, want 30", n)
			}
		})
	}
}

// expectNoComparison: a loop that was left has nothing running behind it.
func expectNoComparison(t *testing.T) {
	t.Helper()
	for _, stack := range workers() {
		if strings.Contains(stack, "(*verification).compare") {
			t.Errorf("goes on behind the loop:\n%s", stack)
		}
	}
}

// TestVerifyOfADamagedSnapshot: what cannot be read is not taken for what the
// bucket or the snapshot lacks. A comparison that ends without an error is whole
// and right; that may be in spite of a read that failed, because the engine reads
// some folders ahead that nobody asks for.
func TestVerifyOfADamagedSnapshot(t *testing.T) {
	quiet(t)
	w := newHookedWorld(t)
	w.fill(20)
	w.backup()
	var differences []string
	for i, key := range w.data.Keys() {
		was, _ := w.data.Get(key)
		switch is := w.data.Put(key, []byte(strings.ToUpper(string(was.Body))), s3test.Properties{}); i {
		case 7:
			w.data.Delete(key)
			differences = append(differences, fmt.Sprintf("%q: missing", key))
		default:
			differences = append(differences, fmt.Sprintf("%q: etag: %q in the snapshot, %q in the bucket", key, was.ETag, is.ETag))
		}
	}
	w.data.Put("dir00/new", nil, s3test.Properties{})
	differences = append(differences, `"dir00/new": extra`)
	slices.Sort(differences)

	cut := errors.New("line is cut")
	for nth, whole := int64(1), false; !whole; nth++ {
		var seen atomic.Int64
		// And all after it: the engine may try a folder twice.
		w.hook.set(func(_ context.Context, call klosettest.Call) error {
			if call.Op == klosettest.OpGet && seen.Add(1) >= nth {
				return cut
			}
			return nil
		})
		var found []string
		var last error
		for d, err := range w.repo.Verify(t.Context(), "", w.at("s3://data").Source()) {
			if last = err; err == nil {
				found = append(found, d.String())
			}
		}
		w.hook.set(nil)
		whole = seen.Load() < nth
		slices.Sort(found)
		what := fmt.Sprintf("read %d", nth)
		if last == nil && nth > 1 {
			w.expectFound(what, found, differences...)
			continue
		}
		if whole || !errors.Is(last, cut) {
			t.Errorf("%s: error %v", what, last)
		}
		for _, d := range found {
			if _, real := slices.BinarySearch(differences, d); !real {
				t.Errorf("%s: found %s", what, d)
			}
		}
	}
}
