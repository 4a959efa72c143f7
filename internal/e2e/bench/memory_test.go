package bench_test

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"
)

// memoryInterval is how often memory is looked at. What is held for less time
// than that, no other process misses.
const memoryInterval = 20 * time.Millisecond

// memory watches the memory that this process has to itself: not the pages of
// files, which hold the data of workloads and belong to whoever needs memory.
type memory struct {
	stopped chan struct{}
	done    sync.WaitGroup
	peak    int64
}

func watchMemory(b testing.TB) *memory {
	m := &memory{stopped: make(chan struct{})}
	m.done.Go(func() {
		tick := time.NewTicker(memoryInterval)
		defer tick.Stop()
		for {
			m.peak = max(m.peak, privateMemory(b))
			select {
			case <-tick.C:
			case <-m.stopped:
				return
			}
		}
	})
	return m
}

// stop returns the peak in bytes.
func (m *memory) stop() int64 {
	close(m.stopped)
	m.done.Wait()
	return m.peak
}

// privateMemory is the resident memory of this process that is not of files, in
// bytes. https://man7.org/linux/man-pages/man5/proc_pid_statm.5.html
func privateMemory(b testing.TB) int64 {
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Error(err)
		return 0
	}
	var size, resident, shared int64
	if _, err := fmt.Sscan(string(statm), &size, &resident, &shared); err != nil {
		b.Errorf("/proc/self/statm is %q: %v", statm, err)
	}
	return (resident - shared) * int64(os.Getpagesize())
}
