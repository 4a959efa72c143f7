package s3test

import (
	"crypto/md5"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	maxParts       = 10000
	maxObjectSize  = 5 << 40
	keptCompletion = 1024
)

// upload is a multipart upload that is not finished. Its bucket's lock guards it.
type upload struct {
	id         string
	key        string
	initiated  time.Time
	serial     uint64 // order of creation
	properties *Properties
	algorithm  *algorithm // nil if the client did not choose one
	kind       string
	parts      map[int]*part
	illegible  bool // see version
}

// forget drops what this server does not keep until the upload is complete.
func (u *upload) forget(s settings) {
	p := u.properties
	if !s.has(UploadTags) && len(p.Tags) > 0 {
		p.Tags, u.illegible = nil, true
	}
	if !s.has(UploadLocks) {
		p.LockMode, p.LockUntil, p.LegalHold = "", time.Time{}, false
	}
}

type part struct {
	number   int
	modified time.Time
	content  content
	md5      [md5.Size]byte
	checksum checksum // zero if the client gave none and the upload has no algorithm
}

func (p *part) etag() string { return hexMD5(p.md5) }

// finishedUploads remembers what completed uploads became, so that a client which lost the answer may ask again.
type finishedUploads struct {
	order    []string
	versions map[string]*version
}

func (f *finishedUploads) add(id string, v *version) {
	if f.versions == nil {
		f.versions = make(map[string]*version)
	}
	if len(f.order) == keptCompletion {
		delete(f.versions, f.order[0])
		f.order = f.order[1:]
	}
	f.order = append(f.order, id)
	f.versions[id] = v
}

// takeChecksum makes sure that the part has the checksum that the upload wants.
func (u *upload) takeChecksum(p *part) error {
	if u.algorithm == nil {
		return nil
	}
	if p.checksum.algorithm == nil {
		p.checksum = fullChecksum(u.algorithm, p.content)
	}
	if p.checksum.algorithm != u.algorithm {
		return failuref("InvalidRequest", "Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: %s",
			strings.ToLower(u.algorithm.name), strings.ToLower(p.checksum.name))
	}
	return nil
}

// choose finds the parts that the client named, and checks all that it said about them.
func (u *upload) choose(parts map[int]*part, wanted completion, minSize int64) ([]*part, error) {
	if len(wanted.Parts) == 0 {
		return nil, failure("MalformedXML")
	}
	var chosen []*part
	last := 0
	for _, w := range wanted.Parts {
		if w.PartNumber <= last {
			return nil, failure("InvalidPartOrder").with("UploadId", u.id)
		}
		last = w.PartNumber
		p := parts[w.PartNumber]
		if p == nil || strings.Trim(w.ETag, `"`) != p.etag() {
			return nil, failure("InvalidPart").
				with("UploadId", u.id).with("PartNumber", itoa(w.PartNumber)).with("ETag", strings.Trim(w.ETag, `"`))
		}
		if err := u.checkPartChecksum(p, w); err != nil {
			return nil, err
		}
		chosen = append(chosen, p)
	}
	for _, p := range chosen[:len(chosen)-1] {
		if p.content.size < minSize {
			return nil, failure("EntityTooSmall").
				with("ProposedSize", strconv.FormatInt(p.content.size, 10)).
				with("MinSizeAllowed", strconv.FormatInt(minSize, 10)).
				with("PartNumber", itoa(p.number)).with("ETag", p.etag())
		}
	}
	return chosen, nil
}

func (u *upload) checkPartChecksum(p *part, w completedPart) error {
	given := false
	for _, element := range w.Checksums {
		a := algorithmNamed(strings.TrimPrefix(element.XMLName.Local, "Checksum"))
		if a == nil {
			return failure("MalformedXML")
		}
		given = true
		if p.checksum.algorithm != a || p.checksum.value != strings.TrimSpace(element.Value) {
			return failure("InvalidPart").with("UploadId", u.id).with("PartNumber", itoa(p.number))
		}
	}
	if !given && u.algorithm != nil && u.kind == composite {
		return failuref("InvalidRequest", "The upload was created using a %s checksum. The complete request must include the checksum for each part. It was missing for part %d in the request.",
			strings.ToLower(u.algorithm.name), p.number)
	}
	return nil
}

func (u *upload) wholeChecksum(v *version, parts []*part) checksum {
	if u.algorithm == nil {
		return checksum{}
	}
	if u.kind == fullObject {
		return fullChecksum(u.algorithm, v.content)
	}
	var sums []checksum
	for _, p := range parts {
		sums = append(sums, p.checksum)
	}
	return compositeChecksum(u.algorithm, sums)
}

// Uploads returns how many multipart uploads are unfinished.
func (b *Bucket) Uploads() int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return len(b.uploads)
}

// sortedUploads is by key and then by age. The bucket's lock is held.
func (b *Bucket) sortedUploads() []*upload {
	return slices.SortedFunc(maps.Values(b.uploads), func(p, q *upload) int {
		if c := strings.Compare(p.key, q.key); c != 0 {
			return c
		}
		return int(p.serial) - int(q.serial)
	})
}
