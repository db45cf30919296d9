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
	removed, done, err := e.Store.Upkeep(ctx, e.Owner, e.current().retention)
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

// saw notes the items of a batch as seen, without which no ticket may be deleted, if any is to be. It is seldom more than
// a look-up.
func (e *Engine) saw(ctx context.Context, src *Source, b *batch) error {
	if src.keep == 0 || len(b.items) == 0 {
		return nil
	}
	ids := make([]string, len(b.items))
	for n := range b.items {
		ids[n] = b.items[n].key
	}
	return e.reach(ctx, writing, func() error { return e.Store.Saw(ctx, src.ChannelID, ids, src.keep) })
}
