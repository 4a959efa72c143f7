package bucket

import (
	"fmt"
	"slices"
	"testing"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

func TestFoldersAsk(t *testing.T) {
	const at = "logs/2024/05/17/a.gz"
	few := []string{at, "logs/2024/05/17/b.gz"}
	crowd := []string{"logs/2024/05/17/a.gz", "logs/2024/05/18/a.gz", "logs/2024/05/19/a.gz", "logs/2024/05/20/a.gz"}
	for _, c := range []struct {
		name      string
		at, until string
		around    []string
		asked     map[string]string
		folder    string
		ok        bool
	}{
		{name: "nearest first", at: at, around: few, folder: "logs/2024/05/", ok: true},
		{name: "the one above when it is known", at: at, around: few, asked: map[string]string{"logs/2024/05/": ""}, folder: "logs/2024/", ok: true},
		{name: "further when there are more", at: at, around: few, asked: map[string]string{"logs/2024/05/": "logs/2024/05/11/"}, folder: "logs/2024/05/", ok: true},
		{name: "not what is known ahead", at: at, around: few, asked: map[string]string{"logs/2024/05/": "logs/2024/05/20/"}, folder: "logs/2024/", ok: true},
		{name: "not beyond the end", at: at, until: "logs/2024/05/17/x", around: few},
		{name: "nor above it", at: at, until: "logs/2024/06/", around: few, asked: map[string]string{"logs/2024/05/": "", "logs/2024/": ""}},
		{name: "not where folders are small", at: at, around: crowd, folder: "logs/2024/", ok: true},
		{name: "not outside of the prefix", at: "other/a/b", around: few},
		{name: "no folder", at: "logs/a.gz", around: []string{"logs/a.gz"}},
		{name: "all known", at: at, around: few, asked: map[string]string{"logs/": "", "logs/2024/": "", "logs/2024/05/": ""}},
	} {
		f := &folders{prefix: "logs/", asked: c.asked}
		if folder, ok := f.ask(c.at, c.until, c.around); folder != c.folder || ok != c.ok {
			t.Errorf("%s: %q, %t; want %q, %t", c.name, folder, ok, c.folder, c.ok)
		}
	}
}

// TestFoldersAskNoMore when the answers are of no use.
func TestFoldersAskNoMore(t *testing.T) {
	f := &folders{}
	for i := range 3 {
		folder := fmt.Sprintf("%d/", i)
		if _, ok := f.ask(folder+"x/y", "", nil); !ok {
			t.Fatalf("no question after %d", i)
		}
		f.asking(folder)
		f.tell(folder, nil, false)
	}
	if folder, ok := f.ask("z/x/y", "", nil); ok {
		t.Errorf("asks for %q", folder)
	}
}

func TestFoldersAllow(t *testing.T) {
	f := &folders{known: []string{"a/c/", "a/d/", "b/"}}
	for _, c := range []struct {
		at, guess, until string
		want             bool
	}{
		{"a/b/5", "a/b/9", "", true},
		{"a/b/5", "a/b/4", "", false},
		{"a/b/5", "a/bb/9", "", false},    // the next folder is a/c
		{"a/b/5", "a/c/9", "", false},     // is known, and no guess
		{"a/b5", "a/b9", "", true},        // a key beside the folders
		{"a/d/5", "a/e/5", "b/", true},    // within a, of which more may be unknown
		{"a/d/5", "aa/5", "b/", false},    // but not beside it
		{"b/5", "c/5", "", true},          // nothing is known there
		{"a/b/5", "a/b/9", "a/b/7", true}, // the end is for others to check
	} {
		if got := f.allow(c.at, c.guess, c.until); got != c.want {
			t.Errorf("from %q to %q, until %q: %t", c.at, c.guess, c.until, got)
		}
	}
}

func TestFoldersForget(t *testing.T) {
	f := &folders{known: []string{"a/b/", "a/c/", "b/"}, asked: map[string]string{"": "", "a/": "", "a/b/": "", "b/": ""}}
	f.forget("a/c/1")
	if !slices.Equal(f.known, []string{"b/"}) || len(f.asked) != 3 || f.asked["a/b/"] != "" {
		t.Errorf("knows %q, asked %q", f.known, f.asked)
	}
	if _, asked := f.asked["a/b/"]; asked {
		t.Error("a folder that is behind is remembered")
	}
}

func TestFoldersPass(t *testing.T) {
	f := &folders{known: []string{"b/", "c/", "d/", "x/"}}
	if began := f.pass("a/1", "c/5", 1); began != 2 {
		t.Errorf("%d folders begin", began)
	}
	if began := f.pass("d/", "d/9", 0.5); began != 1 {
		t.Errorf("%d folders begin where the page does", began)
	}
	f.pass("x/8", "y/1", 1) // beyond what is known
	if each, known := f.each(); each != 0.5 || !known {
		t.Errorf("%v pages each, %t", each, known)
	}
}

// TestSubfolders: whatever the names, and however the server sends them.
func TestSubfolders(t *testing.T) {
	for _, options := range [][]s3test.Option{nil, {s3test.WithoutFeature(s3test.URLEncoding)}} {
		play(t, Config{}, func(t *testing.T, s *stage) {
			s.fill([]string{"a b/1", "a b/2", "a+b/1", "d/d/1", "d/e/1", "d/f", "é/1", "é/2", "z"})
			for _, c := range []struct {
				folder, after string
				most          int
				names         []string
				more          bool
			}{
				{"", "", 1000, []string{"a b/", "a+b/", "d/", "é/"}, false},
				{"", "a b/1", 1000, []string{"a+b/", "d/", "é/"}, false},
				{"", "", 2, []string{"a b/", "a+b/"}, true},
				{"d/", "d/d/1", 1000, []string{"d/e/"}, false},
				{"z", "", 1000, nil, false},
			} {
				names, more, err := s.client.subfolders(t.Context(), c.folder, c.after, c.most)
				if err != nil || !slices.Equal(names, c.names) || more != c.more {
					t.Errorf("folders in %q after %q: %q, %t, %v", c.folder, c.after, names, more, err)
				}
			}
		}, options...)
	}
}

// TestListParallelWithoutFolders: who may not ask for folders gets all keys
// all the same, and is not asked again and again.
func TestListParallelWithoutFolders(t *testing.T) {
	play(t, Config{}, func(t *testing.T, s *stage) {
		keys := sorted(shapes["nested folders"](60 * shapePage))
		s.fill(keys)
		refused := s.fault(s3test.Fault{
			Match:  func(r s3test.Request) bool { return r.Query.Has("delimiter") },
			Times:  s3test.Always,
			Action: s3test.Status(403, "AccessDenied"),
		})
		got, err := listedParallel(t.Context(), s.client, Range{page: shapePage}, 8)
		if err != nil || !slices.Equal(got, keys) {
			t.Errorf("%d keys, %v; want %d", len(got), err, len(keys))
		}
		if n := refused.Fired(); n == 0 || n > 4 {
			t.Errorf("asked %d times", n)
		}
	})
}

// TestScoutsAreFew: no question is asked twice at a time, and none before the
// pages that pay for it were listed.
func TestScoutsAreFew(t *testing.T) {
	l := &parallelList{workers: 4, listed: scoutEvery}
	first := &listPiece{at: "a/b/1", around: []string{"a/b/1"}}
	folder, after, ok := l.unknown(first)
	if !ok || folder != "a/" {
		t.Fatalf("asks for %q, %t", folder, ok)
	}
	l.scout(folder, after) // is not answered
	l.listed = 10 * scoutEvery
	if folder, _, ok := l.unknown(first); ok && folder == "a/" {
		t.Error("the same question while it is not answered")
	}
	l.folders.tell("a/", []string{"a/c/"}, false)
	elsewhere := &listPiece{at: "x/y/1", around: []string{"x/y/1"}}
	for _, c := range []struct {
		listed int
		want   bool
	}{{scoutEvery - 1, false}, {scoutEvery, true}} {
		l.listed = c.listed
		if _, _, ok := l.unknown(elsewhere); ok != c.want {
			t.Errorf("after %d pages and %d questions another one: %t", c.listed, l.folders.tried, ok)
		}
	}
}
