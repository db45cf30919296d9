package sync

import (
	"context"
	"time"

	"socialhub-sync/store"
)

const (
	// othersTick is how often a single run looks whether the process that holds a channel gets on.
	othersTick = time.Second
	// othersPatience is how long that process may be without sending anything that is due.
	othersPatience = 30 * time.Second
)

// others is what a deliverer knows of the process that holds its channel instead; the deliverer's mutex guards it.
type others struct {
	// hold is true while another process has the lease.
	hold bool
	// least is the smallest number of due tickets seen so far, since when that is so. A zero time means not watched.
	least int
	since time.Time
	// lookAt is when to count again.
	lookAt time.Time
	// stuck is true when that number has not become smaller for too long.
	stuck bool
}

// watch counts what is due in the channels that other processes hold, now and then: one that can't deliver either
// must not be waited for.
func (e *Engine) watch(ctx context.Context, states []store.ChannelState) error {
	now := time.Now()
	var look []*deliverer
	for _, state := range states {
		if d := e.deliverer(state.ID); d != nil && d.watches(state, now) {
			look = append(look, d)
		}
	}
	if len(look) == 0 {
		return nil
	}
	counts, err := e.Store.DueCounts(ctx)
	if err != nil {
		return err
	}
	for _, d := range look {
		d.watched(counts[d.channel.ID], now)
	}
	return nil
}

// watches tells whether it is time to count what another process has to deliver. A pause is no standstill.
func (d *deliverer) watches(state store.ChannelState, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.foreign(state) || state.Pause.Kind != "" {
		d.others.since, d.others.stuck = time.Time{}, false
		return false
	}
	if now.Before(d.others.lookAt) {
		return false
	}
	d.others.lookAt = now.Add(othersTick)
	return true
}

// watched takes in how many tickets are due.
func (d *deliverer) watched(due int, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.others.since.IsZero() || due < d.others.least {
		d.others.least, d.others.since = due, now
	}
	d.others.stuck = now.Sub(d.others.since) >= othersPatience
}

// Trouble says why the channel with this id does not get on; empty if it does or nobody knows. Pauses are told by
// the store.
func (e *Engine) Trouble(channelID string) string {
	d := e.deliverer(channelID)
	if d == nil {
		return ""
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.others.stuck && d.others.least > 0 {
		return "another process holds the channel and has sent nothing for " + othersPatience.String() + "; see its log"
	}
	if d.trouble == "" {
		return ""
	}
	return "SocialHub: " + d.trouble
}

// Elsewhere tells whether another process delivers for one of the channels.
func (e *Engine) Elsewhere() bool {
	for _, d := range e.current().deliverers {
		d.mu.Lock()
		hold := d.others.hold
		d.mu.Unlock()
		if hold {
			return true
		}
	}
	return false
}
