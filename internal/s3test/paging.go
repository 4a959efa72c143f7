package s3test

import (
	"net/url"
	"strconv"
	"strings"
)

const maxKeys = 1000

// limit reads a parameter that bounds a page: at most most, which is also the default.
func (x *exchange) limit(name string, most int) (int, error) {
	if !x.query.Has(name) {
		return most, nil
	}
	n, err := strconv.ParseInt(x.query.Get(name), 10, 32)
	if err != nil || n < 0 {
		return 0, failuref("InvalidArgument", "Provided %s not an integer or within integer range", name).
			with("ArgumentName", name).with("ArgumentValue", x.query.Get(name))
	}
	return min(int(n), most), nil
}

// headerLimit is a number in a header, of which most is the default.
func (x *exchange) headerLimit(name string, byDefault int) (int, error) {
	value := x.header(name)
	if value == "" {
		return byDefault, nil
	}
	n, err := strconv.ParseInt(value, 10, 32)
	if err != nil || n < 0 {
		return 0, failure("InvalidArgument").with("ArgumentName", strings.ToLower(name)).with("ArgumentValue", value)
	}
	return min(int(n), maxParts), nil
}

// encoding gives the function that encodes keys as the client asked, and the name of the encoding.
func (x *exchange) encoding() (encode func(string) string, name string, err error) {
	switch name := x.query.Get("encoding-type"); {
	case name == "" && !x.query.Has("encoding-type"), !x.server.settings.has(URLEncoding):
		return func(s string) string { return s }, "", nil
	case name == "url":
		return listEncodings[x.server.settings.listEncoding], name, nil
	}
	return nil, "", failuref("InvalidArgument", "Invalid Encoding Method specified in Request").with("ArgumentName", "encoding-type")
}

var listEncodings = map[ListEncoding]func(string) string{
	FormEncoding: encodeKey,
	PathEncoding: func(key string) string { return strings.NewReplacer("+", "%20", "%2B", "+").Replace(encodeKey(key)) },
	NoEncoding:   func(key string) string { return key },
}

// encodeKey is a form encoding that leaves slashes alone, so that a space becomes "+".
func encodeKey(key string) string {
	return strings.ReplaceAll(url.QueryEscape(key), "%2F", "/")
}
