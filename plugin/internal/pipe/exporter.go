package pipe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	gconn "github.com/PlakarKorp/integration-grpc"
	gexporter "github.com/PlakarKorp/integration-grpc/exporter"
	"github.com/PlakarKorp/kloset/connectors"
	"github.com/PlakarKorp/kloset/connectors/exporter"
	"google.golang.org/grpc"
)

// exportStream is the stream of one Export: records and bodies in, answers out.
type exportStream = grpc.BidiStreamingServer[gexporter.ExportRequest, gexporter.ExportResponse]

// exportServer serves an exporter.
type exportServer struct {
	gexporter.UnimplementedExporterServer
	build   exporter.ExporterFn
	running *sync.WaitGroup

	session     session[exporter.Exporter]
	concurrency int // of the host; set by Init
}

// Init makes the exporter.
func (s *exportServer) Init(ctx context.Context, req *gexporter.InitRequest) (*gexporter.InitResponse, error) {
	o := req.GetOptions()
	exp, err := s.session.begin(func() (exporter.Exporter, error) {
		s.concurrency = max(1, int(o.GetMaxconcurrency()))
		return s.build(ctx, &connectors.Options{
			Hostname:        o.GetHostname(),
			OperatingSystem: o.GetOs(),
			Architecture:    o.GetArch(),
			CWD:             o.GetCwd(),
			MaxConcurrency:  s.concurrency,
			Excludes:        o.GetExcludes(),
			NoXattr:         o.GetNoxattr(),
		}, req.GetProto(), req.GetConfig())
	})
	if err != nil {
		return nil, asStatus(ctx, err)
	}
	return &gexporter.InitResponse{
		Origin: exp.Origin(), Type: exp.Type(), Root: exp.Root(), Flags: uint32(exp.Flags()),
	}, nil
}

// Ping asks the exporter whether it can reach its destination.
func (s *exportServer) Ping(ctx context.Context, _ *gexporter.PingRequest) (*gexporter.PingResponse, error) {
	exp, err := s.session.get("ping")
	if err == nil {
		err = exp.Ping(ctx)
	}
	return &gexporter.PingResponse{}, asStatus(ctx, err)
}

// Export runs the exporter. Its error is the last thing that the host hears:
// all answers go before it.
func (s *exportServer) Export(stream exportStream) error {
	ctx, cancel := context.WithCancel(stream.Context())
	defer cancel()
	exp, err := s.session.get("export")
	if err != nil {
		return asStatus(ctx, err)
	}
	records := make(chan *connectors.Record, s.concurrency)
	results := make(chan *connectors.Result, s.concurrency)
	received, sent := make(chan error, 1), make(chan error, 1)
	s.running.Go(func() { received <- receiveRecords(ctx, stream, records) })
	s.running.Go(func() { sent <- sendAnswers(stream, results, cancel) })

	err = exp.Export(ctx, records, results)
	unsent := <-sent
	if err == nil {
		err = <-received
	}
	if err == nil {
		err = unsent
	}
	return asStatus(stream.Context(), err)
}

// receiveRecords takes records off the stream. A body comes between its record
// and the next, so the next has to wait until somebody has read the body.
func receiveRecords(ctx context.Context, stream exportStream, records chan<- *connectors.Record) error {
	defer close(records)
	for {
		message, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("receive record: %w", err)
		case message.GetRecord() == nil:
			return errors.New("receive record: the host sent something else")
		}
		record, err := gconn.RecordFromProto(message.GetRecord())
		if err != nil {
			return err
		}
		var body *body
		if message.GetRecord().GetHasReader() {
			body = newBody(stream)
			record.Reader = body
		}
		select {
		case records <- record:
		case <-ctx.Done():
			return ctx.Err()
		}
		if body == nil {
			continue
		}
		select {
		case <-body.ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// sendAnswers hands answers to the host until the exporter closes them. It
// reads them to their end even when the host is gone.
func sendAnswers(stream exportStream, results <-chan *connectors.Result, cancel func()) (err error) {
	for result := range results {
		if err != nil {
			continue
		}
		answer := gconn.ResultToProto(result)
		if result.Err != nil {
			answer.Error = sentence(result.Err)
		}
		if err = stream.Send(&gexporter.ExportResponse{Result: answer}); err != nil {
			err = fmt.Errorf("send answer for %q: %w", result.Record.Pathname, err)
			cancel()
		}
	}
	return err
}

// Close ends the use of the exporter.
func (s *exportServer) Close(ctx context.Context, _ *gexporter.CloseRequest) (*gexporter.CloseResponse, error) {
	exp, err := s.session.get("close")
	if err == nil {
		err = exp.Close(ctx)
	}
	return &gexporter.CloseResponse{}, asStatus(ctx, err)
}
