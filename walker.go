package s3kloset

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/PlakarKorp/kloset/connectors"
	"github.com/PlakarKorp/kloset/connectors/importer"
	klocation "github.com/PlakarKorp/kloset/location"
	"github.com/s3kloset/s3kloset/internal/bucket"
	"golang.org/x/sync/errgroup"
)

// Source reads the objects below a location, with all their metadata, in the
// order of their keys.
//
// An object becomes a regular file whose path is the key (see doc.go for keys
// that cannot be paths), whose ExtendedAttributes are its Metadata, and whose
// inode number is a digest of them, so that the engine sees every change. Each
// folder on the way gets a directory record.
//
// A Source may be used for one Import at a time.
type Source struct {
	bucket *Bucket
	owner  bool // the handle is ours to close
	closed atomic.Bool

	mu     sync.Mutex
	next   *backupRun // for the Import to come; nil: the engine is used directly
	last   *ledger    // of the Import that runs, or ran last
	before map[string]int64
}

var (
	_ importer.Importer = (*Source)(nil)
	_ backupSource      = (*Source)(nil)
)

// sourceFlags: acknowledgements, because the engine then waits for its workers
// when an import fails (without them it can crash the program), and one pass,
// because plakar would list the whole bucket a second time just to count.
const sourceFlags = klocation.FLAG_NEEDACK | klocation.FLAG_STREAM

func newSource(b *Bucket) *Source { return &Source{bucket: b, last: newLedger()} }

// Type is "s3".
func (s *Source) Type() string { return Scheme }

// Origin is the host of the service and the bucket.
func (s *Source) Origin() string { return s.bucket.origin() }

// Root is the path of the location's folder, an ancestor of every record.
func (s *Source) Root() string { return s.bucket.root() }

// Flags asks for acknowledgements and for a single pass.
func (s *Source) Flags() klocation.Flags { return sourceFlags }

// Ping asks whether the bucket is there and may be listed.
func (s *Source) Ping(ctx context.Context) error { return s.bucket.client.Ping(ctx) }

// Close ends the use of the source. The handle it was made from stays open.
func (s *Source) Close(context.Context) error {
	if !s.closed.Swap(true) && s.owner {
		return s.bucket.Close()
	}
	return nil
}

// begin prepares the next Import for a run of the facade.
func (s *Source) begin(run backupRun) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = &run
}

// Outcome tells what became of the objects of the last Import, or so far of
// the one that runs. Stored and unchanged objects are told apart by what the
// engine has read, so the counts are complete when Import has returned.
func (s *Source) Outcome() Outcome { return s.outcome() }

func (s *Source) outcome() Outcome {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last.outcome(since(s.before, s.bucket.Requests()))
}

// since subtracts the counts of requests made before a run.
func since(before, now map[string]int64) map[string]int64 {
	for operation, n := range before {
		if now[operation] -= n; now[operation] == 0 {
			delete(now, operation)
		}
	}
	return now
}

// Import sends a record for each object and folder below the location, closes
// records, and returns when all of them are acknowledged. Objects that cannot
// be read are sent as error records and counted; only a listing that fails, a
// bucket or credentials that are refused, and the end of the context are
// returned. Nothing is left running. Memory is bounded by the memory limit plus
// a look-ahead of some hundred records.
func (s *Source) Import(ctx context.Context, records chan<- *connectors.Record, results <-chan *connectors.Result) error {
	if s.closed.Load() {
		close(records)
		return fmt.Errorf("source %s: %w", s.bucket, ErrClosed)
	}
	ctx, cancel := context.WithCancel(ctx)
	w := s.walk(ctx)
	stop := follow(s.bucket.cfg.progress, w.ledger)
	defer stop()
	settled := w.collect(results)
	err := w.run(ctx, records)
	close(records)
	w.known.close(s.bucket, err == nil)
	if err == nil && results == nil {
		// Nobody tells when the bodies have been read: ctx must outlive us.
		context.AfterFunc(ctx, cancel)
		return nil
	}
	// Bodies that were opened ahead, and that the engine will not read after
	// a failure, end with the context.
	defer cancel()
	if err == nil {
		err = settled.wait(ctx)
	}
	if err != nil {
		settled.abandon()
		return err
	}
	return w.balance()
}

func (s *Source) walk(ctx context.Context) *walk {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = newLedger()
	s.before = s.bucket.Requests()
	w := &walk{
		source:   s,
		ctx:      ctx,
		ledger:   s.last,
		memory:   bucket.NewMemory(s.bucket.cfg.memory),
		streams:  bucket.NewMemory(openStreams),
		inflight: make(map[string]*object),
	}
	if s.next != nil {
		w.limits = *s.next
		w.appetite.new = enoughRead
		s.next = nil
	}
	w.known = s.recollect(w.limits.previous)
	w.known.rewrite(s.bucket)
	if s.bucket.cfg.source.cache != "" {
		// What a cache does not know is new, and who has none of this location
		// backs it up for the first time. A cache may also be older than the
		// snapshot that the engine compares with, or damaged: that shows at once.
		w.appetite.new = enoughRead
	}
	return w
}

// walk is one Import.
type walk struct {
	source  *Source
	ctx     context.Context // of the Import: bodies are read under it
	limits  backupRun
	known   recollection
	ledger  *ledger
	memory  *bucket.Memory // of bodies fetched ahead
	streams *bucket.Memory // of large bodies opened ahead, one unit each

	appetite appetite

	mu       sync.Mutex
	inflight map[string]*object // sent and not acknowledged, by path
}

// lookAhead is how many objects may be prepared and not yet sent, for each
// request in flight. It hides the latency of single objects.
const lookAhead = 4

// listWorkers is how many pages of a listing are asked for at a time. The engine
// does not keep up with more.
const listWorkers = 16

// openStreams is how many large bodies wait, opened, for the engine. Each is a
// connection on which the server has begun to send.
const openStreams = 8

// run lists, prepares and sends. Three stages work beside each other: the
// listing, up to concurrency preparations, and the sending in order of keys.
func (w *walk) run(ctx context.Context, records chan<- *connectors.Record) error {
	if err := w.thawAhead(ctx); err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	concurrency := w.source.bucket.cfg.concurrency
	queue := make(chan *object, lookAhead*concurrency)
	group.Go(func() error {
		defer close(queue)
		preparing, ctx := newCrew(ctx, concurrency)
		err := w.list(ctx, func(o *object) error { return w.dispatch(ctx, preparing, queue, o) })
		if failed := preparing.Wait(); failed != nil {
			return failed
		}
		return err
	})
	group.Go(func() error { return w.send(ctx, queue, records) })
	// A failure to send must end the other stages before anybody waits for
	// them: they would read the rest of the bucket for nothing.
	err := group.Wait()
	discardAll(queue)
	return err
}

// discardAll lets go of what was prepared and will not be sent.
func discardAll(queue <-chan *object) {
	for o := range queue {
		<-o.ready
		o.discard()
	}
}

// list finds the objects of the location, and which of their keys are also
// folders.
func (w *walk) list(ctx context.Context, found func(*object) error) error {
	prefix := w.source.bucket.location.prefix
	if prefix == "" {
		return w.listFolder(ctx, "", found)
	}
	entry, err := w.alone(ctx, prefix)
	if err != nil {
		return err
	}
	if entry.Key != "" {
		if err := w.found(entry, true, found); err != nil {
			return err
		}
	}
	return w.listFolder(ctx, prefix+"/", found)
}

// alone is the object whose key is the prefix itself, the zero Entry if there
// is none.
func (w *walk) alone(ctx context.Context, prefix string) (bucket.Entry, error) {
	client := w.source.bucket.client
	if w.source.bucket.cfg.source.unordered {
		a, err := client.Head(ctx, prefix, bucket.Pin{})
		if errors.Is(err, ErrNotFound) && !errors.Is(err, ErrBucketNotFound) {
			return bucket.Entry{}, nil
		}
		return bucket.Entry{Key: prefix, Size: a.Size, ETag: a.ETag, LastModified: a.LastModified.UTC(), StorageClass: a.StorageClass}, err
	}
	// The smallest key that begins with the prefix is the prefix itself.
	for entry, err := range client.List(ctx, bucket.Range{Prefix: prefix, Most: 1}) {
		if err != nil || entry.Key == prefix {
			return entry, err
		}
	}
	return bucket.Entry{}, ctx.Err()
}

func (w *walk) listFolder(ctx context.Context, prefix string, found func(*object) error) error {
	if w.source.bucket.cfg.source.unordered {
		return w.listUnordered(ctx, prefix, found)
	}
	var decider folderDecider[bucket.Entry]
	release := func(keys []decided[bucket.Entry]) error {
		for _, d := range keys {
			if err := w.found(d.item, d.folder, found); err != nil {
				return err
			}
		}
		return nil
	}
	workers := min(w.source.bucket.cfg.concurrency, listWorkers)
	for entry, err := range w.source.bucket.client.ListParallel(ctx, bucket.Range{Prefix: prefix}, workers) {
		if err != nil {
			return err
		}
		if err := release(decider.add(entry.Key, entry)); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return release(decider.finish())
}

// listUnordered asks for each key whether there are keys below it.
func (w *walk) listUnordered(ctx context.Context, prefix string, found func(*object) error) error {
	client := w.source.bucket.client
	for entry, err := range client.List(ctx, bucket.Range{Prefix: prefix, Unordered: true}) {
		if err != nil {
			return err
		}
		folder := false
		for _, err := range client.List(ctx, bucket.Range{Prefix: entry.Key + "/", Unordered: true, Most: 1}) {
			if err != nil {
				return err
			}
			folder = true
		}
		if err := w.found(entry, folder, found); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// found counts an object and applies the rules that cost no request.
func (w *walk) found(entry bucket.Entry, folder bool, next func(*object) error) error {
	w.ledger.listed()
	b := w.source.bucket
	if !b.cfg.source.wants(b.below(entry.Key)) {
		w.ledger.skipped()
		return nil
	}
	o := &object{walk: w, entry: entry, path: pathOfKey(entry.Key, folder), ready: make(chan struct{})}
	if isInside(o.path, w.limits.forbidden) {
		return w.lost(o, fmt.Errorf("%w: %s", ErrInsideRepository, w.limits.forbidden))
	}
	return next(o)
}

func isInside(path, folder string) bool {
	return folder != "" && (path == folder || strings.HasPrefix(path, strings.TrimSuffix(folder, "/")+"/"))
}

// dispatch queues an object in order and has it prepared beside the others.
// Budget for its body is taken here, in order too: the object that is sent
// next always has its share, so nothing waits in a circle.
func (w *walk) dispatch(ctx context.Context, preparing *crew, queue chan<- *object, o *object) error {
	known := w.recognize(o)
	o.known = known
	if known && w.appetite.readsKnown() {
		known = false
	}
	if !known && w.appetite.eager() {
		var err error
		if o.entry.Size <= fetchWhole {
			o.release, err = w.memory.Acquire(ctx, o.entry.Size)
		} else {
			o.release, err = w.streams.Acquire(ctx, 1)
		}
		if err != nil {
			return err
		}
	}
	select {
	case queue <- o:
	case <-ctx.Done():
		o.discard()
		return ctx.Err()
	}
	if known && w.source.bucket.cfg.source.tags != TagsAlways {
		close(o.ready)
		return nil
	}
	preparing.Go(func() error {
		defer close(o.ready)
		if known {
			o.err = w.refreshTags(ctx, o)
		} else {
			o.err = w.prepare(ctx, o)
		}
		if isFatal(o.err) {
			return o.err
		}
		return nil
	})
	return nil
}

// send emits records in order: folders before what is in them.
func (w *walk) send(ctx context.Context, queue <-chan *object, records chan<- *connectors.Record) error {
	emit := func(record *connectors.Record) error {
		select {
		case records <- record:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	// The root is there even when nothing is in it.
	last := strings.TrimSuffix(w.source.Root(), "/") + "/"
	for folder := range foldersOf("", last) {
		if err := emit(folderRecord(folder)); err != nil {
			return err
		}
	}
	for o := range queue {
		select {
		case <-o.ready:
		case <-ctx.Done():
			<-o.ready
			o.discard()
			return ctx.Err()
		}
		if err := w.sendObject(o, &last, emit); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (w *walk) sendObject(o *object, last *string, emit func(*connectors.Record) error) error {
	switch {
	case errors.Is(o.err, errGone):
		o.discard()
		w.ledger.gone(o.entry.Key)
		return nil
	case errors.Is(o.err, errLeftOut):
		o.discard()
		w.ledger.skipped()
		w.ledger.warn(WarnArchived, o.entry.Key)
		return nil
	}
	for folder := range foldersOf(*last, o.path) {
		if err := emit(folderRecord(folder)); err != nil {
			o.discard()
			return err
		}
	}
	*last = o.path
	if o.err != nil {
		o.discard()
		if err := w.lost(o, o.err); err != nil {
			return err
		}
		return emit(connectors.NewError(o.path, o.err))
	}
	w.mu.Lock()
	w.inflight[o.path] = o
	w.mu.Unlock()
	w.known.remember(o)
	if err := emit(o.record()); err != nil {
		o.discard()
		return err
	}
	return nil
}

// lost counts an object that cannot be stored. Its error ends the run only
// when the caller wants that.
func (w *walk) lost(o *object, err error) error {
	w.ledger.failed(o.entry.Key, err)
	if w.limits.failFast {
		return err
	}
	return nil
}

// balance is the last check of a run: what was listed is accounted for.
func (w *walk) balance() error {
	w.mu.Lock()
	left := len(w.inflight)
	w.mu.Unlock()
	if left > 0 {
		return fmt.Errorf("%w: %d objects were not acknowledged", ErrAccounting, left)
	}
	return w.ledger.outcome(nil).check()
}
