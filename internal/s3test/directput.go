package s3test

import "time"

// PutOption changes how Put stores an object.
type PutOption func(*directPut)

type directPut struct {
	sizes     []int64
	algorithm *algorithm
	kind      string
	modified  time.Time
}

// InParts stores the object as if it had been uploaded in parts of these sizes; the rest is one more part. Parts may
// be of any size.
func InParts(sizes ...int64) PutOption {
	return func(p *directPut) { p.sizes = sizes }
}

// WithChecksum stores the object with a checksum; one in parts gets the type that S3 prefers for the algorithm. It
// panics if the algorithm is unknown.
func WithChecksum(name string) PutOption {
	a := algorithmNamed(name)
	if a == nil {
		panic("s3test: unknown checksum algorithm " + name)
	}
	return func(p *directPut) { p.algorithm = a }
}

// WithFullChecksum is WithChecksum with the type FULL_OBJECT, for objects in parts too.
func WithFullChecksum(name string) PutOption {
	set := WithChecksum(name)
	return func(p *directPut) {
		set(p)
		p.kind = fullObject
	}
}

// ModifiedAt stores the object with another time than now. Whole seconds are kept.
func ModifiedAt(t time.Time) PutOption {
	return func(p *directPut) { p.modified = t }
}

// Put stores an object, as the newest version where there are versions, and returns what was stored. The bucket keeps
// body, which must not be changed afterwards. Nothing is checked: the key may be of any length, and the properties such
// that no client could have set them.
func (b *Bucket) Put(key string, body []byte, properties Properties, options ...PutOption) Object {
	put := directPut{modified: b.server.now()}
	for _, option := range options {
		option(&put)
	}
	v := put.version(bytesContent(body), properties.clone())
	if put.algorithm == nil {
		b.server.addDefaultChecksum(v)
	}
	v.disguiseETag(b.server.settings.has(MD5ETags))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.insert(key, v)
	return b.object(key, v)
}

func (p *directPut) version(c content, properties *Properties) *version {
	v := &version{modified: p.modified.UTC().Truncate(time.Second), Properties: properties}
	if len(p.sizes) == 0 {
		v.content, v.etag = c, hexMD5(c.md5())
		if p.algorithm != nil {
			v.checksum = fullChecksum(p.algorithm, c)
		}
		return v
	}
	u := &upload{algorithm: p.algorithm, kind: p.kind}
	if u.kind == "" {
		u.kind = composite
		if p.algorithm == crc64NVME {
			u.kind = fullObject
		}
	}
	parts := p.split(u, c)
	v.join(parts)
	v.content = c
	v.checksum = u.wholeChecksum(v, parts)
	return v
}

func (p *directPut) split(u *upload, c content) []*part {
	var parts []*part
	var offset int64
	add := func(size int64) {
		piece := c.slice(offset, size)
		stored := &part{number: len(parts) + 1, content: piece, md5: piece.md5()}
		if u.algorithm != nil {
			stored.checksum = fullChecksum(u.algorithm, piece)
		}
		parts = append(parts, stored)
		offset += size
	}
	for _, size := range p.sizes {
		add(min(size, c.size-offset))
	}
	if offset < c.size {
		add(c.size - offset)
	}
	return parts
}
