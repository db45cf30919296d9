package store

import (
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite"
)

// engine is what differs between the databases. In a statement's text stand
//
//	{now}       the database's clock in milliseconds
//	{each $n}   the elements of a JSON array as rows with one column, "value", itself JSON to take apart with ->>
//	{ids $n}    the same for an array of strings; "value" is the bare text
//	{pairs $n}  the members of a JSON object of strings as rows "key", "value", both bare text
//	{lock}      hold the rows that were read until the end of the transaction
//	{share}     hold them against writers only
type engine struct {
	name    string
	connect func(url string, readOnly bool) (write, read *sql.DB, err error)
	// now is an expression, or empty when the caller's clock is the database's clock.
	now, each, ids, pairs, lock, share string
	// begin opens a transaction of several statements, unless it is empty.
	begin string
	// limit is how long a statement, or a transaction of several, may take; 0 is for ever. It includes the wait for
	// a connection.
	limit time.Duration
	// rendered keeps statements that are filled in already, by their text: there are some dozens.
	rendered *sync.Map
	// file is the path of an embedded database.
	file string
}

// engineOf picks the engine by the URL's scheme.
func engineOf(url string) (engine, error) {
	switch {
	case strings.HasPrefix(url, "postgres://"), strings.HasPrefix(url, "postgresql://"):
		return engine{
			rendered: new(sync.Map),
			name:     "postgres", connect: connectPostgres,
			now:  "(extract(epoch from clock_timestamp()) * 1000)::bigint",
			each: "json_array_elements(${1}::json)", ids: "json_array_elements_text(${1}::json)",
			pairs: "json_each_text(${1}::json)", lock: "FOR UPDATE", share: "FOR SHARE",
			// A process that freezes between two statements must not keep its locks longer than its leases. Not a
			// setting of the session, which a pooler in transaction mode refuses.
			begin: "SET LOCAL idle_in_transaction_session_timeout = '10s'",
			// A server that falls silent must be told before the default lease of a minute ends.
			limit: 20 * time.Second,
		}, nil
	case strings.HasPrefix(url, "sqlite:"):
		// No limit: a file does not fall silent, and whoever waits for another process waits for busy_timeout at most.
		return engine{
			rendered: new(sync.Map),
			name:     "sqlite", connect: connectSQLite,
			// In binary form: an element that is text again would be parsed again.
			each: "jsonb_each(${1})", ids: "json_each(${1})", pairs: "json_each(${1})",
			file: strings.TrimPrefix(url, "sqlite:"),
		}, nil
	}
	return engine{}, fmt.Errorf("database URL: want sqlite:PATH or postgres://user@host/database")
}

var (
	eachFragment  = regexp.MustCompile(`\{each (\$\d+)\}`)
	idsFragment   = regexp.MustCompile(`\{ids (\$\d+)\}`)
	pairsFragment = regexp.MustCompile(`\{pairs (\$\d+)\}`)
)

// render fills the fragments into a statement's text and adds the clock to its arguments if it has to come from here.
func (e engine) render(text string, args []any) (string, []any) {
	filled, ok := e.rendered.Load(text)
	if !ok {
		filled = e.fill(text, len(args))
		e.rendered.Store(text, filled)
	}
	if e.now == "" && strings.Contains(text, "{now}") {
		// Not a function of the database: tests run years in a moment, and the clock must go along.
		args = append(args[:len(args):len(args)], time.Now().UnixMilli())
	}
	return filled.(string), args
}

// fill does the work of render for a statement with so many arguments; a text always has the same number.
func (e engine) fill(text string, arguments int) string {
	now := e.now
	if now == "" {
		now = "$" + strconv.Itoa(arguments+1)
	}
	text = eachFragment.ReplaceAllString(text, e.each)
	text = idsFragment.ReplaceAllString(text, e.ids)
	text = pairsFragment.ReplaceAllString(text, e.pairs)
	return strings.NewReplacer("{now}", now, "{lock}", e.lock, "{share}", e.share).Replace(text)
}

// connectPostgres keeps no prepared statements, so that a pooler in transaction mode may stand between.
func connectPostgres(url string, _ bool) (*sql.DB, *sql.DB, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		// The parser's error quotes the URL, which may hold a password.
		return nil, nil, fmt.Errorf("database URL: not a valid Postgres URL; want postgres://user@host:5432/database?sslmode=require")
	}
	config.DefaultQueryExecMode = pgx.QueryExecModeExec
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 10 * time.Second
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "socialhub-sync"
	}
	db := sql.OpenDB(instrument(stdlib.GetConnector(*config)))
	db.SetMaxOpenConns(8)
	db.SetMaxIdleConns(8)
	db.SetConnMaxIdleTime(5 * time.Minute)
	return db, db, nil
}

// connectSQLite opens one writing connection, which is all that SQLite can use, and a few readers.
func connectSQLite(raw string, readOnly bool) (*sql.DB, *sql.DB, error) {
	path := strings.TrimPrefix(raw, "sqlite:")
	if path == "" || strings.HasPrefix(path, ":memory:") {
		return nil, nil, fmt.Errorf("database URL: sqlite: needs the path of a file, such as sqlite:socialhub-sync.db")
	}
	if readOnly {
		if _, err := os.Stat(path); err != nil {
			return nil, nil, fmt.Errorf("open the database: %w", err)
		}
	}
	common := url.Values{"_pragma": {
		"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)", "cache_size(-1000)", "temp_store(MEMORY)",
		// What is deleted is overwritten. FAST would leave long texts, which have pages of their own, in free pages.
		"secure_delete(ON)",
		// What a long transaction leaves behind the usual end of the log, a thousand pages, goes when the log begins
		// anew. A log that always began empty would cost a tenth more to grow.
		"journal_size_limit(4200000)",
	}}
	file := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath()}
	if readOnly {
		file.RawQuery = url.Values{"_pragma": {"busy_timeout(10000)", "query_only(1)"}}.Encode()
		db, err := sql.Open("sqlite", file.String())
		return db, db, err
	}
	file.RawQuery = common.Encode()
	reader, err := sqlite.NewConnector(file.String())
	if err != nil {
		return nil, nil, err
	}
	common.Set("_txlock", "immediate")
	file.RawQuery = common.Encode()
	writer, err := sqlite.NewConnector(file.String())
	if err != nil {
		return nil, nil, err
	}
	read, write := sql.OpenDB(keeping{reader}), sql.OpenDB(instrument(keeping{writer}))
	read.SetMaxOpenConns(4)
	write.SetMaxOpenConns(1)
	return write, read, nil
}
