package s3test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/s3kloset/s3kloset/internal/s3test/sigv4"
)

// exchange is a request that reached the server proper, and its answer.
type exchange struct {
	*call
	server    *Server
	w         http.ResponseWriter
	r         *http.Request
	bucket    *Bucket          // nil for operations on the service, and for CreateBucket
	signature *sigv4.Signature // nil if anonymous
	secret    string
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	x := &exchange{call: callOf(r), server: s, w: w, r: r}
	x.w.Header().Set("Server", s.settings.name)
	x.w.Header().Set("x-amz-request-id", x.id)
	x.w.Header().Set("x-amz-id-2", hostID(x.id))
	err := x.perform()
	if err == nil {
		return
	}
	drain(r)
	var refusal *apiError
	if !errors.As(err, &refusal) {
		refusal = failuref("InternalError", "%v", err)
	}
	writeError(w, r, x.id, refusal)
}

func (x *exchange) perform() error {
	if x.refusal != nil {
		return x.refusal
	}
	if err := x.authenticate(); err != nil {
		return err
	}
	if x.call.bucket != "" && x.op != "CreateBucket" {
		if x.bucket = x.server.Bucket(x.call.bucket); x.bucket == nil {
			return failure("NoSuchBucket").with("BucketName", x.call.bucket)
		}
	}
	if err := x.authorize(); err != nil {
		return err
	}
	x.overlook()
	if err := x.missingFeature(); err != nil {
		return err
	}
	if serve := operations[x.op]; serve != nil {
		return serve(x)
	}
	return documentOperations[x.op](x)
}

func hostID(id string) string { return "s3test/" + id }

// sendXML answers with a document.
func (x *exchange) sendXML(d *document) error {
	h := x.w.Header()
	h.Set("Content-Type", "application/xml")
	h.Set("Content-Length", strconv.Itoa(d.buf.Len()))
	x.w.WriteHeader(http.StatusOK)
	x.w.Write(d.buf.Bytes())
	return nil
}

// sendNothing answers with headers only.
func (x *exchange) sendNothing(status int) error {
	if status != http.StatusNoContent {
		x.w.Header().Set("Content-Length", "0")
	}
	x.w.WriteHeader(status)
	return nil
}

// setHeader sets a header of the answer if there is a value.
func (x *exchange) setHeader(name, value string) {
	if value != "" {
		x.w.Header().Set(name, value)
	}
}

// header joins the lines of a request header; clients send Content-Encoding and others as several.
func (x *exchange) header(name string) string {
	return strings.Join(x.r.Header.Values(name), ",")
}

// writeError answers with an error document, or with the status alone where no body is allowed.
func writeError(w http.ResponseWriter, r *http.Request, id string, e *apiError) {
	h := w.Header()
	h.Set("x-amz-request-id", id)
	h.Set("x-amz-id-2", hostID(id))
	for _, field := range e.header {
		h.Set(field[0], field[1])
	}
	if e.status == http.StatusNotModified {
		w.WriteHeader(e.status)
		return
	}
	h.Set("Content-Type", "application/xml")
	if r.Method == http.MethodHead {
		w.WriteHeader(e.status)
		return
	}
	body := errorDocument(r, id, e)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(e.status)
	io.Copy(w, bytes.NewReader(body))
}

func errorDocument(r *http.Request, id string, e *apiError) []byte {
	var d document
	d.buf.WriteString(xmlHeader)
	d.in("Error", func() {
		d.text("Code", e.code)
		d.text("Message", e.message)
		for _, field := range e.fields {
			d.text(field[0], field[1])
		}
		resource, _, _ := strings.Cut(r.RequestURI, "?")
		d.text("Resource", resource)
		d.text("RequestId", id)
		d.text("HostId", hostID(id))
	})
	return d.buf.Bytes()
}

func itoa(n int) string { return strconv.Itoa(n) }
