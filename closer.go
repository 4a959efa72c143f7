package s3kloset

import (
	"io"

	"github.com/PlakarKorp/kloset/connectors"
)

// closingAtEnd returns a record whose body closes as soon as it has been read,
// not when it has been uploaded: what sends bodies one after the other may be
// waiting for that. The answer to the record then closes nothing a second time.
func closingAtEnd(record *connectors.Record) *connectors.Record {
	if record.Reader == nil {
		return record
	}
	watched := *record
	watched.Reader = &closer{ReadCloser: record.Reader}
	return &watched
}

type closer struct {
	io.ReadCloser
	err    error // of Read, final
	closed bool
}

func (c *closer) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.ReadCloser.Read(p)
	if err != nil {
		c.err = err
		c.Close() // what counts is how the reading went
	}
	return n, err
}

func (c *closer) Close() error {
	if c.closed {
		return nil
	}
	c.closed = true
	return c.ReadCloser.Close()
}
