package s3test_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

const isoFormat = "2006-01-02T15:04:05.000Z"

func lockXML(rule string) string {
	return "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>" + rule + "</ObjectLockConfiguration>"
}

func defaultRule(mode, period string) string {
	return lockXML("<Rule><DefaultRetention><Mode>" + mode + "</Mode>" + period + "</DefaultRetention></Rule>")
}

func retention(mode string, until time.Time) []edit {
	return []edit{with("X-Amz-Object-Lock-Mode", mode), with("X-Amz-Object-Lock-Retain-Until-Date", until.Format(isoFormat)),
		with("Content-Md5", md5Base64("body"))}
}

func TestObjectLockOfVersions(t *testing.T) {
	clock := s3test.NewManualClock(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC))
	_, b, c := started(t, s3test.WithClock(clock))
	c.now = clock.Now
	b.EnableObjectLock()
	until := clock.Now().Add(24 * time.Hour)
	bypass := with("X-Amz-Bypass-Governance-Retention", "true")

	id := c.put(at("k"), "body", retention("GOVERNANCE", until)...).ok().header.Get("X-Amz-Version-Id")
	version := at("k") + "?versionId=" + id
	c.get(at("k")).ok().has("X-Amz-Object-Lock-Mode", "GOVERNANCE").has("X-Amz-Object-Lock-Retain-Until-Date", until.Format(isoFormat))
	c.remove(version).is(403, "AccessDenied")
	c.remove(at("k")).is(204, "").has("X-Amz-Delete-Marker", "true")
	c.remove(version, bypass).is(204, "")

	id = c.put(at("k"), "body", retention("COMPLIANCE", until)...).ok().header.Get("X-Amz-Version-Id")
	version = at("k") + "?versionId=" + id
	c.remove(version, bypass).is(403, "AccessDenied")
	clock.Advance(24 * time.Hour)
	c.remove(version).is(204, "")

	id = c.put(at("k"), "body", with("X-Amz-Object-Lock-Legal-Hold", "ON"), with("Content-Md5", md5Base64("body"))).ok().header.Get("X-Amz-Version-Id")
	version = at("k") + "?versionId=" + id
	c.get(version).ok().has("X-Amz-Object-Lock-Legal-Hold", "ON")
	c.remove(version, bypass).is(403, "AccessDenied")
	c.deleteObjects("<Object><Key>k</Key><VersionId>" + id + "</VersionId></Object>").ok().contains("<Code>AccessDenied</Code>")
	c.put(at("k")+"?legal-hold&versionId="+id, "<LegalHold><Status>OFF</Status></LegalHold>").ok()
	c.remove(version).is(204, "")
}

func TestObjectLockHeadersAreChecked(t *testing.T) {
	clock := s3test.NewManualClock(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC))
	_, b, c := started(t, s3test.WithClock(clock))
	c.now = clock.Now
	b.EnableObjectLock()
	later := clock.Now().Add(time.Hour)
	c.put(at("k"), "body", retention("GOVERNANCE", clock.Now())...).is(400, "InvalidArgument")
	c.put(at("k"), "body", retention("FOREVER", later)...).is(400, "InvalidArgument")
	c.put(at("k"), "body", retention("GOVERNANCE", later)[0]).is(400, "InvalidArgument")
	c.put(at("k"), "body", with("X-Amz-Object-Lock-Legal-Hold", "MAYBE")).is(400, "InvalidArgument")
	c.put(at("k"), "body", retention("GOVERNANCE", later)[:2]...).is(400, "InvalidRequest")
	equal(t, "keys", b.Len(), 0)
	c.put(at("k"), "body", append(retention("GOVERNANCE", later)[:2], with("X-Amz-Checksum-Crc32", crc32Base64("body")))...).ok()
}

func TestRetention(t *testing.T) {
	clock := s3test.NewManualClock(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC))
	_, b, c := started(t, s3test.WithClock(clock))
	c.now = clock.Now
	b.EnableObjectLock()
	fill(b, "k")
	target := at("k") + "?retention"
	body := func(mode string, days int) string {
		return fmt.Sprintf("<Retention><Mode>%s</Mode><RetainUntilDate>%s</RetainUntilDate></Retention>", mode,
			clock.Now().AddDate(0, 0, days).Format(isoFormat))
	}
	bypass := with("X-Amz-Bypass-Governance-Retention", "true")
	c.get(target).is(404, "NoSuchObjectLockConfiguration")
	c.put(target, body("GOVERNANCE", 10)).ok()
	c.get(target).ok().contains("<Mode>GOVERNANCE</Mode><RetainUntilDate>2026-05-11T12:00:00.000Z</RetainUntilDate>")
	c.put(target, body("GOVERNANCE", 5)).is(403, "AccessDenied")
	c.put(target, body("GOVERNANCE", 5), bypass).ok()
	c.put(target, "<Retention/>").is(403, "AccessDenied")
	c.put(target, "<Retention/>", bypass).ok()
	c.get(target).is(404, "NoSuchObjectLockConfiguration")
	c.put(target, body("COMPLIANCE", 10)).ok()
	c.put(target, body("GOVERNANCE", 20), bypass).is(403, "AccessDenied")
	c.put(target, body("COMPLIANCE", 5), bypass).is(403, "AccessDenied")
	c.put(target, body("COMPLIANCE", 20)).ok()
	c.put(target, body("COMPLIANCE", -1)).is(400, "InvalidArgument")
	c.put(target, "<Retention><Mode>COMPLIANCE</Mode></Retention>").is(400, "MalformedXML")
	c.get(at("k") + "?legal-hold").ok().contains("<Status>OFF</Status>")
	c.put(at("k")+"?legal-hold", "<LegalHold><Status>YES</Status></LegalHold>").is(400, "MalformedXML")
}

func TestLockConfiguration(t *testing.T) {
	clock := s3test.NewManualClock(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC))
	_, b, c := started(t, s3test.WithClock(clock))
	c.now = clock.Now
	target := "/bucket?object-lock"
	fill(b, "k")
	c.get(target).is(404, "ObjectLockConfigurationNotFoundError")
	c.get(at("k")+"?retention").is(400, "InvalidRequest")
	c.put(target, lockXML("")).is(409, "InvalidBucketState")
	b.SetVersioning(true)
	c.put(target, "<ObjectLockConfiguration/>").is(400, "MalformedXML")
	c.put(target, defaultRule("FOREVER", "<Days>1</Days>")).is(400, "MalformedXML")
	c.put(target, defaultRule("GOVERNANCE", "<Days>1</Days><Years>1</Years>")).is(400, "MalformedXML")
	c.put(target, defaultRule("GOVERNANCE", "")).is(400, "MalformedXML")
	c.put(target, defaultRule("COMPLIANCE", "<Years>1</Years>")).ok()
	c.get(target).ok().contains("<Mode>COMPLIANCE</Mode><Years>1</Years>")
	c.put("/bucket?versioning", fmt.Sprintf(versioningXML, "Suspended")).is(409, "InvalidBucketState")
	c.put(at("k"), "body").is(400, "InvalidRequest")
	c.put(at("k"), "body", with("Content-Md5", md5Base64("body"))).ok()
	c.get(at("k")).ok().has("X-Amz-Object-Lock-Mode", "COMPLIANCE").has("X-Amz-Object-Lock-Retain-Until-Date", "2027-05-01T12:00:00.000Z")
	c.put("/locked", "", with("X-Amz-Bucket-Object-Lock-Enabled", "true")).ok()
	c.get("/locked?versioning").ok().contains("Enabled")
	c.get("/locked?object-lock").ok().lacks("<Rule>")
}
