package store

import (
	"context"
	"database/sql"
	"fmt"
)

// RetryActions takes actions up again that wait for a person, and returns their keys: one that is uncertain is as if its
// process had just died, but for [Action.Retried], of the rest SocialHub is told once more. No keys mean all of the channel.
func (s *Store) RetryActions(ctx context.Context, channelID string, keys []string) ([]string, error) {
	retried, err := s.changeActions(ctx, stuck, `due = clock.now, attempts = 0,
		tried_at = CASE WHEN state = 'uncertain' AND coalesce(tried_at, clock.now) >= clock.now THEN clock.now - 1 ELSE tried_at END,
		received_at = CASE WHEN state = 'uncertain' THEN clock.now ELSE received_at END,
		reason = CASE WHEN state = 'uncertain' THEN '' ELSE reason END,
		state = CASE WHEN state = 'uncertain' THEN 'performing' ELSE state END`, channelID, keys)
	if err != nil {
		return nil, fmt.Errorf("retry actions: %w", err)
	}
	return retried, nil
}

// idle actions are in nobody's hands: not begun, or nobody carries the channel's. Whoever has read one that is not begun can't begin it
// any more once it is dismissed, and whoever wants to take the lease waits until the statement with [holder] is through.
const (
	idle   = `(state = 'received' OR coalesce((SELECT lease_until FROM holder), 0) <= clock.now)`
	holder = `WITH holder AS (SELECT lease_until FROM channels WHERE channel_id = $1 {share}) `
)

// DismissActions ends actions that wait for a person or are [idle], and returns their keys. Nobody is told of it. No keys mean
// all of the channel that wait for a person.
func (s *Store) DismissActions(ctx context.Context, channelID string, keys []string) ([]string, error) {
	which := stuck
	if len(keys) > 0 {
		which = unended + ` AND (due IS NULL OR ` + idle + `)`
	}
	dismissed, err := s.changeActions(ctx, which, `state = 'dismissed', due = NULL, payload = NULL`, channelID, keys)
	if err != nil {
		return nil, fmt.Errorf("dismiss actions: %w", err)
	}
	return dismissed, nil
}

func (s *Store) changeActions(ctx context.Context, which, change, channelID string, keys []string) ([]string, error) {
	param, err := array(append([]string{}, cleanAll(keys)...))
	if err != nil {
		return nil, err
	}
	return s.changeIDs(ctx, holder+`UPDATE actions SET `+change+`, changed_at = clock.now FROM (SELECT {now} AS now) AS clock
		WHERE channel_id = $1 AND `+which+`
		AND ($2 = '[]' OR action_key IN (SELECT item.value FROM {ids $2} AS item)) RETURNING action_key`, channelID, param)
}

// StuckActions returns up to limit actions of a channel that wait for a person, the oldest first.
func (s *Store) StuckActions(ctx context.Context, channelID string, limit int) ([]*Action, error) {
	return s.listActions(ctx, stuck, channelID, limit)
}

// LostActions returns up to limit actions of a channel that are still to be done and whose item is of none of these sources, the oldest
// first.
func (s *Store) LostActions(ctx context.Context, channelID string, sources []string, limit int) ([]*Action, error) {
	param, err := array(append([]string{}, sources...))
	if err != nil {
		return nil, err
	}
	return s.listActions(ctx, undone+` AND `+unended+` AND coalesce((SELECT t.source FROM tickets t WHERE t.channel_id = $1
		AND t.network_item_id = actions.network_item_id), source) NOT IN (SELECT item.value FROM {ids $3} AS item)`, channelID, limit, param)
}

// OpenActions returns up to limit actions of a channel that are not at an end, the oldest first.
func (s *Store) OpenActions(ctx context.Context, channelID string, limit int) ([]*Action, error) {
	return s.listActions(ctx, unended, channelID, limit)
}

func (s *Store) listActions(ctx context.Context, which, channelID string, limit int, more ...any) ([]*Action, error) {
	actions, err := s.actions(ctx, `SELECT * FROM actions WHERE channel_id = $1 AND `+which+`
		ORDER BY happened_at, action_key LIMIT $2`, `x.happened_at, x.action_key`, append([]any{channelID, limit}, more...)...)
	if err != nil {
		return nil, fmt.Errorf("list actions: %w", err)
	}
	return actions, nil
}

// ActionCounts returns how many actions each channel has in each state, without zeros. Its cost grows with the number of
// actions.
func (s *Store) ActionCounts(ctx context.Context) (map[string]map[ActionState]int, error) {
	counts := make(map[string]map[ActionState]int)
	err := s.within(bulkLimit).query(ctx, s.read, func(r *sql.Rows) error {
		var id string
		var state ActionState
		var n int
		err := r.Scan(&id, &state, &n)
		if counts[id] == nil {
			counts[id] = make(map[ActionState]int)
		}
		counts[id][state] = n
		return err
	}, `SELECT channel_id, state, count(*) FROM actions GROUP BY channel_id, state`)
	if err != nil {
		return nil, fmt.Errorf("count actions: %w", err)
	}
	return counts, nil
}
