package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ActionState says where an action stands.
type ActionState string

const (
	// ActionReceived: it is to be done, for the first time or again.
	ActionReceived ActionState = "received"
	// ActionPerforming: somebody does it, or has died while doing it.
	ActionPerforming ActionState = "performing"
	// ActionPerformed: the reply is posted, and SocialHub is to be told.
	ActionPerformed ActionState = "performed"
	// ActionConfirmed is an end: it is done, and SocialHub knows.
	ActionConfirmed ActionState = "confirmed"
	// ActionFailed: it was not done and never will be, and the team is to be told.
	ActionFailed ActionState = "failed"
	// ActionReported is an end: the team was told that it was not done.
	ActionReported ActionState = "reported"
	// ActionUncertain: nobody knows whether it was done; while it is due the team is to be told so.
	ActionUncertain ActionState = "uncertain"
	// ActionDismissed is an end: a person said that it is settled.
	ActionDismissed ActionState = "dismissed"
)

// ActionStates are all states of an action, in the order in which they come.
var ActionStates = []ActionState{ActionReceived, ActionPerforming, ActionPerformed, ActionConfirmed, ActionFailed, ActionReported,
	ActionUncertain, ActionDismissed}

// SQLite uses a partial index only where it finds the index's own condition, so these stand in statements word by word.
const (
	// undone actions keep the later ones of their item waiting.
	undone = `state IN ('received', 'performing')`
	// open actions are not at an end.
	unended = `state NOT IN ('confirmed', 'reported', 'dismissed')`
	// stuck actions wait for a person.
	stuck = unended + ` AND state IN ('performed', 'failed', 'uncertain') AND due IS NULL`
	// over tells whether an action may begin anew when the team sends it again.
	over = `(actions.state IN ('reported', 'dismissed') OR actions.state = 'uncertain' AND actions.due IS NULL)`
)

// Receipt is what one request to the webhook brings.
type Receipt struct {
	Actions []NewAction
	// Disabled is when the channel was deactivated, by SocialHub's clock; zero if the request does not say so.
	Disabled time.Time
	// Fingerprint is that of the channel's token, for the pause.
	Fingerprint string
}

// NewAction is one event. Its texts are stored like those of a [Ticket]; Key and UUID are not empty and at most 256
// bytes long.
type NewAction struct {
	// Key is the same for every delivery of the action, also when the team sends it again. UUID is the event's own.
	Key, UUID string
	// Type and ActionID say which action of the manifest it is.
	Type, ActionID          string
	NetworkItemID, TicketID string
	// Payload is the event's content, in whatever form; it is kept as long as it may be needed.
	Payload string
	// Time is when it was done, by SocialHub's clock.
	Time time.Time
}

// Receive stores what a request brings, all of it or nothing, and returns how many actions begin by it. An event that
// is known, or whose action is still under way or done, begins nothing. One with another UUID begins its action anew if
// that was reported, dismissed, or is uncertain and the team was told; a reply that stands is not posted again, SocialHub
// is only told again. Tickets learn their _id as by [Store.Adopt]. Disabled pauses the channel as forbidden, but only
// if it is later than the last one. A channel that was never registered is an error.
func (s *Store) Receive(ctx context.Context, channelID string, r Receipt) (taken int, err error) {
	actions, links, err := receivedOf(r.Actions)
	if err == nil {
		err = againIf(deadlocked, func() error {
			return s.inTx(ctx, func(ctx context.Context, tx *sql.Tx) (err error) {
				taken, err = s.receive(ctx, tx, channelID, r, actions, links)
				return err
			})
		})
	}
	if err != nil {
		return 0, fmt.Errorf("store %d actions: %w", len(r.Actions), err)
	}
	return taken, nil
}

// received is a NewAction as the statement reads it, by position.
type received [8]any

// receivedOf returns the first event of each action in the order of the keys, see [deadlocked], and what the events tell
// of tickets.
func receivedOf(events []NewAction) (actions []received, links string, err error) {
	ids := [][2]string{}
	seen, told := make(map[string]bool), make(map[string]bool)
	for _, a := range events {
		key, item, ticket := clean(a.Key), clean(a.NetworkItemID), clean(a.TicketID)
		if ticket != "" && !told[item] {
			told[item] = true
			ids = append(ids, [2]string{item, ticket})
		}
		if !seen[key] {
			seen[key] = true
			actions = append(actions, received{
				key, uuidMark(a.UUID), clean(a.Type), clean(a.ActionID), item, ticket, nullable(clean(a.Payload)), a.Time.UnixMilli(),
			})
		}
	}
	slices.SortFunc(actions, func(a, b received) int { return cmp.Compare(a[0].(string), b[0].(string)) })
	slices.SortFunc(ids, func(a, b [2]string) int { return cmp.Compare(a[0], b[0]) })
	links, err = array(ids)
	return actions, links, err
}

// uuidMark is a UUID as actions.uuids has it.
func uuidMark(uuid string) string {
	return "\n" + strings.ReplaceAll(clean(uuid), "\n", "\uFFFD") + "\n"
}

func (s *Store) receive(ctx context.Context, tx *sql.Tx, channelID string, r Receipt, actions []received, links string) (taken int, err error) {
	known := false
	if len(actions) > 0 {
		if _, err = s.exec(ctx, tx, learnIDs, channelID, links); err == nil {
			taken, known, err = s.insertActions(ctx, tx, channelID, actions)
		}
	}
	if err == nil && !r.Disabled.IsZero() {
		_, err = s.exec(ctx, tx, `UPDATE channels SET pause = '`+string(Forbidden)+`', paused_until = NULL, pause_fingerprint = $2,
				pause_reason = 'SocialHub says that the channel was deactivated', disabled_at = $3
			WHERE channel_id = $1 AND coalesce(disabled_at, 0) < $3`, channelID, r.Fingerprint, r.Disabled.UnixMilli())
	}
	if err == nil && !known {
		err = s.query(ctx, tx, func(*sql.Rows) error { known = true; return nil }, `SELECT 1 FROM channels WHERE channel_id = $1`, channelID)
		if err == nil && !known {
			err = fmt.Errorf("the channel %s was never registered", channelID)
		}
	}
	return taken, err
}

// insertActions returns also whether it wrote anything, which it does for known channels alone. It keeps the UUIDs of
// events that begin nothing, too: delivered once more, later, they must not begin anything either.
func (s *Store) insertActions(ctx context.Context, tx *sql.Tx, channelID string, actions []received) (taken int, wrote bool, err error) {
	param, err := array(actions)
	if err != nil {
		return 0, false, err
	}
	marks := make(map[string]string)
	for _, a := range actions {
		marks[a[0].(string)] = a[1].(string)
	}
	err = s.query(ctx, tx, func(r *sql.Rows) error {
		var key, uuids string
		err := r.Scan(&key, &uuids)
		wrote = true
		if strings.HasPrefix(uuids, marks[key]) {
			taken++
		}
		return err
	}, receiveStatement, channelID, param)
	return taken, wrote, err
}

const (
	receiveStatement = `INSERT INTO actions (channel_id, action_key, uuids, type, action_id, network_item_id, ticket_id, payload,
			happened_at, source, state, due, received_at, changed_at)
		SELECT $1, item.value->>0, item.value->>1, item.value->>2, item.value->>3, item.value->>4, item.value->>5,
			item.value->>6, CAST(item.value->>7 AS bigint),
			coalesce((SELECT t.source FROM tickets t WHERE t.channel_id = $1 AND t.network_item_id = item.value->>4), ''),
			'received', {now}, {now}, {now}
		FROM {each $2} AS item WHERE EXISTS (SELECT 1 FROM channels WHERE channel_id = $1)
		ON CONFLICT (channel_id, action_key) DO UPDATE SET
			uuids = CASE WHEN ` + over + ` THEN excluded.uuids || actions.uuids ELSE actions.uuids || excluded.uuids END,
			type = ` + anew + `excluded.type ELSE actions.type END,
			action_id = ` + anew + `excluded.action_id ELSE actions.action_id END,
			network_item_id = ` + anew + `excluded.network_item_id ELSE actions.network_item_id END,
			ticket_id = ` + anew + `excluded.ticket_id ELSE actions.ticket_id END,
			source = ` + anew + `excluded.source ELSE actions.source END,
			payload = ` + anew + `excluded.payload ELSE actions.payload END,
			happened_at = ` + anew + `excluded.happened_at ELSE actions.happened_at END,
			tried_at = ` + anew + `NULL ELSE actions.tried_at END,
			received_at = CASE WHEN ` + over + ` THEN excluded.received_at ELSE actions.received_at END,
			state = ` + anew + `'received' WHEN ` + over + ` THEN 'performed' ELSE actions.state END,
			due = CASE WHEN ` + over + ` THEN excluded.due ELSE actions.due END,
			attempts = CASE WHEN ` + over + ` THEN 0 ELSE actions.attempts END,
			reason = CASE WHEN ` + over + ` THEN '' ELSE actions.reason END,
			changed_at = CASE WHEN ` + over + ` THEN excluded.changed_at ELSE actions.changed_at END
		WHERE replace(actions.uuids, excluded.uuids, '') = actions.uuids
		RETURNING action_key, uuids`
	// anew is for what changes when an action is to be done anew: a reply that stands is not.
	anew = `CASE WHEN ` + over + ` AND actions.reply_id IS NULL THEN `
)

// learnIDs stores the _id of tickets that have none and makes the content due that waited for it. A skipped one is the
// ticket of a reply, of which SocialHub was told.
const learnIDs = `UPDATE tickets SET ticket_id = item.value->>1,
		state = CASE WHEN state NOT IN ('unlinked', 'skipped') THEN state WHEN delivered_hash = wanted_hash THEN 'synced' ELSE 'pending' END,
		due = CASE WHEN state = 'unlinked' AND coalesce(delivered_hash, '') <> wanted_hash THEN {now} ELSE due END,
		reason = CASE WHEN state = 'unlinked' THEN '' ELSE reason END
	FROM {each $2} AS item
	WHERE channel_id = $1 AND network_item_id = item.value->>0 AND ticket_id IS NULL
		AND (state IN ('pending', 'unlinked', 'rejected') OR state = 'skipped' AND delivered_hash = wanted_hash)`
