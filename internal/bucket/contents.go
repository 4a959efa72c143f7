package bucket

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"
	smithytime "github.com/aws/smithy-go/time"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// listObjects asks for a page of keys. The SDK reads the page but for what it
// lists: encoding/xml takes five times as long for it as scanContents, and that
// is most of the time of a processor in a listing of many keys.
func (c *Client) listObjects(ctx context.Context, in *s3.ListObjectsV2Input, opts ...func(*s3.Options)) (*s3.ListObjectsV2Output, error) {
	var listed []types.Object
	page, err := c.api.ListObjectsV2(ctx, in, append(opts, takeContents(&listed))...)
	if err == nil && listed != nil {
		page.Contents = listed
	}
	return page, err
}

// takeContents takes what a page lists out of it, before the SDK reads it. A page
// that is not plain enough stays whole.
func takeContents(listed *[]types.Object) func(*s3.Options) {
	return func(o *s3.Options) {
		o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
			return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("s3klosetContents",
				func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
					*listed = nil // by the attempt before
					out, metadata, err := next.HandleDeserialize(ctx, in)
					if answer, ok := out.RawResponse.(*smithyhttp.Response); ok && err == nil && answer.Body != nil {
						var left io.Reader
						*listed, left = splitPage(answer.Body, answer.ContentLength)
						answer.Body = legible(left, answer.Body)
					}
					return out, metadata, err
				}), middleware.After)
		})
	}
}

// maxScannedPage is the length of the longest page that is held in memory, in
// bytes: 1,000 keys of 1,024 bytes, each encoded as three, and twice as much for
// what else is told of them.
const maxScannedPage = 8 << 20

// splitPage reads a page, and leaves what is not in listed to be read. Its length
// is -1 where it is not known.
func splitPage(body io.Reader, length int64) (listed []types.Object, left io.Reader) {
	var page bytes.Buffer
	page.Grow(int(min(max(length, 0), maxScannedPage)) + bytes.MinRead)
	_, err := page.ReadFrom(io.LimitReader(body, maxScannedPage))
	if err != nil || page.Len() == maxScannedPage {
		return nil, io.MultiReader(&page, failing{err}, body)
	}
	listed, frame, ok := scanContents(page.Bytes())
	if !ok {
		return nil, &page
	}
	return listed, bytes.NewReader(frame)
}

// failing is the end of what could be read.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) {
	if f.err == nil {
		return 0, io.EOF
	}
	return 0, f.err
}

// scanContents reads the entries of a page, and leaves all else of it as the
// frame. It reads the XML that servers write: one that has anything beyond
// elements and text is not ok, and nor is anything that the SDK would refuse.
func scanContents(page []byte) (listed []types.Object, frame []byte, ok bool) {
	s := scanner{in: page}
	root := s.root()
	frame = slices.Clone(page[:s.at])
	for !s.odd {
		s.space()
		begin := s.at
		name, kind := s.tag()
		switch {
		case kind == closing:
			s.space()
			ok = !s.odd && bytes.Equal(name, root) && s.at == len(page)
			return listed, append(frame, page[begin:]...), ok
		case kind == opening && string(name) == "Contents":
			listed = append(listed, s.object())
			continue
		case strings.EqualFold(string(name), "Contents"):
			s.odd = true
		case kind == opening:
			s.skip(name, 0)
		}
		frame = append(frame, page[begin:s.at]...)
	}
	return nil, nil, false
}

// scanner reads a small part of XML.
type scanner struct {
	in  []byte
	at  int
	odd bool // there is something else than is read here: the rest counts for nothing
}

type tagKind int

const (
	opening tagKind = iota
	closing
	empty // opening and closing
)

// root reads what comes before the first element, and its tag. Its attributes
// are not looked at.
func (s *scanner) root() (name []byte) {
	if bytes.HasPrefix(s.in, []byte("<?xml")) {
		s.at = bytes.Index(s.in, []byte("?>")) + len("?>")
	}
	s.space()
	end := bytes.IndexByte(s.in[s.at:], '>')
	if end < 1 || s.in[s.at] != '<' {
		s.odd = true
		return nil
	}
	tag := s.in[s.at+1 : s.at+end]
	s.at += end + 1
	name, attributes, _ := bytes.Cut(tag, []byte(" "))
	s.odd = s.odd || !isName(name) || bytes.ContainsAny(attributes, "<&") || bytes.HasSuffix(tag, []byte("/"))
	return name
}

// tag reads a tag without attributes.
func (s *scanner) tag() (name []byte, kind tagKind) {
	end := bytes.IndexByte(s.in[s.at:], '>')
	if end < 1 || s.in[s.at] != '<' {
		s.odd = true
		return nil, closing
	}
	name = s.in[s.at+1 : s.at+end]
	s.at += end + 1
	if after, found := bytes.CutPrefix(name, []byte("/")); found {
		name, kind = after, closing
	} else if before, found := bytes.CutSuffix(name, []byte("/")); found {
		name, kind = before, empty
	}
	s.odd = s.odd || !isName(name)
	return name, kind
}

// isName tells whether something is a plain name, without a namespace.
func isName(name []byte) bool {
	isNoLetter := func(b byte) bool { return b|0x20 < 'a' || b|0x20 > 'z' }
	return len(name) > 0 && !slices.ContainsFunc(name, isNoLetter)
}

// space reads white space.
func (s *scanner) space() {
	for s.at < len(s.in) && strings.IndexByte(" \t\r\n", s.in[s.at]) >= 0 {
		s.at++
	}
}

// value reads the text of an element, and the tag that closes it.
func (s *scanner) value(name []byte, kind tagKind) []byte {
	if kind == empty {
		return nil
	}
	text := s.text()
	end, kind := s.tag()
	s.odd = s.odd || kind != closing || !bytes.Equal(end, name)
	return text
}

// text reads to the next tag.
func (s *scanner) text() []byte {
	length := bytes.IndexByte(s.in[s.at:], '<')
	if length < 0 {
		s.odd = true
		return nil
	}
	raw := s.in[s.at : s.at+length]
	s.at += length
	text, ok := plainText(raw)
	s.odd = s.odd || !ok
	return text
}

// maxDepth is that of an entry's elements: RestoreStatus, Owner and the like have
// one level below them.
const maxDepth = 4

// skip reads to the end of an element.
func (s *scanner) skip(name []byte, depth int) {
	for !s.odd {
		s.text()
		inner, kind := s.tag()
		switch kind {
		case closing:
			s.odd = s.odd || !bytes.Equal(inner, name)
			return
		case opening:
			s.odd = s.odd || depth == maxDepth
			s.skip(inner, depth+1)
		}
	}
}

// values are what the fields of an entry point at.
type values struct {
	key, etag string
	size      int64
	modified  time.Time
}

// object reads an entry, after its first tag.
func (s *scanner) object() (o types.Object) {
	v := new(values)
	for !s.odd {
		s.space()
		name, kind := s.tag()
		if kind == closing {
			s.odd = s.odd || string(name) != "Contents"
			break
		}
		s.field(&o, v, name, kind)
	}
	return o
}

func (s *scanner) field(o *types.Object, v *values, name []byte, kind tagKind) {
	var err error
	switch string(name) {
	case "Key":
		v.key = string(s.value(name, kind))
		o.Key = &v.key
	case "ETag":
		v.etag = string(s.value(name, kind))
		o.ETag = &v.etag
	case "StorageClass":
		o.StorageClass = types.ObjectStorageClass(s.value(name, kind))
	case "Size":
		v.size, err = strconv.ParseInt(string(s.value(name, kind)), 10, 64)
		o.Size = &v.size
	case "LastModified":
		v.modified, err = smithytime.ParseDateTime(string(s.value(name, kind)))
		o.LastModified = &v.modified
	case "ChecksumAlgorithm", "ChecksumType", "Owner", "Type", "UserMetadata", "UserTags", "Internal":
		// Nobody here asks for these, of which some are no part of S3.
		if kind == opening {
			s.skip(name, 0)
		}
	default:
		s.odd = true
	}
	s.odd = s.odd || err != nil
}

// plainText resolves references to characters. Text with characters that XML does
// not hold, or reads as others, is not ok.
func plainText(raw []byte) (text []byte, ok bool) {
	if !slices.ContainsFunc(raw, isNotSimple) {
		return raw, true
	}
	if !utf8.Valid(raw) || bytes.Contains(raw, []byte("]]>")) {
		return nil, false
	}
	for {
		plain := bytes.IndexFunc(raw, isUnusual)
		if plain < 0 {
			return append(text, raw...), true
		}
		char, length := reference(raw[plain:])
		if length == 0 {
			return nil, false
		}
		text = utf8.AppendRune(append(text, raw[:plain]...), char)
		raw = raw[plain+length:]
	}
}

// isNotSimple tells a byte that may be, or be part of, something else than itself.
func isNotSimple(b byte) bool { return b < ' ' || b == '&' || b == ']' || b >= utf8.RuneSelf }

func isUnusual(r rune) bool {
	return r == '&' || r < ' ' && r != '\t' && r != '\n' || r >= 0xFFFE && r <= 0xFFFF
}

var entities = map[string]rune{"lt": '<', "gt": '>', "amp": '&', "quot": '"', "apos": '\''}

// reference reads a reference to a character.
func reference(text []byte) (char rune, length int) {
	end := bytes.IndexByte(text, ';')
	if end < 0 || text[0] != '&' {
		return 0, 0
	}
	name := text[1:end]
	char = entities[string(name)]
	if digits, found := bytes.CutPrefix(name, []byte("#")); found {
		char = characterOf(string(digits))
	}
	if char == 0 {
		return 0, 0
	}
	return char, end + 1
}

// characterOf is the character of a number, 0 for one that XML cannot hold.
func characterOf(digits string) rune {
	base := 10
	if hex, found := strings.CutPrefix(digits, "x"); found {
		base, digits = 16, hex
	}
	number, err := strconv.ParseUint(digits, base, 31)
	if err != nil || number < ' ' || number == 0xFFFE || number == 0xFFFF || !utf8.ValidRune(rune(number)) {
		return 0
	}
	return rune(number)
}
