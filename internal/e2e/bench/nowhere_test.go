package bench_test

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/PlakarKorp/kloset/connectors"
	"github.com/PlakarKorp/kloset/connectors/exporter"
	"github.com/PlakarKorp/kloset/location"
)

// nowhere is an exporter that reads everything and keeps nothing.
type nowhere struct{}

var _ exporter.Exporter = nowhere{}

func (nowhere) Origin() string              { return "nowhere" }
func (nowhere) Type() string                { return "null" }
func (nowhere) Root() string                { return "/" }
func (nowhere) Flags() location.Flags       { return 0 }
func (nowhere) Ping(context.Context) error  { return nil }
func (nowhere) Close(context.Context) error { return nil }

func (nowhere) Export(_ context.Context, records <-chan *connectors.Record, results chan<- *connectors.Result) error {
	defer close(results)
	var failed []error
	for record := range records {
		if err := drop(record); err != nil {
			failed = append(failed, err)
			results <- record.Error(err)
			continue
		}
		results <- record.Ok()
	}
	return errors.Join(failed...)
}

func drop(record *connectors.Record) error {
	if record.Err != nil || record.Reader == nil || !record.FileInfo.Mode().IsRegular() {
		return record.Err
	}
	n, err := io.Copy(io.Discard, record.Reader)
	if err == nil && n != record.FileInfo.Size() {
		err = fmt.Errorf("%s has %d bytes of %d", record.Pathname, n, record.FileInfo.Size())
	}
	return err
}
