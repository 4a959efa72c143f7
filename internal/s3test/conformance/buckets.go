package conformance

func bucketRows() []conversation {
	const missing = "{bucket}-missing"
	return []conversation{
		row("bucket/missing", plain,
			head("").in(missing).gives(status(404)),
			list().in(missing).gives(refused(404, "NoSuchBucket")),
			get("k").in(missing).gives(refused(404, "NoSuchBucket")),
			put("k", "one").in(missing).gives(refused(404, "NoSuchBucket")),
			remove("k").in(missing).gives(refused(404, "NoSuchBucket")),
			post("k", "uploads", "").in(missing).gives(refused(404, "NoSuchBucket")),
		),
		row("bucket/head", plain,
			head("").gives(ok().has("x-amz-bucket-region", "us-east-1")),
		),
		row("bucket/location", plain,
			get("").ask("location", "").gives(ok().root("LocationConstraint")),
		),
		row("bucket/delete", plain,
			put("k", "one").gives(ok()),
			remove("").gives(refused(409, "BucketNotEmpty")),
			remove("k").gives(gone()),
			remove("").gives(gone()),
			head("").gives(status(404)),
		),
		row("bucket/illegal name", plain,
			put("", "").in("No_Such_NAME").gives(refused(400, "InvalidBucketName")),
		),
		row("bucket/listed", plain,
			get("").in("/").gives(ok().root("ListAllMyBucketsResult").contains("Buckets/Bucket/Name", "{bucket}")),
		),
		row("bucket/versioning unset", plain,
			get("").ask("versioning", "").gives(ok().root("VersioningConfiguration").text("Status")),
		),
	}
}
