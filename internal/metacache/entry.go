// Package metacache keeps the metadata of objects on disk, in an order of
// their keys that the caller defines: a run reads the file of the last one beside its listing, in one
// pass, and writes it anew. Memory is a block of each.
//
// A file that is missing, damaged or of another version is as good as none. It
// is replaced as a whole at the end of a run, so a crash leaves the old one, and
// of two runs at once the later wins.
package metacache

import (
	"encoding/binary"
	"errors"
	"time"
)

// Entry is what was known of an object when it was last seen.
type Entry struct {
	Key        string
	Size       int64
	Modified   time.Time
	Attributes []string
}

var errDamaged = errors.New("metadata cache is damaged")

// encode appends the entry in its binary form.
func (e *Entry) encode(to []byte) []byte {
	to = appendText(to, e.Key)
	to = binary.AppendUvarint(to, uint64(e.Size))
	to = binary.AppendVarint(to, e.Modified.UnixNano())
	to = binary.AppendUvarint(to, uint64(len(e.Attributes)))
	for _, a := range e.Attributes {
		to = appendText(to, a)
	}
	return to
}

func appendText(to []byte, s string) []byte {
	return append(binary.AppendUvarint(to, uint64(len(s))), s...)
}

// decode reads an entry and returns what comes after it.
func decode(from []byte) (*Entry, []byte, error) {
	d := decoder{rest: from}
	e := &Entry{Key: d.text(), Size: int64(d.number()), Modified: time.Unix(0, d.signed()).UTC()}
	count := d.number()
	if count > uint64(len(d.rest)) { // each takes a byte at least
		d.failed = true
	}
	for range count {
		if d.failed {
			break
		}
		e.Attributes = append(e.Attributes, d.text())
	}
	if d.failed || e.Size < 0 {
		return nil, nil, errDamaged
	}
	return e, d.rest, nil
}

// decoder takes values off the front of a slice.
type decoder struct {
	rest   []byte
	failed bool
}

func (d *decoder) number() uint64 {
	n, size := binary.Uvarint(d.rest)
	d.skip(size)
	return n
}

func (d *decoder) signed() int64 {
	n, size := binary.Varint(d.rest)
	d.skip(size)
	return n
}

func (d *decoder) skip(size int) {
	if size <= 0 || d.failed {
		d.failed, d.rest = true, nil
		return
	}
	d.rest = d.rest[size:]
}

func (d *decoder) text() string {
	n := d.number()
	if d.failed || n > uint64(len(d.rest)) {
		d.failed, d.rest = true, nil
		return ""
	}
	s := string(d.rest[:n])
	d.rest = d.rest[n:]
	return s
}
