package bucket

import (
	"context"

	"github.com/aws/smithy-go/middleware"
)

// turns bound how many requests of a client are under way: from the first byte
// that is sent to the head of the answer. The bodies of answers are read without
// a turn, for who has opened several and reads one would wait for itself.
type turns chan struct{}

func newTurns(n int) turns {
	if n <= 0 {
		return nil
	}
	return make(turns, n)
}

// take waits until it is the caller's turn, which ends when it is given back.
func (t turns) take(ctx context.Context) (giveBack func(), err error) {
	if t == nil || isUrgent(ctx) {
		return func() {}, nil
	}
	select {
	case t <- struct{}{}:
		return func() { <-t }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// turnStep is the name of the step of the SDK in which a request has its turn.
const turnStep = "s3klosetTurn"

// takeTurns gives each attempt a turn of its own, so that nobody has one while it
// waits to try again.
func (c *Client) takeTurns(stack *middleware.Stack) error {
	return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc(turnStep,
		func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
			giveBack, err := c.turns.take(ctx)
			if err != nil {
				return middleware.FinalizeOutput{}, middleware.Metadata{}, err
			}
			defer giveBack()
			return next.HandleFinalize(ctx, in)
		}), "Retry", middleware.After)
}
