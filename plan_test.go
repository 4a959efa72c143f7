package s3kloset_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/s3kloset/s3kloset"
	"github.com/s3kloset/s3kloset/internal/klosettest"
	"github.com/s3kloset/s3kloset/internal/s3test"
)

// stock fills the folder with objects of all kinds.
func (p *patient) stock() {
	p.bucket.Put("data", []byte("the folder's own name"), s3test.Properties{})
	p.bucket.Put("data/empty", nil, s3test.Properties{})
	p.bucket.Put("data/small", make([]byte, 100), s3test.Properties{Tags: map[string]string{"k": "v"}})
	p.bucket.Put("data/cool", make([]byte, 5000), s3test.Properties{StorageClass: "STANDARD_IA"})
	p.bucket.Put("data/parts", make([]byte, 11<<20), s3test.Properties{}, s3test.InParts(6<<20))
	p.bucket.Put("data/cold", make([]byte, 70<<10), s3test.Properties{StorageClass: "GLACIER"})
	p.bucket.Put("data/left/out", make([]byte, 7), s3test.Properties{})
	p.bucket.Put("database", make([]byte, 9), s3test.Properties{})
}

func (p *patient) plan(popts []s3kloset.PlanOption, opts ...s3kloset.Option) *s3kloset.Plan {
	p.t.Helper()
	opts = append(opts, s3kloset.WithExclude("left/**"))
	plan, err := p.handle(opts...).Source().Plan(p.t.Context(), popts...)
	if err != nil {
		p.t.Fatal(err)
	}
	return plan
}

func TestPlanCounts(t *testing.T) {
	p := newPatient(t)
	p.stock()
	plan := p.plan(nil)
	const large = 11 << 20
	if want := (s3kloset.Share{Objects: 5, Bytes: 21 + 100 + 5000 + large}); plan.Share != want {
		t.Errorf("to be read is %+v, want %+v", plan.Share, want)
	}
	if want := (s3kloset.Share{Objects: 1, Bytes: 7}); plan.Skipped != want {
		t.Errorf("skipped is %+v, want %+v", plan.Skipped, want)
	}
	if want := (s3kloset.Share{Objects: 1, Bytes: 70 << 10}); plan.Archived != want {
		t.Errorf("archived is %+v, want %+v", plan.Archived, want)
	}
	classes := fmt.Sprint(plan.Classes)
	if want := fmt.Sprint(map[string]s3kloset.Share{"STANDARD": {Objects: 4, Bytes: 121 + large},
		"STANDARD_IA": {Objects: 1, Bytes: 5000}, "GLACIER": {Objects: 1, Bytes: 70 << 10}}); classes != want {
		t.Errorf("classes are %s, want %s", classes, want)
	}
	var sizes []string
	for _, s := range plan.Sizes {
		sizes = append(sizes, fmt.Sprintf("%d:%d", s.UpTo, s.Objects))
	}
	if got, want := strings.Join(sizes, " "), "0:1 4096:2 65536:1 1048576:1 134217728:1"; got != want {
		t.Errorf("sizes are %s, want %s", got, want)
	}
	if plan.Largest != large {
		t.Errorf("the largest has %d bytes", plan.Largest)
	}
	for _, r := range p.server.Requests() {
		if r.Op != "ListObjectsV2" {
			t.Errorf("planning made a %s", r.Op)
		}
	}
}

// A backup makes the requests that its plan says.
func TestPlanForetellsRequests(t *testing.T) {
	for _, c := range []struct {
		name string
		opts []s3kloset.Option
		more int // objects besides
	}{
		{"default", nil, 0},
		{"without tags", []s3kloset.Option{s3kloset.WithTagPolicy(s3kloset.TagsNever)}, 0},
		{"skipping archived ones", []s3kloset.Option{s3kloset.WithArchive(s3kloset.ArchiveSkip)}, 0},
		{"several pages", nil, 1100},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPatient(t)
			p.stock()
			for i := range c.more {
				p.bucket.Put(fmt.Sprintf("data/more/%04d", i), []byte("x"), s3test.Properties{})
			}
			plan := p.plan(nil, c.opts...)
			opts := append(c.opts, s3kloset.WithExclude("left/**"), s3kloset.WithConcurrency(4))
			p.server.ResetRequests()
			source := p.handle(opts...)
			repo, err := s3kloset.CreateRepository(t.Context(), klosettest.NewMemStore(), s3kloset.WithPlaintext())
			if err != nil {
				t.Fatal(err)
			}
			defer repo.Close()
			if _, err := repo.Backup(t.Context(), source.Source()); err != nil && !errors.Is(err, s3kloset.ErrArchived) {
				t.Fatal(err)
			}
			made := source.Requests()
			for operation, n := range made {
				bounds, planned := plan.Requests[operation]
				if !planned || float64(n) < bounds.Least || float64(n) > bounds.Most {
					t.Errorf("%d %s, planned were %+v", n, operation, bounds)
				}
			}
			for operation, bounds := range plan.Requests {
				if bounds.Least > float64(made[operation]) {
					t.Errorf("%d %s, planned were %+v", made[operation], operation, bounds)
				}
			}
		})
	}
}

func TestPlanPrices(t *testing.T) {
	p := newPatient(t)
	p.bucket.Put("data/a", make([]byte, 1<<20), s3test.Properties{})
	p.bucket.Put("data/b", make([]byte, 1<<20), s3test.Properties{StorageClass: "STANDARD_IA"})
	p.bucket.Put("data/c", make([]byte, 1<<20), s3test.Properties{StorageClass: "DEEP_ARCHIVE"})
	prices := s3kloset.Prices{
		Currency: "EUR", Origin: "a test", List: 1000, Transfer: 1024,
		Classes: map[string]s3kloset.ClassPrices{
			"STANDARD":    {Get: 1000},
			"STANDARD_IA": {Get: 2000, Retrieve: 10240},
			"DEEP_ARCHIVE": {Get: 1000, Thaw: map[s3kloset.ArchiveTier]s3kloset.ThawPrices{
				s3kloset.TierBulk: {Request: 100_000, Retrieve: 102_400}}},
		},
	}
	with := []s3kloset.PlanOption{s3kloset.WithPrices(prices), nil}
	noTags := s3kloset.WithTagPolicy(s3kloset.TagsNever)
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-9*want {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	}

	cost := p.plan(with, noTags).Cost
	near("requests", cost.Requests.Least, 2+1+2)        // two pages, a GET of each price
	near("requests at most", cost.Requests.Most, 2+4)   // and one that finds an archived object
	near("retrieval", cost.Retrieval.Least, 10)         // of b
	near("transfer", cost.Transfer.Least, 2)            // of a and b
	near("total", cost.Total().Least, 5+10+2)           // of all
	near("tags", p.plan(with).Cost.Requests.Most, 6+6)  // two for a, two at twice the price
	near("nothing", p.plan(nil).Cost.Total().Most+1, 1) // no service of AWS, no prices
	if cost.Currency != "EUR" || cost.Origin != "a test" {
		t.Errorf("prices are those of %q in %q", cost.Origin, cost.Currency)
	}

	thaw := p.plan(with, noTags, s3kloset.WithArchive(s3kloset.ArchiveRestore(s3kloset.TierBulk, 1)))
	near("retrieval of an archive", thaw.Cost.Retrieval.Least, 10+100+100)
	if thaw.Objects != 3 || thaw.Requests["RestoreObject"].Least != 1 {
		t.Errorf("plan with a restore is %+v", thaw)
	}
	if heads := thaw.Requests["HeadObject"]; heads.Least != 1 || heads.Most < 100 {
		t.Errorf("looks at a restore of 48 hours are %+v", heads)
	}
}

func TestAWSPrices(t *testing.T) {
	prices := s3kloset.AWSPrices()
	if prices.Origin == "" || prices.Currency == "" {
		t.Error("prices without an origin")
	}
	// Each class that S3 has, except those of other kinds of buckets.
	for _, class := range []string{"STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE"} {
		if prices.Classes[class].Get == 0 {
			t.Errorf("no price of %s", class)
		}
	}
	prices.Classes["STANDARD"] = s3kloset.ClassPrices{}
	if s3kloset.AWSPrices().Classes["STANDARD"].Get == 0 {
		t.Error("a change of the copy changes the table")
	}
}

func TestPlanFails(t *testing.T) {
	p := newPatient(t)
	p.stock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	source := p.handle().Source()
	if plan, err := source.Plan(ctx); !errors.Is(err, context.Canceled) || plan != nil {
		t.Errorf("cancelled: %v, %v", plan, err)
	}
	denied("ListObjectsV2")(p)
	if _, err := source.Plan(t.Context()); !errors.Is(err, s3kloset.ErrAccessDenied) {
		t.Errorf("denied: %v", err)
	}
	source.Close(t.Context())
	if _, err := source.Plan(t.Context()); !errors.Is(err, s3kloset.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

func TestPlanAsJSON(t *testing.T) {
	p := newPatient(t)
	p.stock()
	text, err := json.Marshal(p.plan(nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`{"objects":5,"bytes":`, `"skipped":{"objects":1,"bytes":7}`, `"up_to":4096,"objects":2`, `"ListObjectsV2":{"least":2,"most":2}`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
}
