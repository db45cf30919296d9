package store_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"socialhub-sync/store"
	"socialhub-sync/store/storetest"
)

// A person releases the held changes while the end of a poll judges them. Somebody who has the row of another ticket keeps
// the release from its end until the poll waits for it.
func TestWhatWasReleasedWhileAPollWaitedIsNotSaidToBeHeld(t *testing.T) {
	t.Parallel()
	ctx, url := t.Context(), storetest.Postgres(t)
	lease := filled(t, url)
	s := open(t, url)
	ids := []string{"2", "3"}
	err := s.Ingest(ctx, lease, store.Intake{IDs: ids, Decide: func(i int, _ *store.Ticket) *store.Ticket {
		return &store.Ticket{NetworkItemID: ids[i], Source: lease.Source, TicketID: "id", WantedHash: "2", Payload: "p",
			Delivered: true, DeliveredHash: "1", State: store.Held}
	}})
	if err != nil {
		t.Fatal(err)
	}
	conn, watch := connect(t, url), connect(t, url)
	if _, err := conn.Exec(ctx, "BEGIN; SELECT 1 FROM tickets WHERE network_item_id = '2' FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	released, judged := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := s.ReleaseHeld(ctx, lease.ChannelID, lease.Source, false)
		released <- err
	}()
	untilWaiting(t, watch, 1)
	held := -1
	go func() {
		var err error
		held, _, err = s.JudgeHeld(ctx, lease, 1)
		judged <- err
	}()
	untilWaiting(t, watch, 2)
	if _, err := conn.Exec(ctx, "COMMIT"); err != nil {
		t.Fatal(err)
	}
	for _, done := range []chan error{released, judged} {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	sources, err := s.SourceStatuses(ctx)
	if err != nil || len(sources) != 1 || sources[0].Held != 0 || held != 0 {
		t.Errorf("%+v, %v: the poll found %d", sources, err, held)
	}
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

// untilWaiting returns when so many processes wait for a lock. A transaction would see one and the same answer again.
func untilWaiting(t *testing.T, conn *pgx.Conn, want int) {
	t.Helper()
	for n := 0; n < want; {
		err := conn.QueryRow(t.Context(), `SELECT count(*) FROM pg_stat_activity
			WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
	}
}
