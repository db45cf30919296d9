package store

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"time"
)

// PollKey names one stream of polls: a source in a channel, or one of its backfills.
type PollKey struct {
	ChannelID, Source string
	// Backfill is empty for the scheduled polls, else the range of the backfill.
	Backfill string
}

// PollLease is the right to poll: nobody else polls the same stream until it ends.
type PollLease struct {
	PollKey
	Owner string
	Epoch int64
	// Cursor is what the last committed batch left.
	Cursor string
	// Failures is how many polls failed in a row before this one.
	Failures int
	// Held is how many changes an earlier poll left held.
	Held int
	// planned is when the poll was due, by the database's clock; see FinishPoll.
	planned int64
}

// Stream is a configured stream of polls.
type Stream struct {
	PollKey
	Adapter string
	// Schedule is the text of the config; a new text plans the next poll anew.
	Schedule string
	// Next is when the schedule fires next, from now. A stream that was never polled is due at once.
	Next time.Duration
	// Anew says that the source was given other settings while the program runs: it is due at once. A poll of it that is
	// under way is finished, and neither plans the next one nor stops the source.
	Anew bool
}

// Register makes the configured channels and streams known. A source that waited for a person is
// released: whoever starts the program has had a look.
func (s *Store) Register(ctx context.Context, channels map[string]string, streams []Stream) error {
	err := s.inTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
		for _, id := range slices.Sorted(maps.Keys(channels)) { // see deadlocked
			_, err := s.exec(ctx, tx, `INSERT INTO channels (channel_id, name) VALUES ($1, $2)
				ON CONFLICT (channel_id) DO UPDATE SET name = excluded.name WHERE channels.name <> excluded.name`, id, channels[id])
			if err != nil {
				return err
			}
		}
		for _, stream := range slices.SortedFunc(slices.Values(streams), byKey) {
			if err := s.registerStream(ctx, tx, stream); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("register channels and sources: %w", err)
	}
	return nil
}

func byKey(a, b Stream) int {
	return cmp.Or(cmp.Compare(a.ChannelID, b.ChannelID), cmp.Compare(a.Source, b.Source), cmp.Compare(a.Backfill, b.Backfill))
}

// registerStream makes one stream known. One that is due anew must get another time than it had, see FinishPoll.
func (s *Store) registerStream(ctx context.Context, tx *sql.Tx, stream Stream) error {
	_, err := s.exec(ctx, tx, `INSERT INTO sources (channel_id, name, backfill, adapter, schedule, next_poll)
		VALUES ($1, $2, $3, $4, $5, {now})
		ON CONFLICT (channel_id, name, backfill) DO UPDATE SET adapter = excluded.adapter, schedule = excluded.schedule, pause = '',
			next_poll = CASE WHEN $7 = 1 AND sources.next_poll <= {now} THEN sources.next_poll - 1 WHEN $7 = 1 THEN {now}
				WHEN sources.schedule = excluded.schedule AND sources.pause = '' THEN sources.next_poll
				WHEN sources.pause <> '' OR sources.next_poll < {now} THEN {now} ELSE {now} + $6 END`,
		stream.ChannelID, stream.Source, stream.Backfill, stream.Adapter, stream.Schedule, millis(stream.Next), flag(stream.Anew))
	return err
}

// ClaimPolls leases the streams among keys that are free, for ttl. With early, for an owner that has nothing under way, it
// takes also those whose time has not come, and those of an earlier claim of the owner that got no answer.
func (s *Store) ClaimPolls(ctx context.Context, owner string, keys []PollKey, ttl time.Duration, early bool) ([]PollLease, error) {
	list := make([][3]string, len(keys))
	for i, k := range keys {
		list[i] = [3]string{k.ChannelID, k.Source, k.Backfill}
	}
	param, err := array(list)
	if err != nil {
		return nil, err
	}
	var leases []PollLease
	err = s.query(ctx, s.write, func(r *sql.Rows) error {
		l := PollLease{Owner: owner}
		err := r.Scan(&l.ChannelID, &l.Source, &l.Backfill, &l.Cursor, &l.Epoch, &l.Failures, &l.Held, &l.planned)
		leases = append(leases, l)
		return err
	}, `UPDATE sources SET lease_owner = $1, lease_epoch = lease_epoch + 1, lease_until = {now} + $2
		WHERE (channel_id, name, backfill) IN (SELECT s.channel_id, s.name, s.backfill FROM sources s JOIN {each $3} AS item
				ON s.channel_id = item.value->>0 AND s.name = item.value->>1 AND s.backfill = item.value->>2
				ORDER BY 1, 2, 3 {lock})
			AND pause = '' AND (lease_until <= {now} AND ($4 = 1 OR next_poll <= {now}) OR $4 = 1 AND lease_owner = $1)
		RETURNING channel_id, name, backfill, cursor, lease_epoch, failures, held, next_poll`, owner, millis(ttl), param, flag(early))
	if err != nil {
		return nil, fmt.Errorf("claim polls: %w", err)
	}
	return leases, nil
}

// PollResult is what a poll came to.
type PollResult struct {
	// Error is empty for a poll that succeeded.
	Error string
	// Pause, if not empty, stops the stream until a person resumes it.
	Pause string
	// Next is when to poll again, from now.
	Next time.Duration
	// Finished ends a backfill: it is not polled again.
	Finished                                  bool
	New, Changed, Unchanged, Rejected, Mended int
	// Took is how long the poll took.
	Took time.Duration
	// Seen says that the poll brought something, came to its end, and that [Store.Saw] was told of all of it.
	Seen bool
}

// ReleasePoll gives a lease back without a result; the poll stays due.
func (s *Store) ReleasePoll(ctx context.Context, l PollLease) error {
	_, err := s.exec(ctx, s.write, `UPDATE sources SET lease_owner = '', lease_until = 0
		WHERE channel_id = $1 AND name = $2 AND backfill = $3 AND lease_epoch = $4 AND lease_owner = $5`,
		l.ChannelID, l.Source, l.Backfill, l.Epoch, l.Owner)
	return err
}

// Progress returns how far a stream has come: its cursor, and whether it is a backfill that reached its end.
// A stream that was never polled has neither.
func (s *Store) Progress(ctx context.Context, k PollKey) (cursor string, finished bool, err error) {
	err = s.query(ctx, s.read, func(r *sql.Rows) error {
		var at sql.NullInt64
		err := r.Scan(&cursor, &at)
		finished = at.Valid
		return err
	}, `SELECT cursor, finished FROM sources WHERE channel_id = $1 AND name = $2 AND backfill = $3`, k.ChannelID, k.Source, k.Backfill)
	if err != nil {
		return "", false, fmt.Errorf("read the progress of %s: %w", k.Source, err)
	}
	return cursor, finished, nil
}

// RestartBackfill forgets a finished backfill's cursor, so that it reads everything again.
func (s *Store) RestartBackfill(ctx context.Context, k PollKey) error {
	_, err := s.exec(ctx, s.write, `UPDATE sources SET cursor = '', finished = NULL
		WHERE channel_id = $1 AND name = $2 AND backfill = $3 AND finished IS NOT NULL`, k.ChannelID, k.Source, k.Backfill)
	return err
}

// flag is a truth as the statements read it.
func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}
