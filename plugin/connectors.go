package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/PlakarKorp/kloset/connectors"
	"github.com/PlakarKorp/kloset/connectors/exporter"
	"github.com/PlakarKorp/kloset/connectors/importer"
	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/PlakarKorp/kloset/objects"
	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/plugin/internal/pipe"
)

// s3 makes the connectors that plakar asks for. Warnings go to log, a line for
// each kind at the end of a run.
func s3(log io.Writer) pipe.Connectors {
	return pipe.Connectors{
		Importer: func(ctx context.Context, _ *connectors.Options, _ string, config map[string]string) (importer.Importer, error) {
			return newSource(ctx, config, log)
		},
		Exporter: func(ctx context.Context, _ *connectors.Options, _ string, config map[string]string) (exporter.Exporter, error) {
			return newDestination(ctx, config, log)
		},
		Store: func(_ context.Context, _ string, config map[string]string) (storage.Store, error) {
			return newStore(config)
		},
	}
}

// source is a Source whose failed objects fail the run.
type source struct {
	*s3kloset.Source
	settings
	log io.Writer
}

func newSource(ctx context.Context, config map[string]string, log io.Writer) (*source, error) {
	s, err := parse(config)
	if err != nil {
		return nil, err
	}
	if err := s.reach(ctx); err != nil {
		return nil, closing(s.bucket, err)
	}
	return &source{Source: s.bucket.Source(), settings: s, log: log}, nil
}

// Import returns an error, and so keeps plakar from making a snapshot, when
// objects failed and on_failure is not keep.
func (s *source) Import(ctx context.Context, records chan<- *connectors.Record, results <-chan *connectors.Result) error {
	err := s.Source.Import(ctx, records, results)
	outcome := s.Outcome()
	warn(s.log, outcome.Warnings)
	if err != nil {
		return err
	}
	lost := outcome.Err()
	switch {
	case lost == nil:
		return nil
	case s.keep:
		fmt.Fprintf(s.log, "s3: warning: %v; the snapshot is without them, as %s=keep asks\n", lost, onFailure)
		return nil
	}
	return fmt.Errorf("%w; no snapshot was made (%s=keep makes one without them)", lost, onFailure)
}

// Close ends the use of the bucket.
func (s *source) Close(ctx context.Context) error { return closing(s.bucket, s.Source.Close(ctx)) }

// destination is a Destination that tells its warnings.
type destination struct {
	*s3kloset.Destination
	settings
	log io.Writer
}

func newDestination(ctx context.Context, config map[string]string, log io.Writer) (*destination, error) {
	s, err := parse(config)
	if err != nil {
		return nil, err
	}
	if err := s.reach(ctx); err != nil {
		return nil, closing(s.bucket, err)
	}
	return &destination{Destination: s.bucket.Destination(), settings: s, log: log}, nil
}

// Export returns an error, and so makes plakar exit with one, when objects
// failed.
func (d *destination) Export(ctx context.Context, records <-chan *connectors.Record, results chan<- *connectors.Result) error {
	err := d.Destination.Export(ctx, records, results)
	warn(d.log, d.Outcome().Warnings)
	return err
}

// Close ends the use of the bucket.
func (d *destination) Close(ctx context.Context) error {
	return closing(d.bucket, d.Destination.Close(ctx))
}

// store is a Store that has a bucket of its own.
type store struct {
	*s3kloset.Store
	settings
}

// newStore makes no request: what is wrong shows with the first use, which
// plakar makes at once.
func newStore(config map[string]string) (*store, error) {
	if err := checkClass(config); err != nil {
		return nil, err
	}
	s, err := parse(config)
	if err != nil {
		return nil, err
	}
	return &store{Store: s.bucket.Store(), settings: s}, nil
}

// Open returns the configuration of the repository, and fails where its states
// cannot be listed. plakar lists them next, exits with 0 when that fails, and has
// not run its command then; an error here it reports by its exit status.
func (s *store) Open(ctx context.Context) ([]byte, error) {
	config, err := s.Store.Open(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := s.List(ctx, storage.StorageResourceState); err != nil {
		return nil, err
	}
	return config, nil
}

// Put stores a blob. plakar keeps a state as if it were stored, on this machine,
// also when it is not, and does not store again what the state names: its user must
// know, for the next backup succeeds, and no other machine can read it.
func (s *store) Put(ctx context.Context, resource storage.StorageResource, id objects.MAC, body io.Reader) (int64, error) {
	n, err := s.Store.Put(ctx, resource, id, body)
	if err != nil && resource == storage.StorageResourceState {
		err = fmt.Errorf("%w; plakar goes on as if it were stored: remove the cache of plakar (~/.cache/plakar) before the next backup", err)
	}
	return n, err
}

// Close ends the use of the bucket.
func (s *store) Close(ctx context.Context) error { return closing(s.bucket, s.Store.Close(ctx)) }

// closing closes a bucket and keeps the error that came before.
func closing(bucket *s3kloset.Bucket, err error) error {
	if closed := bucket.Close(); err == nil {
		err = closed
	}
	return err
}

// warn writes a line for each kind of warning.
func warn(log io.Writer, warnings s3kloset.Warnings) {
	for _, kind := range slices.Sorted(maps.Keys(warnings)) {
		w := warnings[kind]
		fmt.Fprintf(log, "s3: warning: %s: %d objects, such as %q\n", kind, w.Count, w.Keys)
	}
}
