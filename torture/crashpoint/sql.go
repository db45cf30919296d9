//go:build crashpoints

package crashpoint

import (
	"cmp"
	"context"
	"database/sql/driver"
	"regexp"
	"strings"
)

// Connector returns a connector with a point before and after each write, begin and commit.
func Connector(c driver.Connector) driver.Connector { return connector{c} }

type connector struct{ driver.Connector }

func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	inner, err := c.Connector.Connect(ctx)
	return wrap(inner, err)
}

// fullConn is what the connections of both engines can.
type fullConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
}

func wrap(c driver.Conn, err error) (driver.Conn, error) {
	if err != nil {
		return nil, err
	}
	return &conn{fullConn: c.(fullConn)}, nil
}

type conn struct {
	fullConn
	last string // write of the transaction
}

// IsValid implements [driver.Validator].
func (c *conn) IsValid() bool {
	v, ok := c.fullConn.(driver.Validator)
	return !ok || v.IsValid()
}

// CheckNamedValue implements [driver.NamedValueChecker].
func (c *conn) CheckNamedValue(v *driver.NamedValue) error {
	if checker, ok := c.fullConn.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	name := writeName(query)
	c.before(name)
	res, err := c.fullConn.ExecContext(ctx, query, args)
	after(name)
	return res, err
}

func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	name := writeName(query)
	c.before(name)
	r, err := c.fullConn.QueryContext(ctx, query, args)
	if err != nil || name == "" {
		return r, err
	}
	return &rows{Rows: r, name: name}, nil
}

func (c *conn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	c.last = ""
	reach("before begin")
	t, err := c.fullConn.BeginTx(ctx, o)
	reach("after begin")
	return &tx{t, c}, err
}

func (c *conn) before(name string) {
	if name != "" {
		c.last = name
		reach("before " + name)
	}
}

func after(name string) {
	if name != "" {
		reach("after " + name)
	}
}

type tx struct {
	driver.Tx
	conn *conn
}

func (t *tx) Commit() error {
	name := "commit of " + cmp.Or(t.conn.last, "nothing")
	reach("before " + name)
	err := t.Tx.Commit()
	reach("after " + name)
	return err
}

// rows are those of a write that returns some: SQLite has written when they are closed.
type rows struct {
	driver.Rows
	name string
}

func (r *rows) Close() error {
	err := r.Rows.Close()
	after(r.name)
	return err
}

var (
	comments = regexp.MustCompile(`--[^\n]*`)
	spaces   = regexp.MustCompile(`\s+`)
	// writes finds a statement's verb, table and first column; a WITH may stand before.
	writes = regexp.MustCompile(`(?i)(?:^|\) ?)(UPDATE|INSERT INTO|DELETE FROM|ANALYZE|(?:CREATE|ALTER|DROP) (?:UNIQUE )?(?:TABLE|INDEX)(?: IF NOT EXISTS)?)` +
		` "?(\w+)"?(?: SET (\w+(?: = (?:''|\$\d+))?))?`)
)

// writeName names a statement by its first words; empty if it writes nothing.
func writeName(query string) string {
	text := strings.TrimSpace(spaces.ReplaceAllString(comments.ReplaceAllString(query, " "), " "))
	found := writes.FindStringSubmatch(text)
	if found == nil {
		return ""
	}
	name := found[1] + " " + found[2]
	if found[3] != "" {
		name += " SET " + found[3]
	}
	return name
}
