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
	case parts.Count == 1:
		return cut{size: max(size, 1), inParts: true, same: true}, true
	case parts.Count == 0 || parts.Size < bucket.MinPartSize || (size+parts.Size-1)/parts.Size != int64(parts.Count):
		return cut{}, false
	}
	return cut{size: parts.Size, inParts: true, same: true}, true
}
