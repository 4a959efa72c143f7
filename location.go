package s3kloset

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// location says which objects are meant. Two forms of text give one:
//
//	s3://BUCKET[/PREFIX][?PARAMETERS]
//	s3://HOST[:PORT]/BUCKET[/PREFIX][?PARAMETERS]
//
// The bucket may be the ARN of an access point.
//
// The first name is a host when it holds a dot or a port, or is localhost; a
// locationHint can say otherwise. s3:///BUCKET[/PREFIX] leaves no doubt, and
// is short for a bucket whose name holds dots. The host may be any of AWS,
// also one that begins with the bucket.
//
// The prefix is plain text, and nothing in it is decoded. One slash at its
// end is dropped. A ? ends it, so a prefix cannot hold one.
type location struct {
	endpoint string // host[:port] in lower case; "" is AWS
	scheme   string // http or https, if the endpoint of the hint says which
	region   string // that the name of an AWS host gives; "" if none does

	bucket string
	prefix string // "" is the whole bucket

	virtualHost bool // the bucket was in the name of an AWS host
	dualstack   bool // the AWS host was a dual-stack one
	fips        bool // the AWS host was a FIPS one

	params map[string]string // decoded, each name once; what they mean is not checked
}

// locationHint is what options say of the same things as a location does.
type locationHint struct {
	endpoint      string // [http[s]://]host[:port]
	bucket        string
	endpointFirst *bool // whether the first name is a host
}

// parseLocation reads a location. Its errors are ErrInvalidLocation, or
// ErrInvalidOption for a hint that is malformed in itself, and never show
// what could be a secret.
func parseLocation(text string, hint locationHint) (location, error) {
	given, err := hint.parse()
	if err != nil {
		return location{}, err
	}
	l, err := readLocation(text, hint, given)
	if err != nil {
		// With an @ there may be a password, and because of the slashes in
		// it, what looks like a bucket may be a part of it.
		if r := (*refusal)(nil); errors.As(err, &r) && strings.Contains(text, "@") {
			r.part = ""
		}
		return location{}, fmt.Errorf("%w: %w", ErrInvalidLocation, err)
	}
	return l, nil
}

// String writes the location so that parseLocation reads it as the same,
// with l.endpoint as the hint's endpoint, which matters only for a host that
// could be a bucket.
func (l location) String() string {
	aws := awsHost{region: l.region, dualstack: l.dualstack, fips: l.fips}
	text := "s3://"
	switch {
	case l.endpoint != "":
		text += l.endpoint + "/" + l.bucket
	case l.virtualHost:
		aws.bucket = l.bucket
		text += aws.String()
	case isARN(l.bucket) && !l.dualstack && !l.fips:
		text += l.bucket // which has the region
	case l.region != "":
		text += aws.String() + "/" + l.bucket
	case looksLikeHost(l.bucket):
		text += "/" + l.bucket
	default:
		text += l.bucket
	}
	if l.prefix != "" {
		text += "/" + l.prefix
	}
	if strings.HasSuffix(l.prefix, "/") {
		text += "/" // the one that is dropped
	}
	if len(l.params) > 0 {
		values := url.Values{}
		for name, value := range l.params {
			values.Set(name, value)
		}
		text += "?" + values.Encode()
	}
	return text
}

// namesHost tells whether it is known which service is meant, and be it by the
// region of a host of AWS or of an access point.
func (l location) namesHost() bool {
	return l.endpoint != "" || l.region != "" || l.virtualHost || l.dualstack || l.fips
}

// refusal is why something is not a location, or not an endpoint.
type refusal struct {
	reason string
	part   string // of the text, shown if not empty
}

func (r *refusal) Error() string {
	if r.part == "" {
		return r.reason
	}
	return fmt.Sprintf("%s: %q", r.reason, r.part)
}

func refuse(reason, part string) error { return &refusal{reason: reason, part: part} }

// parse checks the hint and reads its endpoint, which is nil if there is none.
func (hint locationHint) parse() (*endpoint, error) {
	if hint.bucket != "" {
		if err := checkBucket(hint.bucket); err != nil {
			return nil, fmt.Errorf("%w bucket: %w", ErrInvalidOption, err)
		}
	}
	if hint.endpoint == "" {
		return nil, nil
	}
	e, err := parseEndpointURL(hint.endpoint)
	if err != nil {
		return nil, fmt.Errorf("%w endpoint: %w", ErrInvalidOption, err)
	}
	return &e, nil
}

// parseEndpointURL reads an endpoint that may have a scheme before it.
func parseEndpointURL(text string) (endpoint, error) {
	if strings.Contains(text, "@") {
		return endpoint{}, refuse("credentials do not belong into an endpoint", "")
	}
	scheme, address, found := strings.Cut(text, "://")
	if !found {
		scheme, address = "", text
	}
	scheme = strings.ToLower(scheme)
	if found && scheme != "http" && scheme != "https" {
		return endpoint{}, refuse("the scheme of an endpoint is http or https", "")
	}
	e, err := parseEndpoint(strings.TrimSuffix(address, "/"))
	e.scheme = scheme
	return e, err
}

// names is the text of a location, cut into pieces.
type names struct {
	first   string // host or bucket
	rest    string // what follows the slash after it
	hasRest bool
	sure    bool // first is a bucket, because there is no place for a host
	host    bool // first was a host, and is now what follows it
	params  map[string]string
}

func readLocation(text string, hint locationHint, given *endpoint) (location, error) {
	n, err := cutNames(text)
	if err != nil {
		return location{}, err
	}
	l := location{params: n.params}
	server := given
	if n.firstIsHost(hint, given) {
		host, err := parseEndpoint(n.first)
		if err != nil {
			return location{}, err
		}
		if server, err = host.merge(given); err != nil {
			return location{}, err
		}
		n.first, n.host = host.bucket, true
		if host.bucket == "" {
			n.first, n.rest, n.hasRest = cutName(n.rest)
		}
	}
	if server != nil {
		l.endpoint, l.scheme = server.address(), server.scheme
		l.region, l.dualstack, l.fips = server.region, server.dualstack, server.fips
		l.virtualHost = server.bucket != ""
	}
	if l.bucket, err = n.bucket(hint, server); err != nil {
		return location{}, err
	}
	if isARN(l.bucket) {
		if err := l.atAccessPoint(); err != nil {
			return location{}, err
		}
	}
	l.prefix, err = n.prefix()
	return l, err
}

func cutNames(text string) (names, error) {
	address, ok := strings.CutPrefix(text, "s3:")
	if !ok {
		return names{}, refuse("a location begins with s3://", "")
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return names{}, refuse("control character", "")
	}
	address, query, _ := strings.Cut(address, "?")
	n := names{}
	switch {
	case strings.HasPrefix(address, "///"):
		address, n.sure = address[len("///"):], true
	case strings.HasPrefix(address, "//"):
		address = address[len("//"):]
	case strings.HasPrefix(address, "/"):
		address, n.sure = address[len("/"):], true
	}
	n.first, n.rest, n.hasRest = cutName(address)
	n.sure = n.sure || isARN(n.first)
	if strings.Contains(n.first, "@") {
		return names{}, refuse("credentials do not belong into a location", "")
	}
	var err error
	n.params, err = parseParams(query)
	return n, err
}

// cutName takes the host or the bucket from the rest. The ARN of an access
// point has a slash in it.
func cutName(text string) (name, rest string, found bool) {
	name, rest, found = strings.Cut(text, "/")
	if isARN(name) && found {
		var more string
		more, rest, found = strings.Cut(rest, "/")
		name += "/" + more
	}
	return name, rest, found
}

func parseParams(query string) (map[string]string, error) {
	if query == "" {
		return nil, nil
	}
	params := map[string]string{}
	for parameter := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(parameter, "=")
		name, err := url.QueryUnescape(name)
		if err != nil || name == "" {
			return nil, refuse("malformed query parameter", "")
		}
		value, err = url.QueryUnescape(value)
		if err != nil || strings.ContainsFunc(name+value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return nil, refuse("malformed query parameter", name)
		}
		if _, twice := params[name]; twice {
			return nil, refuse("query parameter given twice", name)
		}
		params[name] = value
	}
	return params, nil
}

// firstIsHost tells a host from a bucket. given is the hint's endpoint.
func (n names) firstIsHost(hint locationHint, given *endpoint) bool {
	switch {
	case hint.endpointFirst != nil:
		return *hint.endpointFirst
	case n.sure:
		return false
	case given != nil && given.answersTo(n.first):
		// Host and bucket may have one name; then what follows decides.
		next, _, _ := strings.Cut(n.rest, "/")
		return n.first != hint.bucket || next == hint.bucket
	case n.first == hint.bucket:
		return false
	case given != nil:
		// An endpoint is there already, so a dot may well be one of a bucket.
		// What cannot be a bucket is a host, and a contradiction.
		return cannotBeBucket(n.first)
	case hint.bucket != "":
		next, _, _ := strings.Cut(n.rest, "/")
		return looksLikeHost(n.first) || next == hint.bucket
	}
	return looksLikeHost(n.first)
}

// looksLikeHost tells which first names are hosts when nothing else is known.
func looksLikeHost(name string) bool {
	return strings.ContainsAny(name, ".:[") || strings.EqualFold(name, "localhost")
}

func cannotBeBucket(name string) bool {
	if strings.ContainsAny(name, ":[") || strings.EqualFold(name, "localhost") {
		return true
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	_, aws, err := parseAWSHost(strings.ToLower(name))
	return aws || err != nil
}

// bucket is the one that the location, the name of the host or the hint tells.
func (n names) bucket(hint locationHint, server *endpoint) (string, error) {
	bucket := n.first
	if bucket == "" && !n.hasRest {
		bucket = hint.bucket
	}
	if bucket == "" && !n.hasRest && server != nil {
		bucket = server.bucket
	}
	if bucket == "" && n.host {
		return "", refuse("the bucket is missing after the host; write s3:///NAME for a bucket with dots in its name", "")
	}
	if bucket == "" {
		return "", refuse("the bucket is missing", "")
	}
	if err := checkBucket(bucket); err != nil {
		return "", err
	}
	if hint.bucket != "" && bucket != hint.bucket {
		return "", refuse("the location names another bucket than the options do", bucket)
	}
	if server != nil && server.bucket != "" && bucket != server.bucket {
		return "", refuse("the location names another bucket than the endpoint does", bucket)
	}
	return bucket, nil
}

func (n names) prefix() (string, error) {
	prefix := strings.TrimSuffix(n.rest, "/")
	if prefix == "" && n.rest != "" {
		// The folder with the empty name. To take it for the whole bucket
		// would be more than was asked for.
		return "", refuse("the prefix is a single slash", "")
	}
	if len(prefix) > maxKey {
		return "", refuse(fmt.Sprintf("the prefix has %d bytes, at most %d are possible", len(prefix), maxKey), "")
	}
	return prefix, nil
}

// checkBucket refuses names that no bucket can have: those that are not 3 to
// 255 letters, digits, dots, hyphens and underscores, with a letter, digit or
// underscore at both ends, no two dots in a row, and not an IPv4 address.
//
// New buckets of AWS have at most 63 characters, no capitals and no
// underscores. Old ones of us-east-1 and those of Ceph may have them; which
// names exist is for the server to say.
func checkBucket(name string) error {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"
	if isARN(name) {
		_, err := parseAccessPoint(name)
		return err
	}
	_, addressErr := netip.ParseAddr(name)
	switch {
	case len(name) < 3 || len(name) > 255:
		return refuse("a bucket name has 3 to 255 characters", name)
	case !consistsOf(name, letters):
		return refuse("a bucket name has letters, digits, dots, hyphens and underscores only", name)
	case strings.Trim(name, ".-") != name:
		return refuse("a bucket name begins and ends with a letter, a digit or an underscore", name)
	case strings.Contains(name, ".."):
		return refuse("a bucket name has no two dots in a row", name)
	case addressErr == nil:
		return refuse("a bucket name is not an IP address", name)
	}
	return nil
}

func consistsOf(s, characters string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune(characters, r) })
}

// endpoint is the server in a location or in a hint.
type endpoint struct {
	host   string // lower case, an IPv6 address in brackets; "" for AWS
	port   string // "" if not given
	scheme string // "" if not given
	awsHost
}

func parseEndpoint(text string) (endpoint, error) {
	host, port, err := cutPort(text)
	if err != nil {
		return endpoint{}, err
	}
	if bracketed, ok := strings.CutPrefix(host, "["); ok {
		bracketed, ok = strings.CutSuffix(bracketed, "]")
		addr, err := netip.ParseAddr(bracketed)
		if !ok || err != nil || !addr.Is6() || addr.Zone() != "" {
			return endpoint{}, refuse("malformed IPv6 address", "")
		}
		return endpoint{host: "[" + addr.String() + "]", port: port}, nil
	}
	if err := checkHost(host); err != nil {
		return endpoint{}, err
	}
	host = strings.ToLower(host)
	aws, found, err := parseAWSHost(host)
	switch {
	case err != nil:
		return endpoint{}, err
	case found && port != "" && port != "443":
		return endpoint{}, refuse("AWS listens on port 443 only", host)
	case found:
		return endpoint{awsHost: aws}, nil
	}
	return endpoint{host: host, port: port, awsHost: awsHost{region: vpcRegion(host)}}, nil
}

// cutPort does not show the port in its errors: without an @ after it, it
// may still be half of a pair of keys.
func cutPort(text string) (host, port string, err error) {
	at := strings.LastIndexByte(text, ':')
	if at < strings.LastIndexByte(text, ']') {
		at = -1 // inside of an IPv6 address
	}
	if at < 0 {
		return text, "", nil
	}
	number, err := strconv.ParseUint(text[at+1:], 10, 16)
	if err != nil || number == 0 {
		return "", "", refuse("the port is not a number from 1 to 65535", "")
	}
	return text[:at], strconv.FormatUint(number, 10), nil
}

// checkHost refuses what is neither a host name nor an IPv4 address.
func checkHost(host string) error {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || !consistsOf(label, letters) || strings.Trim(label, "-") != label {
			return refuse("malformed host name", "")
		}
	}
	if len(host) > 253 {
		return refuse("malformed host name", "")
	}
	// Programs disagree about what 127.1, 2130706433 or 0x7f.1 mean.
	last := strings.ToLower(labels[len(labels)-1])
	if consistsOf(last, "0123456789") || strings.HasPrefix(last, "0x") {
		if _, err := netip.ParseAddr(host); err != nil {
			return refuse("malformed IPv4 address", "")
		}
	}
	return nil
}

// address is host[:port], and "" for AWS.
func (e *endpoint) address() string {
	if e.port == "" {
		return e.host
	}
	return e.host + ":" + e.port
}

// answersTo tells whether name, as the first name of a location, is e.
func (e *endpoint) answersTo(name string) bool {
	other, err := parseEndpoint(name)
	if err != nil {
		return false
	}
	_, err = other.merge(e)
	return err == nil
}

// merge joins the host of a location with the endpoint of a hint, which may
// be nil. They must be the same, but a port may be missing in one of them, and
// a bucket in the name of the host.
func (e *endpoint) merge(given *endpoint) (*endpoint, error) {
	merged := *e
	if given == nil {
		return &merged, nil
	}
	merged.scheme = given.scheme
	if merged.port == "" {
		merged.port = given.port
	}
	if merged.bucket == "" {
		merged.bucket = given.bucket
	}
	want := *given
	want.port, want.bucket = merged.port, merged.bucket
	if given.port != "" && given.port != merged.port || given.bucket != "" && given.bucket != merged.bucket || want != merged {
		return nil, refuse("the location names another endpoint than the options do", e.host)
	}
	return &merged, nil
}
