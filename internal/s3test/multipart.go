package s3test

import (
	"net/http"
	"strconv"
	"strings"
)

func (x *exchange) createMultipartUpload() error {
	properties, err := x.properties()
	if err != nil {
		return err
	}
	serial := x.server.serial.Add(1)
	u := &upload{
		id: newVersionID(serial), serial: serial, key: x.key, initiated: x.server.now(), properties: properties,
		parts: make(map[int]*part),
	}
	u.forget(x.server.settings)
	if err := x.readUploadChecksum(u); err != nil {
		return err
	}
	b := x.bucket
	b.mu.Lock()
	b.uploads[u.id] = u
	b.mu.Unlock()
	if u.algorithm != nil {
		x.setHeader("x-amz-checksum-algorithm", u.algorithm.name)
		x.setHeader("x-amz-checksum-type", u.kind)
	}
	x.setEncryption(properties)
	return x.sendXML(newDocument("InitiateMultipartUploadResult", func(d *document) {
		d.text("Bucket", b.name)
		d.text("Key", x.key)
		d.text("UploadId", u.id)
	}))
}

func (x *exchange) readUploadChecksum(u *upload) error {
	name, kind := strings.ToUpper(x.header("X-Amz-Checksum-Algorithm")), strings.ToUpper(x.header("X-Amz-Checksum-Type"))
	if !x.server.settings.has(CompletionSums) {
		return nil
	}
	if name == "" {
		if kind != "" {
			return failuref("InvalidRequest", "The x-amz-checksum-type header can only be used with the x-amz-checksum-algorithm header.")
		}
		if x.server.settings.defaultChecksum {
			u.kind = fullObject
		}
		return nil
	}
	if !x.server.settings.has(MultipartChecksums) {
		return failure("NotImplemented").with("Header", "x-amz-checksum-algorithm")
	}
	if u.algorithm = algorithmNamed(name); u.algorithm == nil {
		return failuref("InvalidRequest", "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, SHA1, SHA256, CRC64NVME]")
	}
	if kind == "" {
		kind = composite
		if u.algorithm == crc64NVME {
			kind = fullObject
		}
	}
	u.kind = kind
	possible := kind == fullObject && u.algorithm.full || kind == composite && u.algorithm != crc64NVME
	if !possible {
		return failuref("InvalidRequest", "The %s checksum type cannot be used with the %s checksum algorithm.", kind, strings.ToLower(name))
	}
	return nil
}

// upload finds the upload of the request. The bucket's lock is held.
func (x *exchange) upload() (*upload, error) {
	id := x.query.Get("uploadId")
	u := x.bucket.uploads[id]
	if u == nil || u.key != x.key {
		return nil, failure("NoSuchUpload").with("UploadId", id)
	}
	return u, nil
}

func (x *exchange) partNumber() (int, error) {
	number := x.query.Get("partNumber")
	n, err := strconv.Atoi(number)
	if most := x.server.settings.maxParts; err != nil || n < 1 || n > most {
		return 0, failuref("InvalidArgument", "Part number must be an integer between 1 and %d, inclusive", most).
			with("ArgumentName", "partNumber").with("ArgumentValue", number)
	}
	return n, nil
}

// peekUpload is a look at the upload before its part is read: it may be gone when the part is there.
func (x *exchange) peekUpload() (*upload, error) {
	x.bucket.mu.RLock()
	defer x.bucket.mu.RUnlock()
	return x.upload()
}

func (x *exchange) uploadPart() error {
	number, err := x.partNumber()
	if err != nil {
		return err
	}
	u, err := x.peekUpload()
	if err != nil {
		return err
	}
	if err := x.checkCustomerKey(u.properties); err != nil {
		return err
	}
	p, err := x.readPayload(maxBodySize)
	if err != nil {
		return err
	}
	if err := x.checkProven(u.properties, p); err != nil {
		return err
	}
	stored := &part{number: number, modified: x.server.now(), content: p.content, md5: p.md5, checksum: p.checksum}
	if err := u.takeChecksum(stored); err != nil {
		return err
	}
	if err := x.putPart(stored); err != nil {
		return err
	}
	x.setHeader("ETag", `"`+stored.etag()+`"`)
	if c := stored.checksum; c.algorithm != nil {
		x.setHeader(c.header(), c.value)
	}
	x.setEncryption(u.properties)
	return x.sendNothing(http.StatusOK)
}

func (x *exchange) putPart(p *part) error {
	x.bucket.mu.Lock()
	defer x.bucket.mu.Unlock()
	u, err := x.upload()
	if err != nil {
		return err
	}
	u.parts[p.number] = p
	return nil
}

func (x *exchange) abortMultipartUpload() error {
	x.bucket.mu.Lock()
	defer x.bucket.mu.Unlock()
	u, err := x.upload()
	if err != nil {
		return err
	}
	delete(x.bucket.uploads, u.id)
	return x.sendNothing(http.StatusNoContent)
}
