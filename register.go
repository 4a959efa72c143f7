package s3kloset

import (
	"context"
	"errors"
	"fmt"

	"github.com/PlakarKorp/kloset/connectors"
	"github.com/PlakarKorp/kloset/connectors/exporter"
	"github.com/PlakarKorp/kloset/connectors/importer"
	"github.com/PlakarKorp/kloset/connectors/storage"
)

// Scheme is the protocol of our locations in Kloset's registries.
const Scheme = "s3"

// Register enters Source, Destination and Store under the scheme "s3" in the
// registries of Kloset, where importer.NewImporter, exporter.NewExporter and
// storage.New find them. Config maps hold the location and the keys of
// FromConfig. It is an error when one of them is taken already; the others are
// then taken back.
func Register() error {
	if err := importer.Register(Scheme, sourceFlags, importerFromConfig); err != nil {
		return fmt.Errorf("register importer: %w", err)
	}
	if err := exporter.Register(Scheme, 0, exporterFromConfig); err != nil {
		return errors.Join(fmt.Errorf("register exporter: %w", err), importer.Unregister(Scheme))
	}
	if err := storage.Register(Scheme, 0, storeFromConfig); err != nil {
		return errors.Join(fmt.Errorf("register storage: %w", err),
			importer.Unregister(Scheme), exporter.Unregister(Scheme))
	}
	return nil
}

func importerFromConfig(_ context.Context, _ *connectors.Options, _ string, config map[string]string) (importer.Importer, error) {
	b, err := fromConfig(config)
	if err != nil {
		return nil, err
	}
	s := b.Source()
	s.owner = true
	return s, nil
}

func exporterFromConfig(_ context.Context, _ *connectors.Options, _ string, config map[string]string) (exporter.Exporter, error) {
	b, err := fromConfig(config)
	if err != nil {
		return nil, err
	}
	d := b.Destination()
	d.owner = true
	return d, nil
}

func storeFromConfig(_ context.Context, _ string, config map[string]string) (storage.Store, error) {
	b, err := fromConfig(config)
	if err != nil {
		return nil, err
	}
	s := b.Store()
	s.owner, s.forEngine = true, true
	return s, nil
}

func fromConfig(config map[string]string) (*Bucket, error) {
	opts, err := FromConfig(config)
	if err != nil {
		return nil, err
	}
	return New(config["location"], opts...)
}
