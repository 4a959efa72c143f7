package pipe

import (
	"context"
	"net"
	"testing"
	"time"

	gexporter "github.com/PlakarKorp/integration-grpc/exporter"
	gimporter "github.com/PlakarKorp/integration-grpc/importer"
	gstorage "github.com/PlakarKorp/integration-grpc/storage"
	"github.com/PlakarKorp/kloset/connectors"
	"github.com/PlakarKorp/kloset/connectors/exporter"
	"github.com/PlakarKorp/kloset/connectors/importer"
	"github.com/PlakarKorp/kloset/connectors/storage"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// patience bounds what must end by itself; nothing that works comes near it.
const patience = time.Minute

// host is the side of plakar: its own client code, at the other end of a pipe.
type host struct {
	*grpc.ClientConn
	served chan error // the result of Serve
}

// connect serves c, and checks at the end of the test that nothing keeps
// running when the host is gone.
func connect(t *testing.T, c Connectors) *host {
	t.Helper()
	ours, theirs := net.Pipe()
	h := &host{served: make(chan error, 1)}
	go func() { h.served <- Serve(newListener(ours), c) }()
	var err error
	h.ClientConn, err = grpc.NewClient("passthrough:plugin",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(context.Context, string) (net.Conn, error) { return theirs, nil }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.leave(t) })
	return h
}

// leave ends the host, and waits for the end of what it was served by.
func (h *host) leave(t *testing.T) {
	t.Helper()
	h.Close()
	select {
	case err := <-h.served:
		if err != nil {
			t.Errorf("Serve: %v", err)
		}
		h.served <- nil
	case <-time.After(patience):
		t.Error("something keeps running though the host is gone")
	}
}

// hostOptions are what plakar says of itself.
func hostOptions() *connectors.Options {
	return &connectors.Options{Hostname: "host", OperatingSystem: "os", Architecture: "arch", CWD: "/", MaxConcurrency: 2}
}

func hostImporter(t *testing.T, imp importer.Importer) importer.Importer {
	t.Helper()
	h := connect(t, Connectors{Importer: func(context.Context, *connectors.Options, string, map[string]string) (importer.Importer, error) {
		return imp, nil
	}})
	theirs, err := gimporter.NewImporter(t.Context(), h, hostOptions(), "s3", nil)
	if err != nil {
		t.Fatal(err)
	}
	return theirs
}

func hostExporter(t *testing.T, exp exporter.Exporter) exporter.Exporter {
	t.Helper()
	h := connect(t, Connectors{Exporter: func(context.Context, *connectors.Options, string, map[string]string) (exporter.Exporter, error) {
		return exp, nil
	}})
	theirs, err := gexporter.NewExporter(t.Context(), h, hostOptions(), "s3", nil)
	if err != nil {
		t.Fatal(err)
	}
	return theirs
}

func hostStore(t *testing.T, store storage.Store) storage.Store {
	t.Helper()
	_, theirs := hostOf(t, store)
	return theirs
}

// hostOf is a host, and its store.
func hostOf(t *testing.T, store storage.Store) (*host, storage.Store) {
	t.Helper()
	h := connect(t, Connectors{Store: func(context.Context, string, map[string]string) (storage.Store, error) {
		return store, nil
	}})
	theirs, err := gstorage.NewStorage(t.Context(), h, "s3", nil)
	if err != nil {
		t.Fatal(err)
	}
	return h, theirs
}
