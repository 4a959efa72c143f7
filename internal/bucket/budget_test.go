package bucket

import (
	"errors"
	"io"
	"strings"
	"testing"
)

// TestBudgetOfABody: who reads no further than the last byte that is wanted
// hears of a spent budget all the same.
func TestBudgetOfABody(t *testing.T) {
	b := &budget{maxBytes: 15}
	for _, want := range []error{nil, ErrBudget, ErrBudget} {
		n, err := io.ReadFull(b.receive(t.Context(), strings.NewReader("ten bytes.")), make([]byte, 10))
		if !errors.Is(err, want) {
			t.Errorf("%d bytes, %v, want %v", n, err, want)
		}
	}
	if err := b.request(t.Context(), "GetObject"); !errors.Is(err, ErrBudget) || !strings.Contains(err.Error(), "max_bytes is 15") {
		t.Errorf("request: %v, want ErrBudget that names the limit", err)
	}
}
