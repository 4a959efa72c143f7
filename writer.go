package s3kloset

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/PlakarKorp/kloset/connectors"
	"github.com/PlakarKorp/kloset/connectors/exporter"
	klocation "github.com/PlakarKorp/kloset/location"
	"github.com/s3kloset/s3kloset/internal/bucket"
)

// Destination writes the files of a snapshot as objects below a location.
//
// Records of a Source become the objects they were: key, bytes, headers, user
// metadata, tags and storage class. Files of other importers become objects
// named by their path. What cannot be an object is counted: symbolic links,
// devices, and empty folders unless WithFolderMarkers asks for them.
//
// A Destination may be used for one Export at a time.
type Destination struct {
	bucket *Bucket
	owner  bool // the handle is ours to close
	closed atomic.Bool

	mu     sync.Mutex
	last   *ledger // of the Export that runs, or ran last
	before map[string]int64
}

var (
	_ exporter.Exporter = (*Destination)(nil)
	_ restoreTarget     = (*Destination)(nil)
)

func newDestination(b *Bucket) *Destination { return &Destination{bucket: b, last: newLedger()} }

// Type is "s3".
func (d *Destination) Type() string { return Scheme }

// Origin is the host of the service and the bucket.
func (d *Destination) Origin() string { return d.bucket.origin() }

// Root is the path of the location's folder.
func (d *Destination) Root() string { return d.bucket.root() }

// Flags are none: metadata comes with the records of the files.
func (d *Destination) Flags() klocation.Flags { return 0 }

// Ping asks whether the bucket is there and may be listed.
func (d *Destination) Ping(ctx context.Context) error { return d.bucket.client.Ping(ctx) }

// Close ends the use of the destination. The handle it was made from stays
// open.
func (d *Destination) Close(context.Context) error {
	if !d.closed.Swap(true) && d.owner {
		return d.bucket.Close()
	}
	return nil
}

// Outcome tells what became of the records of the last Export, or so far of
// the one that runs.
func (d *Destination) Outcome() Outcome { return d.outcome() }

func (d *Destination) outcome() Outcome {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last.outcome(since(d.before, d.bucket.Requests()))
}

// Export writes an object for each record of a file, several at a time, and
// answers each record once. It returns when records is closed and all uploads
// have ended; then the error wraps ErrIncomplete and the failures, if there
// were any. A bucket that is missing and credentials that are refused end it
// at once. Multipart uploads that fail are aborted. Nothing is left running.
func (d *Destination) Export(ctx context.Context, records <-chan *connectors.Record, results chan<- *connectors.Result) error {
	e := d.export(ctx, results)
	defer close(results)
	stop := follow(d.bucket.cfg.progress, e.ledger)
	defer stop()
	err := e.run(ctx, records)
	// The engine sends without looking whether anybody reads.
	for record := range records {
		e.answer(record, errAborted)
	}
	if err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return e.ledger.outcome(nil).Err()
}

func (d *Destination) export(ctx context.Context, results chan<- *connectors.Result) *export {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last = newLedger()
	d.before = d.bucket.Requests()
	return &export{
		destination: d,
		ctx:         ctx,
		results:     results,
		ledger:      d.last,
		memory:      bucket.NewMemory(d.bucket.cfg.memory),
	}
}
