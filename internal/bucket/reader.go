package bucket

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
)

// reader is the body of an object that survives its connections.
type reader struct {
	ctx    context.Context
	client *Client
	key    string
	pin    Pin
	start  int64 // offset in the object of the first byte
	size   int64 // bytes that must come; -1: as many as there are
	done   int64 // bytes that came
	tries  int   // resumed without progress
	body   io.ReadCloser
	hash   hash.Hash // nil: nothing to compare with
	want   Checksum
	err    error // final
}

func (r *reader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	for {
		n, err := r.body.Read(p)
		if n > 0 {
			r.tries = 0
			r.advance(p[:n])
		}
		switch {
		case err == nil && !r.tooLong():
			if n > 0 || len(p) == 0 {
				return n, nil
			}
		case r.tooLong():
			return 0, r.fail(&OpError{Op: "get", Bucket: r.client.name, Key: r.key, Kind: ErrBody,
				Err: fmt.Errorf("more than the announced %d bytes", r.size)})
		case err == io.EOF && r.complete():
			return n, r.fail(r.verify())
		default:
			if err := r.resume(err); err != nil {
				return n, r.fail(err)
			}
			if n > 0 {
				return n, nil
			}
		}
	}
}

func (r *reader) advance(p []byte) {
	r.done += int64(len(p))
	if r.hash != nil {
		r.hash.Write(p)
	}
}

func (r *reader) tooLong() bool  { return r.size >= 0 && r.done > r.size }
func (r *reader) complete() bool { return r.size < 0 || r.done == r.size }

// fail remembers how the body ended.
func (r *reader) fail(err error) error {
	r.err = err
	return err
}

// verify compares what was read with the object's checksum and gives the end
// of the body.
func (r *reader) verify() error {
	if r.hash == nil {
		return io.EOF
	}
	if got := encodeSum(r.hash); got != r.want.Value {
		return &OpError{Op: "get", Bucket: r.client.name, Key: r.key, Kind: ErrChecksum,
			Err: fmt.Errorf("%s of the bytes is %s, that of the object %s", r.want.Algorithm, got, r.want.Value)}
	}
	return io.EOF
}

// resume opens the object again where the last connection ended.
func (r *reader) resume(cause error) error {
	r.body.Close()
	if err := r.ctx.Err(); err != nil {
		return err
	}
	failed := func(err error) error {
		return &OpError{Op: "get", Bucket: r.client.name, Key: r.key, Kind: ErrBody,
			Err: fmt.Errorf("body ended after %d of %d bytes: %w", r.done, r.size, err)}
	}
	if cause == io.EOF {
		cause = io.ErrUnexpectedEOF
	}
	// Without a length nobody knows where to stop, without an ETag or a
	// version nobody knows whether the rest belongs to the same object.
	if r.size < 0 || (r.pin.ETag == "" && r.pin.VersionID == "") {
		return failed(cause)
	}
	if r.tries++; r.tries > readTries {
		return failed(cause)
	}
	if err := sleep(r.ctx, backoff(r.tries-1)); err != nil {
		return err
	}
	r.client.cfg.Logger.Debug("resuming a read", "bucket", r.client.name, "key", r.key, "offset", r.start+r.done, "reason", cause.Error())
	return r.reopen()
}

func (r *reader) reopen() error {
	left := r.size - r.done
	if left == 0 {
		// All bytes came; only the clean end did not.
		r.body = http.NoBody
		return nil
	}
	attributes, body, err := r.client.fetch(r.ctx, r.key, r.pin, r.start+r.done, left)
	if err != nil {
		r.body = http.NoBody
		if errors.Is(err, ErrBody) {
			return r.resume(err)
		}
		return err
	}
	r.body = body
	if attributes.Size >= 0 && attributes.Size < left {
		// The rest shrank: a lying answer, or a lying length before.
		return r.resume(io.ErrUnexpectedEOF)
	}
	return nil
}

// Close lets go of the connection.
func (r *reader) Close() error {
	if r.err == nil {
		r.err = &OpError{Op: "get", Bucket: r.client.name, Key: r.key, Kind: ErrClosed}
	}
	return r.body.Close()
}
