package contract_test

import (
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/PlakarKorp/kloset/connectors/exporter"
	"github.com/PlakarKorp/kloset/connectors/importer"
	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/klosettest"
	"github.com/s3kloset/s3kloset/internal/s3test"
)

// The conformance suites over a server in memory. Source and Destination are held
// to them in a folder, and in whole buckets where both go round.

func TestStoreSuite(t *testing.T) {
	clock := s3test.NewManualClock(time.Now())
	klosettest.RunStore(t, newSuiteServer(t, s3test.WithClock(clock)).stores(clock))
}

func TestSourceSuite(t *testing.T) {
	klosettest.RunSource(t, newSuiteServer(t).sources("in a/folder"))
}

func TestDestinationSuite(t *testing.T) {
	klosettest.RunDestination(t, newSuiteServer(t).destinations("in a/folder"))
}

func TestRoundTripSuite(t *testing.T) {
	if testing.Short() {
		t.Skip("make gate has this suite on MinIO and on versitygw")
	}
	clock := s3test.NewManualClock(time.Now())
	server := newSuiteServer(t, s3test.WithClock(clock))
	klosettest.RunRoundTrip(t, klosettest.RoundTripHarness{
		Source:      server.sources(""),
		Destination: server.destinations(""),
		Store:       server.stores(clock),
	})
}

// suiteServer is a server on which each check gets a bucket of its own.
type suiteServer struct {
	server  *s3test.Server
	buckets atomic.Int64
}

func newSuiteServer(t testing.TB, options ...s3test.Option) *suiteServer {
	return &suiteServer{server: s3test.Start(t, options...)}
}

// suitePlace is a folder of a bucket, or all of it.
type suitePlace struct {
	server *suiteServer
	bucket *s3test.Bucket
	folder string // without slashes around it; empty for the whole bucket
	filled map[string]klosettest.Object
}

// place makes a bucket with objects around the folder. When t ends they must be
// as they were, and no upload may be left open.
func (s *suiteServer) place(t testing.TB, folder string) *suitePlace {
	p := &suitePlace{server: s, folder: folder, bucket: s.server.CreateBucket(fmt.Sprintf("bucket-%d", s.buckets.Add(1)))}
	for _, key := range p.neighbours() {
		p.bucket.Put(key, []byte(key), s3test.Properties{})
	}
	t.Cleanup(func() {
		s.settle(t)
		for _, key := range p.neighbours() {
			if o, ok := p.bucket.Get(key); !ok || string(o.Body) != key {
				t.Errorf("%q, outside of the folder, was touched", key)
			}
		}
		if n := p.bucket.Len() - len(p.objects()); n != len(p.neighbours()) {
			t.Errorf("%d objects outside of the folder, there were %d", n, len(p.neighbours()))
		}
		if n := p.bucket.Uploads(); n != 0 {
			t.Errorf("%d uploads are left open", n)
		}
	})
	return p
}

// settle waits until the server has nothing to do: what a client has given up
// may still be carried out.
func (s *suiteServer) settle(t testing.TB) {
	for deadline := time.Now().Add(time.Minute); s.server.InFlight() > 0; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d requests never ended", s.server.InFlight())
		}
	}
}

// neighbours are keys that only look as if they were in the folder, which lies
// in another one.
func (p *suitePlace) neighbours() []string {
	if p.folder == "" {
		return nil
	}
	parent, _, _ := strings.Cut(p.folder, "/")
	return []string{"0", "~", parent, parent + "/", p.folder + "!", p.folder + "0/x", p.folder + ".txt"}
}

// open returns a handle that lives as long as t.
func (p *suitePlace) open(t testing.TB) *s3kloset.Bucket {
	t.Helper()
	location := "s3://" + p.bucket.Name()
	if p.folder != "" {
		location += "/" + p.folder
	}
	server := p.server.server
	handle, err := s3kloset.New(location,
		s3kloset.WithEndpoint(server.URL()),
		s3kloset.WithRegion(server.Region()),
		s3kloset.WithCredentials(server.AccessKey(), server.SecretKey(), ""),
	)
	if err != nil {
		t.Fatalf("open %s: %v", location, err)
	}
	t.Cleanup(func() {
		if err := handle.Close(); err != nil {
			t.Errorf("close %s: %v", location, err)
		}
	})
	return handle
}

// below returns the key of a name in the folder.
func (p *suitePlace) below(name string) string {
	if p.folder == "" {
		return name
	}
	return p.folder + "/" + name
}

// fill makes the folder hold exactly the objects, and does not touch those that
// it put there before.
func (p *suitePlace) fill(objs []klosettest.Object) {
	filled := make(map[string]klosettest.Object)
	for _, o := range objs {
		filled[o.Key] = o
		if old, there := p.filled[o.Key]; !there || !reflect.DeepEqual(old, o) {
			p.bucket.Put(p.below(o.Key), o.Body, propertiesOf(o))
		}
	}
	for key := range p.filled {
		if _, stays := filled[key]; !stays {
			p.bucket.Delete(p.below(key))
		}
	}
	p.filled = filled
}

// objects returns what the folder holds.
func (p *suitePlace) objects() []klosettest.Object {
	var objs []klosettest.Object
	for _, o := range p.bucket.Dump() {
		key, in := strings.CutPrefix(o.Key, p.folder+"/")
		if p.folder == "" {
			key, in = o.Key, true
		}
		if in {
			objs = append(objs, objectOf(key, o))
		}
	}
	return objs
}

// fits tells whether a key is one that S3 takes, with the folder before it.
func fits(folder string) func(string) bool {
	const longest = 1024 // bytes
	return func(key string) bool { return len((&suitePlace{folder: folder}).below(key)) <= longest }
}

func propertiesOf(o klosettest.Object) s3test.Properties {
	return s3test.Properties{
		ContentType: o.ContentType, CacheControl: o.CacheControl, ContentDisposition: o.ContentDisposition,
		ContentEncoding: o.ContentEncoding, ContentLanguage: o.ContentLanguage,
		Expires: o.Expires, WebsiteRedirect: o.WebsiteRedirect,
		StorageClass: o.StorageClass, Metadata: o.Metadata, Tags: o.Tags,
	}
}

func objectOf(key string, o s3test.Object) klosettest.Object {
	class := o.StorageClass
	if class == "STANDARD" {
		class = ""
	}
	return klosettest.Object{
		Key: key, Body: o.Body, ModTime: o.LastModified,
		ContentType: o.ContentType, CacheControl: o.CacheControl, ContentDisposition: o.ContentDisposition,
		ContentEncoding: o.ContentEncoding, ContentLanguage: o.ContentLanguage,
		Expires: o.Expires, WebsiteRedirect: o.WebsiteRedirect,
		StorageClass: class, Metadata: o.Metadata, Tags: o.Tags,
	}
}

// placed is a connector that knows its place.
type (
	placedStore struct {
		*s3kloset.Store
		place *suitePlace
	}
	placedSource struct {
		*s3kloset.Source
		place *suitePlace
	}
	placedDestination struct {
		*s3kloset.Destination
		place *suitePlace
	}
)

func (s *suiteServer) stores(clock *s3test.ManualClock) klosettest.StoreHarness {
	open := func(t testing.TB, p *suitePlace) storage.Store { return placedStore{p.open(t).Store(), p} }
	return klosettest.StoreHarness{
		New:    func(t testing.TB) storage.Store { return open(t, s.place(t, "a/repository")) },
		Reopen: func(t testing.TB, st storage.Store) storage.Store { return open(t, st.(placedStore).place) },
		Plant: func(_ testing.TB, st storage.Store, name string, body []byte) {
			p := st.(placedStore).place
			p.bucket.Put(p.below(name), body, s3test.Properties{})
		},
		Names: func(_ testing.TB, st storage.Store) []string {
			var names []string
			for _, o := range st.(placedStore).place.objects() {
				names = append(names, o.Key)
			}
			return names
		},
		Tick: func(testing.TB) { clock.Advance(time.Second) },
	}
}

func (s *suiteServer) sources(folder string) klosettest.SourceHarness {
	open := func(t testing.TB, p *suitePlace) importer.Importer { return placedSource{p.open(t).Source(), p} }
	return klosettest.SourceHarness{
		New: func(t testing.TB, objs []klosettest.Object) importer.Importer {
			p := s.place(t, folder)
			p.fill(objs)
			return open(t, p)
		},
		Reopen: func(t testing.TB, imp importer.Importer) importer.Importer { return open(t, imp.(placedSource).place) },
		Update: func(_ testing.TB, imp importer.Importer, objs []klosettest.Object) {
			imp.(placedSource).place.fill(objs)
		},
		Keeps: fits(folder),
	}
}

func (s *suiteServer) destinations(folder string) klosettest.DestinationHarness {
	open := func(t testing.TB, p *suitePlace) exporter.Exporter {
		return placedDestination{p.open(t).Destination(), p}
	}
	return klosettest.DestinationHarness{
		New: func(t testing.TB) exporter.Exporter { return open(t, s.place(t, folder)) },
		Reopen: func(t testing.TB, exp exporter.Exporter) exporter.Exporter {
			return open(t, exp.(placedDestination).place)
		},
		Objects: func(t testing.TB, exp exporter.Exporter) []klosettest.Object {
			return exp.(placedDestination).place.objects()
		},
		Keeps: fits(folder),
	}
}
