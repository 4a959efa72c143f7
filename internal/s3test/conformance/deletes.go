package conformance

import "strings"

func deleteRows() []conversation {
	many := func(n int) string {
		return "<Delete>" + strings.Repeat("<Object><Key>k</Key></Object>", n) + "</Delete>"
	}
	return []conversation{
		row("delete many/reported, missing ones too", plain,
			put("a", "1").gives(ok()),
			put("b<&>", "2").gives(ok()),
			put("c", "3").gives(ok()),
			post("", "delete", "<Delete><Object><Key>a</Key></Object><Object><Key>b&lt;&amp;&gt;</Key></Object>"+
				"<Object><Key>missing</Key></Object></Delete>").withMD5().
				gives(ok().root("DeleteResult").text("Deleted/Key", "a", "b<&>", "missing").text("Error")),
			list().gives(ok().keys("c")),
		),
		row("delete many/quiet", plain,
			put("a", "1").gives(ok()),
			post("", "delete", "<Delete><Quiet>true</Quiet><Object><Key>a</Key></Object></Delete>").withMD5().
				gives(ok().root("DeleteResult").text("Deleted").text("Error")).
				but(Versity, "quiet is ignored", ok().text("Deleted/Key", "a")),
			list().gives(ok().keys()),
		),
		row("delete many/1000", plain,
			post("", "delete", many(1000)).withMD5().gives(ok().root("DeleteResult").text("Error")),
		),
		row("delete many/1001", plain,
			post("", "delete", many(1001)).withMD5().gives(refused(400, "MalformedXML")).
				but(Versity, "no limit", ok()),
		),
		row("delete many/malformed", plain,
			post("", "delete", "<Delete><Object><Key>a</Key>").withMD5().gives(refused(400, "MalformedXML")).
				but(Versity, otherCode, refused(400, "InvalidRequest")),
		),
		row("delete many/without a digest", plain,
			post("", "delete", many(1)).gives(refused(400, "InvalidRequest")).
				but(MinIO, otherCode, refused(400, "MissingContentMD5")).
				but(MiniS3, "no digest is needed", ok()),
		),
	}
}
