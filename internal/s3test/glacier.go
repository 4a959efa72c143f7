package s3test

import (
	"fmt"
	"time"
)

// restoration is the state of an archived object: archived, then ongoing, then restored for some days, then archived
// again. Only the clock moves it.
type restoration struct {
	archiveTier string // of INTELLIGENT_TIERING: "ARCHIVE_ACCESS", "DEEP_ARCHIVE_ACCESS" or ""
	requested   bool
	tier        string
	ready       time.Time // when the copy is there
	until       time.Time // when it goes away; zero means never
	days        int
}

type archiveState int

const (
	readable archiveState = iota
	archived
	ongoing
	restored
)

func (v *version) archivable() bool {
	return v.StorageClass == classGlacier || v.StorageClass == classDeepArchive ||
		v.StorageClass == classIntelligent && v.restore.archiveTier != ""
}

func (v *version) archiveState(now time.Time) archiveState {
	r := v.restore
	switch {
	case !v.archivable():
		return readable
	case !r.requested:
		return archived
	case now.Before(r.ready):
		return ongoing
	case r.archiveTier != "":
		return readable // INTELLIGENT_TIERING moves the object itself
	case now.Before(r.until):
		return restored
	}
	return archived
}

// checkReadable refuses the bytes of an object that is archived.
func (v *version) checkReadable(s *Server) error {
	if state := v.archiveState(s.clock.Now()); state == archived || state == ongoing {
		return v.invalidState()
	}
	return nil
}

func (v *version) invalidState() error {
	e := failure("InvalidObjectState").with("StorageClass", v.StorageClass)
	if v.restore.archiveTier != "" {
		e.with("AccessTier", v.restore.archiveTier)
	}
	return e
}

func (x *exchange) setRestoration(v *version) {
	switch v.archiveState(x.server.clock.Now()) {
	case ongoing:
		x.setHeader("x-amz-restore", `ongoing-request="true"`)
	case restored:
		x.setHeader("x-amz-restore", fmt.Sprintf(`ongoing-request="false", expiry-date="%s"`, v.restore.until.Format(httpTime)))
	}
	if v.restore.archiveTier != "" && v.archiveState(x.server.clock.Now()) != readable {
		x.setHeader("x-amz-archive-status", v.restore.archiveTier)
	}
}

func (v *version) restoreStatus(d *document, now time.Time) {
	switch v.archiveState(now) {
	case ongoing:
		d.in("RestoreStatus", func() { d.flag("IsRestoreInProgress", true) })
	case restored:
		d.in("RestoreStatus", func() {
			d.flag("IsRestoreInProgress", false)
			d.text("RestoreExpiryDate", isoTime(v.restore.until))
		})
	}
}

// SetClass moves an object to another storage class, as a lifecycle rule would. What was restored is archived again.
// It panics if there is no object with the key.
func (b *Bucket) SetClass(key, class string) {
	b.mustUpdate(key, func(v *version) {
		v.StorageClass, v.restore = class, restoration{}
	})
}

// SetArchiveTier moves an INTELLIGENT_TIERING object into "ARCHIVE_ACCESS" or "DEEP_ARCHIVE_ACCESS", or with "" out of
// it. It panics if there is no object with the key.
func (b *Bucket) SetArchiveTier(key, tier string) {
	b.mustUpdate(key, func(v *version) { v.restore = restoration{archiveTier: tier} })
}

// FinishRestore ends a restore that is under way, whatever the clock says. It panics if none is.
func (b *Bucket) FinishRestore(key string) {
	now := b.server.clock.Now().UTC()
	b.mustUpdate(key, func(v *version) {
		if v.archiveState(now) != ongoing {
			panic("s3test: no restore of " + key + " is under way")
		}
		v.restore.ready = now
		v.restore.until = midnightAfter(now.AddDate(0, 0, v.restore.days))
	})
}
