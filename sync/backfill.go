package sync

import (
	"context"
	"log/slog"
	"slices"
	gosync "sync"
	"time"

	"socialhub-sync/store"
)

// Backfill asks for history.
type Backfill struct {
	// Since and Until bound the items by when they were created or changed; a zero time is no bound.
	Since, Until time.Time
	// Sources are the names of those to read; none means all.
	Sources []string
	// Limit, if above 0, is how many tickets may be created or changed in all. The next run goes on from there.
	Limit int
}

// String names the range: a backfill of the same range goes on where the last one was cut, and reads everything
// again if that one had reached its end.
func (b *Backfill) String() string {
	name := func(t time.Time) string {
		if t.IsZero() {
			return "all"
		}
		return t.UTC().Format(time.RFC3339)
	}
	return name(b.Since) + ".." + name(b.Until)
}

// Reads tells whether a source takes part; without a backfill every source does.
func (b *Backfill) Reads(source string) bool {
	return b == nil || len(b.Sources) == 0 || slices.Contains(b.Sources, source)
}

// restart lets backfills that had reached their end read everything again.
func (e *Engine) restart(ctx context.Context, keys []store.PollKey) error {
	for _, k := range keys {
		if k.Backfill == "" {
			continue
		}
		_, finished, err := e.Store.Progress(ctx, k)
		if err != nil {
			return err
		}
		if !finished {
			continue
		}
		if err := e.Store.RestartBackfill(ctx, k); err != nil {
			return err
		}
		e.Logger.Info("this backfill had reached its end; it is read again from the start",
			slog.String("source", k.Source), slog.String("backfill", k.Backfill))
	}
	return nil
}

// room counts what a limited backfill may still take.
type room struct {
	mu      gosync.Mutex
	limited bool
	left    int
}

func (r *room) init(b *Backfill) {
	if b != nil && b.Limit > 0 {
		r.limited, r.left = true, b.Limit
	}
}

// take makes use of one place; false if there is none.
func (r *room) take() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.limited && r.left == 0 {
		return false
	}
	r.left--
	return true
}

func (r *room) full() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.limited && r.left == 0
}

// fit cuts a batch at the limit of a backfill. The cursor must not pass what is left out.
func (e *Engine) fit(ctx context.Context, src *Source, lease store.PollLease, b *batch, differing []int) ([]int, error) {
	if !e.room.limited || len(differing) == 0 {
		return differing, nil
	}
	ids := make([]string, len(differing))
	for i, n := range differing {
		ids[i] = b.items[n].key
	}
	var stored map[string]*store.Ticket
	err := e.reach(ctx, reading, func() (err error) {
		stored, err = e.Store.Tickets(ctx, src.ChannelID, ids)
		return err
	})
	if err != nil {
		return nil, err
	}
	for i, n := range differing {
		_, v := decide(src, stored[ids[i]], &b.items[n], lease.Backfill != "", e.isSource)
		if v.counts() && !e.room.take() {
			b.cursor, b.items = "", b.items[:differing[i]]
			return differing[:i], nil
		}
	}
	return differing, nil
}

// renewRefs takes over what a backfill's unchanged items are acted on with, if the adapter says it otherwise by now: a
// version of it that could not act yet said nothing. Scheduled polls write nothing about what has not changed.
func (e *Engine) renewRefs(ctx context.Context, lease store.PollLease, b *batch, differing []int) error {
	if lease.Backfill == "" {
		return nil
	}
	refs := make(map[string]string)
	for n := range b.items {
		if it := &b.items[n]; it.ref != "" && !it.deleted {
			refs[it.key] = it.ref
		}
	}
	for _, n := range differing { // they bring theirs along
		delete(refs, b.items[n].key)
	}
	if len(refs) == 0 {
		return nil
	}
	return e.reach(ctx, writing, func() error {
		_, err := e.Store.RenewRefs(ctx, lease, refs)
		return err
	})
}
