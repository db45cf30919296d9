package sqlsource

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"socialhub-sync/sources"
	"socialhub-sync/store/storetest"
)

// testEngine is a database that a test runs on.
type testEngine struct {
	name string
	// create returns the address of a new, empty database.
	create func(testing.TB) string
	// time, zoned, text and json are types of columns; time has no zone.
	time, zoned, text, json string
	quote                   string
}

var testEngines = []testEngine{
	{"postgres", storetest.Postgres, "timestamp", "timestamptz", "text", "jsonb", `"`},
	{"mariadb", newMariaDB, "datetime(6)", "timestamp(6)", "varchar(200)", "json", "`"},
	{"sqlite", func(tb testing.TB) string { return "sqlite:" + filepath.Join(tb.TempDir(), "my reviews.db") }, "datetime", "datetime", "text", "text", `"`},
}

// onEachEngine runs a test with a new database of each kind.
func onEachEngine(t *testing.T, test func(t *testing.T, e testEngine, address string)) {
	t.Parallel()
	for _, e := range testEngines {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			test(t, e, e.create(t))
		})
	}
}

// named quotes "a.b" for a query.
func (e testEngine) named(column string) string { return e.quote + column + e.quote }

// config is a source's `settings:`.
type config struct {
	database, query, cursor, more string
}

func (c config) settings(t testing.TB) *Settings {
	t.Helper()
	text := fmt.Sprintf("database: %q\nquery: %q\ncursor: %q\n%s", c.database, c.query, c.cursor, c.more)
	s := New().Settings()
	if err := yaml.UnmarshalWithOptions([]byte(text), s, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	return s.(*Settings)
}

// open opens a source as a config of the test's folder would.
func (c config) open(t testing.TB) sources.Source {
	t.Helper()
	s := c.settings(t)
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	return openSettings(t, s)
}

func openSettings(t testing.TB, s *Settings) sources.Source {
	t.Helper()
	src, err := s.Open(t.Context(), sources.Env{Name: "test", Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	})
	return src
}

// pulled is what a pull gave.
type pulled struct {
	items   []sources.Item
	batches []sources.Batch
	cursor  string
	err     error
}

func pullAll(t testing.TB, src sources.Source, req sources.Request) pulled {
	t.Helper()
	got := pulled{cursor: req.Cursor}
	for b, err := range src.Pull(t.Context(), req) {
		if err != nil {
			got.err = errors.Join(got.err, err)
			continue
		}
		got.batches, got.items = append(got.batches, b), append(got.items, b.Items...)
		if b.Cursor != "" {
			got.cursor = b.Cursor
		}
	}
	return got
}

// poll pulls and wants no error.
func poll(t testing.TB, src sources.Source, cursor string) pulled {
	t.Helper()
	got := pullAll(t, src, sources.Request{Cursor: cursor})
	if got.err != nil {
		t.Fatal(got.err)
	}
	return got
}

// texts are the messages of the items, or the places and reasons of the faults.
func (p pulled) texts() (found []string) {
	for _, item := range p.items {
		if item.Fault != nil {
			found = append(found, item.Fault.Place+": "+item.Fault.Reason)
			continue
		}
		found = append(found, item.Interaction.Message)
	}
	return found
}

// rereads are the places that were told to be read anew.
func (p pulled) rereads() (found []string) {
	for _, b := range p.batches {
		if b.Rereads != "" {
			found = append(found, b.Rereads)
		}
	}
	return found
}

// insert writes many rows at once; row says what stands in the brackets.
func insert(t testing.TB, address, table string, n int, row func(n int) string) {
	t.Helper()
	db := openSQL(t, address)
	defer db.Close()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	for begin := 0; begin < n; begin += 1000 {
		var values bytes.Buffer
		for i := begin; i < min(n, begin+1000); i++ {
			fmt.Fprintf(&values, ",(%s)", row(i))
		}
		if _, err := tx.Exec("INSERT INTO " + table + " VALUES " + values.String()[1:]); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}

// at is a time of 2026 as every database takes it, so many seconds after noon.
func at(seconds int) string {
	return time.Date(2026, 3, 1, 12, 0, seconds, 0, time.UTC).Format(time.DateTime)
}

// stopped returns the setting that a *sources.StopError names.
func stopped(t testing.TB, err error) *sources.SettingError {
	t.Helper()
	stop, ok := errors.AsType[*sources.StopError](err)
	if !ok {
		t.Fatalf("got %v, want a StopError", err)
	}
	return named(t, stop)
}

// named returns the setting that an error names.
func named(t testing.TB, err error) *sources.SettingError {
	t.Helper()
	setting, ok := errors.AsType[*sources.SettingError](err)
	if !ok || strings.TrimSpace(setting.Problem) == "" {
		t.Fatalf("got %v, want an error that names a setting", err)
	}
	return setting
}
