package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"
)

// ChannelStatus counts a channel's tickets by state.
type ChannelStatus struct {
	ID, Name string
	Pause    Pause
	Counts   map[State]int
}

// SourceStatus is what the store knows of a source's scheduled polls, or of one backfill. A zero time
// is "never".
type SourceStatus struct {
	PollKey
	Adapter                                   string
	LastPoll, LastSuccess, NextPoll, Finished time.Time
	LastError, Pause                          string
	// Polling is true while a process holds the lease.
	Polling bool
	// What the last poll found.
	New, Changed, Unchanged, Rejected, Mended int
	// Held is how many changes wait for a person, because one poll brought so many.
	Held int
}

// ChannelStatuses returns every channel that was ever registered, by name. Its cost grows with the
// number of tickets: about a second for five million that the server has in memory. It may take ten minutes.
func (s *Store) ChannelStatuses(ctx context.Context) ([]ChannelStatus, error) {
	states, err := s.ChannelStates(ctx)
	if err != nil {
		return nil, err
	}
	pauses := make(map[string]Pause)
	for _, c := range states {
		pauses[c.ID] = c.Pause
	}
	var channels []ChannelStatus
	err = s.within(bulkLimit).query(ctx, s.read, func(r *sql.Rows) error {
		c := ChannelStatus{Counts: make(map[State]int)}
		var all int
		err := r.Scan(&c.ID, &c.Name, &all)
		c.Pause, c.Counts[Synced] = pauses[c.ID], all
		channels = append(channels, c)
		return err
	}, `SELECT channel_id, name, (SELECT count(*) FROM tickets t WHERE t.channel_id = c.channel_id)
		FROM channels c ORDER BY name`)
	if err == nil {
		err = s.countOpen(ctx, channels)
	}
	if err != nil {
		return nil, fmt.Errorf("count tickets: %w", err)
	}
	return channels, nil
}

// countOpen moves the tickets that are not synced out of the counts of those that are.
func (s *Store) countOpen(ctx context.Context, channels []ChannelStatus) error {
	return s.within(bulkLimit).query(ctx, s.read, func(r *sql.Rows) error {
		var id string
		var state State
		var n int
		err := r.Scan(&id, &state, &n)
		for _, c := range channels {
			if c.ID == id {
				c.Counts[state] = n
				c.Counts[Synced] = max(0, c.Counts[Synced]-n)
			}
		}
		return err
	}, `SELECT channel_id, state, count(*) FROM tickets WHERE state <> 'synced' GROUP BY channel_id, state`)
}

// SourceStatuses returns every source and backfill that was ever registered, by name.
func (s *Store) SourceStatuses(ctx context.Context) ([]SourceStatus, error) {
	var sources []SourceStatus
	err := s.query(ctx, s.read, func(r *sql.Rows) error {
		var x SourceStatus
		var poll, success, next, finished sql.NullInt64
		var polling int
		err := r.Scan(&x.ChannelID, &x.Source, &x.Backfill, &x.Adapter, &poll, &success, &next, &finished, &x.LastError, &x.Pause,
			&polling, &x.New, &x.Changed, &x.Unchanged, &x.Rejected, &x.Mended, &x.Held)
		x.LastPoll, x.LastSuccess, x.NextPoll, x.Finished = instant(poll), instant(success), instant(next), instant(finished)
		x.Polling = polling == 1
		sources = append(sources, x)
		return err
	}, `SELECT channel_id, name, backfill, adapter, last_poll, last_success, next_poll, finished, last_error, pause,
			CASE WHEN lease_until > {now} THEN 1 ELSE 0 END, new, changed, unchanged, rejected, mended, held
		FROM sources ORDER BY name, backfill`)
	if err != nil {
		return nil, fmt.Errorf("read the state of the sources: %w", err)
	}
	return sources, nil
}

// Problems returns up to limit tickets of a channel in a state other than synced, by id. Of more than that it takes live
// ones before backfill and of pending ones the longest due, else those that the index has first: the same ones again
// while nothing changes. Its cost does not grow with the number of tickets.
func (s *Store) Problems(ctx context.Context, channelID string, state State, limit int) ([]*Ticket, error) {
	var tickets []*Ticket
	err := s.query(ctx, s.read, func(r *sql.Rows) error {
		t, err := scanTicket(r)
		tickets = append(tickets, t)
		return err
	}, `SELECT `+ticketColumns+` FROM tickets WHERE channel_id = $1 AND state = $2 AND state <> 'synced'
		ORDER BY priority, due LIMIT $3`, channelID, string(state), limit)
	if err != nil {
		return nil, fmt.Errorf("list %s tickets: %w", state, err)
	}
	slices.SortFunc(tickets, func(a, b *Ticket) int { return cmp.Compare(a.NetworkItemID, b.NetworkItemID) })
	return tickets, nil
}
