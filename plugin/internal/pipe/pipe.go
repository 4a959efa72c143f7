// Package pipe serves the connectors of Kloset to plakar, which starts a plugin
// as a child process and talks gRPC with it over the child's standard input and
// output.
//
// It stands where the SDK of plakar would, and differs from it where that loses
// data or errors:
//
//   - A body ends where its end mark says, however often it is read or closed
//     afterwards: the bytes behind it belong to the next record.
//   - A backup is called finished only when Import has returned without an
//     error, and Import is told about every acknowledgement before that. So a
//     listing that fails, and objects that do, can still fail the run.
//   - The answers to all records of a restore are out before its error is.
//   - The end of a body and a reader that fails with io.ErrUnexpectedEOF are
//     told apart, and no chunk is empty.
//   - A store's error in the middle of a Put reaches the user with its text.
//   - The locks of a host go with it.
//   - A list that does not fit into the host's largest message is an error that
//     says so.
//   - Buffers are used again, and an operation that the host has given up is
//     waited for, so that it can clean up.
package pipe

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	gexporter "github.com/PlakarKorp/integration-grpc/exporter"
	gimporter "github.com/PlakarKorp/integration-grpc/importer"
	gstorage "github.com/PlakarKorp/integration-grpc/storage"
	"github.com/PlakarKorp/kloset/connectors/exporter"
	"github.com/PlakarKorp/kloset/connectors/importer"
	"github.com/PlakarKorp/kloset/connectors/storage"
	"google.golang.org/grpc"
)

// Connectors makes the connectors that the host asks for. A host uses one of
// them, once, for each connection.
//
// An importer must close its records, and an exporter its results, before it
// returns; an exporter must have read its records to their end.
type Connectors struct {
	Importer importer.ImporterFn
	Exporter exporter.ExporterFn
	Store    storage.StoreFn
}

// Serve answers the host on the connections of l until l fails, and returns
// when nothing runs any more. The end of the host, io.EOF, is no error.
func Serve(l net.Listener, c Connectors) error {
	var running sync.WaitGroup
	server := grpc.NewServer(grpc.WaitForHandlers(true))
	gimporter.RegisterImporterServer(server, &importServer{build: c.Importer, running: &running})
	gexporter.RegisterExporterServer(server, &exportServer{build: c.Exporter, running: &running})
	store := &storeServer{build: c.Store}
	gstorage.RegisterStoreServer(server, store)
	err := server.Serve(l)
	server.Stop()
	running.Wait()
	store.abandon()
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// session holds the connector that Init has made.
type session[T any] struct {
	mu   sync.Mutex
	made bool
	it   T
}

// begin makes the connector; a second time is an error.
func (s *session[T]) begin(build func() (T, error)) (T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.made {
		return s.it, errors.New("connector is initialised already")
	}
	it, err := build()
	if err == nil {
		s.it, s.made = it, true
	}
	return it, err
}

// get returns the connector for a call, by its name.
func (s *session[T]) get(call string) (T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.made {
		return s.it, fmt.Errorf("%s: connector is not initialised", call)
	}
	return s.it, nil
}
