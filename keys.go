package s3kloset

import (
	"cmp"
	"fmt"
	"iter"
	"path"
	"strings"
	"unicode/utf8"
)

// A key of S3 is any bytes; a path of Kloset is absolute and clean, holds
// valid UTF-8 (plugins speak protobuf), and no file of a snapshot is also a
// folder. The mapping between them works on the components of the key, what
// stands between its slashes, and changes none that is already fit:
//
//	component                     in the path
//	empty                         %2F
//	.                             %2E
//	..                            %2E%2E
//	begins with %                 %25 in place of that first %
//	not valid UTF-8               %= and the component, each % and each
//	                              invalid byte in it written as %XX
//	the key itself, when other    one more component, % alone
//	keys lie below it
//
// Every form that is not the component itself begins with %, and the second
// byte tells them apart. Decoding refuses whatever encoding cannot have
// written, so that each is the inverse of the other.

// maxKey is the length of the longest key that S3 takes, in bytes.
const maxKey = 1024

// folderObject is the path component of an object whose key is also a folder.
const folderObject = "%"

// emptyComponent stands between two slashes, and behind the last.
const emptyComponent = "%2F"

// pathOfKey is the path of the object with the given key. With folder set
// there are keys below key + "/", and the object must not be a file where
// they need a folder.
func pathOfKey(key string, folder bool) string {
	var b strings.Builder
	b.Grow(len(key) + len("/") + len("/"+folderObject))
	for component := range strings.SplitSeq(key, "/") {
		b.WriteByte('/')
		b.WriteString(encodeComponent(component))
	}
	if folder {
		b.WriteString("/" + folderObject)
	}
	return b.String()
}

// keyOfPath undoes pathOfKey for a path that is seen from a restored folder
// and puts the key below prefix, which has no trailing slash. The object of
// the restored folder itself gets the key prefix. All errors are ErrInvalidKey.
func keyOfPath(prefix, name string) (string, error) {
	components, err := componentsOf(name)
	if err != nil {
		return "", err
	}
	if last := len(components) - 1; components[last] == folderObject {
		components = components[:last]
	}
	for i, component := range components {
		decoded, ok := decodeComponent(component)
		if !ok {
			return "", fmt.Errorf("%w: path %q: malformed component %q", ErrInvalidKey, name, component)
		}
		components[i] = decoded
	}
	return joinKey(prefix, name, components)
}

// literalKey is keyOfPath for records that this package did not write: their
// paths hold no escapes, a percent sign means itself.
func literalKey(prefix, name string) (string, error) {
	components, err := componentsOf(name)
	if err != nil {
		return "", err
	}
	return joinKey(prefix, name, components)
}

// prefixPath is the folder of all keys below prefix, and of the key prefix.
func prefixPath(prefix string) string {
	if prefix == "" {
		return "/"
	}
	return pathOfKey(prefix, false)
}

func componentsOf(name string) ([]string, error) {
	if !path.IsAbs(name) || path.Clean(name) != name {
		return nil, fmt.Errorf("%w: path %q: not absolute and clean", ErrInvalidKey, name)
	}
	if name == "/" {
		return nil, fmt.Errorf("%w: path %q: the root is not an object", ErrInvalidKey, name)
	}
	return strings.Split(name[1:], "/"), nil
}

func joinKey(prefix, name string, components []string) (string, error) {
	key := strings.Join(components, "/")
	switch {
	case len(components) == 0:
		key = prefix
	case prefix != "":
		key = prefix + "/" + key
	}
	if key == "" {
		return "", fmt.Errorf("%w: path %q: the key is empty", ErrInvalidKey, name)
	}
	if len(key) > maxKey {
		return "", fmt.Errorf("%w: path %q: a key of %d bytes, at most %d are possible",
			ErrInvalidKey, name, len(key), maxKey)
	}
	return key, nil
}

func encodeComponent(component string) string {
	switch {
	case component == "":
		return emptyComponent
	case component == ".":
		return "%2E"
	case component == "..":
		return "%2E%2E"
	case !utf8.ValidString(component):
		return "%=" + percentEncode(component, nil)
	case component[0] == '%':
		return "%25" + component[1:]
	}
	return component
}

func decodeComponent(component string) (decoded string, ok bool) {
	switch {
	case component == emptyComponent:
		return "", true
	case component == "%2E":
		return ".", true
	case component == "%2E%2E":
		return "..", true
	case strings.HasPrefix(component, "%="):
		decoded, ok = percentDecode(component[len("%="):])
	case strings.HasPrefix(component, "%25"):
		decoded, ok = "%"+component[len("%25"):], true
	default:
		decoded, ok = component, true
	}
	// There is one way to write a component; anything else would give two
	// paths to one key.
	return decoded, ok && encodeComponent(decoded) == component
}

// percentEncode writes %, every byte that is not part of valid UTF-8, and the
// ASCII bytes that special names (nil for none) as %XX. The result is valid UTF-8.
func percentEncode(s string, special func(byte) bool) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		invalid := r == utf8.RuneError && size == 1
		ascii := r < utf8.RuneSelf
		if invalid || s[0] == '%' || ascii && special != nil && special(s[0]) {
			b.Write([]byte{'%', digits[s[0]>>4], digits[s[0]&15]})
		} else {
			b.WriteString(s[:size])
		}
		s = s[size:]
	}
	return b.String()
}

// percentDecode undoes percentEncode. It does not see whether the bytes that
// are escaped had to be: encode again and compare.
func percentDecode(s string) (decoded string, ok bool) {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(s, "%")
		b.WriteString(before)
		if !found {
			return b.String(), true
		}
		if len(after) < 2 {
			return "", false
		}
		high, low := hexDigit(after[0]), hexDigit(after[1])
		if high < 0 || low < 0 {
			return "", false
		}
		b.WriteByte(byte(high<<4 | low))
		s = after[2:]
	}
}

func hexDigit(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// foldersOf yields the folders that lead to the path next and did not lead to
// prev, outermost first. With the empty string for prev the root is among
// them. Called for each path in the order of a folderDecider, it yields every
// folder once.
func foldersOf(prev, next string) iter.Seq[string] {
	return func(yield func(string) bool) {
		if prev == "" && !yield("/") {
			return
		}
		// A slash of next that prev has in the same place, after the same
		// bytes, ends a folder of both.
		for i := max(1, commonPrefix(prev, next)); i < len(next); i++ {
			if next[i] == '/' && !yield(next[:i]) {
				return
			}
		}
	}
}

func commonPrefix(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// decided is a key of which it is known whether it is also a folder.
type decided[T any] struct {
	key    string
	item   T
	folder bool // there are keys that begin with key + "/"
}

// folderDecider finds out which keys of a listing are also folders. A listing
// has a before a/b, but a! and a-b may come between them: a key is held until
// a key arrives that is below it, or past everything that could be.
//
// Keys come out in an order in which the keys of a folder, its own object
// included, follow one another; it is otherwise that of the listing. Held keys
// are proper prefixes of one another, so there are never more than a key has
// bytes. The zero value is ready. Keys must be added in byte order.
type folderDecider[T any] struct {
	held []decided[T] // each key a prefix of the next one
}

// add takes the next key and returns the ones that it decides.
func (d *folderDecider[T]) add(key string, item T) []decided[T] {
	released := d.pass(key)
	d.held = append(d.held, decided[T]{key: key, item: item})
	return released
}

// pass is add for a key that is not to come out itself. It need not exist: to
// pass key + "/" is to say that there are keys below key.
func (d *folderDecider[T]) pass(key string) []decided[T] {
	var released []decided[T]
	for len(d.held) > 0 {
		last := d.held[len(d.held)-1]
		rest, isPrefix := strings.CutPrefix(key, last.key)
		if isPrefix && (rest == "" || rest[0] < '/') {
			break
		}
		last.folder = isPrefix && rest[0] == '/'
		released = append(released, last)
		d.drop()
	}
	return released
}

// finish says that there are no more keys, and returns those still held.
func (d *folderDecider[T]) finish() []decided[T] {
	var released []decided[T]
	for len(d.held) > 0 {
		released = append(released, d.held[len(d.held)-1])
		d.drop()
	}
	return released
}

// undecided returns the held keys that a key from end on could still make
// folders, innermost first: what finish would only guess when the listing
// goes on elsewhere. The empty end is that of the bucket, where nothing is open.
func (d *folderDecider[T]) undecided(end string) []string {
	if end == "" {
		return nil
	}
	var keys []string
	for i := len(d.held) - 1; i >= 0; i-- {
		// '0' is what follows '/': no key below this one sorts after it.
		if key := d.held[i].key; end < key+"0" {
			keys = append(keys, key)
		}
	}
	return keys
}

// compareKeys is the order in which a folderDecider releases keys: byte by
// byte, with the end of a key just before a slash.
func compareKeys(a, b string) int {
	n := commonPrefix(a, b)
	switch {
	case n < len(a) && n < len(b):
		return cmp.Compare(a[n], b[n])
	case n == len(a) && n == len(b):
		return 0
	case n == len(a) && b[n] < '/', n == len(b) && a[n] >= '/':
		return 1
	}
	return -1
}

func (d *folderDecider[T]) drop() {
	last := len(d.held) - 1
	d.held[last] = decided[T]{} // do not keep the item alive
	d.held = d.held[:last]
}
