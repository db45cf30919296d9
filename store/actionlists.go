package store

import (
	"context"
	"database/sql"
	"fmt"
)

// RetryActions takes actions up again that wait for a person, and returns their keys: one that is uncertain is to be done
// again, of the rest SocialHub is told once more. No keys mean all of the channel.
func (s *Store) RetryActions(ctx context.Context, channelID string, keys []string) ([]string, error) {
	retried, err := s.changeStuck(ctx, `due = {now}, attempts = 0,
		tried_at = CASE WHEN state = 'uncertain' THEN NULL ELSE tried_at END,
		received_at = CASE WHEN state = 'uncertain' THEN {now} ELSE received_at END,
		reason = CASE WHEN state = 'uncertain' THEN '' ELSE reason END,
		state = CASE WHEN state = 'uncertain' THEN 'received' ELSE state END`, channelID, keys)
	if err != nil {
		return nil, fmt.Errorf("retry actions: %w", err)
	}
	return retried, nil
}

// DismissActions ends actions that wait for a person, and returns their keys. No keys mean all of the channel.
func (s *Store) DismissActions(ctx context.Context, channelID string, keys []string) ([]string, error) {
	dismissed, err := s.changeStuck(ctx, `state = 'dismissed', payload = NULL`, channelID, keys)
	if err != nil {
		return nil, fmt.Errorf("dismiss actions: %w", err)
	}
	return dismissed, nil
}

func (s *Store) changeStuck(ctx context.Context, change, channelID string, keys []string) ([]string, error) {
	param, err := array(append([]string{}, cleanAll(keys)...))
	if err != nil {
		return nil, err
	}
	return s.changeIDs(ctx, `UPDATE actions SET `+change+`, changed_at = {now} WHERE channel_id = $1 AND `+stuck+`
		AND ($2 = '[]' OR action_key IN (SELECT item.value FROM {ids $2} AS item)) RETURNING action_key`, channelID, param)
}

// StuckActions returns up to limit actions of a channel that wait for a person, the oldest first.
func (s *Store) StuckActions(ctx context.Context, channelID string, limit int) ([]*Action, error) {
	return s.listActions(ctx, stuck, channelID, limit)
}

// OpenActions returns up to limit actions of a channel that are not at an end, the oldest first.
func (s *Store) OpenActions(ctx context.Context, channelID string, limit int) ([]*Action, error) {
	return s.listActions(ctx, unended, channelID, limit)
}

func (s *Store) listActions(ctx context.Context, which, channelID string, limit int) ([]*Action, error) {
	actions, err := s.actions(ctx, `SELECT * FROM actions WHERE channel_id = $1 AND `+which+`
		ORDER BY happened_at, action_key LIMIT $2`, `x.happened_at, x.action_key`, channelID, limit)
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
