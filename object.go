package s3kloset

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"sync"
	"sync/atomic"
	"time"

	"github.com/PlakarKorp/kloset/connectors"
	"github.com/PlakarKorp/kloset/objects"
	"github.com/s3kloset/s3kloset/internal/bucket"
)

// object is an object on its way from the listing to the engine.
type object struct {
	walk    *walk
	entry   bucket.Entry
	path    string
	known   bool   // unchanged since it was last sent
	release func() // gives the budget of the body back; nil: it is not fetched ahead

	ready chan struct{} // closed when the fields below are set
	err   error         // why there is no record
	meta  Metadata
	info  objects.FileInfo
	body  io.ReadCloser // nil: to be opened when the engine reads

	opened atomic.Bool
	proofs []*proof     // of what the engine gets, from open on
	read   atomic.Int64 // bytes that the engine got
	ended  atomic.Bool  // it got them all

	mu       sync.Mutex
	readErr  error
	finished bool
}

// describe sets the record's description. The digest in the inode number
// makes every change of metadata a change of the file for the engine.
func (o *object) describe(meta Metadata) {
	o.meta = meta
	o.info = objects.NewFileInfo(path.Base(o.path), o.entry.Size, fileMode, o.entry.LastModified, 0, meta.fingerprint(), 0, 0, 1)
}

// Modes of records. S3 has none; these make a restore to a disk usable.
const (
	fileMode   fs.FileMode = 0o644
	folderMode             = fs.ModeDir | 0o755
)

// folderRecord describes a folder. Nothing of it may change from one backup
// to the next, or the engine would store all folders anew.
func folderRecord(folder string) *connectors.Record {
	info := objects.NewFileInfo(path.Base(folder), 0, folderMode, time.Unix(0, 0).UTC(), 0, 0, 0, 0, 1)
	return connectors.NewRecord(folder, "", info, nil, nil)
}

func (o *object) record() *connectors.Record {
	return connectors.NewRecord(o.path, "", o.info, o.meta.Attributes(), o.open)
}

// open is called when the engine wants the body, which it may never do.
func (o *object) open() (io.ReadCloser, error) {
	o.opened.Store(true)
	if o.body == nil {
		if err := o.openLate(); err != nil {
			o.fail(err)
			return nil, err
		}
	}
	o.prove()
	return &objectReader{o}, nil
}

// openLate reads an object whose record is out: it must still be the one that
// the record describes.
func (o *object) openLate() error {
	pin := bucket.Pin{ETag: o.meta.ETag, VersionID: o.meta.VersionID, Size: o.entry.Size, Sized: true}
	got, err := o.walk.read(o.walk.ctx, o.entry.Key, pin)
	if errors.Is(err, ErrNotFound) {
		err = o.walk.explainMissing(o.walk.ctx, o.entry.Key, err)
	}
	if err != nil {
		return err
	}
	o.body = got.Body
	return nil
}

func (o *object) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.readErr == nil {
		o.readErr = err
	}
}

// fate is nil when the engine has the object: it read all of it, or did not
// want to.
func (o *object) fate() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case o.readErr != nil:
		return o.readErr
	case o.opened.Load() && !o.ended.Load():
		return fmt.Errorf("%w: the engine stopped after %d of %d bytes", ErrBody, o.read.Load(), o.entry.Size)
	}
	return nil
}

// dropBody lets go of what was read of a state that is no more.
func (o *object) dropBody() {
	if o.body != nil {
		o.body.Close()
		o.body = nil
	}
}

// discard lets go of connection and budget. It may be called again.
func (o *object) discard() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.finished {
		return
	}
	o.finished = true
	if o.body != nil {
		o.body.Close()
	}
	if o.release != nil {
		o.release()
	}
}

// objectReader is the body as the engine sees it. It holds the object to the
// size in its record.
type objectReader struct{ *object }

func (r *objectReader) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	total := r.read.Add(int64(n))
	for _, proof := range r.proofs {
		proof.Write(p[:n])
	}
	switch {
	case err != io.EOF:
	case total == r.entry.Size:
		err = cmp.Or(r.refuted(), io.EOF)
	default:
		err = fmt.Errorf("%w: read %d of %d bytes of %q", ErrBody, total, r.entry.Size, r.entry.Key)
	}
	switch {
	case err == io.EOF:
		r.ended.Store(true)
	case err != nil:
		r.fail(err)
	}
	return n, err
}

func (r *objectReader) Close() error {
	r.discard()
	return nil
}

// wholeBody is a body that is in memory already.
func wholeBody(body []byte) io.ReadCloser { return io.NopCloser(bytes.NewReader(body)) }
