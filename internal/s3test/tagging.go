package s3test

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxTags       = 10
	maxBucketTags = 50
	maxTagKey     = 128
	maxTagValue   = 256
)

// readTagging reads the tags of a new object from x-amz-tagging.
func (x *exchange) readTagging(p *Properties) error {
	header := x.header("X-Amz-Tagging")
	if header == "" {
		return nil
	}
	if !x.server.settings.has(Tagging) {
		return failure("NotImplemented").with("Header", "x-amz-tagging")
	}
	var err error
	p.Tags, err = parseTagHeader(header)
	return err
}

// parseTagHeader reads tags that are written like a query.
func parseTagHeader(header string) (map[string]string, error) {
	malformed := failuref("InvalidArgument", "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.")
	tags := make(map[string]string)
	for pair := range strings.SplitSeq(header, "&") {
		rawKey, rawValue, _ := strings.Cut(pair, "=")
		key, err := url.QueryUnescape(rawKey)
		if err != nil {
			return nil, malformed
		}
		value, err := url.QueryUnescape(rawValue)
		if err != nil {
			return nil, malformed
		}
		if _, twice := tags[key]; twice {
			return nil, malformed
		}
		tags[key] = value
	}
	if err := checkTags(tags, maxTags); err != nil {
		return nil, err
	}
	return tags, nil
}

func checkTags(tags map[string]string, most int) error {
	if len(tags) > most {
		return failuref("BadRequest", "Object tags cannot be greater than %d", most)
	}
	for key, value := range tags {
		if key == "" || utf8.RuneCountInString(key) > maxTagKey || !validTag(key) || strings.HasPrefix(strings.ToLower(key), "aws:") {
			return failuref("InvalidTag", "The TagKey you have provided is invalid").with("TagKey", key)
		}
		if utf8.RuneCountInString(value) > maxTagValue || !validTag(value) {
			return failuref("InvalidTag", "The TagValue you have provided is invalid").with("TagKey", key).with("TagValue", value)
		}
	}
	return nil
}

func validTag(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsNumber(r) && !unicode.Is(unicode.Zs, r) &&
			!strings.ContainsRune("+-=._:/@", r)
	})
}

type tagging struct {
	Tags []struct {
		Keys   []string     `xml:"Key"`
		Values []string     `xml:"Value"`
		Other  []anyElement `xml:",any"`
	} `xml:"TagSet>Tag"`
	Other []anyElement `xml:",any"`
}

// parseTagging reads the body of PutObjectTagging and PutBucketTagging.
func parseTagging(body []byte, most int) (map[string]string, error) {
	var t tagging
	if err := parseXML(body, "Tagging", &t); err != nil {
		return nil, err
	}
	tags := make(map[string]string)
	for _, tag := range t.Tags {
		if len(tag.Keys) != 1 || len(tag.Values) != 1 || len(tag.Other) > 0 {
			return nil, failure("MalformedXML")
		}
		if _, twice := tags[tag.Keys[0]]; twice {
			return nil, failuref("InvalidTag", "Cannot provide multiple Tags with the same key").with("TagKey", tag.Keys[0])
		}
		tags[tag.Keys[0]] = tag.Values[0]
	}
	return tags, checkTags(tags, most)
}

func (x *exchange) getObjectTagging() error {
	v, err := x.version()
	if err != nil {
		return err
	}
	x.setVersionOf(v)
	if v.illegible {
		return x.sendNothing(http.StatusOK)
	}
	return x.sendXML(newDocument("Tagging", func(d *document) { tagElements(d, v.Tags) }))
}

func tagElements(d *document, tags map[string]string) {
	d.in("TagSet", func() {
		for _, key := range slices.Sorted(maps.Keys(tags)) {
			d.in("Tag", func() {
				d.text("Key", key)
				d.text("Value", tags[key])
			})
		}
	})
}

func (x *exchange) putObjectTagging() error {
	body, err := x.readDocument()
	if err != nil {
		return err
	}
	tags, err := parseTagging(body, maxTags)
	if err != nil {
		return err
	}
	return x.changeTags(tags, http.StatusOK)
}

func (x *exchange) deleteObjectTagging() error {
	return x.changeTags(nil, http.StatusNoContent)
}

func (x *exchange) changeTags(tags map[string]string, status int) error {
	id, err := x.versionID()
	if err != nil {
		return err
	}
	v, err := x.bucket.update(x.key, id, func(v *version) error {
		v.Tags, v.illegible = tags, false
		if len(tags) == 0 {
			v.Tags = nil
		}
		return nil
	})
	if err != nil {
		return err
	}
	x.setVersionOf(v)
	return x.sendNothing(status)
}

// setVersionOf names the version that a request found, in buckets where versions have names.
func (x *exchange) setVersionOf(v *version) {
	if x.bucket.isVersioned() {
		x.setHeader("x-amz-version-id", v.id)
	}
}
