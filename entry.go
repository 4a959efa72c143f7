package s3kloset

import (
	"bytes"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"

	"github.com/PlakarKorp/kloset/snapshot/vfs"
)

// noBody is the body of what has none. Some exporters read it all the same.
func noBody() (io.ReadCloser, error) { return nil, fs.ErrInvalid }

// entryReader reads the content of a file in a snapshot. It opens it with the
// first Read, and at the end compares all that was read with the digest in the
// snapshot: the engine does not, and what is neither encrypted nor compressed
// could be anything.
type entryReader struct {
	*operation
	tree  *vfs.Filesystem
	entry *vfs.Entry

	bytes   atomic.Int64
	file    fs.File
	digest  hash.Hash
	plan    *itinerary
	doubted bool

	mu  sync.Mutex
	err error // why reading is over, io.EOF included
}

// Read implements io.Reader. A failure is final.
func (r *entryReader) Read(p []byte) (int, error) {
	if err := r.final(); err != nil {
		return 0, err
	}
	if r.file == nil {
		if err := r.open(); err != nil {
			return 0, r.end(err)
		}
	}
	r.plan.advance(r.bytes.Load())
	n, err := r.file.Read(p)
	r.bytes.Add(int64(n))
	r.digest.Write(p[:n])
	if err != nil && !errors.Is(err, io.EOF) && r.again() {
		return n, nil
	}
	switch {
	case errors.Is(err, io.EOF):
		err = r.end(r.verdict())
	case err != nil:
		err = r.end(fmt.Errorf("read content: %w", err))
	}
	return n, err
}

// again reads on behind what has been read, once, when the store may have
// better bytes than it gave.
func (r *entryReader) again() bool {
	if r.doubted || !r.doubt() {
		return false
	}
	r.doubted = true
	entry := *r.entry
	file, err := entry.Open(r.tree)
	if err != nil {
		return false
	}
	if seeker, ok := file.(io.Seeker); ok {
		_, err = seeker.Seek(r.bytes.Load(), io.SeekStart)
		r.file = file
		return err == nil
	}
	return false
}

func (r *entryReader) open() (err error) {
	if !r.entry.HasObject() {
		return fmt.Errorf("%w: file without content", ErrDamaged)
	}
	// A copy, because opening an entry changes it and may come from several
	// goroutines.
	entry := *r.entry
	if r.file, err = entry.Open(r.tree); err != nil {
		return fmt.Errorf("open content: %w", err)
	}
	r.entry = &entry
	r.digest = r.repo.GetMACHasher()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.plan = r.planRead(entry.ResolvedObject, entry.Size())
	return nil
}

// verdict is io.EOF when everything was read and is what it should be.
func (r *entryReader) verdict() error {
	object := r.entry.ResolvedObject
	if !bytes.Equal(r.digest.Sum(nil), object.ContentMAC[:]) {
		return fmt.Errorf("%w: content does not match its digest", ErrDamaged)
	}
	return io.EOF
}

// end makes err final.
func (r *entryReader) end(err error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
		r.plan.end()
	}
	return r.err
}

func (r *entryReader) final() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// failure is why the content could not be read, or nil.
func (r *entryReader) failure() error {
	if err := r.final(); !errors.Is(err, io.EOF) && !errors.Is(err, fs.ErrClosed) {
		return err
	}
	return nil
}

// Close implements io.Closer. It may be called again.
func (r *entryReader) Close() error {
	_ = r.end(fs.ErrClosed) // an earlier end stays
	return nil
}
