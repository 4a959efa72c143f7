package conformance

// readable are the classes whose objects can be read at once, archived the others.
var (
	readable = []string{"REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR"}
	archived = []string{"GLACIER", "DEEP_ARCHIVE"}
)

const (
	fewClasses = "there are two classes only"
	oneClass   = "every class is STANDARD in silence"
)

// classed puts an object into a class.
func classed(class string) step {
	s := put("k", "one").with("x-amz-storage-class", class).gives(ok())
	if class != "REDUCED_REDUNDANCY" {
		s = s.but(MinIO, fewClasses, refused(400, "InvalidStorageClass"))
	}
	return s
}

// showsClass lists the object in its class.
func showsClass(class string) step {
	return list().gives(ok().keys("k").text("Contents/StorageClass", class)).
		but(Versity, oneClass, ok().text("Contents/StorageClass", "STANDARD"))
}

func classRows() []conversation {
	rows := []conversation{
		row("class/STANDARD", plain,
			put("k", "one").with("x-amz-storage-class", "STANDARD").gives(ok()),
			list().gives(ok().text("Contents/StorageClass", "STANDARD")),
			get("k").gives(ok().data("one")),
		),
		row("class/STANDARD is not told", plain,
			put("k", "one").gives(ok()),
			head("k").gives(ok().lacks("x-amz-storage-class").has("ETag", etag("one"))).
				but(Versity, "it is", ok().has("x-amz-storage-class", "STANDARD")),
		),
		row("class/unknown", plain,
			put("k", "one").with("x-amz-storage-class", "BOGUS").gives(refused(400, "InvalidStorageClass")).
				but(Versity, oneClass, ok()).
				but(MiniS3, "any word is a class", ok())),
		row("class/of a multipart upload", plain,
			create("k", parameter{"x-amz-storage-class", "STANDARD_IA"}).
				but(MinIO, fewClasses, refused(400, "InvalidStorageClass")),
			upload("k", 1, "one").gives(ok()),
			complete("k", "{id}", part(1, etag("one"))).gives(ok()),
			head("k").gives(ok().has("x-amz-storage-class", "STANDARD_IA")).
				but(Versity, oneClass, ok().has("x-amz-storage-class", "STANDARD")),
		),
		row("class/changed by a copy onto itself", plain,
			put("k", "one").with("x-amz-meta-a", "1").gives(ok()),
			copyFrom("k", "k").with("x-amz-storage-class", "STANDARD_IA").gives(ok()).
				but(MinIO, fewClasses, refused(400, "InvalidStorageClass")).
				but(Versity, "a change of class is none", refused(400, "InvalidRequest")),
			head("k").gives(ok().has("x-amz-storage-class", "STANDARD_IA").has("x-amz-meta-a", "1")),
		),
		row("class/restore of what is not archived", plain,
			put("k", "one").gives(ok()),
			restore("k").gives(refused(403, "InvalidObjectState")).
				but(Versity, "there is no restore", refused(501, "NotImplemented")),
		),
	}
	for _, class := range readable {
		rows = append(rows, row("class/"+class, plain,
			classed(class),
			showsClass(class),
			get("k").gives(ok().data("one").has("x-amz-storage-class", class)),
			head("k").gives(ok().has("x-amz-storage-class", class)),
		))
	}
	for _, class := range archived {
		rows = append(rows, archiveRows(class)...)
	}
	return rows
}

// restore is RestoreObject for a day.
func restore(key string) request {
	return post(key, "restore", "<RestoreRequest><Days>1</Days>"+
		"<GlacierJobParameters><Tier>Standard</Tier></GlacierJobParameters></RestoreRequest>").withMD5()
}

func archiveRows(class string) []conversation {
	archive, shows := classed(class), showsClass(class)
	state := refused(403, "InvalidObjectState")
	return []conversation{
		row("archive/"+class+" cannot be read", plain,
			archive,
			shows,
			head("k").gives(ok().has("x-amz-storage-class", class).lacks("x-amz-restore")),
			get("k").gives(state),
			get("k").with("Range", "bytes=0-0").gives(state),
			tags("k").gives(ok()),
			remove("k").gives(gone()),
		),
		row("archive/"+class+" told by the error", plain,
			archive,
			shows,
			get("k").gives(state.text("StorageClass", class)).
				but(MiniS3, "errors have no details", state.text("StorageClass")),
		),
		row("archive/"+class+" cannot be copied", plain,
			archive,
			shows,
			copyFrom("k", "c").gives(status(403).root("Error")).
				but(MiniS3, "copies do not look at the class", ok()),
		),
		row("archive/"+class+" restored", plain,
			archive,
			shows,
			restore("k").gives(status(202)),
			head("k").gives(ok().hasLike("x-amz-restore", `ongoing-request="(true"|false", expiry-date=".+")`)),
		),
	}
}
