package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/store"
)

// day is in the milliseconds of the database.
const day = 24 * 60 * 60 * 1000

// clock is the database's clock in its own words.
func clock(url string) string {
	if strings.HasPrefix(url, "sqlite:") {
		return "(CAST(unixepoch('subsec') * 1000 AS INTEGER))"
	}
	return "((extract(epoch from clock_timestamp()) * 1000)::bigint)"
}

// daysAgo is a time in the database's own words.
func daysAgo(url string, days int) string { return fmt.Sprintf("(%s - %d)", clock(url), days*day) }

func upkeep(t *testing.T, s *store.Store, keep store.Retention) store.Removed {
	t.Helper()
	removed, done, err := s.Upkeep(t.Context(), "me", keep)
	if err != nil || !done {
		t.Fatalf("done: %v, %v", done, err)
	}
	return removed
}

func TestWhatIsOldGoesAlthoughItIsMuch(t *testing.T) {
	onEachEngine(t, func(t *testing.T, url string) {
		filled(t, url)
		numbers := "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1203) "
		raw(t, url,
			numbers+`INSERT INTO actions (channel_id, action_key, uuids, type, action_id, network_item_id, ticket_id, source, state,
				happened_at, received_at, changed_at)
				SELECT 'c', 'old ' || i, '', '', '', '', '', '', CASE WHEN i <= 1200 THEN 'confirmed' ELSE 'uncertain' END, 0, 0, `+daysAgo(url, 31)+` FROM n`,
			numbers+`INSERT INTO actions (channel_id, action_key, uuids, type, action_id, network_item_id, ticket_id, source, state,
				happened_at, received_at, changed_at)
				SELECT 'c', 'new ' || i, '', '', '', '', '', '', 'dismissed', 0, 0, `+daysAgo(url, 29)+` FROM n WHERE i <= 10`,
			numbers+`INSERT INTO polls (channel_id, began, source, backfill, outcome, polls, took, new, changed, unchanged, rejected, mended)
				SELECT 'c', `+clock(url)+` - CAST(i AS bigint) * 3600000, 'a', '', 'unchanged', 1, 0, 0, 0, 0, 0, 0 FROM n`)
		s := open(t, url)
		got := upkeep(t, s, store.Retention{Actions: 30 * 24 * time.Hour, Polls: 24 * time.Hour})
		if diff := cmp.Diff(store.Removed{Actions: 1200, Polls: 1180}, got, cmp.Comparer(near)); diff != "" {
			t.Error(diff)
		}
		counts, err := s.ActionCounts(t.Context())
		want := map[store.ActionState]int{store.ActionUncertain: 3, store.ActionDismissed: 10, store.ActionReceived: 1}
		if diff := cmp.Diff(want, counts["c"]); diff != "" || err != nil {
			t.Error(diff, err)
		}
	})
}

// near lets the clock go on by an hour during the test.
func near(a, b int) bool { return a-b <= 1 && b-a <= 1 }

// Each case is a source and one of its tickets, by how many days ago something was. The tickets are kept for 100 days.
func TestATicketGoesOnlyIfItsSourceWouldHaveBroughtItsItem(t *testing.T) {
	onEachEngine(t, func(t *testing.T, url string) {
		filled(t, url)
		const never = -1
		cases := []struct {
			name                       string
			since, last, changed, seen int
			goes                       bool
		}{
			{"unseen for long, and others were brought", 300, 0, 300, never, true},
			{"seen long ago", 300, 0, 400, 130, true},
			{"seen within the time", 300, 0, 400, 90, false},
			{"noted as seen up to a quarter of the time ago", 300, 0, 400, 120, false},
			{"changed within the time", 300, 0, 90, never, false},
			{"the source has said for long that nothing changed", 400, 300, 350, 350, false},
			{"noted for a short time only", 50, 0, 400, never, false},
			{"never noted", never, never, 400, never, false},
		}
		at := func(days int) string {
			if days == never {
				return "NULL"
			}
			return daysAgo(url, days)
		}
		for i, c := range cases {
			raw(t, url, fmt.Sprintf(`INSERT INTO sources (channel_id, name, adapter, seen_since, seen_last) VALUES ('c', 's%d', '', %s, %s)`,
				i, at(c.since), at(c.last)),
				fmt.Sprintf(`INSERT INTO tickets (channel_id, network_item_id, source, ticket_id, wanted_hash, delivered_hash, state, changed_at, seen_at)
				VALUES ('c', 't%d', 's%d', 'id', '1', '1', 'synced', %s, %s)`, i, i, at(c.changed), at(c.seen)))
		}
		s := open(t, url)
		upkeep(t, s, store.Retention{Tickets: 100 * 24 * time.Hour})
		for i, c := range cases {
			id := fmt.Sprintf("t%d", i)
			found, err := s.Tickets(t.Context(), "c", []string{id})
			if err != nil || (found[id] == nil) != c.goes {
				t.Errorf("%s: gone: %v, want %v, %v", c.name, found[id] == nil, c.goes, err)
			}
		}
	})
}

func TestWhatWasSeenIsNotedOnceInAQuarterOfTheTime(t *testing.T) {
	onEachEngine(t, func(t *testing.T, url string) {
		filled(t, url)
		s := open(t, url)
		raw(t, url, `UPDATE tickets SET changed_at = `+daysAgo(url, 30))
		saw := func() {
			t.Helper()
			if err := s.Saw(t.Context(), "c", []string{"1"}, 100*24*time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		saw()
		if column(t, url, "seen_at") == "NULL" {
			t.Error("it was not noted")
		}
		raw(t, url, `UPDATE tickets SET seen_at = `+daysAgo(url, 24))
		before := column(t, url, "seen_at")
		saw()
		if after := column(t, url, "seen_at"); after != before {
			t.Errorf("written again after 24 of 25 days: %s, then %s", before, after)
		}
		raw(t, url, `UPDATE tickets SET seen_at = `+daysAgo(url, 26))
		before = column(t, url, "seen_at")
		saw()
		if after := column(t, url, "seen_at"); after == before {
			t.Error("not written again after 26 days")
		}
	})
}

// column is what the only ticket has.
func column(t *testing.T, url, name string) string {
	t.Helper()
	var text string
	query(t, url, "SELECT coalesce(CAST("+name+" AS text), 'NULL') FROM tickets", &text)
	return text
}

// query reads one value that the store does not offer.
func query(t *testing.T, url, text string, into any) {
	t.Helper()
	driver, name := "pgx", url
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		driver, name = "sqlite", path
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRowContext(t.Context(), text).Scan(into); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

func TestKeepingTicketsForEverForgetsWhatWasNoted(t *testing.T) {
	onEachEngine(t, func(t *testing.T, url string) {
		lease := filled(t, url)
		s := open(t, url)
		if err := s.FinishPoll(t.Context(), lease, store.PollResult{Seen: true}); err != nil {
			t.Fatal(err)
		}
		noted := func() (n int) {
			query(t, url, "SELECT count(*) FROM sources WHERE seen_since IS NOT NULL AND seen_last IS NOT NULL", &n)
			return n
		}
		if noted() != 1 {
			t.Error("the poll was not noted")
		}
		upkeep(t, s, store.Retention{Tickets: 1000 * time.Hour})
		if noted() != 1 {
			t.Error("it was forgotten too early")
		}
		if _, _, err := s.Upkeep(t.Context(), "me", store.Retention{}); err != nil || noted() != 0 {
			t.Errorf("it is still noted, %v", err)
		}
	})
}

func TestAnUpkeepThatWasCutOffIsTakenUpWhenItsLeaseEnds(t *testing.T) {
	onEachEngine(t, func(t *testing.T, url string) {
		filled(t, url)
		s := open(t, url)
		raw(t, url, `UPDATE upkeep SET lease_owner = 'dead', lease_until = `+clock(url)+` + 60000`)
		if _, done, err := s.Upkeep(t.Context(), "me", store.Retention{}); done || err != nil {
			t.Errorf("%v, %v: another process is at it", done, err)
		}
		raw(t, url, `UPDATE upkeep SET lease_until = `+daysAgo(url, 1))
		upkeep(t, s, store.Retention{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		raw(t, url, `UPDATE upkeep SET due = 0`)
		if _, done, err := s.Upkeep(ctx, "me", store.Retention{}); done || err == nil {
			t.Errorf("%v, %v: it was told to stop", done, err)
		}
		upkeep(t, s, store.Retention{})
	})
}

// What only something else can do to a database.
func TestExaminingFindsWhatTheStoreNeverDoes(t *testing.T) {
	onEachEngine(t, func(t *testing.T, url string) {
		filled(t, url)
		kinds := map[store.FindingKind][]string{
			store.FindUndelivered: {`UPDATE tickets SET state = 'pending', due = ` + daysAgo(url, 1)},
			store.FindUnpolled:    {`UPDATE sources SET lease_until = 0, lease_owner = '', next_poll = ` + daysAgo(url, 1)},
			store.FindUpkeepLate:  {`UPDATE upkeep SET due = ` + daysAgo(url, 4)},
			store.FindActionContentLeft: {`INSERT INTO actions (channel_id, action_key, uuids, type, action_id, network_item_id, ticket_id, source, state,
				happened_at, received_at, changed_at, payload) VALUES ('c', 'x', '', '', '', '', '', '', 'confirmed', 0, 0, 0, 'left')`},
			store.FindStatistics: {`UPDATE sqlite_stat1 SET stat = '5 5 1' WHERE idx = 'tickets_open'`},
		}
		if !strings.HasPrefix(url, "sqlite:") {
			kinds[store.FindStatistics] = []string{`ALTER TABLE tickets SET (autovacuum_enabled = false)`,
				`INSERT INTO tickets (channel_id, network_item_id, source, ticket_id, wanted_hash, delivered_hash, state, changed_at)
				SELECT 'c', 'i' || i, 'a', repeat('t', 400), '1', '1', 'synced', 0 FROM generate_series(1, 12000) AS i`}
			kinds[store.FindBrokenIndex] = []string{`UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'actions_ended'::regclass`}
		}
		s := open(t, url)
		found, _, err := s.Examine(t.Context())
		if err != nil || len(found) != 0 {
			t.Fatalf("%v, %v: want nothing", found, err)
		}
		for _, statements := range kinds {
			raw(t, url, statements...)
		}
		found, _, err = s.Examine(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			delete(kinds, f.Kind)
		}
		if len(kinds) > 0 || len(found) > 6 {
			t.Errorf("not found: %v; found %+v", kinds, found)
		}
	})
}

func TestADamagedFileIsFound(t *testing.T) {
	t.Parallel()
	url := engines[0].url(t)
	filled(t, url)
	raw(t, url, `PRAGMA wal_checkpoint(TRUNCATE)`)
	path := strings.TrimPrefix(url, "sqlite:")
	var page, size int
	query(t, url, `SELECT rootpage FROM sqlite_schema WHERE name = 'tickets_open'`, &page)
	query(t, url, `PRAGMA page_size`, &size)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copy(data[page*size-64:], strings.Repeat("\xee", 64)) // the index's only entry
	url += "-damaged"
	if err := os.WriteFile(path+"-damaged", data, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := store.OpenReadOnly(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	found, _, err := s.Examine(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		if f.Kind == store.FindDamage {
			return
		}
	}
	t.Errorf("no damage in %+v", found)
}
