package conformance

import "time"

func accessRows() []conversation {
	one := put("k", "one").gives(ok())
	const noClock = "the time of a request is not checked"
	return []conversation{
		row("access/wrong secret", plain, one,
			get("k").signedBy("", "not the secret").gives(refused(403, "SignatureDoesNotMatch")),
			put("k", "two").signedBy("", "not the secret").gives(refused(403, "SignatureDoesNotMatch")),
			head("k").signedBy("", "not the secret").gives(status(403).data("")),
			get("k").gives(ok().data("one")),
		),
		row("access/unknown key", plain, one,
			get("k").signedBy("AKIANOBODYKNOWSTHIS0", "").gives(refused(403, "InvalidAccessKeyId")).
				but(Versity, "the look-up of the user fails first", refused(404, "XAdminUserNotFound")),
		),
		row("access/anonymous", plain, one,
			get("k").unsigned().gives(refused(403, "AccessDenied")),
			put("k", "two").unsigned().gives(refused(403, "AccessDenied")),
			list().unsigned().gives(refused(403, "AccessDenied")),
		),
		row("access/session token of nobody", plain, one,
			get("k").withToken("nonsense").gives(refused(400, "InvalidToken")).
				but(MinIO, "another status and code", refused(403, "InvalidTokenId")).
				but(MiniS3, "tokens are ignored", ok()),
		),
		row("access/clock an hour behind", plain, one,
			get("k").skewed(-time.Hour).gives(refused(403, "RequestTimeTooSkewed")).but(MiniS3, noClock, ok()),
		),
		row("access/clock an hour ahead", plain, one,
			get("k").skewed(time.Hour).gives(refused(403, "RequestTimeTooSkewed")).but(MiniS3, noClock, ok()),
		),
		row("access/clock ten minutes behind", plain, one, get("k").skewed(-10*time.Minute).gives(ok().data("one"))),
		row("access/another region", plain, one,
			get("k").signedFor("eu-central-9").gives(refused(400, "AuthorizationHeaderMalformed").text("Region", "us-east-1")).
				but(MiniS3, "any region will do", ok()),
		),
		row("access/presigned", plain,
			put("k", "one").presigned(time.Minute).gives(ok()),
			get("k").presigned(time.Minute).gives(ok().data("one")),
			get("k").presigned(time.Minute).signedBy("", "not the secret").gives(refused(403, "SignatureDoesNotMatch")),
		),
		row("access/presigned and expired", plain, one,
			get("k").presigned(time.Minute).skewed(-2*time.Minute).gives(refused(403, "AccessDenied")),
		),
		row("access/presigned for too long", plain, one,
			get("k").presigned(8*24*time.Hour).gives(refused(400, "AuthorizationQueryParametersError")).
				but(MiniS3, "another status", refused(403, "AuthorizationQueryParametersError")),
		),
	}
}
