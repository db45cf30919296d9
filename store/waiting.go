package store

import (
	"context"
	"database/sql"
	"fmt"
)

// DueCounts returns how many tickets of each channel are to be sent now, as [Store.Due] sees it but for replies that wait
// for their root; a channel without any is left out.
// Its cost grows with their number.
func (s *Store) DueCounts(ctx context.Context) (map[string]int, error) {
	counts := make(map[string]int)
	err := s.query(ctx, s.read, func(r *sql.Rows) error {
		var id string
		var n int
		err := r.Scan(&id, &n)
		counts[id] = n
		return err
	}, `WITH trying AS MATERIALIZED (SELECT channel_id, source, min(tried_at) - 60000 AS since FROM actions
			WHERE `+undone+` AND `+unended+` AND tried_at IS NOT NULL GROUP BY channel_id, source)
		SELECT channel_id, count(*) FROM tickets t WHERE `+pending+` AND due <= {now} AND (own = 0
			OR NOT EXISTS (SELECT 1 FROM trying
					WHERE trying.channel_id = t.channel_id AND trying.source = t.source AND trying.since <= t.changed_at)
				AND NOT EXISTS (SELECT 1 FROM actions a WHERE a.channel_id = t.channel_id AND a.reply_id = t.network_item_id AND a.state = 'performed'))
		GROUP BY channel_id`)
	if err != nil {
		return nil, fmt.Errorf("count due tickets: %w", err)
	}
	return counts, nil
}

// duePage is how many tickets [Store.EachDue] reads at a time.
const duePage = 500

// EachDue calls f for every ticket of a channel that is to be sent now, by networkItemId, whoever has the lease.
// Replies come too if their root can be sent. Only a page of tickets is in memory at a time, and no query is open
// while f runs. It writes nothing; an error of f ends it and is returned.
func (s *Store) EachDue(ctx context.Context, channelID string, f func(*Ticket) error) error {
	for after := ""; ; {
		page, err := s.duePage(ctx, channelID, after)
		if err != nil {
			return fmt.Errorf("list due tickets: %w", err)
		}
		for _, t := range page {
			if err := f(t); err != nil {
				return err
			}
			after = t.NetworkItemID
		}
		if len(page) < duePage {
			return nil
		}
	}
}

// duePage does not use the index of the open tickets on SQLite: all pages together walk the channel once.
func (s *Store) duePage(ctx context.Context, channelID, after string) ([]*Ticket, error) {
	var page []*Ticket
	err := s.query(ctx, s.read, func(r *sql.Rows) error {
		t, err := scanTicket(r)
		page = append(page, t)
		return err
	}, `WITH `+trying+` SELECT `+ticketColumns+` FROM tickets t
		WHERE channel_id = $1 AND network_item_id > $2 AND state = 'pending' AND due <= {now}
			AND (root_id IS NULL OR ticket_id IS NOT NULL OR NOT EXISTS (SELECT 1 FROM tickets r
				WHERE r.channel_id = t.channel_id AND r.network_item_id = t.root_id
					AND r.state = 'pending' AND r.ticket_id IS NULL AND r.due > {now}))
			AND `+notInFlight+`
		ORDER BY network_item_id LIMIT $3`, channelID, after, duePage)
	return page, err
}
