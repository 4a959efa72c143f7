package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/s3kloset/s3kloset"
)

// printTable writes a diagnosis for people: a line for each check, and below it
// what is done or can be done about it.
func printTable(w io.Writer, d *s3kloset.Diagnosis) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s as a %s\n\n", d.Location, d.Role)
	width := 0
	for _, f := range d.Findings {
		width = max(width, len(f.Check))
	}
	indent := strings.Repeat(" ", width+len("  degraded  "))
	for _, f := range d.Findings {
		fmt.Fprintf(&b, "%-*s  %-8s  %s\n", width, f.Check, f.Verdict, f.Detail)
		if f.Remedy != "" {
			fmt.Fprintf(&b, "%s→ %s\n", indent, f.Remedy)
		}
		if f.Err != nil {
			fmt.Fprintf(&b, "%s  (%v)\n", indent, f.Err)
		}
	}
	fmt.Fprintf(&b, "\n%s: %s\n", strings.ToUpper(d.Verdict().String()), summary(d))
	_, err := io.WriteString(w, b.String())
	return err
}

func summary(d *s3kloset.Diagnosis) string {
	counts := make(map[s3kloset.Verdict]int)
	for _, f := range d.Findings {
		counts[f.Verdict]++
	}
	var requests int64
	for _, n := range d.Requests {
		requests += n
	}
	return fmt.Sprintf("%d ok, %d untested, %d degraded, %d broken; %d requests in %v",
		counts[s3kloset.VerdictOK], counts[s3kloset.VerdictUntested], counts[s3kloset.VerdictDegraded],
		counts[s3kloset.VerdictBroken], requests, d.Duration.Round(time.Millisecond))
}
