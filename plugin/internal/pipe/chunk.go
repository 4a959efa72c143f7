package pipe

import (
	"io"
	"sync"
)

// chunkSize is the most body bytes in a message. The host takes messages up to
// 4 MiB and sends 1 MiB itself.
const chunkSize = 1 << 20

// chunks are buffers of chunkSize; a message is copied out of one before Send
// returns.
var chunks = sync.Pool{New: func() any { return new([chunkSize]byte) }}

// sendBody sends what body holds in chunks, none of them empty: an empty chunk
// is an error for the host in one direction and the end of a body in the other.
func sendBody(body io.Reader, send func(chunk []byte) error) error {
	buffer := chunks.Get().(*[chunkSize]byte)
	defer chunks.Put(buffer)
	for {
		n, err := fill(body, buffer[:])
		if n > 0 {
			if err := send(buffer[:n]); err != nil {
				return err
			}
		}
		switch err {
		case nil:
		case io.EOF:
			return nil
		default:
			return err
		}
	}
}

// fill reads until p is full or body ends. Unlike io.ReadFull it returns the
// error of body itself, for io.ErrUnexpectedEOF is what broken bodies end with.
func fill(body io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var read int
		read, err = body.Read(p[n:])
		n += read
	}
	return n, err
}
