package bucket

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
)

// grace is how long a request may go on after its context has ended whose answer
// is needed to undo it.
const grace = 5 * time.Second

// withGrace lets the attempt that runs when the context ends go on for a while.
// None is begun after that.
func withGrace(o *s3.Options) {
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("s3klosetGrace",
			func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
				if err := ctx.Err(); err != nil {
					return middleware.FinalizeOutput{}, middleware.Metadata{}, err
				}
				longer, end := graceful(ctx)
				defer end()
				out, metadata, err := next.HandleFinalize(longer, in)
				if err != nil && ctx.Err() != nil {
					err = ctx.Err()
				}
				return out, metadata, err
			}), turnStep, middleware.After)
	})
}

// graceful is a context that ends later than another, or when end is called.
func graceful(ctx context.Context) (_ context.Context, end func()) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	over, done := make(chan struct{}), make(chan struct{})
	forget := context.AfterFunc(ctx, func() {
		defer close(done)
		last := time.NewTimer(grace)
		defer last.Stop()
		select {
		case <-last.C:
			cancel()
		case <-over:
		}
	})
	return longer, func() {
		close(over)
		if !forget() {
			<-done
		}
		cancel()
	}
}
