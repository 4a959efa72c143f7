package s3kloset

import (
	"context"
	"sync"

	"github.com/PlakarKorp/kloset/connectors/storage"
	"github.com/PlakarKorp/kloset/objects"
	"github.com/PlakarKorp/kloset/repository/state"
	"github.com/PlakarKorp/kloset/resources"
)

const (
	// foresight is how far ahead of the reader an object is announced, as far as
	// the store has the memory.
	foresight = 64 << 20
	// stride is the length of the reads that are announced: with a margin at both
	// ends, and from page to page, it is one of the longest that there are. Several
	// are under way, as one connection to S3 is slower than the engine.
	stride = maxSpan - 2*engineMargin - pageSize
	// foreseenFrom is the size from which objects are announced. Smaller ones have
	// few chunks, most of which lie beside each other.
	foreseenFrom = stride
	// detour is the longest gap between two chunks that is rather read than left out.
	detour = 1 << 20
	// engineMargin is the most that the engine asks for before and after what it
	// needs: the root of a length that is less than 4 GiB.
	engineMargin = 64 << 10
)

// foreseeing is a store that begins to read what it is told will be read.
type foreseeing interface {
	// expect returns how many bytes of the range need not be announced again. The
	// rest must be, when some of what was announced has been read.
	expect(by *itinerary, packfile objects.MAC, offset, length int64) (settled int64)
	// lapse tells that nothing more of what was announced will be read.
	lapse(by *itinerary)
}

// itinerary tells a store from which ranges of which packfiles an object will be
// read. The engine asks for one when it has used up the one before, and the store
// alone cannot know which packfile comes next: without this, the reader waits for
// the beginning of each.
//
// All methods do nothing on a nil itinerary. It is safe for concurrent use.
type itinerary struct {
	store foreseeing
	state *mergedState
	stop  func() bool // of what ends it with the operation

	mu     sync.Mutex
	chunks []objects.Chunk // not looked up yet
	found  int64           // bytes of the object that were
	legs   []leg           // not announced yet
	usable map[objects.MAC]bool
}

// leg is a range of a packfile that holds a range of the object.
type leg struct {
	packfile    objects.MAC
	offset, end int64 // in the packfile
	from, to    int64 // in the object
}

// planRead makes the itinerary of an object, nil where there is nothing to gain.
// It ends with the operation, if not before.
func (op *operation) planRead(object *objects.Object, size int64) *itinerary {
	store, ok := op.owner.store.(foreseeing)
	if !ok || size < foreseenFrom {
		return nil
	}
	i := newItinerary(store, op.state, object.Chunks)
	i.stop = context.AfterFunc(op.ctx, i.end)
	return i
}

func newItinerary(store foreseeing, state *mergedState, chunks []objects.Chunk) *itinerary {
	return &itinerary{store: store, state: state, stop: func() bool { return true }, chunks: chunks, usable: make(map[objects.MAC]bool)}
}

// advance announces what comes after the bytes that were read.
func (i *itinerary) advance(read int64) {
	if i == nil {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for i.announce(read) && len(i.chunks) > 0 && i.found < read+foresight {
		i.lookUp()
	}
}

// end says that the reader is through, or has given up.
func (i *itinerary) end() {
	if i == nil {
		return
	}
	i.stop()
	i.mu.Lock()
	defer i.mu.Unlock()
	i.chunks, i.legs = nil, nil
	i.store.lapse(i)
}

// lookUp finds out where the engine will find the next chunk. One that is nowhere
// is left to the engine, which will fail.
func (i *itinerary) lookUp() {
	chunk := i.chunks[0]
	i.chunks = i.chunks[1:]
	from := i.found
	i.found += int64(chunk.Length)
	for _, raw := range i.state.GetDelta(resources.RT_CHUNK, chunk.ContentMAC) {
		entry, err := state.DeltaEntryFromBytes(raw)
		if err != nil || !i.canUse(entry.Location.Packfile) {
			continue
		}
		offset := int64(entry.Location.Offset)
		i.add(leg{entry.Location.Packfile, offset, offset + int64(entry.Location.Length), from, i.found})
		return
	}
}

// canUse tells whether the engine reads from a packfile: not from one that is
// marked for removal, which may be archived, and would be thawed for nothing.
func (i *itinerary) canUse(packfile objects.MAC) bool {
	usable, known := i.usable[packfile]
	if !known {
		there, err := i.state.HasPackfile(packfile)
		marked, failed := i.state.HasColoured(resources.RT_PACKFILE, packfile)
		usable = there && !marked && err == nil && failed == nil
		i.usable[packfile] = usable
	}
	return usable
}

// add makes the last leg longer, or begins another.
func (i *itinerary) add(next leg) {
	if n := len(i.legs); n > 0 {
		last := &i.legs[n-1]
		if last.packfile == next.packfile && next.offset >= last.offset && next.offset <= last.end+detour {
			last.end, last.to = max(last.end, next.end), next.to
			return
		}
	}
	i.legs = append(i.legs, next)
}

// announce tells the store of the legs that are complete, and of full strides of
// the last one. It returns false when the store has no room for more now.
func (i *itinerary) announce(read int64) bool {
	for len(i.legs) > 0 {
		l := &i.legs[0]
		l.pass(read)
		complete := len(i.legs) > 1 || len(i.chunks) == 0
		length := min(stride, l.end-l.offset)
		switch {
		case length <= 0 && complete:
			i.legs = i.legs[1:]
			continue
		case length < stride && !complete:
			return true
		}
		told := i.tell(l, length)
		if l.skip(told); told < length {
			return false
		}
	}
	return true
}

// pass leaves out what the reader has passed while the store had no room.
func (l *leg) pass(read int64) {
	if read > l.from && l.to > l.from {
		part := min(1, float64(read-l.from)/float64(l.to-l.from))
		l.skip(int64(part * float64(l.end-l.offset)))
	}
}

// skip shortens the leg at its beginning, and its part of the object alike.
func (l *leg) skip(n int64) {
	if n > 0 {
		l.from += int64(float64(n) / float64(l.end-l.offset) * float64(l.to-l.from))
		l.offset += n
	}
}

// tell announces the beginning of a leg, and returns how much of it is settled.
func (i *itinerary) tell(l *leg, length int64) int64 {
	begin := l.offset + int64(storage.STORAGE_HEADER_SIZE)
	from, to := max(0, begin-engineMargin), begin+length+engineMargin
	settled := i.store.expect(i, l.packfile, from, to-from)
	return max(0, min(from+settled-begin, length))
}
