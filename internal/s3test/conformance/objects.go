package conformance

const httpDate = `(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d\d:\d\d:\d\d GMT`

func objectRows() []conversation {
	return []conversation{
		row("object/put, get, head", plain,
			put("k", "one").gives(ok().has("ETag", etag("one")).lacks("x-amz-version-id").data("")),
			get("k").gives(ok().data("one").
				has("ETag", etag("one")).
				has("Content-Length", "3").
				has("Accept-Ranges", "bytes").
				hasLike("Last-Modified", httpDate).
				lacks("Content-Range", "x-amz-version-id", "x-amz-tagging-count")),
			head("k").gives(ok().data("").
				has("ETag", etag("one")).
				has("Content-Length", "3").
				has("Accept-Ranges", "bytes").
				hasLike("Last-Modified", httpDate)),
		),
		row("object/empty", plain,
			put("k", "").gives(ok().has("ETag", etag(""))),
			get("k").gives(ok().data("").has("ETag", etag("")).has("Content-Length", "0")),
			head("k").gives(ok().has("Content-Length", "0")),
			list().gives(ok().keys("k").text("Contents/Size", "0")),
		),
		row("object/overwrite leaves nothing of the old one", plain,
			put("k", "one").with("Cache-Control", "no-store").with("x-amz-meta-a", "1").with("x-amz-tagging", "a=1").gives(ok()),
			put("k", "two!").gives(ok()),
			get("k").gives(ok().data("two!").
				has("ETag", etag("two!")).
				lacks("Cache-Control", "x-amz-meta-a", "x-amz-tagging-count")),
		),
		row("object/missing", plain,
			get("k").gives(refused(404, "NoSuchKey")),
			head("k").gives(status(404).data("")),
		),
		row("object/missing, key told", plain,
			get("k").gives(refused(404, "NoSuchKey").text("Key", "k")).
				but(Versity, "errors do not tell the key", refused(404, "NoSuchKey").text("Key")).
				but(MiniS3, "errors do not tell the key", refused(404, "NoSuchKey").text("Key")),
		),
		row("object/delete", plain,
			put("k", "one").gives(ok()),
			remove("k").gives(gone().data("")),
			get("k").gives(refused(404, "NoSuchKey")),
			remove("k").gives(gone()),
		),
		row("object/large", plain,
			put("k", block('x')).gives(ok().has("ETag", etag(block('x')))),
			get("k").gives(ok().data(block('x'))),
		),
		row("object/length unknown", plain,
			put("k", "one").unmeasured().gives(refused(411, "MissingContentLength")).
				but(MiniS3, "no length is needed", ok()),
		),
		row("object/content headers", plain,
			contentHeaders(put("k", "one")).gives(ok()),
			get("k").gives(hasContentHeaders(ok().data("one"))),
			head("k").gives(hasContentHeaders(ok())),
		),
		row("object/Expires that is no date", plain,
			put("k", "one").with("Expires", "0").gives(ok()),
			head("k").gives(ok().has("Expires", "0")).
				but(MinIO, "only dates are kept", ok().lacks("Expires")).
				but(MiniS3, "only dates are kept", ok().lacks("Expires")),
		),
		row("object/Content-Type by default", plain,
			put("k", "one").gives(ok()),
			head("k").gives(ok().has("Content-Type", "binary/octet-stream")).
				but(MiniS3, "another default", ok().has("Content-Type", "application/octet-stream")),
		),
		row("object/headers overridden by the query", plain,
			contentHeaders(put("k", "one")).gives(ok()),
			get("k").
				ask("response-content-type", "text/x").
				ask("response-content-language", "fr").
				ask("response-content-disposition", "inline").
				ask("response-content-encoding", "br").
				ask("response-cache-control", "private").
				ask("response-expires", "Thu, 01 Dec 1994 16:00:00 GMT").
				gives(ok().
					has("Content-Type", "text/x").
					has("Content-Language", "fr").
					has("Content-Disposition", "inline").
					has("Content-Encoding", "br").
					has("Cache-Control", "private").
					has("Expires", "Thu, 01 Dec 1994 16:00:00 GMT")),
		),
		row("object/website redirect", plain,
			put("k", "one").with("x-amz-website-redirect-location", "/other").gives(ok()),
			head("k").gives(ok().has("x-amz-website-redirect-location", "/other")).
				but(MinIO, "there are no websites", ok().lacks("x-amz-website-redirect-location")),
		),
		row("object/Content-MD5", plain,
			put("k", "one").withMD5().gives(ok()),
			put("k", "two").with("Content-MD5", "+Z8CdspDkxOoM3qL3nY2yQ==").gives(refused(400, "BadDigest")).
				but(MiniS3, unchecked, ok()),
			get("k").gives(ok().data("one")),
		),
		row("object/Content-MD5 malformed", plain,
			put("k", "two").with("Content-MD5", "nonsense").gives(refused(400, "InvalidDigest")).
				but(MiniS3, unchecked, ok()),
		),
		row("object/request ids", plain,
			put("k", "one").gives(ok().hasLike("x-amz-request-id", ".+")),
			get("missing").gives(refused(404, "NoSuchKey").hasLike("x-amz-request-id", ".+").textLike("RequestId", ".+")),
		),
	}
}

// contentHeaders are all headers that describe an object to whoever reads it.
func contentHeaders(r request) request {
	return r.
		with("Content-Type", "text/plain; charset=utf-8").
		with("Content-Language", "de, en").
		with("Content-Disposition", `attachment; filename="a b.txt"`).
		with("Content-Encoding", "gzip").
		with("Cache-Control", "max-age=60, public").
		with("Expires", "Wed, 21 Oct 2099 07:28:00 GMT")
}

func hasContentHeaders(a answer) answer {
	return a.
		has("Content-Type", "text/plain; charset=utf-8").
		has("Content-Language", "de, en").
		has("Content-Disposition", `attachment; filename="a b.txt"`).
		has("Content-Encoding", "gzip").
		has("Cache-Control", "max-age=60, public").
		has("Expires", "Wed, 21 Oct 2099 07:28:00 GMT")
}
