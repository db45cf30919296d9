package store_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"socialhub-sync/store"
	"socialhub-sync/store/storetest"
)

// Somebody else takes the rows in the other order. Postgres undoes the one that has waited for a second first,
// which is the store, unless the machine is very busy.
func TestWhoPostgresUndoesForADeadlockRunsAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		state store.State
		do    func(*store.Store, store.PollLease, store.DeliveryLease) error
	}{
		{"Settle", store.Pending, func(s *store.Store, _ store.PollLease, l store.DeliveryLease) error {
			rejected := store.Standing{State: store.Rejected}
			return s.Settle(t.Context(), l, []store.Settlement{
				{NetworkItemID: "2", Same: rejected, Changed: rejected}, {NetworkItemID: "3", Same: rejected, Changed: rejected},
			})
		}},
		{"Retry", store.Rejected, func(s *store.Store, l store.PollLease, _ store.DeliveryLease) error {
			got, err := s.Retry(t.Context(), l.ChannelID, "", []string{"2", "3"})
			if len(got) != 2 {
				t.Errorf("retried %q", got)
			}
			return err
		}},
		{"Ingest", store.Pending, func(s *store.Store, l store.PollLease, _ store.DeliveryLease) error {
			return s.Ingest(t.Context(), l, two(store.Rejected))
		}},
		{"Receive", store.Unlinked, func(s *store.Store, l store.PollLease, _ store.DeliveryLease) error {
			n, err := s.Receive(t.Context(), l.ChannelID, store.Receipt{Actions: []store.NewAction{
				{Key: "b", UUID: "b", NetworkItemID: "3", TicketID: "t3"}, {Key: "a", UUID: "a", NetworkItemID: "2", TicketID: "t2"},
			}})
			if n != 2 {
				t.Errorf("%d actions were taken", n)
			}
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			url := storetest.Postgres(t)
			lease := filled(t, url)
			s := open(t, url)
			if err := s.Ingest(t.Context(), lease, two(c.state)); err != nil {
				t.Fatal(err)
			}
			deliveries, _, err := s.ClaimChannel(t.Context(), "me", lease.ChannelID, time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			deadlock(t, url, func() error { return c.do(s, lease, deliveries) })
			found, err := s.Tickets(t.Context(), lease.ChannelID, []string{"2", "3"})
			if err != nil || len(found) != 2 || found["2"].State == c.state || found["3"].State == c.state {
				t.Errorf("%v, %v: nothing was done", found, err)
			}
		})
	}
}

// two stores the tickets 2 and 3 in a state.
func two(state store.State) store.Intake {
	ids := []string{"2", "3"}
	return store.Intake{IDs: ids, Decide: func(i int, _ *store.Ticket) *store.Ticket {
		return &store.Ticket{NetworkItemID: ids[i], Source: "a", WantedHash: "1", Payload: "p", State: state}
	}}
}

// deadlock runs do, which takes ticket 2 and then 3, against a transaction that takes them the other way round.
func deadlock(t *testing.T, url string, do func() error) {
	t.Helper()
	ctx := t.Context()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	lock := func(id string) error {
		_, err := conn.Exec(ctx, "SELECT 1 FROM tickets WHERE network_item_id = $1 FOR UPDATE", id)
		return err
	}
	if _, err := conn.Exec(ctx, "BEGIN"); err != nil {
		t.Fatal(err)
	}
	if err := lock("3"); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- do() }()
	waitForLock(t, conn)
	if err := lock("2"); err != nil {
		t.Log("the store was not undone:", err)
	}
	if _, err := conn.Exec(ctx, "COMMIT"); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// waitForLock returns when somebody else waits for a lock in the database.
func waitForLock(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	for waiting := false; !waiting; {
		err := conn.QueryRow(t.Context(), "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND pid IN (SELECT pid FROM pg_stat_activity WHERE datname = current_database()))").Scan(&waiting)
		if err != nil {
			t.Fatal(err)
		}
	}
}
