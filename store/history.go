package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// PollOutcome is how a poll ended.
type PollOutcome string

const (
	// PollUnchanged found nothing new.
	PollUnchanged PollOutcome = "unchanged"
	// PollFound found something.
	PollFound PollOutcome = "found"
	// PollFailed is tried again.
	PollFailed PollOutcome = "failed"
	// PollStopped failed, and its source waits for a person.
	PollStopped PollOutcome = "stopped"
)

// outcome returns how the poll ended, and how long the span is whose polls of that kind are told of together.
func (r *PollResult) outcome() (PollOutcome, time.Duration) {
	switch {
	case r.Pause != "":
		return PollStopped, time.Minute
	case r.Error != "":
		return PollFailed, time.Minute
	case r.New+r.Changed+r.Rejected+r.Mended > 0:
		return PollFound, time.Minute
	}
	return PollUnchanged, time.Hour
}

// FinishPoll stores the outcome, also in the history, and gives the lease back, or returns [ErrLeaseLost]. If the next poll
// was planned anew while this one was under way, that plan stays, and the source is not stopped: its settings are others.
func (s *Store) FinishPoll(ctx context.Context, l PollLease, r PollResult) error {
	outcome, span := r.outcome()
	args := []any{
		l.ChannelID, l.Source, l.Backfill, l.Epoch, clean(r.Error), clean(r.Pause), millis(r.Next), flag(r.Finished),
		r.New, r.Changed, r.Unchanged, r.Rejected, r.Mended, l.Owner, string(outcome), millis(span), millis(max(r.Took, 0)), flag(r.Seen),
		l.planned,
	}
	var err error
	if s.file == "" {
		// In one statement, for there is a network between.
		err = s.finishPoll(ctx, s.write, `WITH done AS (`+finishStatement+` RETURNING *) `+historyStatement+` FROM done`+historyConflict, args)
	} else {
		err = s.inTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
			if err := s.finishPoll(ctx, tx, finishStatement, args); err != nil {
				return err
			}
			_, err := s.exec(ctx, tx, historyStatement+` FROM sources WHERE channel_id = $1 AND name = $2 AND backfill = $3`+historyConflict, args...)
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("store the result of the poll of %s: %w", l.Source, err)
	}
	return nil
}

func (s *Store) finishPoll(ctx context.Context, q querier, text string, args []any) error {
	n, err := s.exec(ctx, q, text, args...)
	if err == nil && n == 0 {
		err = ErrLeaseLost
	}
	return err
}

const (
	finishStatement = `UPDATE sources SET last_poll = {now}, last_error = $5,
			pause = CASE WHEN next_poll = $19 THEN $6 ELSE pause END, next_poll = CASE WHEN next_poll = $19 THEN {now} + $7 ELSE next_poll END,
			last_success = CASE WHEN $5 = '' THEN {now} ELSE last_success END,
			failures = CASE WHEN $5 = '' THEN 0 ELSE failures + 1 END, let_go = CASE WHEN $5 = '' THEN 0 ELSE let_go END,
			finished = CASE WHEN $8 = 1 THEN {now} ELSE finished END,
			new = $9, changed = $10, unchanged = $11, rejected = $12, mended = $13, lease_owner = '', lease_until = 0,
			seen_since = CASE WHEN $18 = 1 THEN coalesce(seen_since, {now} - CAST($17 AS bigint)) ELSE seen_since END,
			seen_last = CASE WHEN $18 = 1 THEN {now} - CAST($17 AS bigint) ELSE seen_last END
		WHERE channel_id = $1 AND name = $2 AND backfill = $3 AND lease_epoch = $4 AND lease_owner = $14`
	historyStatement = `INSERT INTO polls (channel_id, began, source, backfill, outcome, polls, took, new, changed, unchanged, rejected, mended)
		SELECT channel_id, {now} - {now} % CAST($16 AS bigint), name, backfill, CAST($15 AS text), 1, CAST($17 AS bigint),
			new, changed, unchanged, rejected, mended`
	historyConflict = ` ON CONFLICT (channel_id, began, source, backfill, outcome) DO UPDATE SET
			polls = polls.polls + 1, took = polls.took + excluded.took, new = polls.new + excluded.new,
			changed = polls.changed + excluded.changed, unchanged = polls.unchanged + excluded.unchanged,
			rejected = polls.rejected + excluded.rejected, mended = polls.mended + excluded.mended`
)

// PollSpan tells of the polls of a stream that ended in the same way within one minute, or within one hour if they found
// nothing.
type PollSpan struct {
	PollKey
	// Began is the beginning of the minute or hour, in UTC.
	Began   time.Time
	Outcome PollOutcome
	// Polls is how many that were; Took and the counts are of all of them together.
	Polls                                     int
	Took                                      time.Duration
	New, Changed, Unchanged, Rejected, Mended int
}

// PollHistory returns how the polls of all channels went whose spans have begun within the time since, the oldest first.
// What is older than the retention is gone.
func (s *Store) PollHistory(ctx context.Context, since time.Duration) ([]PollSpan, error) {
	var history []PollSpan
	err := s.query(ctx, s.read, func(r *sql.Rows) error {
		var x PollSpan
		var began, took int64
		err := r.Scan(&x.ChannelID, &began, &x.Source, &x.Backfill, &x.Outcome, &x.Polls, &took,
			&x.New, &x.Changed, &x.Unchanged, &x.Rejected, &x.Mended)
		x.Began, x.Took = time.UnixMilli(began).UTC(), time.Duration(took)*time.Millisecond
		history = append(history, x)
		return err
	}, `SELECT p.channel_id, p.began, p.source, p.backfill, p.outcome, p.polls, p.took, p.new, p.changed, p.unchanged, p.rejected, p.mended
		FROM channels c JOIN polls p ON p.channel_id = c.channel_id AND p.began >= {now} - $1
		ORDER BY p.began, p.channel_id, p.source, p.backfill, p.outcome`, millis(since))
	if err != nil {
		return nil, fmt.Errorf("read the history of the polls: %w", err)
	}
	return history, nil
}

// PollHour sums up what the scheduled polls of a source brought that ended within one hour.
type PollHour struct {
	ChannelID, Source string
	// Began is the beginning of the hour, in UTC.
	Began        time.Time
	New, Changed int
	// Failed is how many polls failed, also those after which the source waits for a person.
	Failed int
}

// PollHours returns the hours of the time since, the oldest first, in which a scheduled poll brought something new or changed,
// or failed. The first hour may lack its beginning. It reads every minute in which a poll did so: for 200 sources that find
// something in each minute of a day about half a second.
func (s *Store) PollHours(ctx context.Context, since time.Duration) ([]PollHour, error) {
	var hours []PollHour
	err := s.query(ctx, s.read, func(r *sql.Rows) error {
		var x PollHour
		var began int64
		err := r.Scan(&x.ChannelID, &x.Source, &began, &x.New, &x.Changed, &x.Failed)
		x.Began = time.UnixMilli(began).UTC()
		hours = append(hours, x)
		return err
	}, `SELECT p.channel_id, p.source, p.began - p.began % 3600000 AS hour, CAST(sum(p.new) AS bigint), CAST(sum(p.changed) AS bigint),
			CAST(sum(CASE WHEN p.outcome IN ('failed', 'stopped') THEN p.polls ELSE 0 END) AS bigint)
		FROM channels c JOIN polls p ON p.channel_id = c.channel_id AND p.began >= {now} - $1
		WHERE p.backfill = '' AND (p.new > 0 OR p.changed > 0 OR p.outcome IN ('failed', 'stopped'))
		GROUP BY p.channel_id, p.source, p.began - p.began % 3600000
		ORDER BY hour, p.channel_id, p.source`, millis(since))
	if err != nil {
		return nil, fmt.Errorf("sum up the history of the polls: %w", err)
	}
	return hours, nil
}
