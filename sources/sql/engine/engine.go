// Package engine knows what differs between the databases that sources/sql reads: how an address is written, how SQL is
// quoted, and what an error means. The sessions of [Address.Open] read, and can't write; those of [Address.OpenWriter] do
// what the team did.
package engine

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"
)

// Engine is an opened database.
type Engine struct {
	db      *sql.DB
	timeout time.Duration
	secrets []string // of the address
	dialect
}

// dialect is what differs between the databases.
type dialect struct {
	// quote stands around an identifier, twice where it stands inside of one.
	quote string
	// column is how a column is read: %s is its quoted name.
	column string
	// rows tells that (a, b) > (x, y) is served by an index. MySQL and MariaDB read all rows for it.
	rows bool
	// numbered placeholders are $1, $2; else ?.
	numbered bool
	// check looks before a connection is made, prepare sets it up, begin a transaction; nil: nothing to do.
	check   func() error
	prepare func(ctx context.Context, conn *sql.Conn, timeout time.Duration) error
	begin   func(ctx context.Context, tx *sql.Tx, timeout time.Duration) error
	// utcType is the type whose times come without a zone but in UTC; empty: there is none.
	utcType string
	// isolation is that of a transaction which writes: it has to see what another one committed meanwhile.
	isolation sql.IsolationLevel
	// uncommitted tells an error of a COMMIT after which nothing was committed for certain; after others it is not known.
	uncommitted func(err error) bool
	// classify says what the database's own error means; false: it is none.
	classify func(err error) (trouble, bool)
}

// Close closes the database, when no session is left.
func (e *Engine) Close() error { return e.db.Close() }

// Name quotes a column's name.
func (e *Engine) Name(column string) string {
	return e.quote + strings.ReplaceAll(column, e.quote, e.quote+e.quote) + e.quote
}

// Column is what selects a column, by its quoted name, so that no value is changed or lost.
func (e *Engine) Column(name string) string { return fmt.Sprintf(e.column, name) }

// ComparesRows tells whether (a, b) > (x, y) should be written so. Else it must be taken apart.
func (e *Engine) ComparesRows() bool { return e.rows }

// Booleans tells whether there are truth values, which are not the numbers 1 and 0.
func (e *Engine) Booleans() bool { return e.numbered }

// IsUTC tells whether times of a type, in the driver's words, come without a zone but in UTC.
func (e *Engine) IsUTC(columnType string) bool { return columnType != "" && columnType == e.utcType }

// Numbered writes a condition's placeholders as the database wants them: for each mark one.
func (e *Engine) Numbered(text, mark string) string {
	if !e.numbered {
		return strings.ReplaceAll(text, mark, "?")
	}
	var out strings.Builder
	for n, part := range strings.Split(text, mark) {
		if n > 0 {
			fmt.Fprintf(&out, "$%d", n)
		}
		out.WriteString(part)
	}
	return out.String()
}
