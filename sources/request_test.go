package sources

import (
	"testing"
	"time"
)

func TestABackfillWantsWhatWasCreatedOrChangedInItsTime(t *testing.T) {
	t.Parallel()
	day := func(d int) time.Time { return time.Date(2026, 1, d, 0, 0, 0, 0, time.UTC) }
	var never time.Time
	for _, c := range []struct {
		name             string
		request          Request
		created, updated time.Time
		want             bool
	}{
		{"a poll wants all", Request{Since: day(5), Until: day(6)}, day(1), never, true},
		{"no bounds", Request{Backfill: true}, day(1), never, true},
		{"no time known", Request{Backfill: true, Since: day(5)}, never, never, true},
		{"created before", Request{Backfill: true, Since: day(5)}, day(4), never, false},
		{"created at the beginning", Request{Backfill: true, Since: day(5)}, day(5), never, true},
		{"created at the end", Request{Backfill: true, Until: day(5)}, day(5), never, false},
		{"created before the end", Request{Backfill: true, Until: day(5)}, day(4), never, true},
		{"created before, changed in it", Request{Backfill: true, Since: day(5)}, day(4), day(6), true},
		{"created in it, changed after", Request{Backfill: true, Since: day(3), Until: day(5)}, day(4), day(6), true},
		{"created before, changed after", Request{Backfill: true, Since: day(3), Until: day(5)}, day(2), day(6), false},
		{"only changed, before", Request{Backfill: true, Since: day(3)}, never, day(2), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := c.request.Wants(c.created, c.updated); got != c.want {
				t.Errorf("got %t, want %t", got, c.want)
			}
		})
	}
}
