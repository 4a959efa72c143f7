package klosettest

import "strings"

// HostileKeys returns keys that are legal in S3 and awkward everywhere else,
// each at most 1,024 bytes, all different. Invalid UTF-8 and some control
// characters are among them although few services take those: a harness's Keeps
// says which ones its service does.
func HostileKeys() []string {
	keys := []string{
		// Folders: markers, a folder that is an object too, and the neighbours
		// that a listing puts between the two.
		"folder/",
		"folder/x",
		"marker/",
		"a",
		"a!",
		"a-b",
		"a.",
		"a/b",
		"a/c/d",
		"a0",
		"deep",
		"deep/er",
		"deep/er/",
		"deep/er/est",
		"both",
		"both/",
		"both/x",

		// Empty components.
		"x//y",
		"x/y",
		"x///y",
		"/lead",
		"//lead",
		"lead",
		"trail//",
		"trail/",
		"/",
		"//",
		"///",

		// Components with a meaning in paths.
		".",
		"..",
		"...",
		"./x",
		"../x",
		"dot/./b",
		"dot/../b",
		"dot/b",
		"dot/.",
		"dot/..",
		"../../etc/passwd",
		".hidden",
		"..twodots",

		// What an escaping scheme could trip over.
		"%",
		"%%",
		"%/x",
		"%2",
		"%2F",
		"%2f",
		"%2F/x",
		"%2E",
		"%2E%2E/x",
		"%25",
		"%252F",
		"%00",
		"%x61",
		"100%",
		"100%.txt",
		"a%20b",
		"a b",
		"a+b",
		"a%2Bb",
		"p/%",
		"p/%25",
		"p/q",
		"p",

		// Spaces and punctuation.
		" ",
		" lead",
		"trail ",
		"in the  middle",
		"folder / x",
		"tab\there",
		"?",
		"q?x=1&y=2#z",
		"#",
		"&",
		"=",
		"k=v",
		":",
		"a:b",
		"@",
		"~",
		"$HOME",
		"`id`",
		"'single'",
		`"double"`,
		"<tag attr='x'>&amp;</tag>",
		"]]>",
		"*",
		"[a-z]",
		"{a,b}",
		"!important",
		";",
		",",
		`\`,
		`back\slash`,
		`..\up`,
		`C:\windows`,

		// Names that some systems reserve or rewrite.
		"CON",
		"nul.txt",
		"dots.",
		"dots...",
		"Case",
		"case",
		"CONFIG",
		"locks/0000000000000000000000000000000000000000000000000000000000000000",

		// Unicode: two forms of one letter, other scripts, marks and directions.
		"caf\u00e9",
		"cafe\u0301",
		"\u212b",
		"\u00c5",
		"\u65e5\u672c\u8a9e/\u30c6\u30b9\u30c8",
		"\U0001f642",
		"\U0001f468\u200d\U0001f469\u200d\U0001f467/x",
		"\u200b",
		"\u202etxt.exe",
		"\ufeffbom",
		"\ufffd",
		"\u00a0",
		"\u2028",
		"\U0010ffff",

		// Control characters.
		"new\nline",
		"carriage\rreturn",
		"\n",
		"\x01",
		"bell\x07",
		"escape\x1b[31m",
		"delete\x7f",
		"c1\u0085",
		"nul\x00inside",

		// Not UTF-8.
		"\xff",
		"\xff/below",
		"\xfffirst",
		"in\xffside",
		"\xc3",
		"overlong\xc0\xaf",
		"surrogate\xed\xa0\x80",

		// Lengths.
		"n",
		strings.Repeat("f", 1024),
		strings.Repeat("d/", 511) + "ee",
		strings.Repeat("long-component-", 20) + "/x",
		"c255/" + strings.Repeat("c", 255),
		"c256/" + strings.Repeat("c", 256),
		strings.Repeat("\u00e9", 512),
		strings.Repeat("/", 1024),
		strings.Repeat("%", 1024),
	}
	return keys
}

// ordinaryKeys are keys that every service keeps.
func ordinaryKeys() []string {
	return []string{
		"README.md",
		"docs/guide.txt",
		"docs/img/logo.svg",
		"docs/img/screens/1.png",
		"logs/2026/01/app.log",
		"logs/2026/02/app.log",
		"zebra",
	}
}

// kept returns the keys that a harness's Keeps accepts; nil accepts all.
func kept(keys []string, keeps func(string) bool) []string {
	if keeps == nil {
		return keys
	}
	var out []string
	for _, k := range keys {
		if keeps(k) {
			out = append(out, k)
		}
	}
	return out
}
