package s3kloset

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"github.com/s3kloset/s3kloset/internal/bucket"
)

// proof compares the bytes of an object with what the server says of them, as
// far as the connection does not: that knows nothing of parts, and takes an
// ETag for a name.
type proof struct {
	io.Writer
	what  string
	want  string
	have  func() string // when all bytes are written
	parts bool          // of parts that are taken to be of one size
}

// prove chooses what the body of an object is compared with, and counts an
// object whose checksums cannot be computed here.
func (o *object) prove() {
	source := o.walk.source.bucket
	if !o.meta.verifiable() {
		if p := o.meta.compositeProof(); p != nil {
			o.proofs = append(o.proofs, p)
		} else if len(o.meta.Checksums) > 0 {
			o.walk.ledger.warn(WarnUnverified, o.entry.Key)
		}
	}
	if source.cfg.source.verifyMD5 && !source.client.OpaqueETags(o.meta.Encryption.Mode) {
		if p := o.meta.etagProof(); p != nil {
			o.proofs = append(o.proofs, p)
		}
	}
}

// refuted is ErrChecksum if one of the proofs fails, and nil otherwise. Parts
// that turn out to differ in size prove nothing: that is counted.
func (o *object) refuted() error {
	for _, p := range o.proofs {
		have := p.have()
		if have == p.want {
			continue
		}
		client := o.walk.source.bucket.client
		if p.parts {
			pin := bucket.Pin{ETag: o.meta.ETag, VersionID: o.meta.VersionID}
			even, err := client.EvenParts(o.walk.ctx, o.entry.Key, pin, o.meta.Parts.Count, o.meta.Parts.Size)
			if err != nil {
				return err
			}
			if !even {
				o.walk.ledger.warn(WarnUnverified, o.entry.Key)
				continue
			}
		}
		return &OpError{Op: "get", Bucket: client.Name(), Key: o.entry.Key, Kind: ErrChecksum,
			Err: fmt.Errorf("%s of the bytes is %s, that of the object %s", p.what, have, p.want)}
	}
	return nil
}

// verifiable tells whether there is a checksum over all bytes, which the
// connection compares.
func (m Metadata) verifiable() bool {
	for _, sum := range m.Checksums {
		if bucket.Checksum(sum).Computable() {
			return true
		}
	}
	return false
}

// compositeProof proves a checksum over the checksums of parts; nil when the
// parts are not known.
func (m Metadata) compositeProof() *proof {
	for _, sum := range m.Checksums {
		if !sum.Composite || !m.inParts(sum.Value) {
			continue
		}
		if c, ok := bucket.NewComposite(sum.Algorithm, m.Parts.Size); ok {
			return &proof{c, sum.Algorithm, sum.Value, c.Checksum, true}
		}
	}
	return nil
}

// etagProof proves an ETag that has the form of an MD5 over all bytes, or over
// the MD5s of parts that are known.
func (m Metadata) etagProof() *proof {
	if sum, err := hex.DecodeString(m.ETag); err == nil && len(sum) == md5.Size {
		h := md5.New()
		return &proof{h, "MD5", m.ETag, func() string { return hex.EncodeToString(h.Sum(nil)) }, false}
	}
	if !m.inParts(m.ETag) {
		return nil
	}
	if c, ok := bucket.NewComposite("MD5", m.Parts.Size); ok {
		return &proof{c, "MD5 of parts", m.ETag, c.ETag, true}
	}
	return nil
}

// inParts tells whether a sum over parts is one over those that are known.
func (m Metadata) inParts(sum string) bool {
	return m.Parts.Count > 0 && strings.HasSuffix(sum, fmt.Sprintf("-%d", m.Parts.Count))
}
