package sqlsource

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources"
)

func TestEachColumnBecomesItsField(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e testEngine, address string) {
		yes, no, backslash := "true", "false", `\`
		if e.name == "mariadb" {
			yes, no, backslash = "b'1'", "b'0'", `\\`
		}
		boolean := map[string]string{"postgres": "boolean", "mariadb": "bit(1)", "sqlite": "integer"}[e.name]
		runSQL(t, address, fmt.Sprintf(`CREATE TABLE review (no bigint PRIMARY KEY, body %s, stars decimal(3,1), best integer, made %s, changed %s,
			person bigint, nick %s, pics %s, files %s, thread bigint, ours %s, gone %s, note %s)`,
			e.text, e.time, e.zoned, e.text, e.json, e.json, boolean, boolean, e.json))
		insert(t, address, "review", 1, func(int) string {
			return fmt.Sprintf(`17, 'Grüße 🦊 "quoted" %s', 4.5, 5, '2026-07-01 12:00:00.25', '2026-07-02 12:00:00', 4711, 'Anna',
				'[{"small":"https://e.example/a.jpg"}]', '[{"url":"https://e.example/a.pdf","size":3}]', 16, %s, %s, '{"a":1}'`, backslash, yes, no)
		})
		if e.name == "sqlite" {
			runSQL(t, address, "UPDATE review SET changed = '2026-07-02T12:00:00Z'")
		}
		insert(t, address, "review", 1, func(int) string {
			return "18, 'only text', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, " + yes + ", NULL"
		})
		src := config{database: address, more: "time_zone: Europe/Berlin\nprefix: app", query: strings.NewReplacer("[", e.quote, "]", e.quote).Replace(
			`SELECT no AS id, body AS message, stars AS [rating.value], best AS [rating.scale], made AS [createdTime], changed AS [updatedTime],
			person AS [interactor.interactorId], nick AS [interactor.name], pics AS pictures, files AS attachments,
			thread AS [root.rootId], ours AS own, gone AS deleted, note AS ref FROM review -- and no more`)}.open(t)
		got := poll(t, src, "")
		want := []sources.Item{{
			Interaction: socialhub.Interaction{
				NetworkItemID: "app-17", Message: `Grüße 🦊 "quoted" \`, Rating: &socialhub.Rating{Value: 4.5, Scale: 5},
				// Without a zone it is Berlin's.
				CreatedTime: time.Date(2026, 7, 1, 10, 0, 0, 250_000_000, time.UTC),
				Root:        &socialhub.Root{RootID: "app-16"},
				Interactor:  &socialhub.Interactor{InteractorID: "4711", Name: "Anna"},
				Pictures:    []socialhub.Picture{{Small: "https://e.example/a.jpg"}},
				Attachments: []socialhub.Attachment{{URL: "https://e.example/a.pdf", Size: 3}},
			},
			UpdatedTime: time.Date(2026, 7, 2, 12, 0, 0, 0, time.UTC), Own: true, Ref: got.items[0].Ref,
		}, {
			Interaction: socialhub.Interaction{NetworkItemID: "app-18", Message: "only text"}, Deleted: true,
		}}
		if diff := cmp.Diff(want, got.items); diff != "" {
			t.Error(diff)
		}
		if ref := strings.ReplaceAll(string(got.items[0].Ref), " ", ""); ref != `{"a":1}` {
			t.Errorf("ref is %s", ref)
		}
	})
}

func TestAColumnOfJSONHoldsTheWholeItem(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e testEngine, address string) {
		runSQL(t, address, "CREATE TABLE review (no bigint, doc "+e.json+", body "+e.text+")")
		insert(t, address, "review", 4, func(n int) string {
			return []string{
				`1, '{"message":"one","interactor":{"interactorId":"u-1","name":"A"}}', NULL`,
				`2, '{"networkItemId":"review-2","message":"hidden"}', 'the column wins'`,
				`3, '{"mesage":"three"}', NULL`,
				`4, '[1]', NULL`,
			}[n]
		})
		got := poll(t, config{database: address, query: "SELECT no AS id, doc AS item, body AS message FROM review"}.open(t), "")
		if len(got.items) != 4 || got.items[0].Interaction.NetworkItemID != "test-1" || got.items[0].Interaction.Interactor.Name != "A" ||
			got.items[1].Interaction.NetworkItemID != "review-2" {
			t.Errorf("got %+v", got.items)
		}
		texts := got.texts()
		if texts[1] != "the column wins" || !strings.Contains(texts[2], `row "3": unknown field "mesage"`) || !strings.Contains(texts[3], `row "4": item: want a JSON object`) {
			t.Errorf("got %q", texts)
		}
	})
}

func TestTheIdIsThatOfTheColumnOrMadeOfOne(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, query, id, root string }{
		{"made of an id", `SELECT 7 AS id, 'm' AS message, 6 AS "root.rootId"`, "test-7", "test-6"},
		{"made of a text that SocialHub would not take", `SELECT 'ü 7' AS id, 'm' AS message`, sources.ItemID("test", "ü 7"), ""},
		{"a column", `SELECT 'review-7' AS networkitemid, 'm' AS message, 'review-6' AS "root.rootId"`, "review-7", "review-6"},
		{"a column beside the one that parts ties", `SELECT 7 AS id, 'review-7' AS "networkItemId", 'm' AS message`, "review-7", ""},
		{"its own root is none", `SELECT 7 AS id, 'm' AS message, 7 AS "root.rootId"`, "test-7", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			address := testEngines[2].create(t)
			runSQL(t, address, "CREATE TABLE x (y)")
			item := poll(t, config{database: address, query: c.query}.open(t), "").items[0]
			root := ""
			if item.Interaction.Root != nil {
				root = item.Interaction.Root.RootID
			}
			if item.Interaction.NetworkItemID != c.id || root != c.root {
				t.Errorf("got %q, root %q", item.Interaction.NetworkItemID, root)
			}
		})
	}
}

func TestAColumnWithoutMeaningStopsTheSource(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e testEngine, address string) {
		runSQL(t, address, "CREATE TABLE review (no bigint, mesage "+e.text+")")
		for _, c := range []struct{ query, cursor, key, want string }{
			{"SELECT no AS id, mesage FROM review", "", "query", `"mesage" is no field`},
			{"SELECT mesage AS message FROM review", "", "query", "no column id"},
			{"SELECT no AS id, mesage AS message FROM review", "updated_at", "cursor", `no column "updated_at"`},
		} {
			got := pullAll(t, config{database: address, query: c.query, cursor: c.cursor}.open(t), sources.Request{})
			if setting := stopped(t, got.err); setting.Key != c.key || !strings.Contains(setting.Problem, c.want) {
				t.Errorf("%s: %v", c.query, got.err)
			}
		}
		for _, query := range []string{"SELECT no AS id, mesage AS message, mesage AS message FROM review", "SELECT nothing FROM review", "SELECT FROM WHERE"} {
			got := pullAll(t, config{database: address, query: query}.open(t), sources.Request{})
			if got.err == nil || named(t, got.err).Key != "query" {
				t.Errorf("%s: %v", query, got.err)
			}
		}
	})
}

func TestABadRowIsOneFaultUntilItIsMended(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e testEngine, address string) {
		runSQL(t, address, fmt.Sprintf("CREATE TABLE review (no bigint PRIMARY KEY, body %s, stars %s, at %s)", e.text, e.text, e.time))
		insert(t, address, "review", 200, func(n int) string {
			stars := "5"
			if n == 17 || n == 170 {
				stars = "five s3cret"
			}
			return fmt.Sprintf("%d, 'body %d', '%s', '%s'", n, n, stars, at(n))
		})
		src := config{database: address, cursor: "at", more: "rescan: 0s", query: fmt.Sprintf(
			"SELECT no AS id, body AS message, stars AS %s, 5 AS %s, at FROM review", e.named("rating.value"), e.named("rating.scale"))}.open(t)
		first := poll(t, src, "")
		const want = `row "17": rating.value: want a number`
		if texts := first.texts(); len(texts) != 200 || texts[17] != want {
			t.Fatalf("got %q", texts)
		}
		if diff := cmp.Diff([]string{"row"}, first.rereads()); diff != "" {
			t.Error(diff)
		}
		// They stay until they are mended, although nothing tells that they changed.
		second := poll(t, src, first.cursor)
		if texts := second.texts(); len(texts) != 2 || texts[0] != want || second.rereads() != nil {
			t.Errorf("got %q, %q", texts, second.rereads())
		}
		runSQL(t, address, "UPDATE review SET stars = '5' WHERE no = 17", "DELETE FROM review WHERE no = 170")
		third := poll(t, src, second.cursor)
		if diff := cmp.Diff([]string{"body 17"}, third.texts()); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{`row "17"`, `row "170"`}, third.rereads()); diff != "" {
			t.Error(diff)
		}
		if fourth := poll(t, src, third.cursor); len(fourth.batches) != 0 {
			t.Errorf("the mended are read again: %+v", fourth.batches)
		}
	})
}

// TestABadRowIsRememberedOnceWhateverTheTypeOfItsId: a driver may give a number in two types, and JSON in a third.
func TestABadRowIsRememberedOnceWhateverTheTypeOfItsId(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e testEngine, address string) {
		for n, typeName := range map[string][]string{
			"postgres": {"double precision", "numeric"}, "mariadb": {"bigint unsigned", "double"}, "sqlite": {"real", "text"},
		}[e.name] {
			table := fmt.Sprintf("t%d", n)
			runSQL(t, address, fmt.Sprintf("CREATE TABLE %s (no %s, body %s)", table, typeName, e.json), "INSERT INTO "+table+" VALUES (5, '[]')")
			src := config{database: address, query: "SELECT no AS id, body AS item FROM " + table}.open(t)
			first := poll(t, src, "")
			second := poll(t, src, first.cursor)
			if second.cursor != first.cursor || second.rereads() != nil || len(mustState(t, first.cursor).Faults) != 1 {
				t.Errorf("%s: the cursor %s became %s, forgotten: %q", typeName, first.cursor, second.cursor, second.rereads())
			}
		}
	})
}

func TestATimeMayBeANumber(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e testEngine, address string) {
		runSQL(t, address, "CREATE TABLE review (no bigint, at bigint)", "INSERT INTO review VALUES (1, 1782907200)")
		got := poll(t, config{database: address, query: "SELECT no AS id, 'text' AS message, at AS " + e.named("createdTime") + " FROM review"}.open(t), "")
		if want := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC); len(got.items) != 1 || !got.items[0].Interaction.CreatedTime.Equal(want) {
			t.Errorf("got %+v", got.items)
		}
	})
}

func TestRowsWithoutAnIdAreOneFaultUntilTheyHaveOne(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e testEngine, address string) {
		runSQL(t, address, fmt.Sprintf("CREATE TABLE review (no bigint, body %s, at %s)", e.text, e.time))
		insert(t, address, "review", 1000, func(n int) string {
			if n > 0 {
				return fmt.Sprintf("NULL, 'body', '%s'", at(0))
			}
			return fmt.Sprintf("1, 'first', '%s'", at(0))
		})
		src := config{database: address, cursor: "at", query: "SELECT no AS id, body AS message, at FROM review"}.open(t)
		first := poll(t, src, "")
		if diff := cmp.Diff([]string{"rows without an id: id is NULL; give each row an id that never changes", "first"}, first.texts()); diff != "" {
			t.Error(diff)
		}
		runSQL(t, address, "DELETE FROM review WHERE no IS NULL")
		if diff := cmp.Diff([]string{"rows without an id"}, poll(t, src, first.cursor).rereads()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestTimesAreReadAsTheDatabasesWriteThem(t *testing.T) {
	t.Parallel()
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ text, want, back string }{
		{"2026-07-01 12:00:00.5+00", "2026-07-01T12:00:00.5Z", "2026-07-01 11:50:00"},
		{"2026-07-01 12:00:00+05:30", "2026-07-01T06:30:00Z", "2026-07-01 11:50:00"},
		{"2026-07-01 12:00:00-03", "2026-07-01T15:00:00Z", "2026-07-01 11:50:00"},
		{"2026-07-01T12:00:00.123Z", "2026-07-01T12:00:00.123Z", "2026-07-01T11:50:00"},
		{"2026-07-01T12:00:00+0200", "2026-07-01T10:00:00Z", "2026-07-01T11:50:00"},
		{"2026-07-01 12:00:00 +0200 CEST", "2026-07-01T10:00:00Z", "2026-07-01 11:50:00"},
		// Without a zone the clock may have been set back in the meantime.
		{"2026-07-01 12:00:00.000001", "2026-07-01T10:00:00.000001Z", "2026-07-01 10:50:00"},
		{"2026-07-01", "2026-06-30T22:00:00Z", "2026-06-30"},
		{"infinity", "", ""}, {"17", "", ""}, {"2026-13-01", "", ""}, {"2026-07-01x12:00:00", "", ""}, {"", "", ""},
	} {
		m, ok := parseMoment(c.text, berlin)
		if ok != (c.want != "") || ok && (m.UTC().Format(time.RFC3339Nano) != c.want || m.back(10*time.Minute) != c.back) {
			t.Errorf("%q: %s, %v", c.text, m.UTC().Format(time.RFC3339Nano), ok)
			if ok {
				t.Error(m.back(10 * time.Minute))
			}
		}
	}
	for n, want := range map[int64]string{
		1_782_907_200: "2026-07-01T12:00:00Z", 1_782_907_200_123: "2026-07-01T12:00:00.123Z",
		1_782_907_200_123_456: "2026-07-01T12:00:00.123456Z", 1_782_907_200_123_456_789: "2026-07-01T12:00:00.123456789Z",
	} {
		if got := fromEpoch(n).UTC().Format(time.RFC3339Nano); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}

func TestADateThatIsNoneIsLeftOut(t *testing.T) {
	t.Parallel()
	address := newMariaDB(t)
	runSQL(t, address, "SET sql_mode = ''; CREATE TABLE review (no int, at datetime); INSERT INTO review VALUES (1, '0000-00-00 00:00:00')")
	got := poll(t, config{database: address, query: "SELECT no AS id, 'text' AS message, at AS createdTime FROM review"}.open(t), "")
	if len(got.items) != 1 || got.items[0].Fault != nil || !got.items[0].Interaction.CreatedTime.IsZero() {
		t.Errorf("got %+v", got.items)
	}
}

func TestATimeThatGoCannotHoldIsAFault(t *testing.T) {
	t.Parallel()
	address := testEngines[0].create(t)
	query := `SELECT n AS id, 'text' AS message, v AS "createdTime" FROM (VALUES (1, timestamptz 'infinity'), (2, '2026-01-01 00:00+00')) AS x (n, v)`
	got := poll(t, config{database: address, query: query, cursor: "createdTime"}.open(t), "")
	if texts := got.texts(); len(texts) != 2 || texts[0] != "text" || !strings.Contains(texts[1], `row "1": createdTime: want a time`) {
		t.Errorf("got %q", texts)
	}
	if !strings.Contains(got.cursor, "2026-01-01") {
		t.Errorf("infinity took the cursor past everything: %s", got.cursor)
	}
}

func TestAnIdMayBeOfAnyTypeWithAnOrder(t *testing.T) {
	onEachEngine(t, func(t *testing.T, e testEngine, address string) {
		types := map[string][]string{"postgres": {"uuid", "text", "numeric", "date"}, "mariadb": {"uuid", "char(36)", "double"}, "sqlite": {"text"}}[e.name]
		for n, typeName := range types {
			table := fmt.Sprintf("t%d", n)
			runSQL(t, address, fmt.Sprintf("CREATE TABLE %s (no %s)", table, typeName))
			insert(t, address, table, 1200, func(n int) string {
				switch typeName {
				case "numeric", "double":
					return fmt.Sprintf("%d.5", n)
				case "date":
					return "'" + time.Date(2020, 1, n, 0, 0, 0, 0, time.UTC).Format(time.DateOnly) + "'"
				}
				return fmt.Sprintf("'%08x-0000-4000-8000-%012x'", n*7919, n)
			})
			got := poll(t, config{database: address, query: "SELECT no AS id, 'text' AS message FROM " + table}.open(t), "")
			ids := map[string]bool{}
			for _, item := range got.items {
				ids[item.Interaction.NetworkItemID] = true
			}
			if len(ids) != 1200 || len(got.items) != 1200 {
				t.Errorf("%s: %d ids of %d rows", typeName, len(ids), len(got.items))
			}
		}
		bytes := map[string]string{"postgres": `'\xff00'::bytea`, "mariadb": "x'ff00'", "sqlite": "x'ff00'"}[e.name]
		runSQL(t, address, "CREATE TABLE one (y int)")
		got := pullAll(t, config{database: address, query: "SELECT " + bytes + " AS id, 'text' AS message"}.open(t), sources.Request{})
		if e.name != "postgres" && (got.err == nil || !strings.Contains(named(t, got.err).Problem, "hex(")) {
			t.Errorf("bytes: %v", got.err)
		}
	})
}
