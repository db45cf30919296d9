package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/store"
	"socialhub-sync/store/storetest"
)

// onEachEngine runs a test with the URL of a new, empty database.
func onEachEngine(t *testing.T, test func(t *testing.T, url string)) {
	t.Parallel()
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			test(t, e.url(t))
		})
	}
}

// raw runs statements that the store does not offer.
func raw(t *testing.T, url string, statements ...string) {
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
	for _, statement := range statements {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func migrate(t *testing.T, s *store.Store) []string {
	t.Helper()
	applied, err := s.Migrate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return applied
}

func TestMigratingAgainDoesNothing(t *testing.T) {
	onEachEngine(t, func(t *testing.T, url string) {
		s := open(t, url)
		if diff := cmp.Diff([]string{"00001_init.sql", "00002_held.sql", "00003_actions.sql", "00004_upkeep.sql"}, migrate(t, s)); diff != "" {
			t.Error(diff)
		}
		if applied := migrate(t, s); applied != nil {
			t.Errorf("applied %v again", applied)
		}
		if applied := migrate(t, open(t, url)); applied != nil {
			t.Errorf("another process applied %v again", applied)
		}
		if err := s.CheckSchema(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestOfManyThatMigrateAtOnceOneDoes(t *testing.T) {
	const migrations = 4
	onEachEngine(t, func(t *testing.T, url string) {
		var all sync.WaitGroup
		applied := make(chan string, 100)
		for range 5 {
			s := open(t, url)
			all.Go(func() {
				names, err := s.Migrate(t.Context())
				if err != nil {
					t.Error(err)
				}
				for _, name := range names {
					applied <- name
				}
			})
		}
		all.Wait()
		if len(applied) != migrations {
			t.Errorf("%d migrations were applied, want %d", len(applied), migrations)
		}
	})
}

func TestANewerDatabaseIsRefused(t *testing.T) {
	onEachEngine(t, func(t *testing.T, url string) {
		s := open(t, url)
		migrate(t, s)
		raw(t, url, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)")
		if _, err := s.Migrate(t.Context()); !errors.Is(err, store.ErrNewer) {
			t.Errorf("Migrate: %v", err)
		}
		if err := s.CheckSchema(t.Context()); !errors.Is(err, store.ErrNewer) {
			t.Errorf("CheckSchema: %v", err)
		}
	})
}

func TestAnEmptyDatabaseIsOlderAndCalledEmpty(t *testing.T) {
	onEachEngine(t, func(t *testing.T, url string) {
		s := open(t, url)
		if err := s.CheckSchema(t.Context()); !errors.Is(err, store.ErrOlder) || !errors.Is(err, store.ErrEmpty) {
			t.Errorf("CheckSchema: %v", err)
		}
		if _, err := s.ChannelStates(t.Context()); err == nil {
			t.Error("it has a schema")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.CheckSchema(ctx); err == nil || errors.Is(err, store.ErrOlder) {
			t.Errorf("CheckSchema of a database that does not answer: %v", err)
		}
	})
}

func TestAnOlderDatabaseIsNotCalledEmpty(t *testing.T) {
	onEachEngine(t, func(t *testing.T, url string) {
		raw(t, url, "CREATE TABLE goose_db_version (version_id integer)", "INSERT INTO goose_db_version VALUES (0)")
		s := open(t, url)
		if err := s.CheckSchema(t.Context()); !errors.Is(err, store.ErrEmpty) {
			t.Errorf("before the first migration: %v", err)
		}
		raw(t, url, "INSERT INTO goose_db_version VALUES (-1)", "DELETE FROM goose_db_version WHERE version_id = 0")
		if err := s.CheckSchema(t.Context()); !errors.Is(err, store.ErrOlder) || errors.Is(err, store.ErrEmpty) {
			t.Errorf("older: %v", err)
		}
		raw(t, url, "DROP TABLE goose_db_version", "CREATE TABLE goose_db_version (other integer)")
		if err := s.CheckSchema(t.Context()); err == nil || errors.Is(err, store.ErrOlder) {
			t.Errorf("a table of something else: %v", err)
		}
	})
}

var readOnlyKey = store.PollKey{ChannelID: "c", Source: "a"}

// filled is a database with one channel, one source, whose poll is leased, one rejected ticket and one action on it.
func filled(t *testing.T, url string) store.PollLease {
	t.Helper()
	s := open(t, url)
	migrate(t, s)
	if err := s.Register(t.Context(), map[string]string{"c": "support"}, []store.Stream{{PollKey: readOnlyKey}}); err != nil {
		t.Fatal(err)
	}
	leases, err := s.ClaimPolls(t.Context(), "me", []store.PollKey{readOnlyKey}, time.Hour, true)
	if err != nil {
		t.Fatal(err)
	}
	err = s.Ingest(t.Context(), leases[0], store.Intake{IDs: []string{"1"}, Decide: func(int, *store.Ticket) *store.Ticket {
		return &store.Ticket{NetworkItemID: "1", Source: "a", WantedHash: "1", State: store.Rejected, Payload: "p"}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Receive(t.Context(), "c", store.Receipt{Actions: []store.NewAction{{Key: "1", UUID: "1", NetworkItemID: "1"}}}); err != nil {
		t.Fatal(err)
	}
	return leases[0]
}

// It also shows that looking up unchanged items writes nothing.
func TestAReadOnlyStoreReadsAndNeverWrites(t *testing.T) {
	onEachEngine(t, func(t *testing.T, url string) {
		lease := filled(t, url)
		ctx := t.Context()
		s, err := store.OpenReadOnly(ctx, url)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		reads := map[string]func() (int, error){
			"CheckSchema":     func() (int, error) { return 1, s.CheckSchema(ctx) },
			"Migrate":         func() (int, error) { _, err := s.Migrate(ctx); return 1, err },
			"ChannelStates":   func() (int, error) { got, err := s.ChannelStates(ctx); return len(got), err },
			"ChannelStatuses": func() (int, error) { got, err := s.ChannelStatuses(ctx); return len(got), err },
			"SourceStatuses":  func() (int, error) { got, err := s.SourceStatuses(ctx); return len(got), err },
			"Problems":        func() (int, error) { got, err := s.Problems(ctx, "c", store.Rejected, 9); return len(got), err },
			"Tickets":         func() (int, error) { got, err := s.Tickets(ctx, "c", []string{"1"}); return len(got), err },
			"DueCounts":       func() (int, error) { got, err := s.DueCounts(ctx); return 1 + len(got), err },
			"EachDue":         func() (int, error) { return 1, s.EachDue(ctx, "c", func(*store.Ticket) error { return nil }) },
			"Differing": func() (int, error) {
				got, err := s.Differing(ctx, "c", "a", []store.Seen{{NetworkItemID: "1", Hash: "1"}, {NetworkItemID: "2", Hash: "1"}})
				return len(got), err
			},
			"DueActions": func() (int, error) {
				got, err := s.DueActions(ctx, store.DeliveryLease{}, 9, store.BusyActions{})
				return 1 + len(got), err
			},
			"StuckActions": func() (int, error) { got, err := s.StuckActions(ctx, "c", 9); return 1 + len(got), err },
			"OpenActions":  func() (int, error) { got, err := s.OpenActions(ctx, "c", 9); return len(got), err },
			"ActionCounts": func() (int, error) { got, err := s.ActionCounts(ctx); return len(got), err },
			"PollHistory":  func() (int, error) { got, err := s.PollHistory(ctx, time.Hour); return 1 + len(got), err },
			"PollHours":    func() (int, error) { got, err := s.PollHours(ctx, time.Hour); return 1 + len(got), err },
			"Examine":      func() (int, error) { _, got, err := s.Examine(ctx); return len(got), err },
			"Clock":        func() (int, error) { _, err := s.Clock(ctx); return 1, err },
			"EachMapping": func() (int, error) {
				return s.EachMapping(ctx, "c", func(store.Mapping) error { return nil })
			},
			"EachWaiting": func() (n int, err error) {
				return n, s.EachWaiting(ctx, "c", func(*store.Ticket) error { n++; return nil })
			},
		}
		for name, read := range reads {
			if n, err := read(); n != 1 || err != nil {
				t.Errorf("%s: %d, %v", name, n, err)
			}
		}
		delivery := store.DeliveryLease{ChannelID: "c"}
		writes := map[string]func() error{
			"Register":        func() error { return s.Register(ctx, map[string]string{"c": "x"}, nil) },
			"ClaimPolls":      func() error { _, err := s.ClaimPolls(ctx, "x", []store.PollKey{readOnlyKey}, 1, true); return err },
			"FinishPoll":      func() error { return s.FinishPoll(ctx, lease, store.PollResult{}) },
			"ReleasePoll":     func() error { return s.ReleasePoll(ctx, lease) },
			"RestartBackfill": func() error { return s.RestartBackfill(ctx, readOnlyKey) },
			"Ingest":          func() error { return s.Ingest(ctx, lease, store.Intake{Cursor: "x"}) },
			"ClaimChannel":    func() error { _, _, err := s.ClaimChannel(ctx, "x", "c", 1); return err },
			"ReleaseChannel":  func() error { return s.ReleaseChannel(ctx, delivery) },
			"RenewLeases":     func() error { _, err := s.RenewLeases(ctx, "me", store.Leases{}, 1); return err },
			"Settle":          func() error { return s.Settle(ctx, delivery, make([]store.Settlement, 1)) },
			"PauseChannel":    func() error { return s.PauseChannel(ctx, "c", store.Pause{Kind: store.Forbidden}) },
			"ResumeChannel":   func() error { _, err := s.ResumeChannel(ctx, "c"); return err },
			"ResumeSource":    func() error { _, err := s.ResumeSource(ctx, "c", "a"); return err },
			"ReleaseHeld":     func() error { _, err := s.ReleaseHeld(ctx, "c", "a", false); return err },
			"Retry":           func() error { _, err := s.Retry(ctx, "c", "", nil); return err },
			"Receive": func() error {
				_, err := s.Receive(ctx, "c", store.Receipt{Actions: []store.NewAction{{Key: "2", UUID: "2"}}})
				return err
			},
			"BeginAction":    func() error { return s.BeginAction(ctx, delivery, "1") },
			"StepAction":     func() error { return s.StepAction(ctx, delivery, store.ActionStep{Key: "1", To: store.ActionReported}) },
			"RetryActions":   func() error { _, err := s.RetryActions(ctx, "c", nil); return err },
			"DismissActions": func() error { _, err := s.DismissActions(ctx, "c", nil); return err },
			"Upkeep":         func() error { _, _, err := s.Upkeep(ctx, "me", store.Retention{}); return err },
			"Saw":            func() error { return s.Saw(ctx, "c", []string{"1"}, -time.Hour) },
			"Forget":         func() error { _, err := s.Forget(ctx, "c", []string{"2"}); return err },
			"Import": func() error {
				_, err := s.Import(ctx, "c", []store.Mapping{{NetworkItemID: "2", State: store.Gone}}, false)
				return err
			},
			"Adopt": func() error {
				_, err := s.Adopt(ctx, "c", []store.Link{{NetworkItemID: "1", TicketID: "t"}})
				return err
			},
		}
		for name, write := range writes {
			if err := write(); err == nil || errors.Is(err, store.ErrLeaseLost) || !strings.Contains(err.Error(), "read") {
				t.Errorf("%s: %v, want an error of the database that it can only be read", name, err)
			}
		}
		state, err := s.ChannelStates(ctx)
		if err != nil || state[0].Pause != (store.Pause{}) {
			t.Errorf("%+v, %v", state, err)
		}
	})
}

func TestOpeningAMissingFileReadOnlyIsAnErrorAndCreatesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"missing.db", "no/such/folder.db"} {
		if s, err := store.OpenReadOnly(t.Context(), "sqlite:"+filepath.Join(dir, name)); err == nil {
			t.Errorf("%s was opened: %v", name, s.Close())
		} else if !strings.Contains(err.Error(), name) {
			t.Errorf("%v: want it to name the file", err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestAFileMayHaveAnyName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"with space.db", "what?.db", "100%.db", "%41%2f.db", "a#b.db", "ü🦊.db", "a&b=c;d+e.db", "'quoted\".db", "no-extension"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			url := "sqlite:" + filepath.Join(dir, name)
			migrate(t, open(t, url))
			s, err := store.OpenReadOnly(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(s.CheckSchema(t.Context()), s.Close()); err != nil {
				t.Error(err)
			}
			files, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range files {
				if !strings.HasPrefix(f.Name(), name) {
					t.Errorf("it made a file %q", f.Name())
				}
			}
		})
	}
}

func TestARelativePathIsRelativeToTheWorkingFolder(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.Mkdir("data", 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"here.db", "./dot.db", "data/below.db", "data:with-colon.db"} {
		migrate(t, open(t, "sqlite:"+path))
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
}

func TestABadURLGivesOneClearErrorWithoutThePassword(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for _, c := range []struct{ url, want string }{
		{"", "want sqlite:PATH or postgres://"},
		{"mysql://u:hunter2@h/db", "want sqlite:PATH or postgres://"},
		{"hunter2", "want sqlite:PATH or postgres://"},
		{"host=h password=hunter2", "want sqlite:PATH or postgres://"},
		{"sqlite:", "path of a file"},
		{"sqlite::memory:", "path of a file"},
		{"sqlite:" + folder, ""},
		{"sqlite:" + filepath.Join(folder, "no", "such", "folder.db"), ""},
		{"postgres://u:hunter2@h:port/db", "not a valid Postgres URL"},
		{"postgres://u:hunter2@h/db?sslmode=hunter2", "not a valid Postgres URL"},
		{"postgres://u:hunter2%zz@h/db", "not a valid Postgres URL"},
		{"postgres://u:hunter2@127.0.0.1:1/db?sslmode=disable", "reach the database"},
		{"postgresql://u:hunter2@127.0.0.1:1/db?connect_timeout=5", "reach the database"},
	} {
		s, err := store.Open(t.Context(), c.url)
		if err == nil {
			t.Errorf("%s was opened: %v", c.url, s.Close())
			continue
		}
		if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %q and no password", c.url, err, c.want)
		}
	}
}

// A trigger on each table would fail every write.
func TestABatchWithoutDecisionsWritesNoTicket(t *testing.T) {
	onEachEngine(t, func(t *testing.T, url string) {
		lease := filled(t, url)
		for i, event := range []string{"INSERT", "UPDATE", "DELETE"} {
			if strings.HasPrefix(url, "sqlite:") {
				raw(t, url, fmt.Sprintf("CREATE TRIGGER stop%d BEFORE %s ON tickets BEGIN SELECT raise(FAIL, 'written'); END", i, event))
				continue
			}
			raw(t, url, `CREATE OR REPLACE FUNCTION stop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'written'; END $$`,
				fmt.Sprintf("CREATE TRIGGER stop%d BEFORE %s ON tickets FOR EACH STATEMENT EXECUTE FUNCTION stop()", i, event))
		}
		s := open(t, url)
		ingest := func(decide func(int, *store.Ticket) *store.Ticket) error {
			return s.Ingest(t.Context(), lease, store.Intake{IDs: []string{"1", "2"}, Cursor: "x", Decide: decide})
		}
		if err := ingest(func(int, *store.Ticket) *store.Ticket { return nil }); err != nil {
			t.Error(err)
		}
		err := ingest(func(_ int, current *store.Ticket) *store.Ticket { return current })
		if err == nil || !strings.Contains(err.Error(), "written") {
			t.Errorf("%v: the test sees no writes", err)
		}
	})
}

func TestAStoreOutlivesARestartOfItsServer(t *testing.T) {
	t.Parallel()
	cluster := storetest.StartCluster(t)
	s := open(t, cluster.URL("postgres"))
	migrate(t, s)
	if err := cluster.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ChannelStates(t.Context()); err == nil || !store.Unreachable(err) {
		t.Errorf("%v: want an error that waiting may mend", err)
	}
	if err := cluster.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ChannelStates(t.Context()); err != nil {
		t.Error(err)
	}
}
