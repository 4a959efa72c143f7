package conformance

import "strings"

func metadataRows() []conversation {
	return []conversation{
		row("metadata/kept", plain,
			put("k", "one").
				with("x-amz-meta-plain", "value").
				with("x-amz-meta-empty", "").
				with("x-amz-meta-punctuation", `a=b; c="d", e`).
				gives(ok()),
			get("k").gives(ok().
				has("x-amz-meta-plain", "value").
				has("x-amz-meta-empty", "").
				has("x-amz-meta-punctuation", `a=b; c="d", e`)),
			head("k").gives(ok().has("x-amz-meta-plain", "value")),
		),
		row("metadata/percent signs", plain,
			put("k", "one").with("x-amz-meta-a", "a%20b").gives(ok()),
			head("k").gives(ok().has("x-amz-meta-a", "a%20b")).
				but(MiniS3, "values are decoded", ok().has("x-amz-meta-a", "a b")),
		),
		row("metadata/names have no case", plain,
			put("k", "one").with("X-Amz-Meta-MiXeD", "MiXeD").gives(ok()),
			head("k").gives(ok().has("x-amz-meta-mixed", "MiXeD")),
		),
		row("metadata/inner spaces", plain,
			put("k", "one").with("x-amz-meta-a", "two  spaces").gives(ok()).
				but(MiniS3, "the signature is computed over both", refused(403, "SignatureDoesNotMatch")),
			head("k").gives(ok().has("x-amz-meta-a", "two  spaces")),
		),
		row("metadata/encoded words are not decoded", plain,
			put("k", "one").with("x-amz-meta-a", "=?UTF-8?B?w4Q=?=").with("x-amz-meta-b", "=?UTF-8?Q?=C3=84?=").gives(ok()),
			head("k").gives(ok().has("x-amz-meta-a", "=?UTF-8?B?w4Q=?=").has("x-amz-meta-b", "=?UTF-8?Q?=C3=84?=")),
		),
		row("metadata/letters outside of ASCII", plain,
			put("k", "one").with("x-amz-meta-a", "Äpfel 漢 😀").gives(ok()),
			head("k").gives(ok().hasWords("x-amz-meta-a", "Äpfel 漢 😀")),
		),
		row("metadata/two kilobytes", plain,
			put("k", "one").with("x-amz-meta-a", strings.Repeat("v", 2000)).gives(ok()),
			head("k").gives(ok().has("x-amz-meta-a", strings.Repeat("v", 2000))),
		),
		row("metadata/too much", plain,
			put("k", "one").with("x-amz-meta-a", strings.Repeat("v", 2048)).gives(refused(400, "MetadataTooLarge")).
				but(MiniS3, "no limit", ok()),
		),
		row("metadata/far too much", plain,
			put("k", "one").with("x-amz-meta-a", strings.Repeat("v", 7000)).gives(refused(400, "MetadataTooLarge")).
				but(MiniS3, "no limit", ok()),
		),
	}
}
