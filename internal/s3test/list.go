package s3test

import "strings"

// selection is what a listing is asked for.
type selection struct {
	prefix    string
	delimiter string
	after     string // keys up to this one are left out
	rolled    bool   // after is a common prefix that was listed: all of its keys are left out
	limit     int
}

// listed is an object or a common prefix of a listing.
type listed struct {
	key     string
	version *version // nil for a common prefix
}

// list walks over the newest versions. It finds a page in O(log n) and a step a key or common prefix.
func (b *Bucket) list(s selection) (page []listed, truncated bool) {
	if s.limit == 0 {
		return nil, false
	}
	start, ok := s.start()
	if !ok {
		return nil, false
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	for p := b.index.seek(start); ; {
		e := b.index.at(p)
		if e == nil || !strings.HasPrefix(e.key, s.prefix) {
			return page, false
		}
		if e.key == s.after && s.after != "" || e.latest().marker {
			p = b.index.next(p)
			continue
		}
		if len(page) == s.limit {
			return page, true
		}
		common, ok := commonPrefix(e.key, s.prefix, s.delimiter)
		if !ok {
			page = append(page, listed{e.key, e.latest()})
			p = b.index.next(p)
			continue
		}
		page = append(page, listed{key: common})
		next, ok := afterPrefix(common)
		if !ok {
			return page, false
		}
		p = b.index.seek(next)
	}
}

// start is the first key that may be listed, unless there can be none.
func (s selection) start() (key string, ok bool) {
	if !s.rolled {
		return max(s.prefix, s.after), true
	}
	next, ok := afterPrefix(s.after)
	return max(s.prefix, next), ok
}

func commonPrefix(key, prefix, delimiter string) (string, bool) {
	if delimiter == "" {
		return "", false
	}
	i := strings.Index(key[len(prefix):], delimiter)
	if i < 0 {
		return "", false
	}
	return key[:len(prefix)+i+len(delimiter)], true
}
