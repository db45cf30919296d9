package sync

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"socialhub-sync/socialhub"
	"socialhub-sync/store"
)

// warnEvery is how often it is said that SocialHub can't be reached, while that is so.
const warnEvery = 10 * time.Minute

// gate says whether requests may be sent for a channel. Its fields are guarded by the deliverer's mutex.
type gate struct {
	pause store.Pause
	// until is when the pause ends by itself; zero waits for another token or a person.
	until time.Time
	// known is when the pause was in the store: what was read from it by then says nothing.
	known time.Time
	// greeted is true once GET / has verified the token; until then nothing else is sent.
	greeted   bool
	greetAt   time.Time
	failures  int
	warnedAt  time.Time
	networkID string
	name      string
}

func (g *gate) open(now time.Time) bool {
	return g.pause.Kind == "" || !g.until.IsZero() && !now.Before(g.until)
}

// learn takes in what the store said of the pause when it was asked; it reports whether a pause is over.
func (g *gate) learn(p store.Pause, asked time.Time) (reopened bool) {
	if !asked.After(g.known) {
		return false
	}
	reopened = g.pause.Kind != "" && p.Kind == ""
	if reopened && g.pause.Kind != store.RateLimited {
		g.greeted = false
	}
	g.pause, g.until = p, time.Time{}
	if p.For > 0 {
		g.until = asked.Add(p.For)
	}
	return reopened
}

// ownPost makes an interaction our own post in SocialHub's eyes; false if the channel has no networkId.
func (d *deliverer) ownPost(i *socialhub.Interaction) bool {
	d.mu.Lock()
	id, name := d.gate.networkID, d.gate.name
	d.mu.Unlock()
	if id == "" {
		return false
	}
	who := socialhub.Interactor{Name: name}
	if i.Interactor != nil {
		who = *i.Interactor
		who.Name = cmp.Or(who.Name, name)
	}
	who.InteractorID = id
	i.Interactor = &who
	return true
}

// open tells whether the channel may work now. It lifts a pause that another token has made void, and
// verifies the token first.
func (d *deliverer) open(ctx context.Context) bool {
	d.mu.Lock()
	g, now := d.gate, time.Now()
	d.mu.Unlock()
	if !g.open(now) {
		if g.pause.Kind == store.RateLimited || g.pause.Fingerprint == d.channel.Fingerprint {
			return false
		}
		if !d.resume(ctx) {
			return false
		}
	}
	if g.greeted {
		return d.mayWork(now)
	}
	return !now.Before(g.greetAt) && d.greet(ctx)
}

// resume ends the pause: the token is another one than the one that was refused.
func (d *deliverer) resume(ctx context.Context) bool {
	_, err := d.engine.Store.ResumeChannel(ctx, d.channel.ID)
	if d.engine.health.note(ctx, writing, err); err != nil {
		return false
	}
	d.mu.Lock()
	d.gate.pause, d.gate.known, d.gate.greeted = store.Pause{}, time.Now(), false
	d.mu.Unlock()
	return true
}

// greet verifies the token by GET / and learns who the channel is on its network.
func (d *deliverer) greet(ctx context.Context) bool {
	channel, a := d.channel.Client.Channel(ctx)
	d.told(a.Limit)
	if ctx.Err() != nil {
		return false
	}
	switch a.Outcome {
	case socialhub.Done:
		d.mu.Lock()
		d.gate.greeted, d.gate.failures, d.trouble = true, 0, ""
		d.gate.networkID, d.gate.name = channel.NetworkID, channel.Name
		d.mu.Unlock()
		d.actions.Wake()
		return true
	case socialhub.Unauthorized, socialhub.Forbidden, socialhub.RateLimited:
		d.pause(ctx, a)
		return false
	}
	d.mu.Lock()
	d.gate.failures++
	d.trouble = a.Reason
	now, wait, level := time.Now(), backoff(d.gate.failures), slog.LevelDebug
	d.gate.greetAt = now.Add(wait)
	if d.gate.failures == 1 || now.Sub(d.gate.warnedAt) >= warnEvery {
		d.gate.warnedAt, level = now, slog.LevelWarn
	}
	d.mu.Unlock()
	d.log.Log(ctx, level, "SocialHub can't be reached, trying again until it answers",
		slog.String("reason", a.Reason), slog.Duration("retry_in", wait.Round(time.Millisecond)))
	return false
}

// pause stops the channel here and, by the store, in every other process.
func (d *deliverer) pause(ctx context.Context, a socialhub.Answer) {
	p := store.Pause{Reason: a.Reason, Fingerprint: d.channel.Fingerprint}
	switch a.Outcome {
	case socialhub.RateLimited:
		p.Kind, p.For = store.RateLimited, a.RetryAfter
	case socialhub.Unauthorized:
		p.Kind = store.Unauthorized
	case socialhub.Forbidden:
		p.Kind = store.Forbidden
	}
	d.mu.Lock()
	now := time.Now()
	if !d.gate.open(now) { // another worker was told the same
		d.mu.Unlock()
		return
	}
	d.gate.pause, d.gate.until, d.gate.known = p, time.Time{}, now.Add(never)
	if p.For > 0 {
		d.gate.until = now.Add(p.For)
	}
	d.mu.Unlock()

	_ = d.engine.persist(ctx, func() error { return d.engine.Store.PauseChannel(ctx, d.channel.ID, p) })
	d.mu.Lock()
	d.gate.known = time.Now()
	d.mu.Unlock()
	switch p.Kind {
	case store.RateLimited:
		d.log.Warn("SocialHub's rate limit, channel paused", slog.Duration("for", p.For))
	case store.Unauthorized:
		d.log.Error("SocialHub refused the access token, channel paused until the token is changed", slog.String("reason", p.Reason))
	case store.Forbidden:
		d.log.Error("SocialHub denied access, channel paused until the token is changed or `resume`", slog.String("reason", p.Reason))
	}
}
