package bucket

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"sync"
)

// Parallel says how the ranges of one object are read beside each other.
type Parallel struct {
	// RangeSize is the length of a range in bytes; 0 is DefaultRangeSize.
	RangeSize int64
	// Streams is how many ranges are under way or held at a time; 0 is
	// DefaultStreams. One is a plain Get.
	Streams int
	// Memory is the budget of the ranges that are read ahead; nil is none. The
	// range that is being delivered needs no budget, so that a reader goes on,
	// if slower, when others hold all of it.
	Memory *Memory
	// Known is what an earlier answer said of this state of the object: size,
	// ETag and checksums. When it is nil, a HEAD asks.
	Known *Attributes
}

// DefaultRangeSize is large enough for the latency of a request not to count,
// and is the size of the parts that most objects were uploaded in.
const DefaultRangeSize = 8 << 20

// DefaultStreams is where more connections bring little on most networks.
const DefaultStreams = 8

// GetParallel is Get with several connections. Ranges are pinned to one state
// of the object, resume on their own, and are delivered in order as one body,
// which is verified as a whole where the object has a checksum for that. An
// object of one range at most is read with a plain Get.
//
// Beyond the first range no more than Streams of them are in memory. The
// budget is given back while the body is read, all of it when it is closed.
func (c *Client) GetParallel(ctx context.Context, key string, pin Pin, p Parallel) (*Object, error) {
	if p.RangeSize <= 0 {
		p.RangeSize = DefaultRangeSize
	}
	if p.Streams <= 0 {
		p.Streams = DefaultStreams
	}
	if p.Streams == 1 || (pin.Sized && pin.Size <= p.RangeSize) {
		return c.Get(ctx, key, pin)
	}
	attributes, err := c.known(ctx, key, pin, p)
	if err != nil {
		return nil, err
	}
	if attributes.Size <= p.RangeSize || pin.ETag == "" && attributes.ETag == "" {
		// Nothing to divide, or nothing that holds the pieces together.
		return c.Get(ctx, key, pin)
	}
	if pin.Sized && attributes.Size != pin.Size {
		return nil, &OpError{Op: "get", Bucket: c.name, Key: key, Kind: ErrBody,
			Err: fmt.Errorf("answer announces %d bytes of %d", attributes.Size, pin.Size)}
	}
	body := c.newRanges(ctx, key, pin, attributes, p)
	if err := body.start(); err != nil {
		body.Close()
		return nil, err
	}
	return &Object{Attributes: attributes, Body: body}, nil
}

func (c *Client) known(ctx context.Context, key string, pin Pin, p Parallel) (Attributes, error) {
	if p.Known != nil {
		return *p.Known, nil
	}
	return c.Head(ctx, key, pin)
}

// ranges is a body whose pieces come over several connections.
//
// Pieces are claimed in order: by the planner, which reads them ahead as far
// as slots and budget allow, or by Read itself when it needs one that the
// planner has not got to. So Read never waits for budget.
type ranges struct {
	client *Client
	key    string
	pin    Pin
	size   int64
	length int64 // of a piece
	memory *Memory
	slots  chan struct{} // one for each piece that is ahead

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu     sync.Mutex // of the three below
	next   int64      // offset of the first piece that nobody has claimed
	ahead  []*piece   // claimed by the planner, in order
	broken bool       // a piece failed: none is claimed any more

	reading sync.Mutex // held by Read and Close
	current io.ReadCloser
	done    int64
	hash    hash.Hash // nil: nothing to compare with
	want    Checksum
	err     error
}

func (c *Client) newRanges(ctx context.Context, key string, pin Pin, a Attributes, p Parallel) *ranges {
	r := &ranges{
		client: c, key: key, pin: pin.pinned(a),
		size: a.Size, length: p.RangeSize, memory: p.Memory, slots: make(chan struct{}, p.Streams-1),
	}
	if r.memory == nil {
		r.memory = NewMemory(p.RangeSize * int64(p.Streams))
	}
	if sum, ok := cheapest(a.Checksums); ok {
		r.want, r.hash = sum, newHash(sum.Algorithm)
	}
	r.ctx, r.cancel = context.WithCancel(ctx)
	r.current = r.straight(span{})
	return r
}

// start opens the first piece, which goes straight through: nobody has to wait
// for all of it. The others are asked for meanwhile.
func (r *ranges) start() error {
	first := r.straight(r.claim())
	r.current = first
	r.wg.Go(r.plan)
	return first.open()
}

// claim takes the next piece; its length is 0 when there is none left.
func (r *ranges) claim() span {
	s := span{r.next, min(r.length, r.size-r.next)}
	r.next += s.length
	return s
}

// plan reads pieces ahead until there are no more.
func (r *ranges) plan() {
	for {
		select {
		case r.slots <- struct{}{}:
		case <-r.ctx.Done():
			return
		}
		release, err := r.memory.Acquire(r.ctx, r.length)
		if err != nil {
			return
		}
		p := r.take(release)
		if p == nil {
			release()
			return
		}
		r.wg.Go(func() { r.fill(p) })
	}
}

// take claims a piece for the planner.
func (r *ranges) take(release func()) *piece {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.broken {
		return nil
	}
	s := r.claim()
	if s.length == 0 {
		return nil
	}
	p := &piece{span: s, release: release, ready: make(chan struct{})}
	r.ahead = append(r.ahead, p)
	return p
}

// piece is a range that is read ahead.
type piece struct {
	span
	release func()        // gives the budget back
	ready   chan struct{} // closed when bytes and err are set
	bytes   []byte
	err     error
}

func (r *ranges) fill(p *piece) {
	defer close(p.ready)
	body := r.straight(p.span)
	defer body.Close()
	p.bytes = r.memory.buffer(r.length)[:p.length]
	if _, p.err = io.ReadFull(body, p.bytes); p.err != nil {
		r.mu.Lock()
		r.broken = true
		r.mu.Unlock()
	}
}

// straight reads one piece from its own connection, which it opens with the
// first Read.
func (r *ranges) straight(s span) *rangeReader { return &rangeReader{ranges: r, span: s} }

type rangeReader struct {
	ranges *ranges
	span   span
	body   io.ReadCloser // nil: not open
	done   int64
}

func (b *rangeReader) open() error {
	object, err := b.ranges.client.GetRange(b.ranges.ctx, b.ranges.key, b.ranges.pin, b.span.offset, b.span.length)
	if err == nil {
		b.body = object.Body
	}
	return err
}

func (b *rangeReader) Read(p []byte) (int, error) {
	r := b.ranges
	if b.body == nil {
		if err := b.open(); err != nil {
			return 0, err
		}
	}
	n, err := b.body.Read(p)
	b.done += int64(n)
	if err == io.EOF && b.done < b.span.length {
		err = &OpError{Op: "get", Bucket: r.client.name, Key: r.key, Kind: ErrBody,
			Err: fmt.Errorf("object ends after %d of %d bytes", b.span.offset+b.done, r.size)}
	}
	return n, err
}

func (b *rangeReader) Close() error {
	if b.body == nil {
		return nil
	}
	return b.body.Close()
}

// held reads a piece from memory, and gives its budget back when it is closed.
type held struct {
	ranges *ranges
	piece  *piece
	done   int
}

func (b *held) Read(p []byte) (int, error) {
	select {
	case <-b.piece.ready:
	case <-b.ranges.ctx.Done():
		return 0, b.ranges.ctx.Err()
	}
	if b.piece.err != nil {
		return 0, b.piece.err
	}
	n := copy(p, b.piece.bytes[b.done:])
	if b.done += n; b.done == len(b.piece.bytes) {
		return n, io.EOF
	}
	return n, nil
}

// Close waits for a piece that is still being read.
func (b *held) Close() error {
	<-b.piece.ready
	b.ranges.memory.recycle(b.piece.bytes)
	b.piece.release()
	<-b.ranges.slots
	return nil
}

func (r *ranges) Read(p []byte) (int, error) {
	r.reading.Lock()
	defer r.reading.Unlock()
	for r.err == nil && len(p) > 0 {
		n, err := r.current.Read(p)
		r.done += int64(n)
		if r.hash != nil {
			r.hash.Write(p[:n])
		}
		switch {
		case err == io.EOF:
			r.advance()
		case err != nil:
			r.fail(err)
		}
		if n > 0 {
			return n, nil
		}
	}
	return 0, r.err
}

// advance goes on to the next piece, or to the end.
func (r *ranges) advance() {
	r.current.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.ahead) > 0 {
		r.current = &held{ranges: r, piece: r.ahead[0]}
		r.ahead = r.ahead[1:]
		return
	}
	s := r.claim()
	r.current = r.straight(s)
	if s.length == 0 {
		r.err = r.verify()
	}
}

// fail remembers why the body ended.
func (r *ranges) fail(err error) {
	// The end of the caller's context is the caller's; ours ends with Close.
	if errors.Is(err, context.Canceled) && r.ctx.Err() != nil {
		err = r.ctx.Err()
	}
	r.err = err
	r.cancel()
}

// verify compares the bytes with the checksum of the object and gives the end
// of the body.
func (r *ranges) verify() error {
	if r.hash == nil {
		return io.EOF
	}
	if got := encodeSum(r.hash); got != r.want.Value {
		return &OpError{Op: "get", Bucket: r.client.name, Key: r.key, Kind: ErrChecksum,
			Err: fmt.Errorf("%s of the bytes is %s, that of the object %s", r.want.Algorithm, got, r.want.Value)}
	}
	return io.EOF
}

// Close ends all connections, waits for them, and gives the whole budget back.
// It may be called while another goroutine reads.
func (r *ranges) Close() error {
	r.cancel()
	r.reading.Lock()
	defer r.reading.Unlock()
	r.wg.Wait()
	r.current.Close()
	r.current = r.straight(span{})
	for _, p := range r.ahead {
		(&held{ranges: r, piece: p}).Close()
	}
	r.ahead = nil
	if r.err == nil {
		r.err = &OpError{Op: "get", Bucket: r.client.name, Key: r.key, Kind: ErrClosed}
	}
	return nil
}
