package metacache

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"hash/crc32"
	"io"
	"os"
)

// Reader walks through a cache in the order of keys, beside a listing.
type Reader struct {
	compare func(a, b string) int
	file    io.Closer
	in      *bufio.Reader
	block   []byte // entries not looked at yet
	current *Entry
	ended   bool
}

// Open opens a cache for reading; nil when there is none that is usable.
// compare tells the order in which its entries were added.
func Open(path string, compare func(a, b string) int) *Reader {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	r := &Reader{compare: compare, file: f, in: bufio.NewReaderSize(f, 256<<10)}
	begin := make([]byte, len(magic))
	if _, err := io.ReadFull(r.in, begin); err != nil || string(begin) != magic {
		f.Close()
		return nil
	}
	return r
}

// Find returns what is known of a key. Keys must be asked for in the order in
// which they were added.
func (r *Reader) Find(key string) (*Entry, bool) {
	for !r.ended && (r.current == nil || r.compare(r.current.Key, key) < 0) {
		if !r.next() {
			r.ended = true
			r.current = nil
		}
	}
	if r.current != nil && r.current.Key == key {
		return r.current, true
	}
	return nil, false
}

// next moves to the next entry. A damaged rest, and one out of order, ends it.
func (r *Reader) next() bool {
	if len(r.block) == 0 {
		block, err := readBlock(r.in)
		if err != nil {
			return false
		}
		r.block = block
	}
	entry, rest, err := decode(r.block)
	if err != nil || (r.current != nil && r.compare(entry.Key, r.current.Key) <= 0) {
		return false
	}
	r.current, r.block = entry, rest
	return true
}

func (r *Reader) Close() error { return r.file.Close() }

// readBlock reads, checks and expands one block.
func readBlock(in io.Reader) ([]byte, error) {
	var head [8]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return nil, err
	}
	length := binary.LittleEndian.Uint32(head[:4])
	if length == 0 || length > maxBlock {
		return nil, errDamaged
	}
	packed := make([]byte, length)
	if _, err := io.ReadFull(in, packed); err != nil {
		return nil, errDamaged
	}
	if crc32.Checksum(packed, castagnoli) != binary.LittleEndian.Uint32(head[4:]) {
		return nil, errDamaged
	}
	block, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), maxBlock))
	if err != nil || len(block) == 0 {
		return nil, errDamaged
	}
	return block, nil
}
