package conformance

import "slices"

func versions(pairs ...string) request {
	r := get("").ask("versions", "")
	for pair := range slices.Chunk(pairs, 2) {
		r = r.ask(pair[0], pair[1])
	}
	return r
}

func versionRows() []conversation {
	one := put("k", "one").gives(ok().hasLike("x-amz-version-id", ".+")).keepHeader("v1", "x-amz-version-id")
	two := put("k", "two").gives(ok().hasLike("x-amz-version-id", ".+")).keepHeader("v2", "x-amz-version-id")
	mark := remove("k").gives(gone().has("x-amz-delete-marker", "true")).keepHeader("marker", "x-amz-version-id")
	at := func(r request, id string) request { return r.ask("versionId", id) }
	none := refused(404, "NoSuchVersion")

	rows := []conversation{
		row("versions/each can be read", versioned, one, two,
			get("k").gives(ok().data("two").has("x-amz-version-id", "{v2}")),
			at(get("k"), "{v1}").gives(ok().data("one").has("x-amz-version-id", "{v1}")),
			at(head("k"), "{v1}").gives(ok().has("ETag", etag("one")).has("x-amz-version-id", "{v1}")),
		),
		row("versions/unknown", versioned, one,
			at(get("k"), "null").gives(none),
			at(head("k"), "null").gives(status(404)),
		),
		row("versions/removed for good", versioned, one, two,
			at(remove("k"), "{v2}").gives(gone().has("x-amz-version-id", "{v2}").lacks("x-amz-delete-marker")),
			get("k").gives(ok().data("one")),
			at(get("k"), "{v2}").gives(none),
			versions().gives(ok().text("Version/VersionId", "{v1}")),
		),
		row("versions/from before they were enabled", plain,
			put("k", "zero").gives(ok().lacks("x-amz-version-id")),
			versioning("Enabled"),
			one,
			versions().gives(ok().text("Version/VersionId", "{v1}", "null")),
			at(get("k"), "null").gives(ok().data("zero")),
		),
		row("versions/null is told", plain,
			put("k", "zero").gives(ok()),
			versioning("Enabled"),
			at(get("k"), "null").gives(ok().data("zero").has("x-amz-version-id", "null")).
				but(MinIO, "null is not told", ok().lacks("x-amz-version-id")).
				but(MiniS3, "null is not told", ok().lacks("x-amz-version-id")),
		),
		row("versions/suspended", versioned, one,
			versioning("Suspended"),
			put("k", "three").gives(ok()),
			put("k", "four").gives(ok()),
			at(get("k"), "null").gives(ok().data("four")),
			at(get("k"), "{v1}").gives(ok().data("one")),
			versions().gives(ok().text("Version/VersionId", "null", "{v1}")),
			get("").ask("versioning", "").gives(ok().text("Status", "Suspended")),
		),
	}
	rows = append(rows, markerRows(one, two, mark)...)
	return append(rows, versionListRows(one, two, mark)...)
}

// markerRows are about delete markers.
func markerRows(one, two, mark step) []conversation {
	at := func(r request, id string) request { return r.ask("versionId", id) }
	const noMarker = "what is not there leaves no marker"
	return []conversation{
		row("versions/delete marker", versioned, one, mark,
			get("k").gives(refused(404, "NoSuchKey").has("x-amz-delete-marker", "true")),
			head("k").gives(status(404)),
			list().gives(ok().keys()),
			at(get("k"), "{v1}").gives(ok().data("one")),
		),
		row("versions/delete marker told by HEAD", versioned, one, mark,
			head("k").gives(status(404).has("x-amz-delete-marker", "true")).
				but(Versity, "it is not", status(404).lacks("x-amz-delete-marker")),
		),
		row("versions/delete marker tells its version", versioned, one, mark,
			get("k").gives(refused(404, "NoSuchKey").has("x-amz-version-id", "{marker}")).
				but(Versity, "the version is not told", refused(404, "NoSuchKey").lacks("x-amz-version-id")),
		),
		row("versions/delete marker cannot be read", versioned, one, mark,
			at(get("k"), "{marker}").gives(refused(405, "MethodNotAllowed").has("x-amz-delete-marker", "true")).
				but(MiniS3, "as if it were the latest", refused(404, "NoSuchKey").has("x-amz-delete-marker", "true")),
			at(head("k"), "{marker}").gives(status(405)),
		),
		row("versions/delete marker removed", versioned, one, mark,
			at(remove("k"), "{marker}").gives(gone().has("x-amz-delete-marker", "true").has("x-amz-version-id", "{marker}")),
			get("k").gives(ok().data("one").has("x-amz-version-id", "{v1}")),
		),
		row("versions/delete marker of nothing", versioned,
			remove("k").gives(gone().has("x-amz-delete-marker", "true")).
				but(MinIO, noMarker, gone().lacks("x-amz-delete-marker")).
				but(Versity, noMarker, gone().lacks("x-amz-delete-marker")),
			versions().gives(ok().text("DeleteMarker/Key", "k").text("Version")),
		),
		row("versions/delete marker while suspended", versioned, one,
			versioning("Suspended"),
			put("k", "three").gives(ok()),
			remove("k").gives(gone().has("x-amz-delete-marker", "true").has("x-amz-version-id", "null")).
				but(MinIO, "the marker is not told", gone().lacks("x-amz-delete-marker", "x-amz-version-id")).
				but(MiniS3, "null is not told", gone().has("x-amz-delete-marker", "true").lacks("x-amz-version-id")),
			versions().gives(ok().text("*/VersionId", "null", "{v1}").text("Version/VersionId", "{v1}")),
		),
		row("versions/deleted by the dozen", versioned, one, two,
			post("", "delete", "<Delete><Object><Key>k</Key><VersionId>{v1}</VersionId></Object><Object><Key>k</Key></Object></Delete>").
				withMD5().
				gives(ok().text("Deleted/Key", "k", "k").text("Deleted/VersionId", "{v1}").contains("Deleted/DeleteMarker", "true")),
			versions().gives(ok().text("Version/VersionId", "{v2}").text("DeleteMarker/Key", "k")),
		),
	}
}

func versionListRows(one, two, mark step) []conversation {
	const grouped = "versions and delete markers are not listed among one another"
	return []conversation{
		row("versions/listed, newest first", versioned, one, two, mark,
			put("j", "x").gives(ok()).keepHeader("j", "x-amz-version-id"),
			versions().gives(ok().root("ListVersionsResult").
				text("Version/Key", "j", "k", "k").
				text("Version/VersionId", "{j}", "{v2}", "{v1}").
				text("Version/IsLatest", "true", "false", "false").
				text("Version/Size", "1", "3", "3").
				text("DeleteMarker/Key", "k").
				text("DeleteMarker/VersionId", "{marker}").
				text("DeleteMarker/IsLatest", "true").
				text("IsTruncated", "false")),
		),
		row("versions/listed, markers among them", versioned, one, two, mark,
			put("j", "x").gives(ok()).keepHeader("j", "x-amz-version-id"),
			versions().gives(ok().text("*/VersionId", "{j}", "{marker}", "{v2}", "{v1}")).
				but(Versity, grouped, ok().text("*/VersionId", "{marker}", "{j}", "{v2}", "{v1}")).
				but(MiniS3, grouped, ok().text("*/VersionId", "{j}", "{v2}", "{v1}", "{marker}")),
		),
		row("versions/listed by pages", versioned, one, two,
			versions("max-keys", "1").gives(ok().text("Version/VersionId", "{v2}").text("IsTruncated", "true")).
				keepText("key", "NextKeyMarker").
				keepText("version", "NextVersionIdMarker"),
			versions("key-marker", "{key}", "version-id-marker", "{version}").gives(ok().
				text("Version/VersionId", "{v1}").
				text("IsTruncated", "false")).
				but(Versity, "the marker itself is listed again", ok().text("Version/VersionId", "{v2}", "{v1}")),
		),
		row("versions/listed after a key", versioned, one,
			put("l", "x").gives(ok()),
			versions("key-marker", "k").gives(ok().text("Version/Key", "l")).
				but(Versity, "the marker itself is listed", ok().text("Version/Key", "k", "l")),
		),
		row("versions/listed with prefix and delimiter", versioned,
			put("a/1", "x").gives(ok()),
			put("a/1", "y").gives(ok()),
			put("b", "z").gives(ok()),
			versions("delimiter", "/").gives(ok().text("Version/Key", "b").text("CommonPrefixes/Prefix", "a/")),
			versions("prefix", "a/").gives(ok().text("Version/Key", "a/1", "a/1")),
		),
		row("versions/listed where there are none", plain,
			put("k", "one").gives(ok()),
			versions().gives(ok().text("Version/Key", "k").text("Version/VersionId", "null").text("Version/IsLatest", "true")),
		),
	}
}
