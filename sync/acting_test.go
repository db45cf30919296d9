package sync

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	gosync "sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/socialhub"
	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/sources"
	"socialhub-sync/store"
)

// is tells whether the team sees an action in a state.
func (a *actors) is(made sandbox.Action, state sandbox.ActionState) func() bool {
	return func() bool { return a.action(made.UUID).State == state }
}

// ends stops a daemon.
func (a *actors) ends(stop func() error) {
	a.t.Helper()
	if err := stop(); err != nil {
		a.t.Error(err)
	}
	a.noLeases()
}

func TestAReplyIsPostedOnceHoweverOftenItsEventComes(t *testing.T) {
	onActors(t, nil, func(t *testing.T, a *actors) {
		a.tickets(text("item-1", "hello"))
		stop := a.begin()
		made := a.act("item-1", "reply", "welcome")
		for range 3 {
			a.box.Resend(a.channel.ID, made.UUID, sandbox.Act{Text: "welcome"})
		}
		a.eventually("the reply is confirmed", a.is(made, sandbox.ActionConfirmed))
		a.box.Resend(a.channel.ID, made.UUID, sandbox.Act{Text: "welcome"})
		time.Sleep(time.Second / 10)
		a.ends(stop)
		if diff := cmp.Diff([]post{{made.FollowupID, "item-1", "welcome"}}, a.network.stands()); diff != "" {
			t.Error(diff)
		}
		row := a.row("posted-" + made.FollowupID)
		ticket, _ := a.box.Ticket(a.channel.ID, "posted-"+made.FollowupID)
		if row.State != store.Synced || row.TicketID != ticket.ID || row.RootID != "item-1" || row.Ref == "" || !row.Own {
			t.Errorf("the reply's row is %+v, its ticket %s", row, ticket.ID)
		}
		if got := a.action(made.UUID).Reply; got != row.NetworkItemID {
			t.Errorf("the team was told of %s", got)
		}
		if n := a.requests(sandbox.RouteConfirm); n != 1 {
			t.Errorf("%d confirmations", n)
		}
		if a.network.opened != a.network.closed || a.network.opened < 2 { // for the polls and for acting
			t.Errorf("%d opened, %d closed", a.network.opened, a.network.closed)
		}
		for _, line := range a.dump("actions") {
			if strings.Contains(line, "welcome") {
				t.Errorf("content stays in the store: %s", line)
			}
		}
	})
}

func TestEverythingThatTheTeamCanDo(t *testing.T) {
	onActors(t, nil, func(t *testing.T, a *actors) {
		a.tickets(text("item-1", "hello"), text("item-2", "bad"))
		a.network.unnamed = true
		e := a.engine()
		stop := a.daemon(e)
		like, gone := a.act("item-1", "like", ""), a.act("item-2", "delete", "")
		form := a.act("item-1", "template", "", func(d *sandbox.Act) {
			d.Template, d.TemplateName, d.Language, d.Variables = "t-1", "Thanks", "de", map[string]any{"name": "Eva"}
		})
		a.eventually("the template is confirmed", a.is(form, sandbox.ActionConfirmed))
		a.eventually("all is done", func() bool { return a.stored(like) == store.ActionConfirmed && a.stored(gone) == store.ActionConfirmed })
		a.ends(stop)
		if got := len(a.network.stands()); got != 3 {
			t.Errorf("%d things were done: %v", got, a.network.stands())
		}
		got := a.network.templates[0]
		got.Action = sources.Action{}
		want := sources.TemplateReply{TemplateID: "t-1", Name: "Thanks", Language: "de", Variables: map[string]any{"name": "Eva"}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if got := a.action(form.UUID).Reply; got != "reply-"+form.FollowupID {
			t.Errorf("a reply without an id of its own is called %s", got)
		}
		tally := e.Tally().Channels[a.channel.ID].Actions
		if diff := cmp.Diff(ActionTally{Done: 3, Confirmed: 1}, tally); diff != "" {
			t.Error(diff)
		}
	})
}

func TestOurOwnReplyNeverBecomesATicketOfItsOwn(t *testing.T) {
	for name, hinder := range map[string]func(a *actors){
		// The poll is faster than the source's answer.
		"polled before the outcome is known": func(a *actors) {
			a.network.fates = []fate{func(_ context.Context, do func()) error { do(); time.Sleep(5 * time.Second); return nil }}
		},
		"polled while the source's answer is lost": func(a *actors) { a.network.fates = []fate{answerLost} },
		"polled before the confirmation": func(a *actors) {
			a.box.SetFaults(sandbox.Script(sandbox.RouteConfirm, slices.Repeat([]sandbox.Fault{{Kind: sandbox.InternalError}}, 5)...))
		},
		"polled after a confirmation whose answer was lost": func(a *actors) {
			a.box.SetFaults(sandbox.Script(sandbox.RouteConfirm, sandbox.Fault{Kind: sandbox.Lost}))
		},
		"polled after the confirmation": func(a *actors) {},
	} {
		t.Run(name, func(t *testing.T) {
			acting(t, asRepeating, func(t *testing.T, a *actors) {
				a.every(time.Second)
				a.tickets(text("item-1", "hello"))
				a.network.show = true
				hinder(a)
				stop := a.begin()
				made := a.act("item-1", "reply", "welcome")
				a.eventually("the reply is confirmed", a.is(made, sandbox.ActionConfirmed))
				pass(5 * time.Second)
				if n, posts := a.delivered(), a.requests(sandbox.RoutePost); n != 2 || posts != 1 {
					t.Errorf("%d tickets by %d POSTs, want the item and the reply, and one POST", n, posts)
				}
				if n := a.requests(sandbox.RoutePatch); n != 0 {
					t.Errorf("the reply was sent again %d times", n)
				}
				if n := a.requests(sandbox.RouteFail); n != 0 {
					t.Errorf("the team was told %d times that it failed", n)
				}
				if row := a.row("posted-" + made.FollowupID); row.State != store.Synced && row.State != store.Unlinked {
					t.Errorf("the reply's row is %+v", row)
				}
				if len(a.network.stands()) != 1 {
					t.Errorf("posted: %v", a.network.stands())
				}
				a.ends(stop)
			})
		})
	}
}

func TestAReplyThatChangesLaterChangesItsTicket(t *testing.T) {
	acting(t, nil, func(t *testing.T, a *actors) {
		a.every(time.Second)
		a.tickets(text("item-1", "hello"))
		a.network.show = true
		stop := a.begin()
		made := a.act("item-1", "reply", "welcome")
		a.eventually("the reply is confirmed", a.is(made, sandbox.ActionConfirmed))
		pass(3 * time.Second)
		edited := reply("posted-"+made.FollowupID, "item-1", "welcome!")
		edited.Own = true
		a.network.put(edited)
		a.eventually("the ticket changes", func() bool { return a.message(edited.Interaction.NetworkItemID) == "welcome!" })
		a.ends(stop)
	})
}

func TestTheTeamIsToldTheTruth(t *testing.T) {
	hour := func(f fate) []fate { return always(f) }
	for name, test := range map[string]struct {
		as    func(*network) sources.Source
		fates []fate
		// want is what the team sees, reason a part of why; posts and stuck are counts at the end.
		want   sandbox.ActionState
		reason string
		posts  int
		stuck  []store.ActionState
	}{
		"refused":                                   {nil, []fate{refuses("the post was deleted")}, sandbox.ActionFailed, "the post was deleted", 0, nil},
		"wrong settings":                            {nil, []fate{func(context.Context, func()) error { return &sources.StopError{Err: errors.New("no login")} }}, sandbox.ActionFailed, "no login", 0, nil},
		"not done at first":                         {nil, []fate{notDone, notDone}, sandbox.ActionConfirmed, "", 1, nil},
		"not done for an hour":                      {nil, hour(notDone), sandbox.ActionFailed, "for an hour", 0, nil},
		"unknown, and nobody can say, but done":     {nil, []fate{answerLost}, sandbox.ActionFailed, "may have been done", 1, []store.ActionState{store.ActionUncertain}},
		"unknown, and nobody can say, and not done": {nil, []fate{vanished}, sandbox.ActionFailed, "may have been done", 0, []store.ActionState{store.ActionUncertain}},
		"broken down":                               {nil, []fate{breaksDown}, sandbox.ActionFailed, "may have been done", 0, []store.ActionState{store.ActionUncertain}},
		"done, repeated safely":                     {asRepeating, []fate{answerLost, answerLost}, sandbox.ActionConfirmed, "", 1, nil},
		"vanished, repeated safely":                 {asRepeating, []fate{vanished, breaksDown, notDone}, sandbox.ActionConfirmed, "", 1, nil},
		"done, then refused when repeated":          {asRepeating, []fate{answerLost, refuses("closed")}, sandbox.ActionFailed, "may have been done", 1, []store.ActionState{store.ActionUncertain}},
		"unknown for an hour although repeated":     {asRepeating, hour(vanished), sandbox.ActionFailed, "may have been done", 0, []store.ActionState{store.ActionUncertain}},
		"done, repeated too late": {func(n *network) sources.Source { return repeating{n, time.Minute} },
			[]fate{answerLost}, sandbox.ActionFailed, "may have been done", 1, []store.ActionState{store.ActionUncertain}},
		"done, found":                 {asFinding, []fate{answerLost}, sandbox.ActionConfirmed, "", 1, nil},
		"vanished, not found":         {asFinding, []fate{vanished}, sandbox.ActionConfirmed, "", 1, nil},
		"vanished for an hour":        {asFinding, hour(vanished), sandbox.ActionFailed, "for an hour", 0, nil},
		"no such ability":             {func(n *network) sources.Source { return &n.shelf }, nil, sandbox.ActionFailed, "can't do this", 0, nil},
		"hangs until it is given up":  {nil, []fate{takes(time.Hour)}, sandbox.ActionFailed, "may have been done", 0, []store.ActionState{store.ActionUncertain}},
		"slow, beyond several leases": {nil, []fate{takes(5 * time.Minute)}, sandbox.ActionConfirmed, "", 1, nil},
	} {
		t.Run(name, func(t *testing.T) {
			acting(t, test.as, func(t *testing.T, a *actors) {
				a.tickets(text("item-1", "hello"))
				a.network.fates = test.fates
				stop := a.begin()
				made := a.act("item-1", "reply", "welcome")
				a.eventually("the team is told", func() bool { return a.action(made.UUID).State != sandbox.ActionPending })
				pass(time.Minute)
				got := a.action(made.UUID)
				if got.State != test.want || !strings.Contains(got.Reason, test.reason) {
					t.Errorf("the team sees %s because of %q, want %s because of %q", got.State, got.Reason, test.want, test.reason)
				}
				if strings.Contains(got.Reason, "secret") {
					t.Errorf("the reason is %q", got.Reason)
				}
				if n := len(a.network.stands()); n != test.posts {
					t.Errorf("%d replies stand, want %d", n, test.posts)
				}
				if diff := cmp.Diff(test.stuck, a.stuck()); diff != "" {
					t.Error(diff)
				}
				a.ends(stop)
			})
		})
	}
}

// again is the event of an action that the team sends once more: the same reply with another uuid.
func (a *actors) again(made sandbox.Action, words string) {
	a.t.Helper()
	err := a.take(a.t.Context(), socialhub.TicketAction{
		TicketID: made.TicketID, NetworkItemID: made.ReplyTo, Type: made.Type, ActionID: made.ActionID, UUID: "again-" + made.UUID,
		Milliseconds: time.Now().UnixMilli(), Payload: fmt.Appendf(nil, `{"followupId":%q,"text":%q}`, made.FollowupID, words),
	})
	if err != nil {
		a.t.Error(err)
	}
}

func TestAReplyThatWasReportedAsFailedIsPostedOnceWhenItIsSentAgain(t *testing.T) {
	onActors(t, nil, func(t *testing.T, a *actors) {
		a.tickets(text("item-1", "hello"))
		a.network.fates = []fate{refuses("closed for today")}
		stop := a.begin()
		made := a.act("item-1", "reply", "welcome")
		a.eventually("the team is told", a.is(made, sandbox.ActionFailed))
		a.eventually("that is stored", func() bool { return a.stored(made) == store.ActionReported })
		a.box.Resend(a.channel.ID, made.UUID, sandbox.Act{Text: "welcome"}) // late, of the first time
		for range 3 {
			a.again(made, "welcome back")
		}
		a.eventually("the reply is confirmed", a.is(made, sandbox.ActionConfirmed))
		a.ends(stop)
		if diff := cmp.Diff([]post{{made.FollowupID, "item-1", "welcome back"}}, a.network.stands()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAPersonSettlesAnUncertainAction(t *testing.T) {
	onActors(t, nil, func(t *testing.T, a *actors) {
		a.tickets(text("item-1", "hello"), text("item-2", "hello"))
		a.network.fates = []fate{vanished, answerLost}
		stop := a.begin()
		one := a.act("item-1", "reply", "welcome")
		a.eventually("the first is uncertain", func() bool { return len(a.stuck()) == 1 })
		two := a.act("item-2", "reply", "welcome")
		a.eventually("both are uncertain, and the team knows", func() bool {
			return len(a.stuck()) == 2 && a.is(one, sandbox.ActionFailed)() && a.is(two, sandbox.ActionFailed)()
		})
		if _, err := a.store.RetryActions(t.Context(), a.channel.ID, []string{keyOf(one)}); err != nil {
			t.Fatal(err)
		}
		if _, err := a.store.DismissActions(t.Context(), a.channel.ID, []string{keyOf(two)}); err != nil {
			t.Fatal(err)
		}
		a.eventually("the first is done after all", a.is(one, sandbox.ActionConfirmed))
		a.ends(stop)
		if n := len(a.network.stands()); n != 2 || a.network.called() != 3 || len(a.stuck()) != 0 {
			t.Errorf("%d replies stand after %d calls, stuck: %v", n, a.network.called(), a.stuck())
		}
	})
}

func TestWhatSocialHubSaysToTheConfirmationNeverPostsAgain(t *testing.T) {
	t.Run("a conflict is a confirmation", func(t *testing.T) {
		acting(t, nil, func(t *testing.T, a *actors) {
			a.tickets(text("item-1", "hello"))
			a.network.fates = []fate{func(ctx context.Context, do func()) error {
				do()
				a.network.look(func() {
					key := a.network.posts[0].Key
					a.options.Channels[0].Client.Create(ctx, &socialhub.Interaction{NetworkItemID: "posted-" + key, Message: "x"})
				})
				return nil
			}}
			stop := a.begin()
			made := a.act("item-1", "reply", "welcome")
			a.eventually("it is settled", func() bool { return a.stored(made) == store.ActionConfirmed })
			a.ends(stop)
			if len(a.network.stands()) != 1 || a.requests(sandbox.RouteFail) != 0 || a.row("posted-"+made.FollowupID).State != store.Unlinked {
				t.Errorf("%v, %d failures", a.network.stands(), a.requests(sandbox.RouteFail))
			}
		})
	})
	t.Run("no such ticket: a person must know, and nothing failed", func(t *testing.T) {
		acting(t, nil, func(t *testing.T, a *actors) {
			a.tickets(text("item-1", "hello"))
			ticket, _ := a.box.Ticket(a.channel.ID, "item-1")
			made := sandbox.Action{ // of which SocialHub knows nothing any more
				UUID: "u-1", TicketID: ticket.ID, ActionID: "reply", Type: socialhub.ActionReply, FollowupID: "forgotten-1", ReplyTo: "item-1",
			}
			stop := a.begin()
			a.again(made, "welcome")
			a.eventually("it waits for a person", func() bool { return len(a.stuck()) == 1 })
			pass(time.Hour)
			a.ends(stop)
			if len(a.network.stands()) != 1 || a.requests(sandbox.RouteFail) != 0 || a.requests(sandbox.RouteConfirm) != 1 || a.stored(made) != store.ActionPerformed {
				t.Errorf("%v, %d failures, %d confirmations, %s", a.network.stands(), a.requests(sandbox.RouteFail), a.requests(sandbox.RouteConfirm), a.stored(made))
			}
		})
	})
	t.Run("an hour of trouble is waited for", func(t *testing.T) {
		acting(t, nil, func(t *testing.T, a *actors) {
			a.tickets(text("item-1", "hello"))
			a.box.SetFaults(onRoute(sandbox.RouteConfirm, sandbox.Fault{Kind: sandbox.InternalError}))
			stop := a.begin()
			made := a.act("item-1", "reply", "welcome")
			pass(time.Hour)
			tries := a.requests(sandbox.RouteConfirm)
			if tries < 5 || tries > 60 || a.stored(made) != store.ActionPerformed {
				t.Errorf("%d confirmations in an hour, and then %s", tries, a.stored(made))
			}
			a.box.SetFaults(nil)
			a.eventually("it is confirmed", a.is(made, sandbox.ActionConfirmed))
			a.ends(stop)
			if len(a.network.stands()) != 1 || a.requests(sandbox.RouteFail) != 0 {
				t.Errorf("%v", a.network.stands())
			}
		})
	})
	for _, kind := range []sandbox.Kind{sandbox.Unauthorized, sandbox.Forbidden} {
		t.Run("a channel that is closed is paused: "+string(kind), func(t *testing.T) {
			acting(t, nil, func(t *testing.T, a *actors) {
				a.tickets(text("item-1", "hello"), text("item-2", "hello"))
				a.box.SetFaults(onRoute(sandbox.RouteConfirm, sandbox.Fault{Kind: kind}))
				stop := a.begin()
				made := a.act("item-1", "reply", "welcome")
				pass(time.Minute)
				if n := a.requests(sandbox.RouteConfirm); n != 1 {
					t.Errorf("%d confirmations in a paused channel", n)
				}
				other := a.act("item-2", "reply", "welcome")
				a.eventually("replies are posted all the same", func() bool { return len(a.network.stands()) == 2 })
				pass(time.Minute)
				if n := a.requests(sandbox.RouteConfirm); n != 1 {
					t.Errorf("%d confirmations in a paused channel", n)
				}
				a.box.SetFaults(nil)
				if _, err := a.store.ResumeChannel(t.Context(), a.channel.ID); err != nil {
					t.Fatal(err)
				}
				a.eventually("both are confirmed", func() bool {
					return a.is(made, sandbox.ActionConfirmed)() && a.is(other, sandbox.ActionConfirmed)()
				})
				a.ends(stop)
				if len(a.network.stands()) != 2 || a.requests(sandbox.RouteFail) != 0 {
					t.Errorf("%v", a.network.stands())
				}
			})
		})
	}
	t.Run("a rate limit is waited for and is no attempt", func(t *testing.T) {
		acting(t, nil, func(t *testing.T, a *actors) {
			a.tickets(text("item-1", "hello"))
			a.box.SetFaults(sandbox.Script(sandbox.RouteConfirm, sandbox.Fault{Kind: sandbox.TooMany, Wait: 90 * time.Second}))
			made := a.act("item-1", "reply", "welcome")
			began := time.Now()
			tally := a.once()
			if took := time.Since(began); took < 90*time.Second || !a.is(made, sandbox.ActionConfirmed)() {
				t.Errorf("after %v: %+v", took, a.action(made.UUID))
			}
			if diff := cmp.Diff(ActionTally{Done: 1, Confirmed: 1}, tally.Actions); diff != "" {
				t.Error(diff)
			}
		})
	})
}

func TestActionsOfOneTicketKeepTheirOrder(t *testing.T) {
	acting(t, nil, func(t *testing.T, a *actors) {
		a.tickets(text("item-1", "hello"), text("item-2", "hello"))
		a.network.fates = []fate{notDone, nil, notDone, notDone}
		stop := a.begin()
		first := a.act("item-1", "reply", "one")
		a.eventually("the first was tried", func() bool { return a.network.called() == 1 })
		other := a.act("item-2", "reply", "free")
		var rest []sandbox.Action
		for _, words := range []string{"two", "three"} {
			pass(2 * time.Millisecond) // times are in milliseconds
			rest = append(rest, a.act("item-1", "reply", words))
		}
		for _, made := range append(rest, first, other) {
			a.eventually("it is confirmed", a.is(made, sandbox.ActionConfirmed))
		}
		a.ends(stop)
		var said []string
		for _, p := range a.network.stands() {
			if p.To == "item-1" {
				said = append(said, p.Text)
			}
		}
		if diff := cmp.Diff([]string{"one", "two", "three"}, said); diff != "" {
			t.Error(diff)
		}
	})
}

func TestASlowSourceKeepsNoOtherWaiting(t *testing.T) {
	acting(t, nil, func(t *testing.T, a *actors) {
		quick := &network{}
		a.options.Sources = append(a.options.Sources, a.source("quick", quick))
		quick.put(text("quick-1", "hello"))
		for n := range 40 {
			a.network.put(text(fmt.Sprintf("slow-%02d", n), "hello"))
		}
		a.once()
		a.network.fates = always(takes(3 * time.Minute))
		stop := a.begin()
		for n := range 40 {
			a.act(fmt.Sprintf("slow-%02d", n), "like", "")
		}
		a.eventually("it is busy", func() bool { return a.network.called() == 4 })
		began := time.Now()
		made := a.act("quick-1", "reply", "welcome")
		a.eventually("the other is done", a.is(made, sandbox.ActionConfirmed))
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %v", took)
		}
		pass(7 * time.Minute)
		a.network.look(func() {
			if a.network.most != 4 {
				t.Errorf("%d calls at a time", a.network.most)
			}
			a.network.fates = nil
		})
		a.eventually("all is done", func() bool { return len(a.network.stands()) == 40 })
		a.ends(stop)
	})
}

func TestTheNextProcessTakesUpWhatOneWasStoppedIn(t *testing.T) {
	for name, test := range map[string]struct {
		as     func(*network) sources.Source
		first  fate
		posts  int
		calls  int
		want   sandbox.ActionState
		reason string
	}{
		"what finishes within the grace":      {nil, takes(2 * time.Second), 1, 1, sandbox.ActionConfirmed, ""},
		"what may be repeated":                {asRepeating, takes(time.Hour), 1, 2, sandbox.ActionConfirmed, ""},
		"what was done and may be repeated":   {asRepeating, doneThenHangs, 1, 2, sandbox.ActionConfirmed, ""},
		"what can be found":                   {asFinding, doneThenHangs, 1, 1, sandbox.ActionConfirmed, ""},
		"what can be found not to be done":    {asFinding, takes(time.Hour), 1, 2, sandbox.ActionConfirmed, ""},
		"what nobody can know, and was done":  {nil, doneThenHangs, 1, 1, sandbox.ActionFailed, "may have been done"},
		"what nobody can know, and never was": {nil, takes(time.Hour), 0, 1, sandbox.ActionFailed, "may have been done"},
	} {
		t.Run(name, func(t *testing.T) {
			acting(t, test.as, func(t *testing.T, a *actors) {
				a.tickets(text("item-1", "hello"))
				a.network.fates = []fate{test.first}
				stop := a.begin(func(o *Options) { o.Grace = 5 * time.Second })
				made := a.act("item-1", "reply", "welcome")
				a.eventually("it is under way", func() bool { return a.network.called() == 1 })
				if err := stop(); err != nil && !errors.Is(err, errGrace) {
					t.Error(err)
				}
				a.noLeases()
				stop = a.begin()
				a.eventually("the team is told", func() bool { return a.action(made.UUID).State != sandbox.ActionPending })
				a.ends(stop)
				got := a.action(made.UUID)
				if len(a.network.stands()) != test.posts || a.network.called() != test.calls || got.State != test.want || !strings.Contains(got.Reason, test.reason) {
					t.Errorf("%d posts by %d calls, %s because of %q", len(a.network.stands()), a.network.called(), got.State, got.Reason)
				}
			})
		})
	}
}

// doneThenHangs is a call that has its effect and then gives no answer.
func doneThenHangs(ctx context.Context, do func()) error {
	do()
	<-ctx.Done()
	return ctx.Err()
}

func TestTwoProcessesOnPostgresPostEachReplyOnce(t *testing.T) {
	t.Parallel()
	a := newActors(t, migratedPostgres(t), sandbox.ChannelOptions{NetworkID: "us-ourselves"}, nil)
	var items []sources.Item
	for n := range 10 {
		items = append(items, text(fmt.Sprintf("item-%02d", n), "hello"))
	}
	a.tickets(items...)
	a.network.show = true
	a.every(time.Second)
	one, two := a.begin(), a.begin()
	var all []sandbox.Action
	var mu gosync.Mutex
	var group gosync.WaitGroup
	for round := range 3 {
		for _, it := range items {
			group.Go(func() {
				made := a.act(it.Interaction.NetworkItemID, "reply", fmt.Sprint("reply ", round))
				for range 3 {
					time.Sleep(rand.N(20 * time.Millisecond))
					a.box.Resend(a.channel.ID, made.UUID, sandbox.Act{Text: made.Text})
				}
				mu.Lock()
				all = append(all, made)
				mu.Unlock()
			})
		}
		if round == 1 {
			if err := one(); err != nil {
				t.Error(err)
			}
		}
		group.Wait()
	}
	for _, made := range all {
		a.eventually("it is confirmed", a.is(made, sandbox.ActionConfirmed))
	}
	a.ends(two)
	posts := a.network.stands()
	seen := make(map[string]bool)
	for _, p := range posts {
		if seen[p.Key] {
			t.Errorf("%s was posted twice", p.Key)
		}
		seen[p.Key] = true
	}
	if len(posts) != 30 || a.requests(sandbox.RouteConfirm) != 30 || a.requests(sandbox.RoutePost) != 10 || a.delivered() != 40 {
		t.Errorf("%d posts, %d confirmations, %d POSTs, %d tickets", len(posts), a.requests(sandbox.RouteConfirm), a.requests(sandbox.RoutePost), a.delivered())
	}
}

func TestAProcessThatLostItsLeaseDoesNotPostAgain(t *testing.T) {
	acting(t, nil, func(t *testing.T, a *actors) {
		a.tickets(text("item-1", "hello"))
		a.network.fates = []fate{takes(90 * time.Second)}
		first := a.begin()
		made := a.act("item-1", "reply", "welcome")
		a.eventually("it is under way", func() bool { return a.network.called() == 1 })
		a.steal("channels")
		second := a.begin()
		a.eventually("the team is told", func() bool { return a.action(made.UUID).State != sandbox.ActionPending })
		pass(5 * time.Minute)
		if err := errors.Join(first(), second()); err != nil {
			t.Error(err)
		}
		if got := a.action(made.UUID); a.network.called() != 1 || got.State != sandbox.ActionFailed || !strings.Contains(got.Reason, "may have been done") {
			t.Errorf("%d calls, %+v", a.network.called(), got)
		}
		a.noLeases()
	})
}

func TestASingleRunDoesWhatIsDue(t *testing.T) {
	onActors(t, nil, func(t *testing.T, a *actors) {
		a.tickets(text("item-1", "hello"))
		var made []sandbox.Action
		for n := range 5 {
			made = append(made, a.act("item-1", "reply", fmt.Sprint("reply ", n)))
		}
		a.network.fates = []fate{nil, takes(300 * time.Millisecond)}
		tally := a.once()
		if diff := cmp.Diff(ChannelTally{Actions: ActionTally{Done: 5, Confirmed: 5}}, tally); diff != "" {
			t.Error(diff)
		}
		for _, m := range made {
			if !a.is(m, sandbox.ActionConfirmed)() {
				t.Errorf("%+v", a.action(m.UUID))
			}
		}
		a.noLeases()
	})
}

func TestASingleRunDoesNotWaitForAPerson(t *testing.T) {
	acting(t, nil, func(t *testing.T, a *actors) {
		a.tickets(text("item-1", "hello"))
		a.act("item-1", "reply", "welcome")
		a.box.SetFaults(onRoute(sandbox.RouteConfirm, sandbox.Fault{Kind: sandbox.Forbidden}))
		began := time.Now()
		tally := a.once()
		if took := time.Since(began); took > 10*time.Second || len(a.network.stands()) != 1 {
			t.Errorf("after %v: %+v", took, tally)
		}
		a.box.SetFaults(onRoute("", sandbox.Fault{Kind: sandbox.InternalError}))
		if _, err := a.store.ResumeChannel(t.Context(), a.channel.ID); err != nil {
			t.Fatal(err)
		}
		began = time.Now()
		a.once()
		if took := time.Since(began); took > 10*time.Second || len(a.network.stands()) != 1 {
			t.Errorf("after %v: %v", took, a.network.stands())
		}
	})
}

func TestAReplyBelowAReplyLandsUnderTheRootOfTheThread(t *testing.T) {
	acting(t, nil, func(t *testing.T, a *actors) {
		root, below := text("root-1", "hello"), reply("below-1", "root-1", "hi")
		root.Ref = []byte(`{"n":1}`)
		a.tickets(root, below)
		stop := a.begin()
		made := a.act("below-1", "reply", "welcome")
		a.eventually("it is confirmed", a.is(made, sandbox.ActionConfirmed))
		next := a.act("posted-"+made.FollowupID, "reply", "and more")
		a.eventually("it is confirmed", a.is(next, sandbox.ActionConfirmed))
		a.ends(stop)
		for _, m := range []sandbox.Action{made, next} {
			if row := a.row("posted-" + m.FollowupID); row.RootID != "root-1" {
				t.Errorf("the root of %s is %s", row.NetworkItemID, row.RootID)
			}
		}
		if diff := cmp.Diff(map[string]string{"below-1": "root-1", "posted-" + made.FollowupID: "root-1"}, a.network.roots); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAnItemOfNoSourceCantBeActedOn(t *testing.T) {
	acting(t, nil, func(t *testing.T, a *actors) {
		a.tickets(text("item-1", "hello"))
		a.options.Channels[0].Client.Create(t.Context(), &socialhub.Interaction{NetworkItemID: "stranger-1", Message: "?"})
		gone := a.options.Sources[0]
		a.options.Sources = []Source{a.source("another", &shelf{})}
		stop := a.begin()
		one, two := a.act("item-1", "reply", "welcome"), a.act("stranger-1", "like", "")
		a.eventually("the team is told", func() bool { return a.is(one, sandbox.ActionFailed)() && a.is(two, sandbox.ActionFailed)() })
		a.ends(stop)
		if got := a.action(one.UUID).Reason; !strings.Contains(got, "the source "+gone.Name+" is not in the config") {
			t.Errorf("the reason is %q", got)
		}
		if got := a.action(two.UUID).Reason; !strings.Contains(got, "nobody knows from which source") {
			t.Errorf("the reason is %q", got)
		}
	})
}

func TestNoWordsAndNoSecretsOfAnActionAreLogged(t *testing.T) {
	acting(t, nil, func(t *testing.T, a *actors) {
		a.tickets(text("item-1", "hello"))
		var log record
		a.options.Logger = log.logger()
		a.network.fates = []fate{breaksDown, refuses("closed"), notDone}
		stop := a.begin()
		for _, to := range []string{"reply", "reply", "reply", "like"} {
			made := a.act("item-1", to, "between us")
			a.eventually("it is settled", func() bool { s := a.stored(made); return s != store.ActionReceived && s != store.ActionPerforming })
		}
		a.ends(stop)
		for _, bad := range []string{"between us", "secret of a customer", hookSecret, a.channel.Token} {
			if strings.Contains(log.String(), bad) {
				t.Errorf("%q is in the log:\n%s", bad, log.String())
			}
		}
		for _, want := range []string{"nobody knows whether an action was done", "an action failed", "action, trying again", `msg="action done"`} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("%q is not in the log:\n%s", want, log.String())
			}
		}
	})
}
