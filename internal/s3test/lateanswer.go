package s3test

import (
	"io"
	"net/http"
	"strings"
)

// SpacesFirst starts the answer with an XML declaration and n spaces before the operation is performed, as
// CompleteMultipartUpload does while it works. The status is 200 whatever comes out.
func SpacesFirst(n int) Action {
	return action(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		// Else net/http would take the request's body away with the first byte of the answer.
		http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusOK)
		io.WriteString(w, xmlHeader+strings.Repeat(" ", n))
		http.NewResponseController(w).Flush()
		late := &lateWriter{ResponseWriter: w, header: make(http.Header)}
		next.ServeHTTP(late, r)
	})
}

// lateWriter writes a body into an answer whose headers are out already.
type lateWriter struct {
	http.ResponseWriter
	header  http.Header
	written bool
}

func (w *lateWriter) Header() http.Header { return w.header }

func (w *lateWriter) WriteHeader(int) {}

func (w *lateWriter) Write(p []byte) (int, error) {
	rest := p
	if !w.written {
		rest = []byte(strings.TrimPrefix(string(p), xmlHeader))
		w.written = true
	}
	if _, err := w.ResponseWriter.Write(rest); err != nil {
		return 0, err
	}
	return len(p), nil
}
