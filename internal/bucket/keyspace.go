package bucket

import (
	"math"
	"math/bits"
	"strings"
	"unicode/utf8"
)

// keyspace guesses where keys that were not listed yet may be, from those that
// were. It reads a key as a number whose digits are its characters: each place
// has its own alphabet, made of the characters seen there and of those that
// commonly go with them. A wrong guess costs requests, never a key.
type keyspace struct {
	prefix string // of all keys; not looked at
	places []place
}

// place is what is known of one place of the keys.
type place struct {
	seen  alphabet
	turns int // how often the characters began anew, as 9 is followed by 0
	// tries of a guess at this place, and how many of them were in vain
	tried, vain int
}

// knownTurns is after how many turns all characters of a place were seen.
const knownTurns = 2

// alphabet of the place, guessed until it is known.
func (p *place) alphabet() alphabet {
	if p.turns >= knownTurns {
		return p.seen
	}
	return p.seen.complete()
}

// deepest is how many characters of a key are looked at.
const deepest = 256

// alphabet is what was seen at one place: ASCII characters one by one, others
// as a span.
type alphabet struct {
	ascii     [2]uint64
	low, high rune // beyond ASCII; 0: none
}

const (
	digitBits = uint64(0x3ff) << '0'
	hexBits   = uint64(0x3f) << ('a' - 64)
	lowerBits = uint64(0x3ffffff) << ('a' - 64)
	upperBits = uint64(0x3ffffff) << ('A' - 64)
	hexUpper  = uint64(0x3f) << ('A' - 64)
)

func (a *alphabet) add(r rune) {
	switch {
	case r < utf8.RuneSelf:
		a.ascii[r>>6] |= 1 << (r & 63)
	case a.low == 0:
		a.low, a.high = r, r
	default:
		a.low, a.high = min(a.low, r), max(a.high, r)
	}
}

// complete adds the rest of the digits to a digit, and the rest of the letters
// to a letter; those up to f beside digits may be hexadecimal.
func (a alphabet) complete() alphabet {
	digits := a.ascii[0]&digitBits != 0
	if digits {
		a.ascii[0] |= digitBits
	}
	for _, letters := range [][2]uint64{{lowerBits, hexBits}, {upperBits, hexUpper}} {
		all, hex := letters[0], letters[1]
		switch seen := a.ascii[1] & all; {
		case seen == 0:
		case digits && seen&^hex == 0:
			a.ascii[1] |= hex
		default:
			a.ascii[1] |= all
		}
	}
	return a
}

// size is the base of the place; it is 1 at least.
func (a alphabet) size() int { return max(1, a.rank(utf8.MaxRune+1)) }

// rank is how many characters come before r.
func (a alphabet) rank(r rune) int {
	n := 0
	for i, word := range a.ascii {
		if below := int(r) - 64*i; below >= 64 {
			n += bits.OnesCount64(word)
		} else if below > 0 {
			n += bits.OnesCount64(word & (1<<below - 1))
		}
	}
	if a.low > 0 && r > a.low {
		n += int(min(r, a.high+1) - a.low)
	}
	return n
}

// at is the character of a rank below size.
func (a alphabet) at(rank int) rune {
	for i, word := range a.ascii {
		if n := bits.OnesCount64(word); rank >= n {
			rank -= n
			continue
		}
		for range rank {
			word &= word - 1
		}
		return rune(64*i + bits.TrailingZeros64(word))
	}
	return skipSurrogates(a.low + rune(rank))
}

// beyond is the first character after all of them.
func (a alphabet) beyond() rune {
	if a.high > 0 {
		return skipSurrogates(a.high + 1)
	}
	for i := range a.ascii {
		if word := a.ascii[1-i]; word != 0 {
			return rune(64*(1-i) + bits.Len64(word))
		}
	}
	return 0
}

// skipSurrogates keeps away from what UTF-8 cannot write.
func skipSurrogates(r rune) rune {
	if r >= 0xd800 && r <= 0xdfff {
		return 0xe000
	}
	return min(r, utf8.MaxRune)
}

// runes are the characters of a key that count; ok is false for a key whose
// bytes are no text, between which nothing can be guessed.
func (k *keyspace) runes(key string) (runes []rune, ok bool) {
	rest, ok := strings.CutPrefix(key, k.prefix)
	if !ok || !utf8.ValidString(rest) {
		return nil, false
	}
	runes = []rune(rest)
	return runes[:min(len(runes), deepest)], true
}

// at is the alphabet of a place.
func (k *keyspace) at(i int) alphabet {
	if i < len(k.places) {
		return k.places[i].alphabet()
	}
	return alphabet{}
}

// observe takes note of some keys, which must be in order.
func (k *keyspace) observe(keys ...string) {
	var last []rune
	for _, key := range keys {
		runes, ok := k.runes(key)
		if !ok {
			continue
		}
		for len(k.places) < len(runes) {
			k.places = append(k.places, place{})
		}
		for i, r := range runes {
			p := &k.places[i]
			p.seen.add(r)
			if i < len(last) && r < last[i] {
				p.turns++
			}
		}
		last = runes
	}
}

// tell notes whether there were keys where they had been guessed.
func (k *keyspace) tell(place int, found bool) {
	if place >= len(k.places) {
		return
	}
	p := &k.places[place]
	p.tried++
	if !found {
		p.vain++
	}
	if p.tried >= 32 { // what was long ago counts less
		p.tried, p.vain = p.tried/2, p.vain/2
	}
}

// promising gives the density to guess with: where guesses at a place were
// mostly in vain, it goes by steps of the next place before.
func (k *keyspace) promising(d density) density {
	for i := d.place; i >= 0 && i < len(k.places); i-- {
		p := &k.places[i]
		if p.vain < 3 || 2*p.vain < p.tried {
			if i < d.place && p.alphabet().size() == 1 {
				continue
			}
			if i < d.place {
				return density{i, 1.0 / stride, true}
			}
			return d
		}
	}
	return d
}

// density is how far a page reaches: span steps of the character at a place.
// The zero value is unknown.
type density struct {
	place int
	span  float64
	whole bool // only whole steps are worth a guess
}

// finer is how many places beyond the first that differs make a number exact
// enough.
const finer = 3

// density by n keys in a row, for pages of some size.
func (k *keyspace) density(first, last string, n, size int) density {
	from, okFrom := k.runes(first)
	to, okTo := k.runes(last)
	place := common(from, to)
	if !okFrom || !okTo || n < 2 || place == len(to) {
		return density{}
	}
	span := k.distance(from, to, place)
	return density{place: place, span: span * float64(size) / float64(n-1)}
}

// distance between two keys that differ first at a place, in steps there.
func (k *keyspace) distance(from, to []rune, place int) float64 {
	sum, unit := 0.0, 1.0
	for i := place; i <= place+finer; i++ {
		a := k.at(i)
		if i > place {
			unit /= float64(a.size())
		}
		sum += unit * float64(rankAt(a, to, i)-rankAt(a, from, i))
	}
	// Guessed alphabets can make it nothing, or less.
	return max(sum, unit)
}

// rankAt is the rank of a character; a key that has ended counts as if it went
// on with the first one.
func rankAt(a alphabet, runes []rune, i int) int {
	if i < len(runes) {
		return a.rank(runes[i])
	}
	return 0
}

func common(a, b []rune) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// pages estimates how many pages there are between two keys; a "to" of "" is
// the end of all keys.
func (k *keyspace) pages(from, to string, d density) float64 {
	if to == "" {
		return math.Inf(1)
	}
	a, okA := k.runes(from)
	b, okB := k.runes(to)
	if !okA || !okB || d.span == 0 {
		return 0
	}
	place := common(a, b)
	if place == len(b) {
		return 0
	}
	steps := k.distance(a, b, place)
	for i := place + 1; i <= d.place; i++ {
		steps *= float64(k.at(i).size())
	}
	for i := d.place + 1; i <= place; i++ {
		steps /= float64(k.at(i).size())
	}
	return steps / d.span
}

// ahead guesses a key that comes some pages after another one.
func (k *keyspace) ahead(key string, d density, pages float64) (string, bool) {
	runes, ok := k.runes(key)
	if !ok || d.span == 0 {
		return "", false
	}
	place, steps := d.place, d.span*pages
	for place < d.place+finer && steps < 8 && !d.whole {
		place++
		steps *= float64(k.at(place).size())
	}
	runes = append([]rune(nil), runes[:min(len(runes), place+1)]...)
	for len(runes) <= place {
		a := k.at(len(runes))
		if a == (alphabet{}) {
			place = len(runes) - 1
			break
		}
		runes = append(runes, a.at(0))
	}
	if place < d.place {
		return "", false
	}
	guess, ok := k.add(runes, max(1, int(min(steps, 1<<30))))
	return k.prefix + guess, ok && k.prefix+guess > key
}

// add counts up, by steps of the last character. When all places are at their
// end, what comes after the alphabet of the first one is left.
func (k *keyspace) add(runes []rune, steps int) (string, bool) {
	sum := append([]rune(nil), runes...)
	for i := len(sum) - 1; i >= 0; i-- {
		a := k.at(i)
		if a == (alphabet{}) {
			continue
		}
		v := a.rank(sum[i]) + steps
		if sum[i] = a.at(v % a.size()); v < a.size() {
			return string(sum), true
		}
		steps = v / a.size()
	}
	for i, r := range runes {
		if a := k.at(i); a.size() > 1 && a.beyond() > r {
			return string(runes[:i]) + string(a.beyond()), true
		}
	}
	return "", false
}
