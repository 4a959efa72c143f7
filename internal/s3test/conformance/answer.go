package conformance

import (
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// answer is what a reply must be. Its methods return stricter copies. In values, {name}
// stands for a kept variable.
type answer struct {
	status int
	checks []check
}

// check judges one aspect of a reply. The function expand replaces variables.
type check func(r *reply, expand func(string) string) error

func status(code int) answer { return answer{status: code} }

// ok is the answer to most requests that work.
func ok() answer { return status(http.StatusOK) }

// gone is the answer to a DELETE.
func gone() answer { return status(http.StatusNoContent) }

// refused is an error with its code in the body.
func refused(code int, name string) answer {
	return status(code).root("Error").text("Code", name)
}

func (a answer) and(c check) answer {
	a.checks = append(slices.Clone(a.checks), c)
	return a
}

// has demands a header with a value.
func (a answer) has(name, value string) answer {
	return a.and(func(r *reply, expand func(string) string) error {
		if got, want := strings.Join(r.header.Values(name), ","), expand(value); got != want {
			return fmt.Errorf("header %s is %q, not %q", name, got, want)
		}
		return nil
	})
}

// hasWords demands a header whose value may come as it was sent or as an encoded word of
// RFC 2047: servers differ, and S3 does either.
func (a answer) hasWords(name, value string) answer {
	return a.and(func(r *reply, _ func(string) string) error {
		got := r.header.Get(name)
		decoded, err := new(mime.WordDecoder).DecodeHeader(got)
		if err != nil || decoded != value {
			return fmt.Errorf("header %s is %q, not %q in any form (%v)", name, got, value, err)
		}
		return nil
	})
}

// hasLike demands a header that matches a pattern as a whole.
func (a answer) hasLike(name, pattern string) answer {
	re := regexp.MustCompile("^(?:" + pattern + ")$")
	return a.and(func(r *reply, _ func(string) string) error {
		if got := strings.Join(r.header.Values(name), ","); !re.MatchString(got) {
			return fmt.Errorf("header %s is %q, not like %s", name, got, pattern)
		}
		return nil
	})
}

// lacks demands that there is no such header.
func (a answer) lacks(names ...string) answer {
	return a.and(func(r *reply, _ func(string) string) error {
		for _, name := range names {
			if got := r.header.Values(name); len(got) > 0 {
				return fmt.Errorf("header %s is there: %q", name, got)
			}
		}
		return nil
	})
}

// data demands a body.
func (a answer) data(body string) answer {
	return a.and(func(r *reply, _ func(string) string) error {
		if string(r.body) != body {
			return fmt.Errorf("body of %d bytes is %.60q, not %d bytes %.60q", len(r.body), r.body, len(body), body)
		}
		return nil
	})
}

// root demands an XML body with this root element.
func (a answer) root(name string) answer {
	return a.and(func(r *reply, _ func(string) string) error {
		root, err := r.xml()
		if err != nil {
			return err
		}
		if root.name != name {
			return fmt.Errorf("body is a %s, not a %s", root.name, name)
		}
		return nil
	})
}

// text demands the texts of all elements at a path below the root, in document order; none
// means that there must be no such element.
func (a answer) text(path string, values ...string) answer {
	return a.and(func(r *reply, expand func(string) string) error {
		root, err := r.xml()
		if err != nil {
			return err
		}
		want := make([]string, len(values))
		for i, v := range values {
			want[i] = expand(v)
		}
		if got := root.texts(path); !slices.Equal(got, want) {
			return fmt.Errorf("elements %s are %q, not %q", path, got, want)
		}
		return nil
	})
}

// texts is text for elements whose order S3 leaves open.
func (a answer) texts(path string, values ...string) answer {
	return a.and(func(r *reply, _ func(string) string) error {
		root, err := r.xml()
		if err != nil {
			return err
		}
		if got := root.texts(path); !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(values))) {
			return fmt.Errorf("elements %s are %q, not %q in any order", path, got, values)
		}
		return nil
	})
}

// textLike demands exactly one element at path, whose text matches a pattern as a whole.
func (a answer) textLike(path, pattern string) answer {
	re := regexp.MustCompile("^(?:" + pattern + ")$")
	return a.and(func(r *reply, _ func(string) string) error {
		root, err := r.xml()
		if err != nil {
			return err
		}
		if got := root.texts(path); len(got) != 1 || !re.MatchString(got[0]) {
			return fmt.Errorf("elements %s are %q, not one like %s", path, got, pattern)
		}
		return nil
	})
}

// contains demands that one of the elements at path has this text.
func (a answer) contains(path, value string) answer {
	return a.and(func(r *reply, expand func(string) string) error {
		root, err := r.xml()
		if err != nil {
			return err
		}
		if got := root.texts(path); !slices.Contains(got, expand(value)) {
			return fmt.Errorf("elements %s are %q, without %q", path, got, expand(value))
		}
		return nil
	})
}

// keys demands the keys of a listing, in order, however the server encodes them.
func (a answer) keys(keys ...string) answer { return a.decoded("Contents/Key", keys) }

// prefixes demands the common prefixes of a listing, in order.
func (a answer) prefixes(prefixes ...string) answer {
	return a.decoded("CommonPrefixes/Prefix", prefixes)
}

func (a answer) decoded(path string, want []string) answer {
	return a.and(func(r *reply, _ func(string) string) error {
		root, err := r.xml()
		if err != nil {
			return err
		}
		got := root.texts(path)
		if slices.Equal(root.texts("EncodingType"), []string{"url"}) {
			for i, text := range got {
				if got[i], err = url.QueryUnescape(text); err != nil {
					return fmt.Errorf("element %s %q: %w", path, text, err)
				}
			}
		}
		if !slices.Equal(got, want) {
			return fmt.Errorf("listed at %s: %q, not %q", path, got, want)
		}
		return nil
	})
}

// judge compares a reply with the answer: every check that fails is told.
func (a answer) judge(r *reply, expand func(string) string) error {
	var errs []error
	if r.status != a.status {
		errs = append(errs, fmt.Errorf("status is %d, not %d", r.status, a.status))
	}
	for _, c := range a.checks {
		if err := c(r, expand); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
