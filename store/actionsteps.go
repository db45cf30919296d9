package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// Action is our row about something that the team did in SocialHub.
type Action struct {
	Key, Type, ActionID, NetworkItemID, TicketID string
	// Source is that of the item; empty if the item is unknown.
	Source string
	// Payload is empty once it is not needed any more.
	Payload  string
	State    ActionState
	Attempts int
	Reason   string
	// Time is when it was done in SocialHub.
	Time time.Time
	// Waited is how long ago it was received, the last time, and once a try of it began or could not begin, how long ago
	// the first one did. Tried is how long ago the source was first called, 0 if it was not.
	Waited, Tried time.Duration
	// Retried tells of one in performing that a person has taken up again since its last try.
	Retried bool
	// ReplyID is the networkItemId of the reply that was posted, Reply what is to be told of it, in the engine's own form.
	ReplyID, Reply string
	// Ref is what the item's ticket has, RootID the id of its root and RootRef what that one's ticket has.
	Ref, RootID, RootRef string
}

// theirItems adds to some actions what the tickets know of their items. The actions are chosen before, so that Postgres
// does not join all tickets.
const theirItems = `SELECT x.action_key, x.type, x.action_id, x.network_item_id, x.ticket_id, coalesce(t.source, x.source),
		x.payload, x.state, x.attempts, x.reason, x.happened_at, {now} - x.received_at, {now} - x.tried_at,
		CASE WHEN x.state = 'performing' AND x.received_at > x.tried_at THEN 1 ELSE 0 END, x.reply_id, x.reply, t.ref, t.root_id, r.ref
	FROM chosen x LEFT JOIN tickets t ON t.channel_id = x.channel_id AND t.network_item_id = x.network_item_id
		LEFT JOIN tickets r ON r.channel_id = t.channel_id AND r.network_item_id = t.root_id
	ORDER BY `

// actions reads those that choose, a query of whole rows, has chosen.
func (s *Store) actions(ctx context.Context, choose, order string, args ...any) (actions []*Action, err error) {
	err = s.query(ctx, s.read, func(r *sql.Rows) error {
		a, err := scanAction(r)
		actions = append(actions, a)
		return err
	}, `WITH chosen AS MATERIALIZED (`+choose+`) `+theirItems+order, args...)
	return actions, err
}

func scanAction(rows *sql.Rows) (*Action, error) {
	var a Action
	var payload, replyID, reply, ref, root, rootRef sql.NullString
	var happened, waited int64
	var retried int
	var tried sql.NullInt64
	err := rows.Scan(&a.Key, &a.Type, &a.ActionID, &a.NetworkItemID, &a.TicketID, &a.Source, &payload, &a.State, &a.Attempts,
		&a.Reason, &happened, &waited, &tried, &retried, &replyID, &reply, &ref, &root, &rootRef)
	a.Payload, a.ReplyID, a.Reply, a.Ref, a.RootID, a.RootRef =
		payload.String, replyID.String, reply.String, ref.String, root.String, rootRef.String
	a.Retried = retried == 1
	a.Time, a.Waited = time.UnixMilli(happened).UTC(), time.Duration(waited)*time.Millisecond
	if tried.Valid { // a try of this very millisecond is one, too
		a.Tried = max(time.Duration(tried.Int64)*time.Millisecond, 1)
	}
	return &a, err
}

// BusyActions says which actions the caller does not want.
type BusyActions struct {
	// Keys are those that it has in hand already.
	Keys map[string]bool
	// Sources have enough to do; what is to be told of their actions is wanted all the same, unless Callbacks is true.
	Sources   []string
	Callbacks bool
}

// DueActions returns up to limit actions whose next step may be taken now, the longest due first, without those that are
// busy. Of one item no action is returned that is still to be done while an earlier one is, or another one is in hand or
// begun; of several that are begun, as a person has had them taken up again, only the first. It returns nothing when the
// lease is gone.
func (s *Store) DueActions(ctx context.Context, l DeliveryLease, limit int, busy BusyActions) ([]*Action, error) {
	keys := []string{}
	for key := range busy.Keys {
		keys = append(keys, clean(key))
	}
	param, err := array(keys)
	if err != nil {
		return nil, err
	}
	full, err := array(append([]string{}, busy.Sources...))
	if err != nil {
		return nil, err
	}
	due, err := s.actions(ctx, `SELECT * FROM actions a WHERE a.channel_id = $1 AND a.due <= {now}
			AND a.action_key NOT IN (SELECT item.value FROM {ids $5} AS item)
			AND (a.state NOT IN ('received', 'performing') OR NOT EXISTS (SELECT 1 FROM actions e
				WHERE e.channel_id = a.channel_id AND e.network_item_id = a.network_item_id AND e.`+undone+`
					AND e.action_key <> a.action_key
					AND (CASE WHEN e.state = a.state THEN (e.happened_at, e.action_key) < (a.happened_at, a.action_key) ELSE e.state = 'performing' END
						OR e.action_key IN (SELECT item.value FROM {ids $5} AS item))))
			AND CASE WHEN a.state NOT IN ('received', 'performing') THEN NOT $7 ELSE $6 = '[]' OR coalesce((SELECT t.source FROM tickets t
				WHERE t.channel_id = a.channel_id AND t.network_item_id = a.network_item_id), a.source) NOT IN (SELECT item.value FROM {ids $6} AS item) END
			AND EXISTS (SELECT 1 FROM channels WHERE channel_id = $1 AND lease_owner = $2 AND lease_epoch = $3)
		ORDER BY a.due, a.happened_at, a.action_key LIMIT $4`, `x.due, x.happened_at, x.action_key`,
		l.ChannelID, l.Owner, l.Epoch, limit, param, full, busy.Callbacks)
	if err != nil {
		return nil, fmt.Errorf("look for due actions: %w", err)
	}
	return due, nil
}

// BeginAction notes that an action is being done, before it is. It stays due: whoever finds it so in a later lease knows
// that it may have been done. The times of its first try begin anew unless an earlier try may have had an effect; what a
// person has said of those is used up. It returns [ErrLeaseLost] if the lease is gone or the action is not to be done any more.
func (s *Store) BeginAction(ctx context.Context, l DeliveryLease, key string) error {
	var n int64
	err := againIf(deadlocked, func() (err error) {
		n, err = s.exec(ctx, s.write, fence+` UPDATE actions SET state = 'performing', attempts = attempts + 1,
			tried_at = CASE WHEN state = 'received' AND (attempts = 0 OR tried_at IS NULL OR tried_at < received_at)
				THEN clock.now ELSE tried_at END,
			received_at = CASE WHEN state = 'performing' AND received_at > tried_at THEN tried_at
				WHEN state = 'received' AND (attempts = 0 OR received_at > clock.now) THEN clock.now ELSE received_at END,
			changed_at = clock.now,
			source = coalesce((SELECT t.source FROM tickets t
				WHERE t.channel_id = $1 AND t.network_item_id = actions.network_item_id), source)
		FROM (SELECT {now} AS now) AS clock
		WHERE channel_id = $1 AND action_key = $4 AND `+undone+` AND EXISTS (SELECT 1 FROM fence)`,
			l.ChannelID, l.Owner, l.Epoch, clean(key))
		return err
	})
	if err == nil && n == 0 {
		err = ErrLeaseLost
	}
	if err != nil {
		return fmt.Errorf("note that an action begins: %w", err)
	}
	return nil
}

// ActionStep is what one step of an action came to.
type ActionStep struct {
	Key      string
	From, To ActionState
	// Wait tells whether there is another step, which is due After from now. Without it the action waits for a person;
	// one that is to be done can't. At an end it is not asked.
	Wait     bool
	After    time.Duration
	Attempts int
	Reason   string
	// Reply is the reply that was posted, for a step to performed.
	Reply *PostedReply
	// ReplyTicketID is the _id that SocialHub gave to the reply, for a step to confirmed; empty if it is not known.
	ReplyTicketID string
}

// PostedReply is a reply as the source has it.
type PostedReply struct {
	// NetworkItemID is at most 2,000 bytes long.
	NetworkItemID string
	// RootID and Ref are for the reply's own ticket.
	RootID, Ref string
	// Note is what is to be told of the reply, in the engine's own form.
	Note string
}

// reservedHash stands for the content of a reply until a poll brings it. No hash of the engine is like it.
const reservedHash = "reply"

// StepAction stores a step of an action, in one transaction with what it means for the reply's ticket: performed reserves
// it, so that no poll makes another ticket of our reply, and confirmed links it, or leaves it unlinked without an _id.
// The payload goes with the last step that may need it. It writes nothing and returns [ErrLeaseLost] if the lease is gone
// or the action is in another state than From; one that is in the state To already has taken the step.
func (s *Store) StepAction(ctx context.Context, l DeliveryLease, step ActionStep) error {
	switch step.To {
	case ActionReceived, ActionPerforming:
		if !step.Wait {
			return fmt.Errorf("store that an action is %s: it needs a time at which it is due", step.To)
		}
	case ActionConfirmed, ActionReported, ActionDismissed:
		step.Wait = false
	}
	err := againIf(deadlocked, func() error {
		return s.inTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
			done, err := s.stepAction(ctx, tx, l, step)
			switch {
			case err != nil || !done:
				return err
			case step.To == ActionPerformed && step.Reply != nil:
				return s.reserveReply(ctx, tx, l.ChannelID, step)
			case step.To == ActionConfirmed:
				return s.linkReply(ctx, tx, l.ChannelID, step)
			}
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("store that an action is %s: %w", step.To, err)
	}
	return nil
}

// stepAction tells whether the step was taken now.
func (s *Store) stepAction(ctx context.Context, tx *sql.Tx, l DeliveryLease, step ActionStep) (bool, error) {
	due := sql.NullInt64{Int64: millis(step.After), Valid: step.Wait}
	var replyID, reply *string
	if step.Reply != nil {
		replyID, reply = nullable(clean(step.Reply.NetworkItemID)), nullable(clean(step.Reply.Note))
	}
	n, err := s.exec(ctx, tx, fence+` UPDATE actions SET state = $6, due = {now} + CAST($7 AS bigint), attempts = CAST($8 AS bigint), reason = $9,
			payload = CASE WHEN $6 IN ('received', 'performing', 'uncertain') THEN payload END,
			received_at = CASE WHEN attempts = 0 AND CAST($8 AS bigint) > 0 AND $6 IN ('received', 'performing') THEN {now} ELSE received_at END,
			reply_id = coalesce($10, reply_id), reply = CASE WHEN $6 IN ('confirmed', 'dismissed') THEN NULL ELSE coalesce($11, reply) END,
			changed_at = {now}
		WHERE channel_id = $1 AND action_key = $4 AND state = $5 AND EXISTS (SELECT 1 FROM fence)`,
		l.ChannelID, l.Owner, l.Epoch, clean(step.Key), string(step.From), string(step.To), due, step.Attempts, clean(step.Reason), replyID, reply)
	if err != nil || n > 0 {
		return true, err
	}
	err = ErrLeaseLost
	found := s.query(ctx, tx, func(*sql.Rows) error { err = nil; return nil }, `SELECT 1 FROM actions
		WHERE channel_id = $1 AND action_key = $4 AND state = $5
			AND EXISTS (SELECT 1 FROM channels WHERE channel_id = $1 AND lease_owner = $2 AND lease_epoch = $3)`,
		l.ChannelID, l.Owner, l.Epoch, clean(step.Key), string(step.To))
	if found != nil {
		err = found
	}
	return false, err
}

// reserveReply makes the ticket of a reply that SocialHub does not know yet. A poll may have been faster; then what it
// wanted to send is dropped. A ticket that SocialHub has stays as it is.
func (s *Store) reserveReply(ctx context.Context, tx *sql.Tx, channelID string, step ActionStep) error {
	_, err := s.exec(ctx, tx, `INSERT INTO tickets (channel_id, network_item_id, source, wanted_hash, delivered_hash, root_id, ref,
			state, own, changed_at)
		SELECT channel_id, reply_id, source, '`+reservedHash+`', '`+reservedHash+`', $3, $4, 'skipped', 1, {now} FROM actions
		WHERE channel_id = $1 AND action_key = $2 AND reply_id IS NOT NULL
		ON CONFLICT (channel_id, network_item_id) DO UPDATE SET wanted_hash = excluded.wanted_hash,
			delivered_hash = excluded.delivered_hash, ref = coalesce(excluded.ref, tickets.ref),
			root_id = coalesce(tickets.root_id, excluded.root_id), payload = NULL, state = excluded.state, own = excluded.own,
			due = NULL, attempts = 0, reason = '', changed_at = excluded.changed_at
		WHERE tickets.ticket_id IS NULL`,
		channelID, clean(step.Key), nullable(clean(step.Reply.RootID)), nullable(clean(step.Reply.Ref)))
	return err
}

// linkReply tells the reply's ticket that SocialHub has it. A later content of the reply that waits for its turn goes on
// waiting, or for the _id if that is not known.
func (s *Store) linkReply(ctx context.Context, tx *sql.Tx, channelID string, step ActionStep) error {
	const reply = ` WHERE channel_id = $1 AND ticket_id IS NULL
		AND network_item_id = (SELECT a.reply_id FROM actions a WHERE a.channel_id = $1 AND a.action_key = $2)`
	id := clean(step.ReplyTicketID)
	if id == "" {
		_, err := s.exec(ctx, tx, `UPDATE tickets SET state = 'unlinked', due = NULL,
			reason = 'SocialHub has the reply, but its _id is unknown'`+reply+` AND state IN ('skipped', 'pending')`, channelID, clean(step.Key))
		return err
	}
	_, err := s.exec(ctx, tx, `UPDATE tickets SET ticket_id = $3, delivered_at = {now},
			state = CASE WHEN state IN ('skipped', 'unlinked') AND delivered_hash = wanted_hash THEN 'synced'
				WHEN state = 'unlinked' THEN 'pending' ELSE state END,
			due = CASE WHEN state = 'unlinked' AND coalesce(delivered_hash, '') <> wanted_hash THEN {now} ELSE due END,
			reason = CASE WHEN state IN ('skipped', 'unlinked') THEN '' ELSE reason END`+reply, channelID, clean(step.Key), id)
	return err
}
