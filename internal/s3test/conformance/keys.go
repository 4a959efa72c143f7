package conformance

import "strings"

// HostileKeys is a set of keys, legal in S3 when put side by side into one bucket, that
// some servers cannot keep.
type HostileKeys struct {
	Name string // of their row: "key/" + Name
	Keys []string
	lost map[Server]loss
}

// loss is what becomes of hostile keys on a server that cannot keep them: either one is
// refused when it is put, or others are listed in their place.
type loss struct {
	why     string
	refused string // the key, empty when none is
	answer  answer
	listed  []string
}

func hostile(name string, keys ...string) HostileKeys {
	return HostileKeys{Name: name, Keys: keys}
}

// refusedBy tells which key a server refuses.
func (h HostileKeys) refusedBy(server Server, why, key string, a answer) HostileKeys {
	return h.losing(server, loss{why: why, refused: key, answer: a})
}

// listedBy tells what a server that takes all keys lists instead.
func (h HostileKeys) listedBy(server Server, why string, keys ...string) HostileKeys {
	return h.losing(server, loss{why: why, listed: keys})
}

func (h HostileKeys) losing(server Server, l loss) HostileKeys {
	lost := map[Server]loss{server: l}
	for name, other := range h.lost {
		lost[name] = other
	}
	h.lost = lost
	return h
}

// KeptBy tells whether a server keeps all of the keys.
func (h HostileKeys) KeptBy(server Server) bool {
	_, lost := h.lost[server]
	return !lost
}

const (
	isPath      = "an object is a file: its key is cleaned as a path"
	noPath      = "a key that is no clean path is refused"
	isFile      = "an object is a file, which cannot be a folder too"
	hidesUnder  = "a listing does not look under a key that is an object"
	longName    = "a component is a file name of at most 255 bytes"
	rawListing  = "listings are not encoded, and XML cannot hold the character"
	noControl   = "control characters are refused"
	cutsSlashes = "leading slashes are dropped"
)

// Hostile returns all hostile keys of the table.
func Hostile() []HostileKeys {
	const (
		minioObject   = "XMinioInvalidObjectName"
		minioResource = "XMinioInvalidResourceName"
	)
	all := []HostileKeys{
		hostile("folder marker", "folder/"),
		hostile("folder marker beside its content", "folder/", "folder/x"),
		hostile("object beside a folder of its name", "a", "a/b").
			listedBy(MinIO, hidesUnder, "a").
			refusedBy(Versity, isFile, "a/b", refused(409, "ObjectParentIsFile")),
		hostile("folder beside an object of its name", "a/b", "a").
			listedBy(MinIO, hidesUnder, "a").
			refusedBy(Versity, isFile, "a", refused(409, "ExistingObjectIsDirectory")),
		hostile("object beside its folder marker", "a", "a/").
			refusedBy(Versity, isFile, "a/", refused(409, "ObjectParentIsFile")),
		hostile("empty component", "x//y").
			refusedBy(MinIO, noPath, "x//y", refused(400, minioObject)).
			listedBy(Versity, isPath, "x/y"),
		hostile("empty component beside the clean key", "x/y", "x//y").
			refusedBy(MinIO, noPath, "x//y", refused(400, minioObject)).
			listedBy(Versity, isPath, "x/y"),
		hostile("two trailing slashes", "x//").
			refusedBy(MinIO, noPath, "x//", refused(400, minioObject)).
			listedBy(Versity, isPath, "x/"),
		hostile("leading dot component", "./x").
			refusedBy(MinIO, noPath, "./x", refused(400, minioResource)).
			listedBy(Versity, isPath, "x"),
		hostile("leading dot-dot component", "../x").
			refusedBy(MinIO, noPath, "../x", refused(400, minioResource)).
			refusedBy(Versity, noPath, "../x", status(400)),
		hostile("dot component inside", "a/./b").
			refusedBy(MinIO, noPath, "a/./b", refused(400, minioResource)).
			listedBy(Versity, isPath, "a/b"),
		hostile("dot-dot component inside", "a/../b").
			refusedBy(MinIO, noPath, "a/../b", refused(400, minioResource)).
			listedBy(Versity, isPath, "b"),
		hostile("trailing dot component", "a/.").
			refusedBy(MinIO, noPath, "a/.", refused(400, minioResource)).
			listedBy(Versity, isPath, "a"),
		hostile("dot", ".").
			refusedBy(MinIO, noPath, ".", refused(400, minioResource)).
			refusedBy(Versity, noPath, ".", status(400)),
		hostile("dot-dot", "..").
			refusedBy(MinIO, noPath, "..", refused(400, minioResource)).
			refusedBy(Versity, noPath, "..", status(400)),
		hostile("dots that are no component", "...", "a/..b", "a/b..", ".a"),
		hostile("leading slash", "/lead").
			listedBy(MinIO, cutsSlashes, "lead").
			listedBy(Versity, isPath, "lead"),
		hostile("two leading slashes", "//lead").
			listedBy(MinIO, cutsSlashes, "lead").
			listedBy(Versity, isPath, "lead"),
		hostile("slash", "/").
			refusedBy(MinIO, noPath, "/", refused(400, minioObject)).
			refusedBy(Versity, noPath, "/", status(400)),
		hostile("spaces", " lead", "sp ace", "trail ", "two  spaces"),
		hostile("composed and decomposed letters", "e\u0301", "é"),
		hostile("percent signs", "%", "%2F", "%zz", "100%", "a%20b", "a b"),
		hostile("plus signs", "+", "a b", "a+b"),
		hostile("punctuation", "!-_.*'()", `&$@=;:,`, `{}^'[]"<>~#|`, `back\slash`, "`"),
		hostile("query and fragment characters", "a#b", "a?b=c", "k?versioning"),
		hostile("variable of a template", "{key}", "${key}"),
		hostile("control character", "c\x01tl").
			listedBy(Versity, rawListing, "c\ufffdtl").
			refusedBy(MiniS3, noControl, "c\x01tl", refused(400, "InvalidURI")),
		hostile("tab and line ends", "t\tab", "n\nl", "c\rr").
			refusedBy(MiniS3, noControl, "t\tab", refused(400, "InvalidURI")),
		hostile("delete character", "d\x7fl").
			refusedBy(MiniS3, noControl, "d\x7fl", refused(400, "InvalidURI")),
		hostile("null character", "n\x00l").
			refusedBy(MinIO, noControl, "n\x00l", refused(400, minioObject)).
			refusedBy(Versity, noControl, "n\x00l", refused(500, "InternalError")).
			refusedBy(MiniS3, noControl, "n\x00l", refused(400, "InvalidURI")),
		hostile("character that is none in XML", "x\ufffe").
			listedBy(Versity, rawListing, "x\ufffd"),
		hostile("bidirectional and invisible characters", "a\u202eb", "a\u200bb", "a\ufeffb", "שלום"),
		hostile("all planes", "z", "é", "漢字", "\uff5e", "😀"),
		hostile("order of bytes around the slash", "a", "a!", "a-b", "a.", "a0", "aB", "ab"),
		hostile("case", "KEY", "Key", "key"),
		hostile("names that another system reserves", "CON", "a:b", "aux.txt", "trail."),
		hostile("names that a server may reserve", ".metadata", ".minio.sys/x", ".uploads/x", "a/xl.meta/b", "xl.meta"),
		hostile("versitygw's own folder", ".sgwtmp/x").
			listedBy(Versity, "its own temporary files live there"),
		hostile("500 folders deep", strings.Repeat("d/", 500)+"k"),
		hostile("1024 bytes", strings.Repeat(strings.Repeat("k", 99)+"/", 10)+strings.Repeat("k", 24)),
		hostile("1024 bytes in letters of three", strings.Repeat("漢", 341)+"k").
			refusedBy(MinIO, longName, strings.Repeat("漢", 341)+"k", refused(400, minioObject)).
			refusedBy(Versity, longName, strings.Repeat("漢", 341)+"k", refused(400, "KeyTooLongError")),
		hostile("component of 300 bytes", "d/"+strings.Repeat("c", 300)).
			refusedBy(MinIO, longName, "d/"+strings.Repeat("c", 300), refused(400, minioObject)).
			refusedBy(Versity, longName, "d/"+strings.Repeat("c", 300), status(409)),
	}
	return all
}

// otherKeyRows are about keys, but not about which of them are kept.
func otherKeyRows() []conversation {
	return []conversation{
		row("key/folder marker with data", plain,
			put("folder/", "12345").gives(ok()).
				but(Versity, "a folder marker is a folder", refused(400, "DirectoryObjectContainsData")),
			get("folder/").gives(ok().data("12345"))),
		row("key/1025 bytes", plain,
			put(strings.Repeat(strings.Repeat("k", 99)+"/", 10)+strings.Repeat("k", 25), "x").
				gives(refused(400, "KeyTooLongError")).
				but(Versity, "no limit but the file system's", ok()).
				but(MiniS3, "no limit", ok())),
	}
}

// row puts the keys, finds them all and nothing else, and removes them again.
func (h HostileKeys) row() conversation {
	var steps []step
	for _, key := range h.Keys {
		s := put(key, content(key)).gives(ok())
		for server, l := range h.lost {
			if l.refused == key {
				s = s.but(server, l.why, l.answer)
			}
		}
		steps = append(steps, s)
	}
	listing := list().gives(ok().keys(sorted(h.Keys)...))
	for server, l := range h.lost {
		if l.refused == "" {
			listing = listing.but(server, l.why, ok().keys(l.listed...))
		}
	}
	steps = append(steps, listing)
	for _, key := range h.Keys {
		steps = append(steps,
			get(key).gives(ok().data(content(key))),
			head(key).gives(ok().has("ETag", etag(content(key)))),
			list("prefix", key, "max-keys", "1").gives(ok().keys(key)),
		)
	}
	for _, key := range h.Keys {
		steps = append(steps,
			remove(key).gives(gone()),
			get(key).gives(missing(key)),
		)
	}
	steps = append(steps, list().gives(ok().keys()))
	return row("key/"+h.Name, plain, steps...)
}

// missing is the answer for a key that has no object. Its document names the key, so that
// one which XML 1.0 cannot hold makes it unreadable: then only the status counts.
func missing(key string) answer {
	legal := func(c rune) bool {
		return c == '\t' || c == '\n' || c == '\r' || c >= ' ' && c != '\ufffe' && c != '\uffff'
	}
	if strings.ContainsFunc(key, func(c rune) bool { return !legal(c) }) {
		return status(404)
	}
	return refused(404, "NoSuchKey")
}

// content is what a hostile key's object holds: nothing when it is a folder marker, to which
// some servers can give no data.
func content(key string) string {
	if strings.HasSuffix(key, "/") {
		return ""
	}
	return "data of " + key
}

func keyRows() []conversation {
	rows := otherKeyRows()
	for _, h := range Hostile() {
		rows = append(rows, h.row())
	}
	return rows
}
