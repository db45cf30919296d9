package store

import (
	"context"
	"database/sql/driver"
	"errors"
)

// keeping opens connections of SQLite that keep their statements prepared. To prepare one takes longer than to
// run it on a few rows: it was a third of all CPU while a slow API was waited for.
type keeping struct{ driver.Connector }

// Connect implements [driver.Connector].
func (k keeping) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := k.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &keeper{sqliteConn: c.(sqliteConn), kept: make(map[string]sqliteStmt)}, nil
}

// sqliteConn is what the driver's connections can.
type sqliteConn interface {
	driver.Conn
	driver.ConnPrepareContext
	driver.ConnBeginTx
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

type sqliteStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// keeper is a connection. Nothing is ever dropped to make room: the statements are the store's own, some dozens, and
// one that was prepared for an older schema is prepared again by SQLite.
type keeper struct {
	sqliteConn
	// kept are the statements that do not run now, by their text.
	kept map[string]sqliteStmt
}

// ExecContext implements [driver.ExecerContext].
func (c *keeper) ExecContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Result, error) {
	if len(args) == 0 { // a migration or a pragma, which may be several statements
		return c.sqliteConn.ExecContext(ctx, text, args)
	}
	stmt, err := c.take(ctx, text)
	if err != nil {
		return nil, err
	}
	result, err := stmt.ExecContext(ctx, args)
	return result, c.keep(text, stmt, err)
}

// QueryContext implements [driver.QueryerContext].
func (c *keeper) QueryContext(ctx context.Context, text string, args []driver.NamedValue) (driver.Rows, error) {
	if len(args) == 0 {
		return c.sqliteConn.QueryContext(ctx, text, args)
	}
	stmt, err := c.take(ctx, text)
	if err != nil {
		return nil, err
	}
	rows, err := stmt.QueryContext(ctx, args)
	if err != nil {
		return nil, c.keep(text, stmt, err)
	}
	return &keptRows{rows, func(err error) error { return c.keep(text, stmt, err) }}, nil
}

// take returns the statement, which nobody else has until it is handed to keep.
func (c *keeper) take(ctx context.Context, text string) (sqliteStmt, error) {
	if stmt, ok := c.kept[text]; ok {
		delete(c.kept, text)
		return stmt, nil
	}
	stmt, err := c.PrepareContext(ctx, text)
	if err != nil {
		return nil, err
	}
	return stmt.(sqliteStmt), nil
}

// keep puts a statement back that ran without an error. It returns the error.
func (c *keeper) keep(text string, stmt sqliteStmt, err error) error {
	if err != nil {
		_ = stmt.Close() // its error is the same once more
		return err
	}
	if c.kept == nil || c.kept[text] != nil {
		return stmt.Close()
	}
	c.kept[text] = stmt
	return nil
}

// Close implements [driver.Conn].
func (c *keeper) Close() error {
	var err error
	for _, stmt := range c.kept {
		err = errors.Join(err, stmt.Close())
	}
	c.kept = nil
	return errors.Join(err, c.sqliteConn.Close())
}

// keptRows are the rows of a kept statement.
type keptRows struct {
	driver.Rows
	done func(error) error
}

// Close implements [driver.Rows].
func (r *keptRows) Close() error { return r.done(r.Rows.Close()) }
