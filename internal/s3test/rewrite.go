package s3test

import (
	"bytes"
	"maps"
	"net/http"
	"regexp"
	"sync"
)

// Rewrite replaces the body of the answer by what edit makes of it, with the right Content-Length. It holds the whole
// body in memory.
func Rewrite(edit func(body []byte) []byte) Action {
	return action(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		held := hold(r, next)
		edited := edit(bytes.Clone(held.body.Bytes()))
		if bytes.Equal(edited, held.body.Bytes()) {
			callOf(r).missed()
		}
		held.send(w, r, edited)
	})
}

// SetElement gives every XML element of a name another text, such as "false" to IsTruncated.
func SetElement(name, text string) Action {
	var escaped document
	escaped.text(name, text)
	return Rewrite(func(body []byte) []byte {
		return element(name).ReplaceAllLiteral(body, escaped.buf.Bytes())
	})
}

// RemoveElement takes every XML element of a name out of the answer, with all that is in it, such as
// NextContinuationToken or Contents.
func RemoveElement(name string) Action {
	return Rewrite(func(body []byte) []byte { return element(name).ReplaceAllLiteral(body, nil) })
}

func element(name string) *regexp.Regexp {
	quoted := regexp.QuoteMeta(name)
	return regexp.MustCompile(`(?s)<` + quoted + `>.*?</` + quoted + `>|<` + quoted + `/>`)
}

// Replay lets the first request that it meets be served, and gives its answer to every later one: as a fault of
// ListObjectsV2 with Times 2 it repeats a page with its token.
func Replay() Action {
	var mu sync.Mutex
	var first *heldAnswer
	return action(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		mu.Lock()
		defer mu.Unlock()
		if first == nil {
			first = hold(r, next)
		} else {
			drain(r)
		}
		first.send(w, r, first.body.Bytes())
	})
}

// heldAnswer is an answer that has not been sent.
type heldAnswer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// hold serves the request without sending the answer.
func hold(r *http.Request, next http.Handler) *heldAnswer {
	held := &heldAnswer{header: make(http.Header)}
	next.ServeHTTP(held, r)
	held.WriteHeader(http.StatusOK)
	return held
}

func (h *heldAnswer) Header() http.Header { return h.header }

func (h *heldAnswer) WriteHeader(status int) {
	if h.status == 0 {
		h.status = status
	}
}

func (h *heldAnswer) Write(p []byte) (int, error) {
	h.WriteHeader(http.StatusOK)
	return h.body.Write(p)
}

// send sends the answer with another body. What HEAD answers has none; its length stays.
func (h *heldAnswer) send(w http.ResponseWriter, r *http.Request, body []byte) {
	maps.Copy(w.Header(), h.header)
	if r.Method != http.MethodHead && h.status != http.StatusNotModified && h.status != http.StatusNoContent {
		w.Header().Set("Content-Length", itoa(len(body)))
	}
	w.WriteHeader(h.status)
	if len(body) > 0 {
		w.Write(body)
	}
}
