package bucket

import (
	"bufio"
	"io"
	"slices"
	"strconv"
	"strings"
)

// legible makes a listing XML that has characters which XML cannot hold: they become U+FFFD. Ceph encodes keys when it is
// asked to, and not the place where the listing goes on, nor the one where it began; others encode none.
// https://github.com/ceph/ceph/pull/23371
func legible(in io.Reader, body io.Closer) io.ReadCloser {
	return &legibleBody{Closer: body, in: bufio.NewReader(in)}
}

type legibleBody struct {
	io.Closer
	in   *bufio.Reader
	one  [1]byte
	rest []byte // of what stands for a character
}

var replacement = []byte("\uFFFD")

// maxReference is how long a reference to a character may be, as &#x10FFFF;.
const maxReference = 10

func (l *legibleBody) Read(p []byte) (int, error) {
	if len(l.rest) == 0 {
		plain, err := l.plain()
		if err != nil {
			return 0, err
		}
		if len(plain) > 0 {
			return l.in.Discard(copy(p, plain))
		}
		if l.rest, err = l.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, l.rest)
	l.rest = l.rest[n:]
	return n, nil
}

// plain is what comes before the next byte that may begin a character which XML
// cannot hold, as far as it has arrived.
func (l *legibleBody) plain() ([]byte, error) {
	if _, err := l.in.Peek(1); err != nil {
		return nil, err
	}
	arrived, err := l.in.Peek(l.in.Buffered())
	if i := slices.IndexFunc(arrived, isSuspect); i >= 0 {
		return arrived[:i], nil
	}
	return arrived, err
}

func isSuspect(b byte) bool { return b == '&' || b == 0xEF || isControl(b) }

func isControl(b byte) bool { return b < ' ' && b != '\t' && b != '\n' && b != '\r' }

// next is the next byte, or what takes the place of some.
func (l *legibleBody) next() ([]byte, error) {
	b, err := l.in.ReadByte()
	if err != nil {
		return nil, err
	}
	skip := 0
	switch {
	case b == '&':
		ahead, _ := l.in.Peek(maxReference - 1)
		skip = illegalReference(string(ahead))
	case b == 0xEF: // U+FFFE and U+FFFF begin with it
		if ahead, _ := l.in.Peek(2); len(ahead) == 2 && ahead[0] == 0xBF && ahead[1] >= 0xBE {
			skip = 2
		}
	case isControl(b):
		return replacement, nil
	}
	if skip == 0 {
		l.one[0] = b
		return l.one[:], nil
	}
	_, err = l.in.Discard(skip)
	return replacement, err
}

// illegalReference is the length of what follows "&" in a reference to a character that XML cannot hold, else 0.
func illegalReference(after string) int {
	digits, found := strings.CutPrefix(after, "#")
	end := strings.IndexByte(digits, ';')
	if !found || end < 0 {
		return 0
	}
	base, number := 10, digits[:end]
	if hex, ok := strings.CutPrefix(number, "x"); ok {
		base, number = 16, hex
	}
	char, err := strconv.ParseUint(number, base, 32)
	if err != nil || char >= ' ' && char != 0xFFFE && char != 0xFFFF || char == '\t' || char == '\n' || char == '\r' {
		return 0
	}
	return len("#") + end + len(";")
}
