package main

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/s3kloset/s3kloset"
)

// screen is a terminal that announces a text once it has been written.
type screen struct {
	mu      sync.Mutex
	all     bytes.Buffer
	text    string
	written chan struct{}
}

func newScreen(text string) *screen { return &screen{text: text, written: make(chan struct{})} }

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := strings.Contains(s.all.String(), s.text)
	s.all.Write(p)
	if !before && strings.Contains(s.all.String(), s.text) {
		close(s.written)
	}
	return len(p), nil
}

func TestDisplayOnTerminal(t *testing.T) {
	for _, objects := range []int64{0, 10} {
		s := newScreen("3 of 7 objects, 2.0 KiB")
		d := newDisplay(s)
		d.terminal = true
		d.begin("working", objects)
		d.follow(s3kloset.Progress{Counts: s3kloset.Counts{Listed: 7, Stored: 2, Unchanged: 1, Bytes: 2048}})
		select {
		case <-s.written:
		case <-time.After(time.Minute):
			t.Errorf("%d objects: the terminal shows no progress", objects)
		}
		d.end()
		if !strings.HasPrefix(s.all.String(), "working ...\n") {
			t.Errorf("the display begins with %.20q", s.all.String())
		}
	}
}

func TestDisplayElsewhere(t *testing.T) {
	var out bytes.Buffer
	d := newDisplay(&out)
	d.begin("working", 0)
	d.follow(s3kloset.Progress{Counts: s3kloset.Counts{Listed: 7}})
	d.end()
	if out.String() != "working ...\n" {
		t.Errorf("a file gets %q", out.String())
	}
}

func TestStatusLine(t *testing.T) {
	for _, test := range []struct {
		counts  s3kloset.Counts
		elapsed time.Duration
		want    string
	}{
		{s3kloset.Counts{}, 0, "0 of 0 objects, 0 B"},
		{s3kloset.Counts{Listed: 9, Stored: 4, Bytes: 3 << 20}, 2 * time.Second, "4 of 9 objects, 3.0 MiB, 1.5 MiB/s"},
		{s3kloset.Counts{Listed: 9, Stored: 1, Unchanged: 2, Skipped: 1, Gone: 1, Failed: 3}, 0, "8 of 9 objects, 0 B, 2 unchanged, 3 FAILED"},
	} {
		if got := statusLine(test.counts, test.elapsed); got != test.want {
			t.Errorf("%+v after %v: %q, want %q", test.counts, test.elapsed, got, test.want)
		}
	}
}

func TestSize(t *testing.T) {
	for bytes, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 1 << 20: "1.0 MiB", 5 << 30: "5.0 GiB", 1 << 62: "4.0 EiB",
	} {
		if got := size(bytes); got != want {
			t.Errorf("%d: %q, want %q", bytes, got, want)
		}
	}
}

// What cannot be written was not reported.
func TestReportThatCannotBeWritten(t *testing.T) {
	for _, asJSON := range []bool{true, false} {
		if err := write(brokenWriter{}, &toolReport{}, nil, asJSON); err == nil {
			t.Errorf("json %v: no error", asJSON)
		}
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
