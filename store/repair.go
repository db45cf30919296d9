package store

import (
	"context"
	"fmt"
)

// Retry makes rejected tickets due again and returns their ids. Empty source and ids mean all of the
// channel. Items that could not be read have nothing to send: they are left, the source must be mended.
func (s *Store) Retry(ctx context.Context, channelID, source string, ids []string) ([]string, error) {
	param, err := array(cleanAll(ids))
	if err != nil {
		return nil, err
	}
	retried, err := s.within(bulkLimit).changeIDs(ctx, `UPDATE tickets SET state = 'pending', due = {now}, attempts = 0
		WHERE channel_id = $1 AND `+rejected+` AND payload IS NOT NULL AND ($2 = '' OR source = $2)
			AND ($3 = '[]' OR network_item_id IN (SELECT item.value FROM {ids $3} AS item))
		RETURNING network_item_id`, channelID, source, param)
	if err != nil {
		return nil, fmt.Errorf("retry rejected tickets: %w", err)
	}
	return retried, nil
}

// Link is SocialHub's _id for one item.
type Link struct{ NetworkItemID, TicketID string }

// Adopt stores the _id of tickets that have none. Content that waited for it becomes due. It returns
// the items it linked; the rest is unknown in the channel or has an _id.
func (s *Store) Adopt(ctx context.Context, channelID string, links []Link) ([]string, error) {
	list := make([][2]string, len(links))
	for i, l := range links {
		list[i] = [2]string{clean(l.NetworkItemID), clean(l.TicketID)}
	}
	param, err := array(list)
	if err != nil {
		return nil, err
	}
	adopted, err := s.within(bulkLimit).changeIDs(ctx, learnIDs+` RETURNING network_item_id`, channelID, param)
	if err != nil {
		return nil, fmt.Errorf("adopt tickets: %w", err)
	}
	return adopted, nil
}

// Tickets returns the rows that the store has for items of a channel, by networkItemId.
func (s *Store) Tickets(ctx context.Context, channelID string, ids []string) (map[string]*Ticket, error) {
	found, err := s.findTickets(ctx, s.read, channelID, cleanAll(ids), "")
	if err != nil {
		return nil, fmt.Errorf("look up tickets: %w", err)
	}
	return found, nil
}
