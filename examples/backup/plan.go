package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/s3kloset/s3kloset"
)

// planReport is what a backup would do.
type planReport struct {
	verdict
	Source   string         `json:"source"`
	Plan     *s3kloset.Plan `json:"plan,omitempty"`
	Duration time.Duration  `json:"duration_ns"`
}

// makePlan lists the source and reads nothing of it.
func (c *command) makePlan(ctx context.Context, d *display) (result result, err error) {
	b, err := open("-source", c.source, c.sourceOptions.over(c.options))
	if err != nil {
		return nil, err
	}
	defer b.Close()
	started := time.Now()
	r := &planReport{Source: b.String()}
	d.say("listing %s ...", b)
	r.Plan, err = b.Source().Plan(ctx)
	r.Duration = time.Since(started)
	return r, err
}

func (r *planReport) text(p *printer) {
	p.line("source", "%s", r.Source)
	if r.Plan == nil {
		return
	}
	p.line("to read", "%s", share(r.Plan.Share))
	p.line("skipped", "%s", share(r.Plan.Skipped))
	p.line("archived", "%s", share(r.Plan.Archived))
	for _, class := range slices.Sorted(maps.Keys(r.Plan.Classes)) {
		p.line("  class", "%s: %s", class, share(r.Plan.Classes[class]))
	}
	for _, s := range r.Plan.Sizes {
		if s.Objects > 0 {
			p.line("  size", "%s: %s", sizeRange(s, r.Plan.Largest), share(s.Share))
		}
	}
	for _, operation := range slices.Sorted(maps.Keys(r.Plan.Requests)) {
		p.line("  requests", "%s: %s", operation, bounds(r.Plan.Requests[operation], "%.0f"))
	}
	if cost := r.Plan.Cost; cost.Currency != "" {
		p.line("cost", "%s %s (requests %s, retrieval %s, transfer %s)", bounds(cost.Total(), "%.2f"), cost.Currency,
			bounds(cost.Requests, "%.2f"), bounds(cost.Retrieval, "%.2f"), bounds(cost.Transfer, "%.2f"))
		p.line("", "prices: %s", cost.Origin)
	}
	p.line("time", "%s", short(r.Duration))
}

func share(s s3kloset.Share) string { return fmt.Sprintf("%d objects, %s", s.Objects, size(s.Bytes)) }

func sizeRange(s s3kloset.SizeShare, largest int64) string {
	switch {
	case s.UpTo == 0 && s.Bytes == 0:
		return "empty"
	case s.UpTo == 0:
		return "up to " + size(largest)
	}
	return "up to " + size(s.UpTo)
}

// bounds are one number where least and most look the same.
func bounds(b s3kloset.Bounds, format string) string {
	least, most := fmt.Sprintf(format, b.Least), fmt.Sprintf(format, b.Most)
	if least == most {
		return least
	}
	return strings.Join([]string{least, most}, " to ")
}
