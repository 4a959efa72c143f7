package s3test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
)

// ExtraBytes sends n bytes more than Content-Length says, then closes the connection.
func ExtraBytes(n int) Action {
	return action(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		raw := &rawWriter{w: w, call: callOf(r), header: w.Header(), proto: "HTTP/1.1"}
		next.ServeHTTP(raw, r)
		raw.Write([]byte(strings.Repeat("X", n)))
		raw.close()
	})
}

// HTTP10 answers in the manner of HTTP/1.0: the end of the connection is the end of the body.
func HTTP10() Action {
	return action(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		raw := &rawWriter{w: w, call: callOf(r), header: w.Header(), proto: "HTTP/1.0"}
		next.ServeHTTP(raw, r)
		raw.close()
	})
}

// rawWriter writes an answer to the connection itself, where net/http does not hold it to its length.
type rawWriter struct {
	w      http.ResponseWriter
	call   *call
	header http.Header
	proto  string
	conn   net.Conn
}

func (w *rawWriter) Header() http.Header { return w.header }

func (w *rawWriter) WriteHeader(status int) {
	if w.conn != nil {
		return
	}
	w.call.answer(status, w.header)
	conn, _, err := http.NewResponseController(w.w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	w.conn = conn
	fmt.Fprintf(conn, "%s %d %s\r\n", w.proto, status, http.StatusText(status))
	if w.proto == "HTTP/1.0" {
		w.header.Del("Content-Length")
	}
	w.header.Set("Connection", "close")
	w.header.Write(conn)
	io.WriteString(conn, "\r\n")
}

func (w *rawWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	w.call.send(len(p))
	return w.conn.Write(p)
}

func (w *rawWriter) close() {
	w.WriteHeader(http.StatusOK)
	w.call.leave()
	w.conn.Close()
}
