package s3kloset

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/PlakarKorp/kloset/connectors"
	"github.com/PlakarKorp/kloset/connectors/importer"
	klocation "github.com/PlakarKorp/kloset/location"
)

// intake stands between an importer and the engine. It makes any importer
// safe to use and sees what becomes of each record:
//
//   - The engine waits for its workers. It does so only for importers that
//     ask for acknowledgements; with others, one that returns an error while
//     records are worked on can crash the process.
//   - records is closed exactly once, and a missing close is an error and not
//     a hang.
//   - Records that the engine would drop without a word, or that would hide
//     others, fail.
//   - Readers stop when the operation ends.
//
// One intake serves one run.
type intake struct {
	importer.Importer
	ledger    *ledger     // nil for a source with accounts of its own
	fail      func(error) // ends the run at the first failure; nil goes on
	stop      func(error) // ends the run when the importer gives up
	forbidden string      // folder of a local repository
	previous  *parent     // for a source that does not look at it itself; nil: there is none

	mu     sync.Mutex
	failed map[string]error // by path, the first failuresKept
	more   int64            // failed paths beyond these
}

func newIntake(src importer.Importer, stop func(error)) *intake {
	return &intake{Importer: src, stop: stop, failed: make(map[string]error)}
}

var (
	errOpenEnd   = errors.New("importer returned without closing its records")
	errNoReader  = errors.New("file without a reader")
	errBadPath   = errors.New("path is not absolute, or the engine cannot store it")
	errBadName   = errors.New("name is not one component of a path")
	errWrongName = errors.New("root folder is not named /")
)

// Flags implements importer.Importer.
func (in *intake) Flags() klocation.Flags { return in.Importer.Flags() | klocation.FLAG_NEEDACK }

// Import implements importer.Importer.
func (in *intake) Import(ctx context.Context, records chan<- *connectors.Record, results <-chan *connectors.Result) error {
	var (
		offered  = make(chan *connectors.Record)
		answers  chan *connectors.Result
		returned = make(chan struct{})
		ended    = make(chan error, 1)
		wg       sync.WaitGroup
	)
	if in.Importer.Flags()&klocation.FLAG_NEEDACK != 0 {
		answers = make(chan *connectors.Result, cap(results))
	}
	wg.Go(func() { ended <- in.forward(ctx, offered, records, returned) })
	wg.Go(func() { in.answer(results, answers, returned) })
	err := in.Importer.Import(ctx, offered, answers)
	close(returned)
	wg.Wait()
	if open := <-ended; err == nil {
		err = open
	}
	if err != nil {
		// Before the engine learns it, which would store what it has packed so
		// far: nobody will ever read that.
		in.stop(err)
	}
	return err
}

// forward hands records on until the importer closes its channel or returns.
func (in *intake) forward(ctx context.Context, offered <-chan *connectors.Record, records chan<- *connectors.Record, returned <-chan struct{}) error {
	defer close(records)
	for {
		select {
		case record, open := <-offered:
			if !open {
				return nil
			}
			records <- in.admit(ctx, record) // the engine drains it even when it gave up
		case <-returned:
			// The importer sends no more. A closed channel is ready now.
			select {
			case _, open := <-offered:
				if !open {
					return nil
				}
			default:
			}
			return errOpenEnd
		}
	}
}

// answer reads all acknowledgements, for the engine waits for that, and hands
// them on as long as the importer is there to read them.
func (in *intake) answer(results <-chan *connectors.Result, answers chan<- *connectors.Result, returned <-chan struct{}) {
	if answers != nil {
		defer close(answers)
	}
	for result := range results {
		in.settle(result)
		if answers == nil {
			continue
		}
		select {
		case answers <- result:
		case <-returned:
		}
	}
}

// admit looks at a record on its way in.
func (in *intake) admit(ctx context.Context, record *connectors.Record) *connectors.Record {
	if in.ledger != nil && counts(record) {
		in.ledger.listed()
	}
	admitted := *record
	if admitted.Err == nil {
		if err := in.flaw(record); err != nil {
			admitted.Err = &flawError{err}
		}
	}
	if record.Reader != nil {
		admitted.Reader = &intakeReader{ReadCloser: record.Reader, ctx: ctx}
	}
	in.distinguish(&admitted)
	return &admitted
}

// distinguish makes a file whose attributes or target alone have changed look
// changed. The engine compares nothing but the FileInfo, would keep the entry
// of the previous snapshot by name only, and leave the new one without it. The
// inode number is free for that as long as no hard links depend on it.
func (in *intake) distinguish(record *connectors.Record) {
	if in.previous == nil || record.Err != nil || record.IsXattr || record.FileInfo.Nlink() > 1 {
		return
	}
	entry := in.previous.entry(record.Pathname)
	if entry == nil || !entry.FileInfo.EqualIgnoreSize(&record.FileInfo) {
		return
	}
	now := slices.Sorted(slices.Values(record.ExtendedAttributes))
	if slices.Equal(slices.Sorted(slices.Values(entry.ExtendedAttributes)), now) && entry.SymlinkTarget == record.Target {
		return
	}
	record.FileInfo.Lino ^= digestAttributes(append(now, record.Target)) | 1
}

// flawError is the error of a record that the importer thinks is good.
type flawError struct{ error }

func (e *flawError) Unwrap() error { return e.error }

// counts tells whether a record stands for an object.
func counts(record *connectors.Record) bool {
	return !record.IsXattr && (record.Err != nil || !record.FileInfo.IsDir())
}

// flaw is why the engine would lose a record, or others because of it.
func (in *intake) flaw(record *connectors.Record) error {
	p := record.Pathname
	switch {
	case !path.IsAbs(p) || strings.HasPrefix(p, "/\xff"):
		return errBadPath
	case in.hides(p) && in.Importer.Flags()&klocation.FLAG_LOCALFS == 0:
		return ErrInsideRepository
	case record.IsXattr:
		return nil
	}
	name := record.FileInfo.Name()
	if path.Clean(p) == "/" {
		if name != "/" || !record.FileInfo.IsDir() {
			return errWrongName
		}
		return nil
	}
	if name == "" || name == "." || name == ".." || strings.Contains(name, "/") {
		return fmt.Errorf("%w: %q", errBadName, name)
	}
	if !record.FileInfo.IsDir() && record.FileInfo.Mode().IsRegular() && record.Reader == nil {
		return errNoReader
	}
	return nil
}

// hides tells whether the engine takes a path for the repository itself.
func (in *intake) hides(p string) bool {
	return in.forbidden != "" && (p == in.forbidden || strings.HasPrefix(p, in.forbidden+"/"))
}

// settle takes down what became of a record and gives it its reader back.
func (in *intake) settle(result *connectors.Result) {
	record := &result.Record
	reader, _ := record.Reader.(*intakeReader)
	if reader != nil {
		record.Reader = reader.ReadCloser
		if reader.aborted {
			return // the run is over, and this object is not why
		}
	}
	err := record.Err
	if err == nil && reader != nil {
		err = reader.err
	}
	if in.ledger == nil {
		// A source with accounts of its own knows what it reported itself.
		if flaw := (*flawError)(nil); err != nil && !errors.As(err, &flaw) {
			in.note(record.Pathname, err)
		}
		return
	}
	if err != nil {
		in.note(record.Pathname, err)
	}
	switch {
	case err != nil && counts(record):
		in.ledger.failed(record.Pathname, err)
	case !counts(record):
	case in.hides(record.Pathname):
		in.ledger.skipped()
	case reader != nil && !reader.opened && record.FileInfo.Mode().IsRegular():
		in.ledger.unchanged()
	case reader != nil:
		in.ledger.stored(reader.bytes)
	default:
		in.ledger.stored(0)
	}
	if err != nil && in.fail != nil {
		in.fail(fmt.Errorf("%q: %w", record.Pathname, err))
	}
}

// note remembers that a path failed here, so that the engine's error of the
// same path is not counted again.
func (in *intake) note(p string, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if _, known := in.failed[p]; known {
		return
	}
	if len(in.failed) == failuresKept {
		in.more++
		return
	}
	in.failed[p] = err
}

// intakeReader sees how the reading of a record went. Worker and settle take
// turns, with a channel between them.
type intakeReader struct {
	io.ReadCloser
	ctx     context.Context
	opened  bool
	aborted bool
	bytes   int64
	err     error
}

func (r *intakeReader) Read(p []byte) (int, error) {
	r.opened = true
	if err := r.ctx.Err(); err != nil {
		r.aborted = true
		return 0, err
	}
	n, err := r.ReadCloser.Read(p)
	r.bytes += int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}
