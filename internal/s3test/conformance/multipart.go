package conformance

import (
	"fmt"
	"strings"
)

// minPart is the least size of all parts but the last.
const minPart = 5 << 20

// block is a part of the least size, full of one letter.
func block(letter byte) string { return strings.Repeat(string(letter), minPart) }

// create starts a multipart upload and keeps its id as {id}.
func create(key string, headers ...parameter) step {
	r := post(key, "uploads", "")
	r.header = headers
	return r.gives(ok().root("InitiateMultipartUploadResult").
		text("Bucket", "{bucket}").text("Key", key)).keepText("id", "UploadId")
}

// upload sends one part of the upload {id}.
func upload(key string, number int, data string) request {
	return put(key, data).ask("partNumber", fmt.Sprint(number)).ask("uploadId", "{id}")
}

// part is an element of the list that completes an upload; sums are checksum elements.
func part(number int, etag string, sums ...parameter) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<Part><PartNumber>%d</PartNumber><ETag>%s</ETag>", number, strings.ReplaceAll(etag, `"`, "&#34;"))
	for _, s := range sums {
		fmt.Fprintf(&b, "<%s>%s</%s>", s.name, s.value, s.name)
	}
	return b.String() + "</Part>"
}

// complete completes an upload from its parts.
func complete(key, id string, parts ...string) request {
	return post(key, "uploadId", "<CompleteMultipartUpload>"+strings.Join(parts, "")+"</CompleteMultipartUpload>").upload(id)
}

// upload names the upload of a request made by post.
func (r request) upload(id string) request {
	r.query = []parameter{{"uploadId", id}}
	return r
}

func multipartRows() []conversation {
	a, z := block('a'), "tail"
	whole := multipartETag(a, z)
	// twoParts uploads a whole object but for its completion.
	twoParts := func(headers ...parameter) []step {
		return []step{
			create("k", headers...),
			upload("k", 1, a).gives(ok().has("ETag", etag(a))),
			upload("k", 2, z).gives(ok().has("ETag", etag(z))),
		}
	}
	finish := complete("k", "{id}", part(1, etag(a)), part(2, etag(z)))
	after := func(name string, first []step, steps ...step) conversation {
		return row("multipart/"+name, plain, append(first, steps...)...)
	}
	none := refused(404, "NoSuchUpload")

	return []conversation{
		after("two parts", twoParts(),
			get("k").gives(refused(404, "NoSuchKey")),
			list().gives(ok().keys()),
			finish.gives(ok().root("CompleteMultipartUploadResult").
				text("Bucket", "{bucket}").text("Key", "k").text("ETag", whole)),
			get("k").gives(ok().data(a+z).has("ETag", whole)),
			list().gives(ok().keys("k").text("Contents/ETag", whole).text("Contents/Size", fmt.Sprint(minPart+len(z)))),
		),
		after("parts are counted only for a part", twoParts(),
			finish.gives(ok()),
			head("k").gives(ok().lacks("x-amz-mp-parts-count")).
				but(MiniS3, "they always are", ok().has("x-amz-mp-parts-count", "2")),
		),
		after("completed twice", twoParts(),
			finish.gives(ok().text("ETag", whole)),
			finish.gives(ok().text("ETag", whole)).
				but(MinIO, "the upload is forgotten", none),
		),
		after("properties given at the start", []step{create("k",
			parameter{"Content-Type", "text/plain"},
			parameter{"Content-Encoding", "gzip"},
			parameter{"x-amz-meta-a", "1"},
			parameter{"x-amz-tagging", "t=1&u=2"})},
			upload("k", 1, "one").gives(ok()),
			complete("k", "{id}", part(1, etag("one"))).gives(ok()),
			head("k").gives(ok().
				has("Content-Type", "text/plain").
				has("Content-Encoding", "gzip").
				has("x-amz-meta-a", "1").
				has("x-amz-tagging-count", "2").
				has("ETag", multipartETag("one"))),
		),
		after("parts listed", twoParts(),
			get("k").ask("uploadId", "{id}").gives(ok().root("ListPartsResult").
				text("Part/PartNumber", "1", "2").
				text("Part/ETag", etag(a), etag(z)).
				text("Part/Size", fmt.Sprint(minPart), fmt.Sprint(len(z))).
				text("UploadId", "{id}").
				text("IsTruncated", "false")),
			get("k").ask("uploadId", "{id}").ask("max-parts", "1").gives(ok().
				text("Part/PartNumber", "1").text("IsTruncated", "true").text("NextPartNumberMarker", "1")),
			get("k").ask("uploadId", "{id}").ask("part-number-marker", "1").gives(ok().
				text("Part/PartNumber", "2").text("IsTruncated", "false")),
		),
		after("uploads listed", []step{create("dir/k")},
			get("").ask("uploads", "").ask("prefix", "dir/k").gives(ok().root("ListMultipartUploadsResult").
				text("Upload/Key", "dir/k").text("Upload/UploadId", "{id}").text("IsTruncated", "false")),
		),
		after("abort", twoParts(),
			remove("k").ask("uploadId", "{id}").gives(gone()),
			finish.gives(none),
			upload("k", 1, "one").gives(none),
			get("").ask("uploads", "").gives(ok().text("Upload")),
		),
		after("part sent again", []step{create("k")},
			upload("k", 1, "one").gives(ok()),
			upload("k", 1, "two").gives(ok()),
			complete("k", "{id}", part(1, etag("one"))).gives(refused(400, "InvalidPart")),
			complete("k", "{id}", part(1, etag("two"))).gives(ok()),
			get("k").gives(ok().data("two")),
		),
		after("only some of the parts", []step{create("k")},
			upload("k", 1, "one").gives(ok()),
			upload("k", 5, "five").gives(ok()),
			complete("k", "{id}", part(5, etag("five"))).gives(ok()),
			get("k").gives(ok().data("five").has("ETag", multipartETag("five"))),
		),
		after("part too small", []step{create("k")},
			upload("k", 1, "small").gives(ok()),
			upload("k", 2, "tail").gives(ok()),
			complete("k", "{id}", part(1, etag("small")), part(2, etag("tail"))).gives(refused(400, "EntityTooSmall")),
		),
		after("parts out of order", []step{create("k")},
			upload("k", 1, a).gives(ok()),
			upload("k", 2, a).gives(ok()),
			complete("k", "{id}", part(2, etag(a)), part(1, etag(a))).gives(refused(400, "InvalidPartOrder")),
		),
		after("part with another ETag", twoParts(),
			complete("k", "{id}", part(1, etag(a)), part(2, wrong)).gives(refused(400, "InvalidPart")),
		),
		after("part that was never sent", twoParts(),
			complete("k", "{id}", part(1, etag(a)), part(3, etag(z))).gives(refused(400, "InvalidPart")),
		),
		after("completed without parts", []step{create("k")},
			complete("k", "{id}").gives(refused(400, "MalformedXML")).
				but(MinIO, otherCode, refused(400, "InvalidRequest")).
				but(MiniS3, otherCode, refused(400, "InvalidPart")),
		),
		after("completed with no XML", []step{create("k")},
			post("k", "uploadId", "nonsense").upload("{id}").gives(refused(400, "MalformedXML")),
		),
		after("part numbers", []step{create("k")},
			upload("k", 10000, "x").gives(ok()),
			upload("k", 10001, "x").gives(refused(400, "InvalidArgument")),
			upload("k", 0, "x").gives(refused(400, "InvalidArgument")).
				but(MinIO, otherCode, refused(400, "InvalidPart")),
		),
		after("unknown upload", nil,
			put("k", "x").ask("partNumber", "1").ask("uploadId", "no-such-upload").gives(none),
			get("k").ask("uploadId", "no-such-upload").gives(none),
			remove("k").ask("uploadId", "no-such-upload").gives(none).
				but(MinIO, "what is not there is gone", gone()),
		),
		after("upload of another key", []step{create("k")},
			put("other", "x").ask("partNumber", "1").ask("uploadId", "{id}").gives(none),
		),
		after("read by part", twoParts(),
			finish.gives(ok()),
			get("k").ask("partNumber", "2").gives(status(206).data(z).has("x-amz-mp-parts-count", "2")),
			head("k").ask("partNumber", "1").gives(status(206).
				has("x-amz-mp-parts-count", "2").has("Content-Length", fmt.Sprint(minPart))),
			get("k").ask("partNumber", "3").gives(refused(416, "InvalidPartNumber")).
				but(MiniS3, "another status and code", refused(400, "InvalidPart")),
		),
		after("part read as a range", twoParts(),
			finish.gives(ok()),
			get("k").ask("partNumber", "2").gives(status(206).
				has("Content-Range", fmt.Sprintf("bytes %d-%d/%d", minPart, minPart+len(z)-1, minPart+len(z)))).
				but(MiniS3, "the range is not told", status(206).lacks("Content-Range")),
		),
		after("part copied", []step{put("source", "0123456789").gives(ok()), create("k")},
			upload("k", 1, "").with("x-amz-copy-source", "/{bucket}/source").
				gives(ok().root("CopyPartResult").text("ETag", etag("0123456789"))),
			upload("k", 1, "").with("x-amz-copy-source", "/{bucket}/source").with("x-amz-copy-source-range", "bytes=2-4").
				gives(ok().text("ETag", etag("234"))),
			complete("k", "{id}", part(1, etag("234"))).gives(ok()),
			get("k").gives(ok().data("234")),
		),
		after("size of the whole is checked", []step{create("k")},
			upload("k", 1, "one").gives(ok()),
			complete("k", "{id}", part(1, etag("one"))).with("x-amz-mp-object-size", "4").gives(refused(400, "InvalidRequest")).
				but(MinIO, unchecked, ok()).
				but(MiniS3, unchecked, ok()),
			complete("k", "{id}", part(1, etag("one"))).with("x-amz-mp-object-size", "3").gives(ok()),
		),
	}
}
