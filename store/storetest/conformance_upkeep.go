package storetest

import (
	"fmt"
	"testing"
	"time"

	"socialhub-sync/store"
)

// soon is an age that everything has: what is younger than an hour from now.
const soon = -time.Hour

func (f *fixture) upkeep(owner string, keep store.Retention) (store.Removed, bool) {
	f.t.Helper()
	removed, done, err := f.store.Upkeep(f.ctx, owner, keep)
	f.must(err)
	return removed, done
}

// endAction lets an action come to an end.
func (f *fixture) endAction(l store.DeliveryLease, key string) {
	f.t.Helper()
	f.begin(l, key)
	f.step(l, store.ActionStep{Key: key, From: store.ActionPerforming, To: store.ActionFailed, Wait: true, Reason: "no"})
	f.step(l, store.ActionStep{Key: key, From: store.ActionFailed, To: store.ActionReported})
}

var upkeepChecks = []check{
	{"actions at an end go when they are old, and no others", func(t *testing.T, f *fixture) {
		f.put(synced("1"))
		f.receive(event("done"), event("begun"), event("waits"))
		l := f.deliverer()
		f.endAction(l, "done")
		f.begin(l, "begun")
		removed, done := f.upkeep("me", store.Retention{Actions: time.Hour})
		f.same(removed, store.Removed{})
		f.same(done, true)
		counts, err := f.store.ActionCounts(f.ctx)
		f.must(err)
		f.same(counts[channel][store.ActionReported], 1)
	}},
	{"what is old goes in every channel, and the upkeep counts it", func(t *testing.T, f *fixture) {
		f.otherChannel("c2", synced("1"))
		for _, id := range []string{channel, "c2"} {
			l, _, err := f.store.ClaimChannel(f.ctx, "me", id, time.Hour)
			f.must(err)
			for i := range 3 {
				a := on("unknown", 0, fmt.Sprint(i))
				_, err := f.store.Receive(f.ctx, id, store.Receipt{Actions: []store.NewAction{a}})
				f.must(err)
				f.endAction(l, a.Key)
			}
		}
		for _, source := range []string{sourceA, sourceB} {
			f.must(f.store.FinishPoll(f.ctx, f.polls[source], store.PollResult{}))
			f.must(f.store.FinishPoll(f.ctx, f.claimPolls("me", time.Hour, key(source))[0], store.PollResult{New: 1}))
		}
		removed, done := f.upkeep("me", store.Retention{Actions: soon, Polls: soon})
		f.same(removed, store.Removed{Actions: 6, Polls: 4})
		f.same(done, true)
		history, err := f.store.PollHistory(f.ctx, 2*time.Hour)
		f.must(err)
		f.same(len(history), 0)
	}},
	{"one process a day does the upkeep", func(t *testing.T, f *fixture) {
		_, done := f.upkeep("me", store.Retention{})
		f.same(done, true)
		for _, owner := range []string{"me", "another"} {
			_, done = f.upkeep(owner, store.Retention{})
			f.same(done, false)
		}
	}},
	{"of tickets nothing goes unless a source's polls were noted for as long as tickets are kept", func(t *testing.T, f *fixture) {
		f.put(synced("1"))
		f.must(f.store.FinishPoll(f.ctx, f.polls[sourceA], store.PollResult{}))
		removed, _ := f.upkeep("me", store.Retention{Tickets: soon})
		f.same(removed, store.Removed{})
		f.want(synced("1"))
	}},
	{"of tickets the ends go, and nothing that waits or is needed", func(t *testing.T, f *fixture) {
		kept := []store.Ticket{
			with(synced("foreign"), func(t *store.Ticket) { t.Source = sourceB }), wanted("pending"), synced("1"), synced("reply"),
			with(changed("held"), func(t *store.Ticket) { t.State = store.Held }),
			with(synced("unlinked"), func(t *store.Ticket) { t.State, t.TicketID = store.Unlinked, "" }),
		}
		for _, state := range []store.State{store.Synced, store.Gone, store.Skipped, store.Rejected} {
			f.put(with(synced("end "+string(state)), func(t *store.Ticket) { t.State = state }))
		}
		f.put(kept...)
		f.receive(event("of 1")) // an action that is still to be done
		l := f.deliverer()
		f.receive(on("elsewhere", 0, "replied"))
		f.begin(l, "replied")
		f.step(l, store.ActionStep{Key: "replied", From: store.ActionPerforming, To: store.ActionPerformed, Wait: true, After: time.Hour,
			Reply: &store.PostedReply{NetworkItemID: "reply"}})
		f.must(f.store.FinishPoll(f.ctx, f.polls[sourceA], store.PollResult{Seen: true}))
		removed, _ := f.upkeep("me", store.Retention{Tickets: soon})
		f.same(removed, store.Removed{Tickets: 4})
		f.want(kept...)
		f.absent("end synced", "end gone", "end skipped", "end rejected")
	}},
	{"what is noted as seen is written seldom", func(t *testing.T, f *fixture) {
		f.put(synced("1"))
		f.must(f.store.Saw(f.ctx, channel, []string{"1", "unknown", "NUL \x00"}, 4*time.Hour))
		f.must(f.store.Saw(f.ctx, channel, nil, 4*time.Hour))
		f.want(synced("1"))
	}},
}

var historyChecks = []check{
	{"polls are told of by what they came to, those of a span together", func(t *testing.T, f *fixture) {
		f.must(f.store.ReleasePoll(f.ctx, f.polls[sourceB]))
		for _, r := range []store.PollResult{
			{Unchanged: 3, Took: time.Second}, {Unchanged: 4, Took: 2 * time.Second}, {New: 1, Changed: 2, Unchanged: 5, Rejected: 3, Mended: 1},
			{Error: "no"}, {Error: "no", Pause: "wrong password"},
		} {
			lease := f.claimed(sourceB)
			f.must(f.store.FinishPoll(f.ctx, lease, r))
		}
		f.must(f.store.FinishPoll(f.ctx, f.polls[sourceA], store.PollResult{New: 7}))
		history, err := f.store.PollHistory(f.ctx, 2*time.Hour)
		f.must(err)
		sums := make(map[string]store.PollSpan)
		for _, x := range history { // a span may end between two polls
			sum := sums[x.Source+" "+string(x.Outcome)]
			sum.Polls += x.Polls
			sum.Took += x.Took
			sum.New += x.New
			sum.Changed += x.Changed
			sum.Unchanged += x.Unchanged
			sum.Rejected += x.Rejected
			sum.Mended += x.Mended
			sums[x.Source+" "+string(x.Outcome)] = sum
			f.same(x.ChannelID, channel)
			span := time.Minute
			if x.Outcome == store.PollUnchanged {
				span = time.Hour
			}
			f.same(x.Began.Truncate(span), x.Began)
		}
		f.same(sums, map[string]store.PollSpan{
			"b unchanged": {Polls: 2, Unchanged: 7, Took: 3 * time.Second},
			"b found":     {Polls: 1, New: 1, Changed: 2, Unchanged: 5, Rejected: 3, Mended: 1},
			"b failed":    {Polls: 1}, "b stopped": {Polls: 1}, "a found": {Polls: 1, New: 7},
		})
		history, err = f.store.PollHistory(f.ctx, soon)
		f.must(err)
		f.same(len(history), 0)
	}},
	{"the hours of a source sum up what its scheduled polls brought", func(t *testing.T, f *fixture) {
		backfill := store.PollKey{ChannelID: channel, Source: "a", Backfill: "all..all"}
		f.must(f.store.Register(f.ctx, nil, []store.Stream{{PollKey: backfill, Adapter: "rss"}}))
		f.must(f.store.FinishPoll(f.ctx, f.claimPolls("poller", time.Hour, backfill)[0], store.PollResult{New: 99}))
		f.must(f.store.FinishPoll(f.ctx, f.polls[sourceA], store.PollResult{New: 7, Rejected: 1}))
		f.must(f.store.ReleasePoll(f.ctx, f.polls[sourceB]))
		for _, r := range []store.PollResult{{Unchanged: 3}, {New: 1, Changed: 2}, {New: 4}, {Error: "no"}, {Error: "no"}, {Error: "no", Pause: "p", New: 1}} {
			f.must(f.store.FinishPoll(f.ctx, f.claimed(sourceB), r))
		}
		hours, err := f.store.PollHours(f.ctx, 2*time.Hour)
		f.must(err)
		sums := make(map[string]store.PollHour)
		for _, x := range hours { // an hour may end between two polls
			sum := sums[x.Source]
			sum.New += x.New
			sum.Changed += x.Changed
			sum.Failed += x.Failed
			sums[x.Source] = sum
			f.same(x.ChannelID, channel)
			f.same(x.Began, x.Began.UTC().Truncate(time.Hour))
		}
		f.same(sums, map[string]store.PollHour{"a": {New: 7}, "b": {New: 6, Changed: 2, Failed: 3}})
		hours, err = f.store.PollHours(f.ctx, soon)
		f.must(err)
		f.same(len(hours), 0)
	}},
	{"a poll whose lease is lost leaves no trace", func(t *testing.T, f *fixture) {
		stranger := f.polls[sourceA]
		stranger.Owner = "stranger"
		f.lost(f.store.FinishPoll(f.ctx, stranger, store.PollResult{New: 7}))
		history, err := f.store.PollHistory(f.ctx, 2*time.Hour)
		f.must(err)
		f.same(len(history), 0)
	}},
}

func (f *fixture) forget(ids ...string) []store.Forgotten {
	f.t.Helper()
	done, err := f.store.Forget(f.ctx, channel, ids)
	f.must(err)
	return done
}

var forgetChecks = []check{
	{"a forgotten item leaves nothing, and does not come back", func(t *testing.T, f *fixture) {
		below := with(synced("below"), func(t *store.Ticket) { t.RootID = "1" })
		f.put(synced("1"), wanted("2"), below)
		f.receive(event("done"))
		f.endAction(f.deliverer(), "done")
		f.same(f.forget("2", "1", "1", "never seen"), []store.Forgotten{
			{NetworkItemID: "1", Known: true, TicketID: "id-1", Below: []string{"below"}},
			{NetworkItemID: "2", Known: true},
			{NetworkItemID: "never seen"},
		})
		f.absent("1", "2")
		below.RootID = ""
		f.want(below)
		counts, err := f.store.ActionCounts(f.ctx)
		f.must(err)
		f.same(len(counts), 0)
		for _, id := range []string{"1", "2", "never seen"} {
			f.differing(sourceA, nil, store.Seen{NetworkItemID: id, Hash: "other"})
			f.put(wanted(id))
		}
		f.absent("1", "2", "never seen")
		f.differing(sourceA, []int{1}, store.Seen{NetworkItemID: "1", Hash: "1"}, store.Seen{NetworkItemID: "new", Hash: "1"})
		f.put(wanted("new"))
		f.want(wanted("new"))
	}},
	{"the same id in another channel stays", func(t *testing.T, f *fixture) {
		f.otherChannel("c2", synced("1"))
		f.forget("1")
		found, err := f.store.Tickets(f.ctx, "c2", []string{"1"})
		f.must(err)
		f.same(len(found), 1)
		got, err := f.store.Differing(f.ctx, "c2", sourceA, []store.Seen{{NetworkItemID: "2", Hash: "1"}})
		f.must(err)
		f.same(got, []int{0})
	}},
	{"nothing is forgotten while an action of it is under way", func(t *testing.T, f *fixture) {
		f.put(synced("1"))
		f.receive(event("open"))
		f.same(f.forget("1"), []store.Forgotten{{NetworkItemID: "1", UnderWay: []string{"open"}}})
		f.want(synced("1"))
		f.differing(sourceA, []int{0}, store.Seen{NetworkItemID: "1", Hash: "2"})
		l := f.deliverer()
		f.begin(l, "open")
		f.step(l, store.ActionStep{Key: "open", From: store.ActionPerforming, To: store.ActionUncertain, Reason: "who knows"})
		f.same(f.forget("1"), []store.Forgotten{{NetworkItemID: "1", Known: true, TicketID: "id-1"}})
		f.same(f.stuckActions(), []string(nil))
	}},
	{"content that waits is listed, more than a page of it", func(t *testing.T, f *fixture) {
		var all []store.Ticket
		for i := range 1100 {
			all = append(all, wanted(fmt.Sprintf("%04d", i)))
		}
		f.put(all...)
		f.put(synced("synced"), with(wanted("refused"), func(t *store.Ticket) { t.State = store.Rejected }))
		n, last := 0, ""
		f.must(f.store.EachWaiting(f.ctx, channel, func(t *store.Ticket) error { n, last = n+1, t.NetworkItemID; return nil }))
		f.same(n, 1101)
		f.same(last, "refused")
	}},
}

func (f *fixture) mappings(channelID string) (all []store.Mapping, others int) {
	f.t.Helper()
	others, err := f.store.EachMapping(f.ctx, channelID, func(m store.Mapping) error { all = append(all, m); return nil })
	f.must(err)
	return all, others
}

func (f *fixture) imports(channelID string, overwrite bool, list ...store.Mapping) store.Imported {
	f.t.Helper()
	done, err := f.store.Import(f.ctx, channelID, list, overwrite)
	f.must(err)
	return done
}

var exportChecks = []check{
	{"what SocialHub has is exported, and the rest counted", func(t *testing.T, f *fixture) {
		f.put(synced("1"), wanted("new"), changed("changed"), with(wanted("refused"), func(t *store.Ticket) { t.State = store.Rejected }),
			with(changed("waits"), func(t *store.Ticket) { t.State, t.TicketID = store.Unlinked, "" }),
			with(changed("held"), func(t *store.Ticket) { t.State = store.Held }),
			with(synced("gone"), func(t *store.Ticket) { t.State = store.Gone }),
			with(wanted("own"), func(t *store.Ticket) {
				t.State, t.Payload, t.Own, t.RootID, t.Ref = store.Skipped, "", true, "1", "\r\n\""
			}))
		all, others := f.mappings(channel)
		f.same(others, 2)
		shown := store.Mapping{Source: sourceA, State: store.Synced, WantedHash: "1", DeliveredHash: "1"}
		with := func(id, ticket string, state store.State) store.Mapping {
			m := shown
			m.NetworkItemID, m.TicketID, m.State = id, ticket, state
			return m
		}
		own := store.Mapping{NetworkItemID: "own", Source: sourceA, State: store.Skipped, WantedHash: "1", RootID: "1", Ref: "\r\n\"", Own: true}
		f.same(all, []store.Mapping{
			with("1", "id-1", store.Synced), with("changed", "id-changed", store.Synced), with("gone", "id-gone", store.Gone),
			with("held", "id-held", store.Synced), own, with("waits", "", store.Unlinked),
		})
		f.must(f.store.Register(f.ctx, map[string]string{"c2": "other"}, nil))
		f.same(f.imports("c2", false, all...), store.Imported{Stored: len(all)})
		again, others := f.mappings("c2")
		f.same(again, all)
		f.same(others, 0)
		f.same(f.imports("c2", false, again...), store.Imported{Same: len(all)})
	}},
	{"rows that differ stay unless they are to be overwritten, and what waits stays anyway", func(t *testing.T, f *fixture) {
		f.put(synced("1"), changed("waits"), synced("same"))
		f.forget("forgotten")
		list := []store.Mapping{
			{NetworkItemID: "1", TicketID: "other", Source: sourceB, State: store.Gone, WantedHash: "2", RootID: "r", Ref: "ref"},
			{NetworkItemID: "waits", TicketID: "other", Source: sourceA, State: store.Synced},
			{NetworkItemID: "forgotten", TicketID: "x", Source: sourceA, State: store.Synced},
			{NetworkItemID: "twice", TicketID: "x", Source: sourceA, State: store.Synced},
			{NetworkItemID: "twice", TicketID: "x", Source: sourceA, State: store.Synced},
			{NetworkItemID: "same", TicketID: "id-same", Source: sourceA, State: store.Synced, Partial: true},
		}
		f.same(f.imports(channel, false, list...), store.Imported{
			Stored: 1, Same: 2, Differing: []string{"1"}, Waiting: []string{"waits"}, Forgotten: []string{"forgotten"},
		})
		f.want(synced("1"), changed("waits"))
		f.same(f.imports(channel, true, list...), store.Imported{Stored: 1, Same: 3, Waiting: []string{"waits"}, Forgotten: []string{"forgotten"}})
		f.want(store.Ticket{NetworkItemID: "1", TicketID: "other", Source: sourceB, State: store.Gone, WantedHash: "2", RootID: "r", Ref: "ref"},
			changed("waits"))
		f.absent("forgotten")
	}},
	{"of a ticket from elsewhere the content is unknown, or assumed", func(t *testing.T, f *fixture) {
		unknown := store.Mapping{NetworkItemID: "1", TicketID: "t", Source: sourceA, State: store.Synced, Partial: true}
		assumed := unknown
		assumed.NetworkItemID, assumed.Assumed = "2", true
		f.same(f.imports(channel, false, unknown, assumed), store.Imported{Stored: 2})
		f.want(store.Ticket{NetworkItemID: "1", TicketID: "t", Source: sourceA, State: store.Synced, Delivered: true},
			store.Ticket{NetworkItemID: "2", TicketID: "t", Source: sourceA, State: store.Synced, WantedHash: "=", DeliveredHash: "=", Delivered: true})
	}},
}

var examineChecks = []check{
	{"a database in order has no findings", func(t *testing.T, f *fixture) {
		f.put(synced("1"), wanted("2"), changed("3"))
		f.receive(event("new"))
		found, tickets, err := f.store.Examine(f.ctx)
		f.must(err)
		f.same(found, []store.Finding(nil))
		f.same(tickets, []store.TicketsOf{{ChannelID: channel, Source: sourceA, Tickets: 3, Open: 2}})
		ahead, err := f.store.Clock(f.ctx)
		f.must(err)
		if ahead.Abs() > time.Minute {
			t.Errorf("the clocks differ by %v", ahead)
		}
	}},
	{"every odd thing is found", func(t *testing.T, f *fixture) {
		f.put(with(wanted("empty"), func(t *store.Ticket) { t.Payload = "" }),
			with(synced("left"), func(t *store.Ticket) { t.Payload = "content" }),
			with(synced("without"), func(t *store.Ticket) { t.TicketID = "" }),
			with(synced("unlinked"), func(t *store.Ticket) { t.State, t.TicketID = store.Unlinked, "" }),
			with(changed("waiting"), func(t *store.Ticket) { t.State, t.TicketID = store.Unlinked, "" }))
		f.receive(event("begun"), on("2", 0, "uncertain"))
		l, _, err := f.store.ClaimChannel(f.ctx, "dead", channel, ended)
		f.must(err)
		f.begin(l, "begun", "uncertain")
		f.step(l, store.ActionStep{Key: "uncertain", From: store.ActionPerforming, To: store.ActionUncertain, Reason: "who knows"})
		f.must(f.store.ReleasePoll(f.ctx, f.polls[sourceA]))
		f.claimPolls("gone", ended, key(sourceA))
		found, _, err := f.store.Examine(f.ctx)
		f.must(err)
		of := func(kind store.FindingKind, source string, example string) store.Finding {
			return store.Finding{Kind: kind, ChannelID: channel, Source: source, Count: 1, Example: example}
		}
		dead := of(store.FindDeadOwner, "", "")
		dead.Detail = "dead"
		gone := of(store.FindDeadOwner, sourceA, "")
		gone.Detail = "gone"
		f.same(found, []store.Finding{
			of(store.FindNothingToSend, sourceA, "empty"), of(store.FindContentLeft, sourceA, "left"), of(store.FindNoID, sourceA, "without"),
			of(store.FindUnlinked, sourceA, "unlinked"), of(store.FindUnlinkedWaiting, sourceA, "waiting"),
			dead, gone, of(store.FindLeftPerforming, "", "begun"), of(store.FindActionsWaiting, "", "uncertain"),
		})
	}},
}
