package pipe

import (
	"context"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// asStatus makes an error arrive at the host with its text, under ctx of the
// call. The host knows one code apart from the text, that of a cancellation,
// and replaces the text of another, Unavailable; all else is Unknown.
func asStatus(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return status.FromContextError(ctx.Err()).Err()
	}
	return status.Error(codes.Unknown, sentence(err))
}

// sentence is the text of an error as a message can carry it.
func sentence(err error) string { return strings.ToValidUTF8(err.Error(), "\ufffd") }
