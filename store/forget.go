package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"slices"
)

// Forgotten is what [Store.Forget] came to for one item.
type Forgotten struct {
	NetworkItemID string
	// Known tells whether there was a ticket or an action of it.
	Known bool
	// TicketID is SocialHub's _id of it, empty if there was no ticket or it was not known.
	TicketID string
	// UnderWay are the keys of actions that are still to be done, or told. While there are any nothing is forgotten.
	UnderWay []string
	// Below are the items, such as our own replies, whose root it was. They stay, and do not name it any more.
	Below []string
}

// Forget deletes everything about items of a channel, except for a hash of their ids, by which polls leave them out from
// then on. It reads all tickets of the channel. An id that nobody knows is left out, too.
func (s *Store) Forget(ctx context.Context, channelID string, ids []string) (done []Forgotten, err error) {
	ids = cleanAll(ids)
	slices.Sort(ids) // see deadlocked
	for _, id := range slices.Compact(ids) {
		var one Forgotten
		err := againIf(deadlocked, func() error {
			return s.within(bulkLimit).inTx(ctx, func(ctx context.Context, tx *sql.Tx) (err error) {
				one, err = s.forget(ctx, tx, channelID, id)
				return err
			})
		})
		if err != nil {
			return done, fmt.Errorf("forget an item: %w", err)
		}
		done = append(done, one)
	}
	return done, nil
}

func (s *Store) forget(ctx context.Context, tx *sql.Tx, channelID, id string) (f Forgotten, err error) {
	f.NetworkItemID = id
	err = s.query(ctx, tx, func(r *sql.Rows) error {
		var key string
		err := r.Scan(&key)
		f.UnderWay = append(f.UnderWay, key)
		return err
	}, `SELECT action_key FROM actions WHERE channel_id = $1 AND (network_item_id = $2 OR reply_id = $2) AND `+unended+`
		AND due IS NOT NULL ORDER BY action_key {lock}`, channelID, id)
	if err != nil || len(f.UnderWay) > 0 {
		return f, err
	}
	deleted, err := s.exec(ctx, tx, `DELETE FROM actions WHERE channel_id = $1 AND (network_item_id = $2 OR reply_id = $2)`, channelID, id)
	f.Known = deleted > 0
	if err == nil {
		err = s.query(ctx, tx, func(r *sql.Rows) error {
			var ticketID sql.NullString
			err := r.Scan(&ticketID)
			f.Known, f.TicketID = true, ticketID.String
			return err
		}, `DELETE FROM tickets WHERE channel_id = $1 AND network_item_id = $2 RETURNING ticket_id`, channelID, id)
	}
	if err == nil {
		err = s.query(ctx, tx, func(r *sql.Rows) error {
			var below string
			err := r.Scan(&below)
			f.Below = append(f.Below, below)
			return err
		}, `UPDATE tickets SET root_id = NULL WHERE channel_id = $1 AND root_id = $2 RETURNING network_item_id`, channelID, id)
		slices.Sort(f.Below)
	}
	if err == nil {
		_, err = s.exec(ctx, tx, `INSERT INTO forgotten (channel_id, item_hash, forgotten_at) VALUES ($1, $2, {now}) ON CONFLICT DO NOTHING`,
			channelID, itemHash(channelID, id))
	}
	return f, err
}

// itemHash is how a forgotten item is known. Who has an id can see whether it is among them; nobody reads the ids there.
// A key would lie in the same database, so there is none.
func itemHash(channelID, id string) string {
	sum := sha256.Sum256([]byte(channelID + "\x00" + id))
	return hex.EncodeToString(sum[:])
}

// forgotten returns which of the items are.
func (s *Store) forgotten(ctx context.Context, q querier, channelID string, ids []string) (map[string]bool, error) {
	hashes, of := make([]string, len(ids)), make(map[string]string, len(ids))
	for i, id := range ids {
		hashes[i] = itemHash(channelID, id)
		of[hashes[i]] = id
	}
	param, err := array(hashes)
	if err != nil {
		return nil, err
	}
	found := make(map[string]bool)
	err = s.query(ctx, q, func(r *sql.Rows) error {
		var hash string
		err := r.Scan(&hash)
		found[of[hash]] = true
		return err
	}, `SELECT item_hash FROM forgotten WHERE channel_id = $1 AND item_hash IN (SELECT item.value FROM {ids $2} AS item)`, channelID, param)
	return found, err
}

// EachWaiting calls f for every ticket of a channel whose content is in the store, because SocialHub does not have it, by
// networkItemId. An error of f ends it and is returned.
func (s *Store) EachWaiting(ctx context.Context, channelID string, f func(*Ticket) error) error {
	err := s.pages(ctx, channelID, `state <> 'synced' AND payload IS NOT NULL`, f)
	if err != nil {
		return fmt.Errorf("list the tickets that wait: %w", err)
	}
	return nil
}

// ticketsPage is how many tickets [Store.pages] reads at a time.
const ticketsPage = 500

// pages calls f for every ticket of a channel for which a condition holds, by networkItemId. Only a page of tickets is in
// memory at a time, and no query is open while f runs.
func (s *Store) pages(ctx context.Context, channelID, which string, f func(*Ticket) error) error {
	for after := ""; ; {
		var page []*Ticket
		err := s.within(bulkLimit).query(ctx, s.read, func(r *sql.Rows) error {
			t, err := scanTicket(r)
			page = append(page, t)
			return err
		}, `SELECT `+ticketColumns+` FROM tickets WHERE channel_id = $1 AND network_item_id > $2 AND `+which+`
			ORDER BY network_item_id LIMIT $3`, channelID, after, ticketsPage)
		if err != nil {
			return err
		}
		for _, t := range page {
			if err := f(t); err != nil {
				return err
			}
			after = t.NetworkItemID
		}
		if len(page) < ticketsPage {
			return nil
		}
	}
}
