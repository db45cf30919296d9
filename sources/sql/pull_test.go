package sqlsource

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/sources"
)

// reviews makes a table of rows whose time is made by when.
func reviews(t testing.TB, e testEngine, address string, n int, when func(n int) string) config {
	t.Helper()
	runSQL(t, address, fmt.Sprintf("CREATE TABLE review (no bigint PRIMARY KEY, body %s, at %s)", e.text, e.time),
		"CREATE INDEX review_at ON review (at, no)")
	insert(t, address, "review", n, func(n int) string { return fmt.Sprintf("%d, 'body %d', %s", n, n, when(n)) })
	return config{database: address, cursor: "at", query: "SELECT no AS id, body AS message, at FROM review"}
}

func quoted(seconds int) string { return "'" + at(seconds) + "'" }

func bodies(from, to int) (list []string) {
	for n := from; n < to; n++ {
		list = append(list, fmt.Sprintf("body %d", n))
	}
	return list
}

func TestManyRowsOfOneTimeAreReadOnceEach(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e testEngine, address string) {
		c := reviews(t, e, address, 1700, func(int) string { return quoted(0) })
		c.more = "rescan: 0s"
		src := c.open(t)
		first := poll(t, src, "")
		if diff := cmp.Diff(bodies(0, 1700), first.texts()); diff != "" {
			t.Error(diff)
		}
		// The cursor of each batch goes on behind it.
		for n, b := range first.batches[:3] {
			if diff := cmp.Diff(bodies(500*(n+1), 1700), poll(t, src, b.Cursor).texts()); diff != "" {
				t.Error(diff)
			}
		}
		insert(t, address, "review", 1, func(int) string { return "9000, 'one more of that time', " + quoted(0) })
		if diff := cmp.Diff([]string{"one more of that time"}, poll(t, src, first.cursor).texts()); diff != "" {
			t.Error(diff)
		}
	})
}

// TestLargeNumbersArePartedExactly: as floating-point all these ids are equal.
func TestLargeNumbersArePartedExactly(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e testEngine, address string) {
		types := []string{"bigint", "decimal(30,0)"}
		if e.name == "mariadb" {
			types = append(types, "bigint unsigned")
		}
		for n, typeName := range types {
			if e.name == "sqlite" && n > 0 { // a number there is 64 bits long
				continue
			}
			table := fmt.Sprintf("t%d", n)
			runSQL(t, address, fmt.Sprintf("CREATE TABLE %s (no %s, at %s)", table, typeName, e.time))
			insert(t, address, table, 1100, func(n int) string {
				return strconv.FormatInt(math.MaxInt64-2000+int64(n), 10) + ", " + quoted(0)
			})
			for _, cursor := range []string{"at", "", "id"} {
				src := config{database: address, cursor: cursor, query: "SELECT no AS id, 'text' AS message, at FROM " + table}
				if cursor != "at" {
					src.query = "SELECT no AS id, 'text' AS message FROM " + table
				}
				got := poll(t, src.open(t), "")
				if len(got.items) != 1100 {
					t.Errorf("%s by %q: %d rows", typeName, cursor, len(got.items))
				}
				if cursor == "id" {
					if again := poll(t, src.open(t), got.cursor); len(again.items) != 1100 { // within rescan
						t.Errorf("%s again: %d rows", typeName, len(again.items))
					}
				}
			}
		}
	})
}

func TestARowThatIsCommittedLateIsFound(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e testEngine, address string) {
		c := reviews(t, e, address, 1200, func(n int) string { return quoted(n) })
		src := c.open(t)
		first := poll(t, src, "")
		insert(t, address, "review", 2, func(n int) string {
			return fmt.Sprintf("%d, 'late %d', %s", 9000+n, n, quoted(1199-n*590))
		})
		second := poll(t, src, first.cursor)
		texts := strings.Join(second.texts(), " ")
		if !strings.Contains(texts, "late 0") || !strings.Contains(texts, "late 1") || strings.Contains(texts, "body 500 ") {
			t.Errorf("got %s", texts)
		}
		// Reading again does not take the cursor back.
		for _, b := range second.batches[:len(second.batches)-1] {
			if b.Cursor != "" {
				t.Errorf("the cursor went back to %s", b.Cursor)
			}
		}
		c.more = "rescan: 0s"
		if got := poll(t, c.open(t), second.cursor); len(got.items) != 0 {
			t.Errorf("without rescan %q are read again", got.texts())
		}
		c.more = "rescan: 72h"
		if got := poll(t, c.open(t), second.cursor); len(got.items) != 1202 {
			t.Errorf("with 72h %d are read again", len(got.items))
		}
	})
}

func TestARowFromTheFutureDoesNotTakeTheCursorWithIt(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e testEngine, address string) {
		soon := "'" + time.Now().UTC().Add(30*time.Minute).Format(time.DateTime) + "'"
		c := reviews(t, e, address, 11, func(n int) string {
			if n == 10 {
				return soon
			}
			return quoted(n)
		})
		c.more = "rescan: 0s"
		src := c.open(t)
		first := poll(t, src, "")
		insert(t, address, "review", 1, func(int) string { return "11, 'body 11', " + quoted(60) })
		if diff := cmp.Diff([]string{"body 11", "body 10"}, poll(t, src, first.cursor).texts()); diff != "" || len(first.items) != 11 {
			t.Error(len(first.items), diff)
		}
	})
}

// TestALateRowIsFoundByANumberToo: the cursor stood at 200 thirteen minutes ago, at 400 nine minutes ago, and the last
// poll was two minutes ago. If no poll succeeds for hours, what that one missed is found all the same.
func TestALateRowIsFoundByANumberToo(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e testEngine, address string) {
		c := reviews(t, e, address, 600, func(n int) string { return quoted(n) })
		c.cursor, c.query = "id", "SELECT no AS id, body AS message FROM review"
		src := c.open(t)
		first := poll(t, src, "")
		s := mustState(t, first.cursor)
		if len(s.Marks) != 1 || !s.Marks[0].isZero() || s.At == nil {
			t.Fatalf("state %+v", s)
		}
		for _, outage := range []time.Duration{0, 5 * time.Hour} {
			now := time.Now()
			ago := func(minutes time.Duration) int64 { return now.Add(-minutes*time.Minute - outage).Unix() }
			s.Marks = []mark{{ago(13), atID(s, 200)}, {ago(9), atID(s, 400)}, {ago(2), atID(s, 599)}}
			got := poll(t, src, s.text())
			if len(got.items) != 399 || got.texts()[0] != "body 201" {
				t.Errorf("%d rows: %q", len(got.items), got.texts())
			}
			marks := mustState(t, got.cursor).Marks
			if want := map[time.Duration]int{0: 4, 5 * time.Hour: 2}[outage]; len(marks) != want || marks[want-1].Time < now.Unix() {
				t.Errorf("marks %+v", marks)
			}
		}
	})
}

// TestNoMarkIsSetBeforeTheLastWhileIsRead: a poll that ends before has not found what is late, so the next one must.
func TestNoMarkIsSetBeforeTheLastWhileIsRead(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e testEngine, address string) {
		runSQL(t, address, "CREATE TABLE review (no bigint PRIMARY KEY, body "+e.text+", step bigint)")
		insert(t, address, "review", 5, func(n int) string {
			return fmt.Sprintf("%d, 'body %d', %s", n, n, []string{"NULL", "1", "2", "3", "4"}[n])
		})
		src := config{database: address, cursor: "step", query: "SELECT no AS id, body AS message, step FROM review"}.open(t)
		s := mustState(t, poll(t, src, "").cursor)
		s.Marks[0].Time -= 3600
		second := poll(t, src, s.text())
		if len(second.batches) != 3 || len(second.batches[0].Items) != 1 || len(second.batches[1].Items) != 4 {
			t.Fatalf("got %+v", second.batches)
		}
		for n, b := range second.batches {
			if marked := b.Cursor != "" && len(mustState(t, b.Cursor).Marks) == 2; marked != (n == 2) {
				t.Errorf("the cursor of batch %d is %q", n, b.Cursor)
			}
		}
	})
}

// TestATextThatIsNoTimeDoesNotTakeTheCursorWithIt: it comes after all times.
func TestATextThatIsNoTimeDoesNotTakeTheCursorWithIt(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e testEngine, address string) {
		runSQL(t, address, "CREATE TABLE review (no bigint PRIMARY KEY, at "+e.text+")", "INSERT INTO review VALUES (1, '2026-03-01 12:00:00'), (2, 'n/a')")
		src := config{database: address, cursor: "at", query: "SELECT no AS id, 'text' AS message, at FROM review", more: "rescan: 0s"}.open(t)
		first := poll(t, src, "")
		runSQL(t, address, "INSERT INTO review VALUES (3, '2026-03-01 13:00:00')")
		second := poll(t, src, first.cursor)
		if len(first.items) != 2 || len(second.items) != 2 || second.items[0].Interaction.NetworkItemID != "test-3" {
			t.Errorf("%d items, then %+v", len(first.items), second.items)
		}
	})
}

func mustState(t *testing.T, cursor string) *state {
	t.Helper()
	_, rest, _ := strings.Cut(cursor, `"q":"`)
	hash, _, _ := strings.Cut(rest, `"`)
	s, err := parseState(cursor, hash)
	if err != nil {
		t.Fatalf("%s: %v", cursor, err)
	}
	return s
}

// atID is a position in the way of the state's.
func atID(s *state, n int64) position {
	if _, ok := s.At.(string); ok {
		return position{At: strconv.FormatInt(n, 10), ID: strconv.FormatInt(n, 10)}
	}
	return position{At: n, ID: n}
}

func TestMarksTellWhereTheCursorStood(t *testing.T) {
	t.Parallel()
	s := &state{}
	begin := time.Unix(1_800_000_000, 0)
	for minute := range int64(60) {
		now := begin.Add(time.Duration(minute) * time.Minute)
		since := s.since(10 * time.Minute)
		if minute < 10 && !since.isZero() {
			t.Errorf("after %d minutes it stood at %v ten minutes ago", minute, since)
		}
		if minute >= 14 {
			if stood, ok := since.At.(int64); !ok || stood > minute-10 || stood < minute-14 {
				t.Errorf("after %d minutes it stood at %v ten minutes ago", minute, since.At)
			}
		}
		s.position = position{At: minute, ID: minute}
		s.setMark(now, 10*time.Minute)
	}
	if len(s.Marks) > 12 {
		t.Errorf("%d marks", len(s.Marks))
	}
	s.setMark(begin, 10*time.Minute)
	if !s.since(10 * time.Minute).isZero() {
		t.Error("a clock that was set back is believed")
	}
}

func TestRowsWithoutATimeAreReadByEveryPoll(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e testEngine, address string) {
		c := reviews(t, e, address, 1300, func(n int) string {
			if n < 1250 {
				return "NULL"
			}
			return quoted(n)
		})
		c.more = "rescan: 0s"
		src := c.open(t)
		cursor := ""
		for _, want := range [][]string{bodies(0, 1300), bodies(0, 1250)} {
			got := poll(t, src, cursor)
			if diff := cmp.Diff(want, got.texts()); diff != "" {
				t.Error(diff)
			}
			cursor = got.cursor
		}
	})
}

func TestWithoutACursorEveryPollReadsAllRows(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e testEngine, address string) {
		c := reviews(t, e, address, 1100, func(int) string { return quoted(0) })
		c.cursor, c.query = "", "SELECT no AS id, body AS message FROM review"
		src := c.open(t)
		first := poll(t, src, "")
		second := poll(t, src, first.cursor)
		if diff := cmp.Diff(first.texts(), second.texts()); diff != "" || len(first.items) != 1100 {
			t.Error(len(first.items), diff)
		}
		for _, b := range second.batches {
			if b.Cursor != "" || b.Rereads != "" {
				t.Errorf("the cursor is written anew: %q, %q", b.Cursor, b.Rereads)
			}
		}
	})
}

func TestANewQueryReadsEverythingAgain(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e testEngine, address string) {
		c := reviews(t, e, address, 20, func(n int) string { return quoted(n) })
		c.more = "rescan: 0s"
		first := poll(t, c.open(t), "")
		c.query += " WHERE no >= 0"
		second := poll(t, c.open(t), first.cursor)
		if len(second.items) != 20 || second.rereads() == nil {
			t.Errorf("%d rows, %q", len(second.items), second.rereads())
		}
		// So does a cursor column of another type, with which the old position can't be compared.
		c.cursor, c.query = "id", "SELECT no AS id, body AS message FROM review"
		if got := poll(t, c.open(t), second.cursor); len(got.items) != 20 {
			t.Errorf("%d rows by another column", len(got.items))
		}
	})
}

func TestABackfillGoesOnWhereItStopped(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e testEngine, address string) {
		c := reviews(t, e, address, 2200, func(n int) string {
			if n < 700 {
				return "NULL"
			}
			return quoted(n / 100)
		})
		src := c.open(t)
		whole := pullAll(t, src, sources.Request{Backfill: true})
		if diff := cmp.Diff(bodies(0, 2200), whole.texts()); diff != "" || whole.err != nil {
			t.Fatal(whole.err, diff)
		}
		seen := 0
		for _, b := range whole.batches {
			seen += len(b.Items)
			rest := pullAll(t, src, sources.Request{Backfill: true, Cursor: b.Cursor})
			if diff := cmp.Diff(bodies(seen, 2200), rest.texts()); diff != "" || rest.err != nil {
				t.Errorf("after %d: %v %s", seen, rest.err, diff)
			}
		}
	})
}

func TestABatchOfLargeRowsEndsBeforeAMebibyte(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e testEngine, address string) {
		runSQL(t, address, "CREATE TABLE review (no bigint PRIMARY KEY, body "+map[bool]string{true: "longtext", false: "text"}[e.name == "mariadb"]+")")
		size := func(n int) int { return []int{700_000, 300_000, 3_000_000, 10, 10}[n] }
		for n := range 5 {
			insert(t, address, "review", 1, func(int) string { return fmt.Sprintf("%d, '%s'", n, strings.Repeat("x", size(n))) })
		}
		got := poll(t, config{database: address, query: "SELECT no AS id, body AS message FROM review"}.open(t), "")
		var sizes []int
		for _, b := range got.batches {
			sizes = append(sizes, len(b.Items))
		}
		if diff := cmp.Diff([]int{2, 1, 2}, sizes); diff != "" {
			t.Error(diff)
		}
	})
}

// TestMemoryStaysFlat is not parallel: others would count too.
func TestMemoryStaysFlat(t *testing.T) {
	const rows = 20_000
	for _, e := range testEngines {
		t.Run(e.name, func(t *testing.T) {
			address := e.create(t)
			c := reviews(t, e, address, rows, func(n int) string { return quoted(n / 7) })
			src := c.open(t)
			items, most := 0, uint64(0)
			var first uint64
			for b, err := range src.Pull(t.Context(), sources.Request{}) {
				if err != nil {
					t.Fatal(err)
				}
				if items += len(b.Items); items%2_000 == 0 || items == sources.MaxBatch {
					var memory runtime.MemStats
					runtime.GC()
					runtime.ReadMemStats(&memory)
					if most = max(most, memory.HeapAlloc); first == 0 {
						first = memory.HeapAlloc
					}
				}
			}
			if items != rows || most > first+1<<20 {
				t.Errorf("%d rows; %d KiB after the first batch, at most %d KiB", items, first>>10, most>>10)
			}
			t.Logf("%d KiB after the first batch, at most %d KiB", first>>10, most>>10)
		})
	}
}

// explainPlan asks the database how it would read a page.
func explainPlan(t *testing.T, e testEngine, address, query string, args []any) string {
	t.Helper()
	db := openSQL(t, address)
	defer db.Close()
	for n, a := range args { // the drivers of the tests infer no types
		query = strings.Replace(query, map[bool]string{true: fmt.Sprintf("$%d", n+1), false: "?"}[e.name == "postgres"], fmt.Sprintf("'%v'", a), 1)
	}
	rows, err := db.Query(map[string]string{"sqlite": "EXPLAIN QUERY PLAN ", "postgres": "EXPLAIN ", "mariadb": "EXPLAIN "}[e.name] + query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan strings.Builder
	columns, _ := rows.Columns()
	for rows.Next() {
		values := make([]any, len(columns))
		for n := range values {
			values[n] = new([]byte)
		}
		if err := rows.Scan(values...); err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			fmt.Fprintf(&plan, "%s ", *v.(*[]byte))
		}
	}
	return plan.String()
}

func TestAnIndexServesThePages(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e testEngine, address string) {
		c := reviews(t, e, address, 20_000, func(n int) string { return quoted(n) })
		runSQL(t, address, map[string]string{"postgres": "ANALYZE review", "mariadb": "ANALYZE TABLE review", "sqlite": "ANALYZE"}[e.name])
		src := c.open(t).(*source)
		m, err := src.newMapping([]column{{"id", "BIGINT"}, {"message", "TEXT"}, {"at", "DATETIME"}})
		if err != nil {
			t.Fatal(err)
		}
		q := &query{mapping: m, text: "SELECT r.no AS id, body AS message, at FROM review r WHERE body <> ''"}
		for name, ph := range map[string]phase{
			"the rows after the cursor":  {where: and(q.dated(), q.beside(">", position{At: at(19_990), ID: "19990"}))},
			"the rows of the last while": {where: and(q.compare(q.at, ">=", at(19_900)), q.beside("<=", position{At: at(19_950), ID: "19950"}))},
			"the rows without a time":    q.undated(position{}),
		} {
			plan := explainPlan(t, e, address, q.selecting(ph.where, ph.byID), ph.where.args)
			if !strings.Contains(plan, "review_at") || strings.Contains(strings.ToLower(plan), "filesort") || strings.Contains(plan, "TEMP B-TREE") {
				t.Errorf("%s are read without the index:\n%s", name, plan)
			}
		}
	})
}

func TestAFileOfSQLiteIsRelativeAndOnlyRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := config{database: "sqlite:data/my reviews?.db", query: "SELECT no AS id, body AS message FROM review"}.settings(t)
	open := func() sources.Source {
		src, err := s.Open(t.Context(), sources.Env{Name: "test", Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = src.Close() })
		return src
	}
	got := pullAll(t, open(), sources.Request{})
	if _, stop := errors.AsType[*sources.StopError](got.err); stop || got.err == nil || !strings.Contains(got.err.Error(), "no such file") {
		t.Errorf("a file that is not there: %v", got.err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("it was made: %v", left)
	}
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o700); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "data", "my reviews?.db")
	runSQL(t, "sqlite:"+strings.ReplaceAll(file, "?", "%3f"), "CREATE TABLE review (no, body)", "INSERT INTO review VALUES (1, 'one')")
	if diff := cmp.Diff([]string{"one"}, poll(t, open(), "").texts()); diff != "" {
		t.Error(diff)
	}
	if err := os.WriteFile(file, []byte(strings.Repeat("no database", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := pullAll(t, open(), sources.Request{}); got.err == nil || named(t, got.err).Key != "database" {
		t.Errorf("a file that is no database: %v", got.err)
	}
}

func TestAPullEndsWithItsContext(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e testEngine, address string) {
		c := reviews(t, e, address, 1200, func(int) string { return quoted(0) })
		reason := errors.New("shutting down")
		ctx, cancel := context.WithCancelCause(t.Context())
		var last error
		for _, err := range c.open(t).Pull(ctx, sources.Request{}) {
			last = err
			cancel(reason)
		}
		if !errors.Is(last, reason) {
			t.Errorf("got %v", last)
		}
		cancel(nil)
	})
}
