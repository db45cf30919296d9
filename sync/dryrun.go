package sync

import (
	"context"

	"socialhub-sync/socialhub"
	"socialhub-sync/store"
)

// Operation is what would become of an item.
type Operation string

const (
	Create Operation = "create"
	Patch  Operation = "update"
	// Wait: the ticket's _id is unknown, the change would be kept.
	Wait Operation = "wait"
	// Reject: the content can't be sent.
	Reject Operation = "reject"
)

// Preview is what a dry run found for one item.
type Preview struct {
	Source, NetworkItemID string
	Operation             Operation
	// Own posts are sent only if the channel has a networkId.
	Own bool
	// Reset tells whether an update would move the ticket back to the inbox.
	Reset bool
	// Interaction is the content of a creation, Update of an update.
	Interaction *socialhub.Interaction
	Update      *socialhub.Update
	// Reason is why an item is rejected.
	Reason string
}

// outlook is what tickets became in a dry run, by channel and networkItemId, without their content: it can't go to
// the store, and an item may come twice.
type outlook map[string]map[string]*store.Ticket

// Outcome is what a dry run came to.
type Outcome struct {
	// Errors are those of the sources that can't be read, by name.
	Errors map[string]error
	// Held is how many changes sources will hold because they are more than their limit, by name.
	Held map[string]int
}

// DryRun reads every source by its real cursor (or the backfill), compares with the real state and shows what would be
// sent; then the tickets that are due already. It writes nothing and asks nothing of SocialHub; the store may be
// read-only. A source that can't be read does not keep the others from being shown.
func (e *Engine) DryRun(ctx context.Context, show func(Preview)) (o Outcome, err error) {
	o = Outcome{Errors: make(map[string]error), Held: make(map[string]int)}
	become := make(outlook)
	for _, src := range e.Sources {
		if !e.Backfill.Reads(src.Name) {
			continue
		}
		if become[src.ChannelID] == nil {
			become[src.ChannelID] = make(map[string]*store.Ticket)
		}
		if err := e.dryPoll(ctx, &src, become[src.ChannelID], show); err != nil {
			o.Errors[src.Name] = err
		}
		n, err := e.wouldHold(ctx, &src, become[src.ChannelID])
		if err != nil {
			return o, err
		}
		if limit := src.MassChangeLimit; limit > 0 && n > limit && e.Backfill == nil {
			o.Held[src.Name] = n
		}
	}
	for _, c := range e.Channels {
		if err := e.previewDue(ctx, c.ID, become[c.ID], show); err != nil {
			return o, err
		}
	}
	return o, nil
}

// wouldHold counts the changes of a source that would be held at the end of its poll: those that the poll brought, and of
// those that are held already the ones that it did not take back.
func (e *Engine) wouldHold(ctx context.Context, src *Source, become map[string]*store.Ticket) (n int, err error) {
	before, err := e.Store.HeldIDs(ctx, src.ChannelID, src.Name)
	for _, id := range before {
		if become[id] == nil {
			n++
		}
	}
	for _, t := range become {
		if t.State == store.Held && t.Source == src.Name {
			n++
		}
	}
	return n, err
}

func (e *Engine) dryPoll(ctx context.Context, src *Source, become map[string]*store.Ticket, show func(Preview)) error {
	lease := store.PollLease{PollKey: e.key(src)}
	cursor, finished, err := e.Store.Progress(ctx, lease.PollKey)
	if err != nil {
		return err
	}
	if !finished { // else the backfill would begin again
		lease.Cursor = cursor
	}
	_, _, err = e.poll(ctx, src, lease, func(ctx context.Context, src *Source, lease store.PollLease, b *batch) (Counts, error) {
		return e.preview(ctx, src, lease, b, become, show)
	})
	return err
}

// preview is the intake of a dry run.
func (e *Engine) preview(ctx context.Context, src *Source, lease store.PollLease, b *batch, become map[string]*store.Ticket, show func(Preview)) (found Counts, err error) {
	ids := make([]string, len(b.items))
	for n := range b.items {
		ids[n] = b.items[n].key
	}
	stored, err := e.Store.Tickets(ctx, src.ChannelID, ids)
	if err != nil {
		return found, err
	}
	for n := range b.items {
		it := &b.items[n]
		current := become[it.key]
		if current == nil {
			current = stored[it.key]
		}
		next, verdict := decide(src, current, it, lease.Backfill != "", e.isSource)
		if verdict.counts() && !e.room.take() {
			return found, nil
		}
		found.Read++
		if found.count(verdict, it.mended); next == nil {
			continue
		}
		next.Payload, next.Ref = "", ""
		become[it.key] = next
		if p, ok := previewOf(src, next, it); ok && verdict != unchanged {
			show(p)
		}
	}
	return found, nil
}

// previewDue shows what waits in the store, but for the tickets that the polls have given other content.
func (e *Engine) previewDue(ctx context.Context, channelID string, become map[string]*store.Ticket, show func(Preview)) error {
	return e.Store.EachDue(ctx, channelID, func(t *store.Ticket) error {
		polled := become[t.NetworkItemID]
		shown := t.TicketID != "" && t.DeliveredHash == t.WantedHash
		if shown || polled != nil && polled.WantedHash != t.WantedHash {
			return nil
		}
		p, err := decodePayload(t.Payload)
		if err != nil {
			show(Preview{Source: t.Source, NetworkItemID: t.NetworkItemID, Operation: Reject, Reason: err.Error()})
			return nil
		}
		show(request(Preview{Source: t.Source, NetworkItemID: t.NetworkItemID, Own: p.Own}, t.TicketID, p))
		return nil
	})
}

// request fills in what would be sent.
func request(v Preview, ticketID string, p *payload) Preview {
	if ticketID == "" {
		v.Operation, v.Interaction = Create, &p.Interaction
		return v
	}
	v.Operation, v.Reset, v.Update = Patch, p.Reset, socialhub.UpdateOf(&p.Interaction, p.Updated)
	return v
}

func previewOf(src *Source, t *store.Ticket, it *item) (Preview, bool) {
	p := Preview{Source: src.Name, NetworkItemID: t.NetworkItemID, Own: it.payload.Own, Reason: t.Reason}
	switch {
	case t.State == store.Rejected:
		p.Operation = Reject
	case t.State == store.Unlinked:
		p.Operation, p.Reason = Wait, "the ticket's _id is unknown; `adopt` tells it"
	case t.State != store.Pending && t.State != store.Held:
		return p, false
	default:
		p = request(p, t.TicketID, &it.payload)
	}
	return p, true
}
