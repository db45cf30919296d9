package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"
)

// DeliveryLease is the right to send a channel's tickets: one process per channel.
type DeliveryLease struct {
	ChannelID, Owner string
	Epoch            int64
}

// ClaimChannel leases a channel's deliveries for ttl; ok is false while another process has them.
func (s *Store) ClaimChannel(ctx context.Context, owner, channelID string, ttl time.Duration) (lease DeliveryLease, ok bool, err error) {
	lease = DeliveryLease{ChannelID: channelID, Owner: owner}
	err = s.query(ctx, s.write, func(r *sql.Rows) error {
		ok = true
		return r.Scan(&lease.Epoch)
	}, `UPDATE channels SET lease_owner = $1, lease_epoch = lease_epoch + 1, lease_until = {now} + $2
		WHERE channel_id = $3 AND lease_until <= {now} RETURNING lease_epoch`, owner, millis(ttl), channelID)
	if err != nil {
		return lease, false, fmt.Errorf("claim the deliveries of a channel: %w", err)
	}
	return lease, ok, nil
}

// ReleaseChannel gives a delivery lease back; another process may take it at once.
func (s *Store) ReleaseChannel(ctx context.Context, l DeliveryLease) error {
	_, err := s.exec(ctx, s.write, `UPDATE channels SET lease_owner = '', lease_until = 0
		WHERE channel_id = $1 AND lease_owner = $2 AND lease_epoch = $3`, l.ChannelID, l.Owner, l.Epoch)
	return err
}

// Leases are leases of one owner: the epochs under which it holds channels and polls.
type Leases struct {
	Channels map[string]int64
	Polls    map[PollKey]int64
}

// RenewLeases prolongs these leases of the owner to ttl from now, also one that has ended if nobody took it, and returns those
// that it still holds. Others in its name end by their time: it got no answer to its claim and does not know of them.
func (s *Store) RenewLeases(ctx context.Context, owner string, mine Leases, ttl time.Duration) (held Leases, err error) {
	held = Leases{make(map[string]int64), make(map[PollKey]int64)}
	channels, polls := make([][2]any, 0, len(mine.Channels)), make([][4]any, 0, len(mine.Polls))
	for id, epoch := range mine.Channels {
		channels = append(channels, [2]any{id, epoch})
	}
	for k, epoch := range mine.Polls {
		polls = append(polls, [4]any{k.ChannelID, k.Source, k.Backfill, epoch})
	}
	err = s.renew(ctx, func(r *sql.Rows) error {
		var id string
		var epoch int64
		err := r.Scan(&id, &epoch)
		held.Channels[id] = epoch
		return err
	}, `UPDATE channels SET lease_until = {now} + $1 WHERE lease_owner = $2
			AND (channel_id, lease_epoch) IN (SELECT c.channel_id, c.lease_epoch FROM channels c JOIN {each $3} AS item
				ON c.channel_id = item.value->>0 AND c.lease_epoch = CAST(item.value->>1 AS bigint) ORDER BY 1 {lock})
		RETURNING channel_id, lease_epoch`, ttl, owner, channels)
	if err == nil {
		err = s.renew(ctx, func(r *sql.Rows) error {
			var k PollKey
			var epoch int64
			err := r.Scan(&k.ChannelID, &k.Source, &k.Backfill, &epoch)
			held.Polls[k] = epoch
			return err
		}, `UPDATE sources SET lease_until = {now} + $1 WHERE lease_owner = $2
				AND (channel_id, name, backfill, lease_epoch) IN (SELECT s.channel_id, s.name, s.backfill, s.lease_epoch
					FROM sources s JOIN {each $3} AS item ON s.channel_id = item.value->>0 AND s.name = item.value->>1
						AND s.backfill = item.value->>2 AND s.lease_epoch = CAST(item.value->>3 AS bigint)
					ORDER BY 1, 2, 3 {lock})
			RETURNING channel_id, name, backfill, lease_epoch`, ttl, owner, polls)
	}
	if err != nil {
		return Leases{}, fmt.Errorf("renew leases: %w", err)
	}
	return held, nil
}

func (s *Store) renew(ctx context.Context, scan func(*sql.Rows) error, text string, ttl time.Duration, owner string, mine any) error {
	param, err := array(mine)
	if err != nil {
		return err
	}
	return s.query(ctx, s.write, scan, text, millis(ttl), owner, param)
}

// Due returns up to limit tickets to send now, live ones before backfill, the longest due first, and
// no reply whose root is still to be created, and nothing of our own that may be a reply
// which SocialHub is still to be told of. Tickets for which busy says true are left out: those
// that the caller is sending already. It returns nothing when the lease is gone.
func (s *Store) Due(ctx context.Context, l DeliveryLease, limit int, busy map[string]bool) ([]*Ticket, error) {
	var due []*Ticket
	for _, priority := range []string{"0", "1"} { // each a text of its own, which stays prepared
		if len(due) >= limit {
			break
		}
		err := s.query(ctx, s.read, func(r *sql.Rows) error {
			var stored sql.NullInt64
			t, err := scanTicket(r, &stored)
			t.StoredAt = instant(stored)
			if !busy[t.NetworkItemID] && len(due) < limit {
				due = append(due, t)
			}
			return err
		}, `WITH `+trying+` SELECT `+ticketColumns+`, changed_at FROM tickets t
			WHERE channel_id = $1 AND `+pending+` AND priority = `+priority+` AND due <= {now}
				AND (root_id IS NULL OR ticket_id IS NOT NULL OR NOT EXISTS (SELECT 1 FROM tickets r
					WHERE r.channel_id = t.channel_id AND r.network_item_id = t.root_id
						AND r.state = 'pending' AND r.ticket_id IS NULL))
				AND `+notInFlight+`
				AND EXISTS (SELECT 1 FROM channels WHERE channel_id = $1 AND lease_owner = $2 AND lease_epoch = $3)
			ORDER BY due LIMIT $4`, l.ChannelID, l.Owner, l.Epoch, limit-len(due)+len(busy))
		if err != nil {
			return nil, fmt.Errorf("look for due tickets: %w", err)
		}
	}
	return s.markUncertain(ctx, l, due)
}

// trying are the sources in which an action may have posted a reply whose id is not known yet, and since when. All times are
// the database's; a minute is for a clock that is set back, or another server's.
const trying = `trying AS MATERIALIZED (SELECT source, min(tried_at) - 60000 AS since FROM actions
	WHERE channel_id = $1 AND ` + undone + ` AND ` + unended + ` AND tried_at IS NOT NULL GROUP BY source)`

// notInFlight, with [trying], is true for a ticket t of ours unless it may be a reply that is being posted, as it has come from the same
// source since, or is one that SocialHub is still to be told of: it gets its ticket by that. Another ticket of our reply must
// not be made. Each list is read once, for the first ticket of ours.
const notInFlight = `(t.own = 0
	OR NOT EXISTS (SELECT 1 FROM trying WHERE trying.source = t.source AND trying.since <= t.changed_at)
		AND t.network_item_id NOT IN (SELECT reply_id FROM actions
			WHERE channel_id = $1 AND state = 'performed' AND reply_id IS NOT NULL))`

// markUncertain notes, before they are sent, the updates whose answer may be lost: what SocialHub shows
// is not known until it has answered. It returns the tickets without those that can't be noted: the
// lease is gone, or the poll has just brought back the content that SocialHub shows.
func (s *Store) markUncertain(ctx context.Context, l DeliveryLease, due []*Ticket) ([]*Ticket, error) {
	var ids []string
	drop := make(map[string]bool)
	for _, t := range due {
		if t.TicketID != "" && t.DeliveredHash != "" && t.DeliveredHash != t.WantedHash {
			ids = append(ids, t.NetworkItemID)
			drop[t.NetworkItemID] = true
		}
	}
	if len(ids) == 0 {
		return due, nil
	}
	param, err := array(ids)
	if err != nil {
		return nil, err
	}
	marked, err := s.changeIDs(ctx, fence+` UPDATE tickets SET delivered_hash = ''
		WHERE channel_id = $1 AND state = 'pending' AND network_item_id IN (SELECT item.value FROM {ids $4} AS item)
			AND EXISTS (SELECT 1 FROM fence)
		RETURNING network_item_id`, l.ChannelID, l.Owner, l.Epoch, param)
	if err != nil {
		return nil, fmt.Errorf("note what is being sent: %w", err)
	}
	for _, id := range marked {
		delete(drop, id)
	}
	return slices.DeleteFunc(due, func(t *Ticket) bool { return drop[t.NetworkItemID] }), nil
}

// fence is true only for the present holder of a channel's lease; whoever wants to take the lease
// waits until the statement is through.
const fence = `WITH fence AS (SELECT 1 FROM channels
	WHERE channel_id = $1 AND lease_owner = $2 AND lease_epoch = $3 {share})`

// Settlement is what one delivery came to.
type Settlement struct {
	NetworkItemID string
	// Sent is the hash of the content that was sent.
	Sent string
	// TicketID is SocialHub's _id if the answer told it.
	TicketID string
	// Delivered becomes the delivered hash; nil leaves it as it is.
	Delivered *string
	// Same counts if the wanted content is still the one that was sent, Changed if it is not.
	Same, Changed Standing
}

// Standing is where a ticket goes.
type Standing struct {
	State State
	// After is when a pending ticket is due, from now.
	After    time.Duration
	Attempts int
	Reason   string
}

// settled is a Settlement as the statement reads it, by position: keys would double the text.
type settled [11]any

// Settle stores the results of deliveries, all in one statement. A ticket whose _id became known in
// the meantime never ends unlinked. It writes nothing and returns [ErrLeaseLost] if the lease is gone. Any
// other error is one that waiting may mend, see [Unreachable], or a fault of the database that a person must mend,
// such as a missing right; no content of a settlement is known that a healthy database refuses: texts are cleaned.
func (s *Store) Settle(ctx context.Context, l DeliveryLease, settlements []Settlement) error {
	if len(settlements) == 0 {
		return nil
	}
	list := make([]settled, len(settlements))
	for i, x := range settlements {
		list[i] = settled{
			clean(x.NetworkItemID), x.Sent, nullable(clean(x.TicketID)), x.Delivered,
			x.Same.State, millis(x.Same.After), clean(x.Same.Reason), x.Same.Attempts,
			x.Changed.State, millis(x.Changed.After), clean(x.Changed.Reason),
		}
	}
	slices.SortFunc(list, func(a, b settled) int { return cmp.Compare(a[0].(string), b[0].(string)) }) // see deadlocked
	param, err := array(list)
	if err != nil {
		return err
	}
	var n int64
	err = againIf(deadlocked, func() error {
		n, err = s.exec(ctx, s.write, settleStatement, l.ChannelID, l.Owner, l.Epoch, param)
		return err
	})
	if err == nil && n == 0 {
		err = ErrLeaseLost
	}
	if err != nil {
		return fmt.Errorf("store %d results: %w", len(list), err)
	}
	return nil
}

// settleStatement decides on the row as it is at the moment of writing: the poll may have changed what is
// wanted, and a person may have told the _id, while the request was under way.
const settleStatement = fence + `, res AS MATERIALIZED (SELECT item.value->>0 AS id,
			item.value->>1 AS sent, item.value->>2 AS ticket, item.value->>3 AS delivered,
			item.value->>4 AS state1, CAST(item.value->>5 AS bigint) AS after1, item.value->>6 AS reason1,
			CAST(item.value->>7 AS bigint) AS tries,
			item.value->>8 AS state2, CAST(item.value->>9 AS bigint) AS after2, item.value->>10 AS reason2
		FROM {each $4} AS item)
	UPDATE tickets SET
		ticket_id = coalesce(ticket_id, res.ticket),
		delivered_hash = coalesce(res.delivered, delivered_hash),
		delivered_at = CASE WHEN res.delivered = res.sent THEN {now} ELSE delivered_at END,
		state = ` + becomes + `,
		due = CASE WHEN ` + becomes + ` <> 'pending' THEN NULL WHEN ` + told + ` = 'unlinked' THEN {now}
			WHEN wanted_hash = res.sent THEN {now} + res.after1 ELSE {now} + res.after2 END,
		payload = CASE WHEN ` + becomes + ` IN ('synced', 'gone', 'skipped')
			OR ` + becomes + ` = 'unlinked' AND ` + shown + `
			THEN NULL ELSE payload END,
		attempts = CASE WHEN wanted_hash = res.sent THEN res.tries ELSE 0 END,
		reason = CASE WHEN wanted_hash = res.sent THEN res.reason1 WHEN state <> 'pending' THEN reason ELSE res.reason2 END
	FROM res
	WHERE channel_id = $1 AND network_item_id = res.id AND EXISTS (SELECT 1 FROM fence)`

const (
	// told is the state that the settlement names. What was refused, held or dropped in the meantime stays what it is if
	// it is other content, and also if it is the same and the answer only leaves it to be sent again or refuses it.
	told = `CASE WHEN state <> 'pending' AND (wanted_hash <> res.sent OR res.state1 IN ('pending', 'rejected')) THEN state
		WHEN wanted_hash = res.sent THEN res.state1 ELSE res.state2 END`
	// shown tells whether SocialHub shows what is wanted.
	shown = `wanted_hash = coalesce(res.delivered, delivered_hash)`
	// becomes is the state that the row goes to.
	becomes = `CASE WHEN ` + told + ` <> 'unlinked' OR coalesce(ticket_id, res.ticket) IS NULL THEN ` + told + `
		WHEN ` + shown + ` THEN 'synced' ELSE 'pending' END`
)
