package conformance

func copyRows() []conversation {
	source := put("k", "one").
		with("Content-Type", "text/plain").
		with("x-amz-meta-a", "1").
		with("x-amz-tagging", "t=1").gives(ok())
	return []conversation{
		row("copy/properties of the source", plain, source,
			copyFrom("k", "c").gives(ok().root("CopyObjectResult").text("ETag", etag("one"))),
			get("c").gives(ok().data("one").
				has("Content-Type", "text/plain").has("x-amz-meta-a", "1").has("x-amz-tagging-count", "1")),
		),
		row("copy/properties replaced", plain, source,
			copyFrom("k", "c").
				with("x-amz-metadata-directive", "REPLACE").
				with("x-amz-tagging-directive", "REPLACE").
				with("Content-Type", "text/html").
				with("x-amz-meta-b", "2").
				with("x-amz-tagging", "u=1&v=2").gives(ok()),
			get("c").gives(ok().data("one").
				has("Content-Type", "text/html").has("x-amz-meta-b", "2").lacks("x-amz-meta-a").has("x-amz-tagging-count", "2")),
		),
		row("copy/onto itself", plain, source,
			copyFrom("k", "k").gives(refused(400, "InvalidRequest")),
			copyFrom("k", "k").with("x-amz-metadata-directive", "REPLACE").with("x-amz-meta-b", "2").gives(ok()),
			head("k").gives(ok().has("x-amz-meta-b", "2").lacks("x-amz-meta-a")),
		),
		row("copy/source missing", plain, copyFrom("k", "c").gives(refused(404, "NoSuchKey"))),
		row("copy/version", versioned,
			put("k", "one").gives(ok()).keepHeader("v1", "x-amz-version-id"),
			put("k", "two").gives(ok()),
			put("c", "").with("x-amz-copy-source", "/{bucket}/k?versionId={v1}").
				gives(ok().has("x-amz-copy-source-version-id", "{v1}").hasLike("x-amz-version-id", ".+")),
			get("c").gives(ok().data("one")),
		),
		row("copy/source with awkward characters", plain,
			put("a b+é%?/x", "one").gives(ok()),
			copyFrom("a b+é%?/x", "c").gives(ok()),
			get("c").gives(ok().data("one")),
		),
	}
}
