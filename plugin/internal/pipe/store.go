package pipe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	gstorage "github.com/PlakarKorp/integration-grpc/storage"
	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/PlakarKorp/kloset/objects"
	"google.golang.org/grpc"
)

const (
	// hostMessage is the largest message that the host takes: it leaves gRPC's
	// default as it is.
	hostMessage = 4 << 20
	// listEntry is the size of an identifier in a list: 32 bytes, their tag and
	// their length.
	listEntry = 34
	// maxList is how many identifiers a list can have.
	maxList = hostMessage / listEntry
	// abandonment is how long the locks of a host that has gone keep the plugin: the
	// server may be as dead as the host.
	abandonment = 10 * time.Second
)

// ErrListTooLong reports a list that the host cannot receive. The repository is
// sound: programs that do not go through plakar's pipe have no such limit.
var ErrListTooLong = errors.New("list is too long for plakar")

// storeServer serves a store.
type storeServer struct {
	gstorage.UnimplementedStoreServer
	build   storage.StoreFn
	session session[storage.Store]
	held    heldLocks
}

// Init makes the store.
func (s *storeServer) Init(ctx context.Context, req *gstorage.InitRequest) (*gstorage.InitResponse, error) {
	store, err := s.session.begin(func() (storage.Store, error) {
		return s.build(ctx, req.GetProto(), req.GetConfig())
	})
	if err != nil {
		return nil, asStatus(ctx, err)
	}
	return &gstorage.InitResponse{
		Origin: store.Origin(), Type: store.Type(), Root: store.Root(), Flags: uint32(store.Flags()),
	}, nil
}

// Create stores the configuration of a new repository.
func (s *storeServer) Create(ctx context.Context, req *gstorage.CreateRequest) (*gstorage.CreateResponse, error) {
	store, err := s.session.get("create")
	if err == nil {
		err = store.Create(ctx, req.GetConfig())
	}
	return &gstorage.CreateResponse{}, asStatus(ctx, err)
}

// Open returns the configuration of the repository.
func (s *storeServer) Open(ctx context.Context, _ *gstorage.OpenRequest) (*gstorage.OpenResponse, error) {
	var config []byte
	store, err := s.session.get("open")
	if err == nil {
		config, err = store.Open(ctx)
	}
	return &gstorage.OpenResponse{Config: config}, asStatus(ctx, err)
}

// Ping asks whether the store can be reached.
func (s *storeServer) Ping(ctx context.Context, _ *gstorage.PingRequest) (*gstorage.PingResponse, error) {
	store, err := s.session.get("ping")
	if err == nil {
		err = store.Ping(ctx)
	}
	return &gstorage.PingResponse{}, asStatus(ctx, err)
}

// Mode says whether the store can be read and written.
func (s *storeServer) Mode(ctx context.Context, _ *gstorage.ModeRequest) (*gstorage.ModeResponse, error) {
	var mode storage.Mode
	store, err := s.session.get("mode")
	if err == nil {
		mode, err = store.Mode(ctx)
	}
	return &gstorage.ModeResponse{Mode: int32(mode)}, asStatus(ctx, err)
}

// Size is how many bytes the store holds.
func (s *storeServer) Size(ctx context.Context, _ *gstorage.SizeRequest) (*gstorage.SizeResponse, error) {
	var size int64
	store, err := s.session.get("size")
	if err == nil {
		size, err = store.Size(ctx)
	}
	return &gstorage.SizeResponse{Size: size}, asStatus(ctx, err)
}

// List returns all identifiers of a kind.
func (s *storeServer) List(ctx context.Context, req *gstorage.ListRequest) (*gstorage.ListResponse, error) {
	store, err := s.session.get("list")
	if err != nil {
		return nil, asStatus(ctx, err)
	}
	ids, err := store.List(ctx, storage.StorageResource(req.GetType()))
	if err == nil && len(ids) > maxList {
		err = fmt.Errorf("%w: %d entries, and at most %d fit into its largest message", ErrListTooLong, len(ids), maxList)
	}
	if err != nil {
		return nil, asStatus(ctx, err)
	}
	macs := make([][]byte, len(ids))
	for i := range ids {
		macs[i] = ids[i][:]
	}
	return &gstorage.ListResponse{Macs: macs}, nil
}

// Put stores a blob.
func (s *storeServer) Put(stream grpc.ClientStreamingServer[gstorage.PutRequest, gstorage.PutResponse]) error {
	ctx := stream.Context()
	store, err := s.session.get("put")
	if err != nil {
		return asStatus(ctx, err)
	}
	head, err := stream.Recv()
	if err != nil {
		return err
	}
	id, err := macOf(head.GetMac())
	if err != nil {
		return asStatus(ctx, err)
	}
	resource := storage.StorageResource(head.GetType())
	if resource == storage.StorageResourceLock {
		s.held.add(id) // also one whose Put fails: it may be there
	}
	blob := &blob{stream: stream, rest: head.GetChunk()}
	written, err := store.Put(ctx, resource, id, blob)
	if err != nil {
		// A host that is stopped while it sends gives its user "EOF", and not
		// the error, which it reads only after its last byte.
		_, _ = io.Copy(io.Discard, blob)
		return asStatus(ctx, err)
	}
	return stream.SendAndClose(&gstorage.PutResponse{BytesWritten: written})
}

// blob is the body of a Put.
type blob struct {
	stream grpc.ClientStreamingServer[gstorage.PutRequest, gstorage.PutResponse]
	rest   []byte
	err    error
}

func (b *blob) Read(p []byte) (int, error) {
	for len(b.rest) == 0 && b.err == nil {
		message, err := b.stream.Recv()
		b.rest, b.err = message.GetChunk(), err
	}
	if len(b.rest) == 0 {
		return 0, b.err
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// Get sends a blob, or a range of one.
func (s *storeServer) Get(req *gstorage.GetRequest, stream grpc.ServerStreamingServer[gstorage.GetResponse]) error {
	ctx := stream.Context()
	store, err := s.session.get("get")
	if err != nil {
		return asStatus(ctx, err)
	}
	id, err := macOf(req.GetMac())
	if err != nil {
		return asStatus(ctx, err)
	}
	var part *storage.Range
	if r := req.GetRange(); r != nil {
		part = &storage.Range{Offset: r.GetOffset(), Length: r.GetLength()}
	}
	rd, err := store.Get(ctx, storage.StorageResource(req.GetType()), id, part)
	if err != nil {
		return asStatus(ctx, err)
	}
	defer rd.Close()
	return asStatus(ctx, sendBody(rd, func(chunk []byte) error {
		return stream.Send(&gstorage.GetResponse{Chunk: chunk})
	}))
}

// Delete removes a blob.
func (s *storeServer) Delete(ctx context.Context, req *gstorage.DeleteRequest) (*gstorage.DeleteResponse, error) {
	store, err := s.session.get("delete")
	if err != nil {
		return nil, asStatus(ctx, err)
	}
	id, err := macOf(req.GetMac())
	if err != nil {
		return nil, asStatus(ctx, err)
	}
	resource := storage.StorageResource(req.GetType())
	err = store.Delete(ctx, resource, id)
	if err == nil && resource == storage.StorageResourceLock {
		s.held.remove(id)
	}
	return &gstorage.DeleteResponse{}, asStatus(ctx, err)
}

// Close ends the use of the store. plakar removes its lock beside that, and exits
// without waiting for it: who comes next would find it for ten minutes.
func (s *storeServer) Close(ctx context.Context, _ *gstorage.CloseRequest) (*gstorage.CloseResponse, error) {
	store, err := s.session.get("close")
	if err == nil {
		err = errors.Join(s.held.release(ctx, store), store.Close(ctx))
	}
	return &gstorage.CloseResponse{}, asStatus(ctx, err)
}

// abandon removes the locks of a host that has gone without Close. There is nobody
// to tell an error: such a lock goes when it is ten minutes old.
func (s *storeServer) abandon() {
	store, err := s.session.get("abandon")
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), abandonment)
	defer cancel()
	_ = s.held.release(ctx, store)
}

// macOf checks the length of an identifier.
func macOf(b []byte) (objects.MAC, error) {
	if len(b) != len(objects.MAC{}) {
		return objects.MAC{}, fmt.Errorf("an identifier has %d bytes, not %d", len(b), len(objects.MAC{}))
	}
	return objects.MAC(b), nil
}
