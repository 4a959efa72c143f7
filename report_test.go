package s3kloset

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

// TestOutcomeOfAnEnd: what the end of a run broke off and what it did not
// reach is one failure that names the reason; others keep their own.
func TestOutcomeOfAnEnd(t *testing.T) {
	refused := fmt.Errorf("get %q: %w", "b", ErrAccessDenied)
	o := Outcome{Counts: Counts{Listed: 10, Stored: 3, Failed: 4}, Failures: []Failure{
		{"a", context.Canceled},
		{"b", refused},
		{"c", context.DeadlineExceeded},
		{"d", fmt.Errorf("get %q: %w", "d", context.DeadlineExceeded)},
	}}
	o.withdraw()
	o.settle(ErrBudget)
	if o.Failed != 7 || len(o.Failures) != 3 {
		t.Fatalf("%d failed: %v", o.Failed, o.Failures)
	}
	if a, b, rest := o.Failures[0], o.Failures[1], o.Failures[2]; a.Key != "b" || b.Key != "d" || rest.Key != "" || !errors.Is(rest.Err, ErrBudget) {
		t.Errorf("failures %v", o.Failures)
	}
	want := `run is incomplete: 7 failed; "b": get "b": access denied; "d": get "d": context deadline exceeded; ` +
		`5 objects were not dealt with: budget is spent`
	if err := o.Err(); err.Error() != want {
		t.Errorf("error is %q, want %q", err, want)
	}
}
