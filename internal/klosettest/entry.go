package klosettest

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/PlakarKorp/kloset/connectors"
	"github.com/PlakarKorp/kloset/objects"
)

// Entry is one path of a tree: what a record says about it, and its content.
type Entry struct {
	Path       string // absolute and clean
	Info       objects.FileInfo
	Target     string // of a symlink
	Attributes []string
	Body       []byte // of a regular file
}

// epoch is the modification time of everything that the fixtures generate.
var epoch = time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)

// File returns an entry for a regular file.
func File(pathname string, body []byte) Entry {
	return Entry{
		Path: pathname,
		Info: objects.NewFileInfo(path.Base(pathname), int64(len(body)), 0o644, epoch, 0, 0, 0, 0, 1),
		Body: body,
	}
}

// Folder returns an entry for a directory.
func Folder(pathname string) Entry {
	return Entry{
		Path: pathname,
		Info: objects.NewFileInfo(path.Base(pathname), 0, fs.ModeDir|0o755, epoch, 0, 0, 0, 0, 1),
	}
}

// Symlink returns an entry for a symbolic link.
func Symlink(pathname, target string) Entry {
	return Entry{
		Path:   pathname,
		Info:   objects.NewFileInfo(path.Base(pathname), int64(len(target)), fs.ModeSymlink|0o777, epoch, 0, 0, 0, 0, 1),
		Target: target,
	}
}

// IsRegular tells whether the entry is a regular file.
func (e Entry) IsRegular() bool { return e.Info.Mode().IsRegular() }

// record returns a new record of the entry that calls opened whenever its body
// is opened.
func (e Entry) record(opened func()) *connectors.Record {
	return connectors.NewRecord(e.Path, e.Target, e.Info, slices.Clone(e.Attributes), func() (io.ReadCloser, error) {
		if !e.IsRegular() {
			return nil, fs.ErrInvalid
		}
		opened()
		return io.NopCloser(bytes.NewReader(e.Body)), nil
	})
}

// Tree returns a generated tree that is the same at every call: a few dozen
// files of many sizes in nested folders, without symlinks, which not every
// destination can hold.
func Tree() []Entry {
	tree := []Entry{Folder("/")}
	for _, dir := range []string{"docs", "docs/img", "docs/img/big", "empty", "logs"} {
		tree = append(tree, Folder("/"+dir))
	}
	for i, size := range []int{0, 1, 124, 4095, 4096, 4097, 70_000, 300_000} {
		tree = append(tree, File(fmt.Sprintf("/docs/%d.bin", i), noise(uint64(i+1), size)))
	}
	tree = append(tree,
		File("/README", []byte("read me\n")),
		File("/docs/img/big/3MiB", noise(100, 3*mib)),
		File("/docs/img/big/zeros", make([]byte, 2*mib)),
		File("/docs/img/same", noise(8, 300_000)), // the content of /docs/7.bin
		File("/docs/img/\u00fcml\u00e4ut and space", []byte("u")),
	)
	for i := range 20 {
		tree = append(tree, File(fmt.Sprintf("/logs/%02d.log", i), []byte(strings.Repeat(fmt.Sprintln("line", i), 50*i))))
	}
	return tree
}

// diffEntries compares two trees and returns one line for each difference. The
// root is left out: the engine makes one up where there is none.
func diffEntries(want, got []Entry) []string {
	byPath := func(entries []Entry) map[string]Entry {
		m := make(map[string]Entry)
		for _, e := range entries {
			if e.Path != "/" {
				m[e.Path+kind(e)] = e
			}
		}
		return m
	}
	wants, gots := byPath(want), byPath(got)

	var lines []string
	for key, w := range wants {
		if g, ok := gots[key]; !ok {
			lines = append(lines, fmt.Sprintf("%q is missing", key))
		} else {
			lines = append(lines, diffEntry(w, g)...)
		}
	}
	for key := range gots {
		if _, ok := wants[key]; !ok {
			lines = append(lines, fmt.Sprintf("%q is there and should not be", key))
		}
	}
	slices.Sort(lines)
	return lines
}

func diffEntry(want, got Entry) []string {
	var lines []string
	if line := diffBody(want.Body, got.Body); line != "" {
		lines = append(lines, fmt.Sprintf("%q: body: %s", want.Path, line))
	}
	if !want.Info.Equal(&got.Info) {
		lines = append(lines, fmt.Sprintf("%q: file info: got %+v, want %+v", want.Path, got.Info, want.Info))
	}
	if want.Target != got.Target {
		lines = append(lines, fmt.Sprintf("%q: target: got %q, want %q", want.Path, got.Target, want.Target))
	}
	// The engine sorts the list.
	w, g := slices.Sorted(slices.Values(want.Attributes)), slices.Sorted(slices.Values(got.Attributes))
	if !slices.Equal(w, g) {
		lines = append(lines, fmt.Sprintf("%q: attributes: got %q, want %q", want.Path, g, w))
	}
	return lines
}

// kind marks folders, because a file and a folder may share a path.
func kind(e Entry) string {
	if e.Info.IsDir() {
		return "/"
	}
	return ""
}
