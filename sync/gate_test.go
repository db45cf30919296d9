package sync

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/sources"
	"socialhub-sync/store"
)

func TestAPauseIsNotLiftedByWhatWasReadBeforeIt(t *testing.T) {
	t.Parallel()
	now := time.Now()
	g := gate{pause: store.Pause{Kind: store.Forbidden}, known: now, greeted: true}
	for _, before := range []time.Duration{time.Millisecond, 0} {
		if g.learn(store.Pause{}, now.Add(-before)) || g.open(now) {
			t.Errorf("a look at the store %v earlier lifted the pause", before)
		}
	}
	now = now.Add(1)
	if !g.learn(store.Pause{}, now) || !g.open(now) || g.greeted {
		t.Error("a later look did not, or the token is not verified again")
	}
	if g.learn(store.Pause{Kind: store.RateLimited, For: time.Minute}, now) || g.open(now.Add(time.Minute-1)) || !g.open(now.Add(time.Minute)) {
		t.Error("the pause of another process is not kept for its time")
	}
	g.greeted = true
	if !g.learn(store.Pause{}, now.Add(time.Minute)) || !g.greeted {
		t.Error("after a rate limit the token need not be verified again")
	}
}

func TestTheStoredPauseIsKnownBeforeAnythingIsSent(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		w.once()
		pause := store.Pause{Kind: store.Unauthorized, Fingerprint: w.options.Channels[0].Fingerprint}
		if err := w.store.PauseChannel(t.Context(), w.channel.ID, pause); err != nil {
			t.Fatal(err)
		}
		e := w.engine()
		if err := e.ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		if e.deliverer(w.channel.ID).gate.open(time.Now()) {
			t.Error("the channel is open")
		}
	})
}

func TestALeaseIsProlongedOnlyUnderItsEpoch(t *testing.T) {
	t.Parallel()
	e := New(Options{Channels: []Channel{{ID: "c"}}, LeaseTTL: time.Minute, Logger: slog.New(slog.DiscardHandler)})
	d, now := e.deliverer("c"), time.Now()
	d.renewed(5, 0, now) // outside a session nothing is held
	ctx, cancel := context.WithCancelCause(t.Context())
	d.epoch, d.until, d.lost = 7, now.Add(time.Minute), cancel
	d.renewed(0, 0, now) // asked before the session began
	d.renewed(6, 0, now) // and in the one before
	if ctx.Err() != nil {
		t.Fatal("an older answer ended the session")
	}
	d.renewed(7, 7, now.Add(20*time.Second))
	if !d.until.Equal(now.Add(80 * time.Second)) {
		t.Errorf("until %v", d.until.Sub(now))
	}
	d.renewed(7, 0, now.Add(40*time.Second))
	if !errors.Is(context.Cause(ctx), store.ErrLeaseLost) || !d.until.Equal(now.Add(80*time.Second)) {
		t.Errorf("under another epoch: %v", context.Cause(ctx))
	}
}

// claimedUnheard is an engine to whose claims of everything the store never answered, as when the connection breaks after the
// commit: it holds leases of which it does not know.
func (w *world) claimedUnheard() *Engine {
	w.t.Helper()
	e := w.engine()
	if err := e.register(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
	_, claimed, err := w.store.ClaimChannel(w.t.Context(), e.Owner, w.channel.ID, e.LeaseTTL)
	polls, err2 := w.store.ClaimPolls(w.t.Context(), e.Owner, []store.PollKey{e.key(&e.Sources[0])}, e.LeaseTTL, true)
	if !claimed || len(polls) != 1 || err != nil || err2 != nil {
		w.t.Fatal(claimed, polls, err, err2)
	}
	return e
}

func TestALeaseThatNobodyKnowsOfEndsByItsTime(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		w.shelf.fill("item", 1)
		stop := w.daemon(w.claimedUnheard())
		if took := w.until("it is delivered", func() bool { return w.delivered() == 1 }); took < 58*time.Second || took > 70*time.Second {
			t.Errorf("it took %v; want the time of the leases", took)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
		w.noLeases()
	})
}

func TestOneRoundTakesLeasesThatNobodyKnowsOf(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		w.shelf.fill("item", 1)
		if err := w.claimedUnheard().RunOnce(t.Context()); err != nil || w.delivered() != 1 {
			t.Errorf("%d delivered, %v", w.delivered(), err)
		}
		w.noLeases()
	})
}

func TestNoRequestOutlivesTheLease(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{Faults: onRoute(sandbox.RoutePost, sandbox.Fault{Kind: sandbox.Hang})}, sandbox.ChannelOptions{})
		e := w.engine()
		d := e.deliverer(w.channel.ID)
		d.until = time.Now().Add(5 * time.Second)
		it := brought("A")
		began := time.Now()
		d.throttle.start()
		d.gate.known = began
		a := d.deliver(t.Context(), t.Context(), &store.Ticket{NetworkItemID: "item-1", WantedHash: it.hash, Payload: mustEncode(t, it)})
		if took := time.Since(began); took != 5*time.Second || a.settlement.Same.State != store.Pending {
			t.Errorf("after %v: %+v", took, a)
		}
		d.throttle.start()
		a = d.deliver(t.Context(), t.Context(), &store.Ticket{NetworkItemID: "item-2", WantedHash: it.hash, Payload: mustEncode(t, it)})
		if a.delivery.Sent || a.settlement.Same.Attempts != 0 {
			t.Errorf("a request was sent after the lease: %+v", a)
		}
	})
}

func mustEncode(t *testing.T, it *item) string {
	t.Helper()
	content, reason := it.encode()
	if reason != "" {
		t.Fatal(reason)
	}
	return content
}

func TestAPollThatWasTakenOverIsStopped(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})
		stopped := make(chan time.Time, 1)
		w.options.Sources[0].Open = func(context.Context) (sources.Source, error) {
			return pullFunc(func(ctx context.Context, _ sources.Request, _ func(sources.Batch, error) bool) {
				<-ctx.Done()
				stopped <- time.Now()
			}), nil
		}
		stop := w.start(func(o *Options) { o.LeaseTTL = 6 * time.Second })
		pass(time.Second)
		w.steal("sources")
		leases, err := w.store.ClaimPolls(t.Context(), "another", []store.PollKey{{ChannelID: w.channel.ID, Source: "shelf"}}, time.Hour, true)
		if err != nil || len(leases) != 1 {
			t.Fatal(leases, err)
		}
		began := time.Now()
		pass(10 * time.Second)
		select {
		case at := <-stopped:
			if at.Sub(began) > 3*time.Second {
				t.Errorf("stopped after %v", at.Sub(began))
			}
		default:
			t.Error("it goes on")
		}
		stop()
		if s := w.status("shelf"); !s.Polling || !s.LastPoll.IsZero() {
			t.Errorf("the other process lost its lease: %+v", s)
		}
	})
}

func TestAPollThatLingersLeavesTheNewerOneAlone(t *testing.T) {
	t.Parallel()
	e := New(Options{Logger: slog.New(slog.DiscardHandler)})
	k := store.PollKey{Source: "shelf"}
	older, newer := &runningPoll{}, &runningPoll{}
	e.running[k] = newer
	if e.forget(k, older); e.running[k] != newer {
		t.Error("the newer poll is forgotten")
	}
	if e.forget(k, newer); len(e.running) != 0 {
		t.Error("a poll that has ended is still there")
	}
}

func TestADelivererIsQuietOnlyIfNothingHappenedSinceItLooked(t *testing.T) {
	t.Parallel()
	e := New(Options{Channels: []Channel{{ID: "c"}}, Logger: slog.New(slog.DiscardHandler)})
	d := e.deliverer("c")
	d.until = time.Now().Add(time.Minute)
	seen := d.wakes
	if d.settleDown(seen); !d.quiet {
		t.Error("not quiet although nothing is to be done")
	}
	d.wake() // a poll stored something while the store was asked what is due
	if d.settleDown(seen); d.quiet {
		t.Error("quiet although something happened meanwhile")
	}
	d.busy["item-1"] = true
	if d.settleDown(d.wakes); d.quiet {
		t.Error("quiet although a request is under way")
	}
	clear(d.busy)
	e.health.note(t.Context(), reading, errors.New("no connection"))
	if d.settleDown(d.wakes); d.quiet {
		t.Error("quiet although the store did not say what is due")
	}
}
