package conformance

func rangeRows() []conversation {
	digits := put("k", "0123456789").gives(ok())
	ranged := func(r string) request { return get("k").with("Range", r) }
	piece := func(data, of string) answer {
		return status(206).data(data).has("Content-Range", "bytes "+of).has("ETag", etag("0123456789"))
	}
	whole := ok().data("0123456789").lacks("Content-Range")
	beyond := refused(416, "InvalidRange")
	const strict = "a range that cannot be read is refused"
	return []conversation{
		row("range/first bytes", plain, digits,
			ranged("bytes=0-3").gives(piece("0123", "0-3/10").has("Content-Length", "4"))),
		row("range/middle", plain, digits, ranged("bytes=4-4").gives(piece("4", "4-4/10"))),
		row("range/to the end", plain, digits, ranged("bytes=7-").gives(piece("789", "7-9/10"))),
		row("range/last bytes", plain, digits, ranged("bytes=-3").gives(piece("789", "7-9/10"))),
		row("range/more last bytes than there are", plain, digits, ranged("bytes=-30").gives(piece("0123456789", "0-9/10"))),
		row("range/end is clipped", plain, digits, ranged("bytes=5-100").gives(piece("56789", "5-9/10"))),
		row("range/beyond the end", plain, digits, ranged("bytes=10-").gives(beyond)),
		row("range/no last bytes", plain, digits, ranged("bytes=-0").gives(beyond)),
		row("range/of an empty object", plain,
			put("k", "").gives(ok()),
			ranged("bytes=0-0").gives(beyond)),
		row("range/backwards is none", plain, digits,
			ranged("bytes=5-2").gives(whole).but(MinIO, strict, beyond).but(MiniS3, strict, beyond)),
		row("range/malformed is none", plain, digits,
			ranged("bytes=a-b").gives(whole).but(MiniS3, strict, beyond)),
		row("range/another unit is none", plain, digits,
			ranged("lines=0-3").gives(whole).but(MiniS3, strict, beyond)),
		row("range/several are none", plain, digits,
			ranged("bytes=0-1,4-5").gives(whole).but(MiniS3, strict, beyond)),
		row("range/head", plain, digits,
			head("k").with("Range", "bytes=2-4").gives(status(206).has("Content-Range", "bytes 2-4/10").has("Content-Length", "3")).
				but(MiniS3, "ranges of HEAD are ignored", ok().has("Content-Length", "10"))),
		row("range/pinned to an ETag", plain, digits,
			ranged("bytes=2-4").with("If-Match", etag("0123456789")).gives(piece("234", "2-4/10")),
			ranged("bytes=2-4").with("If-Match", wrong).gives(refused(412, "PreconditionFailed"))),
	}
}
