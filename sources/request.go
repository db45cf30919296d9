package sources

import "time"

// Wants tells whether an item with these times belongs to the request: always for a poll, and for a backfill if
// it was created or changed in [Since, Until). A zero time is unknown; an item with no known time belongs.
func (r *Request) Wants(created, updated time.Time) bool {
	if !r.Backfill || created.IsZero() && updated.IsZero() {
		return true
	}
	return r.holds(created) || r.holds(updated)
}

func (r *Request) holds(t time.Time) bool {
	return !t.IsZero() &&
		(r.Since.IsZero() || !t.Before(r.Since)) &&
		(r.Until.IsZero() || t.Before(r.Until))
}
