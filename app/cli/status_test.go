package cli

import (
	"testing"
	"time"
)

// To resume such a source polls it again and sends the changes, so status must not tell of one alone.
func TestASourceThatStoppedAndHoldsChangesSaysBoth(t *testing.T) {
	t.Parallel()
	s := sourceStatus{Name: "reviews", Paused: "wrong password", Held: 3}
	want := "stopped, and holds 3 changes, more than mass_change_limit: `socialhub-sync resume reviews` sends them, with --discard it drops them: wrong password"
	if got := s.state(time.Now()); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
