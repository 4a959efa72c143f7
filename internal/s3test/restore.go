package s3test

import (
	"net/http"
	"time"
)

// retrievalTimes is how long a tier takes, by what the object lies in.
var retrievalTimes = map[string]map[string]time.Duration{
	classGlacier:          {"Expedited": 5 * time.Minute, "Standard": 5 * time.Hour, "Bulk": 12 * time.Hour},
	classDeepArchive:      {"Standard": 12 * time.Hour, "Bulk": 48 * time.Hour},
	"ARCHIVE_ACCESS":      {"Expedited": 5 * time.Minute, "Standard": 5 * time.Hour, "Bulk": 12 * time.Hour},
	"DEEP_ARCHIVE_ACCESS": {"Standard": 12 * time.Hour, "Bulk": 48 * time.Hour},
}

type restoreRequest struct {
	Days        *int
	Tier        string
	GlacierTier string `xml:"GlacierJobParameters>Tier"`
	Type        string
}

func (x *exchange) restoreObject() error {
	body, err := x.readDocument()
	if err != nil {
		return err
	}
	var request restoreRequest
	if err := parseXML(body, "RestoreRequest", &request); err != nil {
		return err
	}
	if request.Type != "" {
		return failuref("NotImplemented", "Restores of the type %s are not implemented.", request.Type)
	}
	id, err := x.versionID()
	if err != nil {
		return err
	}
	status := http.StatusAccepted
	v, err := x.bucket.update(x.key, id, func(v *version) error {
		status, err = x.requestRestore(v, request)
		return err
	})
	if err != nil {
		return err
	}
	x.setVersionOf(v)
	return x.sendNothing(status)
}

func (x *exchange) requestRestore(v *version, request restoreRequest) (status int, err error) {
	now := x.server.clock.Now().UTC()
	state := v.archiveState(now)
	if state == readable {
		return 0, v.invalidState()
	}
	took, tier, err := x.retrievalTime(v, request)
	if err != nil {
		return 0, err
	}
	days, err := request.days(v)
	if err != nil {
		return 0, err
	}
	if state == restored {
		v.restore.until = midnightAfter(now.AddDate(0, 0, days))
		return http.StatusOK, nil
	}
	if state == ongoing && (tier != "Expedited" || v.restore.tier == "Expedited") {
		return 0, failure("RestoreAlreadyInProgress")
	}
	r := &v.restore
	r.requested, r.tier, r.days, r.ready = true, tier, days, now.Add(took)
	r.until = midnightAfter(r.ready.AddDate(0, 0, days))
	return http.StatusAccepted, nil
}

func (x *exchange) retrievalTime(v *version, request restoreRequest) (took time.Duration, tier string, err error) {
	place := v.StorageClass
	if v.restore.archiveTier != "" {
		place = v.restore.archiveTier
	}
	if tier = request.GlacierTier; tier == "" {
		tier = request.Tier
	}
	if tier == "" {
		tier = "Standard"
	}
	took, ok := retrievalTimes[place][tier]
	if !ok {
		return 0, "", failuref("InvalidArgument", "The retrieval tier %s is not possible for %s.", tier, place).
			with("ArgumentName", "Tier").with("ArgumentValue", tier)
	}
	if tier == "Expedited" && !x.server.settings.has(ExpeditedRestores) {
		return 0, "", failure("GlacierExpeditedRetrievalNotAvailable")
	}
	return took, tier, nil
}

// days is for how long the copy is wanted. INTELLIGENT_TIERING makes no copy, and must not be told.
func (r restoreRequest) days(v *version) (int, error) {
	if v.restore.archiveTier != "" {
		if r.Days != nil {
			return 0, failure("MalformedXML")
		}
		return 0, nil
	}
	if r.Days == nil || *r.Days < 1 {
		return 0, failure("MalformedXML")
	}
	return *r.Days, nil
}

func midnightAfter(t time.Time) time.Time {
	return t.UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
}
