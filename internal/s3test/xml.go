package s3test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	xmlHeader    = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"
	xmlNamespace = `http://s3.amazonaws.com/doc/2006-03-01/`
)

// document is an XML answer under construction. It is written by hand because encoding/xml replaces what XML 1.0
// cannot hold by U+FFFD, while S3 sends character references that break its clients: just what they must survive.
type document struct {
	buf bytes.Buffer
}

func newDocument(root string, content func(*document)) *document {
	d := new(document)
	d.buf.WriteString(xmlHeader + "<" + root + ` xmlns="` + xmlNamespace + `">`)
	content(d)
	d.buf.WriteString("</" + root + ">")
	return d
}

// in writes an element that holds others.
func (d *document) in(name string, content func()) {
	d.buf.WriteString("<" + name + ">")
	content()
	end, _, _ := strings.Cut(name, " ")
	d.buf.WriteString("</" + end + ">")
}

func (d *document) text(name, value string) {
	d.buf.WriteString("<" + name + ">")
	escapeXML(&d.buf, value)
	d.buf.WriteString("</" + name + ">")
}

// optional writes the element only if there is a value.
func (d *document) optional(name, value string) {
	if value != "" {
		d.text(name, value)
	}
}

func (d *document) number(name string, n int64) { d.text(name, strconv.FormatInt(n, 10)) }
func (d *document) flag(name string, on bool)   { d.text(name, strconv.FormatBool(on)) }

func escapeXML(b *bytes.Buffer, s string) {
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '&':
			b.WriteString("&amp;")
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '"':
			b.WriteString("&quot;")
		case r < ' ' || r == 0x7f || r == 0xfffe || r == 0xffff:
			fmt.Fprintf(b, "&#x%x;", r)
		default:
			b.WriteString(s[i : i+size]) // bytes that are no UTF-8 go out as they are
		}
		i += size
	}
}

// parseXML decodes a request body whose root element must have the given name.
func parseXML(body []byte, root string, into any) error {
	dec := xml.NewDecoder(bytes.NewReader(body))
	for {
		token, err := dec.Token()
		if err != nil {
			return failure("MalformedXML")
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if start.Name.Local != root {
			return failure("MalformedXML")
		}
		if err := dec.DecodeElement(into, &start); err != nil {
			return failure("MalformedXML")
		}
		return trailingXML(dec)
	}
}

// trailingXML refuses anything but space and comments after the root element.
func trailingXML(dec *xml.Decoder) error {
	for {
		token, err := dec.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return failure("MalformedXML")
		}
		switch t := token.(type) {
		case xml.CharData:
			if len(bytes.TrimSpace(t)) > 0 {
				return failure("MalformedXML")
			}
		case xml.Comment:
		default:
			return failure("MalformedXML")
		}
	}
}

// anyElement takes what a document says beyond what is understood.
type anyElement struct {
	XMLName xml.Name
}

func owner(d *document, element string) {
	d.in(element, func() {
		d.text("ID", ownerID)
		d.text("DisplayName", ownerName)
	})
}

func isoTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
