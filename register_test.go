package s3kloset

import (
	"testing"

	"github.com/PlakarKorp/kloset/connectors"
	"github.com/PlakarKorp/kloset/connectors/exporter"
	"github.com/PlakarKorp/kloset/connectors/importer"
	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/PlakarKorp/kloset/kcontext"
	"github.com/s3kloset/s3kloset/internal/s3test"
)

// TestRegister takes all three values out of Kloset's registries, and a bucket
// through them.
func TestRegister(t *testing.T) {
	if err := Register(); err != nil {
		t.Fatal(err)
	}
	registered := true
	unregister := func() {
		if registered {
			registered = false
			for _, err := range []error{importer.Unregister(Scheme), exporter.Unregister(Scheme), storage.Unregister(Scheme)} {
				if err != nil {
					t.Error(err)
				}
			}
		}
	}
	defer unregister()
	if err := Register(); err == nil {
		t.Error("the scheme is taken twice")
	}

	server := s3test.Start(t)
	data := server.CreateBucket("data")
	data.Put("folder/key", []byte("body"), s3test.Properties{ContentType: "text/plain", Tags: map[string]string{"k": "v"}})
	restored := server.CreateBucket("restored")
	server.CreateBucket("vault")
	config := func(location string) map[string]string {
		return map[string]string{"location": location, "endpoint": server.URL(),
			"access_key": server.AccessKey(), "secret_access_key": server.SecretKey()}
	}
	ctx := kcontext.NewKContext()
	defer ctx.Close()
	options := &connectors.Options{MaxConcurrency: 1}

	store, err := storage.New(ctx, config("s3://vault/repo"))
	if err != nil {
		t.Fatal(err)
	}
	source, err := importer.NewImporter(ctx, options, config("s3://data"))
	if err != nil {
		t.Fatal(err)
	}
	destination, err := exporter.NewExporter(ctx, options, config("s3://restored"))
	if err != nil {
		t.Fatal(err)
	}
	repo := createPlain(t, store)
	if _, err := repo.Backup(t.Context(), source); err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Restore(t.Context(), "", destination); err != nil {
		t.Fatal(err)
	}
	sameObjects(t, data.Dump(), restored.Dump())

	wrong := config("s3://data")
	wrong["acces_key"] = "typo"
	if _, err := importer.NewImporter(ctx, options, wrong); err == nil {
		t.Error("a source takes an unknown key")
	}

	// Where one registry has the scheme already, none gets it.
	unregister()
	if err := storage.Register(Scheme, 0, storeFromConfig); err != nil {
		t.Fatal(err)
	}
	defer storage.Unregister(Scheme)
	if err := Register(); err == nil {
		t.Error("the scheme of a store is taken twice")
	}
	if err := importer.Register(Scheme, 0, importerFromConfig); err != nil {
		t.Errorf("the importer stayed: %v", err)
	} else if err := importer.Unregister(Scheme); err != nil {
		t.Error(err)
	}
}
