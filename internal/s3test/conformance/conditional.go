package conformance

import "net/http"

const (
	longAgo  = "Fri, 01 Jan 2010 00:00:00 GMT"
	farAhead = "Thu, 01 Jan 2099 00:00:00 GMT"
	wrong    = `"0123456789abcdef0123456789abcdef"`
)

func conditionalRows() []conversation {
	one := put("k", "one").gives(ok())
	failed := refused(412, "PreconditionFailed")
	const noTarget = "conditions on the target of a copy are ignored"
	rows := []conversation{
		row("conditional/put, none there", plain,
			put("k", "one").with("If-None-Match", "*").gives(ok()),
			put("k", "two").with("If-None-Match", "*").gives(failed),
			get("k").gives(ok().data("one")),
			remove("k").gives(gone()),
			put("k", "two").with("If-None-Match", "*").gives(ok()),
		),
		row("conditional/put, none there but a delete marker", versioned,
			one,
			remove("k").gives(gone()),
			put("k", "two").with("If-None-Match", "*").gives(ok()).
				but(Versity, "a delete marker counts as an object", failed),
			put("k", "three").with("If-None-Match", "*").gives(failed),
		),
		row("conditional/put, this one there", plain,
			one,
			put("k", "two").with("If-Match", wrong).gives(failed),
			put("k", "two").with("If-Match", etag("one")).gives(ok()),
			get("k").gives(ok().data("two")),
		),
		row("conditional/put, this one there, but none is", plain,
			put("k", "two").with("If-Match", etag("one")).gives(refused(404, "NoSuchKey")),
			get("k").gives(refused(404, "NoSuchKey")),
		),
		row("conditional/delete, this one there", plain,
			one,
			remove("k").with("If-Match", wrong).gives(failed).
				but(MinIO, "the condition is ignored", gone()),
			remove("k").with("If-Match", etag("one")).gives(gone()),
			get("k").gives(refused(404, "NoSuchKey")),
		),
		row("conditional/put, none there, raced for", plain,
			put("k", "one").with("If-None-Match", "*").races(16, ok(), 412, 409),
			get("k").gives(ok().data("one")),
		),
		row("conditional/copy, source is this one", plain,
			one,
			copyFrom("k", "c").with("x-amz-copy-source-if-match", wrong).gives(failed),
			get("c").gives(refused(404, "NoSuchKey")),
			copyFrom("k", "c").with("x-amz-copy-source-if-match", etag("one")).gives(ok()),
			get("c").gives(ok().data("one")),
		),
		row("conditional/copy, source is not this one", plain,
			one,
			copyFrom("k", "c").with("x-amz-copy-source-if-none-match", wrong).gives(ok()),
			copyFrom("k", "c").with("x-amz-copy-source-if-none-match", etag("one")).gives(failed).
				but(Versity, "answers as to a read", status(304)),
		),
		row("conditional/copy, source unchanged", plain,
			one,
			copyFrom("k", "c").with("x-amz-copy-source-if-unmodified-since", longAgo).gives(failed),
			copyFrom("k", "c").with("x-amz-copy-source-if-unmodified-since", farAhead).gives(ok()),
		),
		row("conditional/copy, target", plain,
			one,
			put("c", "old").gives(ok()),
			copyFrom("k", "c").with("If-None-Match", "*").gives(failed).
				but(MinIO, noTarget, ok()).
				but(Versity, noTarget, ok()).
				but(MiniS3, noTarget, ok()),
			get("c").gives(ok().data("old")),
		),
		row("conditional/complete, none there", plain,
			post("k", "uploads", "").gives(ok()).keepText("id", "UploadId"),
			put("k", "part").ask("partNumber", "1").ask("uploadId", "{id}").gives(ok()),
			one,
			complete("k", "{id}", part(1, etag("part"))).with("If-None-Match", "*").gives(failed),
			get("k").gives(ok().data("one")),
			remove("k").gives(gone()),
			complete("k", "{id}", part(1, etag("part"))).with("If-None-Match", "*").gives(ok()),
			get("k").gives(ok().data("part")),
		),
		row("conditional/complete, this one there", plain,
			one,
			post("k", "uploads", "").gives(ok()).keepText("id", "UploadId"),
			put("k", "part").ask("partNumber", "1").ask("uploadId", "{id}").gives(ok()),
			complete("k", "{id}", part(1, etag("part"))).with("If-Match", wrong).gives(failed),
			complete("k", "{id}", part(1, etag("part"))).with("If-Match", etag("one")).gives(ok()),
			get("k").gives(ok().data("part")),
		),
	}
	rows = append(rows, row("conditional/unchanged, ETag told", plain,
		one,
		get("k").with("If-None-Match", etag("one")).gives(status(304).data("").has("ETag", etag("one"))).
			but(Versity, "an answer without a body has no ETag", status(304).data("").lacks("ETag"))))
	return append(rows, conditionalReads(one)...)
}

// conditionalReads are the conditions that GET and HEAD know; both must judge alike.
func conditionalReads(one step) []conversation {
	const unchanged, failed = http.StatusNotModified, http.StatusPreconditionFailed
	reads := []struct {
		name    string
		headers []parameter
		want    int
		but     map[Server]deviation
	}{
		{"If-Match, same", []parameter{{"If-Match", etag("one")}}, 200, nil},
		{"If-Match, other", []parameter{{"If-Match", wrong}}, failed, nil},
		{"If-Match, any", []parameter{{"If-Match", "*"}}, 200, nil},
		{"If-None-Match, same", []parameter{{"If-None-Match", etag("one")}}, unchanged, nil},
		{"If-None-Match, other", []parameter{{"If-None-Match", wrong}}, 200, nil},
		{"If-Modified-Since, changed since", []parameter{{"If-Modified-Since", longAgo}}, 200, nil},
		{"If-Unmodified-Since, changed since", []parameter{{"If-Unmodified-Since", longAgo}}, failed, nil},
		{"If-Unmodified-Since, a date ahead", []parameter{{"If-Unmodified-Since", farAhead}}, 200, nil},
		{"If-Match beats If-Unmodified-Since", []parameter{{"If-Match", etag("one")}, {"If-Unmodified-Since", longAgo}}, 200,
			map[Server]deviation{MiniS3: {"every condition must hold", refused(failed, "PreconditionFailed")}}},
		{"If-None-Match beats If-Modified-Since", []parameter{{"If-None-Match", etag("one")}, {"If-Modified-Since", longAgo}}, unchanged, nil},
		{"both conditions on dates hold", []parameter{{"If-Modified-Since", longAgo}, {"If-Unmodified-Since", farAhead}}, 200, nil},
	}
	var rows []conversation
	for _, r := range reads {
		read, look := get("k"), head("k")
		for _, h := range r.headers {
			read, look = read.with(h.name, h.value), look.with(h.name, h.value)
		}
		full := status(r.want)
		switch r.want {
		case 200:
			full = full.data("one")
		case unchanged:
			full = full.data("")
		case failed:
			full = refused(failed, "PreconditionFailed")
		}
		reading, looking := read.gives(full), look.gives(status(r.want).data(""))
		for server, d := range r.but {
			reading = reading.but(server, d.why, d.want)
		}
		rows = append(rows, row("conditional/read "+r.name, plain, one, reading, looking))
	}
	return rows
}
