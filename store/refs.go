package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
)

// RenewRefs gives tickets of the lease's source another [Ticket.Ref], by networkItemId, and returns how many. Nothing
// else of them changes, and where all refs are the same nothing is written. Without the lease it writes nothing and
// returns [ErrLeaseLost].
func (s *Store) RenewRefs(ctx context.Context, l PollLease, refs map[string]string) (renewed int, err error) {
	stale := make(map[string]string)
	list, err := pairs(refs)
	if err == nil {
		err = s.query(ctx, s.read, func(r *sql.Rows) error {
			var id, ref string
			err := r.Scan(&id, &ref)
			stale[id] = ref
			return err
		}, `SELECT item.key, item.value FROM {pairs $2} AS item JOIN tickets t ON t.channel_id = $1 AND t.network_item_id = item.key
			WHERE t.source = $3 AND t.ref IS DISTINCT FROM item.value`, l.ChannelID, list, l.Source)
	}
	if err == nil && len(stale) > 0 {
		renewed, err = s.writeRefs(ctx, l, stale)
	}
	if err != nil {
		return 0, fmt.Errorf("renew the refs of %s: %w", l.Source, err)
	}
	return renewed, nil
}

func (s *Store) writeRefs(ctx context.Context, l PollLease, refs map[string]string) (n int, err error) {
	list, err := pairs(refs)
	if err != nil {
		return 0, err
	}
	err = againIf(deadlocked, func() error {
		return s.inTx(ctx, func(ctx context.Context, tx *sql.Tx) error {
			if err := s.moveCursor(ctx, tx, l, ""); err != nil { // it moves nothing: who has the lease?
				return err
			}
			written, err := s.exec(ctx, tx, `UPDATE tickets SET ref = item.value FROM {pairs $2} AS item
				WHERE channel_id = $1 AND network_item_id = item.key AND source = $3`, l.ChannelID, list, l.Source)
			n = int(written)
			return err
		})
	})
	return n, err
}

// pairs is the JSON object that {pairs $n} takes apart.
func pairs(texts map[string]string) (string, error) {
	cleaned := make(map[string]string, len(texts))
	for key, text := range texts {
		cleaned[clean(key)] = clean(text)
	}
	data, err := json.Marshal(cleaned)
	return string(data), err
}
