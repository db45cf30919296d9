package storetest

import (
	"testing"
	"time"

	"socialhub-sync/store"
)

// held is a delivered ticket whose change is held.
func held(id string) store.Ticket {
	t := synced(id)
	t.WantedHash, t.Payload, t.State = "2", "two", store.Held
	return t
}

// judge ends the holding back of source a's poll.
func (f *fixture) judge(limit, wantHeld, wantReleased int) {
	f.t.Helper()
	kept, released, err := f.store.JudgeHeld(f.ctx, f.polls[sourceA], limit)
	f.must(err)
	f.same([2]int{kept, released}, [2]int{wantHeld, wantReleased})
}

var heldChecks = []check{
	{"held changes are not due, and up to the limit they become due with the end of the poll", func(t *testing.T, f *fixture) {
		f.put(held("1"), held("2"))
		lease := f.deliverer()
		f.same(f.due(lease, 10), []string(nil))
		f.judge(2, 0, 2)
		f.same(f.due(lease, 10), []string{"1", "2"})
		f.same(f.source(sourceA).Held, 0)
	}},
	{"more than the limit stay held, and the source says how many until fewer are", func(t *testing.T, f *fixture) {
		f.put(held("1"), held("2"), held("3"))
		f.judge(2, 3, 0)
		f.same(f.source(sourceA).Held, 3)
		f.must(f.store.FinishPoll(f.ctx, f.polls[sourceA], store.PollResult{}))
		f.polls[sourceA] = f.claimed(sourceA)
		f.same(f.polls[sourceA].Held, 3)
		f.put(synced("1"), synced("2"), synced("3")) // the source shows the old content again
		f.judge(2, 0, 0)
		f.same(f.source(sourceA).Held, 0)
	}},
	{"what polls that fail let go is counted until one succeeds", func(t *testing.T, f *fixture) {
		again := func(result store.PollResult) {
			f.must(f.store.FinishPoll(f.ctx, f.polls[sourceA], result))
			f.polls[sourceA] = f.claimed(sourceA)
		}
		f.put(held("1"), held("2"))
		f.judge(3, 0, 2)
		again(store.PollResult{Error: "cut off"})
		f.put(held("3"), held("4"))
		f.judge(3, 2, 0)
		again(store.PollResult{Error: "cut off"})
		f.judge(3, 2, 0)
		again(store.PollResult{})
		f.judge(3, 0, 2)
		again(store.PollResult{Error: "cut off"})
		f.put(held("5"), held("6"))
		f.judge(3, 2, 0)
		n, err := f.store.ReleaseHeld(f.ctx, channel, sourceA, false)
		f.must(err)
		f.same(n, 2)
		f.put(held("7"))
		f.judge(3, 0, 1)
	}},
	{"no limit lets everything go", func(t *testing.T, f *fixture) {
		f.put(held("1"), held("2"), held("3"))
		f.judge(0, 0, 3)
	}},
	{"the changes of another source and of another channel are not counted", func(t *testing.T, f *fixture) {
		other := held("1")
		other.Source = sourceB
		f.put(other, held("2"))
		f.judge(1, 0, 1)
		f.same(f.rows("1")[0].State, store.Held)
	}},
	{"who lost the lease judges nothing", func(t *testing.T, f *fixture) {
		f.put(held("1"))
		lost := f.polls[sourceA]
		lost.Epoch--
		_, _, err := f.store.JudgeHeld(f.ctx, lost, 5)
		f.lost(err)
		f.same(f.rows("1")[0].State, store.Held)
	}},
	{"a release makes them due, a second one finds none", func(t *testing.T, f *fixture) {
		f.put(held("1"), held("2"))
		f.judge(1, 2, 0)
		for _, want := range []int{2, 0} {
			n, err := f.store.ReleaseHeld(f.ctx, channel, sourceA, false)
			f.must(err)
			f.same(n, want)
		}
		f.same(f.rows("1")[0].State, store.Pending)
		f.same(f.source(sourceA).Held, 0)
	}},
	{"a discard keeps the new content as seen and the delivered hash as it is, without the content", func(t *testing.T, f *fixture) {
		f.put(held("1"))
		n, err := f.store.ReleaseHeld(f.ctx, channel, sourceA, true)
		f.must(err)
		f.same(n, 1)
		want := synced("1")
		want.WantedHash = "2"
		f.same(f.rows("1"), []store.Ticket{want})
	}},
	{"an answer that comes after the change was held or dropped leaves it so", func(t *testing.T, f *fixture) {
		lease := f.deliverer()
		for _, discard := range []bool{false, true} {
			sending := synced("1")
			sending.WantedHash, sending.Payload, sending.State, sending.DeliveredHash = "2", "two", store.Pending, ""
			f.put(sending)
			change := held("1")
			change.WantedHash, change.Payload, change.DeliveredHash = "3", "three", ""
			f.put(change)
			want := store.Held
			if discard {
				_, err := f.store.ReleaseHeld(f.ctx, channel, sourceA, true)
				f.must(err)
				want = store.Synced
			}
			f.must(f.store.Settle(f.ctx, lease, []store.Settlement{{
				NetworkItemID: "1", Sent: "2", Delivered: new("2"),
				Same: store.Standing{State: store.Synced}, Changed: store.Standing{State: store.Pending, After: time.Second},
			}}))
			row := f.rows("1")[0]
			f.same(row.State, want)
			f.same(row.DeliveredHash, "2")
			f.same(row.Payload == "", discard)
		}
	}},
	{"an answer that settles nothing does not send what was held or dropped in the meantime", func(t *testing.T, f *fixture) {
		lease := f.deliverer()
		for _, answer := range []store.State{store.Pending, store.Rejected} {
			for _, discard := range []bool{false, true} {
				sending := synced("1")
				sending.WantedHash, sending.Payload, sending.State, sending.DeliveredHash = "2", "two", store.Pending, ""
				f.put(sending)
				sending.State = store.Held // the source showed something else and then this again
				f.put(sending)
				want := store.Held
				if discard {
					_, err := f.store.ReleaseHeld(f.ctx, channel, sourceA, true)
					f.must(err)
					want = store.Synced
				}
				f.must(f.store.Settle(f.ctx, lease, []store.Settlement{{
					NetworkItemID: "1", Sent: "2",
					Same: store.Standing{State: answer, Attempts: 1}, Changed: store.Standing{State: store.Pending},
				}}))
				row := f.rows("1")[0]
				f.same(row.State, want)
				f.same(row.Payload == "", discard)
				f.same(f.due(lease, 1), []string(nil))
			}
		}
	}},
	{"an answer about held content that arrived ends the holding", func(t *testing.T, f *fixture) {
		lease := f.deliverer()
		for _, arrived := range []store.State{store.Synced, store.Gone} {
			f.put(held("1"))
			f.must(f.store.Settle(f.ctx, lease, []store.Settlement{{
				NetworkItemID: "1", Sent: "2", Delivered: new("2"),
				Same: store.Standing{State: arrived}, Changed: store.Standing{State: store.Pending},
			}}))
			row := f.rows("1")[0]
			f.same(row.State, arrived)
			f.same(row.Payload, "")
		}
	}},
}
