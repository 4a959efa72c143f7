package s3test_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset/internal/s3test"
)

func restoreXML(days int, tier string) string {
	body := ""
	if days > 0 {
		body = fmt.Sprintf("<Days>%d</Days>", days)
	}
	if tier != "" {
		body += "<GlacierJobParameters><Tier>" + tier + "</Tier></GlacierJobParameters>"
	}
	return `<RestoreRequest xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` + body + "</RestoreRequest>"
}

// TestRestoreLifeCycle follows one object from archived to ongoing, restored and archived again.
func TestRestoreLifeCycle(t *testing.T) {
	clock := s3test.NewManualClock(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC))
	_, b, c := started(t, s3test.WithClock(clock))
	c.now = clock.Now
	restore := at("k") + "?restore"
	status := with("X-Amz-Optional-Object-Attributes", "RestoreStatus")
	listed := func() *listedObject {
		var p page
		c.get("/bucket?list-type=2", status).ok().into(&p)
		return &p.Contents[0]
	}
	c.put(at("k"), "body", with("X-Amz-Storage-Class", "GLACIER")).ok()
	archived := func() {
		t.Helper()
		c.head(at("k")).ok().has("X-Amz-Storage-Class", "GLACIER").has("X-Amz-Restore", "")
		c.get(at("k")).is(403, "InvalidObjectState").contains("<StorageClass>GLACIER</StorageClass>")
		c.get(at("k"), with("Range", "bytes=0-0")).is(403, "InvalidObjectState")
		c.get(at("k")+"?partNumber=1").is(403, "InvalidObjectState")
		c.put(at("copy"), "", from("k")).is(403, "ObjectNotInActiveTierError")
		equal(t, "listed status", listed().RestoreStatus == nil, true)
	}
	archived()
	for _, body := range []string{"", "<RestoreRequest/>", restoreXML(0, "Standard"), "<RestoreRequest><Days>0</Days></RestoreRequest>"} {
		c.post(restore, body).is(400, "MalformedXML")
	}
	c.post(restore, restoreXML(1, "Instant")).is(400, "InvalidArgument")
	c.post(restore, restoreXML(2, "")).is(202, "")
	c.post(restore, restoreXML(2, "Bulk")).is(409, "RestoreAlreadyInProgress")
	c.head(at("k")).ok().has("X-Amz-Restore", `ongoing-request="true"`)
	c.get(at("k")).is(403, "InvalidObjectState")
	equal(t, "listed status", listed().RestoreStatus.IsRestoreInProgress, true)

	clock.Advance(5*time.Hour - time.Second)
	c.get(at("k")).is(403, "InvalidObjectState")
	clock.Advance(time.Second)
	const expiry = `ongoing-request="false", expiry-date="Mon, 04 May 2026 00:00:00 GMT"`
	c.get(at("k")).ok().holds("body").has("X-Amz-Restore", expiry).has("X-Amz-Storage-Class", "GLACIER")
	c.get(at("k"), with("Range", "bytes=1-2")).is(206, "").holds("od")
	c.put(at("copy"), "", from("k")).ok()
	c.remove(at("copy")).is(204, "")
	equal(t, "listed expiry", listed().RestoreStatus.RestoreExpiryDate, "2026-05-04T00:00:00.000Z")
	c.post(restore, restoreXML(10, "")).is(200, "")
	c.head(at("k")).ok().has("X-Amz-Restore", `ongoing-request="false", expiry-date="Tue, 12 May 2026 00:00:00 GMT"`)
	clock.Set(time.Date(2026, 5, 12, 0, 0, 0, 0, time.UTC))
	archived()
	c.post(restore, restoreXML(1, "Expedited")).is(202, "")
	b.FinishRestore("k")
	c.get(at("k")).ok().holds("body").has("X-Amz-Restore", `ongoing-request="false", expiry-date="Thu, 14 May 2026 00:00:00 GMT"`)
}

func TestRestoreTiers(t *testing.T) {
	clock := s3test.NewManualClock(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC))
	_, b, c := started(t, s3test.WithClock(clock))
	c.now = clock.Now
	for _, test := range []struct {
		class, tier string
		after       time.Duration
	}{
		{"GLACIER", "Expedited", 5 * time.Minute}, {"GLACIER", "Standard", 5 * time.Hour}, {"GLACIER", "Bulk", 12 * time.Hour},
		{"DEEP_ARCHIVE", "Standard", 12 * time.Hour}, {"DEEP_ARCHIVE", "Bulk", 48 * time.Hour},
	} {
		b.Put("k", []byte("body"), s3test.Properties{StorageClass: test.class})
		c.post(at("k")+"?restore", restoreXML(1, test.tier)).is(202, "")
		clock.Advance(test.after - time.Second)
		c.get(at("k")).is(403, "InvalidObjectState")
		clock.Advance(time.Second)
		c.get(at("k")).ok()
	}
	b.Put("deep", nil, s3test.Properties{StorageClass: "DEEP_ARCHIVE"})
	c.post(at("deep")+"?restore", restoreXML(1, "Expedited")).is(400, "InvalidArgument")
	b.Put("upgraded", nil, s3test.Properties{StorageClass: "GLACIER"})
	c.post(at("upgraded")+"?restore", restoreXML(1, "Bulk")).is(202, "")
	c.post(at("upgraded")+"?restore", restoreXML(1, "Expedited")).is(202, "")
	c.post(at("upgraded")+"?restore", restoreXML(1, "Expedited")).is(409, "RestoreAlreadyInProgress")
	for _, class := range []string{"STANDARD", "GLACIER_IR", "INTELLIGENT_TIERING"} {
		b.Put("readable", []byte("body"), s3test.Properties{StorageClass: class})
		c.get(at("readable")).ok()
		c.post(at("readable")+"?restore", restoreXML(1, "")).is(403, "InvalidObjectState")
	}
	c.post(at("none")+"?restore", restoreXML(1, "")).is(404, "NoSuchKey")
}

func TestArchivedObjectsCanBeManaged(t *testing.T) {
	_, b, c := started(t)
	b.Put("k", []byte("body"), s3test.Properties{StorageClass: "DEEP_ARCHIVE"})
	c.put(at("k")+"?tagging", taggingXML("a", "1")).ok()
	c.get(at("k")+"?attributes", with("X-Amz-Object-Attributes", "StorageClass")).ok().contains("DEEP_ARCHIVE")
	c.put(at("k"), "new").ok()
	c.get(at("k")).ok().holds("new")
	b.SetClass("k", "GLACIER")
	c.get(at("k")).is(403, "InvalidObjectState")
	c.remove(at("k")).is(204, "")
}

func TestIntelligentTiering(t *testing.T) {
	clock := s3test.NewManualClock(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC))
	_, b, c := started(t, s3test.WithClock(clock))
	c.now = clock.Now
	b.Put("k", []byte("body"), s3test.Properties{StorageClass: "INTELLIGENT_TIERING"})
	b.SetArchiveTier("k", "ARCHIVE_ACCESS")
	c.head(at("k")).ok().has("X-Amz-Archive-Status", "ARCHIVE_ACCESS").has("X-Amz-Storage-Class", "INTELLIGENT_TIERING")
	c.get(at("k")).is(403, "InvalidObjectState").
		contains("<StorageClass>INTELLIGENT_TIERING</StorageClass><AccessTier>ARCHIVE_ACCESS</AccessTier>")
	c.post(at("k")+"?restore", restoreXML(1, "")).is(400, "MalformedXML")
	c.post(at("k")+"?restore", restoreXML(0, "Standard")).is(202, "")
	c.head(at("k")).ok().has("X-Amz-Restore", `ongoing-request="true"`)
	clock.Advance(5 * time.Hour)
	c.get(at("k")).ok().holds("body").has("X-Amz-Archive-Status", "").has("X-Amz-Restore", "")
	clock.Advance(1000 * time.Hour)
	c.get(at("k"), skewed(0)).ok()
}

func TestRestoreOptions(t *testing.T) {
	_, b, c := started(t, s3test.WithInvalidStateOnCopy(), s3test.WithoutFeature(s3test.ExpeditedRestores))
	b.Put("k", nil, s3test.Properties{StorageClass: "GLACIER"})
	c.put(at("copy"), "", from("k")).is(403, "InvalidObjectState")
	c.post(at("k")+"?restore", restoreXML(1, "Expedited")).is(503, "GlacierExpeditedRetrievalNotAvailable")
	_, b, c = started(t, s3test.WithoutFeature(s3test.Restores, s3test.StorageClasses))
	b.Put("k", nil, s3test.Properties{StorageClass: "GLACIER"})
	c.post(at("k")+"?restore", restoreXML(1, "")).is(501, "NotImplemented")
	c.put(at("k"), "", with("X-Amz-Storage-Class", "GLACIER")).is(400, "InvalidStorageClass")
	_, _, c = started(t, s3test.WithAnyStorageClass())
	c.put(at("k"), "", with("X-Amz-Storage-Class", "FAST")).ok()
}
