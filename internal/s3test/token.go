package s3test

import (
	"encoding/base64"
	"hash/crc32"
	"strconv"
	"strings"
)

// pageToken is where a listing goes on.
type pageToken struct {
	key    string
	rolled bool
}

// sealToken makes a token that clients cannot make themselves by accident: a key alone is none.
func sealToken(t pageToken) string {
	kind := "k"
	if t.rolled {
		kind = "p"
	}
	text := kind + t.key
	sum := strconv.FormatUint(uint64(crc32.ChecksumIEEE([]byte(text))), 36)
	return base64.URLEncoding.EncodeToString([]byte(sum + ":" + text))
}

// openToken takes what sealToken made and nothing else.
func openToken(token string) (pageToken, error) {
	if token == "" {
		return pageToken{}, nil
	}
	raw, err := base64.URLEncoding.DecodeString(token)
	_, text, ok := strings.Cut(string(raw), ":")
	if err == nil && ok && text != "" {
		if t := (pageToken{key: text[1:], rolled: text[0] == 'p'}); sealToken(t) == token {
			return t, nil
		}
	}
	return pageToken{}, failuref("InvalidArgument", "The continuation token provided is incorrect").
		with("ArgumentName", "continuation-token")
}

// openToken takes the token of a request.
func (x *exchange) openToken() (pageToken, error) {
	token, prefix, delimiter := x.query.Get("continuation-token"), x.query.Get("prefix"), x.query.Get("delimiter")
	if !x.server.settings.keyTokens {
		return openToken(token)
	}
	common, ok := commonPrefixOf(token, prefix, delimiter)
	return pageToken{key: token, rolled: ok && common == token}, nil
}

// tokenAfter makes the token that follows a page.
func (x *exchange) tokenAfter(page []listed) string {
	last := page[len(page)-1]
	if x.server.settings.keyTokens {
		return last.key
	}
	return sealToken(pageToken{key: last.key, rolled: last.version == nil})
}
