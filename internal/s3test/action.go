package s3test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Action is what a fault does: a handler around the one that would have answered. Own ones are welcome; they may answer
// themselves, call next with another writer, or panic with http.ErrAbortHandler.
type Action func(next http.Handler) http.Handler

// action makes an Action of a function.
func action(serve func(w http.ResponseWriter, r *http.Request, next http.Handler)) Action {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { serve(w, r, next) })
	}
}

// Status answers with an S3 error document. Headers are written "Name: value", such as "Retry-After: 1". An empty
// s3code leaves the body empty.
func Status(status int, s3code string, headers ...string) Action {
	return action(func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		drain(r)
		for _, header := range headers {
			name, value, _ := strings.Cut(header, ":")
			w.Header().Set(strings.TrimSpace(name), strings.TrimSpace(value))
		}
		if s3code == "" {
			w.WriteHeader(status)
			return
		}
		message := "Injected fault."
		if known, ok := errorCodes[s3code]; ok {
			message = known.message
		}
		writeError(w, r, callOf(r).id, &apiError{status: status, code: s3code, message: message})
	})
}

// StatusHTML answers as a proxy does that knows nothing of S3.
func StatusHTML(status int) Action {
	text := fmt.Sprintf("%d %s", status, http.StatusText(status))
	page := "<html><head><title>" + text + "</title></head><body><h1>" + text + "</h1></body></html>\n"
	return RawBody(status, "text/html", page)
}

// RawBody answers with a canned page.
func RawBody(status int, contentType, body string) Action {
	return action(func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		drain(r)
		w.Header().Set("Content-Type", contentType)
		w.Header().Set("Content-Length", itoa(len(body)))
		w.WriteHeader(status)
		io.WriteString(w, body)
	})
}

// Body200Error answers 200 with an error document, as CopyObject, UploadPartCopy and CompleteMultipartUpload may. The
// operation is not performed.
func Body200Error(s3code string) Action {
	return Status(http.StatusOK, s3code)
}

// Reset resets the connection before anything is read or answered.
func Reset() Action {
	return action(func(w http.ResponseWriter, r *http.Request, _ http.Handler) { resetConn(w, r) })
}

// CloseConn closes the connection without an answer, once the request has been read.
func CloseConn() Action {
	return action(func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		drain(r)
		closeConn(w, r)
	})
}

// LoseAnswer performs the operation and resets the connection instead of answering.
func LoseAnswer() Action {
	return action(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(&discardWriter{header: make(http.Header)}, r)
		resetConn(w, r)
	})
}

// Stall never answers: it holds the request until the client gives up or the server is closed.
func Stall() Action {
	return action(func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		io.Copy(io.Discard, r.Body) // net/http notices that a client has gone only when its body has been read
		<-r.Context().Done()
		closeConn(w, r)
	})
}

// Delay waits d of real time before the request is served.
func Delay(d time.Duration) Action {
	return action(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		if pause(r.Context(), d) != nil {
			closeConn(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Gather holds requests until n of them are there at the same time, and then serves these and all that follow: chance
// alone brings fewer together on a machine with other work. If it takes a minute they are served all the same, and
// [Totals.Peak] says how many there were.
func Gather(n int) Action {
	var mu sync.Mutex
	arrived, all := 0, make(chan struct{})
	return RunFirst(func() {
		mu.Lock()
		if arrived++; arrived == n {
			close(all)
		}
		mu.Unlock()
		select {
		case <-all:
		case <-time.After(time.Minute):
		}
	})
}

// RunFirst calls f and then serves the request as if nothing had been: f may overwrite or delete objects, or move the
// clock, at just this moment.
func RunFirst(f func()) Action {
	return action(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		f()
		next.ServeHTTP(w, r)
	})
}

// Chain joins actions to one; the first is the outermost.
func Chain(actions ...Action) Action {
	return func(next http.Handler) http.Handler {
		for i := len(actions) - 1; i >= 0; i-- {
			next = actions[i](next)
		}
		return next
	}
}

// IgnoreRange answers as if the request had no Range. In a Proxy it needs [WithCredentials], because Range is signed.
func IgnoreRange() Action {
	return action(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		c := callOf(r)
		c.ignoreRange = true
		if r.Header.Get("Range") == "" {
			c.missed()
		}
		next.ServeHTTP(w, r)
	})
}

// drain reads what the client still sends, so that an early answer reaches it instead of a reset. A client that waits
// for "100 Continue" has sent nothing and must not be asked to.
func drain(r *http.Request) {
	if !strings.EqualFold(r.Header.Get("Expect"), "100-continue") {
		io.Copy(io.Discard, r.Body)
	}
}
