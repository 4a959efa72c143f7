package s3kloset

import (
	"context"

	"github.com/s3kloset/s3kloset/internal/bucket"
)

// Identity says who makes the requests, and where the credentials came from.
// It holds no secret.
type Identity = bucket.Identity

// Identity gets the credentials, as the first request would, and asks STS who
// they belong to. STS needs no permission for that, but it is only there on
// AWS; elsewhere the access key and its origin are all that can be known. The
// error is ErrCredentials when there are no credentials. When only STS fails,
// what is known comes beside the error.
func (b *Bucket) Identity(ctx context.Context) (Identity, error) {
	return b.client.Identity(ctx)
}
