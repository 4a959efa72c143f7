package s3kloset

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

const mib = 1 << 20

// TestRestoredETags stores objects in all kinds of parts, and tells which of
// them come back with the ETag that they had.
func TestRestoredETags(t *testing.T) {
	w := newWorld(t)
	body := bytes.Repeat([]byte("0123456789abcdef"), 17*mib/16)
	isLeftOut := func(key string) bool { // with -short: each is backed up and restored, 13 MiB
		return testing.Short() && slices.Contains([]string{"even, of another size", "exact", "whole, of 13 MiB"}, key)
	}
	for key, parts := range map[string][]int64{
		"whole, of 13 MiB":       {},
		"even":                   {5 * mib, 5 * mib},
		"even, of another size":  {6 * mib, 6 * mib},
		"exact":                  {8 * mib},
		"two":                    {9 * mib},
		"uneven":                 {5 * mib, 7 * mib},
		"smaller than S3 allows": {mib, mib, mib, mib, mib, mib, mib, mib, mib, mib, mib, mib, mib, mib, mib, mib},
	} {
		if isLeftOut(key) {
			continue
		}
		w.data.Put(key, body[:13*mib], s3test.Properties{}, s3test.InParts(parts...))
	}
	w.data.Put("whole", body, s3test.Properties{})
	w.data.Put("small", body[:100], s3test.Properties{})
	w.data.Put("empty", nil, s3test.Properties{})
	w.data.Put("small, in one part", body[:100], s3test.Properties{}, s3test.InParts(100))
	w.backup()

	for name, test := range map[string]struct {
		opts []Option
		same []string
		warn int64
	}{
		"source parts": {nil,
			[]string{"empty", "even", "even, of another size", "exact", "small", "small, in one part", "two", "whole", "whole, of 13 MiB"}, 2},
		"little memory": {[]Option{WithMemoryLimit(12 * mib), WithPartSize(6 * mib)},
			[]string{"empty", "even", "even, of another size", "exact", "small", "small, in one part", "two"}, 4},
		"own parts": {[]Option{WithSourceParts(false)},
			[]string{"empty", "exact", "small"}, 0},
	} {
		if testing.Short() && test.opts != nil {
			continue // each restores 130 MiB
		}
		t.Run(name, func(t *testing.T) {
			w := &world{T: t, server: w.server, data: w.data, store: w.store, repo: w.repo}
			bucket := w.server.CreateBucket("restored-" + string(name[0]))
			report, err := w.repo.Restore(t.Context(), latest, w.at("s3://"+bucket.Name(), test.opts...).Destination())
			if err != nil {
				t.Fatal(err)
			}
			w.same(w.data, bucket)
			same := make(map[string]bool)
			for _, was := range w.data.Dump() {
				if is, _ := bucket.Get(was.Key); is.ETag == was.ETag {
					same[was.Key] = true
				}
			}
			want := slices.DeleteFunc(test.same, isLeftOut)
			if got := slices.Sorted(maps.Keys(same)); !slices.Equal(got, want) {
				t.Errorf("the same ETag have\n%q, want\n%q", got, want)
			}
			var warned int64
			if w := report.Warnings[WarnETag]; w != nil {
				warned = w.Count
			}
			if warned != test.warn {
				t.Errorf("%d objects are in the report as with another ETag, want %d", warned, test.warn)
			}
		})
	}
}

// TestRestoredETagsOfUntoldParts: where a server does not tell the parts of its
// objects, those that tools make are tried. What still gets another ETag is counted.
func TestRestoredETagsOfUntoldParts(t *testing.T) {
	quiet(t)
	w := newWorldOn(t, s3test.Start(t, s3test.WithoutFeature(s3test.PartNumbers, s3test.CompletionETags)))
	body := bytes.Repeat([]byte("0123456789abcdef"), 13*mib/16)
	for key, parts := range map[string][]int64{
		"one":      {13 * mib},
		"of eight": {8 * mib},
		"of five":  {5 * mib, 5 * mib},
		"of odd":   {9 * mib},
		"whole":    {},
	} {
		w.data.Put(key, body, s3test.Properties{}, s3test.InParts(parts...))
	}
	w.data.Put("small, in one", body[:100], s3test.Properties{}, s3test.InParts(100))
	w.backup()
	target := w.server.CreateBucket("target")
	report, err := w.repo.Restore(t.Context(), "", w.at("s3://target").Destination())
	if err != nil {
		t.Fatal(err)
	}
	w.same(w.data, target)
	for _, was := range w.data.Dump() {
		if is, _ := target.Get(was.Key); (is.ETag == was.ETag) != (was.Key != "of odd") {
			t.Errorf("%s: ETag %s becomes %s", was.Key, was.ETag, is.ETag)
		}
	}
	if odd := report.Warnings[WarnETag]; odd == nil || !slices.Equal(odd.Keys, []string{"of odd"}) {
		t.Errorf("warnings are %v", report.Warnings)
	}
}
