package s3test

import (
	"errors"
	"net/http"
	"strings"
	"time"
)

// deleteRequest is the body of DeleteObjects.
type deleteRequest struct {
	Objects []deleteEntry `xml:"Object"`
	Quiet   bool
}

type deleteEntry struct {
	Key              string
	VersionID        string `xml:"VersionId"`
	ETag             string
	Size             *int64
	LastModifiedTime string
}

func (x *exchange) deleteObjects() error {
	// S3 demands proof that the list came whole.
	declared, err := declaredChecksum(x.r.Header)
	if err != nil {
		return err
	}
	if declared.algorithm == nil && x.header("Content-MD5") == "" && x.header("X-Amz-Trailer") == "" {
		return failuref("InvalidRequest", "Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
	}
	body, err := x.readDocument()
	if err != nil {
		return err
	}
	var request deleteRequest
	if err := parseXML(body, "Delete", &request); err != nil {
		return err
	}
	if len(request.Objects) == 0 || len(request.Objects) > maxKeys {
		return failure("MalformedXML")
	}
	bypass := strings.EqualFold(x.header("X-Amz-Bypass-Governance-Retention"), "true")
	return x.sendXML(newDocument("DeleteResult", func(d *document) {
		for _, entry := range request.Objects {
			x.deleteEntry(d, entry, request.Quiet, bypass)
		}
	}))
}

// deleteEntry deletes one object of the list and tells what came of it; one that fails does not stop the others.
func (x *exchange) deleteEntry(d *document, entry deleteEntry, quiet, bypass bool) {
	done, err := x.performDelete(entry, bypass)
	if err == nil && quiet {
		return
	}
	if err != nil {
		refusal := failure("InternalError")
		errors.As(err, &refusal)
		d.in("Error", func() {
			d.text("Key", entry.Key)
			d.optional("VersionId", entry.VersionID)
			d.text("Code", refusal.code)
			d.text("Message", refusal.message)
		})
		return
	}
	d.in("Deleted", func() {
		d.text("Key", entry.Key)
		d.optional("VersionId", entry.VersionID)
		if done.marker {
			d.flag("DeleteMarker", true)
			d.text("DeleteMarkerVersionId", done.id)
		}
	})
}

func (x *exchange) performDelete(entry deleteEntry, bypass bool) (deletion, error) {
	if entry.Key == "" {
		return deletion{}, failuref("UserKeyMustBeSpecified", "The bucket POST must contain the specified field name.")
	}
	if len(entry.Key) > maxKeyLength {
		return deletion{}, failure("KeyTooLongError")
	}
	condition := writeCondition{match: entry.ETag, size: entry.Size}
	if entry.LastModifiedTime != "" {
		t, err := http.ParseTime(entry.LastModifiedTime)
		if err != nil {
			if t, err = time.Parse(time.RFC3339, entry.LastModifiedTime); err != nil {
				return deletion{}, failure("InvalidArgument")
			}
		}
		condition.modified = t
	}
	return x.bucket.remove(entry.Key, entry.VersionID, condition, bypass)
}
