package sync

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"socialhub-sync/store"
)

// upkeepTick is how often the store is asked whether it is time to delete what is not kept any longer.
const upkeepTick = time.Hour

// upkeep deletes what is not kept any longer, if nobody did today.
func (e *Engine) upkeep(ctx context.Context) {
	if e.Backfill != nil {
		return
	}
	removed, done, err := e.Store.Upkeep(ctx, e.Owner, e.Retention)
	if ctx.Err() != nil || errors.Is(err, store.ErrLeaseLost) {
		return
	}
	if err != nil {
		e.Logger.Warn("upkeep", slog.Any("error", err), slog.Duration("retry_in", upkeepTick))
	}
	if done && removed != (store.Removed{}) {
		e.Logger.Info("upkeep", slog.Int("actions", removed.Actions), slog.Int("polls", removed.Polls), slog.Int("tickets", removed.Tickets))
	}
}

// notes tells whether it is noted which items were seen, without which no ticket may be deleted.
func (e *Engine) notes() bool { return e.Retention.Tickets > 0 }

// saw notes the items of a batch as seen, if that is needed. It is seldom more than a look-up.
func (e *Engine) saw(ctx context.Context, src *Source, b *batch) error {
	if !e.notes() || len(b.items) == 0 {
		return nil
	}
	ids := make([]string, len(b.items))
	for n := range b.items {
		ids[n] = b.items[n].key
	}
	return e.reach(ctx, writing, func() error { return e.Store.Saw(ctx, src.ChannelID, ids, e.Retention.Tickets) })
}
