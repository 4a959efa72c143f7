package s3kloset

import (
	"strings"

	"github.com/s3kloset/s3kloset/internal/bucket"
)

// cut says into which parts an object is cut for its upload.
type cut struct {
	size    int64 // of each part but the last
	inParts bool  // also what fits into one
	same    bool  // as the object was that it is a copy of
}

// cutting chooses the parts of an upload. Those that the object had give the
// same ETag again, if each of them fits into the memory.
func (d *delivery) cutting(cfg *config) cut {
	if cfg.destination.sourceParts {
		if c, known := d.meta.cut(d.size); known && c.size <= cfg.memory {
			return c
		}
		if c, likely := d.meta.likelyCut(d.size, cfg.partSize); likely && c.size <= cfg.memory {
			return c
		}
	}
	c := cut{size: cfg.partSize}
	had, known := d.meta.cut(d.size)
	if had.inParts {
		c.same = known && had.size == c.size && d.size > c.size
	} else {
		c.same = known && d.size <= c.size
	}
	return c
}

// cut tells in which parts an object of size bytes was uploaded. It is not
// known when the server did not tell, when parts differ in size, and when they
// are so small that only some servers take them.
func (m Metadata) cut(size int64) (c cut, known bool) {
	parts := m.Parts
	switch {
	case m.ETag == "":
		return cut{}, false
	case parts.Count == 0 && !strings.Contains(m.ETag, "-"):
		return cut{size: max(size, 1), same: true}, size <= bucket.MaxSinglePut
	case parts.Count == 1, parts.Count == 0 && bucket.PartCount(m.ETag) == 1:
		return cut{size: max(size, 1), inParts: true, same: true}, true
	case parts.Count == 0 || parts.Size < bucket.MinPartSize || (size+parts.Size-1)/parts.Size != int64(parts.Count):
		return cut{}, false
	}
	return cut{size: parts.Size, inParts: true, same: true}, true
}

// usualParts are the sizes of parts that tools have by default.
var usualParts = []int64{8 << 20, 5 << 20, 16 << 20, 15 << 20, 10 << 20, 64 << 20, 32 << 20, 50 << 20, 100 << 20, 128 << 20, 25 << 20, 20 << 20}

// likelyCut guesses in which parts an object was uploaded of which the server
// tells no more than their number, in the ETag. Whether the guess was right shows
// in the ETag that comes of it.
func (m Metadata) likelyCut(size, preferred int64) (c cut, likely bool) {
	count := int64(bucket.PartCount(m.ETag))
	if m.Parts.Count != 0 || count < 2 {
		return cut{}, false
	}
	for _, part := range append([]int64{preferred}, usualParts...) {
		if (size+part-1)/part == count {
			return cut{size: part}, true
		}
	}
	return cut{}, false
}
