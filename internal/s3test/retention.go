package s3test

import (
	"net/http"
	"strings"
	"time"
)

func (x *exchange) getObjectRetention() error {
	v, err := x.lockedVersion()
	if err != nil {
		return err
	}
	if v.LockMode == "" {
		return failure("NoSuchObjectLockConfiguration")
	}
	return x.sendXML(newDocument("Retention", func(d *document) {
		d.text("Mode", v.LockMode)
		d.text("RetainUntilDate", isoTime(v.LockUntil))
	}))
}

// lockedVersion is the version of a request that only a bucket with object lock can answer.
func (x *exchange) lockedVersion() (*version, error) {
	if !x.bucket.lockEnabled() {
		return nil, failuref("InvalidRequest", "Bucket is missing Object Lock Configuration")
	}
	return x.version()
}

func (x *exchange) putObjectRetention() error {
	if _, err := x.lockedVersion(); err != nil {
		return err
	}
	body, err := x.readDocument()
	if err != nil {
		return err
	}
	var wanted struct {
		Mode            string
		RetainUntilDate string
	}
	if err := parseXML(body, "Retention", &wanted); err != nil {
		return err
	}
	var until time.Time
	if wanted.Mode != "" || wanted.RetainUntilDate != "" {
		if until, err = time.Parse(time.RFC3339, wanted.RetainUntilDate); err != nil {
			return failure("MalformedXML")
		}
		if err := x.checkRetention(wanted.Mode, until); err != nil {
			return err
		}
	}
	bypass := strings.EqualFold(x.header("X-Amz-Bypass-Governance-Retention"), "true")
	return x.changeLock(func(v *version) error {
		if err := v.checkRelaxed(wanted.Mode, until, x.server.clock.Now(), bypass); err != nil {
			return err
		}
		v.LockMode, v.LockUntil = wanted.Mode, until
		return nil
	})
}

// checkRelaxed refuses to weaken a retention: COMPLIANCE only grows, GOVERNANCE yields to a bypass.
func (v *version) checkRelaxed(mode string, until, now time.Time, bypass bool) error {
	if v.LockMode == "" || !now.Before(v.LockUntil) {
		return nil
	}
	stronger := (mode == v.LockMode || mode == compliance) && !until.Before(v.LockUntil)
	if stronger || v.LockMode == governance && bypass {
		return nil
	}
	return failuref("AccessDenied", "Access Denied because object protected by object lock.")
}

func (x *exchange) changeLock(change func(*version) error) error {
	id, err := x.versionID()
	if err != nil {
		return err
	}
	if _, err := x.bucket.update(x.key, id, change); err != nil {
		return err
	}
	return x.sendNothing(http.StatusOK)
}
