package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/s3kloset/s3kloset"
)

// depth is how closely to compare a snapshot with a bucket; the empty one is
// not at all. As a flag it stands alone, or has a value.
type depth string

var depths = map[depth]s3kloset.VerifyDepth{
	"list":     s3kloset.VerifyList,
	"metadata": s3kloset.VerifyMetadata,
	"content":  s3kloset.VerifyContent,
}

// String implements flag.Value.
func (d *depth) String() string { return string(*d) }

// IsBoolFlag makes -verify mean -verify=true.
func (d *depth) IsBoolFlag() bool { return true }

// Set implements flag.Value.
func (d *depth) Set(text string) error {
	if text == "true" {
		text = "list"
	}
	if _, ok := depths[depth(text)]; !ok {
		return errors.New("it is none of list, metadata and content")
	}
	*d = depth(text)
	return nil
}

// findingsKept is how many differences and failures a report holds; all are
// counted.
const findingsKept = 1000

// verification is what a comparison found.
type verification struct {
	Snapshot    string                `json:"snapshot"`
	Bucket      string                `json:"bucket"` // location
	Depth       depth                 `json:"depth"`
	Count       int64                 `json:"count"`                 // of differences
	Differences []s3kloset.Difference `json:"differences,omitempty"` // the first 1,000
	Failed      int64                 `json:"failed"`                // objects that could not be compared
	Failures    []s3kloset.Failure    `json:"failures,omitempty"`    // the first 1,000
	Warnings    s3kloset.Warnings     `json:"warnings,omitempty"`
}

// unreadKept is how many keys with tags that may not be read a report holds.
const unreadKept = 10

// unread counts an object whose tags were not compared.
func (v *verification) unread(key string) {
	if v.Warnings == nil {
		v.Warnings = s3kloset.Warnings{s3kloset.WarnTags: {}}
	}
	w := v.Warnings[s3kloset.WarnTags]
	if w.Count++; w.Count <= unreadKept {
		w.Keys = append(w.Keys, key)
	}
}

// doVerify compares a snapshot with the bucket that it was restored into, or
// with the source.
func (j *job) doVerify(ctx context.Context) error {
	bucket := j.into
	if bucket == nil {
		bucket = j.from
	}
	v := &verification{Snapshot: j.chosen(), Bucket: bucket.String(), Depth: j.verify}
	j.report.Verified = v
	j.display.say("comparing snapshot %s with %s ...", v.Snapshot, bucket)
	for d, err := range j.repo.Verify(ctx, v.Snapshot, bucket.Source(), s3kloset.WithDepth(depths[j.verify])) {
		switch {
		case err != nil && d.Key == "":
			return err
		case err != nil:
			v.Failed++
			if len(v.Failures) < findingsKept {
				v.Failures = append(v.Failures, s3kloset.Failure{Key: d.Key, Err: err})
			}
		case d.Kind == s3kloset.DiffUnread:
			v.unread(d.Key)
		default:
			v.Count++
			if len(v.Differences) < findingsKept {
				v.Differences = append(v.Differences, d)
			}
		}
	}
	return v.err()
}

func (v *verification) err() error {
	switch {
	case v.Count > 0:
		return fmt.Errorf("%d differences between snapshot %s and %s", v.Count, v.Snapshot, v.Bucket)
	case v.Failed > 0:
		return fmt.Errorf("%d objects of %s could not be compared", v.Failed, v.Bucket)
	}
	return nil
}

func (p *printer) verification(v *verification) {
	if v == nil {
		return
	}
	if v.Count == 0 && v.Failed == 0 {
		p.line("verify", "%s is as snapshot %s by its %s", v.Bucket, v.Snapshot, v.Depth)
		p.warnings(v.Warnings)
		return
	}
	p.line("verify", "%s and snapshot %s by its %s: %d differences", v.Bucket, v.Snapshot, v.Depth, v.Count)
	for _, d := range v.Differences {
		p.line("  DIFFERENCE", "%v", d)
	}
	if more := v.Count - int64(len(v.Differences)); more > 0 {
		p.line("  DIFFERENCE", "and %d more", more)
	}
	p.warnings(v.Warnings)
	p.failures(v.Failures, v.Failed)
}
