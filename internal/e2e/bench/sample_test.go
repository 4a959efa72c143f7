package bench_test

import (
	"runtime"
	"runtime/debug"
	"slices"
	"syscall"
	"testing"
	"time"
)

// rounds is how often each leg runs; the median counts.
const rounds = 3

// sample is what one leg cost.
type sample struct {
	wall time.Duration
	cpu  time.Duration
	rss  int64 // peak, in bytes
}

// measure runs a leg.
func measure(b testing.TB, leg func()) sample {
	b.Helper()
	runtime.GC()
	debug.FreeOSMemory()
	memory := watchMemory(b)
	cpu, start := processorTime(b), time.Now()
	leg()
	s := sample{wall: time.Since(start), cpu: processorTime(b) - cpu}
	s.rss = memory.stop()
	return s
}

// legs are the samples of one leg, round after round.
type legs []sample

func (l legs) wall() time.Duration { return median(l, func(s sample) time.Duration { return s.wall }) }
func (l legs) cpu() time.Duration  { return median(l, func(s sample) time.Duration { return s.cpu }) }
func (l legs) rss() int64          { return median(l, func(s sample) int64 { return s.rss }) }

func median[T interface{ ~int64 }](l legs, of func(sample) T) T {
	values := make([]T, len(l))
	for i, s := range l {
		values[i] = of(s)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// over is how many times faster ours is than the other.
func over(other, ours legs) float64 { return other.wall().Seconds() / ours.wall().Seconds() }

func processorTime(b testing.TB) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
