package torture

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"socialhub-sync/socialhub/sandbox"
	"socialhub-sync/store"
	"socialhub-sync/store/storetest"
)

// frozen reads a file of the frozen first release.
func frozen(tb testing.TB, name string) string {
	tb.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "upgrade", name))
	if err != nil {
		tb.Fatal(err)
	}
	return string(data)
}

// post makes a ticket in SocialHub, as a former run did, and returns its _id.
func (w *world) post(item string) string {
	w.Helper()
	p := newDoor(w)
	defer p.close()
	body := fmt.Sprintf(`{"interaction":{"networkItemId":%q,"message":"as it was before"}}`, item)
	answer, err := http.Post(p.URL+"/inbox/tickets?accesstoken="+w.channel.Token, "application/json", strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusCreated {
		w.Fatalf("POST %s: %s", item, answer.Status)
	}
	t, _ := w.box.Ticket(w.channel.ID, item)
	return t.ID
}

// table returns the rows of a query as text, a line each.
func table(tb testing.TB, db *sql.DB, query string) []string {
	tb.Helper()
	rows, err := db.QueryContext(tb.Context(), query)
	if err != nil {
		tb.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		tb.Fatal(err)
	}
	var all []string
	for rows.Next() {
		values, into := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			tb.Fatal(err)
		}
		var line strings.Builder
		for i, v := range values {
			text := "NULL"
			if v.Valid {
				text = fmt.Sprintf("%q", v.String)
			}
			fmt.Fprintf(&line, "%s=%s ", columns[i], text)
		}
		all = append(all, line.String())
	}
	if err := rows.Err(); err != nil {
		tb.Fatal(err)
	}
	return all
}

// The columns that the first release had. Whoever writes a migration that changes what is in them says here what becomes
// of it.
var frozenColumns = []string{
	`SELECT channel_id, name, pause, pause_reason, paused_until, pause_fingerprint, lease_owner, lease_until, lease_epoch
		FROM channels ORDER BY channel_id`,
	`SELECT channel_id, name, backfill, adapter, schedule, cursor, next_poll, last_poll, last_success, last_error, failures, pause,
		new, changed, unchanged, rejected, mended, finished, lease_owner, lease_until, lease_epoch
		FROM sources ORDER BY channel_id, name, backfill`,
	`SELECT channel_id, network_item_id, source, ticket_id, wanted_hash, delivered_hash, payload, root_id, ref, state, priority,
		due, attempts, reason, changed_at, delivered_at FROM tickets ORDER BY channel_id, network_item_id`,
}

func snapshot(tb testing.TB, db *sql.DB) (all []string) {
	for _, query := range frozenColumns {
		all = append(all, table(tb, db, query)...)
	}
	return all
}

// schema describes everything that the migrations make, apart from the order of the columns.
func schema(tb testing.TB, db *sql.DB, engine string) (all []string) {
	queries := []string{
		`SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY type, name`,
		`SELECT tbl, idx, stat FROM sqlite_stat1 ORDER BY tbl, idx`,
		`SELECT version_id, is_applied FROM goose_db_version ORDER BY version_id`,
	}
	if engine == "postgres" {
		queries = []string{
			`SELECT table_name, column_name, data_type, is_nullable, column_default, collation_name, is_identity
				FROM information_schema.columns WHERE table_schema = 'public' ORDER BY table_name, column_name`,
			`SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY indexname`,
			`SELECT conrelid::regclass::text AS of, pg_get_constraintdef(oid) AS def FROM pg_constraint
				WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2`,
			`SELECT version_id, is_applied FROM goose_db_version ORDER BY version_id`,
		}
	}
	for _, query := range queries {
		all = append(all, table(tb, db, query)...)
	}
	return all
}

// fresh returns a database of the newest schema without data.
func fresh(tb testing.TB, engine string) *sql.DB {
	tb.Helper()
	url := "sqlite:" + filepath.Join(tb.TempDir(), "fresh.db")
	if engine == "postgres" {
		url = storetest.Postgres(tb)
	}
	s, err := store.Open(tb.Context(), url)
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := s.Migrate(tb.Context()); errors.Join(err, s.Close()) != nil {
		tb.Fatal(err)
	}
	db := openDatabase(tb, url)
	tb.Cleanup(func() { db.Close() })
	return db
}

// oldWorld is a world whose database the first release has left, and whose SocialHub has the tickets that it had made.
func oldWorld(t *testing.T, database, engine string) *world {
	w := newWorld(t, database, options{})
	names := []string{"{channel}", w.channel.ID}
	for _, item := range []string{"up-synced", "up-edited", "up-update", "up-uncertain", "up-unlinked", "up-waiting"} {
		names = append(names, "{"+item+"}", w.post(item))
	}
	w.write(frozen(t, engine+"-00001.sql"))
	w.write(strings.NewReplacer(names...).Replace(frozen(t, "rows-00001.sql")))
	w.items(frozen(t, "items.jsonl"))
	return w
}

// items replaces the source's file.
func (w *world) items(text string) {
	w.Helper()
	if err := os.WriteFile(filepath.Join(w.dir, fileName(0)), []byte(text), 0o600); err != nil {
		w.Fatal(err)
	}
}

// requestsByItem tells which requests SocialHub took for each item, after the ones of the former run.
func (w *world) requestsByItem() map[string]string {
	all := make(map[string]string)
	for id, t := range w.tickets() {
		for _, r := range t.Revisions {
			if !bytes.Contains(r.Body, []byte("as it was before")) {
				all[id] = strings.TrimSpace(all[id] + " " + r.Method)
			}
		}
	}
	return all
}

func (w *world) states() map[string]string {
	all := make(map[string]string)
	for id, row := range w.rows() {
		all[id] = row.state
		if row.payload != "" {
			all[id] += ", with content"
		}
	}
	return all
}

func TestTheFirstReleasesDatabaseIsMigratedAndGoesOn(t *testing.T) {
	t.Parallel()
	onBothEngines(t, func(t *testing.T, database string) {
		engine, _, _ := strings.Cut(database, ":")
		w := oldWorld(t, database, engine)
		before := snapshot(t, w.db)
		w.must("migrate")
		if diff := cmp.Diff(before, snapshot(t, w.db)); diff != "" {
			t.Errorf("the migration changed rows:\n%s", diff)
		}
		if diff := cmp.Diff(schema(t, fresh(t, engine), engine), schema(t, w.db, engine)); diff != "" {
			t.Errorf("it is another schema than that of a new database (-new +migrated):\n%s", diff)
		}
		w.oldStatus()
		w.firstRun()
		w.secondRun()
		w.replies()
		if said := w.must("doctor"); !strings.Contains(said, "nothing is wrong") {
			t.Errorf("doctor:\n%s", said)
		}
		t.Logf("figures: %s: %d rows of release 1 intact, all in their states after two runs, two replies done", engine, len(before))
	})
}

// must runs a command that has to end well.
func (w *world) must(args ...string) string {
	w.Helper()
	output, code := w.run(args...)
	if code != 0 {
		w.Fatalf("%v: exit code %d\n%s", args, code, output)
	}
	return output
}

func (w *world) oldStatus() {
	w.Helper()
	type channel struct {
		Pending, Synced, Rejected, Unlinked, Gone int
		Paused                                    string
	}
	var status struct {
		Channels []channel
		Sources  []struct {
			New         int
			LastSuccess time.Time `json:"last_success"`
		}
	}
	if err := json.Unmarshal([]byte(w.must("status", "--json")), &status); err != nil {
		w.Fatal(err)
	}
	if diff := cmp.Diff([]channel{{Pending: 6, Synced: 2, Rejected: 2, Unlinked: 2, Gone: 1}}, status.Channels); diff != "" {
		w.Errorf("status:\n%s", diff)
	}
	if s := status.Sources[0]; s.New != 13 || !s.LastSuccess.Equal(time.UnixMilli(1700000000000)) {
		w.Errorf("status of the source: %+v", s)
	}
}

// firstRun is a round with the items as they were: what was left to do is done, and nothing else.
func (w *world) firstRun() {
	w.Helper()
	w.must("run", "--once")
	done := map[string]string{
		"up-pending": "POST", "up-root": "POST", "up-reply": "POST", "up-backfill": "POST", "up-update": "PATCH", "up-uncertain": "PATCH",
	}
	if diff := cmp.Diff(done, w.requestsByItem()); diff != "" {
		w.Errorf("requests of the first run:\n%s", diff)
	}
	if n := w.requests(http.StatusConflict) + w.requests(http.StatusNotFound); n != 0 {
		w.Errorf("%d requests were refused", n)
	}
	states := map[string]string{
		"up-synced": "synced", "up-edited": "synced", "up-pending": "synced", "up-update": "synced", "up-uncertain": "synced",
		"up-unlinked": "unlinked", "up-waiting": "unlinked, with content", "up-rejected": "rejected, with content",
		"at items-0.jsonl:13": "rejected", "up-gone": "gone", "up-own": "skipped", "up-root": "synced", "up-reply": "synced",
		"up-backfill": "synced",
	}
	if diff := cmp.Diff(states, w.states()); diff != "" {
		w.Errorf("states after the first run:\n%s", diff)
	}
	for _, id := range []string{"up-update", "up-reply"} {
		t, _ := w.box.Ticket(w.channel.ID, id)
		if !strings.Contains(frozen(w, "items.jsonl"), t.Interaction.Message) {
			w.Errorf("%s shows %q", id, t.Interaction.Message)
		}
	}
	if n := w.number(`SELECT lease_epoch FROM channels WHERE channel_id = $1`, w.channel.ID); n <= 41 {
		w.Errorf("the channel's epoch is %d, it must grow from 41", n)
	}
}

// secondRun edits items of the old rows and adopts the unlinked ones.
func (w *world) secondRun() {
	w.Helper()
	edited := frozen(w, "items.jsonl")
	for _, old := range []string{"Does not open on my phone", "This was removed by the team", "Refused for a reason", "Can I have two invoices?"} {
		edited = strings.ReplaceAll(edited, old, old+" (edited)")
	}
	w.items(edited)
	w.must("run", "--once")
	links := filepath.Join(w.dir, "links.csv")
	text := ""
	for _, id := range []string{"up-unlinked", "up-waiting"} {
		t, _ := w.box.Ticket(w.channel.ID, id)
		text += id + "," + t.ID + "\n"
	}
	if err := os.WriteFile(links, []byte(text), 0o600); err != nil {
		w.Fatal(err)
	}
	w.must("adopt", links)
	w.must("run", "--once")
	requests := w.requestsByItem()
	for id, want := range map[string]string{
		"up-edited": "PATCH", "up-rejected": "POST", "up-waiting": "PATCH", "up-unlinked": "", "up-synced": "", "up-pending": "POST",
	} {
		if requests[id] != want {
			w.Errorf("%s got %q, want %q", id, requests[id], want)
		}
	}
	for _, id := range []string{"up-edited", "up-waiting", "up-rejected"} {
		if t, _ := w.box.Ticket(w.channel.ID, id); !strings.HasSuffix(t.Interaction.Message, "(edited)") {
			w.Errorf("%s shows %q", id, t.Interaction.Message)
		}
	}
	if t, ok := w.box.Ticket(w.channel.ID, "up-gone"); ok {
		w.Errorf("the removed ticket was made again: %+v", t)
	}
	if states := w.states(); states["up-unlinked"] != "synced" || states["up-waiting"] != "synced" || states["up-gone"] != "gone" {
		w.Errorf("states after the second run: %v", states)
	}
}

// replies is a daemon with a webhook: the team replies to an item of a new source, and to one that the first release had
// delivered and whose source takes none.
func (w *world) replies() {
	w.Helper()
	a := &actingWorld{w, newDesk(w, withKeys)}
	w.more = a.desk.source()
	w.listen, w.about = webhook(w)
	p := w.start("run")
	question, ok := a.replied(p)
	if !ok {
		w.Fatal(p.output())
	}
	old, err := w.box.Act(w.channel.ID, sandbox.Act{TicketID: w.ticketID("up-synced"), ActionID: "reply", Text: "Thank you."})
	if err != nil {
		w.Fatal(err)
	}
	until(w, "both replies are settled", time.Minute, func() bool {
		open, err := w.tryNumber(`SELECT count(*) FROM actions WHERE due IS NOT NULL`)
		return err == nil && open == 0 && w.number(`SELECT count(*) FROM actions`) == 2
	})
	p.stop()
	told := make(map[string]sandbox.Action)
	for _, action := range w.box.Actions(w.channel.ID) {
		told[action.UUID] = action
	}
	if state := told[question.UUID].State; state != sandbox.ActionConfirmed || len(a.desk.posted()) != 1 {
		w.Errorf("the team was told %q of a reply, the desk has %d", state, len(a.desk.posted()))
	}
	if x := told[old.UUID]; x.State != sandbox.ActionFailed {
		w.Errorf("the team was told %q (%s) of a reply that the source does not take", x.State, x.Reason)
	}
}
