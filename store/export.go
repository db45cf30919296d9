package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// assumedHash stands for content that is taken for the one that SocialHub shows, whatever it is, until a poll brings it.
// No hash of the engine is like it: the engine takes the next one as its baseline and sends nothing.
const assumedHash = "="

// Mapping is what SocialHub has of one item, without content: what another database needs to go on with the ticket.
type Mapping struct {
	NetworkItemID, Source string
	// TicketID is SocialHub's _id, which a synced one always has.
	TicketID string
	// State is synced, unlinked, gone or skipped.
	State State
	// WantedHash is of the last content that the source brought, and empty if that is unknown: then whatever comes next is
	// sent. DeliveredHash is of what SocialHub shows, and empty if that is unknown.
	WantedHash, DeliveredHash string
	RootID, Ref               string
	Own                       bool
	// Partial says that nothing but the ids and the source is known. With Assumed the next content is taken for the one
	// that SocialHub shows.
	Partial, Assumed bool
}

// mappingOf is false for an item that SocialHub does not have, or of which nobody knows. Content that waits is left out:
// in another database it waits for the poll that brings it.
func mappingOf(t *Ticket) (m Mapping, ok bool) {
	m = Mapping{
		NetworkItemID: t.NetworkItemID, Source: t.Source, TicketID: t.TicketID, State: t.State,
		WantedHash: t.WantedHash, DeliveredHash: t.DeliveredHash, RootID: t.RootID, Ref: t.Ref, Own: t.Own,
	}
	switch {
	case t.State == Gone || t.State == Skipped:
		return m, true
	case t.State == Synced && t.TicketID != "":
		return m, true
	case t.TicketID != "":
		m.State = Synced
	case t.State == Unlinked || t.State == Synced || t.State == Rejected && t.DeliveredHash != "":
		m.State = Unlinked
	default:
		return Mapping{}, false
	}
	m.WantedHash = m.DeliveredHash
	return m, true
}

func (m *Mapping) ticket() *Ticket {
	t := &Ticket{
		NetworkItemID: clean(m.NetworkItemID), Source: m.Source, TicketID: m.TicketID, State: m.State,
		WantedHash: m.WantedHash, DeliveredHash: m.DeliveredHash, RootID: m.RootID, Ref: m.Ref, Own: m.Own,
		Delivered: m.DeliveredHash != "" || m.State == Synced || m.State == Unlinked,
	}
	if m.Partial {
		t.State, t.Delivered = Synced, true
		if m.Assumed {
			t.WantedHash, t.DeliveredHash = assumedHash, assumedHash
		}
	}
	return t
}

// agrees tells whether a row says what the mapping says.
func (m *Mapping) agrees(t *Ticket) bool {
	if m.Partial {
		return t.TicketID == m.TicketID && t.Source == m.Source
	}
	have, ok := mappingOf(t)
	return ok && have == *m
}

// EachMapping calls f for every ticket of a channel that SocialHub has, by networkItemId, and returns how many others
// there are. A ticket that changes meanwhile comes as it was or as it is. An error of f ends it and is returned.
func (s *Store) EachMapping(ctx context.Context, channelID string, f func(Mapping) error) (others int, err error) {
	err = s.pages(ctx, channelID, `true`, func(t *Ticket) error {
		m, ok := mappingOf(t)
		if !ok {
			others++
			return nil
		}
		return f(m)
	})
	if err != nil {
		return others, fmt.Errorf("export tickets: %w", err)
	}
	return others, nil
}

// Imported is what became of some mappings.
type Imported struct {
	// Stored were new, or took the place of others; Same were there already.
	Stored, Same int
	// Differing were left as they are because the store says something else. Waiting, too, and would have been left in any
	// case: they have content that SocialHub is still to get. Forgotten must not come back.
	Differing, Waiting, Forgotten []string
}

// Import stores mappings in one transaction. With overwrite they take the place of rows that say something else.
func (s *Store) Import(ctx context.Context, channelID string, list []Mapping, overwrite bool) (done Imported, err error) {
	lostRace := func(err error) bool { return errors.Is(err, errRaced) || deadlocked(err) }
	err = againIf(lostRace, func() error {
		return s.inTx(ctx, func(ctx context.Context, tx *sql.Tx) (err error) {
			done, err = s.importAll(ctx, tx, channelID, list, overwrite)
			return err
		})
	})
	if err != nil {
		return Imported{}, fmt.Errorf("import %d tickets: %w", len(list), err)
	}
	return done, nil
}

func (s *Store) importAll(ctx context.Context, tx *sql.Tx, channelID string, list []Mapping, overwrite bool) (done Imported, err error) {
	ids := make([]string, len(list))
	for i, m := range list {
		ids[i] = clean(m.NetworkItemID)
	}
	current, err := s.findTickets(ctx, tx, channelID, ids, "{lock}")
	if err != nil {
		return done, err
	}
	forgotten, err := s.forgotten(ctx, tx, channelID, ids)
	if err != nil {
		return done, err
	}
	var fresh, changed []row
	for i := range list {
		m, id := &list[i], ids[i]
		have := current[id]
		switch {
		case forgotten[id]:
			done.Forgotten = append(done.Forgotten, id)
			continue
		case have == nil:
			fresh = append(fresh, rowOf(m.ticket()))
		case m.agrees(have):
			done.Same++
			continue
		case have.Payload != "" || have.State == Pending:
			done.Waiting = append(done.Waiting, id)
			continue
		case !overwrite:
			done.Differing = append(done.Differing, id)
			continue
		default:
			changed = append(changed, rowOf(m.ticket()))
		}
		current[id] = m.ticket() // for when it comes twice
		done.Stored++
	}
	if err := s.insertTickets(ctx, tx, channelID, fresh); err != nil {
		return done, err
	}
	if err := s.updateTickets(ctx, tx, channelID, changed); err != nil {
		return done, err
	}
	return done, s.moveRoots(ctx, tx, channelID, changed)
}

// moveRoots stores the roots of rows that were there already, which no poll changes.
func (s *Store) moveRoots(ctx context.Context, tx *sql.Tx, channelID string, rows []row) error {
	if len(rows) == 0 {
		return nil
	}
	param, err := array(rows)
	if err != nil {
		return err
	}
	_, err = s.exec(ctx, tx, `UPDATE tickets SET root_id = item.value->>6 FROM {each $2} AS item
		WHERE channel_id = $1 AND network_item_id = item.value->>0`, channelID, param)
	return err
}
