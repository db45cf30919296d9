package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"
)

// PauseKind says why no request may be sent for a channel.
type PauseKind string

const (
	// RateLimited ends by itself.
	RateLimited PauseKind = "rate_limited"
	// Unauthorized ends when the token changes.
	Unauthorized PauseKind = "unauthorized"
	// Forbidden ends when the token changes or a person resumes the channel.
	Forbidden PauseKind = "forbidden"
)

// Pause stops the deliveries of a channel, for every process that shares the database. The zero value
// is no pause.
type Pause struct {
	Kind   PauseKind
	Reason string
	// For is how long the pause lasts from now; 0 means until the token changes or a person resumes.
	For time.Duration
	// Fingerprint of the token that was refused.
	Fingerprint string
}

// ChannelState is what a deliverer needs to know of a channel.
type ChannelState struct {
	ID    string
	Pause Pause
	// Owner holds the delivery lease; empty when it is free.
	Owner string
	// Pending tells whether tickets wait; NextDue is when the first of them is due, from now, 0 or less if it is.
	Pending bool
	NextDue time.Duration
	// ActionPending and NextAction are the same for actions that have another step.
	ActionPending bool
	NextAction    time.Duration
}

// ChannelStates returns the state of every channel that was ever registered. A pause whose time is
// over is not shown.
func (s *Store) ChannelStates(ctx context.Context) (states []ChannelState, err error) {
	err = s.query(ctx, s.read, func(r *sql.Rows) error {
		state, _, err := scanState(r)
		states = append(states, state)
		return err
	}, stateStatement)
	if err != nil {
		return nil, fmt.Errorf("read the state of the channels: %w", err)
	}
	return states, nil
}

// Look is [Store.ChannelStates] together with the scheduled streams that nobody polls and whose time has come, of all
// configurations that share the database. It is one statement, as it is asked again and again when there is nothing to do.
func (s *Store) Look(ctx context.Context) (states []ChannelState, due []PollKey, err error) {
	err = s.query(ctx, s.read, func(r *sql.Rows) error {
		state, source, err := scanState(r)
		if source.Valid {
			due = append(due, PollKey{ChannelID: state.ID, Source: source.String})
		} else {
			states = append(states, state)
		}
		return err
	}, stateStatement+` UNION ALL SELECT name, channel_id, '', '', NULL, '', '', {now}, NULL, NULL, NULL FROM sources
		WHERE backfill = '' AND pause = '' AND next_poll <= {now} AND lease_until <= {now}`)
	if err != nil {
		return nil, nil, fmt.Errorf("look for work: %w", err)
	}
	return states, due, nil
}

const stateStatement = `SELECT CAST(NULL AS text), channel_id, pause, pause_reason, paused_until, pause_fingerprint,
		CASE WHEN lease_until > {now} THEN lease_owner ELSE '' END, {now},
		(SELECT min(due) FROM tickets t WHERE t.channel_id = c.channel_id AND ` + pending + ` AND t.priority = 0),
		(SELECT min(due) FROM tickets t WHERE t.channel_id = c.channel_id AND ` + pending + ` AND t.priority = 1),
		(SELECT min(due) FROM actions a WHERE a.channel_id = c.channel_id AND a.due IS NOT NULL)
	FROM channels c`

// scanState reads a row of [Store.Look]; source is NULL in that of a channel.
func scanState(r *sql.Rows) (c ChannelState, source sql.NullString, err error) {
	var now int64
	var until, live, backfill, action sql.NullInt64
	err = r.Scan(&source, &c.ID, &c.Pause.Kind, &c.Pause.Reason, &until, &c.Pause.Fingerprint, &c.Owner, &now, &live, &backfill, &action)
	if until.Valid {
		c.Pause.For = time.Duration(until.Int64-now) * time.Millisecond
		if c.Pause.For <= 0 {
			c.Pause = Pause{}
		}
	}
	for _, due := range []sql.NullInt64{live, backfill} {
		if in := time.Duration(due.Int64-now) * time.Millisecond; due.Valid && (!c.Pending || in < c.NextDue) {
			c.Pending, c.NextDue = true, in
		}
	}
	if action.Valid {
		c.ActionPending, c.NextAction = true, time.Duration(action.Int64-now)*time.Millisecond
	}
	return c, source, err
}

// PauseChannel stops a channel's deliveries.
func (s *Store) PauseChannel(ctx context.Context, channelID string, p Pause) error {
	until := sql.NullInt64{Int64: millis(p.For), Valid: p.For > 0}
	_, err := s.exec(ctx, s.write, `UPDATE channels SET pause = $2, pause_reason = $3,
			paused_until = {now} + CAST($4 AS bigint), pause_fingerprint = $5
		WHERE channel_id = $1`, channelID, string(p.Kind), clean(p.Reason), until, p.Fingerprint)
	if err != nil {
		return fmt.Errorf("pause a channel: %w", err)
	}
	return nil
}

// ResumeChannel ends a channel's pause; it reports whether there was one.
func (s *Store) ResumeChannel(ctx context.Context, channelID string) (bool, error) {
	n, err := s.exec(ctx, s.write, `UPDATE channels SET pause = '', pause_reason = '', paused_until = NULL, pause_fingerprint = ''
		WHERE channel_id = $1 AND pause <> ''`, channelID)
	if err != nil {
		return false, fmt.Errorf("resume a channel: %w", err)
	}
	return n > 0, nil
}

// ResumeSource lets a source that waits for a person be polled again, at once; it reports whether it waited.
func (s *Store) ResumeSource(ctx context.Context, channelID, source string) (bool, error) {
	n, err := s.exec(ctx, s.write, `UPDATE sources SET pause = '', next_poll = {now}
		WHERE channel_id = $1 AND name = $2 AND pause <> ''`, channelID, source)
	if err != nil {
		return false, fmt.Errorf("resume a source: %w", err)
	}
	return n > 0, nil
}
