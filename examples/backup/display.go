package main

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/s3kloset/s3kloset"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// display tells what is going on: a line for each step and, while it runs and
// where the output is a terminal, one that is redrawn.
type display struct {
	out      io.Writer
	terminal bool // out is one, whatever it looks like

	latest atomic.Pointer[s3kloset.Progress]
	bars   *mpb.Progress // of the step that runs
	bar    *mpb.Bar
}

func newDisplay(out io.Writer) *display { return &display{out: out} }

// say writes a line between steps.
func (d *display) say(format string, args ...any) {
	fmt.Fprintf(d.out, format+"\n", args...)
}

// follow is the callback for s3kloset.WithProgress.
func (d *display) follow(p s3kloset.Progress) { d.latest.Store(&p) }

// begin starts a step of some objects; 0 means that nobody knows how many.
func (d *display) begin(step string, objects int64) {
	d.say("%s ...", step)
	started := time.Now()
	d.latest.Store(&s3kloset.Progress{})
	options := []mpb.ContainerOption{mpb.WithOutput(d.out)}
	if d.terminal {
		options = append(options, mpb.ForceTTY(), mpb.WithAutoRefresh())
	}
	d.bars = mpb.New(options...)
	style, width := barStyle(objects)
	d.bar = d.bars.New(objects, style, mpb.BarWidth(width), mpb.BarRemoveOnComplete(),
		mpb.AppendDecorators(decor.Any(func(decor.Statistics) string {
			return statusLine(d.latest.Load().Counts, time.Since(started))
		})),
		mpb.BarFillerMiddleware(func(next mpb.BarFiller) mpb.BarFiller {
			return mpb.BarFillerFunc(func(w io.Writer, s decor.Statistics) error {
				s.Current = settled(d.latest.Load().Counts)
				return next.Fill(w, s)
			})
		}))
}

// end ends a step. Its line disappears: the report will say more.
func (d *display) end() {
	d.bar.Abort(true)
	d.bars.Wait()
}

// barStyle is a bar of some width where the end is known, else a spinner.
func barStyle(objects int64) (mpb.BarFillerBuilder, int) {
	if objects > 0 {
		return mpb.BarStyle(), 24
	}
	return mpb.SpinnerStyle().PositionLeft(), 1
}

// settled is how many objects need no more attention.
func settled(c s3kloset.Counts) int64 {
	return c.Stored + c.Unchanged + c.Skipped + c.Gone + c.Failed
}

func statusLine(c s3kloset.Counts, elapsed time.Duration) string {
	text := fmt.Sprintf("%d of %d objects, %s", settled(c), c.Listed, size(c.Bytes))
	if seconds := elapsed.Seconds(); seconds >= 1 {
		text += fmt.Sprintf(", %s/s", size(int64(float64(c.Bytes)/seconds)))
	}
	if c.Unchanged > 0 {
		text += fmt.Sprintf(", %d unchanged", c.Unchanged)
	}
	if c.Failed > 0 {
		text += fmt.Sprintf(", %d FAILED", c.Failed)
	}
	return text
}
