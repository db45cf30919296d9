package storetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"socialhub-sync/store"
)

// happened is when the suite's actions were done.
var happened = time.UnixMilli(1_700_000_000_123).UTC()

// event is one on item 1, which is also the key's UUID.
func event(key string) store.NewAction {
	return store.NewAction{
		Key: key, UUID: "uuid of " + key, Type: "reply", ActionID: "answer", NetworkItemID: "1", TicketID: "id-1",
		Payload: "hello", Time: happened,
	}
}

// again is the same action, sent anew by the team.
func again(a store.NewAction, uuid string) store.NewAction {
	a.UUID, a.Payload = uuid, "hello "+uuid
	return a
}

func on(item string, at time.Duration, key string) store.NewAction {
	a := event(key)
	a.NetworkItemID, a.Time = item, happened.Add(at)
	return a
}

func (f *fixture) receive(events ...store.NewAction) int {
	f.t.Helper()
	taken, err := f.store.Receive(f.ctx, channel, store.Receipt{Actions: events})
	f.must(err)
	return taken
}

func (f *fixture) begin(l store.DeliveryLease, keys ...string) {
	f.t.Helper()
	for _, key := range keys {
		f.must(f.store.BeginAction(f.ctx, l, key))
	}
}

func (f *fixture) step(l store.DeliveryLease, s store.ActionStep) {
	f.t.Helper()
	f.must(f.store.StepAction(f.ctx, l, s))
}

// dueActions returns the keys of the actions whose next step may be taken, in their order.
func (f *fixture) dueActions(l store.DeliveryLease, busy ...string) (keys []string) {
	f.t.Helper()
	sending := make(map[string]bool)
	for _, key := range busy {
		sending[key] = true
	}
	actions, err := f.store.DueActions(f.ctx, l, 99, store.BusyActions{Keys: sending})
	f.must(err)
	for _, a := range actions {
		keys = append(keys, a.Key)
	}
	return keys
}

// open returns the actions that are not at an end, without what the clock says.
func (f *fixture) open() []store.Action {
	f.t.Helper()
	found, err := f.store.OpenActions(f.ctx, channel, 99)
	f.must(err)
	var actions []store.Action
	for _, a := range found {
		a.Waited, a.Tried = 0, 0
		actions = append(actions, *a)
	}
	return actions
}

func (f *fixture) stuckActions() (keys []string) {
	f.t.Helper()
	found, err := f.store.StuckActions(f.ctx, channel, 99)
	f.must(err)
	for _, a := range found {
		keys = append(keys, a.Key)
	}
	return keys
}

// states counts the channel's actions.
func (f *fixture) states(want map[store.ActionState]int) {
	f.t.Helper()
	counts, err := f.store.ActionCounts(f.ctx)
	f.must(err)
	f.same(counts[channel], want)
}

func one(s store.ActionState) map[store.ActionState]int { return map[store.ActionState]int{s: 1} }

// Steps of an action that was begun.
func posted(key, id string) store.ActionStep {
	return store.ActionStep{
		Key: key, From: store.ActionPerforming, To: store.ActionPerformed, Wait: true,
		Reply: &store.PostedReply{NetworkItemID: id, RootID: "root", Ref: "ref of " + id, Note: "note"},
	}
}

func confirmed(key, ticketID string) store.ActionStep {
	return store.ActionStep{Key: key, From: store.ActionPerformed, To: store.ActionConfirmed, ReplyTicketID: ticketID}
}

func ends(key string, from, to store.ActionState, wait bool) store.ActionStep {
	return store.ActionStep{Key: key, From: from, To: to, Wait: wait, Attempts: 3, Reason: "why"}
}

// stage is a state that an action may be found in, and whether one that the team sends again begins anew.
type stage struct {
	name   string
	state  store.ActionState
	reach  func(f *fixture, l store.DeliveryLease)
	begins bool
}

// reached are all stages of the action "k".
var reached = []stage{
	{"received", store.ActionReceived, func(*fixture, store.DeliveryLease) {}, false},
	{"performing", store.ActionPerforming, func(f *fixture, l store.DeliveryLease) { f.begin(l, "k") }, false},
	{"performed", store.ActionPerformed, func(f *fixture, l store.DeliveryLease) { f.begin(l, "k"); f.step(l, posted("k", "r")) }, false},
	{"performed and refused", store.ActionPerformed, func(f *fixture, l store.DeliveryLease) {
		f.begin(l, "k")
		f.step(l, posted("k", "r"))
		f.step(l, ends("k", store.ActionPerformed, store.ActionPerformed, false))
	}, false},
	{"confirmed", store.ActionConfirmed, func(f *fixture, l store.DeliveryLease) {
		f.begin(l, "k")
		f.step(l, posted("k", "r"))
		f.step(l, confirmed("k", "id-r"))
	}, false},
	{"failed", store.ActionFailed, func(f *fixture, l store.DeliveryLease) {
		f.step(l, ends("k", store.ActionReceived, store.ActionFailed, true))
	}, false},
	{"failed and refused", store.ActionFailed, func(f *fixture, l store.DeliveryLease) {
		f.step(l, ends("k", store.ActionReceived, store.ActionFailed, false))
	}, false},
	{"reported", store.ActionReported, func(f *fixture, l store.DeliveryLease) {
		f.step(l, ends("k", store.ActionReceived, store.ActionFailed, true))
		f.step(l, ends("k", store.ActionFailed, store.ActionReported, false))
	}, true},
	{"uncertain", store.ActionUncertain, func(f *fixture, l store.DeliveryLease) {
		f.begin(l, "k")
		f.step(l, ends("k", store.ActionPerforming, store.ActionUncertain, true))
	}, false},
	{"uncertain and told", store.ActionUncertain, func(f *fixture, l store.DeliveryLease) {
		f.begin(l, "k")
		f.step(l, ends("k", store.ActionPerforming, store.ActionUncertain, false))
	}, true},
	{"dismissed", store.ActionDismissed, func(f *fixture, l store.DeliveryLease) {
		f.begin(l, "k")
		f.step(l, ends("k", store.ActionPerforming, store.ActionUncertain, false))
		got, err := f.store.DismissActions(f.ctx, channel, []string{"k"})
		f.must(err)
		f.same(got, []string{"k"})
	}, true},
}

// atEachStage makes a check of each stage.
func atEachStage(name string, run func(f *fixture, l store.DeliveryLease, s stage)) (checks []check) {
	for _, s := range reached {
		checks = append(checks, check{name + ": " + s.name, func(_ *testing.T, f *fixture) {
			l := f.deliverer()
			f.same(f.receive(event("k")), 1)
			s.reach(f, l)
			f.states(one(s.state))
			run(f, l, s)
		}})
	}
	return checks
}

var receiveChecks = slices.Concat(
	[]check{
		{"a received action has all that is needed to do it", receivedWhole},
		{"an action on an unknown item is kept, and knows the source as soon as the item does", receivedUnknown},
		{"of many events of one request each action begins once", func(t *testing.T, f *fixture) {
			f.same(f.receive(event("b"), event("a"), event("b"), again(event("b"), "2")), 2)
			f.same(f.receive(event("b"), event("c")), 1)
			f.states(map[store.ActionState]int{store.ActionReceived: 3})
		}},
		{"one key in two channels is two actions", func(t *testing.T, f *fixture) {
			f.must(f.store.Register(f.ctx, map[string]string{"c2": "other"}, nil))
			f.receive(event("k"))
			taken, err := f.store.Receive(f.ctx, "c2", store.Receipt{Actions: []store.NewAction{event("k")}})
			f.must(err)
			f.same(taken, 1)
			f.same(f.dueActions(f.deliverer()), []string{"k"})
		}},
		{"a request of an unknown channel is an error and stores nothing", func(t *testing.T, f *fixture) {
			for _, r := range []store.Receipt{{}, {Actions: []store.NewAction{event("k")}}, {Disabled: happened}} {
				if taken, err := f.store.Receive(f.ctx, "unknown", r); err == nil || taken != 0 {
					t.Errorf("%+v: %d, %v", r, taken, err)
				}
			}
			counts, err := f.store.ActionCounts(f.ctx)
			f.must(err)
			f.same(len(counts), 0)
		}},
		{"a test request without events is fine", func(t *testing.T, f *fixture) { f.same(f.receive(), 0) }},
		{"texts may have whatever JSON can hold", func(t *testing.T, f *fixture) {
			odd := "\x00 \xff \n ' \" \\ ü"
			a := store.NewAction{Key: odd, UUID: odd, Type: odd, ActionID: odd, NetworkItemID: odd, TicketID: odd, Payload: odd, Time: happened}
			f.same(f.receive(a), 1)
			f.same(f.receive(a), 0)
			l, stored := f.deliverer(), "\uFFFD \uFFFD \n ' \" \\ ü"
			f.same(f.dueActions(l), []string{stored})
			f.same(f.dueActions(l, odd), []string(nil))
			f.same(f.open()[0].Payload, stored)
			f.begin(l, odd)
			f.step(l, store.ActionStep{Key: odd, From: store.ActionPerforming, To: store.ActionFailed, Reason: odd})
			f.same(f.stuckActions(), []string{stored})
		}},
		{"an event tells the _id of its ticket", learnsIDs},
		{"a channel that was deactivated is paused once, until it is deactivated again", disabledOnce},
		{"a reply that stands is not posted again when the team sends it again after it was dismissed", func(t *testing.T, f *fixture) {
			l := f.deliverer()
			f.receive(event("k"))
			f.begin(l, "k")
			f.step(l, posted("k", "r"))
			f.step(l, ends("k", store.ActionPerformed, store.ActionPerformed, false))
			_, err := f.store.DismissActions(f.ctx, channel, nil)
			f.must(err)
			f.same(f.receive(again(event("k"), "2")), 1)
			got := f.open()[0]
			f.same([]string{string(got.State), got.Payload, got.ReplyID, got.Reply}, []string{"performed", "", "r", "note"})
			f.same(f.dueActions(l), []string{"k"})
		}},
	},
	atEachStage("the same event again begins nothing", func(f *fixture, _ store.DeliveryLease, s stage) {
		before := f.open()
		f.same(f.receive(event("k")), 0)
		f.same(f.open(), before)
		f.states(one(s.state))
	}),
	atEachStage("what the team sends again begins anew if it is over", func(f *fixture, l store.DeliveryLease, s stage) {
		before, anew := f.open(), again(event("k"), "2")
		if !s.begins {
			f.same(f.receive(anew), 0)
			f.same(f.open(), before)
			return
		}
		f.same(f.receive(anew), 1)
		got := f.open()[0]
		f.same(got, store.Action{
			Key: "k", Type: "reply", ActionID: "answer", NetworkItemID: "1", TicketID: "id-1", Payload: "hello 2",
			State: store.ActionReceived, Time: happened,
		})
		f.same(f.dueActions(l), []string{"k"})
		f.same(f.receive(event("k"), anew), 0)
	}),
	atEachStage("no event that came before begins an action anew", func(f *fixture, l store.DeliveryLease, s stage) {
		f.receive(again(event("k"), "2"))
		var at store.ActionState
		for _, a := range f.open() {
			at = a.State
		}
		if at == store.ActionPerformed || at == "" {
			return // it never comes to an end at which it could begin anew
		}
		f.step(l, ends("k", at, store.ActionReported, false))
		f.same(f.receive(event("k")), 0)
		f.same(f.receive(again(event("k"), "2")), 0)
		f.states(one(store.ActionReported))
		f.same(f.receive(again(event("k"), "3")), 1)
	}),
)

func receivedWhole(_ *testing.T, f *fixture) {
	f.put(with(synced("root"), func(t *store.Ticket) { t.Ref = "ref of root" }),
		with(synced("1"), func(t *store.Ticket) { t.Ref, t.RootID = "ref", "root" }))
	f.same(f.receive(event("k")), 1)
	l := f.deliverer()
	want := store.Action{
		Key: "k", Type: "reply", ActionID: "answer", NetworkItemID: "1", TicketID: "id-1", Source: sourceA, Payload: "hello",
		State: store.ActionReceived, Time: happened, Ref: "ref", RootID: "root", RootRef: "ref of root",
	}
	f.same(f.open(), []store.Action{want})
	look := func() store.Action {
		f.t.Helper()
		due, err := f.store.DueActions(f.ctx, l, 9, store.BusyActions{})
		f.must(err)
		return *due[0]
	}
	got := look()
	if got.Waited < 0 || got.Waited > time.Minute || got.Tried != 0 {
		f.t.Errorf("waited %v, tried %v", got.Waited, got.Tried)
	}
	f.begin(l, "k")
	got = look()
	if got.Tried <= 0 || got.Tried > time.Minute || got.Attempts != 1 || got.State != store.ActionPerforming {
		f.t.Errorf("tried %v, attempts %d, %s", got.Tried, got.Attempts, got.State)
	}
}

func receivedUnknown(_ *testing.T, f *fixture) {
	f.receive(event("k"))
	f.same(f.open()[0].Source, "")
	f.put(synced("1"))
	f.same(f.open()[0].Source, sourceA)
	f.must(f.ingest(f.polls[sourceB], "", with(synced("1"), func(t *store.Ticket) { t.Source = sourceB })))
	f.begin(f.deliverer(), "k")
	f.same(f.open()[0].Source, sourceB)
}

func learnsIDs(_ *testing.T, f *fixture) {
	unlinked := with(synced("1"), func(t *store.Ticket) { t.TicketID, t.State, t.Reason = "", store.Unlinked, "exists" })
	waiting := with(changed("2"), func(t *store.Ticket) { t.TicketID, t.State, t.Reason = "", store.Unlinked, "waits" })
	f.put(unlinked, waiting, synced("3"))
	two, three := on("2", 0, "k2"), on("3", 0, "k3")
	two.TicketID, three.TicketID = "id-2", "another"
	for range 2 {
		f.receive(event("k1"), two, three)
		f.want(synced("1"), changed("2"), synced("3"))
	}
	f.same(f.due(f.deliverer(), 9), []string{"2"})
}

func disabledOnce(_ *testing.T, f *fixture) {
	tell := func(at time.Time) {
		f.t.Helper()
		_, err := f.store.Receive(f.ctx, channel, store.Receipt{Disabled: at, Fingerprint: "print"})
		f.must(err)
	}
	pause := func(want store.PauseKind) {
		f.t.Helper()
		states, err := f.store.ChannelStates(f.ctx)
		f.must(err)
		f.same(states[0].Pause.Kind, want)
		if want == store.Forbidden && (states[0].Pause.For != 0 || states[0].Pause.Fingerprint != "print" || states[0].Pause.Reason == "") {
			f.t.Errorf("%+v", states[0].Pause)
		}
	}
	f.must(f.store.PauseChannel(f.ctx, channel, store.Pause{Kind: store.RateLimited, For: time.Hour}))
	tell(happened)
	pause(store.Forbidden)
	_, err := f.store.ResumeChannel(f.ctx, channel)
	f.must(err)
	tell(happened)
	tell(happened.Add(-time.Second))
	pause("")
	tell(happened.Add(time.Second))
	pause(store.Forbidden)
}

var actionChecks = slices.Concat(
	[]check{
		{"actions of one item are done one after the other, also while one is tried again", inOrder},
		{"the longest due action comes first, up to a limit", func(t *testing.T, f *fixture) {
			l := f.deliverer()
			f.receive(on("1", 0, "a"), on("2", 0, "b"), on("3", 0, "c"))
			for key, late := range map[string]time.Duration{"b": 2 * time.Hour, "c": time.Hour} {
				f.step(l, store.ActionStep{Key: key, From: store.ActionReceived, To: store.ActionReceived, Wait: true, After: -late})
			}
			f.same(f.dueActions(l), []string{"b", "c", "a"})
			some, err := f.store.DueActions(f.ctx, l, 1, store.BusyActions{Keys: map[string]bool{"b": true}})
			f.must(err)
			f.same([]any{len(some), some[0].Key}, []any{1, "c"})
		}},
		{"what is enough already is not read", notWanted},
		{"a channel's state tells when the next step is due", func(t *testing.T, f *fixture) {
			next := func() (bool, time.Duration) {
				states, err := f.store.ChannelStates(f.ctx)
				f.must(err)
				return states[0].ActionPending, states[0].NextAction
			}
			if waits, _ := next(); waits {
				t.Error("nothing was received")
			}
			f.receive(event("k"))
			if waits, in := next(); !waits || in > 0 {
				t.Errorf("%v, %v", waits, in)
			}
			l := f.deliverer()
			f.step(l, store.ActionStep{Key: "k", From: store.ActionReceived, To: store.ActionFailed, Wait: true, After: time.Hour})
			if waits, in := next(); !waits || in < 59*time.Minute || in > time.Hour {
				t.Errorf("%v, %v", waits, in)
			}
			f.same(f.dueActions(l), []string(nil))
			f.step(l, ends("k", store.ActionFailed, store.ActionReported, false))
			if waits, _ := next(); waits {
				t.Error("it is reported")
			}
		}},
		{"an action is retried or dismissed only while it waits for a person", repairActions},
		{"actions of one item that are taken up again are done one after the other", retriedInOrder},
		{"what a person has said of an action counts until its next try", retriedOnce},
		{"an action is dismissed while it is in nobody's hands", dismissIdle},
		{"actions of no known source are listed", listLost},
		{"actions are listed oldest first, up to a limit", func(t *testing.T, f *fixture) {
			f.receive(on("1", 3, "a"), on("1", 2*time.Second, "b"), on("2", time.Second, "c"))
			for _, limit := range []int{2, 9} {
				open, err := f.store.OpenActions(f.ctx, channel, limit)
				f.must(err)
				f.same([]any{len(open), open[0].Key, open[1].Key}, []any{min(3, limit), "a", "c"})
			}
			l := f.deliverer()
			for _, key := range []string{"a", "b", "c"} {
				f.step(l, ends(key, store.ActionReceived, store.ActionFailed, false))
			}
			f.same(f.stuckActions(), []string{"a", "c", "b"})
			some, err := f.store.StuckActions(f.ctx, channel, 1)
			f.must(err)
			f.same([]any{len(some), some[0].Key, some[0].Reason}, []any{1, "a", "why"})
		}},
		{"an action that is to be done can't wait for nothing", func(t *testing.T, f *fixture) {
			l := f.deliverer()
			f.receive(event("k"))
			for _, to := range []store.ActionState{store.ActionReceived, store.ActionPerforming} {
				if err := f.store.StepAction(f.ctx, l, ends("k", store.ActionReceived, to, false)); err == nil {
					t.Errorf("%s without a time", to)
				}
			}
			f.step(l, ends("k", store.ActionReceived, store.ActionReported, true))
			f.states(one(store.ActionReported))
		}},
	},
	atEachStage("who lost the channel can take no step", func(f *fixture, l store.DeliveryLease, s stage) {
		f.must(f.store.ReleaseChannel(f.ctx, l))
		now := f.deliverer()
		before := f.open()
		f.same(f.dueActions(l), []string(nil))
		for name, err := range map[string]error{
			"begin": f.store.BeginAction(f.ctx, l, "k"),
			"step":  f.store.StepAction(f.ctx, l, ends("k", s.state, store.ActionReported, false)),
			"post":  f.store.StepAction(f.ctx, l, store.ActionStep{Key: "k", From: s.state, To: store.ActionPerformed, Reply: &store.PostedReply{NetworkItemID: "r2"}}),
			"same":  f.store.StepAction(f.ctx, l, ends("k", "other", s.state, true)),
		} {
			if !errors.Is(err, store.ErrLeaseLost) {
				f.t.Errorf("%s: %v", name, err)
			}
		}
		f.same(f.open(), before)
		f.absent("r2")
		f.step(now, ends("k", s.state, store.ActionReported, false))
	}),
	atEachStage("a step from another state is refused, and one that was taken is not taken again", func(f *fixture, l store.DeliveryLease, s stage) {
		before := f.open()
		err := f.store.StepAction(f.ctx, l, store.ActionStep{
			Key: "k", From: "another", To: s.state, Wait: true, Attempts: 99, Reply: &store.PostedReply{NetworkItemID: "r2"}, ReplyTicketID: "id-2",
		})
		f.must(err)
		f.same(f.open(), before)
		f.absent("r2")
		for _, other := range reached {
			if other.state == s.state {
				continue
			}
			if err := f.store.StepAction(f.ctx, l, ends("k", other.state, "elsewhere", false)); !errors.Is(err, store.ErrLeaseLost) {
				f.t.Errorf("from %s: %v", other.state, err)
			}
		}
		err = f.store.BeginAction(f.ctx, l, "k")
		if undone := s.state == store.ActionReceived || s.state == store.ActionPerforming; undone && err != nil || !undone && !errors.Is(err, store.ErrLeaseLost) {
			f.t.Errorf("begin: %v", err)
		}
	}),
	atEachStage("the content stays while it may be needed", func(f *fixture, _ store.DeliveryLease, s stage) {
		for _, a := range f.open() {
			needed := s.state == store.ActionReceived || s.state == store.ActionPerforming || s.state == store.ActionUncertain
			f.same(a.Payload != "", needed)
		}
	}),
)

func notWanted(_ *testing.T, f *fixture) {
	l := f.deliverer()
	f.put(synced("1"), with(synced("2"), func(t *store.Ticket) { t.Source = sourceB }))
	f.receive(on("1", 0, "a"), on("2", 0, "b"), on("3", 0, "unknown"), on("1", time.Minute, "told"))
	f.step(l, ends("told", store.ActionReceived, store.ActionFailed, true))
	for _, test := range []struct {
		busy store.BusyActions
		want []string
	}{
		{store.BusyActions{}, []string{"a", "b", "told", "unknown"}},
		{store.BusyActions{Sources: []string{sourceA}}, []string{"b", "told", "unknown"}},
		{store.BusyActions{Sources: []string{sourceA, "", "none"}}, []string{"b", "told"}},
		{store.BusyActions{Callbacks: true}, []string{"a", "b", "unknown"}},
		{store.BusyActions{Sources: []string{sourceB}, Callbacks: true, Keys: map[string]bool{"a": true}}, []string{"unknown"}},
	} {
		due, err := f.store.DueActions(f.ctx, l, 9, test.busy)
		f.must(err)
		var keys []string
		for _, a := range due {
			keys = append(keys, a.Key)
		}
		f.same(sorted(keys), test.want)
	}
}

func inOrder(_ *testing.T, f *fixture) {
	l := f.deliverer()
	f.receive(on("1", 2, "b1"), on("1", time.Second, "a2"), on("2", time.Minute, "x"), on("1", time.Second, "b2"))
	f.same(sorted(f.dueActions(l)), []string{"b1", "x"})
	f.same(f.dueActions(l, "b1"), []string{"x"})
	f.begin(l, "b1")
	f.same(sorted(f.dueActions(l)), []string{"b1", "x"})
	f.step(l, store.ActionStep{Key: "b1", From: store.ActionPerforming, To: store.ActionReceived, Wait: true, After: time.Hour, Attempts: 1})
	f.same(f.dueActions(l), []string{"x"})
	f.begin(l, "b1")
	f.step(l, posted("b1", "r"))
	f.same(sorted(f.dueActions(l)), []string{"a2", "b1", "x"})
	f.begin(l, "a2")
	f.step(l, ends("a2", store.ActionPerforming, store.ActionFailed, true))
	f.same(sorted(f.dueActions(l)), []string{"a2", "b1", "b2", "x"})
	f.receive(on("1", 1, "late"))
	f.same(sorted(f.dueActions(l, "b2")), []string{"a2", "b1", "x"})
	f.begin(l, "b2")
	f.same(sorted(f.dueActions(l)), []string{"a2", "b1", "b2", "x"})
	f.step(l, ends("b2", store.ActionPerforming, store.ActionReported, false))
	f.same(sorted(f.dueActions(l)), []string{"a2", "b1", "late", "x"})
}

func repairActions(_ *testing.T, f *fixture) {
	l := f.deliverer()
	keys := []string{"confirmed", "failed", "failed waits", "performed", "performed waits", "received", "uncertain", "uncertain waits"}
	for _, key := range keys {
		f.receive(on(key, 0, key))
	}
	f.begin(l, "confirmed", "performed", "performed waits", "uncertain", "uncertain waits")
	for _, key := range []string{"confirmed", "performed", "performed waits"} {
		f.step(l, posted(key, "reply to "+key))
	}
	f.step(l, confirmed("confirmed", "id"))
	f.step(l, ends("performed", store.ActionPerformed, store.ActionPerformed, false))
	for _, wait := range []bool{false, true} {
		suffix := map[bool]string{true: " waits"}[wait]
		f.step(l, ends("failed"+suffix, store.ActionReceived, store.ActionFailed, wait))
		f.step(l, ends("uncertain"+suffix, store.ActionPerforming, store.ActionUncertain, wait))
	}
	stuck := []string{"failed", "performed", "uncertain"}
	f.same(f.stuckActions(), stuck)
	retry := func(keys ...string) []string {
		got, err := f.store.RetryActions(f.ctx, channel, keys)
		f.must(err)
		return sorted(got)
	}
	f.same(retry("performed", "received", "unknown", "\x00"), []string{"performed"})
	f.same(retry(append(keys, "unknown")...), []string{"failed", "uncertain"})
	f.same(retry(), []string(nil))
	f.same(f.stuckActions(), []string(nil))
	f.same(sorted(f.dueActions(l)), keys[1:])
	for _, a := range f.open() {
		switch a.Key {
		case "uncertain":
			f.same([]any{a.State, a.Attempts, a.Reason, a.Payload, a.Retried}, []any{store.ActionPerforming, 0, "", "hello", true})
		case "failed":
			f.same([]any{a.State, a.Attempts, a.Reason}, []any{store.ActionFailed, 0, "why"})
		case "performed":
			f.same([]any{a.State, a.Attempts, a.ReplyID, a.Reply}, []any{store.ActionPerformed, 0, "reply to performed", "note"})
		}
	}
	f.step(l, ends("failed", store.ActionFailed, store.ActionFailed, false))
	f.step(l, ends("performed", store.ActionPerformed, store.ActionPerformed, false))
	dismiss := func(keys ...string) []string {
		got, err := f.store.DismissActions(f.ctx, channel, keys)
		f.must(err)
		return sorted(got)
	}
	f.same(dismiss("performed", "performed waits", "unknown"), []string{"performed"})
	f.same(dismiss(), []string{"failed"})
	f.same(dismiss(), []string(nil))
	f.states(map[store.ActionState]int{
		store.ActionConfirmed: 1, store.ActionDismissed: 2, store.ActionFailed: 1, store.ActionPerformed: 1, store.ActionPerforming: 1,
		store.ActionReceived: 1, store.ActionUncertain: 1,
	})
}

// dismissIdle shows that an action is dismissed only while it is in nobody's hands.
func dismissIdle(_ *testing.T, f *fixture) {
	l := f.deliverer()
	all := []string{"begun", "ended", "failed", "new", "posted", "told"}
	for _, key := range all {
		f.receive(on(key, 0, key))
	}
	f.begin(l, "begun", "ended", "posted", "told")
	f.step(l, posted("posted", "r"))
	f.step(l, ends("failed", store.ActionReceived, store.ActionFailed, true))
	f.step(l, ends("told", store.ActionPerforming, store.ActionUncertain, true))
	f.step(l, ends("ended", store.ActionPerforming, store.ActionReported, false))
	dismiss := func(keys ...string) []string {
		got, err := f.store.DismissActions(f.ctx, channel, keys)
		f.must(err)
		return sorted(got)
	}
	f.same(dismiss(), []string(nil))
	f.same(dismiss(all...), []string{"new"})
	if err := f.store.BeginAction(f.ctx, l, "new"); !errors.Is(err, store.ErrLeaseLost) {
		f.t.Errorf("a dismissed action begins: %v", err)
	}
	f.must(f.store.ReleaseChannel(f.ctx, l))
	f.same(dismiss(), []string(nil))
	f.same(dismiss(all...), []string{"begun", "failed", "posted", "told"})
	f.same(f.dueActions(f.deliverer()), []string(nil))
	f.states(map[store.ActionState]int{store.ActionDismissed: 5, store.ActionReported: 1})
	f.same(f.receive(again(on("new", 0, "new"), "2")), 1)
}

// listLost shows which actions are of no source that is known.
func listLost(_ *testing.T, f *fixture) {
	l := f.deliverer()
	f.put(synced("1"), with(synced("2"), func(t *store.Ticket) { t.Source = sourceB }))
	f.receive(on("1", 0, "a"), on("2", 1, "b"), on("2", 2, "failed"), on("3", 3, "unknown"))
	f.step(l, ends("failed", store.ActionReceived, store.ActionFailed, true))
	for _, c := range []struct{ sources, want []string }{
		{nil, []string{"a", "b", "unknown"}},
		{[]string{sourceA}, []string{"b", "unknown"}},
		{[]string{sourceA, sourceB}, []string{"unknown"}},
	} {
		found, err := f.store.LostActions(f.ctx, channel, c.sources, 9)
		f.must(err)
		var keys []string
		for _, a := range found {
			keys = append(keys, a.Key)
		}
		f.same(keys, c.want)
	}
}

// retriedInOrder shows it of two that became uncertain one after the other, while a third is being done, and then not.
func retriedInOrder(_ *testing.T, f *fixture) {
	l := f.deliverer()
	f.receive(on("1", 0, "b first"), on("1", time.Second, "a second"), on("1", 2*time.Second, "third"))
	for _, key := range []string{"a second", "b first"} {
		f.begin(l, key)
		f.step(l, ends(key, store.ActionPerforming, store.ActionUncertain, false))
	}
	f.begin(l, "third")
	_, err := f.store.RetryActions(f.ctx, channel, nil)
	f.must(err)
	f.same(f.dueActions(l, "third"), []string(nil))
	for _, key := range []string{"b first", "a second", "third"} {
		f.same(f.dueActions(l), []string{key})
		f.same(f.dueActions(l, key), []string(nil))
		f.step(l, ends(key, store.ActionPerforming, store.ActionConfirmed, false))
	}
	f.same(f.dueActions(l), []string(nil))
}

// only is the action "k" as it is now.
func (f *fixture) only() *store.Action {
	f.t.Helper()
	found, err := f.store.OpenActions(f.ctx, channel, 1)
	f.must(err)
	return found[0]
}

// retriedOnce shows that what a person has said counts until the next try.
func retriedOnce(_ *testing.T, f *fixture) {
	l := f.deliverer()
	f.receive(event("k"))
	f.begin(l, "k")
	retried := func(want bool) {
		f.t.Helper()
		f.same(f.only().Retried, want)
	}
	retried(false)
	f.retryUncertain(l)
	retried(true)
	failed := store.ActionStep{Key: "k", From: store.ActionPerforming, To: store.ActionPerforming, Wait: true, Attempts: 1}
	f.step(l, failed) // before the source was called
	retried(true)
	first := f.only().Tried
	f.begin(l, "k")
	retried(false)
	if tried := f.only().Tried; tried < first {
		f.t.Errorf("tried %v ago, before that %v", tried, first)
	}
	failed.Attempts = 2
	f.step(l, failed)
	retried(false)
	f.retryUncertain(l)
	f.step(l, store.ActionStep{Key: "k", From: store.ActionPerforming, To: store.ActionReceived, Wait: true})
	retried(false)
	f.begin(l, "k")
	retried(false)
}

func (f *fixture) retryUncertain(l store.DeliveryLease) {
	f.t.Helper()
	f.step(l, ends("k", store.ActionPerforming, store.ActionUncertain, false))
	_, err := f.store.RetryActions(f.ctx, channel, nil)
	f.must(err)
}
