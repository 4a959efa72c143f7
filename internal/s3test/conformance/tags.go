package conformance

import (
	"fmt"
	"strings"
)

// tagging is the document of PutObjectTagging, from keys and values by turns.
func tagging(pairs ...string) string {
	var b strings.Builder
	b.WriteString("<Tagging><TagSet>")
	for i := 0; i+1 < len(pairs); i += 2 {
		fmt.Fprintf(&b, "<Tag><Key>%s</Key><Value>%s</Value></Tag>", pairs[i], pairs[i+1])
	}
	return b.String() + "</TagSet></Tagging>"
}

// tags asks for the tags of a key, and setTags replaces them.
func tags(key string) request { return get(key).ask("tagging", "") }

func setTags(key string, pairs ...string) request {
	return put(key, tagging(pairs...)).ask("tagging", "").withMD5()
}

func tagRows() []conversation {
	one := put("k", "one").gives(ok())
	tagged := func(keys, values []string) answer {
		return ok().root("Tagging").texts("TagSet/Tag/Key", keys...).texts("TagSet/Tag/Value", values...)
	}
	invalid := refused(400, "InvalidTag")
	const (
		asciiTags = "tags have letters of ASCII only"
		anyTag    = "only the number and the length of tags are checked"
	)
	var eleven []string
	for i := range 11 {
		eleven = append(eleven, fmt.Sprint("k", i), "v")
	}
	return []conversation{
		row("tags/with the object", plain,
			put("k", "one").with("x-amz-tagging", "a=1&b%20c=x%2By%2F%3D").gives(ok()),
			head("k").gives(ok().has("x-amz-tagging-count", "2")),
			get("k").gives(ok().has("x-amz-tagging-count", "2")),
			tags("k").gives(tagged([]string{"a", "b c"}, []string{"1", "x+y/="})),
		),
		row("tags/set, replaced, removed", plain,
			one,
			tags("k").gives(tagged(nil, nil)),
			setTags("k", "a", "1", "b", "").gives(ok()),
			tags("k").gives(tagged([]string{"a", "b"}, []string{"1", ""})),
			setTags("k", "c", "3").gives(ok()),
			tags("k").gives(tagged([]string{"c"}, []string{"3"})),
			remove("k").ask("tagging", "").gives(gone()),
			tags("k").gives(tagged(nil, nil)),
			head("k").gives(ok().lacks("x-amz-tagging-count")),
			get("k").gives(ok().data("one")),
		),
		row("tags/ten", plain,
			one,
			setTags("k", eleven[:20]...).gives(ok()),
			head("k").gives(ok().has("x-amz-tagging-count", "10")),
		),
		row("tags/eleven", plain, one,
			setTags("k", eleven...).gives(refused(400, "BadRequest")).but(MiniS3, otherCode, invalid)),
		row("tags/eleven with the object", plain,
			put("k", "one").with("x-amz-tagging", "a=1&b=1&c=1&d=1&e=1&f=1&g=1&h=1&i=1&j=1&k=1").gives(refused(400, "BadRequest")).
				but(Versity, "there is no limit here", ok()).
				but(MiniS3, otherCode, invalid),
		),
		row("tags/letters outside of ASCII", plain,
			one,
			setTags("k", "clé", "漢字").gives(ok()).but(MinIO, asciiTags, invalid),
			tags("k").gives(tagged([]string{"clé"}, []string{"漢字"})),
		),
		row("tags/letters outside of ASCII, with the object", plain,
			put("k", "one").with("x-amz-tagging", "cl%C3%A9=%E6%BC%A2%E5%AD%97").gives(ok()).but(MinIO, asciiTags, invalid),
			tags("k").gives(tagged([]string{"clé"}, []string{"漢字"})),
		),
		row("tags/punctuation that is allowed", plain,
			one,
			setTags("k", "+-=._:/@ a", "+-=._:/@ b").gives(ok()),
			tags("k").gives(tagged([]string{"+-=._:/@ a"}, []string{"+-=._:/@ b"})),
		),
		row("tags/punctuation that is not", plain, one,
			setTags("k", "a", "x;y").gives(invalid).but(MiniS3, anyTag, ok())),
		row("tags/longest", plain,
			one,
			setTags("k", strings.Repeat("k", 128), strings.Repeat("v", 256)).gives(ok()),
			tags("k").gives(tagged([]string{strings.Repeat("k", 128)}, []string{strings.Repeat("v", 256)}))),
		row("tags/key too long", plain, one, setTags("k", strings.Repeat("k", 129), "v").gives(invalid)),
		row("tags/value too long", plain, one, setTags("k", "k", strings.Repeat("v", 257)).gives(invalid)),
		row("tags/key twice", plain, one,
			setTags("k", "a", "1", "a", "2").gives(invalid).but(MiniS3, anyTag, ok())),
		row("tags/key empty", plain, one,
			setTags("k", "", "1").gives(invalid).but(MiniS3, anyTag, ok())),
		row("tags/malformed", plain, one,
			put("k", "<Tagging><TagSet>").ask("tagging", "").withMD5().gives(refused(400, "MalformedXML"))),
		row("tags/of a missing object", plain,
			tags("k").gives(refused(404, "NoSuchKey")),
			setTags("k", "a", "1").gives(refused(404, "NoSuchKey"))),
		row("tags/of versions", versioned,
			put("k", "one").with("x-amz-tagging", "v=1").gives(ok()).keepHeader("v1", "x-amz-version-id"),
			put("k", "two").with("x-amz-tagging", "v=2").gives(ok()),
			tags("k").gives(tagged([]string{"v"}, []string{"2"})),
			tags("k").ask("versionId", "{v1}").gives(tagged([]string{"v"}, []string{"1"}).has("x-amz-version-id", "{v1}")),
			setTags("k", "w", "3").ask("versionId", "{v1}").gives(ok()),
			tags("k").ask("versionId", "{v1}").gives(tagged([]string{"w"}, []string{"3"})),
			tags("k").gives(tagged([]string{"v"}, []string{"2"})),
		),
	}
}
