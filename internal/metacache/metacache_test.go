package metacache

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func entries(n int) []*Entry {
	all := make([]*Entry, n)
	for i := range all {
		all[i] = &Entry{Key: fmt.Sprintf("dir/%08d", i), Size: int64(i), Modified: time.Unix(int64(i), 5).UTC(),
			Attributes: []string{"s3.etag=" + strings.Repeat("a", i%40), "s3.meta.x=ü"}}
	}
	return all
}

func write(t testing.TB, path string, all []*Entry) {
	t.Helper()
	w, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		w.Add(e)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
}

func file(t testing.TB) string { return filepath.Join(t.TempDir(), "made", "a.s3meta") }

func TestRoundTrip(t *testing.T) {
	path, all := file(t), entries(20_000)
	write(t, path, all)
	r := Open(path, strings.Compare)
	defer r.Close()
	for i, want := range all {
		if i%3 == 0 {
			continue // keys that are gone from the listing
		}
		if got, ok := r.Find(want.Key); !ok || !reflect.DeepEqual(got, want) {
			t.Fatalf("%s: %+v, %v, want %+v", want.Key, got, ok, want)
		}
		if _, ok := r.Find(want.Key + "!"); ok {
			t.Fatalf("%s: found a key that is not there", want.Key)
		}
	}
	if _, ok := r.Find("zzz"); ok {
		t.Error("found a key after the end")
	}
}

func TestNoCache(t *testing.T) {
	path := file(t)
	if Open(path, strings.Compare) != nil {
		t.Error("opened a file that is not there")
	}
	write(t, path, nil)
	if err := os.WriteFile(path, []byte("something else entirely"), 0o600); err != nil {
		t.Fatal(err)
	}
	if Open(path, strings.Compare) != nil {
		t.Error("opened a file that is no cache")
	}
}

// TestDamage flips and cuts bytes everywhere: what is found must be right.
func TestDamage(t *testing.T) {
	path, all := file(t), entries(9000)
	write(t, path, all)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lost := 0
	for at := len(magic); at < len(good); at += len(good)/40 + 1 {
		for _, bad := range [][]byte{flip(good, at), good[:at]} {
			if err := os.WriteFile(path, bad, 0o600); err != nil {
				t.Fatal(err)
			}
			r := Open(path, strings.Compare)
			for _, want := range all {
				got, ok := r.Find(want.Key)
				if ok && !reflect.DeepEqual(got, want) {
					t.Fatalf("byte %d: %+v, want %+v", at, got, want)
				}
				if !ok {
					lost++
				}
			}
			r.Close()
		}
	}
	if lost == 0 {
		t.Error("no damage was noticed")
	}
}

func flip(good []byte, at int) []byte {
	bad := bytes.Clone(good)
	bad[at] ^= 0x10
	return bad
}

func TestDiscardKeepsTheOldFile(t *testing.T) {
	path := file(t)
	write(t, path, entries(3))
	w, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w.Add(&Entry{Key: "other"})
	w.Discard()
	r := Open(path, strings.Compare)
	defer r.Close()
	if _, ok := r.Find("dir/00000001"); !ok {
		t.Error("the old file is gone")
	}
	if names, _ := os.ReadDir(filepath.Dir(path)); len(names) != 1 {
		t.Errorf("%d files left, want 1", len(names))
	}
}

func TestStaleFilesAreRemoved(t *testing.T) {
	path := file(t)
	write(t, path, entries(1))
	dead, other := path+tempMark+"dead", filepath.Join(filepath.Dir(path), "precious.txt")
	for _, name := range []string{dead, other} {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		old := time.Now().Add(-2 * stale)
		if err := os.Chtimes(name, old, old); err != nil {
			t.Fatal(err)
		}
	}
	write(t, path, entries(1))
	if _, err := os.Stat(dead); !os.IsNotExist(err) {
		t.Errorf("the file of a run that never ended: %v", err)
	}
	if _, err := os.Stat(other); err != nil {
		t.Errorf("a file that is not ours: %v", err)
	}
}

// TestTwoWriters: each writes a file of its own, and the later one wins, whole.
// Who reads the one before goes on with it.
func TestTwoWriters(t *testing.T) {
	path, all := file(t), entries(6000)
	write(t, path, all[:3000])
	before := Open(path, strings.Compare)
	defer before.Close()
	first, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range all {
		first.Add(e)
		if i%2 == 0 {
			second.Add(e)
		}
	}
	undisturbed := Open(path, strings.Compare)
	defer undisturbed.Close()
	for _, want := range all[:3000] {
		if got, ok := undisturbed.Find(want.Key); !ok || !reflect.DeepEqual(got, want) {
			t.Fatalf("%s beside two that write: %+v, %t", want.Key, got, ok)
		}
	}
	for i, commit := range []func() error{second.Commit, first.Commit} {
		if err := commit(); err != nil {
			t.Fatal(err)
		}
		r := Open(path, strings.Compare)
		for n, want := range all {
			got, ok := r.Find(want.Key)
			if known := i == 1 || n%2 == 0; ok != known || ok && !reflect.DeepEqual(got, want) {
				t.Fatalf("after commit %d: %s: %+v, %t", i+1, want.Key, got, ok)
			}
		}
		r.Close()
	}
	for _, want := range all[:3000] {
		if got, ok := before.Find(want.Key); !ok || !reflect.DeepEqual(got, want) {
			t.Fatalf("%s in the file that was replaced: %+v, %t", want.Key, got, ok)
		}
	}
	if names, _ := os.ReadDir(filepath.Dir(path)); len(names) != 1 {
		t.Errorf("%d files left, want 1", len(names))
	}
}

func FuzzDecode(f *testing.F) {
	for _, e := range entries(3) {
		f.Add(e.encode(nil))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e, rest, err := decode(data)
		if err != nil {
			return
		}
		if len(rest) >= len(data) {
			t.Fatal("an entry without a byte")
		}
		again, _, err := decode(e.encode(nil))
		if err != nil || !reflect.DeepEqual(e, again) {
			t.Fatalf("%+v became %+v, %v", e, again, err)
		}
	})
}

func BenchmarkWriteAndFind(b *testing.B) {
	all := entries(100_000)
	path := filepath.Join(b.TempDir(), "a.s3meta")
	b.ReportAllocs()
	for b.Loop() {
		write(b, path, all)
		r := Open(path, strings.Compare)
		for _, e := range all {
			if _, ok := r.Find(e.Key); !ok {
				b.Fatal(e.Key)
			}
		}
		r.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(all)), "ns/entry")
}
