package klosettest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"
	"testing"

	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/PlakarKorp/kloset/objects"
)

// repositoryChecks are about the store as a whole: what it is, and how a
// repository comes into being.
var repositoryChecks = []check[StoreHarness]{
	{"Identity", checkStoreIdentity},
	{"CreateThenOpen", checkCreateThenOpen},
	{"CreateTwice", checkCreateTwice},
	{"CreateConcurrently", checkCreateConcurrently},
	{"CreateCancelled", checkCreateCancelled},
	{"OpenWithoutRepository", checkOpenWithoutRepository},
	{"Mode", checkMode},
	{"Size", checkSize},
	{"Layout", checkLayout},
	{"CloseAndAfter", checkCloseAndAfter},
}

func checkStoreIdentity(t testing.TB, h StoreHarness) {
	s := h.fresh(t)
	identity := func(s storage.Store) [3]string { return [3]string{s.Type(), s.Origin(), s.Root()} }
	before := identity(s)
	if before[0] == "" || before[1] == "" {
		t.Errorf("type %q and origin %q must not be empty", before[0], before[1])
	}
	// Of stores of these types the engine skips records below their root.
	if typ := s.Type(); typ == "fs" || typ == "ptar" {
		t.Errorf("type %q means a local folder to the engine", typ)
	}
	if !cleanRoot(s.Root()) {
		t.Errorf("root %q is not absolute and clean", s.Root())
	}
	must(t, "ping", s.Ping(t.Context()))
	must(t, "create", s.Create(t.Context(), aConfig))
	if after := identity(s); after != before {
		t.Errorf("type, origin, root were %q, after create they are %q", before, after)
	}
	if other := identity(h.again(t, s)); other != before {
		t.Errorf("type, origin, root are %q, of another store on the same location %q", before, other)
	}
}

func checkCreateThenOpen(t testing.TB, h StoreHarness) {
	s := h.fresh(t)
	must(t, "create", s.Create(t.Context(), aConfig))
	for _, s := range []storage.Store{s, h.again(t, s)} {
		got, err := s.Open(t.Context())
		must(t, "open", err)
		if line := diffBody(aConfig, got); line != "" {
			t.Errorf("open: %s", line)
		}
	}
}

func checkCreateTwice(t testing.TB, h StoreHarness) {
	s := h.created(t)
	for _, second := range []storage.Store{s, h.again(t, s)} {
		if err := second.Create(t.Context(), noise(2, 654)); err == nil {
			t.Error("create over a repository: no error")
		}
		got, err := s.Open(t.Context())
		must(t, "open", err)
		if line := diffBody(aConfig, got); line != "" {
			t.Errorf("open after a second create: %s", line)
		}
	}
}

func checkCreateConcurrently(t testing.TB, h StoreHarness) {
	if h.SharedCreate != "" {
		t.Logf("not checked: %s", h.SharedCreate)
		return
	}
	const creators = 16
	s := h.fresh(t)
	stores := make([]storage.Store, creators)
	for i := range stores {
		stores[i] = h.again(t, s)
	}
	var won [creators]bool
	var start, wg sync.WaitGroup
	start.Add(1)
	for i, s := range stores {
		wg.Go(func() {
			start.Wait()
			won[i] = s.Create(t.Context(), noise(uint64(i), 100+i)) == nil
		})
	}
	start.Done()
	wg.Wait()

	winner := slices.Index(won[:], true)
	if winner < 0 || slices.Contains(won[winner+1:], true) {
		t.Fatalf("of %d concurrent creates, these succeeded: %v, want exactly one", creators, won)
	}
	got, err := s.Open(t.Context())
	must(t, "open", err)
	if line := diffBody(noise(uint64(winner), 100+winner), got); line != "" {
		t.Errorf("open gives another configuration than the winner's: %s", line)
	}
}

func checkCreateCancelled(t testing.TB, h StoreHarness) {
	s := h.fresh(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Create(ctx, aConfig); !errors.Is(err, context.Canceled) {
		t.Errorf("create with a cancelled context: error %v, want context.Canceled", err)
	}
	if _, err := s.Open(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open after that: error %v, want fs.ErrNotExist", err)
	}
}

func checkOpenWithoutRepository(t testing.TB, h StoreHarness) {
	s := h.fresh(t)
	if config, err := s.Open(t.Context()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open: %d bytes, error %v, want fs.ErrNotExist", len(config), err)
	}
}

// checkMode asks often, because the engine asks once for each file that it opens.
func checkMode(t testing.TB, h StoreHarness) {
	s := h.created(t)
	err := within(t, h.patience(), "10,000 calls of mode", func() error {
		for range 10_000 {
			mode, err := s.Mode(t.Context())
			if err != nil {
				return err
			}
			if want := storage.ModeRead | storage.ModeWrite; mode != want {
				return fmt.Errorf("got %d, want %d", mode, want)
			}
		}
		return nil
	})
	if err != nil {
		t.Errorf("mode: %v", err)
	}
}

func checkSize(t testing.TB, h StoreHarness) {
	s := h.created(t)
	put(t, s, storage.StorageResourcePackfile, name(1), noise(1, mib))
	put(t, s, storage.StorageResourceState, name(2), noise(2, 1000))
	size, err := s.Size(t.Context())
	must(t, "size", err)
	if size != -1 && size < mib+1000 {
		t.Errorf("size is %d, want at least the %d bytes stored, or -1", size, mib+1000)
	}
}

func checkLayout(t testing.TB, h StoreHarness) {
	if h.Names == nil {
		t.Log("not checked: the harness lists no names")
		return
	}
	s := h.created(t)
	want := []string{configName}
	for i, res := range resources {
		id := name(uint64(i))
		put(t, s, res, id, noise(1, 124))
		want = append(want, resourceName(res, id))
	}
	slices.Sort(want)
	if got := slices.Sorted(slices.Values(h.Names(t, s))); !slices.Equal(got, want) {
		t.Errorf("stored names are %q, want %q", got, want)
	}
}

// checkCloseAndAfter closes with a dead context, as programs do on their way out.
func checkCloseAndAfter(t testing.TB, h StoreHarness) {
	s := h.created(t)
	put(t, s, storage.StorageResourceLock, name(1), noise(1, 124))
	other := h.again(t, s)

	dead, cancel := context.WithCancel(t.Context())
	cancel()
	must(t, "close", s.Close(dead))
	must(t, "close again", s.Close(t.Context()))

	for what, call := range map[string]func() error{
		"create": func() error { return s.Create(t.Context(), aConfig) },
		"open":   func() error { _, err := s.Open(t.Context()); return err },
		"list":   func() error { _, err := s.List(t.Context(), storage.StorageResourceLock); return err },
		"put":    func() error { return putErr(t.Context(), s, storage.StorageResourceLock, name(2), nil) },
		"get":    func() error { _, err := read(t.Context(), s, storage.StorageResourceLock, name(1), nil); return err },
		"delete": func() error { return s.Delete(t.Context(), storage.StorageResourceLock, name(1)) },
	} {
		if err := within(t, h.patience(), what+" after close", call); err == nil {
			t.Errorf("%s after close: no error", what)
		}
	}
	wantBody(t, other, storage.StorageResourceLock, name(1), noise(1, 124))
	wantList(t, other, storage.StorageResourceLock, name(1))
}

// putErr is a Put of body of which only the error matters.
func putErr(ctx context.Context, s storage.Store, res storage.StorageResource, id objects.MAC, body []byte) error {
	_, err := s.Put(ctx, res, id, io.Reader(bytes.NewReader(body)))
	return err
}
