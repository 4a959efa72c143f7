package s3test

import "time"

const (
	governance = "GOVERNANCE"
	compliance = "COMPLIANCE"
)

// checkProven demands a digest of every body that will be locked: nobody could replace it if it arrived damaged.
func (x *exchange) checkProven(properties *Properties, p *payload) error {
	x.bucket.mu.RLock()
	covered := x.bucket.lock.covers(properties)
	x.bucket.mu.RUnlock()
	if covered && p.checksum.algorithm == nil && x.header("Content-MD5") == "" {
		return failuref("InvalidRequest", "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters")
	}
	return nil
}

// checkUnlocked says whether the version may be removed for good.
func (v *version) checkUnlocked(now time.Time, bypass bool) error {
	retained := v.LockMode != "" && now.Before(v.LockUntil) && !(v.LockMode == governance && bypass)
	if v.LegalHold || retained {
		return failuref("AccessDenied", "Access Denied because object protected by object lock.")
	}
	return nil
}

func (x *exchange) readLock(p *Properties) error {
	mode, until, hold := x.header("X-Amz-Object-Lock-Mode"), x.header("X-Amz-Object-Lock-Retain-Until-Date"), x.header("X-Amz-Object-Lock-Legal-Hold")
	if mode == "" && until == "" && hold == "" {
		return nil
	}
	if !x.bucket.lockEnabled() {
		return failuref("InvalidRequest", "Bucket is missing Object Lock Configuration")
	}
	if (mode == "") != (until == "") {
		return failuref("InvalidArgument", "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied")
	}
	var err error
	if p.LegalHold, err = parseHold(hold); err != nil {
		return err
	}
	if mode == "" {
		return nil
	}
	if p.LockUntil, err = time.Parse(time.RFC3339, until); err != nil {
		return failuref("InvalidArgument", "The retain until date must be provided in ISO 8601 format")
	}
	p.LockMode = mode
	return x.checkRetention(mode, p.LockUntil)
}

func (x *exchange) checkRetention(mode string, until time.Time) error {
	if mode != governance && mode != compliance {
		return failuref("InvalidArgument", "Unknown wormMode directive.")
	}
	if !until.After(x.server.clock.Now()) {
		return failuref("InvalidArgument", "The retain until date must be in the future!")
	}
	return nil
}

func (x *exchange) setLock(p *Properties) {
	if p.LockMode != "" {
		x.setHeader("x-amz-object-lock-mode", p.LockMode)
		x.setHeader("x-amz-object-lock-retain-until-date", isoTime(p.LockUntil))
	}
	if p.LegalHold {
		x.setHeader("x-amz-object-lock-legal-hold", "ON")
	}
}
