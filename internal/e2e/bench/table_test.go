package bench_test

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
)

// bar is what a workload is held to.
type bar struct {
	what  string
	got   float64
	bound float64
	most  bool // the bound is the most, and not the least, that is good
}

func atLeast(bound float64, what string, got float64) bar { return bar{what, got, bound, false} }
func atMost(bound float64, what string, got float64) bar  { return bar{what, got, bound, true} }

func (b bar) met() bool {
	if b.most {
		return b.got <= b.bound
	}
	return b.got >= b.bound
}

func (b bar) String() string {
	sign, verdict := "≥", "met"
	if b.most {
		sign = "≤"
	}
	if !b.met() {
		verdict = "NOT MET"
	}
	return fmt.Sprintf("%s %s %s: %s, %s", b.what, sign, number(b.bound), number(b.got), verdict)
}

func number(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v == float64(int(v)):
		return fmt.Sprintf("%d", int(v))
	}
	return fmt.Sprintf("%.2f", v)
}

// memoryBar is how much more memory than the engine alone a workload may
// take: the default budget of buffers, and 64 MiB.
const memoryBar = 256 + 64

// result is what a workload came to.
type result struct {
	ours, raw, engine legs
	requests          map[string]int // of ours, by operation, in one round
	bars              []bar
}

// rows is the table that is printed at the end.
var rows [][]string

var header = []string{"workload", "ours s", "raw s", "engine s", "of raw", "of engine", "requests", "MiB", "engine MiB", "cpu s", "engine cpu s", "bars"}

// report enters a workload into the table, and into what go test prints.
func report(b *testing.B, r result) {
	b.Helper()
	if len(r.engine) > 0 {
		r.bars = append(r.bars, atMost(memoryBar, "MiB over engine", mib(r.ours.rss())-mib(r.engine.rss())))
	}
	first := strings.TrimPrefix(b.Name(), "Benchmark")
	row := []string{first, seconds(r.ours), seconds(r.raw), seconds(r.engine), ratio(r.raw, r.ours), ratio(r.engine, r.ours),
		requestList(r.requests), number(mib(r.ours.rss())), peaks(r.engine), processor(r.ours), processor(r.engine), ""}
	for i, bar := range r.bars {
		if i > 0 {
			row = make([]string, len(header))
		}
		row[len(row)-1] = bar.String()
		rows = append(rows, row)
		b.ReportMetric(bar.got, strings.ReplaceAll(bar.what, " ", "-"))
		if !bar.met() {
			b.Logf("bar not met: %s", bar)
		}
	}
	b.ReportMetric(0, "ns/op") // means nothing here
	b.ReportMetric(r.ours.wall().Seconds(), "s")
}

// ofSlower is the throughput of ours over that of the slower of raw network and
// engine alone.
func (r result) ofSlower() float64 { return max(over(r.raw, r.ours), over(r.engine, r.ours)) }

func mib(bytes int64) float64 { return float64(bytes) / (1 << 20) }

func peaks(l legs) string {
	if len(l) == 0 {
		return ""
	}
	return number(mib(l.rss()))
}

func processor(l legs) string {
	if len(l) == 0 {
		return ""
	}
	return number(l.cpu().Seconds())
}

func seconds(l legs) string {
	if len(l) == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", l.wall().Seconds())
}

func ratio(other, ours legs) string {
	if len(other) == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", over(other, ours))
}

// abbreviations of operations, in the order in which they are listed.
var abbreviations = []struct{ operation, short string }{
	{"ListObjectsV2", "list"}, {"HeadObject", "head"}, {"GetObject", "get"}, {"GetObjectTagging", "tags"}, {"PutObject", "put"},
	{"CreateMultipartUpload", "create"}, {"UploadPart", "part"}, {"CompleteMultipartUpload", "complete"}, {"DeleteObject", "delete"},
}

func requestList(requests map[string]int) string {
	var list []string
	for _, a := range abbreviations {
		if n := requests[a.operation]; n > 0 {
			list = append(list, fmt.Sprintf("%d %s", n, a.short))
		}
	}
	return strings.Join(list, ", ")
}

// counts are the requests so far, by operation.
func counts(count func(operation string) int) map[string]int {
	all := map[string]int{}
	for _, a := range abbreviations {
		all[a.operation] = count(a.operation)
	}
	return all
}

// less subtracts the requests before from those after.
func less(before, after map[string]int) map[string]int {
	for operation, n := range before {
		after[operation] -= n
	}
	return after
}

// printTable prints all workloads, with the bars that they are held to.
func printTable(w io.Writer) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintln(w)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, row := range slices.Concat([][]string{header}, rows) {
		fmt.Fprintln(table, strings.Join(row, "\t"))
	}
	table.Flush()
	fmt.Fprintln(w, "\nMedians of three rounds. Ratios are of throughput: above 1, ours is faster. MiB are peaks of private memory.")
}
