package storetest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/store"
)

// The suite's channel and its sources.
const channel, sourceA, sourceB = "c1", "a", "b"

// check is one test of the suite.
type check struct {
	name string
	run  func(*testing.T, *fixture)
}

// Run holds every engine to the same promises. open returns an empty database of its own, which is
// closed when the test ends.
func Run(t *testing.T, open func(t testing.TB) *store.Store) {
	for _, group := range []struct {
		name   string
		checks []check
	}{
		{"Polls", pollChecks},
		{"Differing", differingChecks},
		{"Ingest", ingestChecks},
		{"Due", dueChecks},
		{"Settle", settleChecks},
		{"Channels", channelChecks},
		{"Repair", repairChecks},
		{"Held", heldChecks},
		{"Status", statusChecks},
		{"Receive", receiveChecks},
		{"Actions", actionChecks},
		{"Replies", replyChecks()},
		{"Together", togetherChecks},
		{"Upkeep", upkeepChecks},
		{"History", historyChecks},
		{"Forget", forgetChecks},
		{"Export", exportChecks},
		{"Examine", examineChecks},
	} {
		t.Run(group.name, func(t *testing.T) {
			for _, c := range group.checks {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					c.run(t, newFixture(t, open(t)))
				})
			}
		})
	}
}

// fixture is a migrated store with one channel and two sources, whose polls are leased.
type fixture struct {
	t     *testing.T
	ctx   context.Context
	store *store.Store
	polls map[string]store.PollLease
}

func newFixture(t *testing.T, s *store.Store) *fixture {
	t.Helper()
	f := &fixture{t: t, ctx: t.Context(), store: s, polls: make(map[string]store.PollLease)}
	_, err := s.Migrate(f.ctx)
	f.must(err)
	f.must(s.Register(f.ctx, map[string]string{channel: "support"}, []store.Stream{stream(sourceA), stream(sourceB)}))
	for _, lease := range f.claimPolls("poller", time.Hour, key(sourceA), key(sourceB)) {
		f.polls[lease.Source] = lease
	}
	return f
}

func key(source string) store.PollKey { return store.PollKey{ChannelID: channel, Source: source} }

func stream(source string) store.Stream {
	return store.Stream{PollKey: key(source), Adapter: "rss", Schedule: "@every 1h", Next: time.Hour}
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) claimPolls(owner string, ttl time.Duration, keys ...store.PollKey) []store.PollLease {
	f.t.Helper()
	leases, err := f.store.ClaimPolls(f.ctx, owner, keys, ttl, true)
	f.must(err)
	return leases
}

// deliverer leases the channel's deliveries.
func (f *fixture) deliverer() store.DeliveryLease {
	f.t.Helper()
	lease, ok, err := f.store.ClaimChannel(f.ctx, "deliverer", channel, time.Hour)
	f.must(err)
	if !ok {
		f.t.Fatal("the channel is taken")
	}
	return lease
}

// wanted is a new ticket whose content is to be created.
func wanted(id string) store.Ticket {
	return store.Ticket{NetworkItemID: id, Source: sourceA, WantedHash: "1", Payload: "one", State: store.Pending}
}

// synced is a ticket that SocialHub shows as wanted.
func synced(id string) store.Ticket {
	return store.Ticket{
		NetworkItemID: id, Source: sourceA, TicketID: "id-" + id, WantedHash: "1", DeliveredHash: "1", Delivered: true, State: store.Synced,
	}
}

// put stores the tickets in one batch.
func (f *fixture) put(tickets ...store.Ticket) {
	f.t.Helper()
	f.must(f.ingest(f.polls[sourceA], "", tickets...))
}

func (f *fixture) ingest(lease store.PollLease, cursor string, tickets ...store.Ticket) error {
	in := store.Intake{Cursor: cursor, Decide: func(i int, _ *store.Ticket) *store.Ticket { return &tickets[i] }}
	for _, t := range tickets {
		in.IDs = append(in.IDs, t.NetworkItemID)
	}
	return f.store.Ingest(f.ctx, lease, in)
}

// rows returns the tickets with these ids.
func (f *fixture) rows(ids ...string) []store.Ticket {
	f.t.Helper()
	found, err := f.store.Tickets(f.ctx, channel, ids)
	f.must(err)
	var tickets []store.Ticket
	for _, id := range ids {
		if found[id] != nil {
			tickets = append(tickets, *found[id])
		}
	}
	return tickets
}

// want compares stored tickets with what they should be.
func (f *fixture) want(tickets ...store.Ticket) {
	f.t.Helper()
	var ids []string
	for _, t := range tickets {
		ids = append(ids, t.NetworkItemID)
	}
	f.same(f.rows(ids...), tickets)
}

// absent says that no ticket has one of these ids.
func (f *fixture) absent(ids ...string) {
	f.t.Helper()
	f.same(f.rows(ids...), []store.Ticket(nil))
}

func (f *fixture) same(got, want any) {
	f.t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		f.t.Errorf("(-want +got)\n%s", diff)
	}
}

// due returns the ids of the tickets to send, in their order.
func (f *fixture) due(lease store.DeliveryLease, limit int, busy ...string) []string {
	f.t.Helper()
	sending := make(map[string]bool)
	for _, id := range busy {
		sending[id] = true
	}
	tickets, err := f.store.Due(f.ctx, lease, limit, sending)
	f.must(err)
	var ids []string
	for _, t := range tickets {
		ids = append(ids, t.NetworkItemID)
	}
	return ids
}

// settle stores the result of sending a ticket made by [wanted]; it counts whatever is wanted by now.
func (f *fixture) settle(lease store.DeliveryLease, id string, standing store.Standing) {
	f.t.Helper()
	f.must(f.store.Settle(f.ctx, lease, []store.Settlement{{NetworkItemID: id, Sent: "1", Same: standing, Changed: standing}}))
}

// cursor is what the source's last batch left.
func (f *fixture) cursor(source string) string {
	f.t.Helper()
	cursor, _, err := f.store.Progress(f.ctx, key(source))
	f.must(err)
	return cursor
}

func sorted(texts []string) []string {
	slices.Sort(texts)
	return texts
}

// with returns a changed copy of a ticket.
func with(t store.Ticket, change func(*store.Ticket)) store.Ticket {
	change(&t)
	return t
}
