package s3test

import (
	"context"
	"testing"
	"time"
)

func TestPacer(t *testing.T) {
	now := time.Now()
	p := pacer{rate: 1 << 20}
	second := 1 << 20
	for i, want := range []time.Duration{time.Second, 2 * time.Second, 3 * time.Second} {
		if got := p.reserve(now, second); got != want-pacedSlack {
			t.Errorf("turn %d: through after %v, want %v", i+1, got, want-pacedSlack)
		}
	}
	// What is not used is not saved up.
	if got := p.reserve(now.Add(time.Hour), second); got != time.Second-pacedSlack {
		t.Errorf("after an hour: through after %v", got)
	}
	if got := p.piece(1 << 20); got != pacedPiece {
		t.Errorf("a piece of %d bytes", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.pass(ctx, second); err != context.Canceled {
		t.Errorf("a cancelled turn: %v", err)
	}
	unlimited := pacer{}
	if err := unlimited.pass(ctx, second); err != nil || unlimited.piece(second) != freePiece {
		t.Errorf("without a rate: %v, pieces of %d", err, unlimited.piece(second))
	}
}
