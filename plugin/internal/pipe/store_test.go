package pipe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/PlakarKorp/kloset/location"
	"github.com/PlakarKorp/kloset/objects"
)

// fakeStore keeps blobs in memory; functions replace what a test is about.
type fakeStore struct {
	storage.Store
	put  func(io.Reader) (int64, error)
	get  func() io.ReadCloser
	list int

	delete func() error

	mu    sync.Mutex
	blobs map[objects.MAC][]byte
}

func (f *fakeStore) Origin() string                             { return "origin" }
func (f *fakeStore) Type() string                               { return "type" }
func (f *fakeStore) Root() string                               { return "/root" }
func (f *fakeStore) Flags() location.Flags                      { return location.FLAG_FILE }
func (f *fakeStore) Create(context.Context, []byte) error       { return errors.New("already there") }
func (f *fakeStore) Open(context.Context) ([]byte, error)       { return []byte("config"), nil }
func (f *fakeStore) Mode(context.Context) (storage.Mode, error) { return storage.ModeRead, nil }
func (f *fakeStore) Size(context.Context) (int64, error)        { return 1 << 40, nil }
func (f *fakeStore) Ping(context.Context) error                 { return errors.New("no answer") }
func (f *fakeStore) Close(context.Context) error                { return nil }
func (f *fakeStore) List(context.Context, storage.StorageResource) ([]objects.MAC, error) {
	ids := make([]objects.MAC, f.list)
	for i := range ids {
		ids[i] = objects.MAC{byte(i), byte(i >> 8), byte(i >> 16), 1}
	}
	return ids, nil
}

func (f *fakeStore) Put(_ context.Context, _ storage.StorageResource, id objects.MAC, body io.Reader) (int64, error) {
	if f.put != nil {
		return f.put(body)
	}
	b, err := io.ReadAll(body)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.blobs == nil {
		f.blobs = make(map[objects.MAC][]byte)
	}
	f.blobs[id] = b
	return int64(len(b)), err
}

func (f *fakeStore) Get(_ context.Context, _ storage.StorageResource, id objects.MAC, part *storage.Range) (io.ReadCloser, error) {
	if f.get != nil {
		return f.get(), nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	b, ok := f.blobs[id]
	if !ok {
		return nil, errors.New("no such blob")
	}
	if part != nil {
		b = b[part.Offset:][:part.Length]
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

func (f *fakeStore) Delete(_ context.Context, _ storage.StorageResource, id objects.MAC) error {
	if f.delete != nil {
		return f.delete()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.blobs, id)
	return nil
}

const packfile = storage.StorageResourcePackfile

func TestStoreCalls(t *testing.T) {
	ctx := t.Context()
	s := hostStore(t, &fakeStore{})
	if s.Origin() != "origin" || s.Type() != "type" || s.Root() != "/root" || s.Flags() != location.FLAG_FILE {
		t.Errorf("identity: %q %q %q %v", s.Origin(), s.Type(), s.Root(), s.Flags())
	}
	if config, err := s.Open(ctx); err != nil || string(config) != "config" {
		t.Errorf("open: %q, %v", config, err)
	}
	if err := s.Create(ctx, nil); err == nil || err.Error() != "already there" {
		t.Errorf("create: %v", err)
	}
	if err := s.Ping(ctx); err == nil || err.Error() != "no answer" {
		t.Errorf("ping: %v", err)
	}
	if mode, err := s.Mode(ctx); err != nil || mode != storage.ModeRead {
		t.Errorf("mode: %v, %v", mode, err)
	}
	if size, err := s.Size(ctx); err != nil || size != 1<<40 {
		t.Errorf("size: %d, %v", size, err)
	}
	id := objects.MAC{1}
	for _, size := range []int{0, 1, chunkSize, 3*chunkSize + 1} {
		body := bytes.Repeat([]byte("b"), size)
		if n, err := s.Put(ctx, packfile, id, bytes.NewReader(body)); err != nil || n != int64(size) {
			t.Errorf("put %d bytes: %d, %v", size, n, err)
		}
		if got := read(t, s, id, nil); !bytes.Equal(got, body) {
			t.Errorf("get: %d bytes, want %d", len(got), size)
		}
	}
	if got := read(t, s, id, &storage.Range{Offset: 5, Length: chunkSize + 1}); len(got) != chunkSize+1 {
		t.Errorf("range: %d bytes", len(got))
	}
	if err := s.Delete(ctx, packfile, id); err != nil {
		t.Errorf("delete: %v", err)
	}
	rd, err := s.Get(ctx, packfile, id, nil)
	if err == nil {
		_, err = io.ReadAll(rd)
	}
	if err == nil || !strings.Contains(err.Error(), "no such blob") {
		t.Errorf("get of a missing blob: %v", err)
	}
	if err := s.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
}

func read(t *testing.T, s storage.Store, id objects.MAC, part *storage.Range) []byte {
	t.Helper()
	rd, err := s.Get(t.Context(), packfile, id, part)
	if err != nil {
		t.Fatal(err)
	}
	defer rd.Close()
	b, err := io.ReadAll(rd)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestListFitsOrFails lists as much as the host can take, and one more.
func TestListFitsOrFails(t *testing.T) {
	ids, err := hostStore(t, &fakeStore{list: maxList}).List(t.Context(), packfile)
	if err != nil || len(ids) != maxList {
		t.Errorf("list of %d: %d, %v", maxList, len(ids), err)
	}
	_, err = hostStore(t, &fakeStore{list: maxList + 1}).List(t.Context(), packfile)
	if err == nil || !strings.Contains(err.Error(), ErrListTooLong.Error()) {
		t.Errorf("list of %d: %v, want %v", maxList+1, err, ErrListTooLong)
	}
}

// TestPutErrorKeepsItsText refuses a blob before all of it is there.
func TestPutErrorKeepsItsText(t *testing.T) {
	for _, size := range []int{0, 100, 8 * chunkSize} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			s := hostStore(t, &fakeStore{put: func(body io.Reader) (int64, error) {
				_, _ = io.CopyN(io.Discard, body, int64(size/4))
				return 0, errors.New("quota exceeded")
			}})
			_, err := s.Put(t.Context(), packfile, objects.MAC{1}, bytes.NewReader(make([]byte, size)))
			if err == nil || !strings.Contains(err.Error(), "quota exceeded") {
				t.Errorf("put: %v", err)
			}
		})
	}
}

// TestCutBlobIsNoBlob breaks a blob while it is sent.
func TestCutBlobIsNoBlob(t *testing.T) {
	s := hostStore(t, &fakeStore{get: func() io.ReadCloser {
		return io.NopCloser(io.MultiReader(strings.NewReader("half"), iotest.ErrReader(io.ErrUnexpectedEOF)))
	}})
	rd, err := s.Get(t.Context(), packfile, objects.MAC{1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(rd); err == nil {
		t.Errorf("%q passes for the whole blob", b)
	}
}

// TestLocksGoWithTheHost leaves without deleting a lock: after Close, as plakar does,
// which does not wait for its deletion, and without a word, as when it is killed.
func TestLocksGoWithTheHost(t *testing.T) {
	lock, held := storage.StorageResourceLock, objects.MAC{2}
	for name, leave := range map[string]func(*testing.T, *host, storage.Store){
		"close": func(t *testing.T, _ *host, s storage.Store) {
			if err := s.Close(t.Context()); err != nil {
				t.Errorf("close: %v", err)
			}
		},
		"death": func(t *testing.T, h *host, _ storage.Store) { h.leave(t) },
	} {
		t.Run(name, func(t *testing.T) {
			f := &fakeStore{}
			h, s := hostOf(t, f)
			kept := objects.MAC{3} // of somebody else
			if _, err := f.Put(t.Context(), lock, kept, strings.NewReader("lock")); err != nil {
				t.Fatal(err)
			}
			for _, id := range []objects.MAC{{1}, held} {
				if _, err := s.Put(t.Context(), lock, id, strings.NewReader("lock")); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := s.Put(t.Context(), packfile, objects.MAC{4}, strings.NewReader("packfile")); err != nil {
				t.Fatal(err)
			}
			if err := s.Delete(t.Context(), lock, objects.MAC{1}); err != nil {
				t.Fatal(err)
			}
			leave(t, h, s)
			f.mu.Lock()
			defer f.mu.Unlock()
			if _, left := f.blobs[held]; left || len(f.blobs) != 2 || f.blobs[kept] == nil {
				t.Errorf("left are %v, not a lock of somebody else and a packfile", f.blobs)
			}
		})
	}
}

// TestLockThatStays is an error of Close.
func TestLockThatStays(t *testing.T) {
	f := &fakeStore{delete: func() error { return errors.New("not allowed") }}
	s := hostStore(t, f)
	if _, err := s.Put(t.Context(), storage.StorageResourceLock, objects.MAC{1}, strings.NewReader("lock")); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(t.Context()); err == nil || !strings.Contains(err.Error(), "not allowed") {
		t.Errorf("close: %v", err)
	}
}
