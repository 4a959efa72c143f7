package conformance

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// reply is an answer that has been read to its end.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// maxReply bounds what is read of a body; the largest object of the table has 10 MiB.
const maxReply = 32 << 20

func readReply(resp *http.Response) (*reply, error) {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReply))
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return nil, err
	}
	return &reply{resp.StatusCode, resp.Header, body}, nil
}

func (r *reply) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d\n", r.status)
	_ = r.header.Write(&b) // a Builder does not fail
	if len(r.body) > 2000 {
		fmt.Fprintf(&b, "%.2000q… (%d bytes)", r.body, len(r.body))
	} else {
		fmt.Fprintf(&b, "%q", r.body)
	}
	return b.String()
}

// element is an XML element. Its name has no namespace: servers differ in theirs, and
// clients do not look.
type element struct {
	name     string
	text     string
	children []*element
}

// xml parses the body.
func (r *reply) xml() (*element, error) {
	d := xml.NewDecoder(bytes.NewReader(r.body))
	top := &element{}
	open := []*element{top}
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("body is no XML: %w", err)
		}
		last := open[len(open)-1]
		switch token := token.(type) {
		case xml.StartElement:
			e := &element{name: token.Name.Local}
			last.children = append(last.children, e)
			open = append(open, e)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			last.text += string(token)
		}
	}
	if len(top.children) != 1 {
		return nil, fmt.Errorf("body has %d root elements", len(top.children))
	}
	return top.children[0], nil
}

// texts returns the texts of all elements at a path of names, in document order. The
// step "*" stands for any name.
func (e *element) texts(path string) []string {
	name, rest, deeper := strings.Cut(path, "/")
	var texts []string
	for _, child := range e.children {
		switch {
		case child.name != name && name != "*":
		case deeper:
			texts = append(texts, child.texts(rest)...)
		default:
			texts = append(texts, child.text)
		}
	}
	return texts
}
