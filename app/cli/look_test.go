package cli_test

import (
	"cmp"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	_ "socialhub-sync/store" // the drivers "pgx" and "sqlite"
)

// openDatabase opens the script's database with nothing of ours in between.
func openDatabase(ts *testscript.TestScript) (db *sql.DB, listTables string) {
	address := ts.Getenv("DATABASE")
	driver := "pgx"
	listTables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
	if path, ok := strings.CutPrefix(address, "sqlite:"); ok {
		// A file that is missing stays missing.
		address = "file:" + (&url.URL{Path: path}).EscapedPath() + "?mode=rw&_pragma=busy_timeout(10000)"
		driver, listTables = "sqlite", "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
	}
	db, err := sql.Open(driver, address)
	ts.Check(err)
	return db, listTables
}

func dump(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: dump [TABLE...]")
	}
	out := ts.Stdout()
	db, listTables := openDatabase(ts)
	defer db.Close()
	if len(args) == 0 {
		for row := range rowsOf(ts, db, listTables) {
			args = append(args, fmt.Sprint(row[0]))
		}
		slices.Sort(args)
	}
	for _, table := range args {
		var lines []string
		for row := range rowsOf(ts, db, `SELECT * FROM `+table) {
			lines = append(lines, fmt.Sprintf("%s %q\n", table, row))
		}
		slices.Sort(lines)
		fmt.Fprint(out, strings.Join(lines, ""))
	}
}

// rowsOf yields the rows of a query as texts.
func rowsOf(ts *testscript.TestScript, db *sql.DB, query string) func(func([]string) bool) {
	return func(yield func([]string) bool) {
		rows, err := db.Query(query)
		ts.Check(err)
		defer rows.Close()
		columns, err := rows.Columns()
		ts.Check(err)
		for rows.Next() {
			texts, targets := make([]sql.NullString, len(columns)), make([]any, len(columns))
			for i := range texts {
				targets[i] = &texts[i]
			}
			ts.Check(rows.Scan(targets...))
			row := make([]string, len(columns))
			for i, t := range texts {
				if row[i] = t.String; !t.Valid {
					row[i] = "NULL"
				}
			}
			if !yield(row) {
				return
			}
		}
		ts.Check(rows.Err())
	}
}

func rewrite(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: rewrite STATEMENT")
	}
	db, _ := openDatabase(ts)
	defer db.Close()
	_, err := db.Exec(args[0])
	ts.Check(err)
}

// The keys that `status --json` has: the documented ones, and for sources what else the page shows.
var (
	channelKeys = []string{"name", "channel_id", "paused", "pending", "synced", "rejected", "unlinked", "gone", "actions"}
	sourceKeys  = []string{
		"name", "adapter", "channel", "last_poll", "last_success", "last_error", "next_poll", "new", "changed", "unchanged",
		"paused", "rejected", "mended", "held",
	}
)

// readStatuses returns a line per value, with "null" and "time" for times.
func readStatuses(ts *testscript.TestScript) ([]string, error) {
	text, err := command(ts, "status", "--json").Output()
	if err != nil {
		return nil, err
	}
	var all map[string][]map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, err
	}
	if got := slices.Sorted(maps.Keys(all)); !slices.Equal(got, []string{"channels", "sources"}) {
		return nil, fmt.Errorf("status has %q", got)
	}
	var lines []string
	for part, keys := range map[string][]string{"channels": channelKeys, "sources": sourceKeys} {
		for _, entry := range all[part] {
			if got := slices.Sorted(maps.Keys(entry)); !slices.Equal(got, slices.Sorted(slices.Values(keys))) {
				return nil, fmt.Errorf("%s have %q, not %q", part, got, keys)
			}
			for key, value := range entry {
				text := fmt.Sprint(value)
				if _, err := time.Parse(time.RFC3339, text); err == nil && strings.HasSuffix(text, "Z") {
					text = "time"
				}
				lines = append(lines, fmt.Sprintf("%s.%s.%s %s", part, entry["name"], key, cmp.Or(text, "-")))
			}
		}
	}
	slices.Sort(lines)
	return lines, nil
}

func statuses(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: statuses")
	}
	lines, err := readStatuses(ts)
	ts.Check(err)
	fmt.Fprintln(ts.Stdout(), strings.Join(lines, "\n"))
}

func hasStatus(ts *testscript.TestScript, line string) error {
	lines, err := readStatuses(ts)
	if err != nil {
		return err
	}
	if !slices.Contains(lines, line) {
		return fmt.Errorf("status has no line %q but\n%s", line, strings.Join(lines, "\n"))
	}
	return nil
}

func jsonlog(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: jsonlog FILE")
	}
	text := ts.ReadFile(args[0])
	if text == "" {
		ts.Fatalf("%s is empty, which says nothing", args[0])
	}
	for line := range strings.Lines(text) {
		var entry struct {
			Time       time.Time
			Level, Msg string
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Time.IsZero() || entry.Level == "" || entry.Msg == "" {
			ts.Fatalf("%q: %v", line, err)
		}
	}
}
