package s3test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Always as [Fault.Times] means: every time.
const Always = -1

// Fault says which requests meet which misfortune. Op, Bucket, Key and Match select requests; empty ones select all.
// A fault is due from the Nth selected request on, until it has been injected Times times. If several faults are due
// for a request, the one that was added first is injected, and the others stay due.
type Fault struct {
	Name   string             // for messages; made from the selection by default
	Op     string             // name of the operation in the S3 API, such as "GetObject"
	Bucket string             // pattern: "*" stands for any bytes, "\" takes the next byte literally
	Key    string             // pattern
	Match  func(Request) bool // sees the request as far as it is known on arrival; must not use the script

	Nth         int       // 0 is 1
	Times       int       // 0 is 1, and Always if there is a Probability
	Probability float64   // of each due request; 0 is 1
	Until       time.Time // on the server's clock: not due from then on; zero is for ever

	Action Action
}

func (f *Fault) selects(r Request) bool {
	return (f.Op == "" || f.Op == r.Op) &&
		(f.Bucket == "" || matchPattern(f.Bucket, r.Bucket)) &&
		(f.Key == "" || matchPattern(f.Key, r.Key)) &&
		(f.Match == nil || f.Match(r))
}

func (f *Fault) normalize() {
	if f.Nth == 0 {
		f.Nth = 1
	}
	if f.Times == 0 {
		f.Times = 1
		if f.Probability > 0 {
			f.Times = Always
		}
	}
	if f.Probability == 0 {
		f.Probability = 1
	}
	if f.Name == "" {
		f.Name = strings.TrimSpace(fmt.Sprintf("%s %s/%s", f.Op, f.Bucket, f.Key))
	}
}

// Injection is a fault in a script. Its methods are safe for concurrent use.
type Injection struct {
	script  *FaultScript
	fault   Fault
	matched int
	fired   int
	missed  int // times that the action could not do what it is for
}

// Fired returns how often the fault was injected.
func (i *Injection) Fired() int {
	i.script.mu.Lock()
	defer i.script.mu.Unlock()
	return i.fired
}

// Matched returns how many requests the fault selected, injected or not.
func (i *Injection) Matched() int {
	i.script.mu.Lock()
	defer i.script.mu.Unlock()
	return i.matched
}

// Remove takes the fault out of the script. It then counts as exercised.
func (i *Injection) Remove() {
	i.script.mu.Lock()
	defer i.script.mu.Unlock()
	i.script.injections = slices.DeleteFunc(i.script.injections, func(j *Injection) bool { return i == j })
}

// describe tells how often the fault was injected. The script's lock is held.
func (i *Injection) describe() string {
	if i.missed > 0 {
		return fmt.Sprintf("%s (injected %d times, %d of them without effect)", i.fault.Name, i.fired, i.missed)
	}
	return fmt.Sprintf("%s (injected %d times)", i.fault.Name, i.fired)
}

// miss notes that the fault was injected and had no effect.
func (i *Injection) miss() {
	i.script.mu.Lock()
	defer i.script.mu.Unlock()
	i.missed++
}

// due counts the request and decides whether the fault meets it. The script's lock is held.
func (i *Injection) due(r Request, now time.Time, random *rand.Rand) bool {
	f := &i.fault
	if !f.selects(r) {
		return false
	}
	i.matched++
	if i.matched < f.Nth || f.Times != Always && i.fired >= f.Times {
		return false
	}
	if !f.Until.IsZero() && !now.Before(f.Until) {
		return false
	}
	return f.Probability >= 1 || random.Float64() < f.Probability
}

// FaultScript holds faults in the order in which they were added. The zero value is empty and ready for use. Its
// methods are safe for concurrent use.
type FaultScript struct {
	mu         sync.Mutex
	injections []*Injection
	random     *rand.Rand
}

// Add puts a fault at the end of the script. It panics if the fault has no action.
func (s *FaultScript) Add(f Fault) *Injection {
	if f.Action == nil {
		panic("s3test: fault without action")
	}
	f.normalize()
	s.mu.Lock()
	defer s.mu.Unlock()
	i := &Injection{script: s, fault: f}
	s.injections = append(s.injections, i)
	return i
}

// Seed restarts the generator behind [Fault.Probability]. Without it the seed is 1.
func (s *FaultScript) Seed(seed uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.random = rand.New(rand.NewPCG(seed, seed))
}

// Clear removes all faults.
func (s *FaultScript) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.injections = nil
}

// Unfired names the faults that were not injected as often as their Times says; for those with Always, the ones that
// were never injected. An injection that changed nothing, such as CutAfter of more bytes than the body had, counts as
// none.
func (s *FaultScript) Unfired() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for _, i := range s.injections {
		if i.fired-i.missed < max(i.fault.Times, 1) {
			names = append(names, i.describe())
		}
	}
	return names
}

// VerifyAll fails the test unless every fault was injected as often as its Times says.
func (s *FaultScript) VerifyAll(t TB) {
	t.Helper()
	if unfired := s.Unfired(); len(unfired) > 0 {
		t.Fatalf("faults that were not exercised: %s", strings.Join(unfired, ", "))
	}
}

// wrap puts the action of the fault that is due, if one is, around next.
func (s *FaultScript) wrap(c *call, now time.Time, next http.Handler) http.Handler {
	chosen := s.choose(*c.entry, now)
	if chosen == nil {
		return next
	}
	c.inject(chosen)
	return chosen.fault.Action(next)
}

// choose shows the request to all faults and takes the first that is due.
func (s *FaultScript) choose(r Request, now time.Time) *Injection {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.random == nil {
		s.random = rand.New(rand.NewPCG(1, 1))
	}
	var chosen *Injection
	for _, i := range s.injections {
		if i.due(r, now, s.random) && chosen == nil {
			chosen = i
			chosen.fired++
		}
	}
	return chosen
}

// matchPattern is a glob over bytes in which "*" crosses slashes.
func matchPattern(pattern, s string) bool {
	for pattern != "" {
		switch {
		case pattern[0] == '*':
			for i := 0; i <= len(s); i++ {
				if matchPattern(pattern[1:], s[i:]) {
					return true
				}
			}
			return false
		case pattern[0] == '\\' && len(pattern) > 1:
			pattern = pattern[1:]
		}
		if s == "" || s[0] != pattern[0] {
			return false
		}
		pattern, s = pattern[1:], s[1:]
	}
	return s == ""
}
