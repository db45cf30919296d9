package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"socialhub-sync/store"
)

// failing puts a ticket off for an hour, after n attempts.
func failing(n int) store.Standing {
	return store.Standing{State: store.Pending, After: time.Hour, Attempts: n, Reason: "down"}
}

// late makes a ticket due since so long.
func late(by time.Duration) store.Standing {
	return store.Standing{State: store.Pending, After: -by}
}

var dueChecks = []check{
	{"live tickets go before backfill, and the longest due goes first", func(t *testing.T, f *fixture) {
		lease := f.deliverer()
		for i, hours := range []int{3, 1, 5, 2} {
			for _, backfill := range []bool{true, false} {
				id := fmt.Sprint(hours, "h")
				if backfill {
					id = "backfill " + id
				}
				f.put(with(wanted(id), func(t *store.Ticket) { t.Backfill = backfill }))
				f.settle(lease, id, late(time.Duration(hours)*time.Hour+time.Duration(i)))
			}
		}
		all := []string{"5h", "3h", "2h", "1h", "backfill 5h", "backfill 3h", "backfill 2h", "backfill 1h"}
		f.same(f.due(lease, 100), all)
		f.same(f.due(lease, 5), all[:5])
		f.same(f.due(lease, 2), all[:2])
		f.same(f.due(lease, 3, "5h", "2h", "backfill 5h"), []string{"3h", "1h", "backfill 3h"})
		f.same(f.due(lease, 100, all...), []string(nil))
	}},
	{"only pending tickets of the channel whose time has come are due", func(t *testing.T, f *fixture) {
		lease := f.deliverer()
		f.put(wanted("pending"), wanted("later"), synced("synced"))
		for _, state := range []store.State{store.Unlinked, store.Rejected, store.Gone, store.Skipped} {
			f.put(with(wanted(string(state)), func(t *store.Ticket) { t.State = state }))
		}
		f.settle(lease, "later", failing(1))
		f.otherChannel("c2", wanted("elsewhere"))
		f.same(f.due(lease, 100), []string{"pending"})
	}},
	{"a due ticket has all that is needed to send it", func(t *testing.T, f *fixture) {
		full := store.Ticket{
			NetworkItemID: "1", Source: sourceA, TicketID: "id", WantedHash: "1", Payload: "one", RootID: "root", Ref: "ref",
			State: store.Pending, Backfill: true, Reason: "why",
		}
		f.put(full)
		tickets, err := f.store.Due(f.ctx, f.deliverer(), 9, nil)
		f.must(err)
		if len(tickets) == 1 {
			if full.StoredAt = tickets[0].StoredAt; time.Since(full.StoredAt).Abs() > time.Hour {
				t.Errorf("stored at %v", full.StoredAt)
			}
		}
		f.same(tickets, []*store.Ticket{&full})
	}},
	{"a reply waits for a root that is still to be created, however often that fails", func(t *testing.T, f *fixture) {
		lease := f.deliverer()
		f.put(reply("reply", "root"), reply("reply to the reply", "reply"), wanted("root"))
		f.same(f.due(lease, 9), []string{"root"})
		f.same(f.due(lease, 9, "root"), []string(nil))
		f.settle(lease, "root", failing(1))
		f.same(f.due(lease, 9), []string(nil))
		f.settle(lease, "root", store.Standing{State: store.Synced})
		f.same(f.due(lease, 9), []string{"reply"})
		f.settle(lease, "reply", store.Standing{State: store.Unlinked})
		f.same(f.due(lease, 9), []string{"reply to the reply"})
	}},
	{"a reply does not wait for a root that is not on its way", func(t *testing.T, f *fixture) {
		lease := f.deliverer()
		f.put(reply("to unknown", "unknown"))
		want := []string{"to unknown"}
		for _, state := range []store.State{store.Synced, store.Unlinked, store.Rejected, store.Gone, store.Skipped} {
			f.put(with(wanted(string(state)), func(t *store.Ticket) { t.State = state }), reply("to "+string(state), string(state)))
			want = append(want, "to "+string(state))
		}
		changed := with(wanted("changed"), func(t *store.Ticket) { t.TicketID = "id" })
		f.put(changed, reply("to changed", "changed"))
		f.settle(lease, "changed", failing(1))
		f.same(sorted(f.due(lease, 99)), sorted(append(want, "to changed")))
	}},
	{"an update of a reply does not wait for its root", func(t *testing.T, f *fixture) {
		f.put(wanted("root"), with(reply("reply", "root"), func(t *store.Ticket) { t.TicketID = "id" }))
		f.same(sorted(f.due(f.deliverer(), 9)), []string{"reply", "root"})
	}},
	{"what SocialHub shows is unknown from the moment an update is taken", func(t *testing.T, f *fixture) {
		lease := f.deliverer()
		f.put(wanted("create"), changed("update"), changed("busy"), changed("later"))
		f.settle(lease, "later", failing(1))
		f.same(sorted(f.due(lease, 9, "busy")), []string{"create", "update"})
		f.same(f.rows("create")[0].Delivered, false)
		got := f.rows("update", "busy", "later")
		f.same([]string{got[0].DeliveredHash, got[1].DeliveredHash, got[2].DeliveredHash}, []string{"", "1", "1"})
		f.same(got[0].Delivered, true)
	}},
	{"nothing is due for who lost the channel, and nothing is marked", func(t *testing.T, f *fixture) {
		f.put(wanted("create"), changed("update"))
		lost := f.deliverer()
		f.must(f.store.ReleaseChannel(f.ctx, lost))
		now := f.deliverer()
		f.same(f.due(lost, 9), []string(nil))
		f.same(f.rows("update")[0].DeliveredHash, "1")
		f.same(len(f.due(now, 9)), 2)
	}},
}

// changed is a ticket with new content that SocialHub does not show yet.
func changed(id string) store.Ticket {
	return with(synced(id), func(t *store.Ticket) { t.WantedHash, t.Payload, t.State = "2", "two", store.Pending })
}

// otherChannel stores tickets in another channel.
func (f *fixture) otherChannel(id string, tickets ...store.Ticket) {
	f.t.Helper()
	k := store.PollKey{ChannelID: id, Source: sourceA}
	f.must(f.store.Register(f.ctx, map[string]string{id: id}, []store.Stream{{PollKey: k}}))
	f.must(f.ingest(f.claimPolls("poller", time.Hour, k)[0], "", tickets...))
}

// settleCase is one delivery: the ticket before, what happened to it meanwhile, the result, the ticket after.
type settleCase struct {
	name      string
	before    store.Ticket
	meanwhile func(*fixture)
	result    store.Settlement
	after     store.Ticket
	dueAtOnce bool
}

var (
	newContent = func(f *fixture) {
		f.put(with(f.rows("1")[0], func(t *store.Ticket) { t.WantedHash, t.Payload = "9", "nine" }))
	}
	newID = func(f *fixture) {
		linked, err := f.store.Adopt(f.ctx, channel, []store.Link{{NetworkItemID: "1", TicketID: "told"}})
		f.must(err)
		f.same(linked, []string{"1"})
	}
	both = func(f *fixture) { newContent(f); newID(f) }

	created  = settlement("1", "id-1", "1", store.Standing{State: store.Synced}, store.Standing{State: store.Pending, Reason: "changed"})
	conflict = settlement("1", "", "1", store.Standing{State: store.Unlinked}, store.Standing{State: store.Unlinked, Reason: "waits"})
	updated  = settlement("2", "", "2", store.Standing{State: store.Synced}, store.Standing{State: store.Pending})
	refused  = settlement("1", "", "-", store.Standing{State: store.Rejected, Attempts: 2, Reason: "too \x00 long"}, store.Standing{State: store.Pending})
	retried  = settlement("1", "", "-", failing(3), store.Standing{State: store.Pending})
	removed  = settlement("2", "", "-", store.Standing{State: store.Gone}, store.Standing{State: store.Gone, Reason: "removed"})
)

// settlement builds a result; "-" for delivered leaves the delivered hash.
func settlement(sent, id, delivered string, same, other store.Standing) store.Settlement {
	s := store.Settlement{NetworkItemID: "1", Sent: sent, TicketID: id, Same: same, Changed: other}
	if delivered != "-" {
		s.Delivered = &delivered
	}
	return s
}

func after(state store.State, wantedHash, payload, id, delivered string, more ...func(*store.Ticket)) store.Ticket {
	t := store.Ticket{NetworkItemID: "1", Source: sourceA, TicketID: id, WantedHash: wantedHash, Payload: payload, State: state}
	if delivered != "-" {
		t.Delivered, t.DeliveredHash = true, delivered
	}
	for _, change := range more {
		change(&t)
	}
	return t
}

func because(reason string, attempts int) func(*store.Ticket) {
	return func(t *store.Ticket) { t.Reason, t.Attempts = reason, attempts }
}

var settleCases = []settleCase{
	{name: "created", before: wanted("1"), result: created, after: after(store.Synced, "1", "", "id-1", "1")},
	{name: "created, and changed meanwhile", before: wanted("1"), meanwhile: newContent, result: created,
		after: after(store.Pending, "9", "nine", "id-1", "1", because("changed", 0)), dueAtOnce: true},
	{name: "created, and told meanwhile: the first id stays", before: wanted("1"), meanwhile: newID, result: created,
		after: after(store.Synced, "1", "", "told", "1")},
	{name: "existed already", before: wanted("1"), result: conflict, after: after(store.Unlinked, "1", "", "", "1")},
	{name: "existed already, and changed meanwhile: the content waits for the id", before: wanted("1"), meanwhile: newContent,
		result: conflict, after: after(store.Unlinked, "9", "nine", "", "1", because("waits", 0))},
	{name: "existed already, and its id is told meanwhile", before: wanted("1"), meanwhile: newID, result: conflict,
		after: after(store.Synced, "1", "", "told", "1")},
	{name: "existed already, changed and told meanwhile", before: wanted("1"), meanwhile: both, result: conflict,
		after: after(store.Pending, "9", "nine", "told", "1", because("waits", 0)), dueAtOnce: true},
	{name: "existed already with unknown content", before: wanted("1"),
		result: settlement("1", "", "", store.Standing{State: store.Unlinked}, store.Standing{State: store.Unlinked}),
		after:  after(store.Unlinked, "1", "one", "", "")},
	{name: "updated", before: changed("1"), result: updated, after: after(store.Synced, "2", "", "id-1", "2")},
	{name: "updated, and changed meanwhile", before: changed("1"), meanwhile: newContent, result: updated,
		after: after(store.Pending, "9", "nine", "id-1", "2"), dueAtOnce: true},
	{name: "refused", before: wanted("1"), result: refused,
		after: after(store.Rejected, "1", "one", "", "-", because("too \uFFFD long", 2))},
	{name: "refused, and changed meanwhile", before: wanted("1"), meanwhile: newContent, result: refused,
		after: after(store.Pending, "9", "nine", "", "-"), dueAtOnce: true},
	{name: "put off", before: wanted("1"), result: retried, after: after(store.Pending, "1", "one", "", "-", because("down", 3))},
	{name: "put off, and changed meanwhile", before: wanted("1"), meanwhile: newContent, result: retried,
		after: after(store.Pending, "9", "nine", "", "-"), dueAtOnce: true},
	{name: "an update put off: what SocialHub shows stays as it was known", before: changed("1"),
		result: settlement("2", "", "-", failing(1), store.Standing{State: store.Pending}),
		after:  after(store.Pending, "2", "two", "id-1", "1", because("down", 1))},
	{name: "an update put off whose fate is unknown", before: changed("1"),
		result: settlement("2", "", "", failing(1), store.Standing{State: store.Pending}),
		after:  after(store.Pending, "2", "two", "id-1", "", because("down", 1))},
	{name: "removed in SocialHub", before: changed("1"), result: removed, after: after(store.Gone, "2", "", "id-1", "1")},
	{name: "removed in SocialHub, and changed meanwhile", before: changed("1"), meanwhile: newContent, result: removed,
		after: after(store.Gone, "9", "", "id-1", "1", because("removed", 0))},
	{name: "skipped", before: wanted("1"),
		result: settlement("1", "", "-", store.Standing{State: store.Skipped}, store.Standing{State: store.Skipped}),
		after:  after(store.Skipped, "1", "", "", "-")},
}

var settleChecks = append(settleTable(), []check{
	{"who lost the channel can store nothing", func(t *testing.T, f *fixture) {
		f.put(wanted("1"), changed("2"))
		lost := f.deliverer()
		f.must(f.store.ReleaseChannel(f.ctx, lost))
		now := f.deliverer()
		stranger := now
		stranger.Owner = "stranger"
		for _, lease := range []store.DeliveryLease{lost, stranger} {
			f.lost(f.store.Settle(f.ctx, lease, []store.Settlement{created}))
		}
		f.must(f.store.ReleaseChannel(f.ctx, lost))
		f.want(wanted("1"), changed("2"))
		f.must(f.store.Settle(f.ctx, now, []store.Settlement{created}))
	}},
	{"many results are stored together, unknown tickets are passed over", func(t *testing.T, f *fixture) {
		var tickets []store.Ticket
		var results []store.Settlement
		for i := range 500 {
			tickets = append(tickets, wanted(fmt.Sprint(i)))
			result := created
			result.NetworkItemID, result.TicketID = fmt.Sprint(i), fmt.Sprint("id-", i)
			results = append(results, result)
		}
		f.put(tickets...)
		result := created
		result.NetworkItemID = "unknown"
		lease := f.deliverer()
		f.must(f.store.Settle(f.ctx, lease, append(results, result)))
		for i := range tickets {
			tickets[i] = synced(fmt.Sprint(i))
		}
		f.want(tickets...)
		f.absent("unknown")
		f.must(f.store.Settle(f.ctx, lease, nil))
	}},
}...)

func settleTable() []check {
	var checks []check
	for _, c := range settleCases {
		checks = append(checks, check{c.name, func(t *testing.T, f *fixture) {
			bystander := wanted("bystander")
			bystander.State = store.Rejected
			f.put(c.before, bystander)
			lease := f.deliverer()
			if c.meanwhile != nil {
				c.meanwhile(f)
			}
			f.must(f.store.Settle(f.ctx, lease, []store.Settlement{c.result}))
			f.want(c.after, bystander)
			f.same(slices.Contains(f.due(lease, 9), "1"), c.dueAtOnce)
		}})
	}
	return checks
}

var channelChecks = []check{
	{"one process delivers for a channel until it gives the lease back or the lease ends", func(t *testing.T, f *fixture) {
		first := f.deliverer()
		_, ok, err := f.store.ClaimChannel(f.ctx, "other", channel, time.Hour)
		f.must(err)
		f.same(ok, false)
		f.same(f.state().Owner, "deliverer")
		f.must(f.store.ReleaseChannel(f.ctx, first))
		f.same(f.state().Owner, "")
		second, ok, err := f.store.ClaimChannel(f.ctx, "other", channel, ended)
		f.must(err)
		if !ok || second.Epoch <= first.Epoch {
			t.Errorf("%+v after %+v", second, first)
		}
		f.same(f.state().Owner, "")
		if third := f.deliverer(); third.Epoch <= second.Epoch {
			t.Errorf("%+v after %+v", third, second)
		}
	}},
	{"one of many that claim a channel wins", func(t *testing.T, f *fixture) {
		won := make(chan int, 16)
		parallel(t, 16, func(n int) error {
			_, ok, err := f.store.ClaimChannel(f.ctx, fmt.Sprint(n), channel, time.Hour)
			if ok {
				won <- n
			}
			return err
		})
		f.same(len(won), 1)
	}},
	{"a channel that was never registered can't be claimed", func(t *testing.T, f *fixture) {
		_, ok, err := f.store.ClaimChannel(f.ctx, "x", "unknown", time.Hour)
		f.must(err)
		f.same(ok, false)
	}},
	{"a pause without end is shown until somebody resumes", func(t *testing.T, f *fixture) {
		pause := store.Pause{Kind: store.Unauthorized, Reason: "bad \x00 token", Fingerprint: "abc"}
		f.must(f.store.PauseChannel(f.ctx, channel, pause))
		pause.Reason = "bad \uFFFD token"
		f.same(f.state().Pause, pause)
		for _, want := range []bool{true, false} {
			paused, err := f.store.ResumeChannel(f.ctx, channel)
			f.must(err)
			f.same(paused, want)
			f.same(f.state().Pause, store.Pause{})
		}
	}},
	{"a pause with an end tells how long it still lasts", func(t *testing.T, f *fixture) {
		f.must(f.store.PauseChannel(f.ctx, channel, store.Pause{Kind: store.RateLimited, For: time.Hour}))
		got := f.state().Pause
		if got.Kind != store.RateLimited || got.For <= 50*time.Minute || got.For > time.Hour {
			t.Errorf("got %+v", got)
		}
	}},
	{"a pause that is over is not shown", func(t *testing.T, f *fixture) {
		f.must(f.store.PauseChannel(f.ctx, channel, store.Pause{Kind: store.RateLimited, For: time.Nanosecond}))
		eventually(t, func() bool { return f.state().Pause == store.Pause{} })
	}},
	{"a later pause takes the place of the one before", func(t *testing.T, f *fixture) {
		f.must(f.store.PauseChannel(f.ctx, channel, store.Pause{Kind: store.RateLimited, For: time.Hour, Reason: "slow"}))
		f.must(f.store.PauseChannel(f.ctx, channel, store.Pause{Kind: store.Forbidden, Fingerprint: "abc"}))
		f.same(f.state().Pause, store.Pause{Kind: store.Forbidden, Fingerprint: "abc"})
	}},
	{"a channel tells when its next ticket is due, live or backfill", func(t *testing.T, f *fixture) {
		lease := f.deliverer()
		f.put(synced("0"))
		f.same(f.state().Pending, false)
		f.put(with(wanted("1"), func(t *store.Ticket) { t.Backfill = true }), wanted("2"))
		if got := f.state(); !got.Pending || got.NextDue > 0 {
			t.Errorf("got %+v", got)
		}
		f.settle(lease, "1", failing(1))
		f.settle(lease, "2", store.Standing{State: store.Pending, After: 3 * time.Hour})
		if got := f.state(); !got.Pending || got.NextDue <= 50*time.Minute || got.NextDue > time.Hour {
			t.Errorf("got %+v", got)
		}
	}},
}

// state is the suite's channel.
func (f *fixture) state() store.ChannelState {
	f.t.Helper()
	states, err := f.store.ChannelStates(f.ctx)
	f.must(err)
	for _, s := range states {
		if s.ID == channel {
			return s
		}
	}
	f.t.Fatal("the channel is missing")
	return store.ChannelState{}
}

// eventually asks until the answer is yes, for a minute at most.
func eventually(t *testing.T, yes func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !yes(); {
		if time.Now().After(deadline) {
			t.Fatal("it never came")
		}
	}
}
