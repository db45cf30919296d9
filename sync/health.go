package sync

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	gosync "sync"
	"time"

	"socialhub-sync/store"
)

// access is a kind of call to the store. A database may well be read while nobody can write to it.
type access int

const (
	reading access = iota
	writing
)

// health remembers whether the store answers, so that trouble is logged once and not with every try.
type health struct {
	log  *slog.Logger
	mu   gosync.Mutex
	down [2]error
}

// note takes in the outcome of a call to the store.
func (h *health) note(ctx context.Context, kind access, err error) {
	if errors.Is(err, store.ErrLeaseLost) || err != nil && ctx.Err() != nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	before := h.trouble()
	h.down[kind] = err
	switch after := h.trouble(); {
	case before == nil && after != nil:
		h.log.Error("database trouble, trying again until it answers", slog.Any("error", err))
	case before != nil && after == nil:
		h.log.Info("database answers again")
	}
}

// trouble is what the store last said if it does not answer; the caller holds mu.
func (h *health) trouble() error { return cmp.Or(h.down[writing], h.down[reading]) }

// Healthy is nil while the store answers, else what it last said.
func (e *Engine) Healthy() error {
	e.health.mu.Lock()
	defer e.health.mu.Unlock()
	return e.health.trouble()
}

// storeRetry bounds the wait between two tries at a store that does not answer.
const storeRetry = 5 * time.Second

// persist calls f, which writes, until the store has taken it, the lease is lost, or ctx is done.
func (e *Engine) persist(ctx context.Context, f func() error) error {
	return e.try(ctx, writing, f)
}

func (e *Engine) try(ctx context.Context, kind access, f func() error) error {
	for failures := 0; ; failures++ {
		err := f()
		e.health.note(ctx, kind, err)
		if err == nil || errors.Is(err, store.ErrLeaseLost) {
			return err
		}
		if !pause(ctx, min(storeRetry, 100*time.Millisecond<<min(failures, 10))) {
			return err
		}
	}
}

// reach is [Engine.persist] for what an adapter yielded: an error that waiting does not mend is about the
// items, not the store, and ends the poll.
func (e *Engine) reach(ctx context.Context, kind access, f func() error) error {
	var fault error
	err := e.try(ctx, kind, func() error {
		err := f()
		if err == nil || errors.Is(err, store.ErrLeaseLost) || store.Unreachable(err) {
			return err
		}
		fault = err
		return nil
	})
	if fault != nil {
		return fault
	}
	return err
}

// pause waits; it is false if ctx was done first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
