package conformance

import (
	"fmt"
	"net/url"
)

func listRows() []conversation {
	// seed puts keys.
	seed := func(keys ...string) []step {
		var steps []step
		for _, key := range keys {
			steps = append(steps, put(key, content(key)).gives(ok()))
		}
		return steps
	}
	seeded := func(name string, keys []string, steps ...step) conversation {
		return row("list/"+name, plain, append(seed(keys...), steps...)...)
	}
	tree := []string{"a", "b/1", "b/2", "b/c/3", "d e/1", "f"}
	invalid := refused(400, "InvalidArgument")
	const unlimited = "the number is told as it was asked"

	return []conversation{
		seeded("empty bucket", nil,
			list().gives(ok().root("ListBucketResult").
				keys().
				text("Name", "{bucket}").
				text("KeyCount", "0").
				text("MaxKeys", "1000").
				text("IsTruncated", "false").
				text("NextContinuationToken"))),
		seeded("what is told of an object", []string{"k"},
			list().gives(ok().
				text("Contents/Key", "k").
				text("Contents/Size", fmt.Sprint(len(content("k")))).
				text("Contents/ETag", etag(content("k"))).
				text("Contents/StorageClass", "STANDARD").
				textLike("Contents/LastModified", `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`).
				text("Contents/Owner").
				text("KeyCount", "1"))),
		seeded("owner on demand", []string{"k"},
			list("fetch-owner", "true").gives(ok().textLike("Contents/Owner/ID", ".+"))),
		seeded("order of bytes", []string{"😀", "～", "é", "z", "ab", "a_", "aB", "a0", "a/", "a.", "a-b", "a!", "Z", "A"},
			list().gives(ok().keys("A", "Z", "a!", "a-b", "a.", "a/", "a0", "aB", "a_", "ab", "z", "é", "～", "😀"))),
		seeded("prefix", tree,
			list("prefix", "b/").gives(ok().keys("b/1", "b/2", "b/c/3").text("Prefix", "b/"))),
		seeded("prefix that ends within a name", tree,
			list("prefix", "d").gives(ok().keys("d e/1"))),
		seeded("prefix of nothing", tree,
			list("prefix", "zz").gives(ok().keys().text("KeyCount", "0"))),
		seeded("delimiter", tree,
			list("delimiter", "/").gives(ok().keys("a", "f").prefixes("b/", "d e/").text("KeyCount", "4"))),
		seeded("prefix and delimiter", tree,
			list("prefix", "b/", "delimiter", "/").gives(ok().keys("b/1", "b/2").prefixes("b/c/"))),
		seeded("delimiter that is no slash", []string{"a-b", "a-c", "a", "d"},
			list("delimiter", "-").gives(ok().keys("a", "d").prefixes("a-"))),
		seeded("start after a key", tree,
			list("start-after", "b/2").gives(ok().keys("b/c/3", "d e/1", "f"))),
		seeded("start between keys", tree,
			list("start-after", "b/15").gives(ok().keys("b/2", "b/c/3", "d e/1", "f"))),
		seeded("start after the last key", tree,
			list("start-after", "zz").gives(ok().keys().text("IsTruncated", "false"))),
		seeded("start before the prefix", tree,
			list("start-after", "a", "prefix", "d").gives(ok().keys("d e/1"))),
		seeded("pages", tree,
			list("max-keys", "4").gives(ok().keys("a", "b/1", "b/2", "b/c/3").
				text("IsTruncated", "true").text("KeyCount", "4").text("MaxKeys", "4")).
				keepText("token", "NextContinuationToken"),
			list("max-keys", "4", "continuation-token", "{token}").gives(ok().keys("d e/1", "f").
				text("IsTruncated", "false").text("KeyCount", "2").text("NextContinuationToken"))),
		seeded("page that ends at the last key", tree,
			list("max-keys", "6").gives(ok().keys(tree...).text("IsTruncated", "false").text("NextContinuationToken"))),
		seeded("pages of prefixes", tree,
			list("delimiter", "/", "max-keys", "2").gives(ok().keys("a").prefixes("b/").
				text("IsTruncated", "true").text("KeyCount", "2")).
				keepText("token", "NextContinuationToken"),
			list("delimiter", "/", "max-keys", "2", "continuation-token", "{token}").gives(ok().keys("f").prefixes("d e/").
				text("IsTruncated", "false"))),
		seeded("page of no keys", tree,
			list("max-keys", "0").gives(ok().keys().text("IsTruncated", "false"))),
		seeded("pages have at most 1000 keys", nil,
			list("max-keys", "5000").gives(ok().text("MaxKeys", "1000")).
				but(MinIO, unlimited, ok().text("MaxKeys", "5000")).
				but(MiniS3, unlimited, ok().text("MaxKeys", "5000"))),
		seeded("token beats start-after", tree,
			list("max-keys", "3").gives(ok().keys("a", "b/1", "b/2")).keepText("token", "NextContinuationToken"),
			list("continuation-token", "{token}", "start-after", "e").gives(ok().keys("b/c/3", "d e/1", "f")).
				but(Versity, "the later of both counts", ok().keys("f"))),
		seeded("max-keys that is no number", nil, list("max-keys", "x").gives(invalid)),
		seeded("max-keys below zero", nil, list("max-keys", "-1").gives(invalid)),
		seeded("token of nobody", nil, list("continuation-token", "nonsense !").gives(invalid).
			but(Versity, "a token is a key", ok().keys()).
			but(MiniS3, "a token is a key", ok().keys())),
		seeded("encoding of another kind", nil,
			get("").ask("list-type", "2").ask("encoding-type", "base64").gives(invalid).
				but(Versity, "the parameter is ignored", ok()).
				but(MiniS3, "unknown encodings are ignored", ok())),
		seeded("keys encoded", []string{"dir x/é+%2F&<>\".txt"},
			list("prefix", "dir x/").gives(ok().
				text("EncodingType", "url").
				text("Contents/Key", "dir+x/"+url.QueryEscape("é+%2F&<>\"")+".txt").
				text("Prefix", "dir+x/")).
				but(Versity, "keys are never encoded", ok().
					text("EncodingType", "").
					text("Contents/Key", "dir x/é+%2F&<>\".txt").
					text("Prefix", "dir x/")).
				but(MiniS3, "another encoding, and of keys only", ok().
					text("EncodingType", "url").
					text("Contents/Key", "dir%20x/"+url.QueryEscape("é+%2F&<>\"")+".txt").
					text("Prefix", "dir x/"))),
		seeded("keys as they are", []string{"dir x/é+%2F&<>\".txt"},
			get("").ask("list-type", "2").gives(ok().text("Contents/Key", "dir x/é+%2F&<>\".txt"))),
		seeded("version one", tree,
			get("").ask("max-keys", "3").gives(ok().root("ListBucketResult").
				text("Contents/Key", "a", "b/1", "b/2").text("IsTruncated", "true").text("KeyCount")),
			get("").ask("marker", "b/2").gives(ok().
				text("Contents/Key", "b/c/3", "d e/1", "f").text("IsTruncated", "false"))),
		seeded("version one, next marker", tree,
			get("").ask("delimiter", "/").ask("max-keys", "2").gives(ok().
				text("Contents/Key", "a").text("CommonPrefixes/Prefix", "b/").text("NextMarker", "b/")).
				but(MinIO, "a marker carries a note of the server", ok().textLike("NextMarker", `b/\[.+\]`)),
			get("").ask("delimiter", "/").ask("marker", "b/").gives(ok().
				text("Contents/Key", "f").text("CommonPrefixes/Prefix", "d e/"))),
	}
}
