package s3test

import (
	"net/http"
	"time"
)

// lockConfiguration is what a bucket says about object lock.
type lockConfiguration struct {
	enabled bool
	mode    string // of the default rule; "" if there is none
	days    int
	years   int
}

// apply gives a new version the default retention, and refuses locks where there can be none. The properties may be
// shared with an upload, so they are copied.
func (c lockConfiguration) apply(v *version, now time.Time) error {
	if !c.covers(v.Properties) {
		return nil
	}
	if !c.enabled {
		return failuref("InvalidRequest", "Bucket is missing Object Lock Configuration")
	}
	if v.LockMode == "" && c.mode != "" {
		p := *v.Properties
		p.LockMode, p.LockUntil = c.mode, now.AddDate(c.years, 0, c.days)
		v.Properties = &p
	}
	return nil
}

// covers says whether a new object with these properties will be locked.
func (c lockConfiguration) covers(p *Properties) bool {
	return p.LockMode != "" || p.LegalHold || c.mode != ""
}

func (b *Bucket) lockEnabled() bool {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.lock.enabled
}

// EnableObjectLock makes the bucket one that was created with object lock. Its versioning is enabled, too.
func (b *Bucket) EnableObjectLock() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.versioning, b.lock.enabled = versioningEnabled, true
}

// SetDefaultRetention makes the bucket one with object lock that locks each new object.
func (b *Bucket) SetDefaultRetention(mode string, days int) {
	b.EnableObjectLock()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lock.mode, b.lock.days, b.lock.years = mode, days, 0
}

type lockDocument struct {
	ObjectLockEnabled string
	Mode              string `xml:"Rule>DefaultRetention>Mode"`
	Days              int    `xml:"Rule>DefaultRetention>Days"`
	Years             int    `xml:"Rule>DefaultRetention>Years"`
}

func (x *exchange) putObjectLockConfiguration() error {
	body, err := x.readDocument()
	if err != nil {
		return err
	}
	var wanted lockDocument
	if err := parseXML(body, "ObjectLockConfiguration", &wanted); err != nil {
		return err
	}
	if wanted.ObjectLockEnabled != "Enabled" || wanted.Days < 0 || wanted.Years < 0 {
		return failure("MalformedXML")
	}
	if wanted.Mode != "" {
		one := (wanted.Days > 0) != (wanted.Years > 0)
		if wanted.Mode != governance && wanted.Mode != compliance || !one {
			return failure("MalformedXML")
		}
	}
	b := x.bucket
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.versioning != versioningEnabled {
		return failuref("InvalidBucketState", "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration")
	}
	b.lock = lockConfiguration{enabled: true, mode: wanted.Mode, days: wanted.Days, years: wanted.Years}
	return x.sendNothing(http.StatusOK)
}

func (x *exchange) getObjectLockConfiguration() error {
	x.bucket.mu.RLock()
	c := x.bucket.lock
	x.bucket.mu.RUnlock()
	if !c.enabled {
		return failure("ObjectLockConfigurationNotFoundError").with("BucketName", x.bucket.name)
	}
	return x.sendXML(newDocument("ObjectLockConfiguration", func(d *document) {
		d.text("ObjectLockEnabled", "Enabled")
		if c.mode == "" {
			return
		}
		d.in("Rule", func() {
			d.in("DefaultRetention", func() {
				d.text("Mode", c.mode)
				if c.days > 0 {
					d.number("Days", int64(c.days))
				} else {
					d.number("Years", int64(c.years))
				}
			})
		})
	}))
}
