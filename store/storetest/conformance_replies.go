package storetest

import (
	"testing"
	"time"

	"socialhub-sync/store"
)

// unlinkedReply is why a reply's ticket has no _id.
const unlinkedReply = "SocialHub has the reply, but its _id is unknown"

// reserved is the ticket of a reply that SocialHub does not know yet.
func reserved(id string) store.Ticket {
	return store.Ticket{
		NetworkItemID: id, Source: sourceA, WantedHash: "reply", DeliveredHash: "reply", Delivered: true,
		RootID: "root", Ref: "ref of " + id, State: store.Skipped, Own: true,
	}
}

func ownPost(id string) store.Ticket {
	return with(wanted(id), func(t *store.Ticket) { t.Own = true })
}

// replyCase is one reply: what a poll brought before it was stored, its ticket then, what a poll brought after that,
// and the ticket once SocialHub knows the reply, with and without an _id.
type replyCase struct {
	name            string
	before          *store.Ticket
	reserved        store.Ticket
	after           *store.Ticket
	linked, unknown store.Ticket
}

func replyCases() []replyCase {
	linked := func(t store.Ticket) store.Ticket {
		t.TicketID, t.State = "id-r", store.Synced
		return t
	}
	unknown := func(t store.Ticket) store.Ticket {
		t.State, t.Reason = store.Unlinked, unlinkedReply
		return t
	}
	seen := with(reserved("r"), func(t *store.Ticket) { t.WantedHash, t.DeliveredHash = "1", "1" })
	edited := with(seen, func(t *store.Ticket) { t.WantedHash, t.Payload, t.State = "2", "two", store.Pending })
	early := with(ownPost("r"), func(t *store.Ticket) { t.RootID, t.Ref = "its root", "its ref" })
	converted := with(reserved("r"), func(t *store.Ticket) { t.RootID = "its root" })
	others := with(early, func(t *store.Ticket) { t.Source, t.Own = sourceB, false })
	refused := with(early, func(t *store.Ticket) { t.State, t.Reason = store.Rejected, "no" })
	kept := with(synced("r"), func(t *store.Ticket) { t.Own = true })
	keptChange := with(changed("r"), func(t *store.Ticket) { t.Own = true })
	ofOther := with(converted, func(t *store.Ticket) { t.Source = sourceB })
	return []replyCase{
		{"no poll has brought it", nil, reserved("r"), nil, linked(reserved("r")), unknown(reserved("r"))},
		{"a poll was faster", &early, converted, nil, linked(converted), unknown(converted)},
		{"a poll of another source was faster", &others, ofOther, nil, linked(ofOther), unknown(ofOther)},
		{"a poll was faster and it was refused", &refused, converted, nil, linked(converted), unknown(converted)},
		{"SocialHub has it", &kept, kept, nil, kept, kept},
		{"SocialHub has it and it was edited", &keptChange, keptChange, nil, keptChange, keptChange},
		{"a poll brings it meanwhile", nil, reserved("r"), &seen, linked(seen), unknown(seen)},
		{"it is edited meanwhile", nil, reserved("r"), &edited,
			with(edited, func(t *store.Ticket) { t.TicketID = "id-r" }), unknown(edited)},
	}
}

func replyChecks() (checks []check) {
	for _, c := range replyCases() {
		for _, id := range []string{"id-r", ""} {
			name := c.name + ", and its _id is told"
			if id == "" {
				name = c.name + ", and its _id stays unknown"
			}
			checks = append(checks, check{name, func(t *testing.T, f *fixture) { f.reply(c, id) }})
		}
	}
	return append(checks,
		check{"a button that was pressed touches no ticket", func(t *testing.T, f *fixture) {
			l := f.deliverer()
			f.put(synced("1"))
			f.receive(event("k"))
			f.begin(l, "k")
			f.step(l, store.ActionStep{Key: "k", From: store.ActionPerforming, To: store.ActionConfirmed})
			f.want(synced("1"))
			f.states(one(store.ActionConfirmed))
		}},
		check{"the _id of an unlinked reply is learned from an event, and its edit is sent then", func(t *testing.T, f *fixture) {
			l := f.deliverer()
			f.reply(replyCases()[7], "")
			a := on("r", 0, "k2")
			a.TicketID = "id-r"
			f.receive(a)
			got := f.rows("r")[0]
			f.same([]string{string(got.State), got.TicketID, got.Payload}, []string{"pending", "id-r", "two"})
			f.step(l, ends("k2", store.ActionReceived, store.ActionReported, false))
			f.same(f.due(l, 9), []string{"r"})
		}},
		check{"the _id of a reply is kept that only a process without the lease was told, or an event", func(t *testing.T, f *fixture) {
			l := f.deliverer()
			f.put(synced("1"))
			f.receive(event("k"))
			f.begin(l, "k")
			f.step(l, posted("k", "r"))
			adopted, err := f.store.Adopt(f.ctx, channel, []store.Link{{NetworkItemID: "r", TicketID: "id-r"}})
			f.must(err)
			f.same(adopted, []string{"r"})
			want := with(reserved("r"), func(t *store.Ticket) { t.TicketID, t.State = "id-r", store.Synced })
			f.want(want)
			f.step(l, confirmed("k", "")) // SocialHub says that it has the reply
			f.want(want)
		}},
		check{"what we posted is held while a reply of its source is under way", ownGate},
		check{"an edited reply is held until SocialHub has its ticket", replyGate},
		check{"that a ticket is our own is stored", func(t *testing.T, f *fixture) {
			f.put(ownPost("1"), wanted("2"))
			f.want(ownPost("1"), wanted("2"))
			f.put(wanted("1"), ownPost("2"))
			f.want(wanted("1"), ownPost("2"))
		}},
	)
}

// reply lets an action post the reply "r" and SocialHub learn of it.
func (f *fixture) reply(c replyCase, id string) {
	f.t.Helper()
	l, ok, err := f.store.ClaimChannel(f.ctx, "deliverer", channel, time.Hour)
	if err == nil && !ok { // the caller has it: there was one claim
		l = store.DeliveryLease{ChannelID: channel, Owner: "deliverer", Epoch: 1}
	}
	f.must(err)
	f.put(synced("1"))
	f.receive(event("k"))
	f.begin(l, "k")
	if c.before != nil {
		f.put(*c.before)
	}
	f.step(l, posted("k", "r"))
	f.want(c.reserved)
	if c.after != nil {
		f.put(*c.after)
	}
	f.step(l, confirmed("k", id))
	want := c.unknown
	if id != "" {
		want = c.linked
	}
	f.want(want)
	f.states(one(store.ActionConfirmed))
}

// each returns the ids of the tickets that [store.Store.EachDue] names.
func (f *fixture) each() (ids []string) {
	f.t.Helper()
	f.must(f.store.EachDue(f.ctx, channel, func(t *store.Ticket) error {
		ids = append(ids, t.NetworkItemID)
		return nil
	}))
	return ids
}

// counts compares how many tickets are due, as other processes count them.
func (f *fixture) counts(want int) {
	f.t.Helper()
	counts, err := f.store.DueCounts(f.ctx)
	f.must(err)
	f.same(counts[channel], want)
}

func ownGate(_ *testing.T, f *fixture) {
	l := f.deliverer()
	f.put(synced("1"), ownPost("own"), wanted("not own"), with(ownPost("own of b"), func(t *store.Ticket) { t.Source = sourceB }))
	want := func(ids ...string) {
		f.t.Helper()
		f.same(sorted(f.due(l, 9)), ids)
		f.same(f.each(), ids)
		f.counts(len(ids))
	}
	held, free := []string{"not own", "own of b"}, []string{"not own", "own", "own of b"}
	want(free...)
	f.receive(event("k"))
	want(free...)
	f.begin(l, "k")
	want(held...)
	f.step(l, store.ActionStep{Key: "k", From: store.ActionPerforming, To: store.ActionReceived, Wait: true, After: time.Hour})
	want(held...)
	f.begin(l, "k")
	f.step(l, posted("k", "r"))
	want(free...)
	f.step(l, ends("k", store.ActionPerformed, store.ActionPerformed, false))
	want(free...)
	for i, end := range []store.ActionState{store.ActionFailed, store.ActionUncertain, store.ActionReported, store.ActionConfirmed} {
		key := string(end)
		f.receive(on("1", time.Duration(i), key))
		want(free...)
		f.begin(l, key)
		want(held...)
		f.step(l, ends(key, store.ActionPerforming, end, end == store.ActionFailed))
		want(free...)
		if end == store.ActionUncertain {
			_, err := f.store.RetryActions(f.ctx, channel, []string{key})
			f.must(err)
			want(held...)
			f.step(l, ends(key, store.ActionPerforming, end, true))
		}
	}
}

func replyGate(_ *testing.T, f *fixture) {
	l := f.deliverer()
	f.put(synced("1"))
	f.receive(event("k"))
	f.begin(l, "k")
	f.step(l, posted("k", "r"))
	f.put(with(f.rows("r")[0], func(t *store.Ticket) { t.WantedHash, t.Payload, t.State = "2", "two", store.Pending }))
	f.same(f.due(l, 9), []string(nil))
	f.step(l, ends("k", store.ActionPerformed, store.ActionPerformed, false))
	f.same(f.due(l, 9), []string(nil))
	f.same(f.each(), []string(nil))
	f.step(l, confirmed("k", "id-r"))
	f.same(f.due(l, 9), []string{"r"})
}
