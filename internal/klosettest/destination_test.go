package klosettest

import (
	"testing"

	"github.com/PlakarKorp/kloset/connectors/exporter"
)

// memDestinations is the harness of [MemExporter].
func memDestinations() DestinationHarness {
	return DestinationHarness{
		New:     func(testing.TB) exporter.Exporter { return NewMemExporter() },
		Objects: func(_ testing.TB, exp exporter.Exporter) []Object { return ObjectsOf(exp.(*MemExporter).Entries()) },
	}
}

func TestMemExporter(t *testing.T) { RunDestination(t, memDestinations()) }
