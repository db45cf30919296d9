package sync

import (
	"context"
	"errors"
	"time"

	"socialhub-sync/store"
)

// onceTick is how often a single run looks whether it is through.
const onceTick = 20 * time.Millisecond

// RunOnce polls every source once, or reads the backfill, delivers and acts until nothing is due, and returns.
// Tickets that are to be tried again later stay pending. It waits for rate limits and for other processes that
// hold a channel and get on with it, but not for a person and not for a SocialHub that does not answer; see
// [Engine.Trouble].
func (e *Engine) RunOnce(ctx context.Context) error {
	if err := e.ready(ctx); err != nil {
		return stopped(ctx, err)
	}
	w, end := e.begin(ctx)
	w.group.Go(func() { e.every(w.soft, tickEvery, func() { _, _ = e.look(w.soft) }) })
	polled := make(chan error, 1)
	w.group.Go(func() { polled <- e.pollAll(ctx, w) })
	select {
	case <-ctx.Done():
	case err := <-polled:
		if err == nil {
			e.untilDelivered(ctx)
			e.upkeep(ctx)
		}
	}
	return end()
}

// pollAll polls every source once and waits for all of them. A source that another process polls right
// now is left to that process.
func (e *Engine) pollAll(ctx context.Context, w *work) error {
	var keys []store.PollKey
	for _, src := range e.Sources {
		if e.Backfill.Reads(src.Name) {
			keys = append(keys, e.key(&src))
		}
	}
	var leases []store.PollLease
	err := e.persist(ctx, func() (err error) {
		if err := e.restart(ctx, keys); err != nil {
			return err
		}
		leases, err = e.Store.ClaimPolls(ctx, e.Owner, keys, e.LeaseTTL, true)
		return err
	})
	polls := work{soft: w.soft, hard: w.hard}
	for _, lease := range leases {
		e.startPoll(&polls, lease)
	}
	polls.group.Wait()
	return errors.Join(err, ctx.Err())
}

// untilDelivered waits until every channel has nothing more to do that can be done now.
func (e *Engine) untilDelivered(ctx context.Context) {
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	e.every(waiting, onceTick, func() {
		if e.busy() { // no need to ask the store
			return
		}
		states, err := e.Store.ChannelStates(ctx)
		if err == nil {
			err = e.watch(ctx, states)
		}
		if e.health.note(ctx, reading, err); err == nil && e.through(states) {
			stop()
		}
	})
}

// busy tells whether tickets are between being read from the store and being settled, in a channel that gets on.
func (e *Engine) busy() bool {
	for _, d := range e.current().deliverers {
		d.mu.Lock()
		n := len(d.busy)
		d.mu.Unlock()
		if n > 0 && !d.throttle.stuck() {
			return true
		}
	}
	return false
}

func (e *Engine) through(states []store.ChannelState) bool {
	for _, state := range states {
		if d := e.deliverer(state.ID); d != nil && !d.through(state) {
			return false
		}
	}
	return true
}

// through tells whether waiting would not bring the channel any further.
func (d *deliverer) through(state store.ChannelState) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	due := state.Pending && state.NextDue <= 0
	acts := state.ActionPending && state.NextAction <= 0
	limited := state.Pause.Kind == store.RateLimited || d.gate.pause.Kind == store.RateLimited
	switch {
	case (due || acts) && limited:
		return false
	case d.lost == nil: // no session: another process has the channel, or we have not begun
		return d.foreign(state) && (!due && !acts || state.Pause.Kind != "" || d.others.stuck)
	default:
		closed := state.Pause.Kind != "" || d.gate.pause.Kind != "" || d.throttle.stuck() || d.quiet && !d.gate.greeted
		return (d.quiet || !due && d.gate.greeted || d.throttle.stuck()) && d.actions.Through(acts, closed)
	}
}

// foreign tells whether another process delivers for the channel.
func (d *deliverer) foreign(state store.ChannelState) bool {
	return state.Owner != "" && state.Owner != d.engine.Owner
}
