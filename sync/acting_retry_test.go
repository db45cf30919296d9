package sync

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/sources"
	"socialhub-sync/store"
)

// both is a network on which an action may be done again for some time, and that can be asked for a reply.
type both struct {
	finding
	window time.Duration
	asked  *time.Time
}

func (b both) RepeatableFor(*sources.Action) time.Duration { return b.window }

func (b both) FindReply(ctx context.Context, r *sources.Reply, since time.Time) (sources.Posted, bool, error) {
	*b.asked = time.Now()
	return b.finding.FindReply(ctx, r, since)
}

// TestWhatAPersonHasTakenUpAgainIsAskedForOrRepeatedFirst is about actions that became uncertain on a source with no such ability.
func TestWhatAPersonHasTakenUpAgainIsAskedForOrRepeatedFirst(t *testing.T) {
	t.Parallel()
	var asked time.Time
	within := func(window time.Duration) func(n *network) sources.Source {
		return func(n *network) sources.Source { return both{finding{n}, window, &asked} }
	}
	for name, test := range map[string]struct {
		as    func(*network) sources.Source
		first fate
		calls int
	}{
		"the reply is there":                             {within(0), answerLost, 1},
		"the reply is not there":                         {within(0), vanished, 2},
		"the reply is there, and too old to be repeated": {within(2 * time.Minute), answerLost, 1},
		"it may be repeated":                             {asRepeating, answerLost, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := newActors(t, "", sandbox.ChannelOptions{NetworkID: "us-ourselves"}, nil)
				a.tickets(text("item-1", "hello"))
				a.network.fates = []fate{test.first}
				stop := a.begin()
				made := a.act("item-1", "reply", "welcome")
				a.eventually("it is uncertain", func() bool { return len(a.stuck()) == 1 })
				a.ends(stop)
				able := test.as(a.network)
				a.options.Sources[0].Open = func(context.Context) (sources.Source, error) { return able, nil }
				stop = a.begin()
				pass(2 * time.Minute)
				again := time.Now()
				asked = again.Add(time.Hour)
				if _, err := a.store.RetryActions(t.Context(), a.channel.ID, nil); err != nil {
					t.Fatal(err)
				}
				a.eventually("it is confirmed", func() bool { return a.stored(made) == store.ActionConfirmed })
				a.ends(stop)
				if n := len(a.network.stands()); n != 1 || a.network.called() != test.calls {
					t.Errorf("%d replies stand after %d calls", n, a.network.called())
				}
				if asked.Sub(again) < 10*time.Second { // the last try may have been a moment ago
					t.Errorf("asked %v later", asked.Sub(again))
				}
			})
		})
	}
}

func TestThePersonsWordIsGoodForOneTry(t *testing.T) {
	acting(t, nil, func(t *testing.T, a *actors) {
		a.tickets(text("item-1", "hello"))
		a.network.fates = []fate{vanished, doneThenHangs}
		opens := a.options.Sources[0].Open
		var away atomic.Bool
		a.options.Sources[0].Open = func(ctx context.Context) (sources.Source, error) {
			if away.Load() {
				return nil, errors.New("away")
			}
			return opens(ctx)
		}
		stop := a.begin(func(o *Options) { o.Grace = 5 * time.Second })
		made := a.act("item-1", "reply", "welcome")
		a.eventually("it is uncertain", func() bool { return len(a.stuck()) == 1 })
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if _, err := a.store.RetryActions(t.Context(), a.channel.ID, nil); err != nil {
			t.Fatal(err)
		}
		away.Store(true) // the word counts until the source is called, however long that takes
		stop = a.begin(func(o *Options) { o.Grace = 5 * time.Second })
		pass(10 * time.Minute)
		away.Store(false)
		a.eventually("it is done anew", func() bool { return a.network.called() == 2 })
		if err := stop(); !errors.Is(err, errGrace) && err != nil {
			t.Error(err)
		}
		stop = a.begin()
		a.eventually("it is uncertain once more", func() bool { return len(a.stuck()) == 1 })
		a.ends(stop)
		if n := len(a.network.stands()); n != 1 || a.network.called() != 2 || a.stored(made) != store.ActionUncertain {
			t.Errorf("%d replies stand after %d calls, and it is %s", n, a.network.called(), a.stored(made))
		}
	})
}

// TestTheHourBeginsWhenAnActionCanBeTried is about a source that can't be opened, after the action has waited for long.
func TestTheHourBeginsWhenAnActionCanBeTried(t *testing.T) {
	acting(t, nil, func(t *testing.T, a *actors) {
		a.every(time.Hour)
		a.tickets(text("item-1", "hello"))
		made := a.act("item-1", "reply", "welcome")
		pass(5 * time.Hour) // nobody is there
		began, opens := time.Now(), a.options.Sources[0].Open
		a.options.Sources[0].Open = func(ctx context.Context) (sources.Source, error) {
			if time.Since(began) < 5*time.Minute {
				return nil, errors.New("away")
			}
			return opens(ctx)
		}
		stop := a.begin()
		a.eventually("the team is told", func() bool { return a.action(made.UUID).State != sandbox.ActionPending })
		a.ends(stop)
		if got := a.action(made.UUID); got.State != sandbox.ActionConfirmed {
			t.Errorf("%s because of %q", got.State, got.Reason)
		}
	})
}
