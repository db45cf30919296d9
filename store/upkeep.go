package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Retention is how long is kept what nobody needs any more. 0 is for ever.
type Retention struct {
	// Actions is for those at an end, counted from there, and Polls for the history of the polls.
	Actions, Polls time.Duration
	// Tickets is for those at an end whose item no poll has brought for so long, see [Store.Saw].
	Tickets time.Duration
}

// Removed is how many rows an upkeep has deleted.
type Removed struct{ Actions, Polls, Tickets int }

const (
	// upkeepEvery is how often the upkeep is done, by whichever process asks first.
	upkeepEvery = 24 * time.Hour
	// upkeepLease is how long another process waits for one that died at it.
	upkeepLease = 10 * time.Minute
	// upkeepBatch is how many rows one statement deletes, and upkeepPage how many tickets one looks at.
	upkeepBatch, upkeepPage = 500, 1000
)

// Upkeep deletes what is not kept any longer, if that was not done within a day and nobody else is at it; else done is
// false. It deletes few rows at a time and pauses in between, so that nobody waits for it. Cut off, the next one goes on.
func (s *Store) Upkeep(ctx context.Context, owner string, keep Retention) (removed Removed, done bool, err error) {
	if keep.Tickets == 0 { // what was seen is noted no more
		_, err = s.exec(ctx, s.write, `UPDATE sources SET seen_since = NULL, seen_last = NULL WHERE seen_since IS NOT NULL`)
	}
	u := upkeep{Store: s, owner: owner, renewed: time.Now()}
	if err == nil {
		done, err = u.claim(ctx)
	}
	if err != nil || !done {
		return removed, false, upkeepError(err)
	}
	removed, err = u.remove(ctx, keep)
	if err == nil {
		err = u.finish(ctx)
	}
	return removed, err == nil, upkeepError(err)
}

func upkeepError(err error) error {
	if err != nil {
		return fmt.Errorf("delete what is not kept any longer: %w", err)
	}
	return nil
}

// upkeep is one round of it.
type upkeep struct {
	*Store
	owner   string
	renewed time.Time
}

func (u *upkeep) claim(ctx context.Context) (bool, error) {
	n, err := u.exec(ctx, u.write, `UPDATE upkeep SET lease_owner = $1, lease_until = {now} + $2
		WHERE task = 'retention' AND due <= {now} AND lease_until <= {now}`, u.owner, millis(upkeepLease))
	return n > 0, err
}

func (u *upkeep) finish(ctx context.Context) error {
	_, err := u.exec(ctx, u.write, `UPDATE upkeep SET due = {now} + $2, lease_owner = '', lease_until = 0
		WHERE task = 'retention' AND lease_owner = $1`, u.owner, millis(upkeepEvery))
	return err
}

// breathe lets others work for as long as a statement took, and renews the lease now and then.
func (u *upkeep) breathe(ctx context.Context, took time.Duration) error {
	timer := time.NewTimer(min(took, time.Second))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
	}
	if time.Since(u.renewed) < upkeepLease/10 {
		return nil
	}
	n, err := u.exec(ctx, u.write, `UPDATE upkeep SET lease_until = {now} + $2 WHERE task = 'retention' AND lease_owner = $1`,
		u.owner, millis(upkeepLease))
	if err == nil && n == 0 {
		err = ErrLeaseLost
	}
	u.renewed = time.Now()
	return err
}

func (u *upkeep) remove(ctx context.Context, keep Retention) (removed Removed, err error) {
	var channels []string
	err = u.query(ctx, u.read, func(r *sql.Rows) error {
		var id string
		err := r.Scan(&id)
		channels = append(channels, id)
		return err
	}, `SELECT channel_id FROM channels ORDER BY channel_id`)
	if err != nil {
		return removed, err
	}
	for _, id := range channels {
		err = errors.Join(
			u.removeOld(ctx, &removed.Actions, removeActions, id, keep.Actions),
			u.removeOld(ctx, &removed.Polls, removePolls, id, keep.Polls),
			u.removeUnseen(ctx, &removed.Tickets, id, keep.Tickets))
		if err != nil {
			return removed, err
		}
	}
	return removed, nil
}

const (
	ended         = `state IN ('confirmed', 'reported', 'dismissed')`
	removeActions = `DELETE FROM actions WHERE channel_id = $1 AND ` + ended + ` AND action_key IN (SELECT a.action_key FROM actions a
		WHERE a.channel_id = $1 AND a.` + ended + ` AND a.changed_at < {now} - $2 ORDER BY a.changed_at LIMIT $3)`
	// All spans of one beginning together: they are few.
	removePolls = `DELETE FROM polls WHERE channel_id = $1 AND began IN (SELECT p.began FROM polls p
		WHERE p.channel_id = $1 AND p.began < {now} - $2 ORDER BY p.began LIMIT $3)`
)

// removeOld runs a statement until it finds nothing more that is older than age.
func (u *upkeep) removeOld(ctx context.Context, removed *int, statement, channelID string, age time.Duration) error {
	for age != 0 {
		began := time.Now()
		var n int64
		err := againIf(deadlocked, func() (err error) {
			n, err = u.exec(ctx, u.write, statement, channelID, millis(age), upkeepBatch)
			return err
		})
		*removed += int(n)
		if err != nil || n == 0 {
			return err
		}
		if err := u.breathe(ctx, time.Since(began)); err != nil {
			return err
		}
	}
	return nil
}

// removeUnseen walks through all tickets of a channel.
func (u *upkeep) removeUnseen(ctx context.Context, removed *int, channelID string, age time.Duration) error {
	// What was noted as seen may be older than it was by a quarter, see [Store.Saw].
	age += age / 4
	for after := ""; age != 0; {
		began := time.Now()
		last, unseen, err := u.unseen(ctx, channelID, after, age)
		if err != nil || last == "" {
			return err
		}
		after = last
		if len(unseen) > 0 {
			param, err := array(unseen)
			if err != nil {
				return err
			}
			// Asked again, as a poll may have brought one in the meantime.
			deleted, err := u.changeIDs(ctx, `DELETE FROM tickets AS t WHERE t.channel_id = $1
				AND t.network_item_id IN (SELECT item.value FROM {ids $3} AS item) AND `+unseenFor+` RETURNING network_item_id`,
				channelID, millis(age), param)
			*removed += len(deleted)
			if err != nil {
				return err
			}
		}
		if err := u.breathe(ctx, time.Since(began)); err != nil {
			return err
		}
	}
	return nil
}

// unseen looks at the tickets that follow: which is the last one, and which may be deleted.
func (u *upkeep) unseen(ctx context.Context, channelID, after string, age time.Duration) (last string, unseen []string, err error) {
	err = u.query(ctx, u.read, func(r *sql.Rows) error {
		var old int
		err := r.Scan(&last, &old)
		if old == 1 {
			unseen = append(unseen, last)
		}
		return err
	}, `SELECT t.network_item_id, CASE WHEN `+unseenFor+` THEN 1 ELSE 0 END FROM tickets t
		WHERE t.channel_id = $1 AND t.network_item_id > $3 ORDER BY t.network_item_id LIMIT $4`,
		channelID, millis(age), after, upkeepPage)
	return last, unseen, err
}

// unseenFor is the condition on a ticket t that may be deleted, in the channel $1 after $2 milliseconds. It is at an end,
// no action that is under way needs it, and its source has brought other items to their end since, the last time after
// that time and with what it brought noted all along. A source that says for a year that nothing has changed thus
// makes nothing old: all its items may be in its next answer.
const unseenFor = `t.state IN ('synced', 'gone', 'skipped', 'rejected')
	AND EXISTS (SELECT 1 FROM sources x WHERE x.channel_id = $1 AND x.name = t.source AND x.backfill = ''
		AND x.seen_since < x.seen_last - $2 AND t.changed_at < x.seen_last - $2 AND coalesce(t.seen_at, 0) < x.seen_last - $2)
	AND t.network_item_id NOT IN (SELECT network_item_id FROM actions WHERE channel_id = $1 AND ` + unended + `)
	AND t.network_item_id NOT IN (SELECT reply_id FROM actions WHERE channel_id = $1 AND ` + unended + ` AND reply_id IS NOT NULL)`

// Saw notes that a poll has brought these items, for those of which that was not noted within a quarter of the time that
// tickets are kept. It is needed only where they are not kept for ever, and writes seldom.
func (s *Store) Saw(ctx context.Context, channelID string, ids []string, keep time.Duration) error {
	param, err := array(cleanAll(ids))
	if err != nil {
		return err
	}
	const stale = `channel_id = $1 AND network_item_id IN (SELECT item.value FROM {ids $2} AS item)
		AND changed_at < {now} - $3 AND coalesce(seen_at, 0) < {now} - $3`
	found := false
	err = s.query(ctx, s.read, func(*sql.Rows) error { found = true; return nil },
		`SELECT 1 FROM tickets WHERE `+stale+` LIMIT 1`, channelID, param, millis(keep/4))
	if err == nil && found {
		err = againIf(deadlocked, func() error {
			_, err := s.exec(ctx, s.write, `UPDATE tickets SET seen_at = {now} WHERE `+stale, channelID, param, millis(keep/4))
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("note %d items as seen: %w", len(ids), err)
	}
	return nil
}
