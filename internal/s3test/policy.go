package s3test

import (
	"encoding/json"
	"slices"
)

// policy is the part of a bucket policy that is understood: who may read everything.
type policy struct {
	Statement []struct {
		Effect    string
		Principal any
		Action    any
		Resource  any
	}
}

// grantsPublicRead says whether a policy lets anybody get the bucket's objects. Everything else that policies can say
// has no effect.
func grantsPublicRead(body []byte, bucket string) bool {
	var p policy
	if json.Unmarshal(body, &p) != nil {
		return false
	}
	for _, s := range p.Statement {
		everybody := s.Principal == any("*") || contains(principalAWS(s.Principal), "*")
		reads := contains(s.Action, "s3:GetObject") || contains(s.Action, "s3:*") || contains(s.Action, "*")
		if s.Effect == "Allow" && everybody && reads && contains(s.Resource, "arn:aws:s3:::"+bucket+"/*") {
			return true
		}
	}
	return false
}

func principalAWS(principal any) any {
	if m, ok := principal.(map[string]any); ok {
		return m["AWS"]
	}
	return nil
}

// contains looks for s in what JSON policies write as a string or as a list of strings.
func contains(value any, s string) bool {
	list, ok := value.([]any)
	if !ok {
		return value == any(s)
	}
	return slices.Contains(list, any(s))
}

func (x *exchange) getBucketPolicyStatus() error {
	x.bucket.mu.RLock()
	_, ok := x.bucket.documents["policy\x00"]
	public := x.bucket.public
	x.bucket.mu.RUnlock()
	if !ok {
		return failure("NoSuchBucketPolicy").with("BucketName", x.bucket.name)
	}
	return x.sendXML(newDocument("PolicyStatus", func(d *document) { d.flag("IsPublic", public) }))
}
