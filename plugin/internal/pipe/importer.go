package pipe

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"sync"

	gconn "github.com/PlakarKorp/integration-grpc"
	gimporter "github.com/PlakarKorp/integration-grpc/importer"
	"github.com/PlakarKorp/kloset/connectors"
	"github.com/PlakarKorp/kloset/connectors/importer"
	"github.com/PlakarKorp/kloset/location"
	"github.com/PlakarKorp/kloset/objects"
	"google.golang.org/grpc"
)

// importStream is the stream of one Import: records out, acknowledgements in.
type importStream = grpc.BidiStreamingServer[gimporter.ImportRequest, gimporter.ImportResponse]

// importServer serves an importer.
type importServer struct {
	gimporter.UnimplementedImporterServer
	build   importer.ImporterFn
	running *sync.WaitGroup

	session     session[importer.Importer]
	concurrency int // of the host; set by Init
	bodies      bodies
}

// Init makes the importer.
func (s *importServer) Init(ctx context.Context, req *gimporter.InitRequest) (*gimporter.InitResponse, error) {
	o := req.GetOptions()
	imp, err := s.session.begin(func() (importer.Importer, error) {
		s.concurrency = max(1, int(o.GetMaxconcurrency()))
		return s.build(ctx, &connectors.Options{
			Hostname:        o.GetHostname(),
			OperatingSystem: o.GetOs(),
			Architecture:    o.GetArch(),
			CWD:             o.GetCwd(),
			MaxConcurrency:  s.concurrency,
			Excludes:        o.GetExcludes(),
			NoXattr:         o.GetNoxattr(),
		}, req.GetProto(), req.GetConfig())
	})
	if err != nil {
		return nil, asStatus(ctx, err)
	}
	return &gimporter.InitResponse{
		Origin: imp.Origin(), Type: imp.Type(), Root: imp.Root(), Flags: uint32(imp.Flags()),
	}, nil
}

// Ping asks the importer whether it can reach its source.
func (s *importServer) Ping(ctx context.Context, _ *gimporter.PingRequest) (*gimporter.PingResponse, error) {
	imp, err := s.session.get("ping")
	if err == nil {
		err = imp.Ping(ctx)
	}
	return &gimporter.PingResponse{}, asStatus(ctx, err)
}

// Import runs the importer. The host looks at nothing that comes after the
// mark of the end, so that is sent when the importer has seen all
// acknowledgements and is content.
func (s *importServer) Import(stream importStream) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	imp, err := s.session.get("import")
	if err != nil {
		return asStatus(ctx, err)
	}
	records := make(chan *connectors.Record, s.concurrency)
	acks := newAcknowledgements(imp.Flags()&location.FLAG_NEEDACK != 0, s.concurrency)
	sent := make(chan error, 1)
	s.running.Go(func() { acks.receive(ctx, stream, &s.bodies) })
	s.running.Go(func() { sent <- s.send(stream, records, acks, cancel) })

	err = imp.Import(ctx, records, acks.results)
	if unsent := <-sent; unsent != nil {
		err = unsent // the importer was only told to stop
	}
	if err == nil {
		err = acks.wait(ctx)
	}
	if err != nil {
		s.bodies.close()
		return asStatus(stream.Context(), err)
	}
	if err := stream.Send(&gimporter.ImportResponse{Finished: true}); err != nil {
		return err
	}
	acks.waitEnd(ctx)
	return nil
}

// send hands records to the host until the importer closes them. It reads them
// to their end even when the host is gone.
func (s *importServer) send(stream importStream, records <-chan *connectors.Record, acks *acknowledgements, cancel func()) (err error) {
	defer acks.complete()
	for record := range records {
		if err != nil {
			if record.Reader != nil {
				record.Reader.Close()
			}
			continue
		}
		acks.expect()
		s.bodies.keep(record)
		message := gconn.RecordToProto(record)
		if record.Err != nil {
			message.Error = sentence(record.Err)
		}
		if err = stream.Send(&gimporter.ImportResponse{Record: message}); err != nil {
			err = fmt.Errorf("send record %q: %w", record.Pathname, err)
			cancel()
		}
	}
	return err
}

// Open sends the body of a record. The host asks at most once for each.
func (s *importServer) Open(req *gimporter.OpenRequest, stream grpc.ServerStreamingServer[gimporter.OpenResponse]) error {
	asked := req.GetRecord()
	body := s.bodies.take(bodyKey{
		path: asked.GetPathname(), isXattr: asked.GetIsXattr(),
		xattr: asked.GetXattrName(), kind: objects.Attribute(asked.GetXattrType()),
	})
	if body == nil {
		return asStatus(stream.Context(), fmt.Errorf("open %q: %w", asked.GetPathname(), fs.ErrNotExist))
	}
	defer body.Close()
	return asStatus(stream.Context(), sendBody(body, func(chunk []byte) error {
		return stream.Send(&gimporter.OpenResponse{Chunk: chunk})
	}))
}

// Close ends the use of the importer.
func (s *importServer) Close(ctx context.Context, _ *gimporter.CloseRequest) (*gimporter.CloseResponse, error) {
	imp, err := s.session.get("close")
	if err == nil {
		s.bodies.close()
		err = imp.Close(ctx)
	}
	return &gimporter.CloseResponse{}, asStatus(ctx, err)
}

// acknowledgements counts the records that the host is busy with.
type acknowledgements struct {
	results chan *connectors.Result // to the importer; nil when it wants none
	settled chan struct{}           // closed when no record is open, and none will come
	ended   chan struct{}           // closed when the host sends no more

	mu     sync.Mutex
	open   int  // records sent and not acknowledged
	whole  bool // no more records will be sent
	closed bool // settled is
}

func newAcknowledgements(wanted bool, size int) *acknowledgements {
	a := &acknowledgements{settled: make(chan struct{}), ended: make(chan struct{})}
	if wanted {
		a.results = make(chan *connectors.Result, size)
	}
	return a
}

// expect counts a record before it is sent.
func (a *acknowledgements) expect() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open++
}

// complete says that all records are sent.
func (a *acknowledgements) complete() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.whole = true
	a.settle(a.open == 0)
}

func (a *acknowledgements) done() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.open--
	a.settle(a.whole && a.open == 0)
}

// settle ends what the importer waits for. While a result is on its way to it,
// a record is open, so nothing is sent on the channel that is closed here.
func (a *acknowledgements) settle(now bool) {
	if !now || a.closed {
		return
	}
	a.closed = true
	if a.results != nil {
		close(a.results)
	}
	close(a.settled)
}

func (a *acknowledgements) awaited() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.open
}

// receive reads the acknowledgements of the host to their end.
func (a *acknowledgements) receive(ctx context.Context, stream importStream, bodies *bodies) {
	defer close(a.ended)
	defer func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.settle(true)
	}()
	for a.receiveOne(ctx, stream, bodies) {
	}
}

func (a *acknowledgements) receiveOne(ctx context.Context, stream importStream, bodies *bodies) bool {
	message, err := stream.Recv()
	if err != nil || message.GetResult().GetHeader() == nil || a.awaited() == 0 {
		return false
	}
	result, err := gconn.ResultFromProto(message.GetResult())
	if err != nil {
		return false
	}
	bodies.drop(&result.Record)
	if a.results != nil {
		select {
		case a.results <- result:
		case <-ctx.Done():
			return false
		}
	}
	a.done()
	return true
}

// wait returns when every record is acknowledged.
func (a *acknowledgements) wait(ctx context.Context) error {
	select {
	case <-a.settled:
	case <-ctx.Done():
		return ctx.Err()
	}
	if n := a.awaited(); n > 0 {
		return fmt.Errorf("the host left without acknowledging %d records", n)
	}
	return nil
}

// waitEnd returns when the host has closed its side.
func (a *acknowledgements) waitEnd(ctx context.Context) {
	select {
	case <-a.ended:
	case <-ctx.Done():
	}
}

// bodyKey is how the host names a body.
type bodyKey struct {
	path    string
	isXattr bool
	xattr   string
	kind    objects.Attribute
}

// bodies holds the readers of records until the host opens them, or says that
// it will not.
type bodies struct {
	mu      sync.Mutex
	readers map[bodyKey]io.ReadCloser
}

func keyOf(record *connectors.Record) bodyKey {
	return bodyKey{path: record.Pathname, isXattr: record.IsXattr, xattr: record.XattrName, kind: record.XattrType}
}

func (b *bodies) keep(record *connectors.Record) {
	if record.Reader == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.readers == nil {
		b.readers = make(map[bodyKey]io.ReadCloser)
	}
	b.readers[keyOf(record)] = record.Reader
}

// take returns a body and forgets it; nil when there is none.
func (b *bodies) take(key bodyKey) io.ReadCloser {
	b.mu.Lock()
	defer b.mu.Unlock()
	body := b.readers[key]
	delete(b.readers, key)
	return body
}

// drop closes a body that nobody will open any more.
func (b *bodies) drop(record *connectors.Record) {
	if body := b.take(keyOf(record)); body != nil {
		body.Close()
	}
}

// close closes all that were neither opened nor dropped.
func (b *bodies) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, body := range b.readers {
		body.Close()
	}
	b.readers = nil
}
