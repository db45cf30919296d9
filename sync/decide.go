package sync

import (
	"socialhub-sync/store"
)

// verdict is what an item means for its ticket.
type verdict int

const (
	unchanged verdict = iota
	created
	changed
	rejected
	// foreign: another configured source has this ticket.
	foreign
)

// counts tells whether there is something new about the item.
func (v verdict) counts() bool { return v == created || v == changed || v == rejected }

// decide says which row should stand for an item, or nil to leave things as they are. current is nil for
// an item that was never seen. configured tells whether a source of that name is in the config; the ticket of
// one that is not goes over to the source that yields it now.
func decide(src *Source, current *store.Ticket, it *item, backfill bool, configured func(string) bool) (*store.Ticket, verdict) {
	if current == nil {
		return decideNew(src, it, backfill)
	}
	if current.Source != src.Name && configured(current.Source) {
		return nil, foreign
	}
	next := *current
	next.Source = src.Name
	if it.ref != "" {
		next.Ref = it.ref
	}
	switch {
	case it.deleted && !redacts(src, current):
		return nil, unchanged
	case it.hash == current.WantedHash:
		if current.Source == src.Name {
			return nil, unchanged
		}
		return &next, unchanged
	}
	if next.State == store.Pending && next.TicketID == "" && !next.Delivered {
		// The earlier content may have been sent already: if SocialHub says 409, nobody knows which it took.
		next.Delivered, next.DeliveredHash = true, ""
	}
	next.Own = it.payload.Own || current.Own
	if next.State == store.Gone {
		next.WantedHash = it.hash
		return &next, unchanged
	}
	if reserved(current) && !it.deleted { // whatever can be said of its content: it is what we posted
		next.WantedHash = it.hash
		return rebase(&next, current.WantedHash), unchanged
	}
	if takenOver(current) {
		it.payload.Reset = false
	}
	content, reason := it.encode()
	if reason != "" {
		next.WantedHash, next.State, next.Payload, next.Reason = it.hash, store.Rejected, "", reason
		return &next, rejected
	}
	return decideChanged(src, &next, it, content, backfill)
}

func decideNew(src *Source, it *item, backfill bool) (*store.Ticket, verdict) {
	t := &store.Ticket{
		NetworkItemID: it.key, Source: src.Name, WantedHash: it.hash, RootID: it.root, Ref: it.ref,
		State: store.Pending, Backfill: backfill, Own: it.payload.Own,
	}
	if it.deleted {
		return nil, unchanged
	}
	content, reason := it.encode()
	if reason != "" {
		t.State, t.Reason = store.Rejected, reason
		return t, rejected
	}
	t.Payload = content
	return t, created
}

// reserved tells whether a row is that of a reply that we posted and no poll has brought yet. The store made it so, with
// a hash that is none of ours.
func reserved(t *store.Ticket) bool {
	return t.Own && t.WantedHash != "" && t.WantedHash[0] != hashVersion
}

// takenOver tells whether a ticket was imported and nobody knows what it shows. The first content is sent, but brings it
// back to nobody, and no number of such is held.
func takenOver(t *store.Ticket) bool { return t.WantedHash == "" && t.TicketID != "" }

// redacts tells whether a deletion in the source changes the ticket.
func redacts(src *Source, current *store.Ticket) bool {
	refused := current.State == store.Rejected && current.TicketID == "" && !current.Delivered // SocialHub never had it
	return src.OnDelete == Redact && current.State != store.Gone && current.State != store.Skipped && !refused
}

// decideChanged is for a row whose wanted content is another one now.
func decideChanged(src *Source, t *store.Ticket, it *item, content string, backfill bool) (*store.Ticket, verdict) {
	before := t.WantedHash
	t.WantedHash, t.Payload = it.hash, content
	switch {
	case before != "" && before[0] != hashVersion && !(t.Own && it.deleted):
		return rebase(t, before), unchanged
	case t.State == store.Unlinked:
		if t.DeliveredHash == t.WantedHash {
			t.Payload = ""
		}
		return t, changed
	case t.TicketID != "" && t.DeliveredHash == t.WantedHash:
		t.State, t.Payload, t.Reason = store.Synced, "", ""
		return t, changed
	}
	t.Backfill = backfill && (t.Backfill || t.State != store.Pending)
	t.State, t.Reason = store.Pending, ""
	if before != "" && holds(src, t, backfill) {
		t.State = store.Held
	}
	return t, changed
}

// holds tells whether a change waits for the end of its poll: only then it is known whether the poll
// changes too many tickets. What SocialHub does not have yet brings no ticket back to anybody.
func holds(src *Source, t *store.Ticket, backfill bool) bool {
	return t.TicketID != "" && src.MassChangeLimit > 0 && !backfill
}

// rebase takes a hash of a new version as the baseline: what was delivered stays delivered.
func rebase(t *store.Ticket, before string) *store.Ticket {
	if t.Delivered && t.DeliveredHash == before {
		t.DeliveredHash = t.WantedHash
	}
	if t.State == store.Synced || t.State == store.Skipped || t.Delivered && t.DeliveredHash == t.WantedHash {
		t.Payload = ""
	}
	return t
}
