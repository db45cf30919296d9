package sync

import (
	"context"
	"errors"
	"time"

	"socialhub-sync/socialhub"
	"socialhub-sync/store"
	"socialhub-sync/sync/act"
)

// WakeActions makes the engine look for actions of a channel: the webhook has just stored some, and with them perhaps
// the _id for which tickets wait. Without it they are found within seconds.
func (e *Engine) WakeActions(channelID string) {
	if d := e.deliverer(channelID); d != nil {
		d.actions.Wake()
		d.wake()
	}
}

// newRunner is what does the actions of a deliverer's channel.
func newRunner(d *deliverer) *act.Runner {
	return act.New(act.Options{
		Store: d.engine.Store, Client: d.channel.Client, Channel: lent{d}, Files: d.engine.Files, Log: d.log,
	})
}

// lent is what a deliverer lends to the runner of its channel.
type lent struct{ *deliverer }

var _ act.Channel = lent{}

func (l lent) Able() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.able(time.Now())
}

func (l lent) Open() bool {
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gate.greeted && l.gate.open(now) && l.able(now)
}

func (l lent) Note(ctx context.Context, err error) { l.engine.health.note(ctx, writing, err) }

func (l lent) Persist(ctx context.Context, f func(context.Context) error) error {
	err := l.engine.persist(ctx, func() error { return f(ctx) })
	if err != nil && ctx.Err() != nil {
		l.engine.release(ctx, func(ctx context.Context) error { err = f(ctx); return err })
	}
	return err
}

// Leased watches the lease's end, which every renewal moves.
func (l lent) Leased(soft, hard context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(hard)
	unwatch := context.AfterFunc(soft, func() {
		if errors.Is(context.Cause(soft), store.ErrLeaseLost) {
			cancel(store.ErrLeaseLost)
		}
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			l.mu.Lock()
			left := time.Until(l.until)
			l.mu.Unlock()
			if left <= 0 {
				cancel(store.ErrLeaseLost)
				return
			}
			pause(ctx, left)
		}
	}()
	return ctx, func() { unwatch(); cancel(nil); <-done }
}

func (l lent) Request(soft, hard context.Context, key string, f func() socialhub.Answer) (socialhub.Answer, bool) {
	if !l.admit(soft) {
		return socialhub.Answer{}, false
	}
	l.slots <- struct{}{}
	defer func() { <-l.slots }()
	if soft.Err() != nil || !l.Open() || l.throttle.crowded() { // something has happened since it was admitted
		l.throttle.done(key, neutral, time.Now())
		return socialhub.Answer{}, false
	}
	a := f()
	l.take(hard, key, a)
	return a, true
}

func (l lent) Guard(source string, f func() error) error {
	src := l.engine.current().sources[source]
	if src == nil { // it was taken out of the config since it was opened
		src = &Source{Name: source, Adapter: "of a source that is gone"}
	}
	return l.engine.guard(src, f)
}

func (l lent) Source(name string) (act.Opener, bool) {
	src := l.engine.current().sources[name]
	if src == nil || src.ChannelID != l.channel.ID {
		return act.Opener{}, false
	}
	return act.Opener{Version: src.Version, Open: src.Open}, true
}

func (l lent) Backoff(failures int) time.Duration { return backoff(failures) }

func (l lent) Stepped(step store.ActionStep) {
	if result := stepResult(step); result != "" {
		l.engine.observers.Stepped(Step{ChannelID: l.channel.ID, Channel: l.channel.Name, Result: result})
	}
	l.wake() // our own posts may have waited for it
}

func (l lent) Adopt(ctx context.Context, networkItemID, ticketID string) {
	l.salvage(ctx, []store.Settlement{{NetworkItemID: networkItemID, TicketID: ticketID}})
}
