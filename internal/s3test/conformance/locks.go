package conformance

func lockRows() []conversation {
	const (
		until = "2099-01-02T03:04:05Z"
		times = `2099-01-02T03:04:05(\.0+)?Z`
	)
	held := func(mode string) request {
		return put("k", "one").withMD5().
			with("x-amz-object-lock-mode", mode).
			with("x-amz-object-lock-retain-until-date", until)
	}
	kept := func(r request) step { return r.gives(ok()).keepHeader("v1", "x-amz-version-id") }
	version := func(r request) request { return r.ask("versionId", "{v1}") }
	forced := func(r request) request { return r.with("x-amz-bypass-governance-retention", "true") }
	denied := func(r request) step {
		return r.gives(refused(403, "AccessDenied")).
			but(MinIO, "another status and code", refused(400, "InvalidRequest"))
	}
	const otherStatus = "another status"
	noLock := refused(400, "NoSuchObjectLockConfiguration")

	return []conversation{
		row("lock/configuration", locked,
			get("").ask("versioning", "").gives(ok().text("Status", "Enabled")),
			get("").ask("object-lock", "").gives(ok().root("ObjectLockConfiguration").text("ObjectLockEnabled", "Enabled")),
		),
		row("lock/bucket without", plain,
			get("").ask("object-lock", "").gives(refused(404, "ObjectLockConfigurationNotFoundError")),
			held("GOVERNANCE").gives(refused(400, "InvalidRequest")),
		),
		row("lock/object without", locked,
			put("k", "one").gives(ok()),
			head("k").gives(ok().lacks("x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date")),
			get("k").ask("retention", "").gives(refused(404, "NoSuchObjectLockConfiguration")).
				but(MinIO, otherStatus, noLock).
				but(Versity, otherStatus, noLock),
		),
		row("lock/told", locked,
			kept(held("GOVERNANCE")),
			head("k").gives(ok().has("x-amz-object-lock-mode", "GOVERNANCE").hasLike("x-amz-object-lock-retain-until-date", times)),
			get("k").ask("retention", "").gives(ok().text("Mode", "GOVERNANCE").textLike("RetainUntilDate", times)),
			get("k").gives(ok().has("x-amz-object-lock-mode", "GOVERNANCE").hasLike("x-amz-object-lock-retain-until-date", times)).
				but(Versity, "told by HEAD only", ok().lacks("x-amz-object-lock-mode")),
		),
		row("lock/governance", locked, kept(held("GOVERNANCE")), denied(version(remove("k")))),
		row("lock/governance bypassed", locked,
			kept(held("GOVERNANCE")),
			forced(version(remove("k"))).gives(gone()),
			get("k").gives(refused(404, "NoSuchKey")),
		),
		row("lock/compliance", locked, kept(held("COMPLIANCE")), denied(version(remove("k")))),
		row("lock/compliance is not bypassed", locked, kept(held("COMPLIANCE")), denied(forced(version(remove("k"))))),
		row("lock/does not forbid a delete marker", locked,
			kept(held("COMPLIANCE")),
			remove("k").gives(gone().has("x-amz-delete-marker", "true")),
			version(get("k")).gives(ok().data("one")),
		),
		row("lock/legal hold", locked,
			kept(put("k", "one").withMD5().with("x-amz-object-lock-legal-hold", "ON")),
			head("k").gives(ok().has("x-amz-object-lock-legal-hold", "ON")),
			denied(version(remove("k"))),
		),
		row("lock/legal hold lifted", locked,
			kept(put("k", "one").withMD5().with("x-amz-object-lock-legal-hold", "ON")),
			put("k", "<LegalHold><Status>OFF</Status></LegalHold>").ask("legal-hold", "").withMD5().gives(ok()),
			get("k").ask("legal-hold", "").gives(ok().text("Status", "OFF")),
			version(remove("k")).gives(gone()),
		),
		row("lock/retention set later", locked,
			kept(put("k", "one")),
			put("k", "<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>"+until+"</RetainUntilDate></Retention>").
				ask("retention", "").withMD5().gives(ok()),
			head("k").gives(ok().has("x-amz-object-lock-mode", "GOVERNANCE")),
			denied(version(remove("k"))),
		),
		row("lock/half of a retention", locked,
			put("k", "one").withMD5().with("x-amz-object-lock-mode", "GOVERNANCE").gives(refused(400, "InvalidArgument")).
				but(MinIO, otherCode, refused(400, "InvalidRequest")).
				but(MiniS3, "half is no retention", ok()),
		),
	}
}
