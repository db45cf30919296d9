package sqlsource

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"socialhub-sync/socialhub"
	"socialhub-sync/sources/sourcetest"
)

const worldPassword = "s3cret-p@ss/word"

// world is a table in a database that a user of its own may read.
type world struct {
	t       testing.TB
	engine  testEngine
	address string // for the tests
	user    string
	db      *sql.DB

	proxy *proxy // nil: there is no network

	mu   sync.Mutex
	fine func()       // ends the present trouble
	put  map[int]bool // the reviews that nobody has removed but the source
}

func newWorld(e testEngine) func(testing.TB) sourcetest.World {
	return func(t testing.TB) sourcetest.World {
		w := &world{t: t, engine: e, address: e.create(t), user: "u" + strings.ToLower(rand.Text()[:12]), fine: func() {}, put: map[int]bool{}}
		w.db = openSQL(t, w.address)
		t.Cleanup(func() { _ = w.db.Close() })
		w.run(fmt.Sprintf("CREATE TABLE review (no %s, body %s, created %s, updated %s, parent bigint, once %[2]s UNIQUE, hidden int)",
			e.serial, e.text, e.time, e.time),
			"CREATE INDEX review_updated ON review (updated, no)")
		w.run(e.highNumbers...)
		if e.name != "sqlite" {
			w.proxy = newProxy(t, w.address)
		}
		switch e.name {
		case "postgres":
			w.run(fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s'", w.user, worldPassword), "GRANT SELECT, INSERT, UPDATE, DELETE ON review TO "+w.user)
			t.Cleanup(func() { w.run("DROP OWNED BY "+w.user, "DROP ROLE "+w.user) })
		case "mariadb":
			w.run(fmt.Sprintf("CREATE USER %s IDENTIFIED BY '%s'", w.user, worldPassword), "GRANT SELECT, INSERT, UPDATE, DELETE ON review TO "+w.user)
			t.Cleanup(func() { w.run("DROP USER " + w.user) })
		}
		return w
	}
}

func (w *world) run(statements ...string) {
	for _, statement := range statements {
		if _, err := w.db.Exec(statement); err != nil {
			w.t.Errorf("%s: %v", statement, err)
		}
	}
}

// userAddress is the address for a user with a password.
func userAddress(address, user, password string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme == "sqlite" {
		return address
	}
	u.User = url.UserPassword(user, password)
	return u.String()
}

func (w *world) Settings() string {
	query := fmt.Sprintf("SELECT no AS id, body AS message, created AS %s, updated AS %s, parent AS %s, parent IS NOT NULL AS own FROM review",
		w.engine.named("createdTime"), w.engine.named("updatedTime"), w.engine.named("root.rootId"))
	address := w.address
	if w.proxy != nil {
		address = userAddress(w.proxy.address, w.user, worldPassword)
	}
	return fmt.Sprintf("database: %q\nquery: %q\ncursor: updatedTime\nrescan: 30s\n", address, query) + w.actions()
}

// actions are the settings of what can be done with a review: answers are reviews with a parent.
func (w *world) actions() string {
	now := fmt.Sprintf(w.engine.cast, ":time")
	answer := "INSERT INTO review (body, created, updated, parent, once) SELECT %s, " + now + ", " + now + ", no, " + fmt.Sprintf(w.engine.castText, ":key") +
		" FROM review WHERE no = :id"
	return fmt.Sprintf("actions:\n  reply: %q\n  template_reply: %q\n  posted: %q\n  delete: %q\n  buttons: {hide: %q}\n",
		fmt.Sprintf(answer, fmt.Sprintf(w.engine.castText, ":text")), fmt.Sprintf(answer, fmt.Sprintf(w.engine.castText, ":template")),
		fmt.Sprintf("SELECT no AS id, created AS %s FROM review WHERE once = :key", w.engine.named("createdTime")),
		"DELETE FROM review WHERE no = :id", "UPDATE review SET hidden = coalesce(hidden, 0) + 1 WHERE no = :id")
}

// Done implements [sourcetest.Actor].
func (w *world) Done() (deeds []sourcetest.Deed) {
	rows, err := w.db.Query("SELECT no, coalesce(body, ''), coalesce(parent, 0), coalesce(hidden, 0) FROM review")
	if err != nil {
		w.t.Error(err)
		return nil
	}
	defer rows.Close()
	there := map[int]bool{}
	for rows.Next() {
		var no, parent, hidden int
		var body string
		if err := rows.Scan(&no, &body, &parent, &hidden); err != nil {
			w.t.Error(err)
		}
		there[no] = true
		if parent > 0 {
			deeds = append(deeds, sourcetest.Deed{Type: socialhub.ActionReply, Item: parent, Text: body})
		}
		for range hidden {
			deeds = append(deeds, sourcetest.Deed{Type: socialhub.ActionButton, Item: no, Button: "hide"})
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for no := range w.put {
		if !there[no] {
			deeds = append(deeds, sourcetest.Deed{Type: socialhub.ActionDelete, Item: no})
		}
	}
	return deeds
}

func (w *world) Put(items ...sourcetest.Item) {
	const layout = "2006-01-02 15:04:05"
	tx, err := w.db.Begin()
	if err != nil {
		w.t.Error(err)
		return
	}
	for some := range slices.Chunk(items, 500) {
		var ids, values []string
		for _, item := range some {
			w.know(item.ID, true)
			ids = append(ids, strconv.Itoa(item.ID))
			values = append(values, fmt.Sprintf("(%d, '%s', '%s', '%s')", item.ID, item.Text, item.Created.Format(layout), item.Updated.Format(layout)))
		}
		for _, statement := range []string{
			"DELETE FROM review WHERE no IN (" + strings.Join(ids, ", ") + ")",
			"INSERT INTO review (no, body, created, updated) VALUES " + strings.Join(values, ", "),
		} {
			if _, err := tx.Exec(statement); err != nil {
				w.t.Error(err)
			}
		}
	}
	if err := tx.Commit(); err != nil {
		w.t.Error(err)
	}
}

func (w *world) Remove(ids ...int) {
	for _, id := range ids {
		w.know(id, false)
		w.run(fmt.Sprintf("DELETE FROM review WHERE no = %d", id))
	}
}

func (w *world) know(id int, there bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if delete(w.put, id); there {
		w.put[id] = true
	}
}

// Break implements [sourcetest.Breaker].
func (w *world) Break(trouble sourcetest.Trouble) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fine()
	w.fine = func() {}
	switch {
	case trouble == sourcetest.Fine:
	case trouble == sourcetest.Failing:
		w.run("ALTER TABLE review RENAME TO other")
		w.fine = func() { w.run("ALTER TABLE other RENAME TO review") }
	case w.engine.name == "sqlite":
		return false
	case trouble == sourcetest.Unauthorized && w.engine.name == "postgres": // the cluster of the tests looks at no password
		w.run("ALTER ROLE " + w.user + " NOLOGIN")
		w.fine = func() { w.run("ALTER ROLE " + w.user + " LOGIN") }
	case trouble == sourcetest.Unauthorized:
		w.run("ALTER USER " + w.user + " IDENTIFIED BY 'another'")
		w.fine = func() { w.run(fmt.Sprintf("ALTER USER %s IDENTIFIED BY '%s'", w.user, worldPassword)) }
	case trouble == sourcetest.Dropped, trouble == sourcetest.CutOff:
		w.fine = w.proxy.limit(map[sourcetest.Trouble]int64{sourcetest.Dropped: 1, sourcetest.CutOff: 1000}[trouble])
	case trouble == sourcetest.Lost:
		w.fine = w.proxy.lose()
	case trouble == sourcetest.Hanging:
		w.fine = w.lock()
	default:
		return false
	}
	return true
}

// lock makes everybody wait for the table.
func (w *world) lock() (unlock func()) {
	conn, err := w.db.Conn(context.Background())
	if err != nil {
		w.t.Error(err)
		return func() {}
	}
	statements, end := []string{"BEGIN", "LOCK TABLE review"}, "ROLLBACK"
	if w.engine.name == "mariadb" {
		statements, end = []string{"LOCK TABLES review WRITE"}, "UNLOCK TABLES"
	}
	for _, statement := range statements {
		if _, err := conn.ExecContext(context.Background(), statement); err != nil {
			w.t.Error(err)
		}
	}
	return func() {
		if _, err := conn.ExecContext(context.Background(), end); err != nil {
			w.t.Error(err)
		}
		_ = conn.Close()
	}
}

func TestContract(t *testing.T) {
	for _, e := range testEngines {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			suite := sourcetest.Suite{
				Adapter: New(), World: newWorld(e), Incremental: true, Edits: sourcetest.Always, Late: 30 * time.Second,
				Secrets: []string{worldPassword},
				Actions: []sourcetest.Ability{
					{Type: socialhub.ActionReply}, {Type: socialhub.ActionTemplateReply, TemplateID: "thanks"},
					{Type: socialhub.ActionButton, ID: "hide"}, {Type: socialhub.ActionDelete},
				},
				Wrong: []sourcetest.Wrong{
					{Line: "database: ''"}, {Line: "database: 'mongodb://u:s3cret@host/db'"}, {Line: "database: 'postgres://u:s3cret@ho st/db'"},
					{Line: "database: 'mysql://u:s3cret@host/'"}, {Line: "database: 'mysql://u:s3cret@host/db?multiStatements=yes%20please'"},
					{Line: "database: 'mysql://host/db'"}, {Line: "database: 'mysql://u@/db'"},
					{Line: "database: 'postgres://u:s3cret@host:port/db'"}, {Line: "database: 'sqlite::memory:'"},
					{Line: "query: ''"}, {Line: "query: DELETE FROM review"}, {Line: "query: SELECT 1 AS id; DROP TABLE review"},
					{Line: "rescan: -1s"}, {Line: "rescan: 99999h"}, {Line: "time_zone: Mars/Base"}, {Line: "time_zone: Local"},
					{Line: "prefix: my blog"}, {Line: "timeout: 0s"}, {Line: "timeout: 48h"},
				},
			}
			if e.name != "sqlite" {
				suite.Timeout = "timeout: 100ms"
			}
			sourcetest.Run(t, suite)
		})
	}
}
