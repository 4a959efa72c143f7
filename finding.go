package s3kloset

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Role is what a location is used for.
type Role int

// The roles that Diagnose and Policy know.
const (
	RoleSource Role = iota + 1
	RoleDestination
	RoleStore
)

var roleNames = []string{RoleSource: "source", RoleDestination: "destination", RoleStore: "store"}

// String is the name of the role: source, destination or store.
func (r Role) String() string {
	if r < RoleSource || int(r) >= len(roleNames) {
		return fmt.Sprintf("role %d", int(r))
	}
	return roleNames[r]
}

// MarshalText writes the name of the role.
func (r Role) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// ParseRole reads the name of a role.
func ParseRole(name string) (Role, error) {
	if i := slices.Index(roleNames, name); i >= int(RoleSource) {
		return Role(i), nil
	}
	return 0, invalid("role", "%q is none of source, destination, store", name)
}

func (r Role) check() error {
	if r < RoleSource || r > RoleStore {
		return invalid("role", "%d is unknown", int(r))
	}
	return nil
}

// Verdict is how an examination ended. A larger one is worse.
type Verdict int

const (
	// VerdictOK is what works.
	VerdictOK Verdict = iota
	// VerdictUntested is what could not be tried, or not without a trace, and
	// so may or may not work.
	VerdictUntested
	// VerdictDegraded is what works with less; the finding says what is done
	// about it.
	VerdictDegraded
	// VerdictBroken is what the role needs and has not; the finding says what
	// the user can do.
	VerdictBroken
)

var verdictNames = []string{"ok", "untested", "degraded", "broken"}

// String is ok, untested, degraded or broken.
func (v Verdict) String() string {
	if v < VerdictOK || v > VerdictBroken {
		return fmt.Sprintf("verdict %d", int(v))
	}
	return verdictNames[v]
}

// MarshalText writes the name of the verdict.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// Check names what a finding is about. The set grows with new versions.
type Check string

// The checks, in the order in which they are made.
const (
	CheckReach        Check = "reach"              // an S3 answers
	CheckTLS          Check = "tls"                // privately, and it is who it says
	CheckClock        Check = "clock"              // its clock and ours agree
	CheckIdentity     Check = "identity"           // it knows us
	CheckBucket       Check = "bucket"             // the bucket is there, in the expected region
	CheckList         Check = "list"               // keys can be listed
	CheckVersioning   Check = "versioning"         // whether old versions stay
	CheckLock         Check = "object-lock"        // whether objects are locked
	CheckDelete       Check = "delete"             // objects can be removed
	CheckPut          Check = "put"                // objects can be written
	CheckGet          Check = "get"                // objects can be read
	CheckListOrder    Check = "list-order"         // pages are complete and in order of bytes
	CheckListEncoding Check = "list-encoding"      // any key survives the XML
	CheckKeys         Check = "keys"               // keys that are not paths can be stored
	CheckRanges       Check = "ranges"             // a piece of an object can be read
	CheckChecksums    Check = "checksums"          // bytes are verified on both ways
	CheckMetadata     Check = "metadata"           // headers and user metadata are kept
	CheckTags         Check = "tags"               // so are tags
	CheckConditional  Check = "conditional-writes" // one of two writers wins
	CheckMultipart    Check = "multipart"          // large objects can be written
	CheckClasses      Check = "storage-classes"    // classes are kept, and readable
	CheckCleanUp      Check = "clean-up"           // the diagnosis left nothing behind
)

// Finding is the outcome of one check.
type Finding struct {
	Check   Check
	Verdict Verdict
	// Detail is what was seen.
	Detail string
	// Remedy is, for VerdictDegraded, what this package does about it, and
	// for VerdictBroken, what the user can do.
	Remedy string
	// Actions are the IAM actions that the credentials lack, such as
	// s3:GetObjectTagging. Where there are several, the server does not tell
	// which of them.
	Actions []string
	// Err is the cause, nil where there is none.
	Err error
}

// MarshalJSON writes the error as its text.
func (f Finding) MarshalJSON() ([]byte, error) {
	text := ""
	if f.Err != nil {
		text = f.Err.Error()
	}
	return json.Marshal(struct {
		Check   Check    `json:"check"`
		Verdict Verdict  `json:"verdict"`
		Detail  string   `json:"detail"`
		Remedy  string   `json:"remedy,omitempty"`
		Actions []string `json:"actions,omitempty"`
		Error   string   `json:"error,omitempty"`
	}{f.Check, f.Verdict, f.Detail, f.Remedy, f.Actions, text})
}

// Diagnosis is what Diagnose found out.
type Diagnosis struct {
	Location string    `json:"location"`
	Role     Role      `json:"role"`
	Endpoint string    `json:"endpoint"`         // host that was asked
	Server   string    `json:"server,omitempty"` // what it calls itself
	Vendor   string    `json:"vendor,omitempty"` // whose it is, where that is known
	Region   string    `json:"region"`           // that requests were signed for
	Identity Identity  `json:"identity"`
	Findings []Finding `json:"findings"` // in the order of the checks
	// Requests counts the HTTP requests of the diagnosis by S3 operation.
	Requests map[string]int64 `json:"requests"`
	Duration time.Duration    `json:"duration_ns"`
}

// Verdict is the worst of all findings. Nothing wrong was found unless it is
// VerdictDegraded or VerdictBroken.
func (d *Diagnosis) Verdict() Verdict {
	worst := VerdictOK
	for _, f := range d.Findings {
		worst = max(worst, f.Verdict)
	}
	return worst
}

// Finding returns the finding of a check. There is none for a check that the
// role does not need.
func (d *Diagnosis) Finding(check Check) (Finding, bool) {
	i := slices.IndexFunc(d.Findings, func(f Finding) bool { return f.Check == check })
	if i < 0 {
		return Finding{}, false
	}
	return d.Findings[i], true
}
