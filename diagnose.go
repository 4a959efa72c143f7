package s3kloset

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/s3kloset/s3kloset/internal/bucket"
)

// Diagnose finds out whether the location can serve in a role, with this
// endpoint and these credentials, and if not, why not and what to do. It makes
// some thirty requests and repeats a failed attempt once.
//
// For a source nothing is ever written. For a destination and a store, small
// objects and one of 5 MiB are written in a folder of the location whose name
// is new, .s3kloset-RANDOM, and removed before it returns, also when ctx has
// ended. Where the credentials or the bucket do not let them be removed for
// good, nothing is written but an upload that is aborted, and the checks that
// need more are VerdictUntested.
//
// What is wrong is in the findings and no error. The error is ErrInvalidOption
// for an unknown role, ErrClosed, or that of the context; findings made until
// then come beside it.
func (b *Bucket) Diagnose(ctx context.Context, role Role) (*Diagnosis, error) {
	if err := role.check(); err != nil {
		return nil, err
	}
	start, before := time.Now(), b.Requests()
	x := &doctor{bucket: b, role: role, probe: b.client.Probe(), found: make(map[Check]Finding)}
	x.scratch = newScratch(x.probe, b.key(""), b.cfg.encryption)
	err := x.run(ctx)
	if errors.Is(err, ErrClosed) {
		return nil, err
	}
	d := &Diagnosis{
		Location: b.String(),
		Role:     role,
		Endpoint: b.host(),
		Server:   x.probe.Contact().Server,
		Vendor:   x.probe.Quirks().Vendor,
		Region:   x.probe.Region(),
		Identity: x.identity,
		Requests: since(before, b.Requests()),
		Duration: time.Since(start),
	}
	for _, s := range steps {
		if f, ok := x.found[s.check]; ok {
			d.Findings = append(d.Findings, f)
		}
	}
	return d, err
}

// host is the host of the service.
func (b *Bucket) host() string {
	if u, err := url.Parse(b.cfg.client.Endpoint); err == nil && u.Host != "" {
		return u.Host
	}
	return "s3.amazonaws.com"
}

// doctor is one Diagnose.
type doctor struct {
	bucket  *Bucket
	role    Role
	probe   *bucket.Probe
	scratch *scratch
	found   map[Check]Finding

	page     bucket.Page // the first of the location, if it could be had
	contact  error       // of the first request
	identity Identity
	missing  bool      // the bucket is not there
	specimen *specimen // nil: there is none
	versions bool      // the bucket keeps old versions
	locks    bool      // the bucket locks each new object
}

// step is one check and those whom it concerns.
type step struct {
	check   Check
	roles   []Role
	examine func(*doctor, context.Context) Finding
	// vital: without it nothing else can be found out.
	vital bool
}

var (
	allRoles  = []Role{RoleSource, RoleDestination, RoleStore}
	bothWrite = []Role{RoleDestination, RoleStore}
	bothList  = []Role{RoleSource, RoleStore}
	onlyWrite = []Role{RoleDestination}
)

// steps are all checks, in an order in which each finds what it needs.
var steps []step

func init() {
	// Set here, since the checks refer to the table themselves.
	steps = []step{
		{CheckReach, allRoles, (*doctor).reach, true},
		{CheckTLS, allRoles, (*doctor).tls, true},
		{CheckClock, allRoles, (*doctor).clock, true},
		{CheckIdentity, allRoles, (*doctor).who, true},
		{CheckBucket, allRoles, (*doctor).where, true},
		{CheckList, allRoles, (*doctor).list, false},
		{CheckVersioning, allRoles, (*doctor).versioning, false},
		{CheckLock, allRoles, (*doctor).lock, false},

		{CheckDelete, bothWrite, (*doctor).remove, false},
		{CheckPut, bothWrite, (*doctor).put, false},

		{CheckGet, allRoles, (*doctor).get, false},
		{CheckListOrder, bothList, (*doctor).listOrder, false},
		{CheckListEncoding, bothList, (*doctor).listEncoding, false},
		{CheckKeys, onlyWrite, (*doctor).keys, false},
		{CheckRanges, allRoles, (*doctor).ranges, false},
		{CheckChecksums, allRoles, (*doctor).checksums, false},
		{CheckMetadata, onlyWrite, (*doctor).metadata, false},
		{CheckTags, []Role{RoleSource, RoleDestination}, (*doctor).tags, false},
		{CheckConditional, bothWrite, (*doctor).conditional, false},
		{CheckMultipart, bothWrite, (*doctor).multipart, false},
		{CheckClasses, allRoles, (*doctor).classes, false},
		{CheckCleanUp, bothWrite, (*doctor).cleanUp, false},
	}
}

// run makes one check after the other. Whatever ends it, the scratch folder is
// swept.
func (x *doctor) run(ctx context.Context) error {
	stopped := Check("")
	for _, s := range steps {
		if !slices.Contains(s.roles, x.role) {
			continue
		}
		var f Finding
		switch {
		case s.check == CheckCleanUp:
			f = s.examine(x, ctx)
		case ctx.Err() != nil:
			continue
		case stopped != "":
			f = untested("it needs what %s is about", stopped)
		default:
			f = s.examine(x, ctx)
		}
		if ctx.Err() != nil && s.check != CheckCleanUp {
			continue // what it found may be the end of the context
		}
		if errors.Is(f.Err, ErrClosed) {
			return f.Err
		}
		f.Check = s.check
		x.found[s.check] = f
		if s.vital && stopped == "" && (f.Verdict == VerdictBroken || x.missing) {
			stopped = s.check
		}
	}
	return ctx.Err()
}

func fine(detail string, args ...any) Finding {
	return Finding{Verdict: VerdictOK, Detail: fmt.Sprintf(detail, args...)}
}

func untested(detail string, args ...any) Finding {
	return Finding{Verdict: VerdictUntested, Detail: fmt.Sprintf(detail, args...)}
}

func degraded(detail, remedy string) Finding {
	return Finding{Verdict: VerdictDegraded, Detail: detail, Remedy: remedy}
}

func broken(detail, remedy string) Finding {
	return Finding{Verdict: VerdictBroken, Detail: detail, Remedy: remedy}
}

// because adds the cause, and the actions that it names.
func (f Finding) because(err error) Finding {
	f.Err = err
	f.Actions = missingActions(err)
	return f
}

// missingActions are the IAM actions that refused requests needed.
func missingActions(err error) []string {
	var refused *OpError
	if !errors.As(err, &refused) {
		return nil
	}
	return refused.Actions()
}

// failed is the finding of an error that no check expects.
func (x *doctor) failed(what string, err error) Finding {
	remedy := "see the error of the server"
	switch {
	case errors.Is(err, ErrAccessDenied):
		return x.refused(what, err)
	case errors.Is(err, ErrThrottled):
		remedy = "try again later, or limit the requests with WithRequestRate (requests_per_second)"
	case errors.Is(err, ErrUnreachable):
		remedy = "see to the network: the endpoint answered before"
	}
	return broken(what+" fails", remedy).because(err)
}

// refused is the finding of a missing permission.
func (x *doctor) refused(what string, err error) Finding {
	f := broken(what+" is refused", "").because(err)
	if len(f.Actions) == 0 {
		f.Remedy = "allow it to these credentials"
		return f
	}
	f.Remedy = fmt.Sprintf("allow %s on %s", strings.Join(f.Actions, " and "), x.resourceOf(f.Actions[0]))
	return f
}

// wasAllowed takes an action from a refusal that another request has shown to
// be allowed.
func (x *doctor) wasAllowed(f *Finding, action string) {
	f.Actions = slices.DeleteFunc(f.Actions, func(other string) bool { return other == action })
	f.Remedy = fmt.Sprintf("allow %s on %s", strings.Join(f.Actions, " and "), x.bucket.objectsARN())
}

// resourceOf names what an action must be allowed on.
func (x *doctor) resourceOf(action string) string {
	if isBucketAction(action) {
		return x.bucket.bucketARN()
	}
	return x.bucket.objectsARN()
}

// absent is a key at which there is nothing.
func (x *doctor) absent() string { return x.scratch.key("absent") }

// asleep tells an object that a GET would not answer.
func asleep(e bucket.Entry) bool {
	return (e.StorageClass == "GLACIER" || e.StorageClass == "DEEP_ARCHIVE") && !e.Readable
}
