package storetest

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"socialhub-sync/store"
)

var togetherChecks = []check{
	{"polling, delivering, repairing and looking at once end with the last content shown", lastContentWins},
	{"a store can be closed twice", func(t *testing.T, f *fixture) {
		f.must(f.store.Close())
		f.must(f.store.Close())
		if err := f.store.Ping(f.ctx); err == nil {
			t.Error("a closed store answers")
		}
	}},
}

const items, rounds = 40, 25

// lastContentWins lets two sources change the same items while one deliverer sends them to an inbox that
// remembers what it shows.
func lastContentWins(t *testing.T, f *fixture) {
	lease := f.deliverer()
	inbox := &inbox{shows: make(map[string]string)}
	polling := make(chan struct{})
	var polls, rest sync.WaitGroup
	run := func(all *sync.WaitGroup, step func() error, times int) {
		all.Go(func() {
			for range times {
				if err := step(); err != nil {
					t.Error(err)
					return
				}
				select {
				case <-polling:
					return
				default:
				}
			}
		})
	}
	for _, source := range []string{sourceA, sourceB} {
		run(&polls, func() error { return f.pollAtRandom(source) }, rounds)
	}
	run(&rest, func() error { _, err := f.deliverOnce(lease, inbox); return err }, 1_000_000)
	run(&rest, f.lookAround, 1_000_000)
	run(&rest, f.repairAtRandom, 1_000_000)
	polls.Wait()
	close(polling)
	rest.Wait()
	for {
		n, err := f.deliverOnce(lease, inbox)
		f.must(err)
		if n == 0 {
			break
		}
	}
	for i := range items {
		id := fmt.Sprint(i)
		for _, got := range f.rows(id) {
			if got.State != store.Synced || got.WantedHash != got.DeliveredHash || got.Payload != "" || got.WantedHash != inbox.shows[id] {
				t.Errorf("the inbox shows %q, the store has %+v", inbox.shows[id], got)
			}
		}
	}
}

// pollAtRandom brings some items, some with new content, as the engine does.
func (f *fixture) pollAtRandom(source string) error {
	var tickets []store.Ticket
	for _, i := range rand.Perm(items)[:items/2] {
		hash := fmt.Sprint(rand.IntN(4))
		tickets = append(tickets, store.Ticket{NetworkItemID: fmt.Sprint(i), WantedHash: hash, Payload: hash, RootID: fmt.Sprint(rand.IntN(items))})
	}
	in := store.Intake{Cursor: "x", Decide: func(i int, current *store.Ticket) *store.Ticket {
		next := tickets[i]
		next.Source, next.State = source, store.Pending
		if current == nil {
			return &next
		}
		next.TicketID, next.Delivered, next.DeliveredHash = current.TicketID, current.Delivered, current.DeliveredHash
		switch {
		case current.Delivered && current.DeliveredHash == next.WantedHash:
			next.Payload, next.State = "", store.Synced
			if current.TicketID == "" {
				next.State = store.Unlinked
			}
		case current.State == store.Unlinked:
			next.State = store.Unlinked
		}
		return &next
	}}
	for _, t := range tickets {
		in.IDs = append(in.IDs, t.NetworkItemID)
	}
	return f.store.Ingest(f.ctx, f.polls[source], in)
}

// inbox is SocialHub as far as a deliverer sees it.
type inbox struct {
	mu    sync.Mutex
	shows map[string]string
}

// deliverOnce sends what is due and stores the results. Every third new ticket loses its id, as a lost answer does.
func (f *fixture) deliverOnce(lease store.DeliveryLease, in *inbox) (int, error) {
	due, err := f.store.Due(f.ctx, lease, 7, nil)
	if err != nil {
		return 0, err
	}
	var results []store.Settlement
	for _, t := range due {
		in.mu.Lock()
		in.shows[t.NetworkItemID] = t.Payload
		in.mu.Unlock()
		result := store.Settlement{
			NetworkItemID: t.NetworkItemID, Sent: t.WantedHash, Delivered: &t.WantedHash,
			Same: store.Standing{State: store.Synced}, Changed: store.Standing{State: store.Pending},
		}
		if t.TicketID == "" && rand.IntN(3) == 0 {
			result.Same.State, result.Changed.State = store.Unlinked, store.Unlinked
		} else {
			result.TicketID = "id-" + t.NetworkItemID
		}
		results = append(results, result)
	}
	if err := f.store.Settle(f.ctx, lease, results); err != nil {
		return 0, err
	}
	return len(due), f.repairAtRandom()
}

// repairAtRandom tells the id of every item to those that have none.
func (f *fixture) repairAtRandom() error {
	var links []store.Link
	for _, i := range rand.Perm(items) {
		links = append(links, store.Link{NetworkItemID: fmt.Sprint(i), TicketID: "id-" + fmt.Sprint(i)})
	}
	if _, err := f.store.Retry(f.ctx, channel, "", nil); err != nil {
		return err
	}
	_, err := f.store.Adopt(f.ctx, channel, links)
	return err
}

// lookAround reads as the status page and the deliverer do.
func (f *fixture) lookAround() error {
	channels, err := f.store.ChannelStatuses(f.ctx)
	if err != nil {
		return err
	}
	for state, n := range channels[0].Counts {
		if n < 0 || n > items {
			return fmt.Errorf("%d tickets are %s", n, state)
		}
	}
	if _, err := f.store.Differing(f.ctx, channel, sourceA, []store.Seen{{NetworkItemID: "1", Hash: "1"}}); err != nil {
		return err
	}
	_, err = f.store.RenewLeases(f.ctx, "poller", f.leasesOf(sourceA, sourceB), 1<<40)
	return err
}
