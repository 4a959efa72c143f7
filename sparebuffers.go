package s3kloset

import "slices"

// spareBuffers are buffers that wait for another use, the oldest first. A new one
// would have to be cleared, and would be garbage beside those in use: that costs
// as much as the reading.
type spareBuffers struct {
	buffers [][]byte
	bytes   int64
}

// take returns a buffer of n bytes, whatever is in it.
func (s *spareBuffers) take(n int64) []byte {
	for i, b := range slices.Backward(s.buffers) {
		// Most reads are of one length, and a longer buffer would hold more than is counted.
		if int64(len(b)) == n {
			s.buffers = slices.Delete(s.buffers, i, i+1)
			s.bytes -= n
			return b
		}
	}
	return make([]byte, n)
}

func (s *spareBuffers) put(b []byte) {
	s.buffers = append(s.buffers, b)
	s.bytes += int64(len(b))
}

// shrink lets go of buffers until the rest have no more than so many bytes.
func (s *spareBuffers) shrink(most int64) {
	n := 0
	for ; n < len(s.buffers) && s.bytes > most; n++ {
		s.bytes -= int64(len(s.buffers[n]))
	}
	s.buffers = slices.Delete(s.buffers, 0, n)
}
