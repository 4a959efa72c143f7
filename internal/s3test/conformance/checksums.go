package conformance

import (
	"fmt"
	"strings"

	"github.com/s3kloset/s3kloset/internal/s3test/sigv4"
)

// mode asks for checksums.
func mode(r request) request { return r.with("x-amz-checksum-mode", "ENABLED") }

// mismatch is how MinIO refuses every wrong checksum.
func mismatch() answer { return refused(400, "XAmzContentChecksumMismatch") }

func checksumRows() []conversation {
	var rows []conversation
	for _, a := range algorithms {
		rows = append(rows, a.rows()...)
	}
	const hashMismatch = "XAmzContentSHA256Mismatch"
	two := put("k", "one").
		with(algorithms[0].header(), algorithms[0].of("one")).
		with(algorithms[1].header(), algorithms[1].of("one"))
	mismatch := mismatch()
	return append(rows,
		row("checksum/of a range is not that of the object", plain,
			put("k", "0123456789").with("x-amz-sdk-checksum-algorithm", "CRC32").with(crc32sum.header(), crc32sum.of("0123456789")).gives(ok()),
			mode(get("k")).with("Range", "bytes=0-3").gives(status(206).data("0123").lacks(crc32sum.header())),
		),
		row("checksum/two of them", plain, two.gives(refused(400, "InvalidRequest")).
			but(MinIO, otherCode, refused(400, "InvalidArgument")).
			but(MiniS3, unchecked, ok())),
		row("checksum/in listings", plain,
			put("k", "one").with("x-amz-sdk-checksum-algorithm", "CRC32").with(crc32sum.header(), crc32sum.of("one")).gives(ok()),
			list().gives(ok().text("Contents/ChecksumAlgorithm", "CRC32").text("Contents/ChecksumType", "FULL_OBJECT")).
				but(MinIO, "not told", ok().text("Contents/ChecksumAlgorithm")).
				but(MiniS3, "not told", ok().text("Contents/ChecksumAlgorithm")),
		),
		row("checksum/attributes", plain,
			put("k", "one").with("x-amz-sdk-checksum-algorithm", "CRC32").with(crc32sum.header(), crc32sum.of("one")).gives(ok()),
			get("k").ask("attributes", "").with("x-amz-object-attributes", "ETag,Checksum,ObjectSize,StorageClass").
				gives(ok().
					text("ETag", strings.Trim(etag("one"), `"`)).
					text("ObjectSize", "3").
					text("StorageClass", "STANDARD").
					text("Checksum/ChecksumCRC32", crc32sum.of("one"))),
		),
		row("checksum/hash of the payload", plain,
			put("k", "one").payload(sigv4.UnsignedPayload).gives(ok()),
			get("k").gives(ok().data("one")),
			put("k", "two").payload(sigv4.EmptyPayload).gives(refused(400, hashMismatch)).
				but(MiniS3, unchecked, ok()),
			get("k").gives(ok().data("one")),
		),
		row("checksum/of parts, wrong at completion", plain,
			create("k", parameter{"x-amz-checksum-algorithm", "CRC32"}),
			upload("k", 1, "one").with(crc32sum.header(), crc32sum.of("one")).gives(ok()),
			complete("k", "{id}", part(1, etag("one"), parameter{"ChecksumCRC32", crc32sum.of("two")})).
				gives(refused(400, "InvalidPart")).
				but(MiniS3, otherCode, refused(400, "BadDigest")),
		),
		row("checksum/of the whole, wrong at completion", plain,
			create("k", parameter{"x-amz-checksum-algorithm", "CRC32"}, parameter{"x-amz-checksum-type", "FULL_OBJECT"}),
			upload("k", 1, "one").with(crc32sum.header(), crc32sum.of("one")).gives(ok()),
			complete("k", "{id}", part(1, etag("one"), parameter{"ChecksumCRC32", crc32sum.of("one")})).
				with("x-amz-checksum-type", "FULL_OBJECT").with(crc32sum.header(), crc32sum.of("two")).
				gives(refused(400, "BadDigest")).
				but(MinIO, otherCode, mismatch),
		),
		row("checksum/of the whole for a hash", plain,
			post("k", "uploads", "").with("x-amz-checksum-algorithm", "SHA256").with("x-amz-checksum-type", "FULL_OBJECT").
				gives(refused(400, "InvalidRequest")).
				but(MinIO, otherCode, refused(400, "InvalidArgument")).
				but(MiniS3, unchecked, ok()),
		),
	)
}

// rows are what holds for each algorithm.
func (a algorithm) rows() []conversation {
	named := func(name string, steps ...step) conversation {
		return row(fmt.Sprintf("checksum/%s %s", a.name, name), plain, steps...)
	}
	sending := func(value string) request {
		return put("k", "one").with("x-amz-sdk-checksum-algorithm", a.name).with(a.header(), value)
	}
	mismatch := mismatch()
	first, last := block('a'), "tail"
	element := "Checksum" + a.name
	parts := func(kind string) []step {
		return []step{
			create("k", parameter{"x-amz-checksum-algorithm", a.name}, parameter{"x-amz-checksum-type", kind}),
			upload("k", 1, first).with(a.header(), a.of(first)).gives(ok().has(a.header(), a.of(first))),
			upload("k", 2, last).with(a.header(), a.of(last)).gives(ok().has(a.header(), a.of(last))),
		}
	}
	finish := complete("k", "{id}",
		part(1, etag(first), parameter{element, a.of(first)}),
		part(2, etag(last), parameter{element, a.of(last)}))

	rows := []conversation{
		named("kept and returned",
			sending(a.of("one")).gives(ok().has(a.header(), a.of("one"))),
			mode(get("k")).gives(ok().has(a.header(), a.of("one"))),
			mode(head("k")).gives(ok().has(a.header(), a.of("one"))),
			head("k").gives(ok().lacks(a.header())),
		),
		named("type of a single upload",
			sending(a.of("one")).gives(ok().has("x-amz-checksum-type", "FULL_OBJECT")).
				but(MiniS3, "not told", ok().lacks("x-amz-checksum-type")),
			mode(head("k")).gives(ok().has("x-amz-checksum-type", "FULL_OBJECT")),
		),
		named("kept without the name of the algorithm",
			put("k", "one").with(a.header(), a.of("one")).gives(ok()),
			mode(head("k")).gives(ok().has(a.header(), a.of("one"))).
				but(MiniS3, "only kept with its name", ok().lacks(a.header())),
		),
		named("wrong",
			sending(a.of("two")).gives(refused(400, "BadDigest")).
				but(MinIO, otherCode, mismatch),
			get("k").gives(refused(404, "NoSuchKey")),
		),
		named("malformed",
			sending("nonsense").gives(refused(400, "InvalidRequest")).
				but(MinIO, otherCode, refused(400, "InvalidArgument")).
				but(MiniS3, otherCode, refused(400, "BadDigest"))),
		named("in a trailer",
			a.trailing(a.of("one")).gives(ok()),
			mode(get("k")).gives(ok().data("one").has(a.header(), a.of("one"))),
		),
		named("in a trailer, wrong",
			a.trailing(a.of("two")).gives(refused(400, "BadDigest")).
				but(MinIO, otherCode, mismatch).
				but(MiniS3, unchecked, ok()),
			get("k").gives(refused(404, "NoSuchKey")),
		),
		named("of a part, wrong",
			create("k", parameter{"x-amz-checksum-algorithm", a.name}),
			upload("k", 1, "one").with(a.header(), a.of("two")).gives(refused(400, "BadDigest")).
				but(MinIO, otherCode, mismatch).
				but(MiniS3, unchecked, ok()),
			get("k").ask("uploadId", "{id}").gives(ok().text("Part")),
		),
	}
	if a.name != "CRC64NVME" {
		finished := finish.gives(ok().text(element, a.composite(first, last)))
		if a.crc {
			finished = finished.but(MiniS3, "as if it were of the full object", ok().text(element, a.of(first+last)))
		}
		rows = append(rows, named("of parts, composite", append(parts("COMPOSITE"),
			finished,
			mode(head("k")).gives(ok().has(a.header(), a.composite(first, last)).has("x-amz-checksum-type", "COMPOSITE")),
		)...))
	}
	if a.crc {
		rows = append(rows, named("of parts, full object", append(parts("FULL_OBJECT"),
			finish.with("x-amz-checksum-type", "FULL_OBJECT").gives(ok().text(element, a.of(first+last))),
			mode(head("k")).gives(ok().has(a.header(), a.of(first+last)).has("x-amz-checksum-type", "FULL_OBJECT")),
		)...))
	}
	return rows
}

// trailing sends "one" with its checksum behind it.
func (a algorithm) trailing(value string) request {
	return put("k", "one").chunked(chunking{
		payload: sigv4.StreamingUnsignedTrailer,
		size:    64 << 10,
		trailer: parameter{a.header(), value},
	})
}
