package s3kloset

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/s3kloset/s3kloset/internal/bucket"
)

// Share is a part of the objects of a bucket.
type Share struct {
	Objects int64 `json:"objects"`
	Bytes   int64 `json:"bytes"`
}

func (s *Share) add(size int64) {
	s.Objects++
	s.Bytes += size
}

// SizeShare are the objects of similar sizes.
type SizeShare struct {
	// UpTo is the largest size of these objects in bytes, and 0 for those
	// that are larger than all others.
	UpTo int64 `json:"up_to,omitempty"`
	Share
}

// Bounds are the least and the most that something can be. What a listing does
// not tell keeps them apart: which objects have tags, for example.
type Bounds struct {
	Least float64 `json:"least"`
	Most  float64 `json:"most"`
}

func (b *Bounds) add(least, most float64) {
	b.Least += least
	b.Most += most
}

func (b Bounds) plus(c Bounds) Bounds { return Bounds{b.Least + c.Least, b.Most + c.Most} }

// Cost is what a service would bill. Storage, which is billed with or without
// a backup, is not in it.
type Cost struct {
	Currency string `json:"currency,omitempty"`
	Origin   string `json:"origin,omitempty"` // of the prices
	Requests Bounds `json:"requests"`
	// Retrieval is for bytes of classes that are billed by what is read, and
	// for making archived objects readable.
	Retrieval Bounds `json:"retrieval"`
	Transfer  Bounds `json:"transfer"`
}

// Total is the sum.
func (c Cost) Total() Bounds { return c.Requests.plus(c.Retrieval).plus(c.Transfer) }

// Plan is what a backup that reads everything would find and do. One that has
// a previous snapshot reads only what has changed.
type Plan struct {
	// Share is what would be read.
	Share
	// Skipped are objects that the patterns leave out.
	Skipped Share `json:"skipped"`
	// Archived are objects that cannot be read before they are restored from
	// an archive. They are part of Share only if WithArchive says that they
	// shall be.
	Archived Share            `json:"archived"`
	Classes  map[string]Share `json:"classes"` // by storage class, archived ones included
	Sizes    []SizeShare      `json:"sizes"`   // from small to large, archived ones included
	Largest  int64            `json:"largest"` // bytes of the largest object
	// Requests are those of the backup by S3 operation, without retries.
	Requests map[string]Bounds `json:"requests"`
	Cost     Cost              `json:"cost"`
	Duration time.Duration     `json:"duration_ns"` // of the planning
}

// PlanOption changes a Plan. A nil PlanOption is skipped.
type PlanOption func(*planner)

// WithPrices sets what requests and bytes cost. The default is AWSPrices for
// buckets of AWS, and nothing for others.
func WithPrices(prices Prices) PlanOption { return func(p *planner) { p.prices = prices } }

// sizeSteps divide objects by what they mean for a backup: some are mere
// requests, some a fetch of their own, some many.
var sizeSteps = []int64{0, 4 << 10, 64 << 10, fetchWhole, bucket.DefaultRangeSize, 128 << 20, 1 << 30, 0}

// Plan lists the location and tells what a backup would have to do, and what
// that would cost, without reading any object. It takes a request for every
// thousand objects and little memory.
func (s *Source) Plan(ctx context.Context, opts ...PlanOption) (*Plan, error) {
	if s.closed.Load() {
		return nil, fmt.Errorf("source %s: %w", s.bucket, ErrClosed)
	}
	start := time.Now()
	p := newPlanner(s.bucket)
	for _, opt := range opts {
		if opt != nil {
			opt(p)
		}
	}
	if err := p.list(ctx); err != nil {
		return nil, err
	}
	plan := p.finish()
	plan.Duration = time.Since(start)
	return plan, nil
}

// planner adds up a Plan.
type planner struct {
	bucket *Bucket
	prices Prices
	plan   *Plan
	pages  float64
	listed int64
}

func newPlanner(b *Bucket) *planner {
	p := &planner{bucket: b, plan: &Plan{Classes: make(map[string]Share), Requests: make(map[string]Bounds)}}
	if b.cfg.client.Endpoint == "" {
		p.prices = AWSPrices()
	}
	for _, step := range sizeSteps {
		p.plan.Sizes = append(p.plan.Sizes, SizeShare{UpTo: step})
	}
	return p
}

// list looks at each object as a backup does.
func (p *planner) list(ctx context.Context) error {
	b := p.bucket
	if b.location.prefix != "" {
		p.pages++
		for entry, err := range b.client.List(ctx, bucket.Range{Prefix: b.location.prefix, Most: 1}) {
			if err != nil {
				return err
			}
			if entry.Key == b.location.prefix {
				p.add(entry)
			}
		}
	}
	below := p.listed
	all := bucket.Range{Prefix: b.folder(), Unordered: b.cfg.source.unordered}
	for entry, err := range b.client.ListParallel(ctx, all, min(listWorkers, b.cfg.concurrency)) {
		if err != nil {
			return err
		}
		p.add(entry)
	}
	p.pages += math.Max(1, math.Ceil(float64(p.listed-below)/firstPage))
	return ctx.Err()
}

func (p *planner) add(entry bucket.Entry) {
	p.listed++
	b := p.bucket
	if !b.cfg.source.wants(b.below(entry.Key)) {
		p.plan.Skipped.add(entry.Size)
		return
	}
	class := entry.StorageClass
	if class == "" {
		class = "STANDARD"
	}
	share := p.plan.Classes[class]
	share.add(entry.Size)
	p.plan.Classes[class] = share
	p.plan.Sizes[sizeStep(entry.Size)].add(entry.Size)
	p.plan.Largest = max(p.plan.Largest, entry.Size)
	if bucket.InArchive(entry.StorageClass) && !entry.Readable {
		p.plan.Archived.add(entry.Size)
		if !p.thaw(class, entry.Size) {
			return
		}
	}
	p.plan.Share.add(entry.Size)
	p.read(class, entry)
}

func sizeStep(size int64) int {
	last := len(sizeSteps) - 1
	if i := slices.IndexFunc(sizeSteps[:last], func(upTo int64) bool { return size <= upTo }); i >= 0 {
		return i
	}
	return last
}

// request counts requests for an object, and their price.
func (p *planner) request(operation, class string, least, most float64) {
	bounds := p.plan.Requests[operation]
	bounds.add(least, most)
	p.plan.Requests[operation] = bounds
	price := p.prices.of(class).Get / 1000
	p.plan.Cost.Requests.add(least*price, most*price)
}

// thaw counts what an archived object takes, and tells whether it is read
// then.
func (p *planner) thaw(class string, size int64) bool {
	policy := p.bucket.cfg.archive
	switch policy.action {
	case archiveSkip, archiveFail:
		// That it is archived may have to be found out by asking for it.
		p.request("GetObject", class, 0, 1)
		return false
	}
	looks := float64(retrievals[class][policy.tier]/lastThawPoll) + 8
	p.request("HeadObject", class, 1, looks)
	bounds := p.plan.Requests["RestoreObject"]
	bounds.add(1, 1)
	p.plan.Requests["RestoreObject"] = bounds
	prices := p.prices.of(class).Thaw[policy.tier]
	price := prices.Request/1000 + prices.Retrieve*gib(size)
	p.plan.Cost.Retrieval.add(price, price)
	return true
}

// read counts what the reading of an object takes.
func (p *planner) read(class string, entry bucket.Entry) {
	ranges := math.Max(1, math.Ceil(float64(entry.Size)/bucket.DefaultRangeSize))
	p.request("GetObject", class, 1, ranges)
	tags := p.bucket.cfg.source.tags != TagsNever
	if ranges > 1 || tags {
		// Pieces begin with it, and tags end with it: are they still those of the bytes?
		p.request("HeadObject", class, 0, 1)
	}
	if strings.Contains(entry.ETag, "-") {
		// How it was cut into parts is asked for.
		p.request("HeadObject", class, 1, 1)
	}
	if tags {
		p.request("GetObjectTagging", class, 0, 1)
	}
	retrieve := p.prices.of(class).Retrieve * gib(entry.Size)
	p.plan.Cost.Retrieval.add(retrieve, retrieve)
	transfer := p.prices.Transfer * gib(entry.Size)
	p.plan.Cost.Transfer.add(transfer, transfer)
}

func gib(bytes int64) float64 { return float64(bytes) / (1 << 30) }

func (p *planner) finish() *Plan {
	most := p.pages
	if p.listed > firstPage {
		// Several workers list beside each other: where one begins is a guess,
		// and where it ends is in the middle of a page.
		most *= 3
	}
	lists := Bounds{p.pages, most}
	if p.bucket.cfg.archive.action == archiveRestore {
		lists.add(p.pages, most) // it looks for archived objects before it begins
	}
	if p.bucket.cfg.source.unordered {
		// Each key is asked whether it is a folder too.
		lists.add(float64(p.plan.Objects), float64(p.listed))
	}
	p.plan.Requests["ListObjectsV2"] = lists
	p.plan.Cost.Requests.add(lists.Least*p.prices.List/1000, lists.Most*p.prices.List/1000)
	p.plan.Cost.Currency, p.plan.Cost.Origin = p.prices.Currency, p.prices.Origin
	p.plan.Sizes = slices.DeleteFunc(p.plan.Sizes, func(s SizeShare) bool { return s.Objects == 0 })
	return p.plan
}
