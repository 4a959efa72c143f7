package e2e_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/PlakarKorp/kloset/connectors"
	"github.com/PlakarKorp/kloset/connectors/importer"
	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/PlakarKorp/kloset/location"
	"github.com/PlakarKorp/kloset/objects"
	"github.com/s3kloset/s3kloset"
)

// existingStore keeps a repository as the existing S3 integration v1.1.5 of plakar does. It
// is made after the description of its layout: the module itself is not to be had. All that
// it has in common with ours are the names.
type existingStore struct {
	storage.Store // what the engine never asks for
	site
	bucket, folder string

	// cold is the class GLACIER: cold packfiles have another name, and all else has a copy
	// of such a name that nobody reads.
	cold bool
}

func (s *existingStore) Origin() string                      { return address(s.server) }
func (s *existingStore) Root() string                        { return "/" + s.bucket + "/" + s.folder }
func (s *existingStore) Type() string                        { return "s3" }
func (s *existingStore) Flags() location.Flags               { return 0 }
func (s *existingStore) Ping(context.Context) error          { return nil }
func (s *existingStore) Close(context.Context) error         { return nil }
func (s *existingStore) Size(context.Context) (int64, error) { return -1, nil }
func (s *existingStore) Mode(context.Context) (storage.Mode, error) {
	return storage.ModeRead | storage.ModeWrite, nil
}

func (s *existingStore) Create(ctx context.Context, config []byte) error {
	if err := s.client.CreateBucket(ctx, s.bucket); err != nil {
		return err
	}
	return s.put(ctx, "CONFIG", config, false)
}

func (s *existingStore) Open(ctx context.Context) ([]byte, error) { return s.read(ctx, "CONFIG") }

// nameOf is where a blob is.
func nameOf(resource storage.StorageResource, id objects.MAC) (string, error) {
	name := id.FormatHex()
	switch resource {
	case storage.StorageResourcePackfile:
		return "packfiles/" + name[:2] + "/" + name, nil
	case storage.StorageResourceState:
		return "states/" + name[:2] + "/" + name, nil
	case storage.StorageResourceLock:
		return "locks/" + name, nil
	}
	return "", errors.ErrUnsupported
}

func (s *existingStore) Put(ctx context.Context, resource storage.StorageResource, id objects.MAC, body io.Reader) (int64, error) {
	name, err := nameOf(resource, id)
	if err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	blob, err := io.ReadAll(body)
	if err != nil {
		return 0, err
	}
	frozen := resource == storage.StorageResourcePackfile && storage.Flag(ctx)&storage.StorageHot == 0
	return int64(len(blob)), s.put(ctx, name, blob, frozen)
}

// put stores a blob under its name, and in a cold store under that of a frozen one.
func (s *existingStore) put(ctx context.Context, name string, blob []byte, frozen bool) error {
	var names []string
	if !s.cold || !frozen {
		names = append(names, name)
	}
	if s.cold && !strings.HasPrefix(name, "locks/") {
		names = append(names, name+".frozen")
	}
	for _, name := range names {
		if err := s.client.Put(ctx, s.bucket, s.folder+"/"+name, http.Header{}, blob); err != nil {
			return err
		}
	}
	return nil
}

func (s *existingStore) Get(ctx context.Context, resource storage.StorageResource, id objects.MAC, part *storage.Range) (io.ReadCloser, error) {
	name, err := nameOf(resource, id)
	if err != nil {
		return nil, err
	}
	blob, err := s.read(ctx, name)
	if err == nil && part != nil {
		blob = blob[part.Offset:][:part.Length]
	}
	return io.NopCloser(bytes.NewReader(blob)), err
}

func (s *existingStore) read(ctx context.Context, name string) ([]byte, error) {
	answer, err := s.client.Get(ctx, s.bucket, s.folder+"/"+name)
	if err != nil {
		return nil, err
	}
	return answer.Body, nil
}

func (s *existingStore) Delete(ctx context.Context, resource storage.StorageResource, id objects.MAC) error {
	name, err := nameOf(resource, id)
	if err != nil {
		return err
	}
	return s.client.Delete(ctx, s.bucket, s.folder+"/"+name)
}

func (s *existingStore) List(ctx context.Context, resource storage.StorageResource) ([]objects.MAC, error) {
	keys, err := s.client.Keys(ctx, s.bucket)
	if err != nil {
		return nil, err
	}
	var ids []objects.MAC
	for _, key := range keys {
		name := strings.TrimPrefix(key, s.folder+"/")
		id, err := hex.DecodeString(path.Base(name))
		if err != nil || len(id) != len(objects.MAC{}) {
			continue // CONFIG, and copies
		}
		if expected, err := nameOf(resource, objects.MAC(id)); err == nil && expected == name {
			ids = append(ids, objects.MAC(id))
		}
	}
	return ids, nil
}

// existingSource shows a bucket to the engine as the existing integration does: keys are
// paths as they are, and objects have no metadata.
type existingSource struct {
	site
	bucket string
}

func (s *existingSource) Origin() string              { return address(s.server) + "/" + s.bucket }
func (s *existingSource) Root() string                { return "/" }
func (s *existingSource) Type() string                { return "s3" }
func (s *existingSource) Flags() location.Flags       { return 0 }
func (s *existingSource) Ping(context.Context) error  { return nil }
func (s *existingSource) Close(context.Context) error { return nil }

func (s *existingSource) Import(ctx context.Context, records chan<- *connectors.Record, _ <-chan *connectors.Result) error {
	defer close(records)
	keys, err := s.client.Keys(ctx, s.bucket)
	if err != nil {
		return err
	}
	for _, key := range keys {
		answer, err := s.client.Get(ctx, s.bucket, key)
		if err != nil {
			return err
		}
		written, err := http.ParseTime(answer.Header.Get("Last-Modified"))
		if err != nil {
			return err
		}
		info := objects.FileInfo{Lname: path.Base(key), Lsize: int64(len(answer.Body)), Lmode: 0o700, LmodTime: written, Ldev: 1}
		records <- connectors.NewRecord("/"+key, "", info, nil, func() (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(answer.Body)), nil
		})
	}
	return nil
}

var (
	_ storage.Store     = (*existingStore)(nil)
	_ importer.Importer = (*existingSource)(nil)
)

// TestPlakarTakesOver finds a repository that the existing integration has left, with its
// configuration: it is read, continued and maintained, and still one that the existing
// integration can read.
func TestPlakarTakesOver(t *testing.T) {
	t.Parallel()
	eachForPlakar(t, func(t *testing.T, at site) {
		for name, cold := range map[string]bool{"warm": false, "cold": true} {
			t.Run(name, func(t *testing.T) {
				original := at.newName(t, "original")
				keys := at.fill(t, original, []exhibit{
					show("100%.txt"), show("%2Fnot escaped"), show("folder/%"),
					show("folder/described", "Content-Type", "text/x-own", "x-amz-meta-a", "1"),
					show("folder/large").holding(noise(1, 3*mib)),
				})
				theirs := &existingStore{site: at, bucket: at.newName(t, "repo"), folder: "path/to/data", cold: cold}
				takeOver{newHome(t), at, original, keys, theirs}.run(t)
			})
		}
	})
}

type takeOver struct {
	home     *home
	at       site
	original string
	keys     []string
	theirs   *existingStore
}

func (o takeOver) run(t *testing.T) {
	old, err := s3kloset.CreateRepository(t.Context(), o.theirs, s3kloset.WithPlaintext())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := old.Backup(t.Context(), &existingSource{o.at, o.original}); err != nil {
		t.Fatal(err)
	}
	closeRepository(t, old)
	if packfiles := o.at.packfiles(t, o.theirs.bucket); o.theirs.cold != slices.ContainsFunc(packfiles, func(key string) bool {
		name, frozen := strings.CutSuffix(key, ".frozen")
		return frozen && !slices.Contains(packfiles, name)
	}) {
		t.Fatalf("packfiles are %q", packfiles)
	}

	// Their keys, and no other.
	theirConfig := func(place string) []string {
		return append(hostFirst(o.at.server, place), "tls_insecure_no_verify=false")
	}
	h := o.home
	h.add("store", "old", theirConfig(o.theirs.bucket+"/"+o.theirs.folder), []string{"storage_class=standard"})
	h.add("source", "src", theirConfig(o.original))
	first := h.newest("at", "@old")
	if got := h.must("at", "@old", "cat", first+":/folder/described"); got != "bytes of folder/described" {
		t.Errorf("cat: %q", got)
	}
	h.must("at", "@old", "check")
	o.wantBodies(t, o.restore(t, first))

	h.must("at", "@old", "backup", "@src")
	o.at.compare(t, o.restore(t, h.newest("at", "@old")), o.original, o.keys)
	h.must("at", "@old", "maintenance")
	h.must("at", "@old", "check")
	if ids := h.snapshots("at", "@old"); len(ids) != 2 {
		t.Errorf("snapshots are %q", ids)
	}
	if !o.theirs.cold { // there it reads nothing
		o.goBack(t)
	}
}

// restore restores a snapshot to a new bucket.
func (o takeOver) restore(t *testing.T, id string) string {
	t.Helper()
	restored := o.at.newName(t, "restored")
	o.home.add("destination", restored, hostFirst(o.at.server, restored), []string{"create_bucket=true"})
	o.home.must("at", "@old", "restore", "-to", "@"+restored, id)
	return restored
}

// wantBodies demands the keys and bytes of the original. More was not backed up.
func (o takeOver) wantBodies(t *testing.T, restored string) {
	t.Helper()
	if keys := o.at.keys(t, restored); !slices.Equal(keys, o.keys) {
		t.Errorf("restored were %q, not %q", keys, o.keys)
	}
	for _, key := range o.keys {
		want, err := o.at.client.Get(t.Context(), o.original, key)
		if err != nil {
			t.Fatal(err)
		}
		got, err := o.at.client.Get(t.Context(), restored, key)
		if err != nil || !bytes.Equal(got.Body, want.Body) {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// goBack reads everything with the existing integration again.
func (o takeOver) goBack(t *testing.T) {
	t.Helper()
	old, err := s3kloset.OpenRepository(t.Context(), o.theirs)
	if err != nil {
		t.Fatal(err)
	}
	defer closeRepository(t, old)
	snapshots, err := old.Snapshots(t.Context())
	if err != nil || len(snapshots) != 2 {
		t.Fatalf("snapshots are %+v, %v", snapshots, err)
	}
	for _, snapshot := range snapshots {
		if err := old.Check(t.Context(), snapshot.ID); err != nil {
			t.Error(err)
		}
	}
	restored := o.at.newName(t, "restored")
	target := o.at.open(t, restored, s3kloset.WithCreateBucket(true)).Destination()
	if _, err := old.Restore(t.Context(), snapshots[0].ID, target); err != nil {
		t.Fatal(err)
	}
	o.at.compare(t, restored, o.original, o.keys)
}
