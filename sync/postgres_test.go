package sync

import (
	"fmt"
	gosync "sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/socialhub"
	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/store"
	"socialhub-sync/store/storetest"
)

// onPostgres runs a test on a database of its own, in real time: sockets don't go with fake time.
func onPostgres(t *testing.T, options sandbox.Options, f func(*testing.T, *world)) {
	t.Parallel()
	f(t, newWorldOn(t, migratedPostgres(t), options, sandbox.ChannelOptions{}))
}

// migratedPostgres is an empty database of Postgres.
func migratedPostgres(t *testing.T) string {
	t.Helper()
	url := storetest.Postgres(t)
	s, err := store.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return url
}

// onBothEngines runs a test of single steps on SQLite and on Postgres.
func onBothEngines(t *testing.T, f func(*testing.T, *world)) {
	t.Run("sqlite", func(t *testing.T) {
		inBubble(t, func(t *testing.T) { f(t, newWorld(t, sandbox.Options{}, sandbox.ChannelOptions{})) })
	})
	t.Run("postgres", func(t *testing.T) { onPostgres(t, sandbox.Options{}, f) })
}

func TestRoundsOnPostgres(t *testing.T) {
	onPostgres(t, sandbox.Options{}, func(t *testing.T, w *world) {
		w.options.Channels[0].Client.Create(t.Context(), &socialhub.Interaction{NetworkItemID: "exists-1", Message: "?"})
		w.shelf.put(reply("reply-1", "root-1", "re"), text("root-1", "A"), text("exists-1", "A"), text("bad", "A"), text("gone-1", "A"))
		w.shelf.fill("item", 100)
		if got := w.once(); got != (ChannelTally{Created: 103, Unlinked: 1}) {
			t.Fatalf("first: %+v", got)
		}
		rows := w.dump("tickets")
		w.shelf.fill("item", 100)
		if got := w.once(); got != (ChannelTally{}) {
			t.Errorf("unchanged: %+v", got)
		}
		if diff := cmp.Diff(rows, w.dump("tickets")); diff != "" {
			t.Errorf("rows were written: %s", diff)
		}
		w.shelf.put(text("item-00007", "B"), text("exists-1", "B"), text("new-001", "A"))
		if got := w.once(); got != (ChannelTally{Created: 1, Updated: 1}) || w.message("item-00007") != "B" {
			t.Errorf("changed: %+v", got)
		}
		ticket, _ := w.box.Ticket(w.channel.ID, "exists-1")
		if _, err := w.store.Adopt(t.Context(), w.channel.ID, []store.Link{{NetworkItemID: "exists-1", TicketID: ticket.ID}}); err != nil {
			t.Fatal(err)
		}
		if got := w.once(); got != (ChannelTally{Updated: 1}) || w.message("exists-1") != "B" {
			t.Errorf("adopted: %+v", got)
		}
		if got := w.box.Tickets(w.channel.ID)[1].Interaction.NetworkItemID; got != "root-1" && w.row("reply-1").State != store.Synced {
			t.Errorf("%s came before its root", got)
		}
		w.noLeases()
	})
}

func TestTwoProcessesOnPostgresDeliverEachTicketOnce(t *testing.T) {
	onPostgres(t, sandbox.Options{Latency: time.Millisecond}, func(t *testing.T, w *world) {
		second := &shelf{}
		w.options.Sources = append(w.options.Sources, w.source("second", second))
		for round := range 3 {
			w.shelf.fill(fmt.Sprint("item", round), 60)
			second.fill(fmt.Sprint("item", round), 80) // 60 of them are both sources'
			var group gosync.WaitGroup
			for range 2 {
				e := w.engine()
				group.Go(func() {
					if err := e.RunOnce(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()
		}
		w.once()
		if posts := w.requests(sandbox.RoutePost); posts != 240 || w.delivered() != 240 {
			t.Errorf("%d POSTs and %d tickets for 240 items", posts, w.delivered())
		}
		w.noLeases()
	})
}

func TestEveryAnswerIsStoredThoughPostgresDropsItsConnections(t *testing.T) {
	onPostgres(t, sandbox.Options{}, func(t *testing.T, w *world) {
		db := w.sql()
		defer db.Close()
		w.shelf.fill("item", 60)
		posts := 0
		var mu gosync.Mutex
		w.box.SetFaults(func(c sandbox.Call) sandbox.Fault {
			mu.Lock()
			defer mu.Unlock()
			if c.Route == sandbox.RoutePost {
				posts++
			}
			if c.Route == sandbox.RoutePost && posts%10 == 5 {
				if _, err := db.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"); err != nil {
					t.Error(err)
				}
			}
			return sandbox.Fault{}
		})
		for range 10 {
			w.once()
			if w.delivered() == 60 {
				break
			}
		}
		w.once()
		if w.requests(sandbox.RoutePost) != 60 || w.delivered() != 60 {
			t.Errorf("%d POSTs, %d tickets for 60 items", w.requests(sandbox.RoutePost), w.delivered())
		}
		status, err := w.store.ChannelStatuses(t.Context())
		if err != nil || status[0].Counts[store.Synced] != 60 {
			t.Errorf("%+v %v", status, err)
		}
		w.noLeases()
	})
}
