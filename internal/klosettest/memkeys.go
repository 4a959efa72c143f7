package klosettest

import (
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/PlakarKorp/kloset/objects"
)

// The attributes that carry an object's properties through a snapshot. The
// first is on every object, so that paths of other origin are told apart.
const (
	attrObject   = "mem.object="
	attrHeader   = "mem.header."
	attrMetadata = "mem.metadata."
	attrTags     = "mem.tags."
)

// EntriesOf maps the objects of a bucket to the tree that [MemImporter] imports:
// a folder for every prefix, an escape for every key that is no path.
//
// A component that a path cannot have is escaped by a leading percent sign, and
// a real leading percent sign becomes %25. An object whose key is a folder too is
// the file "%" in that folder.
func EntriesOf(objs []Object) []Entry {
	prefixes := make(map[string]bool)
	for _, o := range objs {
		for i := range o.Key {
			if o.Key[i] == '/' {
				prefixes[o.Key[:i]] = true
			}
		}
	}
	entries := []Entry{Folder("/")}
	for _, prefix := range slices.Sorted(maps.Keys(prefixes)) {
		entries = append(entries, Folder(keyPath(prefix)))
	}
	for _, o := range objs {
		pathname := keyPath(o.Key)
		if prefixes[o.Key] {
			pathname += "/%"
		}
		entries = append(entries, objectEntry(pathname, o))
	}
	return entries
}

// ObjectsOf undoes [EntriesOf]. Files that do not come from an object are taken
// as they are; folders and symlinks are left out.
func ObjectsOf(entries []Entry) []Object {
	var objs []Object
	for _, e := range entries {
		if e.IsRegular() {
			objs = append(objs, entryObject(e))
		}
	}
	return objs
}

func objectEntry(pathname string, o Object) Entry {
	e := File(pathname, o.Body)
	if !o.ModTime.IsZero() {
		e.Info.LmodTime = o.ModTime
	}
	e.Attributes = []string{attrObject + "1"}
	for _, h := range headers {
		if v := *h.field(&o); v != "" {
			e.Attributes = append(e.Attributes, attrHeader+string(h.property)+"="+v)
		}
	}
	for prefix, m := range map[string]map[string]string{attrMetadata: o.Metadata, attrTags: o.Tags} {
		for k, v := range m {
			e.Attributes = append(e.Attributes, prefix+hex.EncodeToString([]byte(k))+"="+v)
		}
	}
	slices.Sort(e.Attributes)
	// Equal file infos must mean equal attributes, or the engine would keep the
	// entry of the previous snapshot.
	digest := fnv.New64a()
	for _, a := range e.Attributes {
		fmt.Fprintf(digest, "%d:%s", len(a), a)
	}
	digest.Write(o.Body)
	e.Info.Lino = digest.Sum64()
	return e
}

func entryObject(e Entry) Object {
	o := Object{Key: strings.TrimPrefix(e.Path, "/"), Body: e.Body, ModTime: e.Info.ModTime()}
	if !slices.Contains(e.Attributes, attrObject+"1") {
		return o
	}
	o.Key = pathKey(e.Path)
	for _, a := range e.Attributes {
		name, value, _ := strings.Cut(a, "=")
		for _, h := range headers {
			if name == attrHeader+string(h.property) {
				*h.field(&o) = value
			}
		}
		putAttribute(&o.Metadata, attrMetadata, name, value)
		putAttribute(&o.Tags, attrTags, name, value)
	}
	return o
}

// putAttribute adds the value to the map if the name has the prefix.
func putAttribute(m *map[string]string, prefix, name, value string) {
	digits, ok := strings.CutPrefix(name, prefix)
	key, err := hex.DecodeString(digits)
	if !ok || err != nil {
		return
	}
	if *m == nil {
		*m = make(map[string]string)
	}
	(*m)[string(key)] = value
}

func keyPath(key string) string {
	parts := strings.Split(key, "/")
	for i, part := range parts {
		parts[i] = escape(part)
	}
	return "/" + strings.Join(parts, "/")
}

func pathKey(pathname string) string {
	parts := strings.Split(strings.TrimPrefix(pathname, "/"), "/")
	if parts[len(parts)-1] == "%" {
		parts = parts[:len(parts)-1]
	}
	for i, part := range parts {
		parts[i] = unescape(part)
	}
	return strings.Join(parts, "/")
}

func escape(part string) string {
	switch {
	case part == "":
		return "%2F"
	case part == ".":
		return "%2E"
	case part == "..":
		return "%2E%2E"
	case !utf8.ValidString(part):
		return "%x" + hex.EncodeToString([]byte(part))
	case part[0] == '%':
		return "%25" + part[1:]
	default:
		return part
	}
}

func unescape(part string) string {
	switch part {
	case "%2F":
		return ""
	case "%2E":
		return "."
	case "%2E%2E":
		return ".."
	}
	if rest, ok := strings.CutPrefix(part, "%25"); ok {
		return "%" + rest
	}
	if digits, ok := strings.CutPrefix(part, "%x"); ok {
		if raw, err := hex.DecodeString(digits); err == nil {
			return string(raw)
		}
	}
	return part
}

// checkPath says what is wrong with a record's path and name for the engine or
// for the wire to a plugin, and nil if nothing is. The engine itself refuses
// none of these: it drops the record or damages the snapshot.
func checkPath(pathname string, info objects.FileInfo) error {
	switch {
	case !path.IsAbs(pathname):
		return fmt.Errorf("path is not absolute")
	case path.Clean(pathname) != pathname:
		return fmt.Errorf("path is not clean, it should be %q", path.Clean(pathname))
	case !utf8.ValidString(pathname):
		return fmt.Errorf("path is not UTF-8")
	case pathname == "/" && !info.IsDir():
		return fmt.Errorf("the root is not a folder")
	case path.Base(pathname) != info.Name():
		return fmt.Errorf("name is %q, the last component is %q", info.Name(), path.Base(pathname))
	case pathname != "/" && !fs.ValidPath(pathname[1:]):
		return fmt.Errorf("path has an invalid component")
	default:
		return nil
	}
}
