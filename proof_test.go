package s3kloset

import (
	"bytes"
	"errors"
	"testing"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

// TestProofs reads objects of all kinds whole, and with one bit of the body
// changed on its way: what the server knows of the bytes decides who notices.
func TestProofs(t *testing.T) {
	const unit = mib / 8 // the proportions are those of parts and ranges of some MiB
	body := bytes.Repeat([]byte("0123456789abcdef"), 13*unit/16)
	even, uneven := s3test.InParts(5*unit, 5*unit), s3test.InParts(5*unit, 7*unit)
	kms := s3test.Properties{Encryption: "aws:kms"}
	for name, test := range map[string]struct {
		body       []byte
		properties s3test.Properties
		put        []s3test.PutOption
		always     bool // a changed bit is noticed, without WithVerifyMD5 too
		md5        bool // it is noticed with it
		unverified bool
	}{
		"full checksum":        {body: body[:100], put: []s3test.PutOption{s3test.WithChecksum("CRC32")}, always: true},
		"full, in parts":       {body: body, put: []s3test.PutOption{even, s3test.WithFullChecksum("CRC64NVME")}, always: true},
		"composite, small":     {body: body[:100], put: []s3test.PutOption{s3test.InParts(100), s3test.WithChecksum("SHA256")}, always: true},
		"composite, even":      {body: body, put: []s3test.PutOption{even, s3test.WithChecksum("SHA256")}, always: true},
		"composite, two parts": {body: body, put: []s3test.PutOption{s3test.InParts(9 * unit), s3test.WithChecksum("CRC32C")}, always: true},
		"composite, uneven":    {body: body, put: []s3test.PutOption{uneven, s3test.WithChecksum("SHA1")}, unverified: true},
		"ETag, small":          {body: body[:100], md5: true},
		"ETag, large":          {body: body, md5: true},
		"ETag, even":           {body: body, put: []s3test.PutOption{even}, md5: true},
		"ETag, empty":          {},
		"ETag that is no MD5":  {body: body[:100], properties: kms},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.data.Put("k", test.body, test.properties, test.put...)
			for _, verify := range []bool{false, true} {
				source := w.at("s3://data", WithVerifyMD5(verify), withRangeSize(8*unit)).Source()
				report, err := w.repo.Backup(t.Context(), source, WithFullBackup())
				if err != nil {
					t.Errorf("backup of a whole body: %v", err)
				}
				if got := report.Warnings[WarnUnverified] != nil; got != test.unverified {
					t.Errorf("warned that it is not verified: %v", got)
				}
				if len(test.body) == 0 {
					continue
				}
				flip := w.server.Faults().Add(s3test.Fault{Op: "GetObject", Key: "k", Times: s3test.Always, Action: s3test.FlipBit(50)})
				_, err = w.repo.Backup(t.Context(), source, WithFullBackup())
				if want := test.always || verify && test.md5; errors.Is(err, ErrChecksum) != want || (err != nil) != want {
					t.Errorf("verify_md5 %v, backup of a changed body: %v", verify, err)
				}
				if flip.Fired() == 0 {
					t.Error("no bit was changed")
				}
				w.server.Faults().Clear()
			}
		})
	}
}

// TestProofOfPartsThatCannotBeAskedFor fails the object when the question how
// its parts were cut fails.
func TestProofOfPartsThatCannotBeAskedFor(t *testing.T) {
	w := newWorld(t)
	body := bytes.Repeat([]byte{7}, 13*mib)
	w.data.Put("k", body, s3test.Properties{}, s3test.InParts(5*mib, 7*mib), s3test.WithChecksum("SHA1"))
	w.server.Faults().Add(s3test.Fault{Op: "HeadObject", Key: "k", Nth: 3, Times: s3test.Always, Action: s3test.Status(403, "AccessDenied")})
	_, err := w.repo.Backup(t.Context(), w.at("s3://data").Source())
	w.server.Faults().VerifyAll(t)
	if !errors.Is(err, ErrAccessDenied) {
		t.Errorf("error %v", err)
	}
}

// TestProofOfAnUnknownAlgorithm: a checksum that cannot be computed here, in an answer to GET
// or to HEAD, is counted, and nothing fails. A small object is read in one piece, a large one
// in ranges.
func TestProofOfAnUnknownAlgorithm(t *testing.T) {
	w := newWorld(t)
	for key, size := range map[string]int{"large": 3 * mib, "small": 100} {
		w.data.Put(key, bytes.Repeat([]byte{7}, size), s3test.Properties{})
		for _, op := range []string{"GetObject", "HeadObject"} {
			w.server.Faults().Add(s3test.Fault{Op: op, Bucket: "data", Key: key, Times: s3test.Always,
				Action: s3test.SetHeader("X-Amz-Checksum-Xxhash3", "AAAAAAAAAAA=")})
		}
	}
	report := w.backupOf(w.at("s3://data", withRangeSize(mib)))
	w.counts("backup", report.Counts, Counts{Listed: 2, Stored: 2})
	if warned := report.Warnings[WarnUnverified]; warned == nil || warned.Count != 2 {
		t.Errorf("warnings %v", report.Warnings)
	}
	w.same(w.data, w.restore(report.Snapshot.ID))
}
