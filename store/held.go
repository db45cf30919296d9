package store

import (
	"context"
	"database/sql"
	"fmt"
)

// heldBy is the condition on the changes of a source ($1, $2) that are held.
const heldBy = `channel_id = $1 AND state = 'held' AND state <> 'synced' AND source = $2`

// JudgeHeld ends a poll's holding back: if at most limit changes of the source are held, or limit is 0, they
// become due; if there are more, they stay held and the source says how many. Changes count too that were held by a poll
// that did not come to its end, or let go by polls that failed since the last one that did not: a source that fails
// again and again must not change many tickets bit by bit. Without the lease it writes nothing and returns [ErrLeaseLost].
func (s *Store) JudgeHeld(ctx context.Context, l PollLease, limit int) (held, released int, err error) {
	err = s.query(ctx, s.read, func(r *sql.Rows) error { return r.Scan(&held) },
		`SELECT count(*) FROM tickets WHERE `+heldBy, l.ChannelID, l.Source)
	if err == nil && held+l.Held > 0 {
		err = againIf(deadlocked, func() error {
			return s.inTx(ctx, func(ctx context.Context, tx *sql.Tx) (err error) {
				held, released, err = s.judgeHeld(ctx, tx, l, limit)
				return err
			})
		})
	}
	if err != nil {
		return 0, 0, fmt.Errorf("judge the held changes of %s: %w", l.Source, err)
	}
	return held, released, nil
}

func (s *Store) judgeHeld(ctx context.Context, tx *sql.Tx, l PollLease, limit int) (held, released int, err error) {
	// In a statement of its own: after a wait for [Store.ReleaseHeld] the count must see what that has let go.
	mine := false
	err = s.query(ctx, tx, func(*sql.Rows) error { mine = true; return nil }, `SELECT 1 FROM sources
		WHERE channel_id = $1 AND name = $2 AND backfill = '' AND lease_owner = $3 AND lease_epoch = $4 {lock}`,
		l.ChannelID, l.Source, l.Owner, l.Epoch)
	if err == nil && !mine {
		err = ErrLeaseLost
	}
	if err == nil {
		err = s.query(ctx, tx, func(r *sql.Rows) error { return r.Scan(&held) },
			`UPDATE sources SET held = CASE WHEN h.n + let_go > $3 AND $3 > 0 THEN h.n ELSE 0 END,
				let_go = CASE WHEN h.n + let_go > $3 AND $3 > 0 THEN let_go ELSE let_go + h.n END
			FROM (SELECT count(*) AS n FROM tickets WHERE `+heldBy+`) AS h
			WHERE channel_id = $1 AND name = $2 AND backfill = '' RETURNING held`, l.ChannelID, l.Source, limit)
	}
	if err == nil && held == 0 {
		released, err = s.letGo(ctx, tx, l.ChannelID, l.Source)
	}
	return held, released, err
}

// letGo makes the held changes of a source due.
func (s *Store) letGo(ctx context.Context, tx *sql.Tx, channelID, source string) (int, error) {
	n, err := s.exec(ctx, tx, `UPDATE tickets SET state = 'pending', due = {now} WHERE `+heldBy, channelID, source)
	return int(n), err
}

// ReleaseHeld makes the held changes of a source due and returns how many they were. With discard they are
// dropped: their content counts as seen, and SocialHub keeps what it shows.
func (s *Store) ReleaseHeld(ctx context.Context, channelID, source string, discard bool) (n int, err error) {
	err = againIf(deadlocked, func() error {
		return s.within(bulkLimit).inTx(ctx, func(ctx context.Context, tx *sql.Tx) (err error) {
			// Also where it is 0: whoever judges at the same time must wait.
			if _, err = s.exec(ctx, tx, `UPDATE sources SET held = 0, let_go = 0 WHERE channel_id = $1 AND name = $2 AND backfill = ''`,
				channelID, source); err != nil {
				return err
			}
			if !discard {
				n, err = s.letGo(ctx, tx, channelID, source)
				return err
			}
			dropped, err := s.exec(ctx, tx, `UPDATE tickets SET state = 'synced', payload = NULL WHERE `+heldBy, channelID, source)
			n = int(dropped)
			return err
		})
	})
	if err != nil {
		return 0, fmt.Errorf("release the held changes of %s: %w", source, err)
	}
	return n, nil
}

// HeldIDs returns the ids of the tickets whose changes are held for a source.
func (s *Store) HeldIDs(ctx context.Context, channelID, source string) (ids []string, err error) {
	err = s.query(ctx, s.read, func(r *sql.Rows) error {
		var id string
		err := r.Scan(&id)
		ids = append(ids, id)
		return err
	}, `SELECT network_item_id FROM tickets WHERE `+heldBy, channelID, source)
	if err != nil {
		return nil, fmt.Errorf("list the held changes of %s: %w", source, err)
	}
	return ids, nil
}
