package sync

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/sources"
	"socialhub-sync/store"
)

// file is the path of the world's SQLite database.
func (w *world) file() string { return strings.TrimPrefix(w.dbURL, "sqlite:") }

// gone takes the database away for so long.
func (w *world) gone(d time.Duration) {
	w.t.Helper()
	away := w.file() + ".away"
	if err := os.Rename(w.file(), away); err != nil {
		w.t.Fatal(err)
	}
	pass(d)
	if err := os.Rename(away, w.file()); err != nil {
		w.t.Fatal(err)
	}
}

func TestActionsGoOnAfterTheDatabaseWasAwayForLongerThanTheLease(t *testing.T) {
	acting(t, nil, func(t *testing.T, a *actors) {
		a.tickets(text("item-1", "hello"))
		stop := a.begin()
		a.eventually("the first one is confirmed", a.is(a.act("item-1", "reply", "welcome"), sandbox.ActionConfirmed))
		a.gone(5 * time.Minute)
		pass(10 * time.Second)
		made := a.act("item-1", "reply", "once more")
		pass(10 * time.Second)
		if !a.is(made, sandbox.ActionConfirmed)() {
			t.Errorf("it is %s, %d replies", a.stored(made), len(a.network.stands()))
		}
		a.ends(stop)
	})
}

// doneLate is a call that breaks off with its context, and has its effect a little later.
func doneLate(ctx context.Context, do func()) error {
	<-ctx.Done()
	time.AfterFunc(5*time.Second, do)
	return ctx.Err()
}

func TestAReplyIsNotLookedForWhileTheRequestOfAProcessThatLostItsLeaseMayBeWorkedOn(t *testing.T) {
	acting(t, asFinding, func(t *testing.T, a *actors) {
		a.tickets(text("item-1", "hello"))
		a.network.fates = []fate{doneLate}
		link := filepath.Join(t.TempDir(), "link.db")
		if err := os.Symlink(a.file(), link); err != nil {
			t.Fatal(err)
		}
		apart, err := store.Open(t.Context(), "sqlite:"+link)
		if err != nil {
			t.Fatal(err)
		}
		defer apart.Close()
		first := a.begin(func(o *Options) { o.Store = apart })
		made := a.act("item-1", "reply", "welcome")
		a.eventually("it is under way", func() bool { return a.network.called() == 1 })
		if err := os.Remove(link); err != nil { // the first process does not reach the database any more
			t.Fatal(err)
		}
		second := a.begin()
		a.eventually("it is confirmed", a.is(made, sandbox.ActionConfirmed))
		a.ends(second)
		pass(time.Minute)
		if err := os.Symlink(a.file(), link); err != nil {
			t.Fatal(err)
		}
		if err := first(); err != nil {
			t.Error(err)
		}
		if posts := a.network.stands(); len(posts) != 1 {
			t.Errorf("posted %d times", len(posts))
		}
	})
}

// forgetful is a network that takes a repetition for the same reply only for some time.
type forgetful struct {
	*network
	window time.Duration
	at     map[string]time.Time
}

func (f forgetful) RepeatableFor(*sources.Action) time.Duration { return f.window }

func (f forgetful) Reply(ctx context.Context, in *sources.Reply) (sources.Posted, error) {
	return f.posted(in.Key), f.call(ctx, &in.Action, func() {
		again := false
		f.look(func() {
			again = !f.at[in.Key].IsZero() && time.Since(f.at[in.Key]) < f.window
			if !again {
				f.at[in.Key] = time.Now()
			}
		})
		if !again {
			f.post(&in.Action, in.Text)
		}
	})
}

func TestAReplyIsNotRepeatedTooLateBecauseOthersOfItsSourceWereSlow(t *testing.T) {
	as := func(n *network) sources.Source { return forgetful{n, 10 * time.Minute, make(map[string]time.Time)} }
	acting(t, as, func(t *testing.T, a *actors) {
		items := []sources.Item{text("item-0", "hello")}
		for n := range 8 {
			items = append(items, text(fmt.Sprintf("slow-%d", n), "hello"))
		}
		a.tickets(items...)
		a.network.fates = append([]fate{answerLost}, slices.Repeat([]fate{takes(9 * time.Minute)}, 8)...)
		stop := a.begin()
		made := a.act("item-0", "reply", "welcome")
		a.eventually("it was tried", func() bool { return a.network.called() == 1 })
		for n := range 8 {
			a.act(fmt.Sprintf("slow-%d", n), "like", "")
		}
		a.eventually("the team is told", func() bool { return a.action(made.UUID).State != sandbox.ActionPending })
		a.ends(stop)
		posts := slices.DeleteFunc(a.network.stands(), func(p post) bool { return p.To != "item-0" })
		if got := a.action(made.UUID); len(posts) != 1 || got.State != sandbox.ActionFailed || !strings.Contains(got.Reason, "may have been done") {
			t.Errorf("posted %d times, and the team was told %s: %s", len(posts), got.State, got.Reason)
		}
	})
}

func TestManyActionsOfASlowSourceKeepNoOtherWaiting(t *testing.T) {
	acting(t, nil, func(t *testing.T, a *actors) {
		quick := &network{}
		a.options.Sources = append(a.options.Sources, a.source("quick", quick))
		quick.put(text("quick-1", "hello"))
		var receipt store.Receipt
		for n := range 3000 {
			id := fmt.Sprint("press-", n)
			receipt.Actions = append(receipt.Actions, store.NewAction{
				Key: id, UUID: id, Type: "button", ActionID: "like", NetworkItemID: fmt.Sprintf("slow-%04d", n), TicketID: fmt.Sprintf("%024d", n),
				Payload: "{}", Time: time.Now(),
			})
			a.network.put(text(fmt.Sprintf("slow-%04d", n), "hello"))
		}
		a.once()
		if _, err := a.store.Receive(t.Context(), a.channel.ID, receipt); err != nil {
			t.Fatal(err)
		}
		a.network.fates = always(takes(9 * time.Minute))
		stop := a.begin()
		a.eventually("it is busy", func() bool { return a.network.called() == 4 })
		began := time.Now()
		made := a.act("quick-1", "reply", "welcome")
		a.eventually("the other is done", a.is(made, sandbox.ActionConfirmed))
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
		if err := stop(); !errors.Is(err, errGrace) { // four are under way
			t.Error(err)
		}
	})
}

func TestABackfillTakesOverTheRefsOfWhatHasNotChanged(t *testing.T) {
	onActors(t, nil, func(t *testing.T, a *actors) {
		old := text("item-1", "hello")
		a.tickets(old, text("item-2", "hello"))
		refs := func() string { return a.row("item-1").Ref + a.row("item-2").Ref }
		history := func() ChannelTally { return a.once(func(o *Options) { o.Backfill = &Backfill{} }) }
		old.Ref = []byte(`{"n":1}`)
		a.network.put(old)
		if a.once(); refs() != "" {
			t.Errorf("a scheduled poll wrote %s", refs())
		}
		for _, ref := range []string{`{"n":1}`, `{"n":2}`} {
			old.Ref = []byte(ref)
			a.network.put(old)
			before := a.requests(sandbox.RoutePost) + a.requests(sandbox.RoutePatch)
			if tally := history(); tally != (ChannelTally{}) || a.requests(sandbox.RoutePost)+a.requests(sandbox.RoutePatch) != before {
				t.Errorf("%+v", tally)
			}
			if refs() != ref {
				t.Errorf("after the backfill: %s", refs())
			}
		}
		before := a.dump("tickets")
		if history(); !slices.Equal(before, a.dump("tickets")) {
			t.Error("a backfill without anything new wrote")
		}
		old.Ref = nil
		a.network.put(old)
		if history(); refs() != `{"n":2}` {
			t.Errorf("what the adapter does not say was taken over: %s", refs())
		}
	})
}

func TestASingleRunTakesALongCallOfAnotherProcessForNoTrouble(t *testing.T) {
	acting(t, nil, func(t *testing.T, a *actors) {
		own := text("item-own", "ours")
		own.Own = true
		a.tickets(text("item-1", "hello"))
		a.network.fates = []fate{takes(9 * time.Minute)}
		stop := a.begin()
		made := a.act("item-1", "reply", "welcome")
		a.eventually("it is under way", func() bool { return a.network.called() == 1 })
		a.network.put(own) // and is held until then
		began, e := time.Now(), a.engine()
		if err := e.RunOnce(t.Context()); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > time.Minute || e.Trouble(a.channel.ID) != "" {
			t.Errorf("after %v: %q", took, e.Trouble(a.channel.ID))
		}
		a.eventually("it is confirmed", a.is(made, sandbox.ActionConfirmed))
		a.eventually("our own post is a ticket", func() bool { return a.message("item-own") != "" })
		a.ends(stop)
	})
}
