package s3kloset_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/PlakarKorp/kloset/caching"
	"github.com/PlakarKorp/kloset/caching/pebble"
	"github.com/PlakarKorp/kloset/kcontext"
	"github.com/PlakarKorp/kloset/logging"
	"github.com/PlakarKorp/kloset/objects"
	kloset "github.com/PlakarKorp/kloset/repository"
	"github.com/PlakarKorp/kloset/snapshot"
	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/s3test"
)

// startS3 starts an S3 in memory with some buckets, of which photos holds three
// objects.
func startS3(buckets ...string) *s3test.Server {
	server := s3test.New(s3test.WithCredentials("AKIDEXAMPLE", "secret"))
	if err := server.Start(); err != nil {
		log.Fatal(err)
	}
	for _, name := range buckets {
		server.CreateBucket(name)
	}
	if photos := server.Bucket("photos"); photos != nil {
		photos.Put("2026/lake.jpg", []byte("a lake"), s3test.Properties{ContentType: "image/jpeg"})
		photos.Put("2026/hill.jpg", []byte("a hill"), s3test.Properties{Tags: map[string]string{"album": "summer"}})
		photos.Put("2026/", nil, s3test.Properties{})
	}
	return server
}

// Back up a bucket into an encrypted repository in another one.
func Example() {
	server := startS3("photos", "backups")
	defer server.Close()
	ctx := context.Background()
	service := []s3kloset.Option{
		s3kloset.WithEndpoint(server.URL()),
		s3kloset.WithCredentials("AKIDEXAMPLE", "secret", ""),
	}

	photos, err := s3kloset.New("s3://photos", service...)
	if err != nil {
		log.Fatal(err)
	}
	backups, err := s3kloset.New("s3://backups/repository", service...)
	if err != nil {
		log.Fatal(err)
	}
	repo, err := s3kloset.CreateRepository(ctx, backups.Store(), s3kloset.WithPassphrase([]byte("correct horse battery staple")))
	if err != nil {
		log.Fatal(err)
	}
	defer repo.Close()
	report, err := repo.Backup(ctx, photos.Source())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d of %d objects stored, %d bytes\n", report.Stored, report.Listed, report.Bytes)
	// Output:
	// 3 of 3 objects stored, 12 bytes
}

// Back up a bucket twice and restore the second snapshot into a new bucket.
func ExampleRepository_Restore() {
	server := startS3("photos", "backups")
	defer server.Close()
	ctx := context.Background()
	service := []s3kloset.Option{
		s3kloset.WithEndpoint(server.URL()),
		s3kloset.WithCredentials("AKIDEXAMPLE", "secret", ""),
		s3kloset.WithCreateBucket(true),
	}
	photos, err := s3kloset.New("s3://photos", service...)
	if err != nil {
		log.Fatal(err)
	}
	backups, err := s3kloset.New("s3://backups", service...)
	if err != nil {
		log.Fatal(err)
	}
	copies, err := s3kloset.New("s3://copies/from-backup", service...)
	if err != nil {
		log.Fatal(err)
	}

	repo, err := s3kloset.CreateRepository(ctx, backups.Store(), s3kloset.WithPlaintext())
	if err != nil {
		log.Fatal(err)
	}
	defer repo.Close()
	for range 2 {
		report, err := repo.Backup(ctx, photos.Source())
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("stored", report.Stored, "unchanged", report.Unchanged, "bodies read", report.Requests["GetObject"])
	}
	restored, err := repo.Restore(ctx, "latest", copies.Destination())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("restored", restored.Stored)
	for _, key := range server.Bucket("copies").Keys() {
		fmt.Println(key)
	}
	// Output:
	// stored 3 unchanged 0 bodies read 3
	// stored 0 unchanged 3 bodies read 0
	// restored 3
	// from-backup/2026/
	// from-backup/2026/hill.jpg
	// from-backup/2026/lake.jpg
}

// Source, Destination and Store are values for Kloset itself: here the engine
// is used without the help of Repository.
func Example_engine() {
	server := startS3("photos", "backups", "copies")
	defer server.Close()
	open := func(location string) *s3kloset.Bucket {
		b, err := s3kloset.New(location, s3kloset.WithEndpoint(server.URL()), s3kloset.WithCredentials("AKIDEXAMPLE", "secret", ""))
		if err != nil {
			log.Fatal(err)
		}
		return b
	}
	source, destination, store := open("s3://photos").Source(), open("s3://copies").Destination(), open("s3://backups").Store()

	if err := withEngine(store, func(repo *kloset.Repository) error {
		from, err := snapshot.NewSource(repo.AppContext(), source)
		if err != nil {
			return err
		}
		builder, err := snapshot.Create(repo, kloset.DefaultType, "", objects.NilMac, &snapshot.BuilderOptions{NoCheckpoint: true})
		if err != nil {
			return err
		}
		defer builder.Close()
		if err := builder.Backup(from); err != nil {
			return err
		}
		if err := builder.Commit(); err != nil {
			return err
		}
		// The engine calls a backup with failed objects a success.
		if err := source.Outcome().Err(); err != nil {
			return err
		}
		fmt.Println("stored", source.Outcome().Stored)

		if err := repo.RebuildState(); err != nil {
			return err
		}
		snap, err := snapshot.Load(repo, builder.Header.Identifier)
		if err != nil {
			return err
		}
		defer snap.Close()
		return snap.Export(destination, "/", nil)
	}); err != nil {
		log.Fatal(err)
	}
	fmt.Println("restored", destination.Outcome().Stored)
	lake, _ := server.Bucket("copies").Get("2026/lake.jpg")
	fmt.Printf("%s: %s\n", lake.ContentType, lake.Body)
	// Output:
	// stored 3
	// restored 3
	// image/jpeg: a lake
}

// withEngine opens a new repository on a store with the engine's own means.
func withEngine(store *s3kloset.Store, use func(*kloset.Repository) error) error {
	ctx := context.Background()
	made, err := s3kloset.CreateRepository(ctx, store, s3kloset.WithPlaintext())
	if err != nil {
		return err
	}
	if err := made.Close(); err != nil {
		return err
	}
	config, err := store.Open(ctx)
	if err != nil {
		return err
	}
	cache, err := os.MkdirTemp("", "example-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(cache)
	engine := kcontext.NewKContext()
	engine.CacheDir = cache
	engine.MaxConcurrency = 4
	engine.SetLogger(logging.NewLogger(io.Discard, io.Discard))
	engine.SetCache(caching.NewManager(pebble.Constructor(cache)))
	defer engine.GetCache().Close()
	repo, err := kloset.New(engine, nil, store, config)
	if err != nil {
		return err
	}
	return use(repo)
}

func ExampleNew() {
	for _, location := range []string{
		"s3://my-bucket/path/to/data",
		"s3://minio.example.com:9000/my-bucket/path",
		"s3://s3.eu-west-3.amazonaws.com/my-bucket",
		"s3://my-bucket?region=eu-west-3",
		"s3://my-bucket?secret_access_key=x",
	} {
		b, err := s3kloset.New(location, s3kloset.WithAnonymous(true))
		if err != nil {
			fmt.Println(err)
			continue
		}
		fmt.Println(b.Source().Origin(), b.Source().Root())
	}
	// Output:
	// s3.amazonaws.com/my-bucket /path/to/data
	// minio.example.com:9000/my-bucket /path
	// s3.amazonaws.com/my-bucket /
	// s3.amazonaws.com/my-bucket /
	// invalid location: invalid option secret_access_key: it does not belong into a location
}

// Keys from where the program has them.
func ExampleWithCredentialsProvider() {
	server := startS3("photos")
	defer server.Close()
	vault := map[string]string{"user": "AKIDEXAMPLE", "password": "secret"} // a program's own place for them

	bucket, err := s3kloset.New("s3://photos", s3kloset.WithEndpoint(server.URL()),
		s3kloset.WithCredentialsProvider(func(context.Context) (s3kloset.Keys, error) {
			return s3kloset.Keys{AccessKey: vault["user"], SecretKey: s3kloset.Secret(vault["password"])}, nil
		}))
	if err != nil {
		log.Fatal(err)
	}
	defer bucket.Close()
	who, err := bucket.Identity(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(who)
	// Output: access key AKIDEXAMPLE from a function of the program
}

// Configuration in the form key=value, as plakar and programs with a
// configuration file have it.
func ExampleFromConfig() {
	config := map[string]string{
		"location":          "s3://minio.example.com/my-bucket",
		"access_key":        "AKIDEXAMPLE",
		"secret_access_key": "secret",
		"concurrency":       "8",
		"exclude":           "*.tmp,cache/**",
	}
	opts, err := s3kloset.FromConfig(config)
	if err != nil {
		log.Fatal(err)
	}
	b, err := s3kloset.New(config["location"], opts...)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(b)

	_, err = s3kloset.FromConfig(map[string]string{"concurency": "8"})
	fmt.Println(err, errors.Is(err, s3kloset.ErrInvalidOption))
	// Output:
	// s3://minio.example.com/my-bucket
	// invalid option "concurency": unknown key true
}

// Errors have categories for errors.Is, and tell operation, bucket and key to
// errors.As.
func ExampleOpError() {
	server := startS3()
	defer server.Close()
	b, err := s3kloset.New("s3://missing",
		s3kloset.WithEndpoint(server.URL()), s3kloset.WithCredentials("AKIDEXAMPLE", "secret", ""))
	if err != nil {
		log.Fatal(err)
	}
	err = b.Ping(context.Background())
	if errors.Is(err, s3kloset.ErrBucketNotFound) {
		fmt.Println("no such bucket")
	}
	if op := (*s3kloset.OpError)(nil); errors.As(err, &op) {
		fmt.Println(op.Bucket, op.Status)
	}
	// Output:
	// no such bucket
	// missing 404
}
