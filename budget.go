package s3kloset

import "github.com/s3kloset/s3kloset/internal/bucket"

// ErrBudget reports that a handle has spent the requests or the bytes that
// WithMaxRequests or WithMaxBytes allow it.
var ErrBudget = bucket.ErrBudget

// WithMaxRequests is how many HTTP requests the handle may make in its life,
// retries included. A run that needs more ends with ErrBudget: a backup leaves
// no snapshot, a restore what it has written until then. The requests that
// clean up, those that abort uploads and those for locks of a repository, are
// made in any case. The default is no limit.
func WithMaxRequests(n int64) Option {
	return func(c *config) error {
		if n < 1 {
			return invalid("max_requests", "%d is not positive", n)
		}
		c.client.MaxRequests = n
		return nil
	}
}

// WithMaxBytes is how many bytes of bodies the handle may send and receive in
// its life, retries included. See WithMaxRequests for what comes then. The
// default is no limit.
func WithMaxBytes(n int64) Option {
	return func(c *config) error {
		if n < 1 {
			return invalid("max_bytes", "%d is not positive", n)
		}
		c.client.MaxBytes = n
		return nil
	}
}
