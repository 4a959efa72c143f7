package klosettest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/PlakarKorp/kloset/location"
	"github.com/PlakarKorp/kloset/objects"
)

// Errors of a [MemStore], each a way of using a store that the engine never
// needs and that a production store might let pass.
var (
	ErrClosed    = errors.New("klosettest: store is closed")
	ErrOverwrite = errors.New("klosettest: packfile or state exists with other content")
	ErrExists    = errors.New("klosettest: repository exists")
)

// Op names a method of a [MemStore].
type Op string

// The operations that are counted and that a hook can fail.
const (
	OpCreate Op = "create"
	OpOpen   Op = "open"
	OpPing   Op = "ping"
	OpMode   Op = "mode"
	OpSize   Op = "size"
	OpList   Op = "list"
	OpPut    Op = "put"
	OpGet    Op = "get"
	OpDelete Op = "delete"
)

// Call is one call of a [MemStore]'s method. The fields that the method has no
// use for are zero.
type Call struct {
	Op       Op
	Resource storage.StorageResource
	ID       objects.MAC
	Range    *storage.Range
}

// MemStore is a storage.Store in memory. It checks what others take on trust:
// nothing can be stored before Create, packfiles and states never change, readers
// end at Close, and nothing works once the store is closed.
//
// It is safe for concurrent use. Latency and Hook must be set before the first
// call.
type MemStore struct {
	// Latency is waited for at the start of every call that would go over a
	// network, unless the context ends first.
	Latency time.Duration

	// Hook, when set, is called at the start of every call; an error that it
	// returns is the call's result. It may block.
	Hook func(context.Context, Call) error

	bucket *memBucket

	mu     sync.Mutex
	closed bool
	calls  map[Op]int
	open   int
}

var _ storage.Store = (*MemStore)(nil)

// memBucket is what several stores on one location share.
type memBucket struct {
	mu      sync.Mutex
	objects map[string]memObject
	clock   int
}

type memObject struct {
	body []byte
	time int
}

// NewMemStore returns a store on a new, empty location.
func NewMemStore() *MemStore {
	return &MemStore{bucket: &memBucket{objects: make(map[string]memObject)}}
}

// Reopen returns another store on the same location, with counts of its own and
// without the hook and the latency of s.
func (s *MemStore) Reopen() *MemStore { return &MemStore{bucket: s.bucket} }

// Plant stores a raw object, as another program would.
func (s *MemStore) Plant(name string, body []byte) { s.bucket.put(name, body) }

// Names returns the names of all raw objects in byte order.
func (s *MemStore) Names() []string {
	s.bucket.mu.Lock()
	defer s.bucket.mu.Unlock()
	names := make([]string, 0, len(s.bucket.objects))
	for name := range s.bucket.objects {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Calls returns how often op was called.
func (s *MemStore) Calls(op Op) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[op]
}

// OpenReaders returns how many readers that Get returned are not closed.
func (s *MemStore) OpenReaders() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

// Type implements storage.Store.
func (s *MemStore) Type() string { return "mem" }

// Origin implements storage.Store.
func (s *MemStore) Origin() string { return "memory" }

// Root implements storage.Store.
func (s *MemStore) Root() string { return "/" }

// Flags implements storage.Store.
func (s *MemStore) Flags() location.Flags { return 0 }

// Create implements storage.Store. A second one fails with [ErrExists].
func (s *MemStore) Create(ctx context.Context, config []byte) error {
	if err := s.begin(ctx, Call{Op: OpCreate}); err != nil {
		return err
	}
	if !s.bucket.putNew(configName, config) {
		return fmt.Errorf("create: %w", ErrExists)
	}
	return nil
}

// Open implements storage.Store.
func (s *MemStore) Open(ctx context.Context) ([]byte, error) {
	if err := s.begin(ctx, Call{Op: OpOpen}); err != nil {
		return nil, err
	}
	obj, err := s.bucket.get(configName)
	return bytes.Clone(obj.body), err
}

// Ping implements storage.Store.
func (s *MemStore) Ping(ctx context.Context) error {
	return s.begin(ctx, Call{Op: OpPing})
}

// Mode implements storage.Store.
func (s *MemStore) Mode(ctx context.Context) (storage.Mode, error) {
	if err := s.enter(ctx, Call{Op: OpMode}); err != nil {
		return 0, err
	}
	return storage.ModeRead | storage.ModeWrite, nil
}

// Size implements storage.Store.
func (s *MemStore) Size(ctx context.Context) (int64, error) {
	if err := s.begin(ctx, Call{Op: OpSize}); err != nil {
		return 0, err
	}
	s.bucket.mu.Lock()
	defer s.bucket.mu.Unlock()
	var total int64
	for _, obj := range s.bucket.objects {
		total += int64(len(obj.body))
	}
	return total, nil
}

// List implements storage.Store: oldest first.
func (s *MemStore) List(ctx context.Context, res storage.StorageResource) ([]objects.MAC, error) {
	if err := s.beginResource(ctx, Call{Op: OpList, Resource: res}); err != nil {
		return nil, err
	}
	s.bucket.mu.Lock()
	defer s.bucket.mu.Unlock()
	times := make(map[objects.MAC]int)
	var ids []objects.MAC
	for name, obj := range s.bucket.objects {
		if r, id, ok := parseName(name); ok && r == res {
			ids, times[id] = append(ids, id), obj.time
		}
	}
	slices.SortFunc(ids, func(a, b objects.MAC) int { return cmp.Compare(times[a], times[b]) })
	return ids, nil
}

// Put implements storage.Store. It looks at the context before and after every
// read, so that a cancelled Put stores nothing.
func (s *MemStore) Put(ctx context.Context, res storage.StorageResource, id objects.MAC, rd io.Reader) (int64, error) {
	if err := s.beginResource(ctx, Call{Op: OpPut, Resource: res, ID: id}); err != nil {
		return 0, err
	}
	body, err := io.ReadAll(readerFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return rd.Read(p)
	}))
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return 0, fmt.Errorf("put %s %s: %w", res, id.FormatHex(), err)
	}
	key := resourceName(res, id)
	if res == storage.StorageResourceLock {
		s.bucket.put(key, body)
	} else if !s.bucket.putNew(key, body) {
		if old, err := s.bucket.get(key); err != nil || !bytes.Equal(old.body, body) {
			return 0, fmt.Errorf("put %s %s: %w", res, id.FormatHex(), ErrOverwrite)
		}
	}
	return int64(len(body)), nil
}

// Get implements storage.Store. A range that passes the end gives what there is.
func (s *MemStore) Get(ctx context.Context, res storage.StorageResource, id objects.MAC, rg *storage.Range) (io.ReadCloser, error) {
	if err := s.beginResource(ctx, Call{Op: OpGet, Resource: res, ID: id, Range: rg}); err != nil {
		return nil, err
	}
	obj, err := s.bucket.get(resourceName(res, id))
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", res, err)
	}
	body := obj.body
	if rg != nil {
		body = body[min(rg.Offset, uint64(len(body))):]
		body = body[:min(uint64(rg.Length), uint64(len(body)))]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open++
	return &memReader{store: s, body: bytes.NewReader(body)}, nil
}

// Delete implements storage.Store. Deleting nothing is no error, and a lock goes
// whatever the context says.
func (s *MemStore) Delete(ctx context.Context, res storage.StorageResource, id objects.MAC) error {
	if res == storage.StorageResourceLock {
		ctx = context.WithoutCancel(ctx)
	}
	if err := s.beginResource(ctx, Call{Op: OpDelete, Resource: res, ID: id}); err != nil {
		return err
	}
	s.bucket.delete(resourceName(res, id))
	return nil
}

// Close implements storage.Store. It may be called again.
func (s *MemStore) Close(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// enter counts a call and lets the hook have its say.
func (s *MemStore) enter(ctx context.Context, call Call) error {
	s.mu.Lock()
	if s.calls == nil {
		s.calls = make(map[Op]int)
	}
	s.calls[call.Op]++
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return fmt.Errorf("%s: %w", call.Op, ErrClosed)
	}
	if s.Hook != nil {
		return s.Hook(ctx, call)
	}
	return nil
}

// begin is enter for calls that stand for a network request.
func (s *MemStore) begin(ctx context.Context, call Call) error {
	if err := s.enter(ctx, call); err != nil {
		return err
	}
	if s.Latency > 0 {
		timer := time.NewTimer(s.Latency)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", call.Op, err)
	}
	return nil
}

// beginResource is begin for calls about a resource.
func (s *MemStore) beginResource(ctx context.Context, call Call) error {
	if _, ok := folders[call.Resource]; !ok {
		return fmt.Errorf("%s %s: %w", call.Op, call.Resource, errors.ErrUnsupported)
	}
	if err := s.begin(ctx, call); err != nil {
		return err
	}
	if _, err := s.bucket.get(configName); err != nil {
		return fmt.Errorf("%s before create: %w", call.Op, err)
	}
	return nil
}

func (b *memBucket) put(name string, body []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.store(name, body)
}

// putNew is put unless the name is taken.
func (b *memBucket) putNew(name string, body []byte) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, taken := b.objects[name]; taken {
		return false
	}
	b.store(name, body)
	return true
}

func (b *memBucket) store(name string, body []byte) {
	b.clock++
	b.objects[name] = memObject{body: bytes.Clone(body), time: b.clock}
}

func (b *memBucket) get(name string) (memObject, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	obj, ok := b.objects[name]
	if !ok {
		return memObject{}, &fs.PathError{Op: "get", Path: name, Err: fs.ErrNotExist}
	}
	return obj, nil
}

func (b *memBucket) delete(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.objects, name)
}

// memReader reads a resource and tells the store when it is closed.
type memReader struct {
	store *MemStore
	mu    sync.Mutex
	body  *bytes.Reader // nil once closed
}

func (r *memReader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.body == nil {
		return 0, fs.ErrClosed
	}
	return r.body.Read(p)
}

func (r *memReader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.body == nil {
		return fs.ErrClosed
	}
	r.body = nil
	r.store.mu.Lock()
	defer r.store.mu.Unlock()
	r.store.open--
	return nil
}
