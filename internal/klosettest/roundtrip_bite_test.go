package klosettest

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/PlakarKorp/kloset/connectors"
	"github.com/PlakarKorp/kloset/connectors/importer"
)

func TestRunRoundTripBites(t *testing.T) {
	forgets := func(prefix string) RoundTripHarness {
		return changingFiles(func(e *Entry) {
			e.Attributes = slices.DeleteFunc(e.Attributes, func(a string) bool { return strings.HasPrefix(a, prefix) })
		})
	}
	bites(t, roundTripChecks, []breakage[RoundTripHarness]{
		{"Everything", "decodes paths", "is missing", changingRecords(func(rec *connectors.Record) {
			rec.Pathname = strings.ReplaceAll(rec.Pathname, "%25", "%")
		})},
		{"Properties", "forgets tags", "tags: ", forgets(attrTags)},
		{"Properties", "forgets metadata", "metadata: ", forgets(attrMetadata)},
		{"Properties", "forgets headers", "cache-control: ", forgets(attrHeader)},
		{"Changes", "looks at sizes alone", "after a body of equal size", changingFiles(func(e *Entry) { e.Info.Lino = 0 })},
		{"Encrypted", "forgets headers", "content-type: ", forgets(attrHeader)},
		{"Empty", "a mark of its own", "should not be", changingRecords(func(rec *connectors.Record) {
			if rec.Pathname == "/" {
				rec.FileInfo.Lmode = 0o644
				rec.Reader = ownClose{Reader: strings.NewReader("")}
			}
		})},
		{"Below", "another folder", "is missing", changingRecords(func(rec *connectors.Record) { rec.Pathname = "/restored" + rec.Pathname })},
		{"OverOthers", "forgets metadata", "metadata: ", forgets(attrMetadata)},
	})
}

// briefRoundTrips are round trips of few objects.
func briefRoundTrips() RoundTripHarness {
	h := memRoundTrips()
	h.Source.Keeps = func(key string) bool {
		return strings.HasPrefix(key, "with ") || strings.HasPrefix(key, "%2") || slices.Contains(ordinaryKeys(), key)
	}
	return h
}

// changingFiles is a round trip whose importer changes every file.
func changingFiles(change func(*Entry)) RoundTripHarness {
	h := briefRoundTrips()
	entries := func(objs []Object) []Entry {
		entries := EntriesOf(objs)
		for i := range entries {
			if entries[i].IsRegular() {
				change(&entries[i])
			}
		}
		return entries
	}
	h.Source.New = func(_ testing.TB, objs []Object) importer.Importer { return NewMemImporter(entries(objs)) }
	h.Source.Update = func(_ testing.TB, imp importer.Importer, objs []Object) { imp.(*MemImporter).entries = entries(objs) }
	return h
}

// changingRecords is a round trip whose exporter changes every record.
func changingRecords(change func(*connectors.Record)) RoundTripHarness {
	h := briefRoundTrips()
	h.Destination = storing(func(ctx context.Context, m *MemExporter, rec *connectors.Record) error {
		changed := *rec
		change(&changed)
		return m.store(ctx, &changed)
	})
	return h
}
