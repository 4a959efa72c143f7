package s3test

import (
	"net/http"
	"slices"
	"strings"
)

func (x *exchange) createBucket() error {
	name := x.call.bucket
	if !validBucketName(name) {
		return failure("InvalidBucketName").with("BucketName", name)
	}
	if err := x.checkLocation(); err != nil {
		return err
	}
	acl := x.header("X-Amz-Acl")
	if acl != "" && !slices.Contains(cannedACLs, acl) {
		return failure("InvalidArgument")
	}
	b, created := x.server.createBucket(name)
	if !created {
		return failure("BucketAlreadyOwnedByYou").with("BucketName", name)
	}
	b.mu.Lock()
	b.acl = acl
	if strings.EqualFold(x.header("X-Amz-Bucket-Object-Lock-Enabled"), "true") {
		b.versioning, b.lock.enabled = versioningEnabled, true
	}
	b.mu.Unlock()
	x.setHeader("Location", "/"+name)
	return x.sendNothing(http.StatusOK)
}

// checkLocation makes sure that the bucket is wanted in the server's region. A region beside us-east-1 must be named.
func (x *exchange) checkLocation() error {
	region := x.server.Region()
	var configuration struct {
		LocationConstraint string
		Tags               struct {
			InnerXML string `xml:",innerxml"`
		}
		Other []anyElement `xml:",any"`
	}
	if x.r.ContentLength != 0 {
		body, err := x.readDocument()
		if err != nil {
			return err
		}
		if err := parseXML(body, "CreateBucketConfiguration", &configuration); err != nil {
			return err
		}
		if len(configuration.Other) > 0 {
			return failuref("NotImplemented", "%s is not implemented.", configuration.Other[0].XMLName.Local)
		}
	}
	if configuration.LocationConstraint == region && region != "us-east-1" {
		return nil
	}
	if configuration.LocationConstraint == "" && region == "us-east-1" {
		return nil
	}
	return failuref("IllegalLocationConstraintException",
		"The %q location constraint is incompatible for the region specific endpoint this request was sent to.",
		configuration.LocationConstraint)
}

func (x *exchange) headBucket() error {
	x.setHeader("x-amz-bucket-region", x.server.Region())
	x.setHeader("x-amz-access-point-alias", "false")
	x.setHeader("Content-Type", "application/xml")
	return x.sendNothing(http.StatusOK)
}

func (x *exchange) deleteBucket() error {
	s := x.server
	s.mu.Lock()
	defer s.mu.Unlock()
	x.bucket.mu.Lock()
	defer x.bucket.mu.Unlock()
	if x.bucket.index.count > 0 {
		return failure("BucketNotEmpty").with("BucketName", x.bucket.name)
	}
	x.bucket.gone = true
	delete(s.buckets, x.bucket.name)
	return x.sendNothing(http.StatusNoContent)
}

func (x *exchange) getBucketLocation() error {
	region := x.server.Region()
	if region == "us-east-1" {
		region = ""
	}
	var d document
	d.buf.WriteString(xmlHeader + `<LocationConstraint xmlns="` + xmlNamespace + `">`)
	escapeXML(&d.buf, region)
	d.buf.WriteString("</LocationConstraint>")
	return x.sendXML(&d)
}

func (x *exchange) listBuckets() error {
	limit, err := x.limit("max-buckets", 10000)
	if err != nil {
		return err
	}
	if region := x.query.Get("bucket-region"); region != "" && region != x.server.Region() {
		return failure("InvalidArgument")
	}
	prefix := x.query.Get("prefix")
	after, err := openToken(x.query.Get("continuation-token"))
	if err != nil {
		return err
	}
	names := slices.DeleteFunc(x.server.bucketNames(), func(name string) bool {
		return !strings.HasPrefix(name, prefix) || name <= after.key
	})
	truncated := len(names) > limit
	names = names[:min(len(names), limit)]
	return x.sendXML(newDocument("ListAllMyBucketsResult", func(d *document) {
		owner(d, "Owner")
		d.in("Buckets", func() {
			for _, name := range names {
				x.bucketElement(d, name)
			}
		})
		d.optional("Prefix", prefix)
		if truncated {
			d.text("ContinuationToken", sealToken(pageToken{key: names[len(names)-1]}))
		}
	}))
}

func (x *exchange) bucketElement(d *document, name string) {
	b := x.server.Bucket(name)
	if b == nil {
		return
	}
	d.in("Bucket", func() {
		d.text("Name", name)
		d.text("CreationDate", isoTime(b.created))
		d.text("BucketRegion", x.server.Region())
	})
}
