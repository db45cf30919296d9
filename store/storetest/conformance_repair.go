package storetest

import (
	"fmt"
	"testing"
	"time"

	"socialhub-sync/store"
)

var repairChecks = []check{
	{"rejected tickets are tried again: those of the channel, of a source, or by id", func(t *testing.T, f *fixture) {
		refusedBy := func(source, id string) store.Ticket {
			return with(wanted(id), func(t *store.Ticket) { t.Source, t.State, t.Reason = source, store.Rejected, "no" })
		}
		all := []store.Ticket{refusedBy(sourceA, "a1"), refusedBy(sourceA, "a2"), refusedBy(sourceB, "b1"), refusedBy(sourceB, "b2"),
			unreadable("unreadable"), synced("synced"), with(wanted("gone"), func(t *store.Ticket) { t.State = store.Gone })}
		f.otherChannel("c2", refusedBy(sourceA, "elsewhere"))
		lease := f.deliverer()
		for _, c := range []struct {
			source string
			ids    []string
			want   []string
		}{
			{"", nil, []string{"a1", "a2", "b1", "b2"}},
			{sourceA, nil, []string{"a1", "a2"}},
			{"", []string{"b2", "a1", "unreadable", "synced", "gone", "elsewhere", "unknown", "\x00"}, []string{"a1", "b2"}},
			{sourceB, []string{"b2", "a1"}, []string{"b2"}},
			{"unknown", nil, nil},
		} {
			f.put(all...)
			got, err := f.store.Retry(f.ctx, channel, c.source, c.ids)
			f.must(err)
			f.same(sorted(got), c.want)
			f.same(sorted(f.due(lease, 99)), c.want)
		}
		f.want(all[4:]...)
	}},
	{"a retried ticket starts its attempts anew", func(t *testing.T, f *fixture) {
		f.put(wanted("1"))
		lease := f.deliverer()
		f.settle(lease, "1", store.Standing{State: store.Rejected, Attempts: 7, Reason: "no"})
		_, err := f.store.Retry(f.ctx, channel, "", nil)
		f.must(err)
		got := f.rows("1")[0]
		f.same(got.Attempts, 0)
		f.same(got.Payload, "one")
	}},
	{"a told id links what waited for it", func(t *testing.T, f *fixture) {
		unlinked := with(synced("shown"), func(t *store.Ticket) { t.TicketID, t.State, t.Reason = "", store.Unlinked, "exists" })
		waiting := with(changed("waiting"), func(t *store.Ticket) { t.TicketID, t.State, t.Reason = "", store.Unlinked, "waits" })
		unsure := with(waiting, func(t *store.Ticket) { t.NetworkItemID, t.DeliveredHash = "unsure", "" })
		never := with(waiting, func(t *store.Ticket) {
			t.NetworkItemID, t.DeliveredHash, t.Delivered = "never", "", false
		})
		f.put(unlinked, waiting, unsure, never, wanted("create"), with(wanted("rejected"), func(t *store.Ticket) { t.State, t.Reason = store.Rejected, "no" }))
		ids := []string{"create", "never", "rejected", "shown", "unsure", "waiting"}
		f.same(f.adopt(ids...), ids)
		link := func(t store.Ticket, state store.State, reason string) store.Ticket {
			t.TicketID, t.State, t.Reason = "told "+t.NetworkItemID, state, reason
			return t
		}
		f.want(link(unlinked, store.Synced, ""), link(waiting, store.Pending, ""), link(unsure, store.Pending, ""), link(never, store.Pending, ""),
			link(wanted("create"), store.Pending, ""), link(wanted("rejected"), store.Rejected, "no"))
		f.same(sorted(f.due(f.deliverer(), 9)), []string{"create", "never", "unsure", "waiting"})
	}},
	{"a told id never takes the place of another, nor revives a ticket", func(t *testing.T, f *fixture) {
		kept := []store.Ticket{synced("linked"), changed("changed")}
		for _, state := range []store.State{store.Gone, store.Skipped} {
			kept = append(kept, with(wanted(string(state)), func(t *store.Ticket) { t.State = state }))
		}
		f.put(kept...)
		f.same(f.adopt("linked", "changed", "gone", "skipped", "unknown", "NUL \x00"), []string(nil))
		f.want(kept...)
		f.absent("unknown")
	}},
	{"a pending ticket that gets its id stays put off", func(t *testing.T, f *fixture) {
		f.put(wanted("1"))
		lease := f.deliverer()
		f.settle(lease, "1", failing(2))
		f.same(f.adopt("1"), []string{"1"})
		f.same(f.due(lease, 9), []string(nil))
		f.same(f.rows("1")[0].Attempts, 2)
	}},
	{"known tickets are looked up by id, in their channel alone", func(t *testing.T, f *fixture) {
		f.otherChannel("c2", wanted("elsewhere"))
		f.put(synced("1"), wanted("2"), wanted("3"))
		found, err := f.store.Tickets(f.ctx, channel, []string{"2", "1", "elsewhere", "NUL \x00"})
		f.must(err)
		f.same(found, map[string]*store.Ticket{"1": new(synced("1")), "2": new(wanted("2"))})
		found, err = f.store.Tickets(f.ctx, channel, nil)
		f.must(err)
		f.same(len(found), 0)
	}},
}

// adopt tells an id for each of the tickets and returns those that took it.
func (f *fixture) adopt(ids ...string) []string {
	f.t.Helper()
	var links []store.Link
	for _, id := range ids {
		links = append(links, store.Link{NetworkItemID: id, TicketID: "told " + id})
	}
	got, err := f.store.Adopt(f.ctx, channel, links)
	f.must(err)
	return sorted(got)
}

var statusChecks = []check{
	{"tickets are counted by channel and state", func(t *testing.T, f *fixture) {
		want := map[store.State]int{store.Synced: 3, store.Pending: 2, store.Unlinked: 1, store.Rejected: 4, store.Gone: 1, store.Skipped: 2}
		for state, n := range want {
			for i := range n {
				f.put(with(wanted(fmt.Sprint(state, i)), func(t *store.Ticket) { t.State = state }))
			}
		}
		f.otherChannel("c2", wanted("elsewhere"))
		f.must(f.store.Register(f.ctx, map[string]string{"c3": "empty"}, nil))
		f.must(f.store.PauseChannel(f.ctx, channel, store.Pause{Kind: store.Forbidden}))
		got, err := f.store.ChannelStatuses(f.ctx)
		f.must(err)
		f.same(got, []store.ChannelStatus{
			{ID: "c2", Name: "c2", Counts: map[store.State]int{store.Synced: 0, store.Pending: 1}},
			{ID: "c3", Name: "empty", Counts: map[store.State]int{store.Synced: 0}},
			{ID: channel, Name: "support", Pause: store.Pause{Kind: store.Forbidden}, Counts: want},
		})
	}},
	{"sources are listed by name with what their last poll found", func(t *testing.T, f *fixture) {
		backfill := stream(sourceA)
		backfill.Backfill = "all"
		f.must(f.store.Register(f.ctx, nil, []store.Stream{backfill}))
		var names []string
		for _, s := range f.sources() {
			names = append(names, s.Source+s.Backfill)
			f.same(s.Adapter, "rss")
			if !s.LastPoll.IsZero() || !s.LastSuccess.IsZero() || !s.Finished.IsZero() || s.NextPoll.IsZero() {
				t.Errorf("never polled: %+v", s)
			}
			f.same(s.Polling, s.Backfill == "")
		}
		f.same(names, []string{"a", "aall", "b"})
		if off := time.Since(f.source(sourceB).NextPoll); off < -time.Minute || off > time.Minute {
			t.Errorf("the next poll is %v ago", off)
		}
	}},
	{"problems are listed by id, up to a limit", func(t *testing.T, f *fixture) {
		var want []*store.Ticket
		for i := range 4 {
			refused := with(wanted(fmt.Sprint(i)), func(t *store.Ticket) { t.State, t.Reason = store.Rejected, "no" })
			f.put(refused)
			want = append(want, &refused)
		}
		f.put(synced("synced"), with(wanted("gone"), func(t *store.Ticket) { t.State = store.Gone }))
		f.otherChannel("c2", with(wanted("elsewhere"), func(t *store.Ticket) { t.State = store.Rejected }))
		for _, limit := range []int{4, 100} {
			got, err := f.store.Problems(f.ctx, channel, store.Rejected, limit)
			f.must(err)
			f.same(got, want)
		}
		some, err := f.store.Problems(f.ctx, channel, store.Rejected, 3)
		f.must(err)
		again, err := f.store.Problems(f.ctx, channel, store.Rejected, 3)
		f.must(err)
		f.same(len(some), 3)
		f.same(some, again)
		got, err := f.store.Problems(f.ctx, channel, store.Synced, 9)
		f.must(err)
		f.same(len(got), 0)
	}},
}
