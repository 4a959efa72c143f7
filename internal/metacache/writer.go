package metacache

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// The file is a magic line and blocks of entries in the order of their keys.
// Each block has the length of its compressed bytes, their CRC-32C, and the
// bytes. A block is believed when its checksum is right; whatever comes after
// one that is not does not exist.
const (
	magic     = "s3kloset metadata 1\n"
	blockSize = 128 << 10 // bytes of entries in a block, before compression
	// maxBlock bounds what a damaged length can make us allocate. An entry
	// has at most a key of 1 KiB, 8 KiB of headers and 10 tags, escaped.
	maxBlock = blockSize + 1<<20
	// stale is when the file of a run that never ended is removed.
	stale    = 48 * time.Hour
	tempMark = ".tmp-"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Writer writes a cache anew, beside the one in use.
type Writer struct {
	path  string
	file  *os.File
	out   *bufio.Writer
	block []byte
	pack  *flate.Writer
	err   error
}

// Create begins a new file, and removes those of runs that never ended.
func Create(path string) (*Writer, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	removeStale(dir)
	f, err := os.CreateTemp(dir, filepath.Base(path)+tempMark+"*")
	if err != nil {
		return nil, err
	}
	w := &Writer{path: path, file: f, out: bufio.NewWriterSize(f, 256<<10)}
	w.pack, w.err = flate.NewWriter(nil, flate.BestSpeed)
	w.write([]byte(magic))
	return w, nil
}

func removeStale(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && strings.Contains(e.Name(), tempMark) && time.Since(info.ModTime()) > stale {
			_ = os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// Add appends an entry, whose key comes after all before in the order of the
// reader.
func (w *Writer) Add(e *Entry) {
	w.block = e.encode(w.block)
	if len(w.block) >= blockSize {
		w.flush()
	}
}

// flush writes the block that was gathered.
func (w *Writer) flush() {
	if len(w.block) == 0 || w.err != nil {
		w.block = w.block[:0]
		return
	}
	var packed bytes.Buffer
	w.pack.Reset(&packed)
	_, err := w.pack.Write(w.block)
	w.err = errors.Join(err, w.pack.Close())
	w.block = w.block[:0]
	head := binary.LittleEndian.AppendUint32(nil, uint32(packed.Len()))
	head = binary.LittleEndian.AppendUint32(head, crc32.Checksum(packed.Bytes(), castagnoli))
	w.write(head)
	w.write(packed.Bytes())
}

// write keeps the first error, which Commit tells.
func (w *Writer) write(p []byte) {
	if w.err == nil {
		_, w.err = w.out.Write(p)
	}
}

// Commit puts the new file in the place of the old one. When that fails the
// old one stays.
func (w *Writer) Commit() error {
	w.flush()
	if w.err == nil {
		w.err = w.out.Flush()
	}
	if w.err == nil {
		// A name that appears before its bytes would survive a crash empty.
		w.err = w.file.Sync()
	}
	if err := errors.Join(w.err, w.file.Close()); err != nil {
		return errors.Join(err, os.Remove(w.file.Name()))
	}
	return os.Rename(w.file.Name(), w.path)
}

// Discard throws the new file away.
func (w *Writer) Discard() {
	w.file.Close()
	_ = os.Remove(w.file.Name())
}
