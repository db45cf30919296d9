package sync

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	gosync "sync"
	"time"

	"golang.org/x/time/rate"

	"socialhub-sync/socialhub"
	"socialhub-sync/store"
	"socialhub-sync/sync/act"
	"socialhub-sync/sync/manifest"
)

const (
	// fetchSize is how many tickets are read from the store at a time.
	fetchSize = 500
	// maxUnsettled bounds the answers that wait to be stored: what a crash would make unlinked.
	maxUnsettled = 256
)

// deliverer sends the tickets of one channel. At most one process at a time holds the channel's lease; in it run
// a feeder, which reads what is due, workers, which send it, and a committer, which stores the answers. Beside them
// runs what does the channel's actions: their callbacks are requests like the others.
type deliverer struct {
	engine   *Engine
	channel  *Channel
	log      *slog.Logger
	limiter  *rate.Limiter
	throttle throttle
	actions  *act.Runner
	// manifest is to be kept like that if it is not nil.
	manifest *manifest.Desired
	// stop tells to take no more work, done is closed when run has returned.
	stop context.CancelFunc
	done chan struct{}
	// slots are taken by the requests under way.
	slots chan struct{}
	// woken is signalled when there may be work.
	woken chan struct{}

	mu   gosync.Mutex
	gate gate
	// busy are the tickets between being read from the store and being settled.
	busy map[string]bool
	// quiet is true when the last look at the store found nothing to do that can be done now, and
	// nothing has happened since; wakes counts what has.
	quiet bool
	wakes int
	// trouble is the reason of the last failure if nothing has succeeded since.
	trouble string
	// limit is what SocialHub last said of the channel's.
	limit  socialhub.RateLimit
	others others
	// The lease: its epoch, 0 outside a session, and until when it lasts; lost stops the session that holds it and is nil
	// outside one.
	epoch int64
	until time.Time
	lost  context.CancelCauseFunc
}

func newDeliverer(e *Engine, c *Channel, want *manifest.Desired) *deliverer {
	d := &deliverer{
		engine: e, channel: c, manifest: want, done: make(chan struct{}), log: e.Logger.With(slog.String("channel", c.Name)),
		throttle: newThrottle(), woken: make(chan struct{}, 1), busy: make(map[string]bool),
		slots: make(chan struct{}, max(1, c.Concurrency)),
	}
	d.actions = newRunner(d)
	if c.RateLimit > 0 {
		d.limiter = rate.NewLimiter(rate.Limit(c.RateLimit), max(1, int(c.RateLimit)))
	}
	return d
}

// wake makes the deliverer look at the store.
func (d *deliverer) wake() {
	d.mu.Lock()
	d.quiet = false
	d.wakes++
	d.mu.Unlock()
	select {
	case d.woken <- struct{}{}:
	default:
	}
}

// notify takes in the state of the channel as the store had it at the time asked.
func (d *deliverer) notify(state store.ChannelState, asked time.Time) {
	d.mu.Lock()
	reopened := d.gate.learn(state.Pause, asked)
	d.quiet = d.quiet && !reopened
	d.others.hold = d.foreign(state)
	mine := !d.others.hold
	look := reopened || state.Owner == "" || state.Pending && state.NextDue <= 0 || !d.gate.greeted
	d.mu.Unlock()
	if mine && look {
		d.wake()
	}
	if mine && (state.ActionPending && state.NextAction <= 0 || d.actions.Waiting()) {
		d.actions.Wake()
	}
}

// run delivers until soft, a child of the engine's, is done; what is under way then may go on until hard is.
func (d *deliverer) run(w *work, soft context.Context) {
	for {
		select {
		case <-soft.Done():
			return
		case <-d.woken:
		}
		claimed := time.Now()
		// With hard: a claim that is cut off could leave a lease that nobody gives back.
		lease, ok, err := d.engine.Store.ClaimChannel(w.hard, d.engine.Owner, d.channel.ID, d.engine.LeaseTTL)
		if d.engine.health.note(w.hard, writing, err); err == nil && ok {
			d.session(soft, w.hard, lease, claimed)
			d.giveBackLease(w, lease)
		}
	}
}

// session delivers under one lease, until it is lost or soft is done.
func (d *deliverer) session(soft, hard context.Context, lease store.DeliveryLease, claimed time.Time) {
	ctx, cancel := context.WithCancelCause(soft)
	defer cancel(nil)
	d.mu.Lock()
	d.epoch, d.until, d.lost = lease.Epoch, claimed.Add(d.engine.LeaseTTL), cancel
	d.mu.Unlock()

	// One ticket for each worker lies ready, so that none waits while the feeder reads the next ones.
	jobs := make(chan *store.Ticket, d.channel.Concurrency)
	answers := make(chan answered, maxUnsettled)
	var workers, committer, actions gosync.WaitGroup
	actions.Go(func() { d.actions.Run(ctx, hard, lease) })
	if d.manifest != nil {
		keeper := manifest.Keeper{Client: d.channel.Client, Want: *d.manifest, Log: d.log, Open: lent{d}.Open, Pause: d.pause}
		actions.Go(func() { keeper.Run(ctx) })
	}
	for range d.channel.Concurrency {
		workers.Go(func() {
			for t := range jobs {
				answers <- d.deliver(ctx, hard, t)
			}
		})
	}
	committer.Go(func() { d.commit(hard, lease, answers, cancel) })
	d.feed(ctx, lease, jobs, answers)
	close(jobs)
	workers.Wait()
	close(answers)
	committer.Wait()
	actions.Wait()

	d.mu.Lock()
	d.epoch, d.lost = 0, nil
	clear(d.busy)
	d.mu.Unlock()
}

// giveBackLease tries for as long as the engine runs: nobody could deliver until the lease ends by its time.
func (d *deliverer) giveBackLease(w *work, lease store.DeliveryLease) {
	release := func(ctx context.Context) error { return d.engine.Store.ReleaseChannel(ctx, lease) }
	if d.engine.persist(w.soft, func() error { return release(w.soft) }) != nil {
		d.engine.release(w.hard, release)
	}
}

// holds is the epoch of the lease, 0 if there is none.
func (d *deliverer) holds() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.epoch
}

// renewed tells under which epoch, of the lease that was to be prolonged at the time asked, it is held now; another one means
// that it was lost. It says nothing of a later lease.
func (d *deliverer) renewed(epoch, held int64, asked time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.lost == nil || d.epoch != epoch:
	case held == epoch:
		d.until = asked.Add(d.engine.LeaseTTL)
	default:
		d.lost(store.ErrLeaseLost)
	}
}

// feed hands out what is due until ctx is done.
func (d *deliverer) feed(ctx context.Context, lease store.DeliveryLease, jobs chan<- *store.Ticket, answers chan<- answered) {
	size := fetchSize
	for ctx.Err() == nil {
		d.mu.Lock()
		seen := d.wakes
		d.mu.Unlock()
		if d.open(ctx) {
			if due := d.due(ctx, lease, size); len(due) > 0 {
				size = d.handOut(ctx, due, jobs, answers)
				continue
			}
		}
		d.settleDown(seen)
		select {
		case <-ctx.Done():
		case <-d.woken:
		}
	}
}

// due reads what is to be sent and marks it as busy.
func (d *deliverer) due(ctx context.Context, lease store.DeliveryLease, size int) []*store.Ticket {
	d.mu.Lock()
	busy := maps.Clone(d.busy)
	d.mu.Unlock()
	due, err := d.engine.Store.Due(ctx, lease, size, busy)
	if err != nil { // it writes, too
		d.engine.health.note(ctx, writing, err)
		return nil
	}
	d.mu.Lock()
	for _, t := range due {
		d.busy[t.NetworkItemID] = true
	}
	d.mu.Unlock()
	return due
}

// handOut gives the tickets to the workers as fast as the channel allows. What does not go out, because the
// channel closes or is slow, is still due in the store: live tickets that come meanwhile go before backfill. It
// returns how many to read next, about what goes out in two ticks.
func (d *deliverer) handOut(ctx context.Context, due []*store.Ticket, jobs chan<- *store.Ticket, answers chan<- answered) int {
	began := time.Now()
	for i, t := range due {
		slow := i >= d.channel.Concurrency && time.Since(began) > tickEvery
		if !slow && d.admit(ctx) {
			select {
			case jobs <- t:
				continue
			case <-ctx.Done():
				d.throttle.done("", neutral, time.Now())
			}
		}
		d.giveBack(due[i:], answers)
		return max(d.channel.Concurrency, min(fetchSize, 2*i))
	}
	return min(fetchSize, 2*max(len(due), d.channel.Concurrency))
}

// giveBack ends the busy time of tickets that are not sent now. Of an update the store has noted that it may
// have been, which the committer takes back.
func (d *deliverer) giveBack(tickets []*store.Ticket, answers chan<- answered) {
	for _, t := range tickets {
		if t.TicketID != "" && t.DeliveredHash != "" {
			answers <- answered{settlement: unsent(t)}
			continue
		}
		d.mu.Lock()
		delete(d.busy, t.NetworkItemID)
		d.mu.Unlock()
	}
}

// admit waits until another request may start; false means not now.
func (d *deliverer) admit(ctx context.Context) bool {
	for {
		now := time.Now()
		if ctx.Err() != nil || !d.mayWork(now) {
			return false
		}
		ok, wait := d.throttle.ready(now)
		if ok {
			break
		}
		if wait == 0 {
			wait = tickEvery
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-d.throttle.freed:
		case <-timer.C:
		}
		timer.Stop()
	}
	if d.limiter != nil && d.limiter.Wait(ctx) != nil {
		return false
	}
	d.throttle.start()
	return true
}

// mayWork tells whether a request may start: the channel is not paused, the store can take the answer, and the
// lease lasts.
func (d *deliverer) mayWork(now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.gate.open(now) && d.able(now)
}

// able tells whether the store can take an answer and the lease lasts; the caller holds mu.
func (d *deliverer) able(now time.Time) bool { return now.Before(d.until) && d.engine.Healthy() == nil }

// settleDown notes that the look that began after so many wakes found nothing that can be done now.
func (d *deliverer) settleDown(seen int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.quiet = len(d.busy) == 0 && d.wakes == seen && d.able(time.Now())
}

// answered is a ticket that is to be settled.
type answered struct {
	settlement store.Settlement
	// delivery has no operation if the ticket is only given back.
	delivery Delivery
}

// deliver sends one ticket, unless the session has ended, and decides what the answer means.
func (d *deliverer) deliver(session, ctx context.Context, t *store.Ticket) answered {
	if t.TicketID != "" && t.DeliveredHash == t.WantedHash {
		return d.spare(t, store.Synced, "")
	}
	p, err := decodePayload(t.Payload)
	if err != nil {
		return d.spare(t, store.Rejected, err.Error())
	}
	if p.Own && !d.ownPost(&p.Interaction) {
		return d.spare(t, store.Skipped, "our own post, and the channel has no networkId")
	}
	d.slots <- struct{}{}
	defer func() { <-d.slots }()
	if session.Err() != nil || !d.mayWork(time.Now()) || d.throttle.crowded() { // something has happened since it was handed out
		d.throttle.done(t.NetworkItemID, neutral, time.Now())
		return answered{settlement: unsent(t)}
	}
	a := d.request(ctx, t, p)
	if a.Outcome == socialhub.Unavailable {
		d.log.Warn("delivery", slog.String("item", t.NetworkItemID), slog.String("reason", a.Reason), slog.Int("attempt", t.Attempts+1))
	}
	d.take(ctx, t.NetworkItemID, a)
	done := answered{settle(t, a, backoff(t.Attempts+1)), d.report(t)}
	done.delivery.Sent, done.delivery.Outcome = true, a.Outcome
	done.delivery.Answered, done.delivery.Updated = time.Now(), p.since(t.TicketID != "")
	return done
}

// spare settles a ticket that needs no request.
func (d *deliverer) spare(t *store.Ticket, state store.State, reason string) answered {
	d.throttle.done(t.NetworkItemID, neutral, time.Now())
	return answered{settled(t, state, reason), d.report(t)}
}

// report is what is to be told of a ticket's delivery, but for the answer.
func (d *deliverer) report(t *store.Ticket) Delivery {
	operation := Create
	if t.TicketID != "" {
		operation = Patch
	}
	return Delivery{
		ChannelID: d.channel.ID, Channel: d.channel.Name, Operation: operation, Backfill: t.Backfill, Stored: t.StoredAt,
	}
}

// request sends the content, at the longest until the lease ends.
func (d *deliverer) request(ctx context.Context, t *store.Ticket, p *payload) socialhub.Answer {
	d.mu.Lock()
	until := d.until
	d.mu.Unlock()
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	if t.TicketID == "" {
		return d.channel.Client.Create(ctx, &p.Interaction)
	}
	return d.channel.Client.Update(ctx, t.TicketID, socialhub.UpdateOf(&p.Interaction, p.Updated), p.Reset)
}

// take draws the consequences of an answer for the channel; id names what the request was for.
func (d *deliverer) take(ctx context.Context, id string, a socialhub.Answer) {
	o, trouble := succeeded, ""
	d.told(a.Limit)
	switch a.Outcome {
	case socialhub.Unavailable:
		o, trouble = failed, a.Reason
	case socialhub.Unauthorized, socialhub.Forbidden, socialhub.RateLimited:
		o = neutral
		d.pause(ctx, a)
	}
	if o != neutral {
		d.mu.Lock()
		d.trouble = trouble
		d.mu.Unlock()
	}
	d.throttle.done(id, o, time.Now())
}

// commit stores the answers as they come: whatever has arrived goes together, nothing waits for more.
func (d *deliverer) commit(ctx context.Context, lease store.DeliveryLease, answers <-chan answered, lost context.CancelCauseFunc) {
	for first := range answers {
		group := []answered{first}
		for len(answers) > 0 && len(group) < fetchSize {
			group = append(group, <-answers)
		}
		settlements := make([]store.Settlement, len(group))
		for i, a := range group {
			settlements[i] = a.settlement
		}
		err := d.engine.persist(ctx, func() error { return d.engine.Store.Settle(ctx, lease, settlements) })
		if errors.Is(err, store.ErrLeaseLost) {
			lost(err)
			d.salvage(ctx, settlements)
		}
		d.release(group, err)
	}
}

// salvage keeps the ids that SocialHub told a process that lost its lease: they are true whoever holds it.
func (d *deliverer) salvage(ctx context.Context, settlements []store.Settlement) {
	var links []store.Link
	for _, s := range settlements {
		if s.TicketID != "" {
			links = append(links, store.Link{NetworkItemID: s.NetworkItemID, TicketID: s.TicketID})
		}
	}
	if len(links) == 0 {
		return
	}
	_ = d.engine.persist(ctx, func() error {
		_, err := d.engine.Store.Adopt(ctx, d.channel.ID, links)
		return err
	})
}

// release ends the busy time of settled tickets and looks again: replies may have waited for them.
func (d *deliverer) release(group []answered, err error) {
	d.mu.Lock()
	for _, a := range group {
		delete(d.busy, a.settlement.NetworkItemID)
	}
	d.mu.Unlock()
	if err == nil {
		for _, a := range group {
			if a.delivery.Operation != "" {
				a.delivery.State = a.settlement.Same.State
				d.engine.observers.Delivered(a.delivery)
			}
			d.logOutcome(a)
		}
	}
	d.wake()
}

func (d *deliverer) logOutcome(a answered) {
	id, s := slog.String("item", a.settlement.NetworkItemID), a.settlement.Same
	switch s.State {
	case store.Rejected:
		d.log.Error("ticket rejected, it waits for other content or `retry`", id, slog.String("reason", s.Reason))
	case store.Unlinked:
		d.log.Warn("ticket exists already and its _id is unknown; changes wait for `adopt`", id)
	case store.Gone:
		d.log.Warn("ticket was removed in SocialHub", id)
	case store.Synced:
		d.log.Debug("delivered", id, slog.Bool("update", a.delivery.Operation == Patch))
	}
}
