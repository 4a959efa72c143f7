package bucket

import (
	"context"
	"net/http/httptrace"
	"sync/atomic"

	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// expectation is whether the service answers "Expect: 100-continue", which the SDK
// asks for with each body of 2 MiB or more.
type expectation struct {
	ignored atomic.Bool
}

// waitToContinue holds a body back until the service wants it. One that refuses a request
// answers and closes the connection; who is still sending then gets a reset in the place of
// the answer, and tries again and again what is refused for good. The SDK asks for the wait
// but its requests name no version of HTTP, and net/http waits only as HTTP/1.1.
//
// A service that takes a body without having said "100 Continue" is not asked again: each
// body would wait for the transport's ExpectContinueTimeout.
func (c *Client) waitToContinue(stack *middleware.Stack) error {
	return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("s3klosetContinue",
		func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
			request, ok := in.Request.(*smithyhttp.Request)
			if !ok || request.Header.Get("Expect") == "" {
				return next.HandleFinalize(ctx, in)
			}
			if c.expect.ignored.Load() {
				request.Header.Del("Expect")
				return next.HandleFinalize(ctx, in)
			}
			request.ProtoMajor, request.ProtoMinor = 1, 1
			var continued atomic.Bool
			ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{Got100Continue: func() { continued.Store(true) }})
			out, metadata, err := next.HandleFinalize(ctx, in)
			if err == nil && !continued.Load() {
				c.expect.ignored.Store(true)
			}
			return out, metadata, err
		}), "Retry", middleware.After)
}
