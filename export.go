package s3kloset

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/PlakarKorp/kloset/connectors"
	"github.com/s3kloset/s3kloset/internal/bucket"
)

// errAborted answers records that come after the run has failed.
var errAborted = errors.New("the run ended before this record")

// export is one Export.
type export struct {
	destination *Destination
	ctx         context.Context
	results     chan<- *connectors.Result
	ledger      *ledger
	memory      *bucket.Memory
	refused     sync.Map    // storage classes that the server does not take
	tagless     atomic.Bool // the server has no tags
	empty       emptyFolders
}

// run hands records to as many workers as there may be requests in flight.
func (e *export) run(ctx context.Context, records <-chan *connectors.Record) error {
	if e.destination.closed.Load() {
		return fmt.Errorf("destination %s: %w", e.destination.bucket, ErrClosed)
	}
	if err := e.check(ctx); err != nil {
		return err
	}
	writing, ctx := newCrew(ctx, e.destination.bucket.cfg.concurrency)
	for {
		select {
		case <-ctx.Done():
			return errors.Join(writing.Wait(), e.ctx.Err())
		case record, ok := <-records:
			if !ok {
				if folder, ok := e.empty.finish(); ok {
					writing.Go(func() error { return e.mark(ctx, folder) })
				}
				return writing.Wait()
			}
			if folder, ok := e.empty.next(record); ok {
				writing.Go(func() error { return e.mark(ctx, folder) })
			}
			writing.Go(func() error { return e.handle(ctx, record) })
		}
	}
}

// check asks for the bucket before the first byte is read from the snapshot.
// Credentials that may write and not list are good enough.
func (e *export) check(ctx context.Context) error {
	b := e.destination.bucket
	err := b.client.Ping(ctx)
	if errors.Is(err, ErrBucketNotFound) && b.cfg.destination.createBucket {
		return b.client.Create(ctx)
	}
	if errors.Is(err, ErrAccessDenied) {
		return nil
	}
	return err
}

// handle writes one record and answers it. Only what would fail every other
// record too is returned.
func (e *export) handle(ctx context.Context, record *connectors.Record) error {
	record = closingAtEnd(record)
	err := e.take(ctx, record)
	if cause := ctx.Err(); err != nil && cause != nil {
		e.answer(record, cause)
		return cause
	}
	e.answer(record, err)
	if isFatal(err) {
		return err
	}
	return nil
}

// answer acknowledges a record. After a cancellation nobody may be listening.
func (e *export) answer(record *connectors.Record, err error) {
	result := record.Ok
	if err != nil {
		result = func() *connectors.Result { return record.Error(err) }
	}
	answer := result()
	if body, ok := answer.Record.Reader.(*closer); ok {
		answer.Record.Reader = body.ReadCloser // as it came
	}
	select {
	case e.results <- answer:
		return
	default:
	}
	select {
	case e.results <- answer:
	case <-e.ctx.Done():
	}
}

// take does with a record what its kind asks for, and counts it.
func (e *export) take(ctx context.Context, record *connectors.Record) error {
	switch {
	case record.IsXattr:
		return nil // not asked for, and not an object
	case record.Err == nil && record.FileInfo.Mode().IsDir():
		return nil
	}
	e.ledger.listed()
	if record.Err == nil && !e.hasForm(record) {
		e.leaveOut(record.Pathname)
		return nil
	}
	d, err := e.deliver(record)
	if err == nil {
		return d.run(ctx)
	}
	e.ledger.failed(record.Pathname, err)
	return err
}

// hasForm tells whether a record can be an object. The empty object that marks
// the restored folder itself cannot where that becomes the whole bucket.
func (e *export) hasForm(record *connectors.Record) bool {
	if !record.FileInfo.Mode().IsRegular() {
		return false
	}
	rootless := e.destination.bucket.location.prefix == ""
	return !(rootless && record.Pathname == "/"+emptyComponent && record.FileInfo.Size() == 0 && ours(record.ExtendedAttributes))
}

// leaveOut counts what cannot be an object.
func (e *export) leaveOut(path string) {
	e.ledger.skipped()
	e.ledger.warn(WarnNotAnObject, path)
}

// mark writes an object for a folder with nothing in it, where that is asked
// for. Folders are answered when they come, so nobody else hears of a failure.
func (e *export) mark(ctx context.Context, folder string) error {
	e.ledger.listed()
	if !e.destination.bucket.cfg.destination.markers {
		e.leaveOut(folder)
		return nil
	}
	d, err := e.marker(folder)
	if err == nil {
		err = d.run(ctx)
	} else {
		e.ledger.failed(folder, err)
	}
	if isFatal(err) || ctx.Err() != nil {
		return err
	}
	return nil
}
