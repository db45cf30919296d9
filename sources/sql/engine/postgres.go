package engine

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// connectTimeout bounds the making of a connection where the setting timeout is longer.
const connectTimeout = 15 * time.Second

func parsePostgres(u *url.URL) (*Address, error) {
	config, err := pgx.ParseConfig(u.String())
	if err != nil { // The parser's error may show the password.
		return nil, databaseError("not an address that Postgres takes; want postgres://user:password@host:5432/name?sslmode=require")
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "socialhub-sync"
	}
	// No prepared statements with names: a pooler in transaction mode may stand between.
	config.DefaultQueryExecMode = pgx.QueryExecModeDescribeExec
	open := func(string, options) (dialect, *sql.DB, error) {
		return dialect{
			quote: `"`,
			// As text, because a Go type can't hold all values, such as the time "infinity".
			column: "%s::text",
			rows:   true, numbered: true,
			isolation: sql.LevelReadCommitted, uncommitted: uncommittedPostgres,
			begin: beginPostgres, classify: classifyPostgres,
		}, sql.OpenDB(stdlib.GetConnector(*config)), nil
	}
	return &Address{open: open, syntax: syntax{dollars: true, nested: true}}, nil
}

// uncommittedPostgres knows a constraint that is checked last, a conflict with another transaction, and a transaction that
// had failed before.
func uncommittedPostgres(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (strings.HasPrefix(e.Code, "23") || strings.HasPrefix(e.Code, "40")) || errors.Is(err, pgx.ErrTxCommitRollback)
}

// beginPostgres makes the transaction's settings. Not the session's, which a pooler would hand to others.
func beginPostgres(ctx context.Context, tx *sql.Tx, timeout time.Duration) error {
	_, err := tx.ExecContext(ctx, `SELECT set_config('statement_timeout', $1, true), set_config('TimeZone', 'UTC', true),
		set_config('DateStyle', 'ISO', true), set_config('IntervalStyle', 'iso_8601', true)`, strconv.FormatInt(timeout.Milliseconds(), 10))
	return err
}

// classifyPostgres knows the classes of https://www.postgresql.org/docs/current/errcodes-appendix.html.
func classifyPostgres(err error) (trouble, bool) {
	e, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return trouble{}, false
	}
	t := trouble{text: e.Message + " (SQLSTATE " + e.Code + ")"}
	switch {
	case e.Code == "57014":
		t.kind = timedOut
	case strings.HasPrefix(e.Code, "28"), strings.HasPrefix(e.Code, "3D"):
		t.kind = refused
	case e.Code == "25006":
		t.kind = writes
	case e.Code == "42501":
		t.kind = forbidden
	case strings.HasPrefix(e.Code, "42"), strings.HasPrefix(e.Code, "0A"):
		t.kind = wrongQuery
	case strings.HasPrefix(e.Code, "08"), strings.HasPrefix(e.Code, "53"), strings.HasPrefix(e.Code, "57"),
		strings.HasPrefix(e.Code, "40"), e.Code == "55P03":
		t.kind = unavailable
	default: // The message may hold a value of a row.
		t = trouble{kind: failedQuery, text: "SQLSTATE " + e.Code}
	}
	return t, true
}
