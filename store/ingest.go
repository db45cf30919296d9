package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
)

// Seen is one item of a batch as the poll found it.
type Seen struct {
	NetworkItemID string
	Hash          string
}

// Differing returns the positions of the items that are new, have other content, or belong to another
// source; those that were forgotten count as the same, see [Store.Forget]. It is one query, whatever the number of items,
// or two if any differs, and takes no lock.
func (s *Store) Differing(ctx context.Context, channelID, source string, items []Seen) ([]int, error) {
	differs := make(map[Seen]bool)
	err := s.query(ctx, s.read, func(r *sql.Rows) error {
		var item Seen
		err := r.Scan(&item.NetworkItemID, &item.Hash)
		differs[item] = true
		return err
	}, `SELECT item.key, item.value FROM {pairs $2} AS item
		WHERE (SELECT t.wanted_hash FROM tickets t
			WHERE t.channel_id = $1 AND t.network_item_id = item.key AND t.source = $3) IS DISTINCT FROM item.value`,
		channelID, object(items), source)
	var forgotten map[string]bool
	if err == nil && len(differs) > 0 {
		ids := make([]string, 0, len(differs))
		for item := range differs {
			ids = append(ids, item.NetworkItemID)
		}
		forgotten, err = s.forgotten(ctx, s.read, channelID, ids)
	}
	if err != nil {
		return nil, fmt.Errorf("look up %d items: %w", len(items), err)
	}
	var positions []int
	for i, item := range items {
		if id := clean(item.NetworkItemID); differs[Seen{id, clean(item.Hash)}] && !forgotten[id] {
			positions = append(positions, i)
		}
	}
	return positions, nil
}

// Intake is what one batch brings.
type Intake struct {
	// IDs are the items to decide on, without repeats (also as they are stored, see [Ticket]).
	IDs []string
	// Decide returns the row that should stand for IDs[i], or nil to leave things as they are; current
	// is nil for an item that the store does not have. It runs inside the transaction and may run twice.
	Decide func(i int, current *Ticket) *Ticket
	// Cursor replaces the source's cursor unless it is empty.
	Cursor string
	// Rereads forgets the unreadable items whose id starts with it.
	Rereads string
}

// Ingest commits a batch's rows and its cursor in one transaction, if the lease still holds; else it
// writes nothing and returns [ErrLeaseLost].
func (s *Store) Ingest(ctx context.Context, lease PollLease, in Intake) error {
	if in.Cursor != clean(in.Cursor) {
		return fmt.Errorf("store a batch of %s: the cursor is not a text: it must be UTF-8 without NUL", lease.Source)
	}
	in.IDs = cleanAll(in.IDs)
	lostRace := func(err error) bool { return errors.Is(err, errRaced) || deadlocked(err) }
	err := againIf(lostRace, func() error {
		return s.inTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
			if err := s.moveCursor(ctx, tx, lease, in.Cursor); err != nil {
				return err
			}
			if err := s.forgetUnreadable(ctx, tx, lease, in.Rereads); err != nil {
				return err
			}
			return s.putTickets(ctx, tx, lease.ChannelID, in)
		})
	})
	if err != nil {
		return fmt.Errorf("store a batch of %s: %w", lease.Source, err)
	}
	return nil
}

// errRaced rolls an intake back whose new item was stored by another source in the meantime.
var errRaced = errors.New("an item is in the store already, or twice in the batch")

func (s *Store) moveCursor(ctx context.Context, tx *sql.Tx, lease PollLease, cursor string) error {
	n, err := s.exec(ctx, tx, `UPDATE sources SET cursor = CASE WHEN $1 = '' THEN cursor ELSE $1 END
		WHERE channel_id = $2 AND name = $3 AND backfill = $4 AND lease_owner = $5 AND lease_epoch = $6`,
		cursor, lease.ChannelID, lease.Source, lease.Backfill, lease.Owner, lease.Epoch)
	if err == nil && n == 0 {
		return ErrLeaseLost
	}
	return err
}

func (s *Store) forgetUnreadable(ctx context.Context, tx *sql.Tx, lease PollLease, place string) error {
	if place == "" {
		return nil
	}
	_, err := s.exec(ctx, tx, `DELETE FROM tickets WHERE channel_id = $1 AND `+rejected+` AND source = $2
		AND wanted_hash = '' AND substr(network_item_id, 1, length($3)) = $3`, lease.ChannelID, lease.Source, clean(place))
	return err
}

// putTickets reads the rows under a lock, asks for the decisions and writes what changed.
func (s *Store) putTickets(ctx context.Context, tx *sql.Tx, channelID string, in Intake) error {
	if len(in.IDs) == 0 {
		return nil
	}
	current, err := s.findTickets(ctx, tx, channelID, in.IDs, "{lock}")
	if err != nil {
		return err
	}
	var forgotten map[string]bool
	if len(current) < len(in.IDs) {
		if forgotten, err = s.forgotten(ctx, tx, channelID, in.IDs); err != nil {
			return err
		}
	}
	var fresh, changed []row
	var replies []string
	for i, id := range in.IDs {
		want := in.Decide(i, current[id])
		switch {
		case want == nil || forgotten[id]:
		case current[id] == nil:
			fresh = append(fresh, rowOf(want))
			if want.RootID != "" {
				replies = append(replies, id)
			}
		default:
			changed = append(changed, rowOf(want))
		}
	}
	if err := s.insertTickets(ctx, tx, channelID, fresh); err != nil {
		return err
	}
	if err := s.updateTickets(ctx, tx, channelID, changed); err != nil {
		return err
	}
	return s.breakCycles(ctx, tx, channelID, replies)
}

// findTickets reads rows in the order of the key, see [deadlocked].
func (s *Store) findTickets(ctx context.Context, q querier, channelID string, ids []string, lock string) (map[string]*Ticket, error) {
	param, err := array(ids)
	if err != nil {
		return nil, err
	}
	found := make(map[string]*Ticket)
	err = s.query(ctx, q, func(r *sql.Rows) error {
		t, err := scanTicket(r)
		found[t.NetworkItemID] = t
		return err
	}, `SELECT `+ticketColumns+` FROM tickets
		WHERE channel_id = $1 AND network_item_id IN (SELECT item.value FROM {ids $2} AS item)
		ORDER BY network_item_id `+lock, channelID, param)
	return found, err
}

func (s *Store) insertTickets(ctx context.Context, tx *sql.Tx, channelID string, rows []row) error {
	if len(rows) == 0 {
		return nil
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(a[0].(string), b[0].(string)) }) // see deadlocked
	param, err := array(rows)
	if err != nil {
		return err
	}
	n, err := s.exec(ctx, tx, `INSERT INTO tickets (channel_id, network_item_id, source, ticket_id, wanted_hash,
			delivered_hash, payload, root_id, ref, state, priority, due, reason, own, changed_at)
		SELECT $1, item.value->>0, item.value->>1, item.value->>2, item.value->>3,
			item.value->>4, item.value->>5, item.value->>6, item.value->>7,
			item.value->>8, CAST(item.value->>9 AS bigint),
			{now} + CAST(item.value->>10 AS bigint), item.value->>11, CAST(item.value->>12 AS bigint), {now}
		FROM {each $2} AS item WHERE true
		ON CONFLICT DO NOTHING`, channelID, param)
	if err == nil && n != int64(len(rows)) {
		err = errRaced
	}
	return err
}

func (s *Store) updateTickets(ctx context.Context, tx *sql.Tx, channelID string, rows []row) error {
	if len(rows) == 0 {
		return nil
	}
	param, err := array(rows)
	if err != nil {
		return err
	}
	_, err = s.exec(ctx, tx, `UPDATE tickets SET
			source = item.value->>1, ticket_id = item.value->>2, wanted_hash = item.value->>3,
			delivered_hash = item.value->>4, payload = item.value->>5, ref = item.value->>7,
			state = item.value->>8, priority = CAST(item.value->>9 AS bigint),
			due = {now} + CAST(item.value->>10 AS bigint), attempts = 0, reason = item.value->>11,
			own = CAST(item.value->>12 AS bigint), changed_at = {now}
		FROM {each $2} AS item
		WHERE channel_id = $1 AND network_item_id = item.value->>0`, channelID, param)
	return err
}

// breakCycles lets replies go that would wait for each other for ever.
func (s *Store) breakCycles(ctx context.Context, tx *sql.Tx, channelID string, replies []string) error {
	if len(replies) == 0 {
		return nil
	}
	param, err := array(replies)
	if err != nil {
		return err
	}
	_, err = s.exec(ctx, tx, `WITH RECURSIVE up (start, at, depth) AS (
			SELECT t.network_item_id, t.root_id, 1 FROM tickets t JOIN {ids $2} AS item
				ON t.channel_id = $1 AND t.network_item_id = item.value
			UNION ALL
			SELECT up.start, t.root_id, up.depth + 1 FROM up JOIN tickets t
				ON t.channel_id = $1 AND t.network_item_id = up.at
			WHERE t.root_id IS NOT NULL AND up.at <> up.start AND up.depth < 100)
		UPDATE tickets SET root_id = NULL
		WHERE channel_id = $1 AND network_item_id IN (SELECT start FROM up WHERE at = start)`, channelID, param)
	return err
}
