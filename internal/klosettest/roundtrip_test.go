package klosettest

import (
	"testing"

	"github.com/PlakarKorp/kloset/connectors/importer"
)

// memRoundTrips joins [MemImporter] and [MemExporter].
func memRoundTrips() RoundTripHarness {
	h := RoundTripHarness{Source: memSources(), Destination: memDestinations()}
	h.Source.Update = func(_ testing.TB, imp importer.Importer, objs []Object) {
		imp.(*MemImporter).entries = EntriesOf(objs)
	}
	return h
}

func TestMemRoundTrip(t *testing.T) {
	if testing.Short() {
		t.Skip("make gate has this suite on MinIO and on versitygw")
	}
	RunRoundTrip(t, memRoundTrips())
}
