package s3test

import (
	"net/http"
	"slices"
	"strings"
)

var cannedACLs = []string{
	"private", "public-read", "public-read-write", "authenticated-read", "aws-exec-read", "bucket-owner-read",
	"bucket-owner-full-control", "log-delivery-write",
}

const (
	groupAll           = "http://acs.amazonaws.com/groups/global/AllUsers"
	groupAuthenticated = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers"
)

// readACL takes canned ACLs only: grants by header are refused, not forgotten.
func (x *exchange) readACL(p *Properties) error {
	for name := range x.r.Header {
		if strings.HasPrefix(name, "X-Amz-Grant-") {
			return failure("NotImplemented").with("Header", strings.ToLower(name))
		}
	}
	acl := x.header("X-Amz-Acl")
	if acl != "" && !slices.Contains(cannedACLs, acl) {
		return failuref("InvalidArgument", "The canned ACL is not known.").with("ArgumentName", "x-amz-acl").with("ArgumentValue", acl)
	}
	if acl != "private" {
		p.ACL = acl
	}
	return nil
}

func (x *exchange) sendACL(acl string) error {
	return x.sendXML(newDocument("AccessControlPolicy", func(d *document) {
		owner(d, "Owner")
		d.in("AccessControlList", func() {
			grant(d, "CanonicalUser", "FULL_CONTROL", func() {
				d.text("ID", ownerID)
				d.text("DisplayName", ownerName)
			})
			switch acl {
			case "public-read":
				groupGrant(d, groupAll, "READ")
			case "public-read-write":
				groupGrant(d, groupAll, "READ")
				groupGrant(d, groupAll, "WRITE")
			case "authenticated-read":
				groupGrant(d, groupAuthenticated, "READ")
			}
		})
	}))
}

func groupGrant(d *document, group, permission string) {
	grant(d, "Group", permission, func() { d.text("URI", group) })
}

func grant(d *document, kind, permission string, grantee func()) {
	d.in("Grant", func() {
		d.in(`Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="`+kind+`"`, grantee)
		d.text("Permission", permission)
	})
}

func (x *exchange) getObjectACL() error {
	v, err := x.version()
	if err != nil {
		return err
	}
	x.setVersionOf(v)
	return x.sendACL(v.ACL)
}

func (x *exchange) putObjectACL() error {
	acl, err := x.wantedACL()
	if err != nil {
		return err
	}
	id, err := x.versionID()
	if err != nil {
		return err
	}
	v, err := x.bucket.update(x.key, id, func(v *version) error {
		v.ACL = acl
		return nil
	})
	if err != nil {
		return err
	}
	x.setVersionOf(v)
	return x.sendNothing(http.StatusOK)
}

// wantedACL is the canned ACL of the request, or the one that its body spells out.
func (x *exchange) wantedACL() (string, error) {
	var p Properties
	if x.header("X-Amz-Acl") != "" {
		err := x.readACL(&p)
		return p.ACL, err
	}
	body, err := x.readDocument()
	if err != nil {
		return "", err
	}
	var policy struct {
		Grants []struct {
			URI        string `xml:"Grantee>URI"`
			Permission string
		} `xml:"AccessControlList>Grant"`
	}
	if err := parseXML(body, "AccessControlPolicy", &policy); err != nil {
		return "", err
	}
	var granted []string
	for _, g := range policy.Grants {
		if g.URI != "" {
			granted = append(granted, g.URI+" "+g.Permission)
		}
	}
	slices.Sort(granted)
	switch strings.Join(granted, ",") {
	case "":
		return "", nil
	case groupAll + " READ":
		return "public-read", nil
	case groupAll + " READ," + groupAll + " WRITE":
		return "public-read-write", nil
	case groupAuthenticated + " READ":
		return "authenticated-read", nil
	}
	return "", failuref("NotImplemented", "Only the grants of canned ACLs are implemented.")
}

func (x *exchange) getBucketACL() error {
	x.bucket.mu.RLock()
	acl := x.bucket.acl
	x.bucket.mu.RUnlock()
	return x.sendACL(acl)
}

func (x *exchange) putBucketACL() error {
	acl, err := x.wantedACL()
	if err != nil {
		return err
	}
	x.bucket.mu.Lock()
	x.bucket.acl = acl
	x.bucket.mu.Unlock()
	return x.sendNothing(http.StatusOK)
}
