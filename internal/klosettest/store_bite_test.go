package klosettest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/PlakarKorp/kloset/objects"
)

func TestRunStoreBites(t *testing.T) {
	all := slices.Concat(oddRepositories(), oddPuts(), oddGets(), oddLists(), oddLocks())
	for i := range all {
		all[i].harness.Patience = patienceFor(all[i].finds)
	}
	bites(t, storeChecks, all)
}

// oddStore is a store in memory that differs where a field is set.
type oddStore struct {
	*MemStore
	root   func() string
	mode   func() (storage.Mode, error)
	size   func() (int64, error)
	create func(context.Context, []byte) error
	open   func(context.Context) ([]byte, error)
	close  func() error
	list   func(context.Context, storage.StorageResource) ([]objects.MAC, error)
	put    func(context.Context, storage.StorageResource, objects.MAC, io.Reader) (int64, error)
	get    func(context.Context, storage.StorageResource, objects.MAC, *storage.Range) (io.ReadCloser, error)
	delete func(context.Context, storage.StorageResource, objects.MAC) error
}

func (o *oddStore) Root() string {
	if o.root != nil {
		return o.root()
	}
	return o.MemStore.Root()
}

func (o *oddStore) Mode(ctx context.Context) (storage.Mode, error) {
	if o.mode != nil {
		return o.mode()
	}
	return o.MemStore.Mode(ctx)
}

func (o *oddStore) Size(ctx context.Context) (int64, error) {
	if o.size != nil {
		return o.size()
	}
	return o.MemStore.Size(ctx)
}

func (o *oddStore) Create(ctx context.Context, config []byte) error {
	if o.create != nil {
		return o.create(ctx, config)
	}
	return o.MemStore.Create(ctx, config)
}

func (o *oddStore) Open(ctx context.Context) ([]byte, error) {
	if o.open != nil {
		return o.open(ctx)
	}
	return o.MemStore.Open(ctx)
}

func (o *oddStore) Close(ctx context.Context) error {
	if o.close != nil {
		return o.close()
	}
	return o.MemStore.Close(ctx)
}

func (o *oddStore) List(ctx context.Context, res storage.StorageResource) ([]objects.MAC, error) {
	if o.list != nil {
		return o.list(ctx, res)
	}
	return o.MemStore.List(ctx, res)
}

func (o *oddStore) Put(ctx context.Context, res storage.StorageResource, id objects.MAC, rd io.Reader) (int64, error) {
	if o.put != nil {
		return o.put(ctx, res, id, rd)
	}
	return o.MemStore.Put(ctx, res, id, rd)
}

func (o *oddStore) Get(ctx context.Context, res storage.StorageResource, id objects.MAC, rg *storage.Range) (io.ReadCloser, error) {
	if o.get != nil {
		return o.get(ctx, res, id, rg)
	}
	return o.MemStore.Get(ctx, res, id, rg)
}

func (o *oddStore) Delete(ctx context.Context, res storage.StorageResource, id objects.MAC) error {
	if o.delete != nil {
		return o.delete(ctx, res, id)
	}
	return o.MemStore.Delete(ctx, res, id)
}

// oddStores is a harness of stores that change has had its way with.
func oddStores(change func(*oddStore)) StoreHarness {
	odd := func(m *MemStore) storage.Store {
		o := &oddStore{MemStore: m}
		change(o)
		return o
	}
	return StoreHarness{
		New:    func(testing.TB) storage.Store { return odd(NewMemStore()) },
		Reopen: func(_ testing.TB, s storage.Store) storage.Store { return odd(s.(*oddStore).Reopen()) },
		Plant:  func(_ testing.TB, s storage.Store, name string, body []byte) { s.(*oddStore).Plant(name, body) },
		Names:  func(_ testing.TB, s storage.Store) []string { return s.(*oddStore).Names() },
		Seed:   1,
	}
}

type storeBreakage = breakage[StoreHarness]

func oddRepositories() []storeBreakage {
	return []storeBreakage{
		{"Identity", "relative root", "not absolute and clean", oddStores(func(o *oddStore) { o.root = func() string { return "x" } })},
		{"Identity", "another root after create", "after create they are", oddStores(func(o *oddStore) {
			o.root = func() string {
				if len(o.Names()) > 0 {
					return "/created"
				}
				return "/"
			}
		})},
		{"CreateThenOpen", "half of it", "equal up to", oddStores(func(o *oddStore) {
			o.open = func(ctx context.Context) ([]byte, error) {
				config, err := o.MemStore.Open(ctx)
				return config[:len(config)/2], err
			}
		})},
		{"CreateTwice", "overwrites", "create over a repository: no error", oddStores(overwriting)},
		{"CreateConcurrently", "overwrites", "want exactly one", oddStores(overwriting)},
		{"CreateCancelled", "goes on", "want context.Canceled", oddStores(func(o *oddStore) {
			o.create = func(ctx context.Context, config []byte) error {
				return o.MemStore.Create(context.WithoutCancel(ctx), config)
			}
		})},
		{"OpenWithoutRepository", "gives nothing", "want fs.ErrNotExist", oddStores(func(o *oddStore) {
			o.open = func(context.Context) ([]byte, error) { return nil, nil }
		})},
		{"Mode", "not readable", "got 2", oddStores(func(o *oddStore) {
			o.mode = func() (storage.Mode, error) { return storage.ModeWrite, nil }
		})},
		{"Mode", "asks each time", "no end", oddStores(func(o *oddStore) {
			o.mode = func() (storage.Mode, error) {
				time.Sleep(time.Millisecond)
				return storage.ModeRead | storage.ModeWrite, nil
			}
		})},
		{"Size", "nothing", "want at least", oddStores(func(o *oddStore) { o.size = func() (int64, error) { return 0, nil } })},
		{"Layout", "one folder", "stored names are", oddStores(func(o *oddStore) {
			o.put = func(_ context.Context, res storage.StorageResource, id objects.MAC, rd io.Reader) (int64, error) {
				body, err := io.ReadAll(rd)
				o.Plant(folders[res].name+"/"+id.FormatHex(), body)
				return int64(len(body)), err
			}
		})},
		{"CloseAndAfter", "stays open", "after close: no error", oddStores(func(o *oddStore) { o.close = func() error { return nil } })},
		{"CloseAndAfter", "closes once", "close again", oddStores(func(o *oddStore) {
			o.close = func() error {
				if o.closed {
					return fs.ErrClosed
				}
				return o.MemStore.Close(context.Background())
			}
		})},
	}
}

// overwriting creates whatever is there.
func overwriting(o *oddStore) {
	o.create = func(_ context.Context, config []byte) error {
		o.Plant(configName, config)
		return nil
	}
}

func oddPuts() []storeBreakage {
	// reading is a store that reads bodies in its own way, and keeps what it
	// got although there is an error.
	reading := func(read func(context.Context, io.Reader) ([]byte, error)) StoreHarness {
		return oddStores(func(o *oddStore) {
			o.put = func(ctx context.Context, res storage.StorageResource, id objects.MAC, rd io.Reader) (int64, error) {
				body, err := read(ctx, rd)
				if body != nil {
					o.Plant(resourceName(res, id), body)
				}
				return int64(len(body)), err
			}
		})
	}
	// losing is a store whose puts of some resources end nowhere.
	losing := func(lost func(ctx context.Context, res storage.StorageResource) bool) StoreHarness {
		return oddStores(func(o *oddStore) {
			o.put = func(ctx context.Context, res storage.StorageResource, id objects.MAC, rd io.Reader) (int64, error) {
				if lost(ctx, res) {
					return io.Copy(io.Discard, rd)
				}
				return o.MemStore.Put(ctx, res, id, rd)
			}
		})
	}
	var puts atomic.Int64
	isState := func(_ context.Context, res storage.StorageResource) bool { return res == storage.StorageResourceState }
	return []storeBreakage{
		{"PutSizes", "cut at a part", "returned", reading(func(_ context.Context, rd io.Reader) ([]byte, error) {
			body, err := io.ReadAll(rd)
			return body[:min(len(body), 8*mib)], err
		})},
		{"PutEmpty", "stores nothing", fs.ErrNotExist.Error(), reading(func(_ context.Context, rd io.Reader) ([]byte, error) {
			body, err := io.ReadAll(rd)
			if len(body) == 0 {
				return nil, err
			}
			return body, err
		})},
		{"PutOddReaders", "takes nothing for the end", "returned 0", reading(func(_ context.Context, rd io.Reader) (body []byte, err error) {
			p := make([]byte, 512)
			for n := 1; n > 0 && err == nil; {
				n, err = rd.Read(p)
				body = append(body, p[:n]...)
			}
			if err == io.EOF {
				err = nil
			}
			return body, err
		})},
		{"PutDrains", "stops at a short read", "not read to EOF", reading(func(_ context.Context, rd io.Reader) (body []byte, err error) {
			p := make([]byte, mib)
			for n := len(p); n == len(p) && err == nil; {
				n, err = rd.Read(p)
				body = append(body, p[:n]...)
			}
			if err == io.EOF {
				err = nil
			}
			return body, err
		})},
		{"PutBrokenReader", "takes it for the end", "want the reader's", reading(func(_ context.Context, rd io.Reader) ([]byte, error) {
			body, _ := io.ReadAll(rd)
			return body, nil
		})},
		{"PutBrokenReader", "keeps what came", "that must not be there", reading(func(_ context.Context, rd io.Reader) ([]byte, error) { return io.ReadAll(rd) })},
		{"PutCancelled", "goes on", "want context.Canceled", reading(func(_ context.Context, rd io.Reader) ([]byte, error) { return io.ReadAll(rd) })},
		{"PutCancelledMidway", "looks once", "want context.Canceled", reading(func(ctx context.Context, rd io.Reader) ([]byte, error) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			return io.ReadAll(rd)
		})},
		{"PutConcurrently", "the tenth is lost", fs.ErrNotExist.Error(), losing(func(context.Context, storage.StorageResource) bool { return puts.Add(1) == 10 })},
		{"PutHot", "hot ones elsewhere", fs.ErrNotExist.Error(), losing(func(ctx context.Context, _ storage.StorageResource) bool {
			return storage.Flag(ctx) == storage.StorageHot
		})},
		{"UnsupportedResources", "takes all", "want errors.ErrUnsupported", reading(func(_ context.Context, rd io.Reader) ([]byte, error) { return nil, nil })},
		{"Delete", "twice is an error", "delete packfile: ", oddStores(func(o *oddStore) {
			o.delete = func(ctx context.Context, res storage.StorageResource, id objects.MAC) error {
				if _, err := o.bucket.get(resourceName(res, id)); err != nil {
					return err
				}
				return o.MemStore.Delete(ctx, res, id)
			}
		})},
		{"Delete", "the whole folder", "identifiers", oddStores(func(o *oddStore) {
			o.delete = func(_ context.Context, res storage.StorageResource, _ objects.MAC) error {
				for _, name := range o.Names() {
					if strings.HasPrefix(name, folders[res].name) {
						o.bucket.delete(name)
					}
				}
				return nil
			}
		})},
		{"EnginePlaintext", "states are lost", "blob not found", losing(isState)},
		{"EngineEncrypted", "states are lost", "blob not found", losing(isState)},
	}
}

func oddGets() []storeBreakage {
	// getting is a store that sees the range, or the error, in its own way.
	getting := func(get func(*oddStore, context.Context, storage.StorageResource, objects.MAC, *storage.Range) (io.ReadCloser, error)) StoreHarness {
		return oddStores(func(o *oddStore) {
			o.get = func(ctx context.Context, res storage.StorageResource, id objects.MAC, rg *storage.Range) (io.ReadCloser, error) {
				return get(o, ctx, res, id, rg)
			}
		})
	}
	// shifting reads another range.
	shifting := func(shift func(*storage.Range)) StoreHarness {
		return getting(func(o *oddStore, ctx context.Context, res storage.StorageResource, id objects.MAC, rg *storage.Range) (io.ReadCloser, error) {
			if rg != nil {
				other := *rg
				shift(&other)
				rg = &other
			}
			return o.MemStore.Get(ctx, res, id, rg)
		})
	}
	// wrapping reads through another reader.
	wrapping := func(wrap func(io.ReadCloser) io.ReadCloser) StoreHarness {
		return getting(func(o *oddStore, ctx context.Context, res storage.StorageResource, id objects.MAC, rg *storage.Range) (io.ReadCloser, error) {
			rd, err := o.MemStore.Get(ctx, res, id, rg)
			if err != nil {
				return nil, err
			}
			return wrap(rd), nil
		})
	}
	connections := make(chan struct{}, 16)
	var cache sync.Map
	return []storeBreakage{
		{"GetMissing", "is empty", "want fs.ErrNotExist", getting(func(o *oddStore, ctx context.Context, res storage.StorageResource, id objects.MAC, rg *storage.Range) (io.ReadCloser, error) {
			rd, err := o.MemStore.Get(ctx, res, id, rg)
			if errors.Is(err, fs.ErrNotExist) {
				return io.NopCloser(bytes.NewReader(nil)), nil
			}
			return rd, err
		})},
		{"GetCancelled", "goes on", "want context.Canceled", getting(func(o *oddStore, ctx context.Context, res storage.StorageResource, id objects.MAC, rg *storage.Range) (io.ReadCloser, error) {
			return o.MemStore.Get(context.WithoutCancel(ctx), res, id, rg)
		})},
		{"GetRanges", "from the start", "equal up to", shifting(func(rg *storage.Range) { rg.Offset = 0 })},
		{"GetRanges", "one byte more", "equal up to", shifting(func(rg *storage.Range) { rg.Length++ })},
		{"GetRanges", "one byte less", "equal up to", shifting(func(rg *storage.Range) { rg.Length-- })},
		{"GetNeighbouringRanges", "by pages", "equal up to", shifting(func(rg *storage.Range) { rg.Offset &^= 4095 })},
		{"GetPastTheEnd", "makes bytes up", "get ", wrapping(func(rd io.ReadCloser) io.ReadCloser {
			return ownClose{io.MultiReader(rd, bytes.NewReader(make([]byte, 100))), rd.Close}
		})},
		{"GetConcurrently", "sixteen connections", "no end", wrapping(func(rd io.ReadCloser) io.ReadCloser {
			connections <- struct{}{}
			return ownClose{rd, func() error { <-connections; return rd.Close() }}
		})},
		{"GetCloseEarly", "wants it read", "close after", wrapping(func(rd io.ReadCloser) io.ReadCloser {
			return ownClose{rd, func() error {
				if n, _ := io.Copy(io.Discard, rd); n > 0 {
					return io.ErrUnexpectedEOF
				}
				return rd.Close()
			}}
		})},
		{"GetAfterDelete", "from memory", "of a deleted state", getting(func(o *oddStore, ctx context.Context, res storage.StorageResource, id objects.MAC, rg *storage.Range) (io.ReadCloser, error) {
			if body, ok := cache.Load(*rg); ok {
				return io.NopCloser(bytes.NewReader(body.([]byte))), nil
			}
			body, err := read(ctx, o.MemStore, res, id, rg)
			cache.Store(*rg, body)
			return io.NopCloser(bytes.NewReader(body)), err
		})},
		{"EngineLostPackfile", "some other error", "want fs.ErrNotExist", getting(func(o *oddStore, ctx context.Context, res storage.StorageResource, id objects.MAC, rg *storage.Range) (io.ReadCloser, error) {
			rd, err := o.MemStore.Get(ctx, res, id, rg)
			if err != nil {
				return nil, errBroken
			}
			return rd, nil
		})},
	}
}

func oddLists() []storeBreakage {
	// listing is a store that says something else than what there is.
	listing := func(change func(o *oddStore, res storage.StorageResource, ids []objects.MAC) []objects.MAC) StoreHarness {
		return oddStores(func(o *oddStore) {
			o.list = func(ctx context.Context, res storage.StorageResource) ([]objects.MAC, error) {
				ids, err := o.MemStore.List(ctx, res)
				return change(o, res, ids), err
			}
		})
	}
	// loosely takes every name that ends in 64 digits.
	loosely := func(o *oddStore, res storage.StorageResource, _ []objects.MAC) []objects.MAC {
		var ids []objects.MAC
		for _, name := range o.Names() {
			var id objects.MAC
			digits := name[max(0, len(name)-2*len(id)):]
			if strings.HasPrefix(name, folders[res].name+"/") && id.ParseHex(digits) == nil {
				ids = append(ids, id)
			}
		}
		return ids
	}
	return []storeBreakage{
		{"ListEmpty", "something", "identifiers", listing(func(*oddStore, storage.StorageResource, []objects.MAC) []objects.MAC { return []objects.MAC{{}} })},
		{"ListOwnResources", "those of others", "identifiers", listing(func(o *oddStore, _ storage.StorageResource, _ []objects.MAC) []objects.MAC {
			var ids []objects.MAC
			for _, res := range resources {
				ids = append(ids, loosely(o, res, nil)...)
			}
			return ids
		})},
		{"ListMany", "one page", "got 1000 identifiers", listing(func(_ *oddStore, _ storage.StorageResource, ids []objects.MAC) []objects.MAC {
			return ids[:min(1000, len(ids))]
		})},
		{"ListForeignNames", "what looks like one", "identifiers", listing(loosely)},
		{"ListStatesOldestFirst", "by name", "states are listed as", listing(func(_ *oddStore, _ storage.StorageResource, ids []objects.MAC) []objects.MAC {
			slices.SortFunc(ids, func(a, b objects.MAC) int { return bytes.Compare(a[:], b[:]) })
			return ids
		})},
		{"ListCancelled", "what there was", "want context.Canceled", oddStores(func(o *oddStore) {
			o.list = func(ctx context.Context, res storage.StorageResource) ([]objects.MAC, error) {
				return o.MemStore.List(context.WithoutCancel(ctx), res)
			}
		})},
	}
}

func oddLocks() []storeBreakage {
	// once is a store that puts each name only once.
	once := oddStores(func(o *oddStore) {
		o.put = func(ctx context.Context, res storage.StorageResource, id objects.MAC, rd io.Reader) (int64, error) {
			if _, err := o.bucket.get(resourceName(res, id)); err == nil {
				return 0, ErrOverwrite
			}
			return o.MemStore.Put(ctx, res, id, rd)
		}
	})
	// refusing is a store that deletes nothing once the context has ended.
	refusing := oddStores(func(o *oddStore) {
		o.delete = func(ctx context.Context, res storage.StorageResource, id objects.MAC) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return o.MemStore.Delete(ctx, res, id)
		}
	})
	slots := make(chan struct{}, 32)
	return []storeBreakage{
		{"LockOverwrite", "puts once", ErrOverwrite.Error(), once},
		{"LockOverwriteConcurrently", "puts once", "put a lock while others do", once},
		{"LockDeleteCancelled", "refuses", "delete a lock with a cancelled context", refusing},
		{"LockSkipsTheQueue", "one queue", "no end", oddStores(func(o *oddStore) {
			o.put = func(ctx context.Context, res storage.StorageResource, id objects.MAC, rd io.Reader) (int64, error) {
				slots <- struct{}{}
				defer func() { <-slots }()
				return o.MemStore.Put(ctx, res, id, rd)
			}
		})},
		{"EngineConcurrentBackups", "one lock at a time", "back up at the same time", oddStores(func(o *oddStore) {
			o.put = func(ctx context.Context, res storage.StorageResource, id objects.MAC, rd io.Reader) (int64, error) {
				if res == lock && slices.ContainsFunc(o.Names(), func(name string) bool { return strings.HasPrefix(name, "locks/") }) {
					return 0, fs.ErrExist
				}
				return o.MemStore.Put(ctx, res, id, rd)
			}
		})},
		{"EngineCancelledBackup", "keeps the lock", "list lock: got 1 identifiers", refusing},
	}
}
